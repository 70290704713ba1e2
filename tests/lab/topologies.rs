//! Topologies and plans that several tests use.

use serde_json::{Map, Value, json};

use crate::images::{BUSYBOX, NGINX};

/// The folder with the example hooks.
pub const EXAMPLE_HOOKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/hooks");

/// VMs of 2 cores and 4 memory units of 64 MiB, and one app named `rubis`.
pub fn on_hosts(hosts: Value, tiers: Value) -> Value {
    json!({
        "infrastructure": {
            "cloud_driver": {"hosts": hosts},
            "hooks_git_repo": EXAMPLE_HOOKS,
            "cpu_cores": 2,
            "mem_units": 4,
            "mem_unit_mb": 64,
        },
        "apps": [{"name": "rubis", "tiers": tiers}],
    })
}

/// The three-tier app: `loadbalancer` at 8080, `app_server` at 8081, `db` at 8082.
pub fn three_tiers() -> Value {
    json!({
        "loadbalancer": {
            "name": "Load balancer", "docker_image": NGINX, "entrypoint_params": "balancer",
            "environment": {"UPSTREAM_PORT": "8081"}, "ports": ["8080:80"], "max_node": 1,
            "depends_on": ["app_server"],
            "on_node_scale": "set_nginx_workers.sh", "on_dependency_scale": "reload_server_pool.sh",
        },
        "app_server": {
            "name": "Application server", "docker_image": NGINX, "entrypoint_params": "app",
            "environment": {"DATA_TIER": "db:8082"}, "ports": ["8081:80"],
            "depends_on": ["db"], "on_node_scale": "set_nginx_workers.sh",
        },
        "db": {
            "name": "Data tier", "docker_image": NGINX, "entrypoint_params": "store",
            "ports": ["8082:80"], "max_node": 1,
        },
    })
}

/// A tier that does nothing until it is stopped.
pub fn idle() -> Value {
    json!({"name": "Idle", "docker_image": BUSYBOX, "entrypoint_params": "sleep 100000"})
}

/// `tier` with these fields, too.
pub fn with(mut tier: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else {
        panic!("fields are an object")
    };
    tier.as_object_mut().unwrap().extend(fields);
    tier
}

/// A plan for `rubis`, from `(tier, cores, memory units)`.
pub fn plan(tiers: &[(&str, f64, u32)]) -> Value {
    let demand = |&(tier, cores, mem): &(&str, f64, u32)| {
        (tier.to_owned(), json!({"cpu_cores": cores, "mem_units": mem}))
    };
    json!({"rubis": tiers.iter().map(demand).collect::<Map<_, _>>()})
}

/// The plan under which nothing runs.
pub fn nothing() -> Value {
    json!({})
}
