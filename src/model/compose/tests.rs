#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

const UNITS: Units = Units {
    mem_unit_mb: 512,
    whole_cores: true,
};

fn one(service: Value) -> (Value, Value, Converted) {
    let converted = convert(&json!({ "services": { "web": service } }), UNITS);
    let tier = converted.app["tiers"]["web"].clone();
    let size = converted.app["plan"]["web"].clone();
    (tier, size, converted)
}

fn paths(warnings: &[Warning]) -> Vec<&str> {
    warnings.iter().map(|warning| warning.path.as_str()).collect()
}

#[test]
fn a_stack_becomes_an_app_with_its_sizes() {
    let document = json!({
        "version": "3.9", "x-common": {}, "volumes": { "data": null, "fast": { "driver": "nfs" } }, "networks": { "back": {} },
        "services": {
            "web": {
                "image": "nginx:1.27", "ports": ["8080:80", { "target": 53, "published": "5353", "protocol": "udp", "host_ip": "10.0.0.1" }],
                "depends_on": { "db": { "condition": "service_healthy", "restart": true } },
                "command": "nginx -g 'daemon off;'", "entrypoint": ["/start.sh"], "networks": ["back"],
                "environment": ["MODE=fast", "FROM_SHELL"], "restart": "unless-stopped",
                "deploy": { "replicas": 2, "resources": { "limits": { "cpus": "0.5", "memory": "300M" } }, "placement": {} },
                "healthcheck": { "test": "curl -f localhost", "interval": "1m30s", "timeout": "500ms", "retries": 3, "start_interval": "1s" },
                "stop_grace_period": "20s", "labels": { "team": "shop" }, "user": "nobody"
            },
            "db": { "image": "mysql:8", "volumes": ["data:/var/lib/mysql", { "type": "tmpfs", "target": "/run" }],
                "deploy": { "resources": { "reservations": { "cpus": 1, "memory": "1G" } } } }
        }
    });
    let converted = convert(&document, UNITS);
    assert_eq!(converted.problems, []);
    let web = &converted.app["tiers"]["web"];
    assert_eq!(web["docker_image"], "nginx:1.27");
    assert_eq!(web["ports"], json!(["8080:80", "10.0.0.1:5353:53/udp"]));
    assert_eq!(web["depends_on"], json!(["db"]));
    assert_eq!(
        (&web["entrypoint_params"], &web["command"]),
        (&json!("nginx -g 'daemon off;'"), &json!(["/start.sh"]))
    );
    assert_eq!(web["environment"], json!({ "MODE": "fast" }));
    let check =
        json!({ "test": ["CMD-SHELL", "curl -f localhost"], "interval_s": 90, "timeout_s": 1, "retries": 3 });
    assert_eq!(web["healthcheck"], check);
    assert_eq!(
        (&web["min_node"], &web["max_node"], &web["stop_grace_s"]),
        (&json!(2), &json!(2), &json!(20))
    );
    // Two of a whole core each, and 300 MiB are a unit.
    assert_eq!(
        converted.app["plan"]["web"],
        json!({ "cpu_cores": 2, "mem_units": 2 })
    );
    assert_eq!(
        converted.app["plan"]["db"],
        json!({ "cpu_cores": 1, "mem_units": 2 })
    );
    let db = &converted.app["tiers"]["db"];
    assert_eq!(
        (&db["volumes"], &db["tmpfs"]),
        (&json!(["data:/var/lib/mysql"]), &json!(["/run"]))
    );
    let told = paths(&converted.warnings);
    for place in [
        "version",
        "volumes.fast",
        "networks",
        "services.web.networks",
        "services.web.depends_on.db.restart",
        "services.web.environment[1]",
        "services.web.deploy.placement",
        "services.web.healthcheck.start_interval",
        "services.web.deploy.resources.limits.memory",
        "services.web",
    ] {
        assert!(told.contains(&place), "{place}: {told:?}");
    }
}

#[test]
fn every_member_of_a_service_is_taken_or_named() {
    let strange = json!({ "image": "x", "privileged": true, "container_name": "c", "env_file": ".env", "secrets": ["s"],
        "devices": ["/dev/kvm"], "network_mode": "host", "profiles": ["a"], "cpus": 1, "mem_limit": "512m" });
    let (tier, size, converted) = one(strange);
    assert_eq!(tier, json!({ "docker_image": "x" }));
    assert_eq!(size, json!({ "cpu_cores": 1, "mem_units": 1 }));
    let mut told = paths(&converted.warnings);
    told.sort_unstable();
    let places = [
        "container_name",
        "devices",
        "env_file",
        "network_mode",
        "privileged",
        "profiles",
        "secrets",
    ];
    assert_eq!(told, places.map(|name| format!("services.web.{name}")));
}

#[test]
fn what_cannot_be_taken_is_a_problem_with_its_place() {
    for (service, place) in [
        (json!({ "build": "." }), "services.web"),
        (json!({}), "services.web"),
        (json!(5), "services.web"),
        (
            json!({ "image": "x", "volumes": ["./data:/data"] }),
            "services.web.volumes[0]",
        ),
        (json!({ "image": "x", "cpus": "many" }), "services.web.cpus"),
        (
            json!({ "image": "x", "mem_limit": "1 horse" }),
            "services.web.mem_limit",
        ),
        (
            json!({ "image": "x", "stop_grace_period": "soon" }),
            "services.web.stop_grace_period",
        ),
        (
            json!({ "image": "x", "ports": [{ "published": 80 }] }),
            "services.web.ports[0]",
        ),
    ] {
        let (_, _, converted) = one(service.clone());
        let places: Vec<&str> = converted
            .problems
            .iter()
            .map(|problem| problem.path.as_str())
            .collect();
        assert_eq!(places, [place], "{service}");
    }
}

#[test]
fn amounts_are_read_as_compose_writes_them() {
    use super::amounts::{bytes, hundredths, seconds};
    assert_eq!(
        ["90s", "1m30s", "1.5m", "2h", "10ms"].map(|text| seconds(&json!(text))),
        [Some(90), Some(90), Some(90), Some(7200), Some(1)]
    );
    assert_eq!(["", "s", "5", "1d"].map(|text| seconds(&json!(text))), [None; 4]);
    assert_eq!(
        ["512m", "1gb", "64", "1.5k"].map(|text| bytes(&json!(text))),
        [Some(512 << 20), Some(1 << 30), Some(64), Some(1536)]
    );
    assert_eq!(
        [json!("0.1"), json!(0.25), json!(2)].map(|cores| hundredths(&cores)),
        [Some(10), Some(25), Some(200)]
    );
}

#[test]
fn what_is_kept_in_memory_is_taken_from_both_places() {
    let volumes = json!([{ "type": "tmpfs", "target": "/run" }]);
    for tmpfs in [json!(["/tmp"]), json!("/tmp")] {
        let (tier, _, converted) = one(json!({ "image": "x", "tmpfs": tmpfs, "volumes": volumes }));
        assert_eq!(tier["tmpfs"], json!(["/tmp", "/run"]));
        assert_eq!(converted.problems, []);
    }
}

#[test]
fn absurd_numbers_of_replicas_are_no_overflow() {
    let (_, size, _) = one(json!({ "image": "x", "deploy": { "replicas": u64::MAX } }));
    assert_eq!(size["mem_units"], json!(u64::MAX));
}
