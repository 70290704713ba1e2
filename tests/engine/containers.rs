//! Containers: made, found again, finished, replaced, removed; foreign ones left alone.

use std::collections::BTreeMap;
use std::time::Duration;

use mapek::engine::docker::DockerEngines;
use mapek::engine::{Effect, EngineErrorKind, Engines, Health, LABEL_MANAGED, Owners, State};
use mapek::model::Cpu;
use mapek::model::topology::{Healthcheck, PortBinding, Protocol, Reference, Variable};

use crate::helpers::{FOREVER, MIB, cores, engine, settings, shell, spec};
use crate::images::BUSYBOX;

#[test]
fn every_call_may_be_repeated() {
    in_lab!(1, async |lab| {
        let engine = engine(&lab.vms[0]);
        let asked = spec("app_one", FOREVER);

        let first = engine.ensure_running(&asked).await.unwrap();
        let second = engine.ensure_running(&asked).await.unwrap();
        assert_eq!(first.id, second.id);
        let found = engine.find("app_one").await.unwrap().unwrap();
        assert_eq!(found, second);
        assert_eq!(engine.observe().await.unwrap(), [found]);

        engine.ensure_absent("app_one").await.unwrap();
        engine.ensure_absent("app_one").await.unwrap();
        assert_eq!(engine.find("app_one").await.unwrap(), None);
        assert_eq!(engine.observe().await.unwrap(), []);
    });
}

#[test]
fn all_that_a_tier_says_reaches_the_container() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let engine = engine(vm);
        let mut asked = spec("app_one", FOREVER);
        asked.entrypoint = Some(vec!["env".to_owned(), "FROM=entrypoint".to_owned()]);
        asked.environment = BTreeMap::from([("GREETING".to_owned(), "it's \"quoted\" $HOME".into())]);
        asked.volumes = vec![
            "data:/data".to_owned(),
            "/scratch".to_owned(),
            "/run/lab/home:/given:ro".to_owned(),
        ];
        asked.labels = BTreeMap::from([
            ("team".to_owned(), "blue".to_owned()),
            (LABEL_MANAGED.to_owned(), "nonsense".to_owned()),
        ]);
        asked.user = Some("7:7".to_owned());
        asked.extra_hosts = vec![("db".to_owned(), "10.77.1.9".to_owned())];
        asked.stop_grace_s = Some(3);
        asked.ports = vec![
            PortBinding {
                address: None,
                host: 8080,
                container: 80,
                protocol: Protocol::Tcp,
            },
            PortBinding {
                address: None,
                host: 5353,
                container: 53,
                protocol: Protocol::Udp,
            },
        ];

        let made = engine.ensure_running(&asked).await.unwrap();
        assert!(made.managed);
        let mut ports = made.ports.clone();
        ports.sort_unstable();
        let mut expected = asked.ports.clone();
        expected.sort_unstable();
        assert_eq!(ports, expected);
        assert_eq!(made.labels["mapek.app"], "app");
        assert_eq!(made.labels["mapek.tier"], "one");
        assert_eq!(made.labels["team"], "blue");

        let said = engine
            .run("app_one", &shell("[ \"$GREETING\" = \"it's \\\"quoted\\\" \\$HOME\" ] && echo same; echo $GREETING; id -u; grep db /etc/hosts; touch /given/x; tr '\\0' '\\n' </proc/1/environ | grep FROM"))
            .await
            .unwrap()
            .output;
        // It is there as it was given; in quotes from the container, stars take its place.
        assert!(said.contains("same\n***\n7\n"), "{said}");
        assert!(said.contains("10.77.1.9\tdb"), "{said}");
        assert!(said.contains("Read-only file system"), "{said}");
        assert!(said.contains("FROM=entrypoint"), "{said}");
        let seen = vm.inspect("app_one").unwrap();
        assert_eq!(seen["Config"]["StopTimeout"], 3);
        assert_eq!(seen["HostConfig"]["RestartPolicy"]["Name"], "unless-stopped");
        let mounts: Vec<&str> = seen["Mounts"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|mount| mount["Destination"].as_str())
            .collect();
        for place in ["/data", "/scratch", "/given"] {
            assert!(mounts.contains(&place), "{mounts:?}");
        }

        // Removing the container also removes the anonymous volume, but not the named one.
        engine.ensure_absent("app_one").await.unwrap();
        assert_eq!(vm.docker(&["volume", "ls", "--quiet"]).trim(), "data");
    });
}

