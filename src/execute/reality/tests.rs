//! What other containers leave of a VM.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::*;

const UNIT: u64 = 16 << 20;

fn topology(mode: &str) -> Topology {
    let tier = |name: &str| json!({"name": name, "docker_image": "x"});
    let document = json!({
        "infrastructure": {"cpu_cores": 4, "mem_units": 16, "mem_unit_mb": 16, "cpu_mode": mode,
            "cloud_driver": {"autoscaling_groupname": "g"}},
        "apps": [{"name": "shop", "tiers": {"web": tier("web"), "db": tier("db")}}],
    });
    Topology::parse(&document).unwrap().topology
}

fn container(name: &str, managed: bool, state: State) -> Observed {
    Observed {
        name: name.to_owned(),
        id: name.to_owned(),
        managed,
        image: "x".to_owned(),
        state,
        health: None,
        cpuset: String::new(),
        nano_cpus: 0,
        memory: 0,
        memory_swap: 0,
        fixed: Default::default(),
        exit_code: None,
        labels: BTreeMap::new(),
        ports: Vec::new(),
        addresses: None,
    }
}

fn with(cpuset: &str, hundredths: u64, memory: u64) -> Observed {
    Observed {
        cpuset: cpuset.to_owned(),
        nano_cpus: Cpu::hundredths(hundredths).nanos(),
        memory,
        ..container("theirs", false, State::Running)
    }
}

fn held_by(mode: &str, others: &[Observed]) -> (String, String) {
    let foreign = foreign(&topology(mode), Size::new(4, 16), others.iter());
    (
        format!("{} {}", foreign.size.cpu, foreign.size.mem),
        foreign.cores.to_string(),
    )
}

#[test]
fn what_holds_counts_and_what_does_not_does_not() {
    let topology = topology("cpuset");
    let vm = Vm::empty(None, Size::new(4, 16));
    for (state, holds) in [
        (State::Running, true),
        (State::Paused, true),
        (State::Restarting, true),
        (State::Created, false),
        (State::Exited, false),
        (State::Removing, false),
        (State::Dead, false),
    ] {
        let limited = |name: &str, managed: bool, cpuset: &str| Observed {
            cpuset: cpuset.to_owned(),
            memory: 2 * UNIT,
            ..container(name, managed, state)
        };
        let seen = [
            limited("shop_web", true, "0"),
            limited("shop_db", false, "1"),
            limited("old_tier", true, "2"),
        ];
        let found = as_seen(&topology, &vm, &seen);
        let used: Vec<&str> = found.used.keys().map(TierId::as_str).collect();
        if holds {
            assert_eq!(used, ["shop_web"], "{state:?}");
            assert_eq!(found.stalled.is_empty(), state == State::Running, "{state:?}");
            assert_eq!(found.foreign.size, Size::new(2, 4), "{state:?}");
            assert_eq!(found.foreign.cores.to_string(), "1,2", "{state:?}");
        } else {
            assert!(used.is_empty() && found.stalled.is_empty(), "{state:?}");
            assert_eq!(found.foreign, Foreign::default(), "{state:?}");
        }
    }
}

#[test]
fn cores_and_shares_of_others_are_taken_away_by_mode() {
    let cases: [(&[Observed], &str, &str); 8] = [
        (&[with("1", 0, UNIT)], "1 1 1", "1 1 "),
        // Two on one core hold one core; half a unit holds a whole one, together.
        (
            &[with("0-1", 0, UNIT / 2), with("1", 0, UNIT / 2)],
            "2 1 0,1",
            "3 1 ",
        ),
        // Shares add up before they are rounded.
        (&[with("", 40, 0), with("", 50, 0)], "1 0 ", "0.9 0 "),
        (&[with("", 60, 0), with("", 50, 0)], "2 0 ", "1.1 0 "),
        (&[with("3", 0, 0), with("", 50, 0)], "2 0 3", "1.5 0 "),
        // Pinned, and with a share of that.
        (&[with("0-2", 50, 0)], "3 0 0,1,2", "0.5 0 "),
        // Cores that the VM's shape does not have are no loss to it.
        (&[with("2-7", 0, 1)], "2 1 2,3", "6 1 "),
        (&[with("", 0, 0)], "0 0 ", "0 0 "),
    ];
    for (others, cpuset, quota) in cases {
        let shown = |mode| {
            let (size, cores) = held_by(mode, others);
            format!("{size} {cores}")
        };
        assert_eq!(shown("cpuset"), cpuset, "{others:?}");
        assert_eq!(shown("quota"), quota, "{others:?}");
    }
}

