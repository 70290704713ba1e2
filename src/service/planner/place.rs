//! From a plan and what is to a placement and its actions. Pure but for the clock that the search is
//! bounded by.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::time::Instant;

use crate::cloud::{CloudVm, More, Offer};
use crate::fault::{Code, Fault};
use crate::model::{Allocation, Foreign, Plan, Size, TierId, Topology, Vm, VmId};
use crate::solve::conditions::Conditions;
use crate::solve::pose::{Posed, pose};
use crate::solve::{Answer, EndedBy, Limits, solve};
use crate::translate::{Action, Stage, translate};

use crate::service::observed::membership::keep_unremovable;
use crate::service::observed::{Spares, told};
use crate::service::planner::names::FreeNames;
use crate::service::planner::pins::Pins;
use crate::service::planner::unsolved::{unposed, unsolved};
use crate::service::planner::{Effort, Proposal, Seen};
use crate::service::state::revisions::leave_outdated;

/// The VMs that a placement may use besides those of the allocation.
#[derive(Clone)]
pub(in crate::service) struct Supply {
    /// What the cloud has and could provide.
    pub offer: Offer,
    /// Of the VMs with names of their own, those that could be taken into use.
    pub spares: Spares,
    /// What tiers and VMs ask besides sizes.
    pub conditions: Conditions,
    /// Containers that keep their sizes and VMs.
    pub pins: Pins,
    /// What becomes of what stays in its place and is outdated.
    pub outdated: Outdated,
    /// The app of which it is replaced in any case: it is what somebody asks for.
    pub renewed: Option<String>,
    /// The digests of the images that tiers are to run, where their tags were looked up.
    pub digests: BTreeMap<TierId, String>,
    /// The topology as it is, where the placement is bound to more than that says: the way there is found for it.
    pub whole: Option<Arc<Topology>>,
}

/// What becomes of containers that stay in their places and were made from an earlier revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::service) enum Outdated {
    /// They are replaced: somebody has sent a plan.
    #[default]
    Replaced,
    /// They stay as they are: things are moved or repaired, and nobody has asked for more.
    Left,
}

impl Outdated {
    /// For an execution that brings a plan back, or moves things, by itself; or for one that somebody has sent a plan for.
    pub const fn for_what(by_itself: bool) -> Self {
        if by_itself { Self::Left } else { Self::Replaced }
    }
}

impl Supply {
    /// Assumes that every VM which is not in use is as the topology says: nobody can look at it.
    pub fn unseen(offer: Offer, allocation: &Allocation) -> Self {
        let unused = |vm: &&CloudVm| !allocation.vms.contains_key(&vm.name);
        let names = offer.vms.iter().filter(unused).map(|vm| vm.name.clone());
        let spares = Spares {
            clean: names.collect(),
            ..Spares::default()
        };
        Self {
            offer,
            spares,
            conditions: Conditions::default(),
            pins: Pins::default(),
            outdated: Outdated::Replaced,
            renewed: None,
            digests: BTreeMap::new(),
            whole: None,
        }
    }
}

