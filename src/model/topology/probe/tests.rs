#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::{Value, json};

use super::*;
use crate::model::topology::{Parsed, Tier};
use crate::model::{Problems, Topology};

fn parse(fields: Value) -> Result<Parsed, Problems> {
    let mut tier =
        json!({ "docker_image": "x", "ports": ["10.0.0.9:8080:80", "53:53/udp", "127.0.0.1:81:81"] });
    tier.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    Topology::parse(
        &json!({ "infrastructure": { "cpu_cores": 2, "mem_units": 8 }, "apps": [{ "name": "shop", "tiers": { "web": tier } }] }),
    )
}

fn tier(fields: Value) -> Tier {
    parse(fields).unwrap().topology.tiers["shop_web"].clone()
}

#[test]
fn a_probe_is_asked_where_its_port_is_published() {
    let web = tier(json!({ "probe": { "http": { "port": 80 } }, "bake_s": 7 }));
    let expected = Probe {
        ask: Ask::Http {
            path: "/".to_owned(),
            status: None,
        },
        address: "10.0.0.9".parse().ok(),
        port: 8080,
        interval_s: 5,
        timeout_s: 5,
        retries: 3,
        start_period_s: 30,
    };
    assert_eq!(
        (web.probe, web.healthcheck, web.bake_s),
        (Some(expected), None, 7)
    );

    let web = tier(json!({ "probe": { "tcp": { "port": 80 }, "interval_s": 1, "start_period_s": 0 } }));
    let probe = web.probe.unwrap();
    assert_eq!(
        (probe.ask, probe.interval_s, probe.start_period_s),
        (Ask::Tcp {}, 1, 0)
    );

    // Only the engine can run commands at any time.
    let web = tier(json!({ "probe": { "command": "pg_isready -q", "retries": 9 } }));
    let check = web.healthcheck.unwrap();
    assert_eq!(
        (check.test, check.retries),
        (vec!["pg_isready".to_owned(), "-q".to_owned()], Some(9))
    );
    assert_eq!(web.probe, None);
}

#[test]
fn a_probe_that_could_not_be_made_is_refused() {
    for (fields, path, words) in [
        (json!({ "probe": {} }), "probe", "exactly one of"),
        (
            json!({ "probe": { "tcp": { "port": 80 }, "command": "true" } }),
            "probe",
            "exactly one of",
        ),
        (
            json!({ "probe": { "tcp": { "port": 8080 } } }),
            "probe.tcp.port",
            "published: 80, 81",
        ),
        (
            json!({ "probe": { "tcp": { "port": 53 } } }),
            "probe.tcp.port",
            "does not publish",
        ),
        (json!({ "probe": { "tcp": {} } }), "probe.tcp.port", "is missing"),
        (
            json!({ "probe": { "http": { "port": 80, "path": "health" } } }),
            "probe.http.path",
            "begin with /",
        ),
        (
            json!({ "probe": { "http": { "port": 80, "path": "/a b" } } }),
            "probe.http.path",
            "no spaces",
        ),
        (
            json!({ "probe": { "http": { "port": 80, "status": 99 } } }),
            "probe.http.status",
            "from 100",
        ),
        (json!({ "probe": { "command": [] } }), "probe.command", "is empty"),
        (
            json!({ "probe": { "tcp": { "port": 80 } }, "healthcheck": { "test": "true" } }),
            "probe",
            "keep one",
        ),
        (json!({ "bake_s": -1 }), "bake_s", "whole number"),
    ] {
        let Problems(problems) = parse(fields.clone()).unwrap_err();
        assert_eq!(problems.len(), 1, "{fields}: {problems:?}");
        assert_eq!(problems[0].path, format!("apps[0].tiers.web.{path}"));
        assert!(problems[0].problem.contains(words), "{}", problems[0].problem);
    }
    let loopback = parse(json!({ "probe": { "tcp": { "port": 81 } } })).unwrap();
    assert!(
        loopback.warnings[0].problem.contains("loopback"),
        "{:?}",
        loopback.warnings
    );
}
