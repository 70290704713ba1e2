//! The options of the service: flag, variable or entry in the file.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::Secret;

/// Options of the service. What is not given is taken from the file and the defaults.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// TOML file with any of the options below, such as listen = "127.0.0.1:8000"
    #[arg(long, env = "MAPEK_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, env = "MAPEK_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Further names and addresses under which clients reach the service, separated by commas; requests to any other are refused
    #[arg(long, env = "MAPEK_ALLOWED_HOSTS", value_name = "HOST", value_delimiter = ',')]
    pub allowed_hosts: Option<Vec<String>>,
    /// File of tokens, one line each: NAME ROLE TOKEN and, if it expires, EXPIRES; ROLE is read, write or node:ID; reread on SIGHUP
    #[arg(long, env = "MAPEK_TOKENS_FILE", value_name = "FILE")]
    pub tokens_file: Option<PathBuf>,
    /// Tokens, separated by commas; other users can see flags, so prefer the environment or a file
    #[arg(
        long,
        env = "MAPEK_TOKENS",
        value_name = "NAME:ROLE:TOKEN",
        hide_env_values = true
    )]
    pub tokens: Option<Secret>,
    /// Listen beyond this machine without any token: anyone who can reach the service can command it
    #[arg(long, env = "MAPEK_INSECURE", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
        value_parser = clap::builder::BoolishValueParser::new())]
    pub insecure: Option<bool>,
    /// Certificate for TLS (PEM, followed by any intermediate certificates); reread on SIGHUP
    #[arg(long, env = "MAPEK_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Key of the certificate (PEM)
    #[arg(long, env = "MAPEK_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Authorities that sign clients' certificates (PEM); clients without such a certificate are refused
    #[arg(long, env = "MAPEK_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// Origins whose web pages may use the service, each with its scheme, separated by commas
    #[arg(long, env = "MAPEK_CORS_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    pub cors_origin: Option<Vec<String>>,
    /// Most connections at the same time; the ones idle longest are closed to make room
    #[arg(long, env = "MAPEK_MAX_CONNECTIONS", value_name = "COUNT")]
    pub max_connections: Option<usize>,
    /// Largest request body, in bytes
    #[arg(long, env = "MAPEK_MAX_BODY_BYTES", value_name = "BYTES")]
    pub max_body_bytes: Option<usize>,
    /// Seconds that a request's headers may take; its body may take three times as long
    #[arg(long, env = "MAPEK_REQUEST_TIMEOUT_S", value_name = "SECONDS")]
    pub request_timeout_s: Option<u64>,
    /// Seconds before a connection without a request is closed
    #[arg(long, env = "MAPEK_IDLE_TIMEOUT_S", value_name = "SECONDS")]
    pub idle_timeout_s: Option<u64>,
    /// Placements computed at the same time for translate and execute, and as many again for solve; up to eight times as many wait, and clients take turns
    #[arg(long, env = "MAPEK_SOLVES", value_name = "COUNT")]
    pub solves: Option<usize>,
    /// Longest search, in milliseconds, that a what-if (POST /api/solve) may ask for
    #[arg(long, env = "MAPEK_MAX_WHAT_IF_MS", value_name = "MS")]
    pub max_what_if_ms: Option<u64>,
    /// Calls of translate, solve and execute that one client (a token or, without one, an address) may make per minute; 0 for no limit
    #[arg(long, env = "MAPEK_RATE_LIMIT", value_name = "COUNT")]
    pub rate_limit: Option<u32>,
    /// Folder for the journal and the hooks [default: mapek in the user's data folder]
    #[arg(long, env = "MAPEK_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Executions to keep in the history; those still needed are kept in any case
    #[arg(long, env = "MAPEK_KEEP_EXECUTIONS", value_name = "COUNT")]
    pub keep_executions: Option<u32>,
    /// Days to keep an execution in the history after it has ended
    #[arg(long, env = "MAPEK_KEEP_DAYS", value_name = "DAYS")]
    pub keep_days: Option<u32>,
    /// Format of the log, which goes to standard error
    #[arg(long, env = "MAPEK_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// What to log, such as info or mapek=debug
    #[arg(long, env = "MAPEK_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// Milliseconds to search for a placement before taking the best one found
    #[arg(long, env = "MAPEK_SOLVE_DEADLINE_MS", value_name = "MS")]
    pub solve_deadline_ms: Option<u64>,
    /// Seconds that one hook may run
    #[arg(long, env = "MAPEK_HOOK_DEADLINE_S", value_name = "SECONDS")]
    pub hook_deadline_s: Option<u64>,
    /// Actions of a stage that may run at the same time
    #[arg(long, env = "MAPEK_PARALLEL", value_name = "COUNT")]
    pub parallel: Option<usize>,
    /// Actions that may run at the same time on one VM
    #[arg(long, env = "MAPEK_PARALLEL_ON_VM", value_name = "COUNT")]
    pub parallel_on_vm: Option<usize>,
    /// Seconds to keep retrying an action that fails for a passing reason
    #[arg(long, env = "MAPEK_RETRY_FOR_S", value_name = "SECONDS")]
    pub retry_for_s: Option<u64>,
    /// Seconds that an engine may take to answer, on top of the time that the call itself needs
    #[arg(long, env = "MAPEK_ENGINE_TIMEOUT_S", value_name = "SECONDS")]
    pub engine_timeout_s: Option<u64>,
    /// What to do at the start with an execution that was cut off
    #[arg(long, env = "MAPEK_ON_RESTART", value_name = "WHAT")]
    pub on_restart: Option<OnRestart>,
    /// Seconds between checks for drift; 0 for none
    #[arg(long, env = "MAPEK_OBSERVE_EVERY_S", value_name = "SECONDS")]
    pub observe_every_s: Option<u64>,
    /// Docker engine of the embedded default, for topologies without a cloud_driver
    #[arg(long, env = "DOCKER_HOST", value_name = "ENDPOINT")]
    pub docker_host: Option<String>,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What happens to an execution that was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnRestart {
    /// Finish it.
    Resume,
    /// Undo what it has done.
    Rollback,
    /// Wait until somebody resumes it, rolls it back or cancels it.
    Hold,
}
