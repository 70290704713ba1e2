//! `mapek execute` and related commands against real engines: in a pipe, on a terminal, across a
//! kill.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::daemons::Lab;
use crate::git::Repository;
use crate::process::wait_until;
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

/// How a command ended, and what it said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

/// The plan in a file, as users have it.
pub fn plan_file(name: &str, plan: &Value) -> String {
    let path = format!("/run/lab/{name}.json");
    std::fs::write(&path, plan.to_string()).unwrap();
    path
}

pub fn command(service: &Service, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mapek"));
    command
        .env("MAPEK_SERVER", service.api.url(""))
        .args(arguments)
        .stdin(Stdio::null());
    command
}

fn run(service: &Service, arguments: &[&str]) -> Said {
    let output = command(service, arguments).output().unwrap();
    Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The same on a terminal of its own, at which somebody types `input`.
fn on_terminal(service: &Service, arguments: &[&str], input: &str) -> (Option<i32>, String) {
    use std::io::Write;
    let quoted: Vec<String> = arguments.iter().map(|argument| format!("'{argument}'")).collect();
    let line = format!(
        "stty cols 120 rows 40; exec {} {}",
        env!("CARGO_BIN_EXE_mapek"),
        quoted.join(" ")
    );
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("MAPEK_SERVER", service.api.url(""))
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut typed = child.stdin.take().unwrap();
    typed.write_all(input.as_bytes()).unwrap();
    // The terminal stays until the command has ended.
    let output = child.wait_with_output().unwrap();
    drop(typed);
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

async fn two_tiers(lab: &Lab, service: &Service, hook: &str) {
    let repository = Repository::new("hooks");
    repository.write("scale_hooks/hook.sh", hook);
    repository.commit("A hook");
    let web = with(
        idle(),
        json!({"depends_on": ["db"], "on_node_scale": "hook.sh", "stop_grace_s": 0}),
    );
    let tiers = json!({"web": web, "db": with(idle(), json!({"stop_grace_s": 0}))});
    let mut topology = on_hosts(lab.hosts(2), tiers);
    topology["infrastructure"]["hooks_git_repo"] = json!(repository.path());
    service.put_topology(&topology).await;
}

#[test]
fn a_plan_is_shown_and_carried_out_and_followed_in_a_pipe() {
    in_lab!(2, async |lab| {
        let service = Service::start();
        two_tiers(lab, &service, "#!/bin/sh\nexit 0\n").await;
        let file = plan_file("plan", &plan(&[("web", 2.0, 2), ("db", 1.0, 1)]));

        let refused = run(&service, &["execute", &file]);
        assert_eq!(refused.code, Some(9), "{}", refused.err);
        assert_eq!(service.allocation().await, json!({}));

        let said = run(&service, &["execute", "--yes", &file]);
        assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
        assert!(
            said.out.contains("+ rubis_web") && said.out.contains("Done: execution"),
            "{}",
            said.out
        );
        let actions: usize = service.executions().await["executions"][0]["actions"]
            .as_u64()
            .unwrap()
            .try_into()
            .unwrap();
        let lines: Vec<&str> = said.err.lines().collect();
        assert_eq!(lines.len(), actions, "one line for each action: {lines:#?}");
        assert!(
            lines[0].starts_with("stage 1/") && lines[0].contains("done  create vm"),
            "{lines:#?}"
        );
        assert!(
            !said.err.contains('\x1b') && !said.out.contains('\x1b'),
            "{}",
            said.err
        );

        // What the tables say is what runs.
        let allocation = run(&service, &["allocation"]).out;
        assert!(
            allocation.contains("rubis_db") && allocation.contains("10.77.1."),
            "{allocation}"
        );
        let inspected = run(&service, &["inspect"]).out;
        assert!(
            inspected.contains("rubis_web") && inspected.contains("running"),
            "{inspected}"
        );

        // The same plan again has nothing to do, and asks nothing.
        let again = run(&service, &["execute", "-o", "json", &file]);
        assert_eq!(again.code, Some(0), "{}", again.err);
        let record: Value = serde_json::from_str(&again.out).unwrap();
        assert_eq!(
            (&record["state"], &record["actions"]),
            (&json!("succeeded"), &json!(0))
        );
        assert!(again.err.contains("Nothing to do"), "{}", again.err);
    });
}

#[test]
fn on_a_terminal_it_asks_and_draws_bars_in_colour() {
    in_lab!(2, async |lab| {
        let service = Service::start();
        // Slow enough to be seen.
        two_tiers(lab, &service, "#!/bin/sh\nsleep 1\n").await;
        let file = plan_file("plan", &plan(&[("web", 1.0, 2), ("db", 1.0, 1)]));
        let (code, shown) = on_terminal(&service, &["execute", &file], "n\n");
        assert_eq!(code, Some(9), "{shown}");
        assert!(
            shown.contains("Carry this out? [y/N]") && shown.contains("nothing was changed"),
            "{shown}"
        );
        assert_eq!(service.allocation().await, json!({}));

        let (code, shown) = on_terminal(&service, &["execute", &file], "yes\n");
        assert_eq!(code, Some(0), "{shown}");
        for part in [
            "\x1b[32m+",
            "stage 1/",
            "====",
            "actions",
            "run scale hook",
            "Done:",
        ] {
            assert!(shown.contains(part), "{part:?} is not in {shown}");
        }
        assert_ne!(service.allocation().await, json!({}));
    });
}

/// Starts `mapek execute`, and waits until it has reported `count` actions.
fn start_and_see(
    service: &Service,
    arguments: &[&str],
    count: usize,
) -> (Child, std::thread::JoinHandle<String>) {
    let mut child = command(service, arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut seen = String::new();
    for _ in 0..count {
        let line = lines.next().expect("it goes on").unwrap();
        seen.push_str(&(line + "\n"));
    }
    let rest = std::thread::spawn(move || {
        lines
            .map_while(Result::ok)
            .for_each(|line| seen.push_str(&(line + "\n")));
        seen
    });
    (child, rest)
}

#[test]
fn a_service_that_is_killed_in_the_middle_is_waited_for() {
    in_lab!(2, async |lab| {
        let mut service = Service::start();
        two_tiers(lab, &service, "#!/bin/sh\nsleep 2\n").await;
        let file = plan_file("plan", &plan(&[("web", 1.0, 2), ("db", 1.0, 1)]));
        let (mut child, said) = start_and_see(&service, &["execute", "--yes", &file], 3);
        service.kill();
        service.start_again();
        wait_until(
            || "the command goes on".to_owned(),
            || child.try_wait().unwrap().is_some(),
        );
        let said = said.join().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
        assert!(said.contains("the service was started again"), "{said}");
        assert_eq!(said.matches("done  run scale hook").count(), 1, "{said}");
    });
}

#[test]
fn what_does_not_succeed_is_told_by_its_exit_code_and_its_reason() {
    in_lab!(2, async |lab| {
        let service = Service::start();
        two_tiers(lab, &service, "#!/bin/sh\necho out of luck\nexit 3\n").await;
        let file = plan_file("plan", &plan(&[("web", 1.0, 2), ("db", 1.0, 1)]));
        let said = run(&service, &["execute", "--yes", "--on-failure", "rollback", &file]);
        assert_eq!(said.code, Some(5), "{}", said.err);
        for part in [
            "failed  run scale hook",
            "undoing what was done",
            "back 1/",
            "has been undone",
            "out of luck",
        ] {
            assert!(said.err.contains(part), "{part} is not in {}", said.err);
        }
        let shown = run(&service, &["executions", "last"]);
        assert!(
            shown.out.contains("rolled_back") && shown.out.contains("back 1"),
            "{}",
            shown.out
        );

        // Cancelled from elsewhere while it is followed; what runs is waited for.
        two_tiers(lab, &service, "#!/bin/sh\nsleep 3\n").await;
        let (mut child, said) = start_and_see(&service, &["execute", "--yes", &file], 2);
        let cancelled = run(&service, &["cancel"]);
        assert_eq!(cancelled.code, Some(0), "{}", cancelled.err);
        wait_until(
            || "the command goes on".to_owned(),
            || child.try_wait().unwrap().is_some(),
        );
        let said = said.join().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(5), "{said}");
        assert!(said.contains("was cancelled"), "{said}");

        let detached = run(&service, &["execute", "--yes", "--detach", &file]);
        assert_eq!(detached.code, Some(0), "{}", detached.err);
        assert!(detached.out.contains("Begun as execution"), "{}", detached.out);
    });
}

#[test]
fn the_plan_before_comes_back_and_a_vm_that_is_gone_is_given_up() {
    in_lab!(2, async |lab| {
        let service = Service::start();
        two_tiers(lab, &service, "#!/bin/sh\nexit 0\n").await;
        let one = plan_file("one", &plan(&[("db", 1.0, 1)]));
        let two = plan_file("two", &plan(&[("web", 2.0, 2), ("db", 1.0, 1)]));
        for file in [&one, &two, &two] {
            let said = run(&service, &["execute", "--yes", file]);
            assert_eq!(said.code, Some(0), "{}", said.err);
        }
        let shown = run(&service, &["plan"]).out;
        assert!(
            shown.contains("reached") && shown.contains("rubis_web"),
            "{shown}"
        );

        // It shows, and asks; there is nobody to answer.
        let refused = run(&service, &["undo"]);
        assert_eq!(refused.code, Some(9), "{}", refused.err);
        assert!(refused.out.contains("- rubis_web"), "{}", refused.out);
        assert_eq!(service.vms_of("rubis_web").await.len(), 1);
        // The same plan, sent twice, is one plan.
        let said = run(&service, &["undo", "--yes"]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(service.vms_of("rubis_web").await.is_empty());
        assert_eq!(service.vms_of("rubis_db").await.len(), 1);
        // And forward again.
        let said = run(&service, &["undo", "--yes"]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        let [gone] = &service.vms_of("rubis_web").await[..] else {
            panic!("one VM has it")
        };

        // As long as its engine answers a VM is not given up.
        let refused = run(&service, &["give-up", "--yes", gone]);
        assert_eq!(refused.code, Some(4), "{}", refused.err);
        let engine = lab.vms.iter_mut().find(|vm| vm.name == *gone).unwrap();
        engine.kill_engine();
        let asked = run(&service, &["give-up", gone]);
        assert_eq!(asked.code, Some(9), "{}", asked.err);
        let said = run(&service, &["give-up", "--yes", gone]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(said.out.contains("rubis_web"), "{}", said.out);
        assert!(service.vms_of("rubis_web").await.is_empty());
    });
}

#[test]
fn an_undo_that_nobody_confirms_leaves_the_topology_as_it_was() {
    in_lab!(1, async |lab| {
        let service = Service::start();
        let wanted = plan(&[("one", 1.0, 1)]);
        let file = plan_file("undo", &wanted);
        for value in ["old", "new"] {
            let tier = with(idle(), json!({"environment": {"VALUE": value}}));
            service
                .put_topology(&on_hosts(lab.hosts(1), json!({"one": tier})))
                .await;
            let said = run(&service, &["execute", "--yes", &file]);
            assert_eq!(said.code, Some(0), "{}", said.err);
        }
        let refused = run(&service, &["undo"]);
        assert_eq!(refused.code, Some(9), "{}", refused.err);
        let replaced = "replace container 'rubis_one'";
        assert!(refused.out.contains("rubis_one"), "{}", refused.out);
        // Nobody's next plan may roll it back.
        let stages = service.translate(&wanted).await;
        assert!(
            !stages.iter().flatten().any(|action| action.starts_with(replaced)),
            "{stages:?}"
        );

        let said = run(&service, &["undo", "--yes"]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        let there = lab.vms[0].inspect("rubis_one").unwrap();
        let environment = there["Config"]["Env"].as_array().unwrap();
        assert!(environment.contains(&json!("VALUE=old")), "{environment:?}");
    });
}

#[test]
fn what_a_container_writes_is_read_whole_in_part_and_as_it_comes() {
    in_lab!(1, async |lab| {
        let service = Service::start();
        let wait = |file: &str| format!("while ! test -e {file}; do sleep 0.1; done");
        let (second, last) = (wait("/second"), wait("/last"));
        let writes =
            format!("sh -c 'echo one; echo two >&2; {second}; echo three; {last}; echo four; sleep 100000'");
        let tier = with(idle(), json!({"entrypoint_params": writes, "stop_grace_s": 0}));
        service
            .put_topology(&on_hosts(lab.hosts(1), json!({"a": tier})))
            .await;
        service.execute(&plan(&[("a", 1.0, 1)])).await;
        let lines = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let written = || lines(&run(&service, &["logs", "vm1/rubis_a"]).out);
        // The engine has a thread for each of the two streams, so their order is not certain.
        wait_until(|| format!("{:?}", written()), || written().len() == 2);
        assert_eq!(written(), ["one", "two"]);
        lab.vms[0].docker(&["exec", "rubis_a", "touch", "/second"]);
        wait_until(|| format!("{:?}", written()), || written().len() == 3);
        assert_eq!(run(&service, &["logs", "rubis_a", "--tail", "1"]).out, "three\n");
        assert_eq!(
            run(&service, &["logs", "rubis_a", "--since", "2100-01-01T00:00:00Z"]).out,
            ""
        );
        assert_eq!(
            lines(&run(&service, &["logs", "rubis_a", "--since", "1h"]).out).len(),
            3
        );

        let mut child = command(&service, &["logs", "-f", "--tail", "1", "rubis_a"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut followed = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(followed.next().unwrap().unwrap(), "three");
        lab.vms[0].docker(&["exec", "rubis_a", "touch", "/last"]);
        assert_eq!(followed.next().unwrap().unwrap(), "four");
        // It ends with the container.
        service.execute(&json!({})).await;
        assert!(followed.next().is_none());
        assert_eq!(child.wait().unwrap().code(), Some(0));

        // Foreign ones can't be read.
        lab.vms[0].docker(&[
            "run",
            "--detach",
            "--name",
            "alien",
            "--memory",
            "64m",
            crate::images::BUSYBOX,
            "sh",
            "-c",
            "echo secret; sleep 1000",
        ]);
        let refused = run(&service, &["logs", "vm1/alien"]);
        assert_eq!(
            (refused.code, refused.out.as_str()),
            (Some(3), ""),
            "{}",
            refused.err
        );
        assert!(refused.err.contains("mapek did not make"), "{}", refused.err);
    });
}

#[test]
fn what_containers_use_is_told_beside_what_they_may() {
    in_lab!(2, async |lab| {
        let service = Service::start();
        assert!(run(&service, &["top"]).out.contains("Nothing runs."));
        // One keeps a core busy, the other sleeps.
        let spins = with(
            idle(),
            json!({"entrypoint_params": "sh -c 'while :; do :; done'", "stop_grace_s": 0}),
        );
        let tiers = json!({"busy": spins, "idle": with(idle(), json!({"stop_grace_s": 0}))});
        service.put_topology(&on_hosts(lab.hosts(2), tiers)).await;
        service
            .execute(&plan(&[("busy", 1.0, 1), ("idle", 2.0, 2)]))
            .await;
        let (busy, other) = (
            service.vms_of("rubis_busy").await,
            service.vms_of("rubis_idle").await,
        );
        assert_ne!(busy, other);
        let said = run(&service, &["top", "-o", "json"]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        let usage: Value = serde_json::from_str(&said.out).unwrap();
        let (busy, idle) = (&usage[&busy[0]]["rubis_busy"], &usage[&other[0]]["rubis_idle"]);
        let cores = |one: &Value| one["cpu_cores"].as_f64().unwrap();
        assert!(cores(busy) > cores(idle) && cores(busy) > 0.01, "{usage:#}");
        assert_eq!(
            (&busy["cpu_limit"], &idle["cpu_limit"]),
            (&json!(1.0), &json!(2.0)),
            "{usage:#}"
        );
        assert_eq!(busy["memory_limit"], 64 << 20, "{usage:#}");
        let memory = busy["memory"].as_u64().unwrap();
        assert!(0 < memory && memory < 64 << 20, "{usage:#}");
        let table = run(&service, &["top"]).out;
        assert!(
            table.contains("rubis_busy") && table.contains("OF CORES"),
            "{table}"
        );

        // A VM that can't be asked does not spoil the rest.
        let engine = lab.vms.iter_mut().find(|vm| vm.name == other[0]).unwrap();
        engine.kill_engine();
        let said = run(&service, &["top"]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(
            said.out.contains("not measured:") && said.out.contains("running"),
            "{}",
            said.out
        );
    });
}

#[test]
fn the_doctor_finds_nothing_wrong_with_an_engine_that_works() {
    in_lab!(1, async |lab| {
        let output = Command::new(env!("CARGO_BIN_EXE_mapek"))
            .args([
                "doctor",
                "-o",
                "json",
                "--data-dir",
                "/run/lab/data",
                "--docker-host",
                &lab.vms[0].endpoint(),
            ])
            .output()
            .unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let result = |name: &str| {
            let checks = report["checks"].as_array().unwrap();
            checks.iter().find(|check| check["check"] == name).unwrap()["result"].clone()
        };
        assert_eq!(result("engine"), "ok", "{report:#}");
        assert_ne!(result("limits"), "fail", "{report:#}");
        assert_eq!(output.status.code(), Some(0), "{report:#}");
    });
}
