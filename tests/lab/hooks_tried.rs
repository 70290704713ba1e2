//! `mapek hooks test`: a tier's hooks are tried out in a throw-away container. And what hooks say is told while they run.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};

use crate::daemons::{Lab, Vm};
use crate::git::Repository;
use crate::patience::Patience;
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

/// Says what it is told.
const TELL: &str = "#!/bin/sh\necho \"$MAPEK_TIER of $MAPEK_APP has $MAPEK_CPU_CORES cores and $MAPEK_MEM_UNITS units\"\n\
    echo \"$#: $2\" | tr -d '{}\"' \necho \"the password is $PASSWORD\"\n";

fn topology(lab: &Lab, repository: &Repository) -> Value {
    let web = json!({
        "depends_on": ["db"], "on_node_scale": ["size.sh"], "on_dependency_scale": "pool.sh", "on_node_stop": "leave.sh",
        "environment": {"PASSWORD": "hunter2-and-more"}, "ports": ["8081:80"],
    });
    let tiers = json!({"web": with(idle(), web), "db": idle()});
    let mut topology = on_hosts(lab.hosts(1), tiers);
    topology["infrastructure"]["hooks_git_repo"] = json!(repository.path());
    topology
}

fn hooks() -> Repository {
    let repository = Repository::new("hooks");
    repository.write("scale_hooks/size.sh", TELL);
    repository.write("scale_hooks/leave.sh", "#!/bin/sh\necho leaving\n");
    repository.write("tier_hooks/pool.sh", TELL);
    repository.commit("Tell");
    repository
}

