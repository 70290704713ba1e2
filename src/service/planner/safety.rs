//! The last look at a plan before it is shown, sealed or carried out: the checker of [`crate::translate::check`] replays it,
//! and knows nothing of how it was found. What breaks a rule is a defect of `mapek`, and nothing is done about it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::engine::Observed;
use crate::execute::Pinned;
use crate::fault::{Code, Fault};
use crate::model::{Allocation, TierId, Topology, VmId};
use crate::translate::check::{Leftover, Subject};
use crate::translate::{Action, Stage};

use crate::service::observed::leftovers::{Strays, is_stray};
use crate::service::redact::without_secrets;

/// The most breaches that an answer tells. The log has all of them.
const TOLD: usize = 20;

/// Containers that may be removed on the way, and when they have to be.
pub(in crate::service) type Leftovers = BTreeMap<(VmId, TierId), Leftover>;

/// What runs of ours and is none of the allocation's. `surplus` goes before anything else.
pub(in crate::service) fn leftovers(
    topology: &Topology,
    from: &Allocation,
    seen: &BTreeMap<VmId, Vec<Observed>>,
    strays: Strays,
    surplus: &[Action],
) -> Leftovers {
    let mut leftovers = Leftovers::new();
    for (vm, containers) in seen {
        for one in containers.iter().filter(|one| one.managed) {
            let tier = TierId::new(&one.name);
            if from.container(vm, &tier).is_none() {
                let first = strays == Strays::First && is_stray(topology, one);
                let when = if first { Leftover::First } else { Leftover::AnyTime };
                leftovers.insert((vm.clone(), tier), when);
            }
        }
    }
    let surplus = surplus.iter().filter_map(|action| {
        let place = (action.vm().clone(), action.container()?.clone());
        Some((place, Leftover::First))
    });
    leftovers.extend(surplus);
    leftovers
}

/// What a plan that was sealed removes of what the allocation has nothing of. It was looked at when it was sealed, and
/// nothing has moved since.
pub(in crate::service) fn removed_besides(from: &Allocation, stages: &[Stage]) -> Leftovers {
    let removals = stages.iter().flatten().filter_map(|action| match action {
        Action::DeleteContainer { vm, container, .. } if from.container(vm, container).is_none() => {
            Some(((vm.clone(), container.clone()), Leftover::AnyTime))
        }
        _ => None,
    });
    removals.collect()
}

/// Refuses a way that breaks a rule at some moment.
///
/// # Errors
///
/// What would be violated. The log then has all that is needed to find out why.
pub(in crate::service) fn check(subject: &Subject<'_>) -> Result<(), Fault> {
    let breaches = subject.breaches();
    let Some(first) = breaches.first() else {
        return Ok(());
    };
    let more = match breaches.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    tracing::error!(subject = %record(subject, &breaches), "a plan was refused that would break a rule");
    let message = format!(
        "the actions that were worked out would break a rule: {first}{more}. Nothing was done. This is a defect in mapek: \
         please report it with the line of its log that says \"a plan was refused that would break a rule\""
    );
    let told = breaches
        .iter()
        .take(TOLD)
        .map(|breach| json!({ "breach": breach }));
    Err(Fault::new(Code::UnsafePlan, message).with(told))
}

