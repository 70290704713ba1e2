//! Hooks: where they come from, what they are told, and what happens when they fail.

use serde_json::{Value, json};

use crate::daemons::Lab;
use crate::git::{GitServer, Repository};
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

/// A topology with a tier `one`, and a tier `two` that depends on it, with these hooks.
fn topology(lab: &Lab, repository: &str, hooks: Value) -> Value {
    let two = with(with(idle(), json!({"depends_on": ["one"]})), hooks);
    let mut topology = on_hosts(lab.hosts(1), json!({"one": idle(), "two": two}));
    topology["infrastructure"]["hooks_git_repo"] = json!(repository);
    topology
}

/// Writes what the hook was told to files of the container.
const TELL: &str = "#!/bin/sh\nset -e\nenv | grep ^MAPEK_ | sort >/tmp/environment\n\
                    printf %s \"$1\" >/tmp/old\nprintf %s \"$2\" >/tmp/new\necho \"told $# things\"\n";

#[test]
fn hooks_are_told_what_changed() {
    in_lab!(1, async |lab| {
        let (service, vm) = (Service::start(), &lab.vms[0]);
        let repository = Repository::new("hooks");
        repository.write("scale_hooks/tell.sh", TELL);
        repository.write("tier_hooks/tell.sh", TELL);
        repository.commit("Tell");
        let read = |file: &str| vm.docker(&["exec", "rubis_two", "cat", &format!("/tmp/{file}")]);

        let hooks = json!({"on_dependency_scale": "tell.sh"});
        service
            .put_topology(&topology(lab, repository.path(), hooks))
            .await;
        service.execute(&plan(&[("one", 1.0, 1), ("two", 1.0, 2)])).await;
        let environment = read("environment");
        for told in [
            "MAPEK_APP=rubis",
            "MAPEK_TIER=two",
            "MAPEK_CONTAINER=rubis_two",
            "MAPEK_VM=vm1",
            "MAPEK_CPU_CORES=1",
            "MAPEK_MEM_UNITS=2",
            "MAPEK_MEM_UNIT_MB=64",
            "MAPEK_DEPENDENCIES=rubis_one",
        ] {
            assert!(
                environment.lines().any(|line| line == told),
                "{told} is not in\n{environment}"
            );
        }
        let parse = |text: String| serde_json::from_str::<Value>(&text).unwrap();
        assert_eq!(parse(read("old")), json!({}));
        let allocation = service.allocation().await;
        assert_eq!(parse(read("new")), allocation);

        // Only the other tier changes, and still this one is told.
        service.execute(&plan(&[("one", 1.0, 2), ("two", 1.0, 2)])).await;
        assert_eq!(parse(read("old")), allocation);
        assert_eq!(parse(read("new")), service.allocation().await);
    });
}

#[test]
fn a_hook_that_fails_fails_the_execution_with_its_words() {
    in_lab!(1, async |lab| {
        let service = Service::start();
        let repository = Repository::new("hooks");
        repository.write(
            "scale_hooks/grow.sh",
            "#!/bin/sh\necho 'the disk is not there'\nexit 3\n",
        );
        repository.commit("Fail");
        service
            .put_topology(&topology(
                lab,
                repository.path(),
                json!({"on_node_scale": "grow.sh"}),
            ))
            .await;

        let failed = service
            .try_execute(&plan(&[("one", 1.0, 1), ("two", 1.0, 1)]))
            .await;
        let whole = failed.body.to_string();
        let error = failed.error(&[502]);
        assert!(whole.contains("the disk is not there"), "{whole}");
        assert!(
            error.contains("grow.sh") && error.contains("rubis_two"),
            "{error}"
        );
        assert!(error.contains('3'), "{error}");
        let history = service.executions().await.to_string();
        assert!(history.contains("failed"), "{history}");

        // The same plan still has it to run, and is not reached before it has.
        let same = plan(&[("one", 1.0, 1), ("two", 1.0, 1)]);
        let hook = "run scale hook for container 'rubis_two' on vm 'vm1'";
        assert_eq!(service.translate(&same).await, [[hook]]);
        service.try_execute(&same).await.error(&[502]);
        let holds = service.api.get("/api/plan").await;
        assert_eq!(holds.body["state"], "failed", "{}", holds.body);

        // Repaired, the same plan goes through.
        repository.write("scale_hooks/grow.sh", "#!/bin/sh\necho grown\n");
        repository.commit("Repair");
        service
            .put_topology(&topology(
                lab,
                repository.path(),
                json!({"on_node_scale": "grow.sh"}),
            ))
            .await;
        service.execute(&same).await;
        assert_eq!(service.translate(&same).await, [[""; 0]; 0]);
        let holds = service.api.get("/api/plan").await;
        assert_eq!(holds.body["state"], "reached", "{}", holds.body);
    });
}

