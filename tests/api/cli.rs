//! The command line as a client of a real service. What needs engines is in `tests/lab/cli.rs`.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::server::{Server, program};

/// Two apps on hosts where nobody answers: enough for everything except an execution.
pub fn topology() -> Value {
    json!({
        "infrastructure": { "cloud_driver": { "hosts": { "vm1": { "docker": "unix:///nonexistent/1" }, "vm2": { "docker": "unix:///nonexistent/2" } } },
            "cpu_cores": 2, "mem_units": 4 },
        "apps": [{ "name": "shop", "tiers": {
            "web": { "docker_image": "web:1", "max_nodes": 2, "depends_on": ["db"] },
            "db": { "docker_image": "db:1", "ports": ["8080:80"] },
        } }],
    })
}

pub fn plan() -> Value {
    json!({ "shop": { "web": { "cpu_cores": 2, "mem_units": 3 }, "db": { "cpu_cores": 1, "mem_units": 2 } } })
}

pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error} in {:?} ({})", self.out, self.err))
    }

    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "out: {}\nerr: {}", self.out, self.err);
        self
    }
}

pub fn client(server: &str, arguments: &[&str]) -> Command {
    let mut command = program();
    command.env("MAPEK_SERVER", server).args(arguments);
    command
}

pub fn run(command: &mut Command, input: &str) -> Said {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that reads nothing closes its end.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    Said {
        code: status.code(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

fn ask(server: &Server, arguments: &[&str], input: &str) -> Said {
    run(&mut client(server.base(), arguments), input)
}

#[test]
fn a_topology_goes_in_from_a_pipe_and_comes_out_as_it_was() {
    let server = Server::start();
    let put = ask(&server, &["topology", "put", "-"], &topology().to_string()).expect(0);
    assert!(put.out.contains("Put, as generation 1"), "{}", put.out);
    assert!(put.out.contains("max_nodes"), "a synonym is noted: {}", put.out);
    let got = ask(&server, &["topology", "get"], "").expect(0);
    assert_eq!(got.json(), topology());
    let table = ask(&server, &["topology", "get", "-o", "table"], "")
        .expect(0)
        .out;
    assert!(table.contains("shop_web") && table.contains("8080:80"), "{table}");
}

#[test]
fn what_is_not_valid_is_refused_with_every_problem() {
    let server = Server::start();
    let bad =
        json!({ "infrastructure": { "cpu_cores": 0 }, "apps": [{ "name": "a", "tiers": { "b": {} } }] });
    let said = ask(&server, &["topology", "put", "-"], &bad.to_string()).expect(3);
    assert!(
        said.err.contains("cpu_cores") && said.err.contains("docker_image"),
        "{}",
        said.err
    );
    assert_eq!(said.out, "");
    // The same as JSON, for scripts.
    let said = ask(&server, &["-o", "json", "topology", "put", "-"], &bad.to_string()).expect(3);
    assert_eq!(said.json()["code"], "topology_invalid");
    let said = ask(&server, &["translate", "-"], "{ nonsense").expect(3);
    assert!(said.err.contains("standard input is not JSON"), "{}", said.err);
    let said = ask(&server, &["translate", "/nonexistent/plan.json"], "").expect(1);
    assert!(said.err.contains("/nonexistent/plan.json"), "{}", said.err);
}

#[test]
fn translate_shows_what_would_change_and_how_good_it_is() {
    let server = Server::start();
    let said = ask(&server, &["translate", "-"], &plan().to_string()).expect(4);
    assert!(said.err.contains("no topology yet"), "{}", said.err);
    ask(&server, &["topology", "put", "-"], &topology().to_string()).expect(0);

    let said = ask(&server, &["translate", "-", "--stages"], &plan().to_string()).expect(0);
    for part in [
        "+ VM vm1",
        "+ shop_db",
        "cpu_cores 1, mem_units 2",
        "In this order:",
        "stage 1  create vm 'vm1'",
        "to create",
        "proven to be the least",
        "Warnings:",
    ] {
        assert!(said.out.contains(part), "{part} is not in\n{}", said.out);
    }
    assert!(!said.out.contains('\x1b'), "no colours in a pipe: {:?}", said.out);

    let json = ask(&server, &["translate", "-o", "json", "-"], &plan().to_string())
        .expect(0)
        .json();
    assert_eq!(json["proven_optimal"], true);
    assert_eq!(json["actions"][0][0], "create vm 'vm1'");

    let impossible = json!({ "shop": { "web": { "cpu_cores": 9, "mem_units": 9 } } });
    let said = ask(&server, &["translate", "-"], &impossible.to_string()).expect(3);
    assert!(said.err.contains("shop_web"), "{}", said.err);
    let json = ask(
        &server,
        &["translate", "-", "-o", "json"],
        &impossible.to_string(),
    )
    .expect(3)
    .json();
    assert_eq!(json["code"], "infeasible");
}

#[test]
fn colours_are_for_terminals_and_for_those_who_want_them() {
    let server = Server::start();
    ask(&server, &["topology", "put", "-"], &topology().to_string()).expect(0);
    let with = |variables: &[(&str, &str)]| {
        let mut command = client(server.base(), &["translate", "-"]);
        command
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE")
            .envs(variables.iter().copied());
        run(&mut command, &plan().to_string()).expect(0).out
    };
    assert!(!with(&[]).contains('\x1b'));
    assert!(with(&[("CLICOLOR_FORCE", "1")]).contains("\x1b[32m+"));
    assert!(!with(&[("NO_COLOR", "1")]).contains('\x1b'));
}

#[test]
fn nothing_is_changed_without_a_yes() {
    let server = Server::start();
    ask(&server, &["topology", "put", "-"], &topology().to_string()).expect(0);
    let said = ask(&server, &["execute", "-"], &plan().to_string()).expect(9);
    assert!(said.out.contains("+ VM vm1"), "{}", said.out);
    assert!(said.err.contains("--yes"), "{}", said.err);
    assert_eq!(
        ask(&server, &["executions", "-o", "json"], "").json()["executions"],
        json!([])
    );
    let said = ask(&server, &["executions"], "").expect(0);
    assert_eq!(said.out, "No executions yet.\n");
}

#[test]
fn an_execution_that_can_not_begin_is_told_by_its_kind() {
    let server = Server::start();
    ask(&server, &["topology", "put", "-"], &topology().to_string()).expect(0);
    let said = ask(&server, &["execute", "--yes", "-"], &plan().to_string()).expect(8);
    assert!(said.err.contains("nonexistent"), "{}", said.err);
    let json = ask(
        &server,
        &["-o", "json", "execute", "--yes", "-"],
        &plan().to_string(),
    )
    .expect(8);
    assert_eq!(json.json()["code"], "engine_unreachable");
}

#[test]
fn a_plan_that_changes_nothing_asks_nothing_and_is_on_record() {
    let server = Server::start();
    ask(&server, &["topology", "put", "-"], &topology().to_string()).expect(0);
    let said = ask(&server, &["execute", "-"], "{}").expect(0);
    assert!(said.out.contains("Nothing to do"), "{}", said.out);
    assert!(said.out.contains("Done: execution "), "{}", said.out);
    let json = ask(&server, &["execute", "-", "-o", "json"], "{}")
        .expect(0)
        .json();
    assert_eq!(json["state"], "succeeded");
    let id = json["id"].as_str().unwrap();
    let list = ask(&server, &["executions"], "").expect(0).out;
    assert!(
        list.lines().nth(1).unwrap().starts_with(id),
        "the newest first:\n{list}"
    );
    let one = ask(&server, &["executions", "last"], "").expect(0).out;
    assert!(one.contains(&format!("execution {id}: succeeded")), "{one}");
    let said = ask(&server, &["cancel", id], "").expect(4);
    assert!(said.err.contains("nothing to cancel"), "{}", said.err);
    let said = ask(&server, &["cancel"], "").expect(4);
    assert!(said.err.contains("no execution is running"), "{}", said.err);
    ask(
        &server,
        &["executions", "0197f3a0-0000-7000-8000-000000000000"],
        "",
    )
    .expect(3);
}

#[test]
fn events_are_told_from_the_first_and_end_when_nobody_reads() {
    let server = Server::start();
    ask(&server, &["topology", "put", "-"], &topology().to_string()).expect(0);
    ask(&server, &["execute", "-"], "{}").expect(0);
    let lines = |arguments: &[&str], count: usize| {
        let mut child = client(server.base(), arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = std::io::BufReader::new(child.stdout.take().unwrap());
        let lines: Vec<String> = std::io::BufRead::lines(out)
            .take(count)
            .map(Result::unwrap)
            .collect();
        // Its reader is gone by now; the next event makes it notice.
        ask(&server, &["execute", "-"], "{}").expect(0);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        lines
    };
    let table = lines(&["events", "--after", "0"], 3);
    assert!(table[0].contains("topology_put  generation=1"), "{table:?}");
    assert!(table[2].contains("finished"), "{table:?}");
    let json = lines(&["events", "--after", "1", "-o", "json"], 2);
    let first: Value = serde_json::from_str(&json[0]).unwrap();
    assert_eq!(
        (&first["event"], &first["id"]),
        (&json!("execution_begun"), &json!(2))
    );
}

#[test]
fn a_what_if_is_answered_here_or_by_the_service_alike() {
    let server = Server::start();
    let question = json!({ "topology": topology(), "plan": plan() }).to_string();
    let strip = |mut answer: Value| {
        for field in ["time", "solve_ms"] {
            answer.as_object_mut().unwrap().remove(field);
        }
        answer
    };
    let here = strip(
        run(&mut client("http://127.0.0.1:1", &["solve", "-"]), &question)
            .expect(0)
            .json(),
    );
    let there = strip(
        ask(&server, &["solve", "--remote", "-"], &question)
            .expect(0)
            .json(),
    );
    assert_eq!(here, there);
    let table = ask(&server, &["solve", "-o", "table"], &question).expect(0).out;
    assert!(table.contains("+ VM vm1"), "{table}");
    let said = ask(&server, &["solve"], "{}").expect(3);
    assert_eq!(said.json()["code"], "request_invalid");
}

#[test]
fn a_topology_is_compared_with_what_the_service_has() {
    let server = Server::start();
    let mut present = topology();
    present["apps"][0]["tiers"]["db"]["environment"] = json!({ "PASSWORD": "geheim123", "USER": "me" });
    ask(&server, &["topology", "put", "-"], &present.to_string()).expect(0);
    let said = ask(&server, &["diff", "--exit-code", "-"], &present.to_string()).expect(0);
    assert!(said.out.contains("The service has this topology"), "{}", said.out);
    assert!(
        said.out.contains("2 hidden values could not be compared"),
        "{}",
        said.out
    );

    let mut given = ask(&server, &["topology", "get"], "").expect(0).json();
    assert_eq!(
        ask(&server, &["diff", "--exit-code", "-"], &given.to_string()).code,
        Some(0),
        "as it was read"
    );
    given["infrastructure"]["cpu_cores"] = json!(4);
    given["apps"][0]["tiers"]["db"]["environment"]["NEW"] = json!("geheim456");
    given["apps"][0]["tiers"]["web"]
        .as_object_mut()
        .unwrap()
        .remove("max_nodes");
    let said = ask(&server, &["diff", "-"], &given.to_string()).expect(0);
    for line in [
        "~ infrastructure.cpu_cores: 2 -> 4",
        "+ apps[\"shop\"].tiers.db.environment.NEW: \"***\"",
        "- apps[\"shop\"].tiers.web.max_nodes: 2",
    ] {
        assert!(
            said.out.lines().any(|one| one == line),
            "{line} is not in\n{}",
            said.out
        );
    }
    assert!(!said.out.contains("geheim"), "{}", said.out);
    let said = ask(
        &server,
        &["diff", "--exit-code", "-o", "json", "-"],
        &given.to_string(),
    )
    .expect(10);
    assert_eq!(
        said.json()["changes"].as_array().unwrap().len(),
        3,
        "{}",
        said.out
    );
    assert_eq!(
        ask(&server, &["topology", "get"], "").json()["infrastructure"]["cpu_cores"],
        2
    );
}

#[test]
fn the_plan_that_holds_is_shown_and_the_first_one_can_not_be_undone() {
    let server = Server::start();
    assert!(ask(&server, &["plan"], "").expect(0).out.contains("no plan yet"));
    let said = ask(&server, &["undo", "--yes"], "").expect(4);
    assert!(said.err.contains("no plan to undo"), "{}", said.err);
    ask(&server, &["topology", "put", "-"], &topology().to_string()).expect(0);
    ask(&server, &["execute", "-"], "{}").expect(0);
    let said = ask(&server, &["plan"], "").expect(0).out;
    assert!(
        said.contains("reached") && said.contains("by anonymous"),
        "{said}"
    );
    assert_eq!(
        ask(&server, &["plan", "-o", "json"], "").expect(0).json()["plan"],
        json!({})
    );
    let said = ask(&server, &["undo", "--yes"], "").expect(4);
    assert!(said.err.contains("nothing to go back to"), "{}", said.err);
}

#[test]
fn what_is_not_there_can_be_neither_given_up_nor_read() {
    let server = Server::start();
    let said = ask(&server, &["logs", "vm1/shop_db"], "").expect(4);
    assert!(said.err.contains("no topology yet"), "{}", said.err);
    ask(&server, &["topology", "put", "-"], &topology().to_string()).expect(0);
    let said = ask(&server, &["give-up", "vm9"], "").expect(3);
    assert!(said.err.contains("vm9"), "{}", said.err);
    let said = ask(&server, &["logs", "vm9/shop_db"], "").expect(3);
    assert!(said.err.contains("there is no VM 'vm9'"), "{}", said.err);
    // It is in the topology, and its engine does not answer.
    ask(&server, &["logs", "vm1/shop_db"], "").expect(8);
    let said = ask(&server, &["logs", "shop_db"], "").expect(3);
    assert!(said.err.contains("VM/shop_db"), "{}", said.err);
    let said = ask(&server, &["logs", "vm1/shop_db", "--since", "yesterday"], "").expect(2);
    assert!(said.err.contains("--since should be a time"), "{}", said.err);
}

#[test]
fn options_that_would_be_ignored_are_refused() {
    for arguments in [
        &["--listen", "127.0.0.1:0", "allocation"][..],
        &["--server", "127.0.0.1:8000"],
        &["serve", "--server", "127.0.0.1:8000"],
        &["allocation", "--token", "a", "--token-from", "b"],
        &["--server", "http://me:hunter2@127.0.0.1", "allocation"],
        &["executions", "nonsense"],
        &["nonsense"],
    ] {
        let said = run(program().args(arguments), "").expect(2);
        assert!(
            !said.err.is_empty() && !said.err.contains("hunter2"),
            "{arguments:?}: {}",
            said.err
        );
    }
}

#[test]
fn help_lists_the_exit_codes_and_every_command() {
    let help = run(program().arg("--help"), "").expect(0).out;
    for part in ["Exit codes:", "MAPEK_SERVER", "MAPEK_TOKEN"] {
        assert!(help.contains(part), "{part} is not in\n{help}");
    }
    // A command is at the beginning of a line, followed by what it does.
    let listed: Vec<&str> = help
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_once("  "))
        .map(|(name, _)| name)
        .collect();
    for command in [
        "topology",
        "translate",
        "execute",
        "allocation",
        "inspect",
        "executions",
        "events",
        "cancel",
        "solve",
        "completions",
        "serve",
        "diff",
        "validate",
        "plan",
        "undo",
        "logs",
        "top",
        "give-up",
        "nodes",
        "candidates",
        "cordon",
        "uncordon",
        "drain",
        "migrate",
        "doctor",
        "hooks",
        "adopt",
        "resume",
        "rollback",
        "backup",
        "restore",
    ] {
        assert!(listed.contains(&command), "{command} is not in\n{help}");
    }
    assert!(!listed.contains(&"describe"), "{help}");
    assert!(help.contains("serve        Start the service"), "{help}");
    // Options of the service are in the help of `serve`, and those of clients are not.
    let serve = run(program().args(["serve", "--help"]), "").expect(0).out;
    assert!(
        serve.contains("--solve-deadline-ms") && !help.contains("--solve-deadline-ms"),
        "{help}"
    );
    for command in ["serve", "backup", "completions", "validate", "doctor", "hooks"] {
        let help = run(program().args([command, "--help"]), "").expect(0).out;
        assert!(
            !help.contains("MAPEK_TOKEN]") && !help.contains("--server"),
            "{help}"
        );
    }
    let allocation = run(program().args(["allocation", "--help"]), "").expect(0).out;
    assert!(
        allocation.contains("--server") && !allocation.contains("--listen"),
        "{allocation}"
    );
    let mut secret = program();
    secret.env("MAPEK_TOKEN", "hunter2").arg("--help");
    assert!(!run(&mut secret, "").expect(0).out.contains("hunter2"));
}

#[test]
fn completions_know_the_commands_and_options() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(program().args(["completions", shell]), "").expect(0).out;
        assert!(
            script.contains("translate") && script.contains("token-from"),
            "{shell}"
        );
    }
    // The shell itself accepts it.
    let script = run(program().args(["completions", "bash"]), "").expect(0).out;
    let mut shell = Command::new("bash");
    run(
        shell.args(["-c", "source /dev/stdin && complete -p mapek"]),
        &script,
    )
    .expect(0);
}

#[test]
fn a_token_without_the_role_is_told_from_an_unknown_one() {
    let server = Server::start_with(&["--tokens", &crate::auth::tokens()]);
    let with = |token: Option<&str>, arguments: &[&str], input: &str| {
        let mut command = client(server.base(), arguments);
        command.envs(token.map(|token| ("MAPEK_TOKEN", token)));
        run(&mut command, input)
    };
    let topology = topology().to_string();
    for token in [None, Some("a-token-that-is-none")] {
        let said = with(token, &["allocation"], "").expect(7);
        assert!(
            said.err.contains("MAPEK_TOKEN") && !said.err.contains("that-is-none"),
            "{}",
            said.err
        );
    }
    with(Some(crate::auth::READER), &["allocation"], "").expect(0);
    let said = with(Some(crate::auth::READER), &["topology", "put", "-"], &topology).expect(7);
    assert!(said.err.contains("write"), "{}", said.err);
    with(Some(crate::auth::WRITER), &["topology", "put", "-"], &topology).expect(0);
    let json = with(
        Some(crate::auth::READER),
        &["events", "-o", "json", "--after", "nonsense"],
        "",
    );
    assert_eq!(json.code, Some(2));
}
