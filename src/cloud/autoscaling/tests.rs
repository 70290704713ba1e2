//! Scaling out in a group that changes on its own, with calls that fail before or after their
//! effect.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::group::{Addresses, Group, Life, LifecycleHook, Member, Traits};
use super::growth::{Growth, Next, Note, Undo};
use super::remarks::{self, Surroundings};
use crate::cloud::{Change, CloudErrorKind, Standing};
use crate::model::VmId;
use crate::model::topology::AutoScaling;

fn member(life: Life) -> Member {
    Member {
        life,
        healthy: true,
        protected: false,
    }
}

/// A group with `count` members in service.
fn group(count: u32, max: u32) -> Group {
    Group {
        min: 0,
        max,
        desired: count,
        members: (0..count)
            .map(|number| (format!("i-old{number}"), member(Life::InService)))
            .collect(),
        ..Group::default()
    }
}

/// A group that AWS looks after.
struct Aws {
    group: Group,
    born: u32,
}

impl Aws {
    /// AWS takes a step: it brings a member into service, or starts or ends one.
    fn step(&mut self) {
        let there = self.group.members.values().filter(|m| m.stays()).count();
        let coming = self
            .group
            .members
            .values_mut()
            .find(|member| matches!(member.life, Life::Coming(_)));
        if let Some(member) = coming {
            member.life = Life::InService;
        } else if there < self.group.desired as usize {
            self.born += 1;
            // Names do not sort by time.
            let id = format!("i-{}{}", (self.born * 7919) % 10, self.born);
            self.group
                .members
                .insert(id, member(Life::Coming("Pending".to_owned())));
        } else {
            self.group.members.retain(|_, member| member.stays());
        }
    }

    fn terminate(&mut self, id: &str, decrement: bool) {
        let member = self.group.members.get_mut(id).expect("a member is terminated");
        assert!(member.stays(), "one that goes already is not terminated again");
        member.life = Life::Leaving("Terminating".to_owned());
        self.group.desired -= u32::from(decrement);
    }
}

fn names(count: usize) -> Vec<VmId> {
    (0..count).map(VmId::new_vm).collect()
}

/// One step of the driver for one VM. The note goes to disk and back; if `lost`, the process dies
/// right before the effect.
fn drive(aws: &mut Aws, growth: &mut Growth, name: &VmId, lost: bool) -> bool {
    let mut note = Note::default();
    note.put(growth.clone());
    *growth = Note::read(Some(note.to_value())).of(name).unwrap().clone();
    match growth.next(&aws.group, name) {
        Next::Look(_) => return true,
        Next::Claim(id) => drop(growth.claims.insert(name.clone(), id)),
        Next::Forget => drop(growth.claims.remove(name)),
        Next::Raise(_) | Next::Replace(_) | Next::Spare(_) if lost => {}
        Next::Raise(wanted) => aws.group.desired = wanted,
        Next::Replace(id) => aws.terminate(&id, false),
        Next::Spare(id) => aws.terminate(&id, true),
        Next::Await(..) | Next::Wait => {}
        Next::Never => panic!("{name} was not given up"),
    }
    false
}

/// What can happen besides the driver's steps.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Aws,
    Drive(usize, bool),
    Stolen(usize),
    Late(usize),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => Just(Happening::Aws),
        5 => (0_usize..4, prop::bool::weighted(0.3)).prop_map(|(who, lost)| Happening::Drive(who, lost)),
        1 => (0_usize..8).prop_map(Happening::Stolen),
        1 => (0_usize..4).prop_map(Happening::Late),
    ]
}

fn happen(aws: &mut Aws, growth: &mut Growth, what: Happening) {
    let who = |number: usize| growth.names[number % growth.names.len()].clone();
    match what {
        Happening::Aws => aws.step(),
        Happening::Drive(number, lost) => {
            let name = who(number);
            drive(aws, growth, &name, lost);
        }
        // A rebalance: AWS will start another one in its place.
        Happening::Stolen(number) => {
            let new: Vec<String> = aws
                .group
                .members
                .iter()
                .filter(|(id, member)| member.stays() && !growth.before.contains(*id))
                .map(|(id, _)| id.clone())
                .collect();
            if let Some(id) = new.get(number) {
                aws.terminate(id, false);
            }
        }
        Happening::Late(number) => {
            let name = who(number);
            if !growth.replaced.contains_key(&name)
                && let Some(id) = growth.claims.remove(&name)
            {
                growth.replaced.insert(name, id);
            }
        }
    }
}