#[test]
fn a_container_that_mapek_did_not_make_is_never_touched() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let engine = engine(vm);
        vm.docker(&[
            "run", "-d", "--name", "app_one", "-p", "8080:80", BUSYBOX, "sleep", "1000",
        ]);
        let before = vm.inspect("app_one").unwrap();

        let asked = spec("app_one", FOREVER);
        let archive = tar::Builder::new(Vec::new()).into_inner().unwrap();
        for outcome in [
            engine.ensure_running(&asked).await.map(drop),
            engine.ensure_limits("app_one", &asked.limits).await.map(drop),
            engine.ensure_absent("app_one").await,
            engine.unpack("app_one", archive, "/").await,
            engine.run("app_one", &shell("touch /touched")).await.map(drop),
        ] {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind, EngineErrorKind::Foreign);
            assert!(
                error.message.contains("'app_one' that mapek did not make"),
                "{error}"
            );
        }
        assert_eq!(vm.inspect("app_one").unwrap(), before);

        let seen = engine.observe().await.unwrap();
        assert_eq!(seen.len(), 1);
        assert!(!seen[0].managed);
        assert_eq!((seen[0].state, seen[0].ports[0].host), (State::Running, 8080));
    });
}

#[test]
fn what_is_half_made_is_finished_and_what_is_made_otherwise_is_replaced() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let engine = engine(vm);

        // Made but not started, because its port is taken.
        vm.docker(&[
            "run", "-d", "--name", "holder", "-p", "8080:80", BUSYBOX, "sleep", "1000",
        ]);
        let mut asked = spec("app_one", FOREVER);
        asked.ports = vec![PortBinding {
            address: None,
            host: 8080,
            container: 80,
            protocol: Protocol::Tcp,
        }];
        let error = engine.ensure_running(&asked).await.unwrap_err();
        assert_eq!(
            (error.kind, error.effect),
            (EngineErrorKind::Refused, Effect::None)
        );
        assert!(error.message.contains("holds that port"), "{error}");
        let half = engine.find("app_one").await.unwrap().unwrap();
        assert_eq!(half.state, State::Created);

        // Even with limits other than those it was made with.
        vm.docker(&["rm", "-f", "holder"]);
        asked.limits = cores(&[1], 48);
        let done = engine.ensure_running(&asked).await.unwrap();
        assert_eq!(
            (&done.id, done.state, done.memory),
            (&half.id, State::Running, 48 * MIB)
        );

        // Stopped and paused by hand: the same container again.
        vm.docker(&["stop", "app_one"]);
        assert_eq!(
            engine.find("app_one").await.unwrap().unwrap().state,
            State::Exited
        );
        assert_eq!(engine.ensure_running(&asked).await.unwrap().id, half.id);
        vm.docker(&["pause", "app_one"]);
        assert_eq!(
            engine.find("app_one").await.unwrap().unwrap().state,
            State::Paused
        );
        assert_eq!(engine.ensure_running(&asked).await.unwrap().id, half.id);

        // With another specification: another container, running or not.
        asked.environment.insert("NEW".to_owned(), "1".into());
        let replaced = engine.ensure_running(&asked).await.unwrap();
        assert_ne!(replaced.id, half.id);
        vm.docker(&["rm", "-f", "app_one"]);
        vm.docker(&[
            "create",
            "--name",
            "app_one",
            "--label",
            "mapek.managed=true",
            "--label",
            "mapek.owner=engine-tests",
            BUSYBOX,
            "false",
        ]);
        assert_eq!(engine.ensure_running(&asked).await.unwrap().state, State::Running);

        // A paused one can be removed.
        vm.docker(&["pause", "app_one"]);
        engine.ensure_absent("app_one").await.unwrap();
        assert_eq!(vm.containers(), Vec::<String>::new());
    });
}