/// From a plan to its actions. Blocks for as long as the effort allows.
pub(in crate::service) fn place(
    topology: &Topology,
    allocation: &Allocation,
    plan: &Plan,
    supply: Supply,
    effort: Effort,
    stop: &AtomicBool,
) -> Result<Proposal, Fault> {
    let Supply {
        offer,
        spares,
        conditions,
        pins,
        outdated,
        renewed,
        digests,
        whole,
    } = supply;
    // Each pinned container is a tier of its own for the search, and one of its tier in what comes of it.
    let (own, asked) = (whole.as_deref().unwrap_or(topology), plan);
    let split = pins.split(topology, allocation, plan, conditions);
    let (topology, allocation, plan) = (&*split.topology, &*split.on, &*split.plan);
    let conditions = &split.conditions;
    let infrastructure = &topology.infrastructure;
    let mut beside = spares.occupied.clone();
    let mut clean: Vec<&VmId> = spares.clean.iter().chain(spares.unseen.keys()).collect();
    // Including those that could not be looked at, which come last.
    let mut with_unseen = None;
    if matches!(offer.more, More::Named) && (conditions.tell_apart() || infrastructure.sizes_differ()) {
        // Which of them is taken makes a difference, so each stands for itself.
        clean.clear();
        let whole = |vm: &VmId| (vm.clone(), Vm::empty(None, infrastructure.size_of(vm)));
        beside.extend(spares.clean.iter().map(whole));
        if !spares.unseen.is_empty() {
            let mut all = beside.clone();
            all.extend(spares.unseen.keys().map(whole));
            with_unseen = Some(all);
        }
    }
    let max_new = match offer.more {
        More::Named => u32::try_from(clean.len()).ok(),
        More::Anonymous { at_most } => at_most,
    };
    let free = FreeNames::beside(allocation);
    let name = |index: usize| {
        clean
            .get(index)
            .map_or_else(|| free.nth(index), |name| (*name).clone())
    };
    let ask_of = |beside: &BTreeMap<VmId, Vm>, on: &Allocation, deadline| {
        let posed = pose(topology, on, beside, plan, max_new, None, conditions).map_err(unposed)?;
        let begun = Instant::now();
        let limits = Limits {
            deadline,
            exact: effort.exact && deadline == effort.deadline,
            ..Limits::default()
        };
        let answer = solve(&posed.instance, &limits, &|| begun.elapsed(), stop).map_err(unsolved)?;
        Ok::<_, Fault>((posed, answer, begun.elapsed()))
    };
    let ask = |on: &Allocation, deadline| match (ask_of(&beside, on, deadline), &with_unseen) {
        (Err(fault), Some(all)) if fault.code == Code::Infeasible => ask_of(all, on, deadline),
        (answer, _) => answer,
    };
    // What runs keeps running, however others crowd its VMs. That is known before any search.
    let alone = uncrowded(allocation).filter(|alone| alone.totals() == wanted(plan));
    let stays = alone.and_then(|alone| {
        let found = ask(&alone, Duration::ZERO).ok()?;
        (found.1.ended_by == EndedBy::Unchanged).then_some((alone, found))
    });
    let proposed = |on: &Allocation, (posed, answer, solve_time): (Posed, Answer, Duration)| {
        let mut target = pins.join(posed.target(&answer, on, name));
        let (on, allocation) = (&pins.join(on.clone()), &pins.join(allocation.clone()));
        let topology = own;
        let kept = keep_unremovable(allocation, &mut target, offer.removable);
        let warnings = kept
            .into_iter()
            .map(|vm| told(format!("VM '{vm}' is kept, idle: {}", offer.bounds.join("; "))))
            .collect();
        for vm in target.vms.values_mut() {
            for (tier, held) in &mut vm.used {
                held.revision = topology.revisions.current(tier).cloned();
                // The ones that its dependencies have in the end, whatever it was made with.
                held.addresses = None;
                held.digest = digests.get(tier).cloned();
            }
        }
        if outdated == Outdated::Left {
            leave_outdated(topology, on, &mut target);
            for (tier, held) in target.vms.values_mut().flat_map(|vm| &mut vm.used) {
                let app = topology.tiers.get(tier).map(|tier| &tier.app);
                if app.is_some() && app == renewed.as_ref() {
                    held.revision = topology.revisions.current(tier).cloned();
                }
            }
        }
        for (id, vm) in &mut target.vms {
            if vm.ip.is_none() {
                vm.ip = offer
                    .vms
                    .iter()
                    .find(|known| known.name == *id)
                    .and_then(|known| known.ip.clone());
            }
        }
        let mut translation = translate(topology, on, &target);
        for (id, vm) in &allocation.vms {
            for side in [&mut target, &mut translation.target] {
                if let Some(there) = side.vms.get_mut(id) {
                    there.foreign = vm.foreign.clone();
                }
            }
        }
        Proposal {
            target,
            translation,
            unit: posed.unit(),
            answer,
            solve_time,
            warnings,
            plan: asked.tiers.clone(),
            seen: Seen {
                vms: offer.vms.clone(),
                allocation: allocation.clone(),
                occupied: spares.occupied.clone(),
                unseen: spares.unseen.clone(),
                silent: BTreeMap::new(),
                containers: BTreeMap::new(),
            },
            plan_id: None,
            hooks_revision: None,
            trace: effort.trace,
        }
    };
    if let Some((alone, found)) = stays {
        let proposal = proposed(&alone, found);
        if !starts_in_a_crowd(&proposal.seen.allocation, &proposal.translation.stages) {
            return Ok(proposal);
        }
    }
    Ok(proposed(allocation, ask(allocation, effort.deadline)?))
}

/// What a plan asks for, without tiers for which it asks nothing.
fn wanted(plan: &Plan) -> BTreeMap<TierId, Size> {
    let tiers = plan.tiers.iter().filter(|(_, size)| **size != Size::ZERO);
    tiers.map(|(tier, size)| (tier.clone(), *size)).collect()
}

