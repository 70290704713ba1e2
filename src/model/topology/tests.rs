#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::{Value, json};

use std::sync::Arc;

use super::*;
use crate::model::units::{Cpu, Size};
use crate::model::{Problems, Refresh, Registrations, TierId, VmId};

fn with_tier(tier: Value) -> Value {
    json!({
        "infrastructure": { "cpu_cores": 2, "mem_units": 8, "hooks_git_repo": "hooks" },
        "apps": [{ "name": "rubis", "tiers": { "db": { "docker_image": "mysql" }, "web": tier } }]
    })
}

fn with_infrastructure(infrastructure: Value) -> Value {
    json!({ "infrastructure": infrastructure, "apps": [] })
}

fn problems(document: &Value) -> Vec<(String, String)> {
    let Problems(problems) = Topology::parse(document).unwrap_err();
    problems
        .into_iter()
        .map(|problem| (problem.path, problem.problem))
        .collect()
}

#[track_caller]
fn one_problem(document: &Value, path: &str, words: &str) {
    let found = problems(document);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, path);
    assert!(
        found[0].1.contains(words),
        "{:?} does not say {words:?}",
        found[0].1
    );
}

fn parse(document: &Value) -> Parsed {
    Topology::parse(document).unwrap()
}

#[test]
fn the_predecessors_own_topology_is_taken_as_it_is() {
    let document = json!({
        "infrastructure": {
            "cloud_driver": { "autoscaling_groupname": "monolithic_ex_8", "credentials": "/etc/ecoware/credentials" },
            "max_vms": 10,
            "hooks_git_repo": "https://example.test/hook.git"
        },
        "apps": [{ "name": "rubis", "tiers": {
            "loadbalancer": { "name": "Front LoadBalancer", "max_node": 1, "docker_image": "haproxy",
                "depends_on": ["app_server"], "on_dependency_scale": "reload_server_pool.sh", "max_rt": 0.1 },
            "app_server": { "docker_image": "polimi/rubis-jboss:nosensors", "depends_on": ["db"],
                "on_node_scale": "jboss_hook.sh", "ports": ["80:8080"], "entrypoint_params": "-w 3 -k 'even let'" },
            "db": { "max_node": 1, "docker_image": "mysql", "on_node_scale": "mysql_hook.sh", "ports": ["3306:3306"] }
        } }]
    });
    let Parsed { topology, warnings } = parse(&document);
    assert_eq!(topology.infrastructure.vm, Size::new(2, 8));
    assert_eq!(topology.infrastructure.max_vms, Some(10));
    let server = &topology.tiers["rubis_app_server"];
    assert_eq!(
        server.arguments.as_deref().unwrap(),
        ["-w", "3", "-k", "even let"]
    );
    assert_eq!(server.depends_on, [TierId::new("rubis_db")]);
    assert_eq!(topology.tiers["rubis_loadbalancer"].title, "Front LoadBalancer");
    assert_eq!(topology.document, document);
    let paths: Vec<&str> = warnings.iter().map(|warning| warning.path.as_str()).collect();
    assert_eq!(paths, ["infrastructure", "apps[0].tiers.loadbalancer.max_rt"]);
}

#[test]
fn the_blueprints_spelling_is_taken_and_named() {
    let tier = json!({ "docker_image": "x", "max_nodes": 2, "port_bindings": ["8080:80"], "run_parameters": ["-a", "b c"] });
    let Parsed { topology, warnings } = parse(&with_tier(tier));
    let tier = &topology.tiers["rubis_web"];
    assert_eq!(tier.max_node, Some(2));
    assert_eq!((tier.ports[0].host, tier.ports[0].container), (8080, 80));
    assert_eq!(tier.arguments.as_deref().unwrap(), ["-a", "b c"]);
    let taken: Vec<&str> = warnings.iter().map(|warning| warning.problem.as_str()).collect();
    assert_eq!(
        taken,
        [
            "taken as ports",
            "taken as entrypoint_params",
            "taken as max_node"
        ]
    );
}