#[test]
fn an_engine_killed_in_the_middle_of_a_creation_leaves_nothing_that_can_not_be_finished() {
    in_lab!(1, async |lab| {
        let vm = &mut lab.vms[0];
        let asked = spec("app_one", FOREVER);
        for delay in [5, 40, 80, 120, 160, 240] {
            let creating = engine(vm);
            let wanted = asked.clone();
            let creation = tokio::spawn(async move { creating.ensure_running(&wanted).await });
            tokio::time::sleep(Duration::from_millis(delay)).await;
            vm.kill_engine();
            let _ = creation.await.unwrap();
            vm.restart_engine();

            let again = engine(vm).ensure_running(&asked).await.unwrap();
            assert_eq!(again.state, State::Running, "after {delay} ms");
            assert_eq!(vm.containers(), ["app_one"], "after {delay} ms");
            engine(vm).ensure_absent("app_one").await.unwrap();
            assert_eq!(vm.containers(), Vec::<String>::new(), "after {delay} ms");
        }
    });
}

#[test]
fn a_container_that_does_not_stay_up_is_an_error_with_its_exit_code_and_log() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let engine = engine(vm);

        let error = engine
            .ensure_running(&spec("app_one", "echo bad setting; exit 3"))
            .await
            .unwrap_err();
        assert_eq!(error.kind, EngineErrorKind::Unhealthy);
        assert!(error.message.contains("exit code 3"), "{error}");
        assert!(error.message.contains("bad setting"), "{error}");
        // It is not restarted for ever unnoticed, and is removed when that is asked for.
        let seen = engine.find("app_one").await.unwrap().unwrap();
        assert_eq!((seen.state, seen.exit_code), (State::Exited, Some(3)));
        let repeated = engine
            .ensure_running(&spec("app_one", "echo bad setting; exit 3"))
            .await
            .unwrap_err();
        assert_eq!(repeated.kind, EngineErrorKind::Unhealthy);
        engine.ensure_absent("app_one").await.unwrap();

        let mut nonsense = spec("app_two", FOREVER);
        nonsense.entrypoint = Some(vec!["/no/such/program".to_owned()]);
        let error = engine.ensure_running(&nonsense).await.unwrap_err();
        assert_eq!(error.kind, EngineErrorKind::Refused);
        assert!(error.message.contains("/no/such/program"), "{error}");
        assert!(error.message.contains("check the image's entrypoint"), "{error}");
        engine.ensure_absent("app_two").await.unwrap();
    });
}

#[test]
fn what_is_quoted_of_a_container_has_none_of_its_secrets() {
    in_lab!(1, async |lab| {
        let engine = engine(&lab.vms[0]);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "from-a-file 1\nfrom-a-file 2\n").unwrap();
        let secret = |script: &str| {
            let mut spec = spec("app_one", script);
            let variables = [
                ("PASSWORD", Variable::from("written-out")),
                ("KEY", Variable::Reference(Reference::FromFile(file.clone()))),
                ("PIN", Variable::from("123")),
            ];
            spec.environment = variables.map(|(name, value)| (name.to_owned(), value)).into();
            spec
        };
        let hidden = |text: &str| {
            for value in ["written-out", "from-a-file", "123"] {
                assert!(!text.contains(value), "{text}");
            }
        };
        let ends = secret("env; exit 3");
        let error = engine.ensure_running(&ends).await.unwrap_err();
        hidden(&error.message);
        assert!(error.message.contains("PASSWORD=***"), "{error}");
        assert!(error.message.contains("PIN=***"), "{error}");
        // What the image says about all its containers is no secret.
        assert!(error.message.contains("PATH=/"), "{error}");

        let mut ill = secret(FOREVER);
        let check =
            "seq 1 900 | tr -d '\\n'; while :; do echo \"$PASSWORD\"; done | head -n 500; echo $KEY; exit 1";
        ill.healthcheck = Some(Healthcheck {
            test: ["sh", "-c", check].map(str::to_owned).to_vec(),
            interval_s: Some(1),
            timeout_s: Some(5),
            retries: Some(1),
            start_period_s: None,
        });
        let error = engine.ensure_running(&ill).await.unwrap_err();
        assert!(error.message.contains("***"), "{error}");
        assert!(
            !error.message.contains("writ") && !error.message.contains("from-a"),
            "{error}"
        );

        engine.ensure_running(&secret(FOREVER)).await.unwrap();
        let said = engine.run("app_one", &shell("env; exit 7")).await.unwrap();
        hidden(&said.output);
        assert!(said.output.contains("PASSWORD=***"), "{}", said.output);
    });
}

