#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::{Problems, Topology};

fn document(options: Value) -> Value {
    let mut tier = json!({ "docker_image": "x", "volumes": ["data:/data"] });
    let fields = options.as_object().unwrap().clone();
    tier.as_object_mut().unwrap().extend(fields);
    json!({ "infrastructure": { "cpu_cores": 2, "mem_units": 8 }, "apps": [{ "name": "shop", "tiers": { "web": tier } }] })
}

fn read(options: Value) -> RuntimeOptions {
    let parsed = Topology::parse(&document(options)).unwrap();
    assert!(parsed.warnings.is_empty(), "{:?}", parsed.warnings);
    parsed.topology.tiers["shop_web"].runtime.clone()
}

#[track_caller]
fn refused(options: Value, field: &str, words: &str) {
    let Problems(problems) = Topology::parse(&document(options)).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].path, format!("apps[0].tiers.web.{field}"));
    assert!(problems[0].problem.contains(words), "{}", problems[0].problem);
}

#[test]
fn options_are_spelled_as_in_compose() {
    let options = read(json!({
        "pids_limit": 100.0,
        "ulimits": { "nofile": { "soft": 1024, "hard": -1 }, "core": 0 },
        "read_only": true,
        "tmpfs": ["/run:size=64m,mode=1777", "/tmp"],
        "shm_size": "128m",
        "cap_add": ["CAP_NET_ADMIN", "sys_nice", "NET_ADMIN"],
        "cap_drop": ["ALL"],
        "no_new_privileges": false,
        "init": true,
        "stop_signal": "quit",
    }));
    let both = |soft, hard| Ulimit { soft, hard };
    let expected = RuntimeOptions {
        pids: Some(Pids::AtMost(100)),
        ulimits: [
            ("core".to_owned(), both(Some(0), Some(0))),
            ("nofile".to_owned(), both(Some(1024), None)),
        ]
        .into(),
        read_only: Some(true),
        tmpfs: [
            ("/run".to_owned(), "size=64m,mode=1777".to_owned()),
            ("/tmp".to_owned(), String::new()),
        ]
        .into(),
        shm_size: Some(128 << 20),
        cap_add: vec!["NET_ADMIN".to_owned(), "SYS_NICE".to_owned()],
        cap_drop: vec!["ALL".to_owned()],
        no_new_privileges: Some(false),
        init: Some(true),
        stop_signal: Some("SIGQUIT".to_owned()),
    };
    assert_eq!(options, expected);
    assert!(read(json!({})).is_default());
    assert_eq!(read(json!({ "pids_limit": -1 })).pids, Some(Pids::Unlimited));
    assert_eq!(read(json!({ "shm_size": 65536 })).shm_size, Some(65536));
    assert_eq!(read(json!({ "tmpfs": "/run" })).tmpfs.len(), 1);
    for fine in [
        "size=64m",
        "size=50%",
        "size=4096",
        "mode=1777,uid=1000,gid=0",
        "nr_inodes=10k,noexec",
    ] {
        assert_eq!(
            read(json!({ "tmpfs": format!("/run:{fine}") })).tmpfs["/run"],
            fine
        );
    }
    for (written, kept) in [
        (json!(9), "9"),
        (json!("SIGTERM"), "SIGTERM"),
        (json!("SIGRTMIN+3"), "SIGRTMIN+3"),
    ] {
        let options = read(json!({ "stop_signal": written }));
        assert_eq!(options.stop_signal.as_deref(), Some(kept));
    }
}