#[test]
fn every_problem_is_told_at_once_with_its_path() {
    let document = json!({
        "infrastructure": { "cpu_cores": 0, "mem_units": -3, "cpu_mode": "pinned", "max_vms": 1, "min_vms": 2 },
        "apps": [
            { "name": "a", "tiers": { "x": { "ports": ["80"], "depends_on": ["y"] } } },
            { "name": "a", "tiers": { "z z": { "docker_image": "i" } } },
            { "tiers": [] }
        ]
    });
    let paths: Vec<String> = problems(&document).into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        paths,
        [
            "infrastructure.cpu_mode",
            "infrastructure.cpu_cores",
            "infrastructure.mem_units",
            "infrastructure.min_vms",
            "apps[0].tiers.x.docker_image",
            "apps[0].tiers.x.ports[0]",
            "apps[0].tiers.x.depends_on[0]",
            "apps[1].name",
            "apps[1].tiers[\"z z\"]",
            "apps[2].name",
            "apps[2].tiers",
        ]
    );
}

#[test]
fn a_cycle_is_told_with_its_members() {
    let document = json!({
        "infrastructure": { "cpu_cores": 2, "mem_units": 8 },
        "apps": [{ "name": "a", "tiers": {
            "x": { "docker_image": "i", "depends_on": ["y"] },
            "y": { "docker_image": "i", "depends_on": ["z"] },
            "z": { "docker_image": "i", "depends_on": ["x"] },
            "w": { "docker_image": "i", "depends_on": ["x"] }
        } }]
    });
    one_problem(&document, "apps", "a_x -> a_y -> a_z -> a_x");
}

#[test]
fn a_very_long_chain_of_dependencies_is_walked_without_recursion() {
    let mut tiers = serde_json::Map::new();
    for index in 0..10_000 {
        let after = if index == 0 {
            json!([])
        } else {
            json!([format!("t{}", index - 1)])
        };
        tiers.insert(
            format!("t{index}"),
            json!({ "docker_image": "i", "depends_on": after }),
        );
    }
    let document = json!({ "infrastructure": { "cpu_cores": 2, "mem_units": 8 }, "apps": [{ "name": "a", "tiers": tiers }] });
    assert_eq!(parse(&document).topology.tiers.len(), 10_000);
}

#[test]
fn a_near_miss_of_a_field_is_called_out() {
    let Parsed { warnings, .. } = parse(&with_tier(
        json!({ "docker_image": "x", "max_nod": 1, "max_rt": 1 }),
    ));
    assert!(
        warnings[0].problem.contains("did you mean max_node?"),
        "{warnings:?}"
    );
    assert!(
        warnings[1].problem.contains("kept and given back"),
        "{warnings:?}"
    );
}

#[test]
fn ports_are_read_in_all_of_dockers_forms() {
    let ports = json!([
        "8080:80",
        "127.0.0.1:53:53/udp",
        "[::1]:7000-7002:80-82",
        "9000:9000/sctp"
    ]);
    let parsed = parse(&with_tier(json!({ "docker_image": "x", "ports": ports })));
    let shown: Vec<String> = parsed.topology.tiers["rubis_web"]
        .ports
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        shown,
        [
            "8080:80/tcp",
            "127.0.0.1:53:53/udp",
            "[::1]:7000:80/tcp",
            "[::1]:7001:81/tcp",
            "[::1]:7002:82/tcp",
            "9000:9000/sctp"
        ]
    );
}

#[test]
fn bad_ports_are_told() {
    for (ports, words) in [
        (json!(["80"]), "is not of the form"),
        (json!(["0:80"]), "is not a port"),
        (json!(["+80:80"]), "is not a port"),
        (json!(["70000:80"]), "is not a port"),
        (json!(["80:80/icmp"]), "is not a protocol"),
        (json!(["90-80:80-90"]), "ends before it begins"),
        (json!(["80-90:80-89"]), "different lengths"),
        (json!(["1-2000:1-2000"]), "more than 1000 ports"),
        (json!(["x.test:80:80"]), "is not an IP address"),
        (json!([8080]), "should be a string"),
    ] {
        one_problem(
            &with_tier(json!({ "docker_image": "x", "ports": ports })),
            "apps[0].tiers.web.ports[0]",
            words,
        );
    }
    let twice = with_tier(json!({ "docker_image": "x", "ports": ["80:1", "127.0.0.1:80:2"] }));
    one_problem(&twice, "apps[0].tiers.web.ports[1]", "published twice");
}

