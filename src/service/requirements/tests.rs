#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::fault::Code;
use crate::model::node::{Source, Standing};
use serde_json::{Value, json};

/// A topology of one app.
fn topology(tiers: &Value) -> Topology {
    let document = json!({
        "infrastructure": { "cpu_cores": 4, "mem_units": 8, "cloud_driver": { "hosts": { "n": { "docker": "unix:///n" } } } },
        "apps": [{ "name": "a", "tiers": tiers }]
    });
    Topology::parse(&document).unwrap().topology
}

/// This many nodes, all in zone a: `n0`, `n1`, …
fn nodes(count: usize) -> Nodes {
    let node = |number: usize| Node {
        id: VmId::new(&format!("n{number}")),
        source: Source::Hosts,
        standing: Standing::Ready,
        reason: None,
        since: jiff::Timestamp::UNIX_EPOCH,
        ip: None,
        size: Size::new(4, 8),
        used: None,
        labels: [("zone".to_owned(), "a".to_owned())].into(),
        capabilities: serde_json::Map::new(),
        health: serde_json::Map::new(),
        epoch: None,
    };
    let nodes = (0..count).map(node);
    nodes.map(|node| (node.id.clone(), node)).collect()
}

fn ask(topology: &Topology, nodes: &Nodes, confine: &Confine) -> Result<Asked, Fault> {
    let tiers = topology.tiers.keys();
    let tiers: BTreeMap<TierId, Size> = tiers.map(|tier| (tier.clone(), Size::new(1, 1))).collect();
    asked(topology, &tiers, nodes, Vec::new(), confine, Unknown::IsFine)
}

fn of<'a>(asked: &'a Asked, tier: &str) -> &'a Arc<Asks> {
    asked.tiers.get(&TierId::of("a", tier)).unwrap()
}

/// Why a tier may not be on a node.
fn why(asked: &Asked, tier: &str, node: &str) -> Vec<String> {
    let refused = &of(asked, tier).refused;
    refused
        .get(&Candidate::Vm(VmId::new(node)))
        .cloned()
        .unwrap_or_default()
}

#[test]
fn tiers_that_ask_the_same_share_what_the_nodes_answer() {
    let same = json!({ "docker_image": "x", "requires": "node.labels.zone == 'b'" });
    let topology = topology(&json!({ "one": same, "two": same, "any": { "docker_image": "x" } }));
    let nodes = nodes(3);
    let plain = ask(&topology, &nodes, &Confine::default()).unwrap();
    assert!(Arc::ptr_eq(of(&plain, "one"), of(&plain, "two")));
    assert!(!plain.tiers.contains_key(&TierId::of("a", "any")));
    // Both have no node.
    assert_eq!(plain.lonely().len(), 2);

    // What is wanted of one of them is not wanted of the other; what is wanted of a node is wanted of all.
    let confine = Confine {
        leave: [VmId::new("n2")].into(),
        only: [(TierId::of("a", "one"), (1, BTreeSet::from([VmId::new("n1")])))].into(),
        vms: None,
    };
    let confined = ask(&topology, &nodes, &confine).unwrap();
    let admits = |tier: &str| {
        let conditions = confined.conditions(BTreeSet::new());
        conditions.asks[&TierId::of("a", tier)].admits.clone().unwrap()
    };
    let vm = |name: &str| Candidate::Vm(VmId::new(name));
    // A VM more would help, which a repair may say.
    let one_more = Candidate::Shape(String::new());
    assert_eq!(admits("any"), [vm("n0"), vm("n1"), one_more].into());
    assert_eq!(admits("two"), [].into());
    // What one request wants is no reason that a person can do anything about.
    assert_eq!(why(&confined, "any", "n2"), [""; 0]);
    assert_eq!(confined.lonely(), plain.lonely());
    let elsewhere = "requires: node.labels.zone == 'b' is false (a)";
    assert_eq!(why(&confined, "two", "n0"), [elsewhere]);
    assert_eq!(why(&confined, "one", "n0"), [elsewhere]);
    assert!(of(&confined, "one").confined.contains(&vm("n0")));
    assert!(!of(&confined, "one").confined.contains(&vm("n1")));
}

#[test]
fn no_more_is_asked_of_nodes_than_there_is_time_and_memory_for() {
    let costly = "node.labels.exists(a, node.labels.exists(b, a == b && a != b))";
    let topology = topology(&json!({ "t": { "docker_image": "x", "requires": costly } }));
    ask(&topology, &nodes(3), &Confine::default()).unwrap();
    let fault = ask(&topology, &nodes(1000), &Confine::default()).unwrap_err();
    assert_eq!(fault.code, Code::PlanTooLarge);
    assert!(fault.message.contains("1000 nodes"), "{}", fault.message);

    let mut spent = Spent::default();
    spent.ask(Spent::MOST_ANSWERS, 0.0).unwrap();
    assert_eq!(spent.ask(1, 0.0).unwrap_err().code, Code::PlanTooLarge);
}

#[test]
fn a_vm_still_to_be_made_has_the_zone_that_all_others_have_for_rules_and_search_alike() {
    let topology = topology(&json!({ "t": { "docker_image": "x", "spread": "zone" } }));
    let mut nodes = nodes(2);
    for node in nodes.values_mut() {
        node.capabilities.insert("arch".to_owned(), json!("amd64"));
    }
    let made = fresh(&nodes, Source::Autoscaling, &topology.infrastructure.kinds());
    let tiers = BTreeMap::from([(TierId::of("a", "t"), Size::new(1, 1))]);
    let confine = Confine::default();
    let asked = asked(&topology, &tiers, &nodes, made, &confine, Unknown::IsFalse).unwrap();
    assert_eq!(of(&asked, "t").refused, BTreeMap::new());
    let conditions = asked.conditions(BTreeSet::new());
    assert_eq!(conditions.shapes[""]["zone"], "a");
}