/// All that the checker was given, for the log: with it the same plan is found, and refused, again.
fn record(subject: &Subject<'_>, breaches: &[String]) -> Value {
    let stalled = |side: &Allocation| -> BTreeMap<String, Value> {
        let vms = side.vms.iter().filter(|(_, vm)| !vm.stalled.is_empty());
        vms.map(|(id, vm)| (id.to_string(), json!(vm.stalled))).collect()
    };
    let side = |side: &Allocation| json!({ "allocation": Pinned::from(side), "stalled": stalled(side) });
    let leftovers = subject
        .leftovers
        .iter()
        .map(|((vm, tier), when)| json!({ "vm": vm, "container": tier, "when": format!("{when:?}") }));
    let sides = [subject.from, subject.to];
    let containers = sides
        .iter()
        .flat_map(|side| side.vms.values())
        .flat_map(|vm| &vm.used);
    let ports: BTreeMap<String, Vec<String>> = containers
        .filter_map(|(tier, held)| Some((tier, held.revision.as_ref()?)))
        .map(|(tier, revision)| {
            let ports = subject.topology.ports_at(tier, Some(revision));
            (
                revision.to_string(),
                ports.iter().map(ToString::to_string).collect(),
            )
        })
        .collect();
    json!({
        "breaches": breaches,
        "topology": without_secrets(&subject.topology.document),
        "ports_by_revision": ports,
        "from": side(subject.from),
        "to": side(subject.to),
        "stages": subject.stages,
        "interrupts": subject.interrupts,
        "untold": subject.untold,
        "leftovers": leftovers.collect::<Vec<Value>>(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{Size, Vm};
    use crate::translate::translate;

    /// A tier that moves from one VM to another, with a secret in its environment.
    fn scene() -> (Topology, Allocation, Allocation) {
        let web = json!({ "docker_image": "x", "environment": { "KEY": "hunter2" } });
        let document = json!({
            "infrastructure": { "cpu_cores": 2, "mem_units": 4, "cloud_driver": { "hosts": {
                "vm1": { "docker": "unix:///1" }, "vm2": { "docker": "unix:///2" } } } },
            "apps": [{ "name": "shop", "tiers": { "web": web } }]
        });
        let topology = Topology::parse(&document).unwrap().topology;
        let on = |used: &str| {
            let mut side = Allocation::default();
            for name in ["vm1", "vm2"] {
                let mut vm = Vm::empty(None, Size::new(2, 4));
                if name == used {
                    let mut held: crate::model::Container = Size::new(1, 1).into();
                    held.cores.0.insert(0);
                    vm.used.insert(TierId::new("shop_web"), held);
                }
                side.vms.insert(VmId::new(name), vm);
            }
            side
        };
        (topology, on("vm1"), on("vm2"))
    }

    #[test]
    fn a_plan_that_stops_a_tier_before_it_starts_anew_is_refused_and_told_without_secrets() {
        let (topology, from, to) = scene();
        let good = translate(&topology, &from, &to);
        let (none, nobody) = (Leftovers::new(), std::collections::BTreeSet::new());
        let subject = |stages| Subject {
            topology: &topology,
            from: &from,
            to: &to,
            stages,
            interrupts: Some(&good.interrupts),
            target: Some(&good.target),
            untold: &nobody,
            leftovers: &none,
        };
        assert_eq!(check(&subject(&good.stages)), Ok(()));
        let turned: Vec<Stage> = good.stages.iter().rev().cloned().collect();
        let fault = check(&subject(&turned)).unwrap_err();
        assert_eq!((fault.code, fault.code.status()), (Code::UnsafePlan, 500));
        assert!(fault.message.contains("interrupted are [shop_web]"), "{fault}");
        assert!(fault.message.contains("report"), "{fault}");
        let told = record(&subject(&turned), &["x".to_owned()]).to_string();
        assert!(
            told.contains("shop_web") && told.contains("delete_container"),
            "{told}"
        );
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[test]
    fn what_is_left_over_may_go_once_and_what_its_room_is_taken_for_comes_after() {
        let (topology, from, to) = scene();
        let good = translate(&topology, &from, &to);
        let place = (VmId::new("vm2"), TierId::new("shop_old"));
        let removal = || Action::DeleteContainer {
            vm: place.0.clone(),
            container: place.1.clone(),
            was: Size::new(1, 1),
            was_cores: crate::model::CoreSet::default(),
            hooks: Vec::new(),
        };
        let verdict = |when: Option<Leftover>, at: &[usize]| {
            let mut stages = good.stages.clone();
            for at in at {
                stages.insert(*at, vec![removal()]);
            }
            let leftovers = when.map(|when| (place.clone(), when)).into_iter().collect();
            let subject = Subject {
                topology: &topology,
                from: &from,
                to: &to,
                stages: &stages,
                interrupts: Some(&good.interrupts),
                target: Some(&good.target),
                untold: &std::collections::BTreeSet::new(),
                leftovers: &leftovers,
            };
            check(&subject).is_ok()
        };
        let last = good.stages.len();
        assert!(verdict(Some(Leftover::AnyTime), &[0]) && verdict(Some(Leftover::AnyTime), &[last]));
        assert!(verdict(Some(Leftover::AnyTime), &[]));
        assert!(verdict(Some(Leftover::First), &[0]));
        assert!(!verdict(Some(Leftover::First), &[last]));
        assert!(!verdict(Some(Leftover::First), &[]));
        assert!(!verdict(Some(Leftover::AnyTime), &[0, last]), "twice");
        assert!(!verdict(None, &[0]), "nobody knows it");
    }
}
