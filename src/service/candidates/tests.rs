#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::{Value, json};

use super::*;
use crate::model::node::{Source, Used};

fn topology(tier: Value) -> Topology {
    let mut target = json!({ "docker_image": "x", "ports": ["8080:80"] });
    target
        .as_object_mut()
        .unwrap()
        .extend(tier.as_object().unwrap().clone());
    let document = json!({
        "infrastructure": { "cpu_cores": 4, "mem_units": 8, "cloud_driver": { "hosts": { "n": { "docker": "unix:///n" } } } },
        "apps": [{ "name": "a", "tiers": {
            "t": target,
            "web": { "docker_image": "x", "ports": ["8080:80", "10.0.0.1:53:53/udp"] },
            "quiet": { "docker_image": "x" }
        } }]
    });
    Topology::parse(&document).unwrap().topology
}

/// A node that is ready and empty, but for what is changed of it.
fn node(name: &str, change: impl FnOnce(&mut Node)) -> Node {
    let mut node = Node {
        id: VmId::new(name),
        source: Source::Hosts,
        standing: Standing::Ready,
        reason: None,
        since: jiff::Timestamp::UNIX_EPOCH,
        ip: None,
        size: Size::new(4, 8),
        used: Some(Used::default()),
        labels: [("zone".to_owned(), "a".to_owned())].into(),
        capabilities: serde_json::Map::new(),
        health: serde_json::Map::new(),
        epoch: None,
    };
    node.capabilities.insert("arch".to_owned(), json!("amd64"));
    change(&mut node);
    node
}

fn holding(tier: &str, cores: u32, mem: u64) -> impl FnOnce(&mut Node) {
    let tier = TierId::of("a", tier);
    move |node| {
        let used = node.used.get_or_insert_default();
        used.tiers.insert(tier, Size::new(cores, mem));
    }
}

fn standing(standing: Standing, why: &'static str) -> impl FnOnce(&mut Node) {
    move |node| (node.standing, node.reason) = (standing, Some(why.to_owned()))
}

fn asks(cores: u32, mem: u64) -> Wanted {
    Wanted {
        tier: Some(TierId::of("a", "t")),
        cpu: Some(Cpu::cores(cores)),
        mem: Some(mem),
        ..Wanted::default()
    }
}

fn found(tier: Value, wanted: &Wanted, nodes: Vec<Node>) -> Candidates {
    let topology = topology(tier);
    let nodes: Nodes = nodes.into_iter().map(|node| (node.id.clone(), node)).collect();
    let tier = topology.tiers.get(&TierId::of("a", "t"));
    candidates(&topology, (&nodes, &TakenPorts::default()), tier, wanted)
}

/// Why one node is none.
fn why(tier: Value, wanted: &Wanted, change: impl FnOnce(&mut Node)) -> Vec<String> {
    let found = found(tier, wanted, vec![node("n", change)]);
    assert_eq!(found.candidates, []);
    found.rejected[0].reasons.clone()
}

