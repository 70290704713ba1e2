//! Flags, environment, file.

use std::process::Output;

use crate::server::program;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &*String::from_utf8_lossy(&output.stdout)
}

#[test]
fn help_names_every_option_with_its_environment_variable() {
    let text = said(&program().arg("--help").output().unwrap());
    for (option, variable) in [
        ("--config", "MAPEK_CONFIG"),
        ("--listen", "MAPEK_LISTEN"),
        ("--data-dir", "MAPEK_DATA_DIR"),
        ("--log-format", "MAPEK_LOG_FORMAT"),
        ("--log", "MAPEK_LOG"),
        ("--solve-deadline-ms", "MAPEK_SOLVE_DEADLINE_MS"),
        ("--hook-deadline-s", "MAPEK_HOOK_DEADLINE_S"),
        ("--parallel", "MAPEK_PARALLEL"),
        ("--parallel-on-vm", "MAPEK_PARALLEL_ON_VM"),
        ("--retry-for-s", "MAPEK_RETRY_FOR_S"),
        ("--on-restart", "MAPEK_ON_RESTART"),
        ("--observe-every-s", "MAPEK_OBSERVE_EVERY_S"),
        ("--docker-host", "DOCKER_HOST"),
        ("--tokens-file", "MAPEK_TOKENS_FILE"),
        ("--tokens", "MAPEK_TOKENS"),
        ("--insecure", "MAPEK_INSECURE"),
        ("--tls-cert", "MAPEK_TLS_CERT"),
        ("--tls-key", "MAPEK_TLS_KEY"),
        ("--tls-client-ca", "MAPEK_TLS_CLIENT_CA"),
        ("--cors-origin", "MAPEK_CORS_ORIGIN"),
        ("--max-connections", "MAPEK_MAX_CONNECTIONS"),
        ("--max-body-bytes", "MAPEK_MAX_BODY_BYTES"),
        ("--request-timeout-s", "MAPEK_REQUEST_TIMEOUT_S"),
        ("--idle-timeout-s", "MAPEK_IDLE_TIMEOUT_S"),
        ("--solves", "MAPEK_SOLVES"),
    ] {
        assert!(
            text.contains(option) && text.contains(variable),
            "{option} {variable}\n{text}"
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
    // What wins is seen in the error of the folder that can't be made.
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
