#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::json;

use super::*;
use crate::journal::{Journal, SqliteJournal};
use crate::model::Change;
use crate::service::state::Store;

fn store(folder: &tempfile::TempDir, cloud: serde_json::Value) -> Store {
    let journal = SqliteJournal::open(folder.path()).unwrap();
    let (mut store, _) = Store::open(Box::new(journal), Arc::new(crate::outside::System)).unwrap();
    let document = json!({
        "infrastructure": { "cpu_cores": 8, "mem_units": 32, "cloud_driver": cloud },
        "apps": [{ "name": "a", "tiers": { "t": { "docker_image": "x" } } }]
    });
    let topology = Topology::parse(&document).unwrap().topology;
    store.put_topology(topology, &By::itself(), None).unwrap();
    store
}

fn hosts() -> serde_json::Value {
    json!({ "hosts": { "vm1": { "docker": "unix:///1" } } })
}

fn intent(wanted: Wanted) -> Intent {
    Intent {
        id: Uuid::now_v7(),
        wanted,
        state: State::Pending,
        execution: None,
        reasons: Vec::new(),
        by: "operator".to_owned(),
        created_at: jiff::Timestamp::now(),
        changed_at: jiff::Timestamp::now(),
    }
}

fn migrate(tier: &str, from: Option<&str>, to: &str) -> Intent {
    intent(Wanted::Migrate {
        tier: TierId::new(tier),
        from: from.map(VmId::new),
        to: Destination::Nodes(vec![VmId::new(to)]),
    })
}

fn state(store: &Store, id: Uuid) -> Option<State> {
    let open = store.open_intents();
    open.iter().find(|open| open.id == id).map(|open| open.state)
}

#[test]
fn a_newer_migrate_of_a_tier_takes_the_place_of_an_older_one_that_waits() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder, hosts());
    let waiting = [
        migrate("a_t", None, "vm4"),
        migrate("a_t", Some("vm1"), "vm4"),
        migrate("a_t", Some("vm2"), "vm4"),
        migrate("a_other", None, "vm4"),
    ];
    let mut running = migrate("a_t", Some("vm1"), "vm5");
    (running.state, running.execution) = (State::Running, Some(Uuid::now_v7()));
    for intent in waiting.iter().chain([&running]) {
        store.keep_intent(intent.clone(), None).unwrap();
    }
    let newer = migrate("a_t", Some("vm1"), "vm3");
    store.supersede(&newer).unwrap();
    let states = waiting.each_ref().map(|intent| state(&store, intent.id));
    // Of another container of the tier, and of another tier, it says nothing.
    assert_eq!(states, [None, None, Some(State::Pending), Some(State::Pending)]);
    assert_eq!(state(&store, running.id), Some(State::Running));
    drop(store);
    let history = SqliteJournal::open(folder.path()).unwrap().history();
    let kept = history.intent(waiting[0].id).unwrap().unwrap();
    assert_eq!(kept.state, State::Cancelled);
    assert!(kept.reasons[0].contains(&newer.id.to_string()), "{kept:?}");
}

#[test]
fn what_waits_is_taken_back_and_what_runs_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder, hosts());
    let drain = intent(Wanted::Drain {
        node: VmId::new("vm1"),
    });
    store.keep_intent(drain.clone(), None).unwrap();
    let cancelled = store.withdraw(drain.id, "somebody").unwrap().unwrap();
    assert_eq!(cancelled.state, State::Cancelled);
    assert_eq!(
        cancelled.reasons,
        [
            "it was taken back by somebody",
            "node 'vm1' stays cordoned; uncordon it to use it again"
        ]
    );
    assert_eq!(store.withdraw(drain.id, "somebody").unwrap(), None);
    let mut running = migrate("a_t", None, "vm5");
    (running.state, running.execution) = (State::Running, Some(Uuid::now_v7()));
    store.keep_intent(running.clone(), None).unwrap();
    let refused = store.withdraw(running.id, "somebody").unwrap_err();
    assert_eq!(refused.code, Code::TooLate);
    assert_eq!(state(&store, running.id), Some(State::Running));
}

#[test]
fn the_cordon_of_a_terminated_instance_is_dropped_and_that_of_a_released_host_is_not() {
    for (cloud, stays) in [
        (
            json!({ "autoscaling_groupname": "g", "region": "eu-west-1" }),
            false,
        ),
        (hosts(), true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(&folder, cloud);
        let node = VmId::new("vm1");
        let cordoned = intent(Wanted::Cordon { node: node.clone() });
        let cordon = Cordon {
            intent: cordoned.id,
            by: "operator".to_owned(),
            since: cordoned.created_at,
        };
        let put = CordonChange::Put(node.clone(), cordon);
        store
            .keep_intent(
                Intent {
                    state: State::Done,
                    ..cordoned
                },
                Some(&put),
            )
            .unwrap();
        store.forget_terminated(&[Change::VmGone { vm: node.clone() }]);
        assert_eq!(store.now().cordons.contains_key(&node), stays);
    }
}

#[test]
fn what_was_overtaken_does_not_stand_for_what_is_wanted_again() {
    let capacity = |capacity: u32| intent(Wanted::SetCapacity { capacity });
    let known = |open: &[Intent], wanted: &Wanted, cordoned: bool| {
        same(open, wanted, |_| cordoned).map(|known| known.id)
    };
    let open = [capacity(2), capacity(3)];
    assert_eq!(known(&open, &open[1].wanted, true), Some(open[1].id));
    assert_eq!(known(&open, &open[0].wanted, true), None);
    let drain = [intent(Wanted::Drain {
        node: VmId::new("vm1"),
    })];
    assert_eq!(known(&drain, &drain[0].wanted, true), Some(drain[0].id));
    assert_eq!(known(&drain, &drain[0].wanted, false), None, "it was uncordoned");
}
