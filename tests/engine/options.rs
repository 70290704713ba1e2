//! What a container's processes may do and use: according to Docker, and seen from inside.

use std::collections::BTreeMap;

use mapek::engine::{End, EngineErrorKind};
use mapek::model::topology::{Pids, RuntimeOptions, Ulimit};

use crate::helpers::{FOREVER, engine, shell, spec};

#[test]
fn options_hold_inside_the_container() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let engine = engine(vm);
        let inside = async |script: &str| {
            let finished = engine.run("app_one", &shell(script)).await.unwrap();
            (finished.end, finished.output.trim().to_owned())
        };
        let said = async |script: &str| inside(script).await.1;

        // Options that are not given: strict where that breaks hardly anything, otherwise Docker's
        // own.
        let mut asked = spec("app_one", FOREVER);
        let plain = engine.ensure_running(&asked).await.unwrap();
        assert_eq!(said("grep NoNewPrivs /proc/1/status").await, "NoNewPrivs:\t1");
        assert_eq!(
            said("cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null").await,
            "4096"
        );
        assert_eq!(inside("echo x >/written").await.0, End::Exited(0));

        asked.runtime = RuntimeOptions {
            pids: Some(Pids::AtMost(40)),
            ulimits: BTreeMap::from([
                (
                    "nofile".to_owned(),
                    Ulimit {
                        soft: Some(100),
                        hard: Some(200),
                    },
                ),
                (
                    "core".to_owned(),
                    Ulimit {
                        soft: Some(0),
                        hard: None,
                    },
                ),
            ]),
            read_only: Some(true),
            tmpfs: BTreeMap::from([
                ("/run".to_owned(), "size=1m".to_owned()),
                ("/tmp".to_owned(), String::new()),
            ]),
            shm_size: Some(2 << 20),
            cap_add: vec!["NET_ADMIN".to_owned()],
            cap_drop: vec!["ALL".to_owned()],
            no_new_privileges: Some(false),
            init: None,
            stop_signal: Some("SIGUSR1".to_owned()),
        };
        asked.volumes.push("/ecoware".to_owned());
        let made = engine.ensure_running(&asked).await.unwrap();
        assert_ne!(made.id, plain.id, "other options take another container");
        assert_eq!(said("grep NoNewPrivs /proc/1/status").await, "NoNewPrivs:\t0");
        // Bit 12 is CAP_NET_ADMIN.
        assert_eq!(
            said("grep CapEff /proc/1/status").await,
            "CapEff:\t0000000000001000"
        );
        assert_eq!(said("ulimit -n; ulimit -Hn; ulimit -c").await, "100\n200\n0");
        assert_eq!(
            said("cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null").await,
            "40"
        );
        assert_eq!(inside("echo x >/written").await.0, End::Exited(1));
        assert_eq!(inside("echo x >/run/x && echo x >/tmp/x").await.0, End::Exited(0));
        assert_eq!(
            said("df -k /run /dev/shm | awk 'NR > 1 { print $2 }'").await,
            "1024\n2048"
        );

        // Hooks reach a container whose root can't be written to.
        let mut hooks = mapek::hooks::HookSet::new("1");
        hooks
            .add(
                mapek::hooks::Kind::Scale,
                "a.sh",
                b"#!/bin/sh\necho run\n".to_vec(),
            )
            .unwrap();
        engine
            .unpack("app_one", hooks.archive().unwrap(), "/ecoware")
            .await
            .unwrap();
        assert_eq!(said("/ecoware/hooks/scale_hooks/a.sh").await, "run");

        // The same again leaves it alone.
        assert_eq!(engine.ensure_running(&asked).await.unwrap().id, made.id);
        vm.docker(&["exec", "app_one", "true"]);
        engine.ensure_absent("app_one").await.unwrap();
    });
}

#[test]
fn a_container_is_stopped_with_its_own_signal() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let engine = engine(vm);
        let mut asked = spec(
            "app_one",
            "trap '' TERM; trap 'echo usr1 >/data/seen; exit 0' USR1; echo up; while :; do sleep 1 & wait $!; done",
        );
        asked.volumes.push("kept:/data".to_owned());
        asked.stop_grace_s = Some(30);
        asked.runtime.stop_signal = Some("SIGUSR1".to_owned());
        engine.ensure_running(&asked).await.unwrap();
        engine.ensure_absent("app_one").await.unwrap();

        let mut reader = spec("app_two", FOREVER);
        reader.volumes.push("kept:/data".to_owned());
        engine.ensure_running(&reader).await.unwrap();
        let seen = engine.run("app_two", &shell("cat /data/seen")).await.unwrap();
        assert_eq!(seen.output.trim(), "usr1");
    });
}

#[test]
fn a_container_that_the_engine_makes_otherwise_than_asked_is_not_started() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let engine = engine(vm);
        // Left over from an engine that was killed, and changed by hand since.
        let mut asked = spec("app_one", FOREVER);
        asked.runtime.pids = Some(Pids::AtMost(40));
        let made = engine.ensure_running(&asked).await.unwrap();
        vm.docker(&["stop", "-t", "1", "app_one"]);
        vm.docker(&["update", "--pids-limit", "10", "app_one"]);
        let again = engine.ensure_running(&asked).await.unwrap();
        assert_ne!(again.id, made.id);
        assert_eq!(
            vm.docker(&["inspect", "-f", "{{.HostConfig.PidsLimit}}", "app_one"])
                .trim(),
            "40"
        );

        // No engine starts a process with a limit above what the machine has.
        asked.name = "app_two".to_owned();
        asked.runtime.ulimits = BTreeMap::from([(
            "nofile".to_owned(),
            Ulimit {
                soft: Some(1 << 40),
                hard: Some(1 << 40),
            },
        )]);
        let error = engine.ensure_running(&asked).await.unwrap_err();
        assert_ne!(error.kind, EngineErrorKind::Unhealthy, "{error}");
        assert!(error.message.contains("rlimit"), "{error}");
    });
}