#[test]
fn a_container_without_a_limit_is_told() {
    assert_eq!(lacking(&with("0", 0, 1)), None);
    assert_eq!(lacking(&with("", 10, 1)), None);
    assert_eq!(lacking(&with("", 10, 0)), Some("memory limit"));
    assert_eq!(lacking(&with("", 0, 1)), Some("processor limit"));
    assert_eq!(lacking(&with("", 0, 0)), Some("processor and memory limits"));
}

fn other() -> impl Strategy<Value = Observed> {
    let cpuset = prop_oneof![
        2 => Just(String::new()),
        3 => prop::collection::btree_set(0_u32..6, 1..4).prop_map(|cores| CoreSet(cores).to_string()),
        1 => Just("0-3".to_owned()),
    ];
    (
        cpuset,
        prop_oneof![Just(0_u64), 1_u64..500],
        0_u64..6 * UNIT,
        0_usize..7,
    )
        .prop_map(|(cpuset, share, memory, state)| {
            let states = [
                State::Created,
                State::Running,
                State::Paused,
                State::Restarting,
                State::Removing,
                State::Exited,
                State::Dead,
            ];
            Observed {
                state: states[state],
                ..with(&cpuset, share, memory)
            }
        })
}

proptest! {
    /// What is left and what others hold is never more than there is, counted independently,
    /// container by container, in millionths.
    #[test]
    fn what_is_left_beside_others_is_really_there(others in prop::collection::vec(other(), 0..6), pinned: bool) {
        let mode = if pinned { "cpuset" } else { "quota" };
        let vm = as_seen(&topology(mode), &Vm::empty(None, Size::new(4, 16)), &others);
        let room = vm.room();
        let holding = || others.iter().filter(|one| matches!(one.state, State::Running | State::Paused | State::Restarting));
        let memory: u64 = holding().map(|one| one.memory).sum();
        prop_assert!(room.mem == 0 || room.mem * UNIT + memory <= 16 * UNIT);
        let theirs: BTreeSet<u32> = holding().flat_map(|one| CoreSet::parse(&one.cpuset).unwrap().0).collect();
        if pinned {
            let left = (0..4).filter(|core| !theirs.contains(core)).count() as u64;
            prop_assert!(Allocation::free_cores(&vm).0.is_disjoint(&theirs));
            let shares: u64 = holding().filter(|one| one.cpuset.is_empty()).map(|one| one.nano_cpus).sum();
            let cpu = room.cpu.whole_cores();
            prop_assert!(cpu <= left);
            prop_assert!(cpu == 0 || cpu * 1_000_000_000 + shares <= left * 1_000_000_000);
        } else {
            let whole = |one: &Observed| CoreSet::parse(&one.cpuset).unwrap().0.len() as u64 * 1_000_000_000;
            let least = |one: &Observed| match (one.nano_cpus, whole(one)) {
                (0, cores) => cores,
                (share, 0) => share,
                (share, cores) => share.min(cores),
            };
            let held: u64 = holding().map(least).sum();
            prop_assert!(room.cpu == Cpu::ZERO || room.cpu.nanos() + held <= 4_000_000_000);
        }
    }
}

#[test]
fn what_holds_part_of_a_unit_holds_all_of_it_and_is_put_right() {
    let vm = Vm::empty(None, Size::new(4, 16));
    let cases = [
        ("cpuset", 0, UNIT, 1, 100, false),
        ("cpuset", 0, UNIT + 1, 2, 100, true),
        ("cpuset", 0, UNIT / 2, 1, 100, true),
        ("quota", Cpu::hundredths(50).nanos(), 3 * UNIT, 3, 50, false),
        (
            "quota",
            Cpu::hundredths(50).nanos() + 1,
            3 * UNIT - 1,
            3,
            51,
            true,
        ),
    ];
    for (mode, nano_cpus, memory, mem, hundredths, uneven) in cases {
        let ours = Observed {
            cpuset: "1".to_owned(),
            nano_cpus,
            memory,
            ..container("shop_web", true, State::Running)
        };
        let found = as_seen(&topology(mode), &vm, &[ours]);
        let held = &found.used["shop_web"].size;
        assert_eq!(
            (held.mem, held.cpu),
            (mem, Cpu::hundredths(hundredths)),
            "{mode} {memory}"
        );
        assert_eq!(!found.stalled.is_empty(), uneven, "{mode} {memory}");
    }
}