proptest! {
    #[test]
    fn every_vm_gets_a_new_instance_of_its_own_and_none_is_left_over(
        old in 0_u32..4,
        count in 1_usize..5,
        happenings in prop::collection::vec(happening(), 0..60),
    ) {
        let mut aws = Aws { group: group(old, 20), born: 0 };
        let before: BTreeSet<String> = aws.group.members.keys().cloned().collect();
        let mut growth = Growth::begin(names(count), &aws.group, None);
        for what in happenings {
            happen(&mut aws, &mut growth, what);
        }
        // Then everything works for a while.
        for _ in 0..60 {
            aws.step();
            for name in names(count) {
                drive(&mut aws, &mut growth, &name, false);
            }
        }
        let mut claimed = BTreeSet::new();
        for name in names(count) {
            prop_assert!(drive(&mut aws, &mut growth, &name, false), "{name} is ready");
            let id = growth.claims[&name].clone();
            prop_assert!(!before.contains(&id));
            prop_assert!(aws.group.members[&id].serves());
            prop_assert!(claimed.insert(id), "no instance is two VMs");
        }
        let there: BTreeSet<String> = aws.group.members.iter().filter(|(_, m)| m.stays()).map(|(id, _)| id.clone()).collect();
        let wanted: BTreeSet<String> = before.union(&claimed).cloned().collect();
        prop_assert_eq!(there, wanted, "no instance is left over, none is lost");
        prop_assert_eq!(aws.group.desired, old + u32::try_from(count).unwrap());
    }

    #[test]
    fn given_up_the_group_is_as_it_was(
        old in 0_u32..4,
        count in 1_usize..5,
        kept in 0_usize..3,
        happenings in prop::collection::vec(happening(), 0..60),
    ) {
        let mut aws = Aws { group: group(old, 20), born: 0 };
        let before: BTreeSet<String> = aws.group.members.keys().cloned().collect();
        let mut growth = Growth::begin(names(count), &aws.group, None);
        for what in happenings {
            happen(&mut aws, &mut growth, what);
        }
        let kept = kept.min(count);
        for name in names(count).split_off(kept) {
            growth.given_up.insert(name.clone());
            for _ in 0..10 {
                match growth.undo(&aws.group, &name) {
                    Undo::Done => break,
                    Undo::Terminate(id) => {
                        prop_assert!(!before.contains(&id), "only new instances are terminated");
                        aws.terminate(&id, true);
                    }
                    Undo::Lower(capacity) => aws.group.desired = capacity,
                    Undo::LowerMax(max) => aws.group.max = max,
                }
            }
            prop_assert_eq!(growth.undo(&aws.group, &name), Undo::Done);
        }
        for _ in 0..60 {
            aws.step();
            for name in names(kept) {
                drive(&mut aws, &mut growth, &name, false);
            }
        }
        let there: BTreeSet<String> = aws.group.members.iter().filter(|(_, m)| m.stays()).map(|(id, _)| id.clone()).collect();
        prop_assert!(before.is_subset(&there), "who was there is there");
        prop_assert_eq!(there.len(), before.len() + kept);
        prop_assert_eq!(aws.group.desired as usize, before.len() + kept);
    }

    #[test]
    fn templates_are_filled_or_not_at_all(private in prop::option::of("[0-9.]{1,8}"), public in prop::option::of("[0-9.]{1,8}")) {
        let addresses = Addresses { private_ip: private.clone(), public_ip: public.clone(), private_dns: None, ..Addresses::default() };
        let filled = addresses.fill("https://{private_ip}:2376/{instance_id}", "i-1");
        prop_assert_eq!(filled, private.map(|ip| format!("https://{ip}:2376/i-1")));
        prop_assert_eq!(addresses.fill("tcp://{public_ip}:1", "i-1"), public.map(|ip| format!("tcp://{ip}:1")));
        prop_assert_eq!(addresses.fill("tcp://{private_dns}:1", "i-1"), None);
    }
}