#[test]
fn every_rejection_has_its_reasons() {
    let any = || json!({});
    let requires = |source: &str| json!({ "requires": source });
    let unchanged = |_: &mut Node| {};
    let one = |reason: &str| vec![reason.to_owned()];
    // How it stands.
    assert_eq!(
        why(any(), &asks(1, 1), standing(Standing::Cordoned, "cordoned by me")),
        one("it is cordoned by me; uncordon it to use it")
    );
    for (how, name) in [
        (Standing::Draining, "draining"),
        (Standing::Silent, "silent"),
        (Standing::Lost, "lost"),
        (Standing::Leaving, "leaving"),
        (Standing::Aside, "aside"),
    ] {
        assert_eq!(
            why(any(), &asks(1, 1), standing(how, "so it is")),
            one(&format!("it is {name}: so it is"))
        );
    }
    // What it is asked for.
    for (source, reason) in [
        (
            "node.capabilities.arch == 'arm64'",
            "requires: node.capabilities.arch == 'arm64' is false (amd64)",
        ),
        (
            "'gpu' in node.labels",
            "requires: 'gpu' in node.labels is false (zone)",
        ),
        (
            "node.mem_units >= 16",
            "requires: node.mem_units >= 16 is false (8)",
        ),
        ("node.cpu_cores > 4", "requires: node.cpu_cores > 4 is false (4)"),
        (
            "node.labels.zone in ['b', 'c']",
            "requires: node.labels.zone in ['b', 'c'] is false (a)",
        ),
        (
            "node.source == 'autoscaling'",
            "requires: node.source == 'autoscaling' is false (hosts)",
        ),
        (
            "node.id.startsWith('edge')",
            "requires: node.id.startsWith('edge') is false (n)",
        ),
        (
            "!(node.labels.zone == 'a')",
            "requires: !(node.labels.zone == 'a') is false (a)",
        ),
        (
            "node.labels.rack == '7'",
            "requires: node.labels.rack == '7' can't be evaluated (there is no rack), so it counts as false",
        ),
        (
            "node.health.load < 1",
            "requires: node.health.load < 1 can't be evaluated (there is no load), so it counts as false",
        ),
        (
            "node.mem_units / (node.cpu_cores - 4) > 1",
            "requires: node.mem_units / (node.cpu_cores - 4) > 1 can't be evaluated (division by zero), so it counts as false",
        ),
        ("false", "requires: false is false"),
    ] {
        assert_eq!(
            why(requires(source), &asks(1, 1), unchanged),
            one(reason),
            "{source}"
        );
    }
    let both = why(
        requires("node.mem_units > 8 && node.cpu_cores > 4"),
        &asks(1, 1),
        unchanged,
    );
    assert_eq!(
        both,
        [
            "requires: node.mem_units > 8 is false (8)",
            "requires: node.cpu_cores > 4 is false (4)"
        ]
    );
    let besides = Wanted {
        requires: Some(Requires::compile("node.cpu_cores == 8").unwrap()),
        ..asks(1, 1)
    };
    assert_eq!(
        why(any(), &besides, unchanged),
        one("requires: node.cpu_cores == 8 is false (4)")
    );
    // Room.
    assert_eq!(
        why(any(), &asks(5, 1), unchanged),
        one("0 of 4 cores are in use, and 5 are needed")
    );
    assert_eq!(
        why(any(), &asks(2, 1), holding("quiet", 3, 1)),
        one("3 of 4 cores are in use, and 2 are needed")
    );
    assert_eq!(
        why(any(), &asks(1, 4), holding("quiet", 1, 5)),
        one("5 of 8 mem_units are in use, and 4 are needed")
    );
    let others = |node: &mut Node| {
        node.used = Some(Used {
            others: Size::new(4, 8),
            ..Used::default()
        })
    };
    assert_eq!(
        why(any(), &asks(1, 1), others),
        [
            "4 of 4 cores are in use, and 1 is needed",
            "8 of 8 mem_units are in use, and 1 is needed"
        ]
    );
    assert_eq!(
        why(any(), &asks(1, 1), |node| node.used = None),
        one("what is in use on it is not known")
    );
    // Who is there.
    assert_eq!(
        why(any(), &asks(1, 1), holding("t", 1, 1)),
        one("it has a container of a_t already")
    );
    assert_eq!(
        why(any(), &asks(1, 1), holding("web", 1, 1)),
        one("a_web publishes port 8080 there")
    );
    let udp = json!({ "ports": ["53:53/udp"] });
    assert_eq!(
        why(udp, &asks(1, 1), holding("web", 1, 1)),
        one("a_web publishes port 53 there")
    );
    // Failure domains.
    let zones = || json!({ "spread": "zone" });
    assert_eq!(
        why(zones(), &asks(1, 1), |node| node.labels.clear()),
        one("spread: it has no label zone")
    );
    let two = found(
        zones(),
        &asks(1, 1),
        vec![node("n", unchanged), node("other", holding("t", 1, 1))],
    );
    assert_eq!(
        two.rejected[0].reasons,
        one("spread: 'other', with the same zone a, has a container of a_t already")
    );
    // Out of the question, and everything together.
    let excluded = Wanted {
        exclude: [VmId::new("n")].into(),
        ..asks(9, 9)
    };
    let all = why(
        requires("node.labels.zone == 'b'"),
        &excluded,
        standing(Standing::Cordoned, "cordoned by me since noon"),
    );
    assert_eq!(
        all,
        [
            "it is excluded",
            "it is cordoned by me since noon; uncordon it to use it",
            "requires: node.labels.zone == 'b' is false (a)",
            "0 of 4 cores are in use, and 9 are needed",
            "0 of 8 mem_units are in use, and 9 are needed"
        ]
    );
}