#[test]
fn what_docker_would_refuse_is_refused_with_its_path() {
    for (options, field, words) in [
        (json!({ "pids_limit": 0 }), "pids_limit", "from 1"),
        (json!({ "pids_limit": -2 }), "pids_limit", "-1 for no limit"),
        (json!({ "pids_limit": "many" }), "pids_limit", "a number"),
        (
            json!({ "ulimits": { "nofiles": 1 } }),
            "ulimits.nofiles",
            "did you mean nofile?",
        ),
        (
            json!({ "ulimits": { "nofile": { "soft": 2, "hard": 1 } } }),
            "ulimits.nofile",
            "above the hard one",
        ),
        (
            json!({ "ulimits": { "nofile": { "soft": -1, "hard": 1 } } }),
            "ulimits.nofile",
            "above the hard one",
        ),
        (
            json!({ "ulimits": { "nofile": { "soft": 2 } } }),
            "ulimits.nofile.hard",
            "is missing",
        ),
        (json!({ "read_only": "yes" }), "read_only", "true or false"),
        (json!({ "tmpfs": ["run"] }), "tmpfs[0]", "/path[:options]"),
        (json!({ "tmpfs": ["/"] }), "tmpfs[0]", "/path[:options]"),
        (json!({ "tmpfs": ["/run:sise=1m"] }), "tmpfs[0]", "\"sise=1m\""),
        (json!({ "tmpfs": ["/a:size=x"] }), "tmpfs[0]", "\"size=x\""),
        (json!({ "tmpfs": ["/a:size=1mm"] }), "tmpfs[0]", "\"size=1mm\""),
        (json!({ "tmpfs": ["/a:size=101%"] }), "tmpfs[0]", "\"size=101%\""),
        (json!({ "tmpfs": ["/a:mode=9999"] }), "tmpfs[0]", "\"mode=9999\""),
        (json!({ "tmpfs": ["/a:uid=-1"] }), "tmpfs[0]", "\"uid=-1\""),
        (
            json!({ "tmpfs": ["/a:nr_inodes=5%"] }),
            "tmpfs[0]",
            "\"nr_inodes=5%\"",
        ),
        (json!({ "tmpfs": ["/../x"] }), "tmpfs[0]", "write it out"),
        (json!({ "tmpfs": ["/a/./x"] }), "tmpfs[0]", "write it out"),
        (
            json!({ "tmpfs": ["//ecoware/hooks"] }),
            "tmpfs[0]",
            "where hooks are put",
        ),
        (
            json!({ "tmpfs": ["/proc/x"] }),
            "tmpfs[0]",
            "the kernel allows none",
        ),
        (
            json!({ "tmpfs": ["/run", "//run/"] }),
            "tmpfs[1]",
            "something else mounted",
        ),
        (
            json!({ "tmpfs": ["/data/"] }),
            "tmpfs[0]",
            "something else mounted",
        ),
        (
            json!({ "tmpfs": ["/run", "/run"] }),
            "tmpfs[1]",
            "something else mounted",
        ),
        (json!({ "shm_size": "64q" }), "shm_size", "128m"),
        (json!({ "shm_size": "1" }), "shm_size", "128m"),
        (json!({ "shm_size": "99999999999999999999g" }), "shm_size", "128m"),
        (
            json!({ "cap_add": ["NET_ADMN"] }),
            "cap_add[0]",
            "did you mean NET_ADMIN?",
        ),
        (
            json!({ "cap_add": ["KILL"], "cap_drop": ["CAP_KILL"] }),
            "cap_drop",
            "which cap_add gives",
        ),
        (
            json!({ "stop_signal": "SIGTREM" }),
            "stop_signal",
            "did you mean SIGTERM?",
        ),
        (json!({ "stop_signal": 65 }), "stop_signal", "no signal"),
        (json!({ "init": 1 }), "init", "true or false"),
    ] {
        refused(options, field, words);
    }
}

proptest! {
    #[test]
    fn sizes_are_read_or_refused_and_never_overflow(text in "[0-9]{1,25} ?[kKmMgGbBx]{0,2}") {
        let fits = size(&text);
        if let Some(bytes) = fits {
            prop_assert!(u128::from(bytes).is_multiple_of(text.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u128>().unwrap().max(1)));
        }
    }
}