#[test]
fn names_that_docker_or_a_file_system_would_refuse_are_told() {
    for hook in ["../evil.sh", "a/b", "..", "a\u{7}b"] {
        let tier = json!({ "docker_image": "x", "on_node_scale": ["fine.sh", hook] });
        one_problem(
            &with_tier(tier),
            "apps[0].tiers.web.on_node_scale[1]",
            "name of a file",
        );
    }
    one_problem(
        &with_tier(json!({ "docker_image": "a b" })),
        "apps[0].tiers.web.docker_image",
        "image reference",
    );
    let long = "x".repeat(101);
    let document = json!({ "infrastructure": {}, "apps": [{ "name": long, "tiers": {} }] });
    one_problem(&document, "apps[0].name", "100 characters at most");
}

#[test]
fn two_apps_that_make_the_same_container_name_are_told() {
    let document = json!({ "infrastructure": {}, "apps": [
        { "name": "a", "tiers": { "b_c": { "docker_image": "x" } } },
        { "name": "a_b", "tiers": { "c": { "docker_image": "x" } } }
    ] });
    one_problem(&document, "apps[1].tiers.c", "flat name a_b_c");
}

#[test]
fn hooks_need_a_place_to_come_from() {
    let document = json!({ "infrastructure": {}, "apps": [
        { "name": "a", "tiers": { "b": { "docker_image": "x", "on_node_scale": "h.sh" } } }
    ] });
    one_problem(&document, "infrastructure.hooks_git_repo", "h.sh");
}

#[test]
fn a_cloud_driver_is_one_of_three() {
    let cloud = |driver: Value| {
        with_infrastructure(json!({ "cpu_cores": 1, "mem_units": 1, "cloud_driver": driver }))
    };
    let driver = |value: Value| parse(&cloud(value)).topology.infrastructure.cloud;
    assert_eq!(driver(json!({})), Cloud::Embedded);
    let hosts = json!({ "hosts": { "vm2": { "docker": "tcp://127.0.0.1:2375" }, "vm1": { "docker": "unix:///a", "ip": "127.0.0.2" } } });
    let Cloud::Hosts(hosts) = driver(hosts) else {
        unreachable!()
    };
    assert_eq!(
        hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>(),
        ["vm2", "vm1"]
    );
    assert!(matches!(
        driver(json!({ "autoscaling_groupname": "g" })),
        Cloud::AutoScaling(_)
    ));
    one_problem(
        &cloud(json!({ "swarm": "x" })),
        "infrastructure.cloud_driver",
        "names no driver",
    );
    one_problem(
        &cloud(json!({ "autoscaling_groupname": "g", "hosts": {} })),
        "infrastructure.cloud_driver.hosts",
        "keep one",
    );
    one_problem(
        &cloud(json!({ "hosts": {} })),
        "infrastructure.cloud_driver.hosts",
        "names no host",
    );
    one_problem(
        &cloud(json!({ "hosts": { "a": { "docker": "localhost:2375" } } })),
        "infrastructure.cloud_driver.hosts.a.docker",
        "endpoint",
    );
    one_problem(
        &cloud(json!({ "hosts": { "new_vm0": { "docker": "unix:///a" } } })),
        "infrastructure.cloud_driver.hosts.new_vm0",
        "give the machine another name",
    );
}

#[test]
fn decimal_cores_are_for_quota_mode_alone() {
    let shape =
        |mode: &str| with_infrastructure(json!({ "cpu_mode": mode, "cpu_cores": 1.25, "mem_units": 2.0 }));
    assert_eq!(
        parse(&shape("quota")).topology.infrastructure.vm,
        Size {
            cpu: Cpu::hundredths(125),
            mem: 2,
            ..Size::ZERO
        }
    );
    one_problem(&shape("cpuset"), "infrastructure.cpu_cores", "quota");
    let fine = with_infrastructure(json!({ "cpu_mode": "quota", "cpu_cores": 1.255, "mem_units": 2 }));
    one_problem(&fine, "infrastructure.cpu_cores", "steps of 0.01");
}

#[test]
fn a_document_that_is_no_object_is_told() {
    for document in [json!([]), json!("x"), json!(5), Value::Null] {
        assert_eq!(problems(&document)[0].0, "");
    }
    let paths: Vec<String> = problems(&json!({})).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["infrastructure", "apps"]);
}