#[test]
fn what_neighbours_do_not_share_is_no_reason() {
    for ports in ["9090:80", "8080:80/udp", "10.0.0.2:53:53/udp"] {
        let found = found(
            json!({ "ports": [ports] }),
            &asks(1, 1),
            vec![node("n", holding("web", 1, 1))],
        );
        assert_eq!(found.rejected, [], "{ports}");
    }
}

#[test]
fn the_best_comes_first_and_then_the_one_with_the_most_room() {
    let zone = |zone: &'static str| {
        move |node: &mut Node| drop(node.labels.insert("zone".to_owned(), zone.to_owned()))
    };
    let prefers = json!({ "prefers": "node.labels.zone == 'b' ? 5 : node.mem_units" });
    let nodes = vec![
        node("full", holding("quiet", 3, 3)),
        node("free", |_| {}),
        node("good", zone("b")),
        node("odd", |node| node.labels.clear()),
    ];
    let found = found(prefers, &asks(1, 1), nodes);
    let order: Vec<(&str, f64)> = found
        .candidates
        .iter()
        .map(|one| (one.node.as_str(), one.score))
        .collect();
    assert_eq!(order, [("free", 8.0), ("full", 8.0), ("good", 5.0), ("odd", 0.0)]);
    assert_eq!(found.candidates[1].room, Size::new(1, 5));
    assert_eq!(found.warnings.len(), 1);
    assert!(
        found.warnings[0].contains("there is no zone"),
        "{:?}",
        found.warnings
    );
}

#[test]
fn a_question_that_would_take_too_long_is_refused() {
    let costly = "node.labels.exists(a, node.labels.exists(b, a == b && a != b))";
    let wanted = Wanted {
        requires: Some(Requires::compile(costly).unwrap()),
        ..Wanted::default()
    };
    let nodes = |count: usize| -> Nodes {
        let nodes = (0..count).map(|number| node(&format!("n{number}"), |_| {}));
        nodes.map(|node| (node.id.clone(), node)).collect()
    };
    affordable(&nodes(10), None, &wanted).unwrap();
    let fault = affordable(&nodes(1000), None, &wanted).unwrap_err();
    assert_eq!(fault.code, Code::RequestInvalid);
    assert!(fault.message.contains("1000 nodes"), "{}", fault.message);
}

#[test]
fn a_tier_is_on_no_more_nodes_than_it_may_be() {
    let nodes = || vec![node("n", holding("t", 1, 1)), node("m", |_| {})];
    let refused = found(json!({ "max_node": 1 }), &asks(1, 1), nodes());
    assert_eq!(refused.candidates, []);
    let why = |name: &str| {
        let rejected = refused.rejected.iter().find(|one| one.node.as_str() == name);
        rejected.unwrap().reasons.clone()
    };
    assert_eq!(
        why("m"),
        ["max_node: a_t may be on 1 node, and is on 'n' already"]
    );
    assert_eq!(why("n"), ["it has a container of a_t already"]);
    assert_eq!(
        found(json!({ "max_node": 2 }), &asks(1, 1), nodes())
            .candidates
            .len(),
        1
    );
    // One that leaves makes room for another.
    let moves = Wanted {
        leaves: Some(VmId::new("n")),
        ..asks(1, 1)
    };
    assert_eq!(
        found(json!({ "max_node": 1 }), &moves, nodes()).candidates.len(),
        1
    );
}

#[test]
fn cores_are_counted_in_the_steps_of_the_mode_and_nodes_are_known() {
    let refused = countable(&topology(json!({})), Cpu::hundredths(150)).unwrap_err();
    assert!(refused.message.contains("whole number"), "{refused}");
    assert!(countable(&topology(json!({})), Cpu::cores(2)).is_ok());
    let nodes: Nodes = [(VmId::new("vm1"), node("vm1", |_| {}))].into();
    let names = ["vm1", "vm11"].map(VmId::new).into();
    let unknown = known(&nodes, &names).unwrap_err();
    assert_eq!(
        unknown.message,
        "exclude: there is no node 'vm11'; did you mean 'vm1'?"
    );
}