fn try_out(vm: &Vm, topology: &Value, more: &[&str]) -> Output {
    std::fs::write("/run/lab/topology.json", topology.to_string()).unwrap();
    Command::new(env!("CARGO_BIN_EXE_mapek"))
        .args([
            "hooks",
            "test",
            "--topology",
            "/run/lab/topology.json",
            "--docker",
            &vm.endpoint(),
        ])
        .args(more)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn hooks_are_tried_out_in_a_container_that_is_gone_afterwards() {
    in_lab!(1, async |lab| {
        let (vm, repository) = (&lab.vms[0], hooks());
        let topology = topology(lab, &repository);
        let output = try_out(vm, &topology, &["web", "--cpu-cores", "0.5", "--mem-units", "2"]);
        let (said, wrong) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{said}\n{wrong}");
        assert!(said.contains("web of rubis has 0.5 cores and 2 units"), "{said}");
        assert!(said.contains("0: \n"), "a scale hook has no arguments: {said}");
        assert!(said.contains("2: ") && said.contains("rubis_db"), "{said}");
        assert!(said.contains("192.0.2.1"), "{said}");
        assert!(said.contains("leaving"), "{said}");
        assert!(
            said.contains("the password is ***") && !said.contains("hunter2"),
            "{said}"
        );
        assert_eq!(vm.containers(), Vec::<String>::new());

        // What fails is told, and the rest is run all the same.
        repository.write("tier_hooks/pool.sh", "#!/bin/sh\necho no pool >&2\nexit 3\n");
        repository.commit("Fail");
        let output = try_out(vm, &topology, &["rubis_web", "-o", "json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(8), "{report:#}");
        let codes: Vec<&Value> = report["hooks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hook| &hook["exit_code"])
            .collect();
        assert_eq!(codes, [&json!(0), &json!(3), &json!(0)], "{report:#}");
        assert_eq!(report["hooks"][1]["output"], "no pool\n");
        assert_eq!(vm.containers(), Vec::<String>::new());

        // One that hangs is ended, and what is missing or unknown is told before anything is made.
        repository.write("scale_hooks/size.sh", "#!/bin/sh\necho so far\nsleep 4242\n");
        repository.commit("Hang");
        let output = try_out(vm, &topology, &["web", "--hook", "size.sh", "--deadline-s", "1"]);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(8), "{said}");
        assert!(
            said.contains("so far") && said.contains("did not end within 1 s"),
            "{said}"
        );
        assert_eq!(vm.containers(), Vec::<String>::new());
        for (arguments, words) in [
            (&["shop"][..], "no tier 'shop'"),
            (&["db"], "has no hooks"),
            (&["web", "--hook", "x.sh"], "no hook 'x.sh'"),
            (&["web", "--hooks", "/run/lab/nothing"], "no such folder"),
        ] {
            let output = try_out(vm, &topology, arguments);
            let wrong = text(&output.stderr);
            assert_ne!(output.status.code(), Some(0), "{arguments:?}");
            assert!(wrong.contains(words), "{arguments:?}: {wrong}");
        }
    });
}

#[test]
fn an_interrupted_test_leaves_no_container_behind() {
    in_lab!(1, async |lab| {
        let (vm, repository) = (&lab.vms[0], hooks());
        repository.write("scale_hooks/size.sh", "#!/bin/sh\nsleep 4242\n");
        repository.commit("Hang");
        std::fs::write("/run/lab/topology.json", topology(lab, &repository).to_string()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_mapek"))
            .args([
                "hooks",
                "test",
                "web",
                "--topology",
                "/run/lab/topology.json",
                "--docker",
                &vm.endpoint(),
            ])
            .spawn()
            .unwrap();
        let mut patience = Patience::every(Duration::from_millis(20));
        let hangs = || {
            let name = vm.containers().pop();
            name.is_some_and(|name| text(&vm.try_docker(&["top", &name]).stdout).contains("4242"))
        };
        while !hangs() {
            patience.wait(|| "the hook is never begun".to_owned()).await;
        }
        let killed = Command::new("kill").arg(child.id().to_string()).status().unwrap();
        assert!(killed.success());
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert_eq!(vm.containers(), Vec::<String>::new());
    });
}

/// What hooks have said so far, of a stream of events.
fn said(events: &str) -> String {
    let data = events.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let pieces = events.filter_map(|event| Some(event["output"].as_str()?.to_owned()));
    pieces.collect()
}

#[test]
fn what_a_hook_says_is_told_while_it_runs_without_secrets() {
    in_lab!(1, async |lab| {
        let repository = Repository::new("hooks");
        let slow = "#!/bin/sh\necho 'step one'\nprintf 'the password is hunter2-'\nsleep 1\necho 'and-more'\n\
            until [ -e /tmp/go ]; do sleep 0.1; done\necho 'step two'\n";
        repository.write("scale_hooks/size.sh", slow);
        repository.write("scale_hooks/leave.sh", "#!/bin/sh\n");
        repository.write("tier_hooks/pool.sh", "#!/bin/sh\n");
        repository.commit("Slow");
        let service = Service::start();
        service.put_topology(&topology(lab, &repository)).await;
        let wanted = plan(&[("web", 1.0, 1), ("db", 1.0, 1)]);
        let url = service.api.url("/api/execute");
        let request = crate::http::client().put(url).header("prefer", "respond-async");
        let answer = request.body(wanted.to_string()).send().await.unwrap();
        let begun: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let id = begun["execution"].as_str().unwrap().to_owned();

        // What was said so far is there while the hook waits to be let go.
        let mut stream = crate::http::client()
            .get(service.api.url("/api/events?last_event_id=0"))
            .send()
            .await
            .unwrap();
        let mut told = String::new();
        while !said(&told).contains("the password is ***\n") {
            told.push_str(&text(&stream.chunk().await.unwrap().unwrap()));
        }
        assert_eq!(said(&told), "step one\nthe password is ***\n");
        let record = service
            .api
            .get(&format!("/api/executions/{id}"))
            .await
            .expect(200);
        assert_eq!(record["state"], "running");

        lab.vms[0].docker(&["exec", "rubis_web", "touch", "/tmp/go"]);
        while !told.contains("\"outcome\":\"succeeded\"") {
            told.push_str(&text(&stream.chunk().await.unwrap().unwrap()));
        }
        assert!(said(&told).ends_with("***\nstep two\n"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");

        // The log of a container is masked in the same way.
        lab.vms[0].docker(&[
            "exec",
            "rubis_web",
            "sh",
            "-c",
            "echo \"PW $PASSWORD end\" >/proc/1/fd/1",
        ]);
        let mut patience = Patience::every(Duration::from_millis(50));
        loop {
            let log = crate::http::get(&service.api.url("/api/logs/vm1/rubis_web")).await;
            assert!(log.0 == 200 && !log.1.contains("hunter2"), "{log:?}");
            if log.1.contains("PW *** end") {
                break;
            }
            patience.wait(|| format!("{log:?}")).await;
        }

        // A second execution, followed by the command: each line behind its action.
        std::fs::write(
            "/run/lab/plan.json",
            plan(&[("web", 1.0, 2), ("db", 1.0, 1)]).to_string(),
        )
        .unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_mapek"))
            .args([
                "execute",
                "/run/lab/plan.json",
                "--yes",
                "--server",
                &service.api.url(""),
            ])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let said = text(&output.stderr);
        assert!(
            said.contains("on vm 'vm1': step one") && said.contains("on vm 'vm1': step two"),
            "{said}"
        );
        assert!(said.contains(": the password is ***"), "{said}");
    });
}