#[test]
fn a_health_check_is_waited_for() {
    in_lab!(1, async |lab| {
        let engine = engine(&lab.vms[0]);
        let check = |script: &str| Healthcheck {
            test: ["sh", "-c", script].map(str::to_owned).to_vec(),
            interval_s: Some(1),
            timeout_s: Some(5),
            retries: Some(2),
            start_period_s: None,
        };

        let mut slow = spec("app_one", &format!("(sleep 1; touch /ready) & {FOREVER}"));
        slow.healthcheck = Some(check("test -e /ready"));
        let ready = engine.ensure_running(&slow).await.unwrap();
        assert_eq!(ready.health, Some(Health::Healthy));
        assert_eq!(engine.observe().await.unwrap()[0].health, Some(Health::Healthy));

        let mut failing = spec("app_two", FOREVER);
        failing.healthcheck = Some(check("echo no database; exit 1"));
        let error = engine.ensure_running(&failing).await.unwrap_err();
        assert_eq!(error.kind, EngineErrorKind::Unhealthy);
        assert!(error.message.contains("no database"), "{error}");
        // What did not come up holds no cores.
        assert_eq!(
            engine.find("app_two").await.unwrap().unwrap().state,
            State::Exited
        );
    });
}

#[test]
fn a_container_of_another_owner_is_never_touched_and_is_told_with_its_limits() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let theirs = engine(vm);
        theirs.ensure_running(&spec("app_one", FOREVER)).await.unwrap();
        vm.docker(&[
            "run", "-d", "--name", "plain", "--cpus", "0.5", "-m", "48m", BUSYBOX, "sleep", "1000",
        ]);
        let before = vm.inspect("app_one").unwrap();

        let owners = Owners::new("someone-else", []);
        let engines = DockerEngines::new(settings(), owners.clone());
        let ours = engines
            .at(&format!("unix://{}", vm.socket().display()), None)
            .unwrap();
        let asked = spec("app_one", "exit 1");
        for outcome in [
            ours.ensure_running(&asked).await.map(drop),
            ours.ensure_limits("app_one", &asked.limits).await.map(drop),
            ours.ensure_absent("app_one").await,
            ours.unpack("app_one", Vec::new(), "/").await,
            ours.run("app_one", &shell("touch /touched")).await.map(drop),
        ] {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind, EngineErrorKind::Foreign);
            assert!(
                error.message.contains("owner engine-tests") && error.message.contains("mapek adopt"),
                "{error}"
            );
        }
        assert_eq!(vm.inspect("app_one").unwrap(), before);
        let seen = ours.observe().await.unwrap();
        let told: Vec<_> = seen
            .iter()
            .map(|one| (one.name.as_str(), one.managed, one.owner(), one.memory / MIB))
            .collect();
        assert_eq!(
            told,
            [
                ("app_one", false, Some("engine-tests"), 32),
                ("plain", false, None, 48)
            ]
        );
        assert_eq!(
            (seen[0].cpuset.as_str(), seen[1].quota()),
            ("0", Some(Cpu::hundredths(50)))
        );

        owners.adopt("engine-tests");
        assert!(ours.find("app_one").await.unwrap().unwrap().managed);
        ours.ensure_absent("app_one").await.unwrap();
        assert_eq!(vm.containers(), ["plain"]);
    });
}