#[test]
fn environment_health_checks_and_volumes_are_read() {
    let tier = json!({
        "docker_image": "x", "environment": ["A=b=c"], "volumes": ["data:/var:ro"], "labels": { "team": "x" },
        "healthcheck": { "test": ["CMD-SHELL", "exit 0"], "interval_s": 1 }, "stop_grace_s": 0, "user": "1000",
        "command": "nginx -g 'daemon off;'"
    });
    let parsed = parse(&with_tier(tier));
    let tier = &parsed.topology.tiers["rubis_web"];
    assert_eq!(tier.environment["A"], "b=c".into());
    assert_eq!(
        tier.healthcheck.as_ref().unwrap().test,
        ["/bin/sh", "-c", "exit 0"]
    );
    assert_eq!(
        tier.entrypoint.as_deref().unwrap(),
        ["nginx", "-g", "daemon off;"]
    );
    one_problem(
        &with_tier(json!({ "docker_image": "x", "labels": { "mapek.app": "y" } })),
        "apps[0].tiers.web.labels[\"mapek.app\"]",
        "mapek's own",
    );
    one_problem(
        &with_tier(json!({ "docker_image": "x", "volumes": ["/only"] })),
        "apps[0].tiers.web.volumes[0]",
        "source:/path",
    );
    one_problem(
        &with_tier(json!({ "docker_image": "x", "entrypoint_params": "'open" })),
        "apps[0].tiers.web.entrypoint_params",
        "not closed",
    );
}

#[test]
fn machines_may_register_themselves_and_then_nothing_is_said_of_them() {
    let of = |infrastructure: Value| json!({ "infrastructure": infrastructure, "apps": [] });
    let topology = parse(&of(json!({ "cloud_driver": { "nodes": {} } }))).topology;
    assert_eq!(topology.infrastructure.cloud, Cloud::Nodes(Registered::default()));
    let members: Registrations = [("edge-1", 8, 7900), ("edge-2", 0, 0)]
        .into_iter()
        .map(|(name, cores, memory)| {
            let said = json!({ "epoch": 1, "endpoint": "tcp://10.0.0.7:2375",
                "capabilities": { "cores": cores, "memory_mb": memory } });
            let node = Refresh::parse(name, &said).unwrap().over(None).unwrap();
            (VmId::new(name), Arc::new(node))
        })
        .collect();
    let infrastructure = topology.with_members(&Arc::new(members)).infrastructure;
    let size = |name: &str| infrastructure.size_of(&VmId::new(name));
    assert_eq!(size("edge-1"), Size::new(8, 15));
    assert_eq!(
        (size("edge-2"), size("edge-3")),
        (infrastructure.vm, infrastructure.vm)
    );
    one_problem(
        &of(json!({ "cloud_driver": { "nodes": {}, "hosts": {} } })),
        "infrastructure.cloud_driver.nodes",
        "can't stand beside hosts",
    );
}

#[test]
fn self_heal_is_a_switch_or_says_when() {
    let of = |value: Value| json!({ "infrastructure": { "self_heal": value }, "apps": [] });
    let heal = |value: Value| parse(&of(value)).topology.infrastructure.self_heal;
    assert_eq!(heal(json!(null)), None);
    assert_eq!(heal(json!(false)), None);
    assert_eq!(heal(json!(true)), Some(SelfHeal::default()));
    assert_eq!(heal(json!({})), Some(SelfHeal::default()));
    let given = SelfHeal {
        grace_s: 0,
        lost_after_s: 60,
        backoff_max_s: 1,
        max_lost_share: Share(333),
    };
    let document =
        json!({ "grace_s": 0, "lost_after_s": 60.0, "backoff_max_s": 1, "max_lost_share": 0.3334 });
    assert_eq!(heal(document), Some(given));
    one_problem(
        &of(json!("yes")),
        "infrastructure.self_heal",
        "true, false or an object",
    );
    one_problem(
        &of(json!({ "grace_s": -1 })),
        "infrastructure.self_heal.grace_s",
        "from 0",
    );
    one_problem(
        &of(json!({ "backoff_max_s": 0 })),
        "infrastructure.self_heal.backoff_max_s",
        "from 1",
    );
    let warnings = parse(&of(json!({ "graces_s": 1 }))).warnings;
    assert!(
        warnings
            .iter()
            .any(|one| one.problem.contains("did you mean grace_s"))
    );
}