#[test]
fn states_are_told_apart() {
    for (state, standing) in [
        ("InService", true),
        ("Pending:Wait", false),
        ("Standby", false),
        ("SomethingNew", false),
    ] {
        let standing_of = member(Life::of(state)).standing();
        assert_eq!(standing_of == Standing::Ready, standing, "{state}");
        assert!(!matches!(standing_of, Standing::Leaving(_)), "{state}");
    }
    for state in ["Terminating", "Terminating:Wait", "Terminated", "Detaching"] {
        assert!(
            matches!(member(Life::of(state)).standing(), Standing::Leaving(_)),
            "{state}"
        );
    }
    let mut ill = member(Life::InService);
    ill.healthy = false;
    assert!(matches!(ill.standing(), Standing::Leaving(_)));
}

fn spec() -> AutoScaling {
    AutoScaling {
        group: "shop".to_owned(),
        credentials: None,
        region: None,
        endpoint_url: None,
        ready_timeout_s: 600,
        manage_max_size: false,
    }
}

fn quiet() -> Surroundings {
    Surroundings {
        hooks: Ok(Vec::new()),
        rivals: Ok(Vec::new()),
    }
}

#[test]
fn what_stands_in_the_way_is_known_beforehand() {
    let change = Change {
        made: names(2),
        ..Change::default()
    };
    let free = remarks::forecast(&spec(), &group(2, 4), &quiet(), &change);
    assert!(free.obstacles.is_empty() && free.remarks.is_empty(), "{free:?}");

    let full = remarks::forecast(&spec(), &group(3, 4), &quiet(), &change);
    assert_eq!(full.obstacles[0].kind, CloudErrorKind::Refused);
    assert!(full.obstacles[0].message.contains("MaxSize is 4"), "{full:?}");
    let managed = AutoScaling {
        manage_max_size: true,
        ..spec()
    };
    let raised = remarks::forecast(&managed, &group(3, 4), &quiet(), &change);
    assert!(raised.obstacles.is_empty(), "{raised:?}");

    let mut stopped = group(0, 4);
    stopped.suspended.insert("Launch".to_owned());
    stopped.traits.status = Some("Delete in progress".to_owned());
    let stopped = remarks::forecast(&spec(), &stopped, &quiet(), &change);
    assert_eq!(stopped.obstacles.len(), 2, "{stopped:?}");
}

#[test]
fn what_an_owner_should_know_is_said() {
    let mut group = group(2, 9);
    group.suspended.insert("Terminate".to_owned());
    group.traits = Traits {
        capacity_rebalance: true,
        max_instance_lifetime: Some(86_400),
        ..Traits::default()
    };
    let hook = |name: &str, launching, timeout_s| LifecycleHook {
        name: name.to_owned(),
        launching,
        timeout_s,
        then: "ABANDON".to_owned(),
    };
    let around = Surroundings {
        hooks: Ok(vec![hook("boot", true, 900), hook("drain", false, 60)]),
        rivals: Err("autoscaling:DescribePolicies was refused: AccessDenied".to_owned()),
    };
    let change = Change {
        made: names(1),
        gone: vec![VmId::new("i-old0")],
        remarks: true,
    };
    let said = remarks::forecast(&spec(), &group, &around, &change)
        .remarks
        .join("\n");
    for part in [
        "'boot'",
        "ready_timeout_s",
        "Terminate of group 'shop' is suspended",
        "capacity rebalancing",
        "maximum instance lifetime",
        "DescribePolicies",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(!said.contains("'drain'"), "{said}");
}

#[test]
fn a_driver_without_a_note_begins_a_new_one() {
    assert_eq!(Note::read(None), Note::default());
    assert_eq!(
        Note::read(Some(serde_json::json!("of another driver"))),
        Note::default()
    );
    let first = Growth::begin(names(2), &group(1, 4), None);
    let second = Growth::begin(vec![VmId::new("i-gone")], &group(3, 4), None);
    let mut note = Note::default();
    note.put(first.clone());
    note.put(second.clone());
    assert_eq!(note.of(&VmId::new_vm(1)), Some(&first));
    assert_eq!(note.of(&VmId::new("i-gone")), Some(&second));
    let claims = BTreeMap::from([(VmId::new_vm(0), "i-1".to_owned())]);
    note.put(Growth { claims, ..first });
    assert_eq!(note.of(&VmId::new_vm(0)).unwrap().claims.len(), 1);
}
