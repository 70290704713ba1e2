//! Valid documents to start from, and arbitrary JSON.

use proptest::prelude::*;
use serde_json::{Value, json};

/// Every field that there is, in several spellings.
pub fn topologies() -> Vec<Value> {
    let read = |name: &str| -> Value {
        let path = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    vec![
        json!({
            "infrastructure": {
                "cloud_driver": { "hosts": {
                    "vm1": { "docker": "unix:///run/one.sock", "ip": "10.0.0.1" },
                    "vm2": { "docker": "tcp://10.0.0.2:2375" },
                    "vm3": { "docker": "https://10.0.0.3:2376" },
                    "vm4": { "docker": "ssh://me@10.0.0.4:22", "ip": "10.0.0.4" },
                } },
                "hooks_git_repo": "https://git.test/hooks.git", "hooks_ref": "main",
                "cpu_cores": 4, "mem_units": 8, "mem_unit_mb": 256, "max_vms": 4, "min_vms": 1, "cpu_mode": "quota",
                "docker": { "tls_ca": "/ca.pem", "tls_cert": "/cert.pem", "tls_key": "/key.pem", "endpoint": "https://{private_ip}:2376" },
                "on_failure": "rollback", "on_shortage": "replan",
                "self_heal": { "grace_s": 10, "lost_after_s": 300, "backoff_max_s": 600 },
                "weights": { "vm_create": 20, "vm_use": 11, "vm_delete": 2, "container_create": 4, "container_set": 3,
                             "container_delete": 1, "container_delete_pinned": 100 },
            },
            "apps": [{ "name": "shop", "tiers": {
                "web": {
                    "name": "Web", "docker_image": "registry.test:5000/a/web:1", "ports": ["8080:80", "127.0.0.1:9000-9003:9000-9003/udp"],
                    "entrypoint_params": "--a 'b c'", "command": ["run", "it"], "max_node": 3, "min_node": 1,
                    "depends_on": ["db"], "on_node_scale": ["one.sh", "two.sh"], "on_dependency_scale": "three.sh",
                    "environment": { "A": "b", "N": 1 }, "labels": { "x": "y" }, "volumes": ["/data:/data:ro"], "user": "1000:1000",
                    "stop_grace_s": 5, "healthcheck": { "test": ["CMD", "true"], "interval_s": 1, "timeout_s": 2, "retries": 3, "start_period_s": 0 },
                    "max_rt": 0.5,
                },
                "db": { "docker_image": "db", "max_nodes": 1, "port_bindings": { "5432": "5432" }, "run_parameters": ["-v"] },
            } }],
        }),
        json!({
            "infrastructure": {
                "cloud_driver": { "autoscaling_groupname": "group", "credentials": "/keys", "region": "eu-west-1",
                                  "endpoint_url": "http://127.0.0.1:5000", "ready_timeout_s": 60 },
                "cpu_cores": 2.0, "mem_units": 8,
            },
            "apps": [{ "name": "a", "tiers": { "b": { "docker_image": "c" } } }, { "name": "d", "tiers": {} }],
        }),
        read("topology.json"),
    ]
}

/// Plans for the first of [`topologies`].
pub fn plans() -> Vec<Value> {
    vec![
        json!({ "shop": { "web": { "cpu_cores": 2, "mem_units": 6.0 }, "db": { "cpu_cores": 0.25, "mem_units": 1 } } }),
        json!({ "shop_web": { "cpu_cores": 2.5, "mem_units": 3 }, "shop": { "db": { "cpu_cores": 1, "mem_units": 1 } } }),
        json!({}),
    ]
}

pub fn allocations() -> Vec<Value> {
    vec![
        json!({
            "i-0abc": { "ip": "10.0.0.1", "cpu_cores": 4, "mem_units": 8,
                        "used": { "shop_web": { "cpu_cores": 1.25, "mem_units": 2 }, "shop_db": { "cpu_cores": 1, "mem_units": 1 } } },
            "new_vm0": { "ip": null, "cpu_cores": 2.0, "mem_units": 4, "used": {} },
            "time": "0.01",
        }),
        json!({}),
    ]
}

/// Names that have a meaning somewhere, and some that should not.
const NAMES: [&str; 61] = [
    "infrastructure",
    "apps",
    "name",
    "tiers",
    "cloud_driver",
    "hosts",
    "docker",
    "ip",
    "hooks_git_repo",
    "hooks_ref",
    "cpu_cores",
    "mem_units",
    "mem_unit_mb",
    "max_vms",
    "min_vms",
    "cpu_mode",
    "cpuset",
    "quota",
    "weights",
    "vm_create",
    "docker_image",
    "ports",
    "entrypoint_params",
    "max_node",
    "min_node",
    "max_nodes",
    "depends_on",
    "on_node_scale",
    "on_dependency_scale",
    "environment",
    "volumes",
    "healthcheck",
    "test",
    "interval_s",
    "stop_grace_s",
    "labels",
    "user",
    "command",
    "used",
    "shop",
    "web",
    "db",
    "shop_web",
    "shop_db",
    "time",
    "",
    "../..",
    "a/b",
    "a b",
    "-",
    ".",
    "\u{0}",
    "\u{202e}",
    "ÄÖÜ",
    "💥",
    "__proto__",
    "autoscaling_groupname",
    "self_heal",
    "on_failure",
    "on_shortage",
    "rollback",
];

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(NAMES.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,12}",
        1 => "[a-z0-9_.:/{}-]{0,40}",
    ]
}

pub fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-3i64..70_000).prop_map(Value::from),
        (-300i64..3000).prop_map(|hundredths| Value::from(hundredths as f64 / 100.0)),
        name().prop_map(Value::from),
        "[0-9.:\\-]{0,24}(/tcp|/udp|/sctp|)".prop_map(Value::from),
        "(unix|tcp|https|ssh|http)://[a-z@:/0-9.\\[\\]%]{0,20}".prop_map(Value::from),
    ]
}

/// JSON of any shape, a few levels deep.
pub fn any_json() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((name(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}
