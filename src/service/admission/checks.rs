//! What stands in the way of a plan that was worked out: nodes that were cordoned since, and VMs that nobody could
//! look at. Pure.

use serde_json::json;

use crate::fault::{Code, Fault};
use crate::model::{TierId, VmId};
use crate::translate::Action;

use crate::service::Snapshot;
use crate::service::planner::sealed::Course;

/// What would be put on nodes that take nothing new, because they were cordoned after the plan was
/// sealed.
pub(super) fn cordoned(snapshot: &Snapshot, course: &Course) -> Vec<Fault> {
    let actions = course.stages.iter().flatten();
    // A container that is already there, and must be removed before its successor is made, is
    // nothing new.
    let there = |vm: &VmId, container: &TierId| {
        let vm = course.seen.allocation.vms.get(vm);
        vm.is_some_and(|vm| vm.used.contains_key(container))
    };
    let put = actions.filter_map(|action| match action {
        Action::CreateContainer { vm, container, .. } if !there(vm, container) => {
            Some((action, vm, snapshot.cordons.get(vm)?))
        }
        _ => None,
    });
    let put = put.map(|(action, vm, cordon)| {
        let message = format!("{action}: node '{vm}' is {}", cordon.reason());
        (message, vm, cordon)
    });
    // What is there may be resized as long as everything on the node together holds no more than
    // now.
    let grown = snapshot.cordons.iter().filter_map(|(vm, cordon)| {
        let before = course.seen.allocation.vms.get(vm)?.held();
        let after = course.target.vms.get(vm)?.held();
        let message = format!(
            "node '{vm}' would hold {} in all, more than now: it is {}",
            after.in_words(" and "),
            cordon.reason()
        );
        (!after.fits(before)).then_some((message, vm, cordon))
    });
    put.chain(grown)
        .map(|(message, vm, cordon)| {
            Fault::new(Code::PlanMoved, message).with([json!({ "vm": vm, "cordoned": cordon.since })])
        })
        .collect()
}

/// VMs that are to be taken into use, and that could not be looked at when the plan was placed: it
/// is not known what others run there.
pub(super) fn unseen(course: &Course) -> Vec<Fault> {
    let made = course.stages.iter().flatten().filter_map(|action| match action {
        Action::CreateVm { vm } => course.seen.unseen.get(vm),
        _ => None,
    });
    made.cloned().collect()
}

/// VMs in use that could not be looked at, if there is nothing to do: then it can't be said that
/// everything is as the plan asks. If there is something to do, only the VMs that it touches must
/// answer.
pub(super) fn unconfirmed(course: &Course) -> Vec<Fault> {
    let used = |vm: &VmId| {
        let vm = course.seen.allocation.vms.get(vm);
        vm.is_some_and(|vm| !vm.used.is_empty())
    };
    let silent = course.seen.silent.iter().filter(|(vm, _)| used(vm));
    let faults = silent.map(|(vm, fault)| fault.clone().with([json!({ "vm": vm })]));
    if course.stages.iter().all(Vec::is_empty) {
        faults.collect()
    } else {
        Vec::new()
    }
}

/// All obstacles as one answer; the first decides the code.
pub(in crate::service) fn refuse(faults: Vec<Fault>) -> Result<(), Fault> {
    let Some(first) = faults.first() else {
        return Ok(());
    };
    let messages: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
    let mut all = Fault::new(first.code, messages.join("; "));
    all.details = faults.iter().flat_map(|fault| fault.details.clone()).collect();
    Err(all)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::intent::Cordon;
    use crate::model::{Allocation, CoreSet, Size, TierId, Vm};
    use crate::service::planner::Seen;
    use crate::translate::Stage;
    use std::sync::Arc;
    use uuid::Uuid;

    /// A VM that does not answer; it holds something if `holds` is true.
    fn course(holds: bool, stages: Vec<Stage>) -> Course {
        let (name, mut vm) = (VmId::new("vm1"), Vm::empty(None, Size::new(4, 4)));
        if holds {
            vm.used.insert(TierId::of("app", "db"), Size::new(1, 1).into());
        }
        let allocation = Allocation {
            vms: [(name.clone(), vm)].into(),
        };
        let silent = Fault::new(Code::EngineUnreachable, "VM 'vm1': connection refused");
        Course {
            target: allocation.clone(),
            stages,
            seen: Seen {
                vms: Vec::new(),
                allocation,
                occupied: BTreeMap::new(),
                unseen: BTreeMap::new(),
                silent: [(name, silent)].into(),
                containers: BTreeMap::new(),
            },
        }
    }

    #[test]
    fn a_plan_that_changes_nothing_is_not_reached_where_nobody_could_look() {
        let faults = unconfirmed(&course(true, Vec::new()));
        let codes: Vec<Code> = faults.iter().map(|fault| fault.code).collect();
        assert_eq!(codes, [Code::EngineUnreachable]);
        assert!(unconfirmed(&course(false, Vec::new())).is_empty());
        let elsewhere = vec![vec![Action::CreateVm { vm: VmId::new("vm2") }]];
        assert!(unconfirmed(&course(true, elsewhere)).is_empty());
    }

    #[test]
    fn nothing_new_is_put_on_a_cordoned_node_and_what_is_there_may_be_made_anew() {
        let cordon = Cordon {
            intent: Uuid::nil(),
            by: "operator".to_owned(),
            since: jiff::Timestamp::UNIX_EPOCH,
        };
        let snapshot = Snapshot {
            cordons: Arc::new([(VmId::new("vm1"), cordon)].into()),
            ..Snapshot::default()
        };
        let make = |vm: &str, tier: &str| Action::CreateContainer {
            vm: VmId::new(vm),
            container: TierId::of("app", tier),
            size: Size::new(1, 1),
            cores: CoreSet::default(),
            revision: None,
            digest: None,
        };
        let refused = |vm: &str, tier: &str| {
            let faults = cordoned(&snapshot, &course(true, vec![vec![make(vm, tier)]]));
            faults.iter().map(|fault| fault.code).collect::<Vec<Code>>()
        };
        assert_eq!(refused("vm1", "web"), [Code::PlanMoved]);
        assert_eq!(refused("vm1", "db"), []);
        assert_eq!(refused("vm2", "web"), []);

        // It may shrink, too, but not grow.
        let resized = |cores: u32, mem: u64| {
            let mut course = course(true, Vec::new());
            for vm in course.target.vms.values_mut() {
                vm.used
                    .insert(TierId::of("app", "db"), Size::new(cores, mem).into());
            }
            cordoned(&snapshot, &course).len()
        };
        assert_eq!((resized(1, 1), resized(2, 1), resized(1, 2)), (0, 1, 1));
    }
}