#[test]
fn a_hook_that_hangs_is_ended_at_its_deadline() {
    in_lab!(1, async |lab| {
        let service = Service::start_with(&[("MAPEK_HOOK_DEADLINE_S", "2")]);
        let repository = Repository::new("hooks");
        repository.write(
            "scale_hooks/hang.sh",
            "#!/bin/sh\necho 'waiting for a friend'\nsleep 4242\n",
        );
        repository.commit("Hang");
        service
            .put_topology(&topology(
                lab,
                repository.path(),
                json!({"on_node_scale": "hang.sh"}),
            ))
            .await;

        let failed = service
            .try_execute(&plan(&[("one", 1.0, 1), ("two", 1.0, 1)]))
            .await;
        let whole = failed.body.to_string();
        let error = failed.error(&[504]);
        assert!(error.contains("hang.sh"), "{error}");
        assert!(whole.contains("waiting for a friend"), "{whole}");
    });
}

#[test]
fn hooks_come_from_a_git_server_at_the_revision_asked_for() {
    in_lab!(1, async |lab| {
        let (service, vm) = (Service::start(), &lab.vms[0]);
        let server = GitServer::start();
        let repository = Repository::new("hooks");
        let mut commits = Vec::new();
        for word in ["first", "second", "third"] {
            repository.write(
                "scale_hooks/say.sh",
                &format!("#!/bin/sh\necho {word} >/tmp/said\n"),
            );
            commits.push(repository.commit(word));
        }
        repository.git(&["tag", "v2", &commits[1]]);
        repository.git(&["branch", "stable", &commits[0]]);

        let cases = [
            ("v2", "second"),
            ("stable", "first"),
            (&commits[0], "first"),
            ("main", "third"),
        ];
        for (number, (reference, word)) in (1..).zip(cases) {
            let hooks = json!({"on_node_scale": "say.sh"});
            let mut topology = topology(lab, &server.url(&repository), hooks);
            topology["infrastructure"]["hooks_ref"] = json!(reference);
            service.put_topology(&topology).await;
            service
                .execute(&plan(&[("one", 1.0, 1), ("two", 1.0, number % 2 + 1)]))
                .await;
            let said = vm.docker(&["exec", "rubis_two", "cat", "/tmp/said"]);
            assert_eq!(said.trim(), word, "{reference}");
        }

        let hooks = json!({"on_node_scale": "say.sh"});
        let mut topology = topology(lab, &server.url(&repository), hooks);
        topology["infrastructure"]["hooks_ref"] = json!("no-such-tag");
        let put = service.api.put("/api/topology", &topology).await;
        let answer = if put.status == 200 {
            service
                .try_execute(&plan(&[("one", 1.0, 1), ("two", 1.0, 2)]))
                .await
        } else {
            put
        };
        let error = answer.error(&[422, 502]);
        assert!(error.contains("no-such-tag"), "{error}");
    });
}

/// Succeeds only once somebody has repaired it, and notes each time that it ran.
const ONCE_READY: &str = "#!/bin/sh\ntest -e /tmp/ready || exit 1\necho ran >>/tmp/log\n";

#[test]
fn hooks_that_are_owed_run_with_whatever_plan_comes_next_and_by_themselves_where_that_is_wished_for() {
    in_lab!(1, async |lab| {
        let service = Service::start_with(&[("MAPEK_OBSERVE_EVERY_S", "1")]);
        let repository = Repository::new("hooks");
        repository.write("scale_hooks/ready.sh", ONCE_READY);
        repository.commit("Once ready");
        let mut topology = topology(lab, repository.path(), json!({"on_node_scale": "ready.sh"}));
        topology["infrastructure"]["self_heal"] = json!({"grace_s": 1, "backoff_max_s": 2});
        service.put_topology(&topology).await;
        let vm = &lab.vms[0];
        let log = || {
            let said = vm.try_docker(&["exec", "rubis_two", "cat", "/tmp/log"]).stdout;
            String::from_utf8(said).unwrap()
        };

        let answer = service.try_execute(&plan(&[("two", 1.0, 1)])).await;
        assert_eq!(answer.status, 502, "{}", answer.body);
        vm.docker(&["exec", "rubis_two", "touch", "/tmp/ready"]);
        // Another tier changes, this one does not.
        let next = plan(&[("one", 1.0, 1), ("two", 1.0, 1)]);
        let hook = "run scale hook for container 'rubis_two' on vm 'vm1'".to_owned();
        let shown = service.translate(&next).await;
        assert!(shown.concat().contains(&hook), "{shown:?}");
        service.execute(&next).await;
        assert_eq!(log(), "ran\n");

        // The container that replaces a missing one is not ready, so the repair fails.
        vm.docker(&["rm", "-f", "rubis_two"]);
        let mut patience = crate::patience::Patience::every(std::time::Duration::from_millis(100));
        loop {
            let seen = service.api.get("/api/plan").await.expect(200);
            if seen["differences"][0]["kind"] == "hook_owed" {
                break;
            }
            patience.wait(|| format!("no hook is owed: {seen:#}")).await;
        }
        vm.docker(&["exec", "rubis_two", "touch", "/tmp/ready"]);
        loop {
            let seen = service.api.get("/api/plan").await.expect(200);
            if seen["state"] == "reached" {
                break;
            }
            patience.wait(|| format!("the hook is not run: {seen:#}")).await;
        }
        assert_eq!(log(), "ran\n");
    });
}