/// The allocation as if others were not on the VMs that they and ours together overfill; None if
/// there is no such VM.
fn uncrowded(allocation: &Allocation) -> Option<Allocation> {
    let mut alone = allocation.clone();
    let crowded = alone.vms.values_mut().filter(|vm| is_crowded(vm));
    let crowded = crowded.map(|vm| vm.foreign = Foreign::default()).count();
    (crowded > 0).then_some(alone)
}

/// Whether anything is to be started on a VM that is overfull: it has no room for that.
fn starts_in_a_crowd(allocation: &Allocation, stages: &[Stage]) -> bool {
    stages.iter().flatten().any(|action| {
        let starts = matches!(
            action,
            Action::ReplaceContainer { .. } | Action::CreateContainer { .. }
        );
        starts && allocation.vms.get(action.vm()).is_some_and(is_crowded)
    })
}

/// Whether our own containers do not fit beside what others hold.
pub(in crate::service) fn is_crowded(vm: &Vm) -> bool {
    vm.foreign != Foreign::default() && !vm.held().fits(vm.room())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{Container, CoreSet, RevisionId, Revisions};
    use serde_json::json;

    #[test]
    fn what_runs_goes_on_where_others_crowd_it() {
        for mode in ["quota", "cpuset"] {
            let document = json!({
                "infrastructure": { "cpu_cores": 2, "mem_units": 8, "cpu_mode": mode,
                    "cloud_driver": { "hosts": { "vm1": { "docker": "unix:///1" }, "vm2": { "docker": "unix:///2" } } } },
                "apps": [{ "name": "a", "tiers": { "web": { "name": "web", "docker_image": "x" } } }]
            });
            let mut topology = Topology::parse(&document).unwrap().topology;
            let mut vm = Vm::empty(None, Size::new(2, 8));
            let web = Container {
                size: Size::new(1, 1),
                cores: CoreSet([1].into()),
                owed: crate::model::Owed::default(),
                revision: None,
                addresses: None,
                digest: None,
            };
            vm.used.insert(TierId::new("a_web"), web);
            vm.foreign = Foreign {
                size: Size::new(2, 1),
                cores: CoreSet([0, 1].into()),
            };
            let mut allocation = Allocation::default();
            allocation.vms.insert(VmId::new("vm1"), vm);
            let ask = |topology: &Topology, allocation: &Allocation, cores: u32| {
                let plan = json!({ "a": { "web": { "cpu_cores": cores, "mem_units": 1 } } });
                let (plan, _) = Plan::parse(&plan, topology).unwrap();
                let supply = Supply {
                    offer: Offer::of_named(Vec::new()),
                    spares: Spares::default(),
                    conditions: Conditions::default(),
                    pins: Pins::default(),
                    outdated: Outdated::Replaced,
                    renewed: None,
                    digests: BTreeMap::new(),
                    whole: None,
                };
                let effort = Effort {
                    deadline: Duration::from_secs(1),
                    exact: false,
                    trace: false,
                };
                let stop = AtomicBool::new(false);
                place(topology, allocation, &plan, supply, effort, &stop)
            };
            let same = ask(&topology, &allocation, 1).unwrap();
            assert_eq!(same.translation.stages, Vec::<Vec<_>>::new(), "{mode}");
            assert_eq!(same.target, allocation, "{mode}");
            let grown = ask(&topology, &allocation, 2).unwrap_err();
            assert_eq!(grown.code, Code::Infeasible, "{mode}");

            // What would have to be started anew has no room for that.
            let current = [(TierId::new("a_web"), RevisionId::new("new"))];
            topology.revisions = Revisions::new(current.into(), BTreeMap::new());
            let revision = |to: &str| {
                let mut allocation = allocation.clone();
                for held in allocation.vms.values_mut().flat_map(|vm| vm.used.values_mut()) {
                    held.revision = Some(RevisionId::new(to));
                }
                allocation
            };
            let same = ask(&topology, &revision("new"), 1).unwrap();
            assert_eq!(same.translation.stages, Vec::<Vec<_>>::new(), "{mode}");
            let outdated = ask(&topology, &revision("old"), 1).unwrap_err();
            assert_eq!(outdated.code, Code::Infeasible, "{mode}");
        }
    }

    #[test]
    fn new_vms_take_no_name_that_is_taken() {
        let mut allocation = Allocation::default();
        for name in ["new_vm0", "new_vm2", "new_vm3", "new_vm05", "new_vmx", "i-1"] {
            let vm = Vm::empty(None, Size::new(1, 1));
            allocation.vms.insert(VmId::new(name), vm);
        }
        let free = FreeNames::beside(&allocation);
        let names: Vec<VmId> = (0..4).map(|index| free.nth(index)).collect();
        assert_eq!(names, [1, 4, 5, 6].map(VmId::new_vm));
    }
}
