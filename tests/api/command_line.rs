//! Flags, environment, file.

use std::process::{Command, Output};

use crate::server::program;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &*String::from_utf8_lossy(&output.stdout)
}

/// The program, without a folder for its data: a service that should not have been started ends at
/// once.
fn homeless() -> Command {
    let mut command = program();
    command.env("MAPEK_DATA_DIR", "/proc/none");
    command
}

/// Every option of the service, with its environment variable and whether it takes a value: from the
/// help of `serve`.
fn options() -> Vec<(String, String)> {
    let text = said(&program().args(["serve", "--help"]).output().unwrap());
    assert!(
        !text.contains("Options of the commands that ask a service"),
        "{text}"
    );
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.lines().map(str::trim_start) {
        let line = line.strip_prefix("-h, ").unwrap_or(line);
        if line.starts_with("--") {
            let name = line.split([' ', '[']).next().unwrap();
            found.push((name.to_owned(), String::new()));
        }
        if let Some((_, rest)) = line.split_once("[env: ") {
            found.last_mut().unwrap().1 = rest.split(['=', ']']).next().unwrap().to_owned();
        }
    }
    found.retain(|(name, _)| name != "--help");
    found
}

#[test]
fn every_option_of_the_service_has_an_environment_variable_of_its_name() {
    let options = options();
    assert!(options.len() >= 25, "{options:?}");
    for (name, variable) in options {
        let expected = format!(
            "MAPEK_{}",
            name.trim_start_matches('-').replace('-', "_").to_uppercase()
        );
        let known = if name == "--docker-host" {
            "DOCKER_HOST"
        } else {
            &expected
        };
        assert_eq!(variable, known, "{name}");
    }
}

#[test]
fn an_option_that_the_command_has_too_is_said_to_belong_behind_it() {
    for command in ["backup", "restore"] {
        let output = program()
            .args(["--data-dir", "/nonexistent", command, "/nonexistent/file"])
            .output()
            .unwrap();
        let text = said(&output);
        let place = format!("--data-dir is an option of `{command}`");
        assert!(text.contains(&place), "{text}");
    }
}

#[test]
fn an_option_of_the_service_before_a_command_is_refused() {
    for (name, _) in options() {
        for command in ["serve", "allocation", "completions"] {
            let value = match name.as_str() {
                "--listen" => "127.0.0.1:0",
                "--insecure" => "true",
                "--log-format" => "json",
                "--on-restart" => "hold",
                _ => "1",
            };
            let mut arguments = vec![format!("{name}={value}"), command.to_owned()];
            arguments.extend((command == "completions").then(|| "bash".to_owned()));
            let output = homeless().args(&arguments).output().unwrap();
            let text = said(&output);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
            assert!(
                text.contains(&format!("{name} is an option of `serve`")),
                "{arguments:?}: {text}"
            );
        }
    }
}

#[test]
fn an_option_of_clients_is_refused_where_nothing_is_asked() {
    for arguments in [
        &["--server", "http://127.0.0.1:1", "serve"][..],
        &["serve", "--server", "http://127.0.0.1:1"],
        &["--token", "x", "completions", "bash"],
        &["completions", "bash", "--token", "x"],
        &["solve", "--server", "http://127.0.0.1:1", "-"],
        &["--server", "http://127.0.0.1:1"],
    ] {
        let output = homeless().args(arguments).output().unwrap();
        let text = said(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(
            text.contains("for the commands that ask a service"),
            "{arguments:?}: {text}"
        );
    }
}

#[test]
fn a_switch_in_the_environment_may_be_written_in_every_usual_way() {
    // Whether it is on shows in what is refused: without it, the service does not listen beyond
    // this machine.
    let start = |value: &str| {
        let mut command = program();
        command.args(["--listen", "0.0.0.0:0", "--data-dir", "/proc/nowhere"]);
        said(&command.env("MAPEK_INSECURE", value).output().unwrap())
    };
    for on in ["1", "true", "TRUE", "yes", "on", "y"] {
        assert!(start(on).contains("/proc/nowhere"), "{on}: {}", start(on));
    }
    for off in ["0", "false", "no", "off", "n"] {
        assert!(start(off).contains("or say --insecure"), "{off}: {}", start(off));
    }
    assert!(start("perhaps").contains("--insecure"), "{}", start("perhaps"));
}

#[test]
fn an_invalid_log_filter_is_refused_at_the_start() {
    for filter in ["mapek=loud", "inof", "info,verbose"] {
        let folder = tempfile::tempdir().unwrap();
        let output = program()
            .args(["--listen", "127.0.0.1:0", "--log", filter, "--data-dir"])
            .arg(folder.path())
            .output()
            .unwrap();
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{filter}: {text}");
        assert!(
            text.contains("--log") && text.contains(filter),
            "{filter}: {text}"
        );
    }
}

#[test]
fn a_mistake_in_the_configuration_file_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mapek.toml");
    std::fs::write(&file, "listen = \"127.0.0.1:0\"\nlisen = 5\n").unwrap();
    let output = program().arg("--config").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output);
    assert!(text.contains("line 2") && text.contains("lisen"), "{text}");
}

#[test]
fn flags_win_over_the_environment_which_wins_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mapek.toml");
    // Which one wins shows in the error about the folder that can't be made.
    std::fs::write(&file, "data_dir = \"/proc/from-file\"\n").unwrap();
    let run = |variable: Option<&str>, flag: Option<&str>| {
        let mut command = program();
        command.arg("--config").arg(&file);
        command.envs(variable.map(|value| ("MAPEK_DATA_DIR", value)));
        command.args(flag.iter().flat_map(|value| ["--data-dir", value]));
        said(&command.output().unwrap())
    };
    assert!(run(None, None).contains("/proc/from-file"));
    assert!(run(Some("/proc/from-environment"), None).contains("/proc/from-environment"));
    assert!(run(Some("/proc/from-environment"), Some("/proc/from-flag")).contains("/proc/from-flag"));
}

#[test]
fn an_address_in_use_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let output = program()
        .args(["--listen", &address, "--data-dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains(&format!("can't listen on {address}")));
}