#[test]
fn shapes_are_read_and_their_mistakes_told_all_at_once() {
    let shapes = |shapes: Value| with_infrastructure(json!({ "shapes": shapes }));
    let read = parse(&shapes(json!([
        { "name": "small", "cpu_cores": 1, "mem_units": 2.0, "price": 0.335, "labels": { "zone": "a" }, "max": 3 },
        { "name": "large", "cpu_cores": 8, "mem_units": 32 }
    ])));
    assert_eq!(read.warnings, []);
    let infrastructure = read.topology.infrastructure;
    let [small, large] = infrastructure.kinds().try_into().unwrap();
    assert_eq!(
        (small.size, small.price.thousandths, small.max),
        (Size::new(1, 2), 335, Some(3))
    );
    assert_eq!(small.labels["zone"], "a");
    assert_eq!(
        (large.size, large.price, large.max),
        (Size::new(8, 32), Price::ONE, None)
    );

    let found = problems(&shapes(json!([
        { "name": "a", "cpu_cores": 0, "mem_units": 1, "price": 1.0005 },
        { "name": "a b", "cpu_cores": 1, "mem_units": 0 },
        { "cpu_cores": 1, "mem_units": 1, "price": -1 },
        7
    ])));
    let paths: Vec<&str> = found.iter().map(|problem| problem.0.as_str()).collect();
    let at = |rest: &str| format!("infrastructure.shapes{rest}");
    for path in [
        "[0].cpu_cores",
        "[0].price",
        "[1].name",
        "[1].mem_units",
        "[2].name",
        "[2].price",
        "[3]",
    ] {
        assert!(paths.contains(&at(path).as_str()), "{path} is not in {found:?}");
    }
    let twice = json!([{ "name": "a", "cpu_cores": 1, "mem_units": 1 }, { "name": "a", "cpu_cores": 2, "mem_units": 1 }]);
    one_problem(&shapes(twice), &at("[1].name"), "another shape");
    one_problem(&shapes(json!([])), &at(""), "at least one shape");
    let many: Vec<Value> = (0..101)
        .map(|n| json!({ "name": format!("s{n}"), "cpu_cores": 1, "mem_units": 1 }))
        .collect();
    one_problem(&shapes(json!(many)), &at(""), "has 101 shapes; 100 is the most");
    let labels: serde_json::Map<String, Value> = (0..65).map(|n| (format!("l{n}"), json!("x"))).collect();
    let labelled = json!([{ "name": "a", "cpu_cores": 1, "mem_units": 1, "labels": labels }]);
    one_problem(&shapes(labelled), &at("[0].labels"), "names 65 labels");
    let one = json!([{ "name": "a", "cpu_cores": 1, "mem_units": 1, "max": 4 }]);
    let both = with_infrastructure(json!({ "shapes": one, "mem_units": 8 }));
    one_problem(&both, "infrastructure.mem_units", "keep one of them");
    let least = with_infrastructure(json!({ "shapes": one, "min_vms": 2 }));
    one_problem(&least, "infrastructure.min_vms", "shape without max");
    let hosts = json!({ "hosts": { "vm1": { "docker": "unix:///a" } } });
    let beside = with_infrastructure(json!({ "shapes": one, "cloud_driver": hosts }));
    one_problem(&beside, &at(""), "hosts");
}

#[test]
fn a_host_may_have_a_size_of_its_own() {
    let hosts = json!({ "hosts": {
        "vm1": { "docker": "unix:///a" },
        "vm2": { "docker": "unix:///b", "mem_units": 32 },
        "vm3": { "docker": "unix:///c", "cpu_cores": 0 }
    } });
    let mut document = with_infrastructure(json!({ "cpu_cores": 2, "mem_units": 8, "cloud_driver": hosts }));
    one_problem(
        &document,
        "infrastructure.cloud_driver.hosts.vm3.cpu_cores",
        "zero",
    );
    document["infrastructure"]["cloud_driver"]["hosts"]["vm3"]["cpu_cores"] = json!(4);
    let infrastructure = parse(&document).topology.infrastructure;
    let sizes = ["vm1", "vm2", "vm3"].map(|name| infrastructure.size_of(&VmId::new(name)));
    assert_eq!(sizes, [Size::new(2, 8), Size::new(2, 32), Size::new(4, 8)]);
    assert!(infrastructure.sizes_differ());
}
