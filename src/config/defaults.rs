//! The defaults of the service's options, in one place: for the service, `--help` and
//! docs/configuration.md.

/// Written like a configuration file.
const DEFAULTS: &str = r#"
listen = "127.0.0.1:8000"
max_connections = 4096
max_body_bytes = 16777216
request_timeout_s = 10
idle_timeout_s = 30
solves = 2
max_what_if_ms = 86400000
rate_limit = 600
keep_executions = 1000
keep_days = 90
log_format = "text"
log = "info"
solve_deadline_ms = 2000
hook_deadline_s = 60
parallel = 16
parallel_on_vm = 4
retry_for_s = 30
engine_timeout_s = 30
on_restart = "resume"
observe_every_s = 10
docker_host = "unix:///var/run/docker.sock"
"#;

/// By the names of options in the file.
pub fn defaults() -> toml::Table {
    toml::from_str(DEFAULTS).unwrap_or_default()
}

/// The command, with the defaults in the help of its options.
pub fn told(command: clap::Command) -> clap::Command {
    let defaults = defaults();
    command.mut_args(|option| {
        let default = match defaults.get(option.get_id().as_str()) {
            Some(toml::Value::String(text)) => text.clone(),
            Some(toml::Value::Integer(number)) => number.to_string(),
            _ => return option,
        };
        let help = option.get_help().map(ToString::to_string).unwrap_or_default();
        option.help(format!("{help} [default: {default}]"))
    })
}
