//! Flags, environment and file, in this order of precedence, over the defaults.

pub mod client;

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Deserialize;

use crate::auth::{BadTokens, Tokens};

use client::{
    ClientOptions, CompletionsOptions, EventsOptions, ExecuteOptions, ExecutionArgument, ExecutionsOptions,
    TopologyCommand, TranslateOptions,
};

/// Told at the end of the help.
const EXIT_CODES: &str = "\
Exit codes:
  0   it worked; an execution succeeded
  1   something else went wrong, on this side
  2   the command line is wrong
  3   the service refused: the request makes no sense, or has no solution
  4   something is in the way: another execution runs, or the plan's seal is broken
  5   the execution was begun and did not succeed
  6   the service can't be reached
  7   the service wants another token
  8   the service, an engine, a cloud or the hooks failed
  9   nobody said yes, so nothing was done
  130 interrupted; an execution that was begun goes on";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "mapek", version, about, after_help = EXIT_CODES)]
pub struct CommandLine {
    /// What to do; the service is started without one.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of the service.
    #[command(flatten)]
    pub serve: Options,
    /// Options of the commands that ask a service.
    #[command(flatten)]
    pub client: ClientOptions,
}

/// What the program can do.
#[expect(clippy::large_enum_variant, reason = "there is one of it")]
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the service (the default)
    Serve(Options),
    /// Show or put the topology
    #[command(subcommand)]
    Topology(TopologyCommand),
    /// Show what a plan would change; nothing is changed
    Translate(TranslateOptions),
    /// Show what a plan would change, ask, and carry it out
    Execute(ExecuteOptions),
    /// Show the VMs in use and what the containers on them hold
    Allocation,
    /// Show what really runs, live from the engines
    Inspect,
    /// Show the history of executions, or one with its actions
    Executions(ExecutionsOptions),
    /// Follow what happens
    Events(EventsOptions),
    /// Stop an execution after its running actions
    Cancel(ExecutionArgument),
    /// Carry an execution that is held to its end
    Resume(ExecutionArgument),
    /// Undo what an execution that is held has done
    Rollback(ExecutionArgument),
    /// Place a plan without any service, engine, host or cloud: reads {"topology", "allocation", "plan"} and writes the answer of POST /api/solve
    Solve(SolveOptions),
    /// Write completions for a shell to standard output
    Completions(CompletionsOptions),
    /// Write a description of the service to standard output
    #[command(hide = true)]
    Describe {
        /// Which
        what: Description,
    },
}

impl CommandLine {
    /// Reads the command line; a mistake ends the program with usage.
    #[must_use]
    pub fn read() -> Self {
        let mut command = <Self as clap::CommandFactory>::command();
        let matches = command.get_matches_mut();
        let read = <Self as clap::FromArgMatches>::from_arg_matches(&matches);
        let line = read.unwrap_or_else(|error| error.format(&mut command).exit());
        if let Some(stray) = line.stray(&matches) {
            command
                .error(clap::error::ErrorKind::ArgumentConflict, stray)
                .exit();
        }
        line
    }

    /// Options of the service before a command, or of clients without one, would be ignored, which
    /// is never what was meant.
    fn stray(&self, matches: &clap::ArgMatches) -> Option<String> {
        let given = |options: clap::Command| {
            let ids: Vec<_> = options
                .get_arguments()
                .map(|option| option.get_id().clone())
                .collect();
            ids.into_iter()
                .find(|id| matches.value_source(id.as_str()) == Some(clap::parser::ValueSource::CommandLine))
        };
        let name = |id: clap::Id| format!("--{}", id.as_str().replace('_', "-"));
        let empty = || clap::Command::new("options");
        match &self.command {
            None => given(<ClientOptions as clap::Args>::augment_args(empty()))
                .map(|id| format!("{} is for the commands that ask a service: which one?", name(id))),
            Some(Command::Serve(_)) => {
                given(<ClientOptions as clap::Args>::augment_args(empty())).map(|id| {
                    format!(
                        "{} is for the commands that ask a service, not for `serve`",
                        name(id)
                    )
                })
            }
            Some(_) => given(<Options as clap::Args>::augment_args(empty()))
                .map(|id| format!("{} is an option of the service: put it after `serve`", name(id))),
        }
    }
}

/// What the program can describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Description {
    /// openapi.json
    Openapi,
    /// docs/errors.md
    Errors,
}

/// Options of `mapek solve`.
#[derive(Debug, Args)]
pub struct SolveOptions {
    /// The file to read; - or nothing for standard input
    pub file: Option<PathBuf>,
    /// Milliseconds after which the best found is the answer [default: the file's deadline_ms, else 2000]
    #[arg(long)]
    pub deadline_ms: Option<u64>,
    /// Search until the answer is proven to be the cheapest
    #[arg(long)]
    pub exact: bool,
    /// Let the service search, instead of this machine
    #[arg(long)]
    pub remote: bool,
}

/// Options of the service. What is not given stays open for the file and the defaults.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// TOML file with any of the options below, such as listen = "127.0.0.1:8000"
    #[arg(long, env = "MAPEK_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:8000]
    #[arg(long, env = "MAPEK_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// File of tokens, a line each: NAME ROLE TOKEN, with ROLE read or write; read again on SIGHUP
    #[arg(long, env = "MAPEK_TOKENS_FILE", value_name = "FILE")]
    pub tokens_file: Option<PathBuf>,
    /// Tokens, with commas between; a flag shows in the list of processes, the environment does not
    #[arg(
        long,
        env = "MAPEK_TOKENS",
        value_name = "NAME:ROLE:TOKEN",
        hide_env_values = true
    )]
    pub tokens: Option<Secret>,
    /// Listen beyond this machine although there is no token: whoever reaches the service commands it
    #[arg(long, env = "MAPEK_INSECURE", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub insecure: Option<bool>,
    /// Certificate for TLS (PEM, with those between it and its authority); read again on SIGHUP
    #[arg(long, env = "MAPEK_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Key of the certificate (PEM)
    #[arg(long, env = "MAPEK_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Authorities of clients' certificates (PEM): a client without one is not let in
    #[arg(long, env = "MAPEK_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// Origins whose web pages may use the service, each with its scheme, with commas between
    #[arg(long, env = "MAPEK_CORS_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    pub cors_origin: Option<Vec<String>>,
    /// Connections at the same time; those idle longest make room for more [default: 4096]
    #[arg(long, env = "MAPEK_MAX_CONNECTIONS", value_name = "COUNT")]
    pub max_connections: Option<usize>,
    /// Largest body of a request [default: 16777216]
    #[arg(long, env = "MAPEK_MAX_BODY_BYTES", value_name = "BYTES")]
    pub max_body_bytes: Option<usize>,
    /// Seconds that the head of a request may take, and three times as long its body [default: 10]
    #[arg(long, env = "MAPEK_REQUEST_TIMEOUT_S", value_name = "SECONDS")]
    pub request_timeout_s: Option<u64>,
    /// Seconds that a connection is kept without a request [default: 30]
    #[arg(long, env = "MAPEK_IDLE_TIMEOUT_S", value_name = "SECONDS")]
    pub idle_timeout_s: Option<u64>,
    /// Placements that are searched for at the same time, for translate and execute, and as many for solve; others wait, up to eight times as many [default: 2]
    #[arg(long, env = "MAPEK_SOLVES", value_name = "COUNT")]
    pub solves: Option<usize>,
    /// Folder for the journal and the hooks [default: mapek in the user's data folder]
    #[arg(long, env = "MAPEK_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// How log lines are written, to standard error [default: text]
    #[arg(long, env = "MAPEK_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// What is logged, such as info or mapek=debug [default: info]
    #[arg(long, env = "MAPEK_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// Milliseconds that a placement is searched for before the best found is taken [default: 2000]
    #[arg(long, env = "MAPEK_SOLVE_DEADLINE_MS", value_name = "MS")]
    pub solve_deadline_ms: Option<u64>,
    /// Seconds that one hook may run [default: 60]
    #[arg(long, env = "MAPEK_HOOK_DEADLINE_S", value_name = "SECONDS")]
    pub hook_deadline_s: Option<u64>,
    /// Actions of a stage that may run at the same time [default: 16]
    #[arg(long, env = "MAPEK_PARALLEL", value_name = "COUNT")]
    pub parallel: Option<usize>,
    /// Actions that may run at the same time on one VM [default: 4]
    #[arg(long, env = "MAPEK_PARALLEL_ON_VM", value_name = "COUNT")]
    pub parallel_on_vm: Option<usize>,
    /// Seconds that an action is tried again which fails for a passing reason [default: 30]
    #[arg(long, env = "MAPEK_RETRY_FOR_S", value_name = "SECONDS")]
    pub retry_for_s: Option<u64>,
    /// Seconds that an engine may take for one answer, besides what a call itself takes [default: 30]
    #[arg(long, env = "MAPEK_ENGINE_TIMEOUT_S", value_name = "SECONDS")]
    pub engine_timeout_s: Option<u64>,
    /// What becomes of an execution that was cut off when the service starts again [default: resume]
    #[arg(long, env = "MAPEK_ON_RESTART", value_name = "WHAT")]
    pub on_restart: Option<OnRestart>,
    /// Seconds between looks for drift between what runs and the allocation; 0 for none [default: 10]
    #[arg(long, env = "MAPEK_OBSERVE_EVERY_S", value_name = "SECONDS")]
    pub observe_every_s: Option<u64>,
    /// Docker engine of the embedded default, for topologies without a cloud_driver [default: unix:///var/run/docker.sock]
    #[arg(long, env = "DOCKER_HOST", value_name = "ENDPOINT")]
    pub docker_host: Option<String>,
}

/// Text that is never shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

/// TLS files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Authorities of clients' certificates.
    pub clients: Option<PathBuf>,
}

/// Where tokens come from.
#[derive(Clone, Debug, Default)]
pub struct TokenSource {
    /// A file of them.
    pub file: Option<PathBuf>,
    /// A list of them.
    pub list: Option<Secret>,
}

impl TokenSource {
    /// Reads them, the file anew each time.
    ///
    /// # Errors
    ///
    /// When they can't be read or used; with a file, also when there is none in it.
    pub fn read(&self) -> Result<Tokens, ConfigError> {
        let list = self.list.as_ref().map_or("", |list| list.0.as_str());
        let listed =
            Tokens::from_list(list).map_err(|error| ConfigError::Tokens("--tokens".to_owned(), error))?;
        let Some(path) = &self.file else {
            return Ok(listed);
        };
        let name = path.display().to_string();
        let bad = |error| ConfigError::Tokens(name.clone(), error);
        let text = fs::read_to_string(path).map_err(|error| ConfigError::TokensFile(name.clone(), error))?;
        let tokens = Tokens::from_file(&text).map_err(bad)?;
        if tokens.is_empty() {
            return Err(ConfigError::NoTokens(name));
        }
        tokens.and(listed).map_err(bad)
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What becomes of an execution that was cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnRestart {
    /// It is carried to its end.
    #[default]
    Resume,
    /// What was done is undone.
    Rollback,
    /// It waits for somebody to say.
    Hold,
}

/// Everything decided.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Folder for the journal and the hooks.
    pub data_dir: PathBuf,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// What is logged.
    pub log: String,
    /// How long a placement is searched for.
    pub solve_deadline: Duration,
    /// How long one hook may run.
    pub hook_deadline: Duration,
    /// Actions of a stage that may run at the same time.
    pub parallel: usize,
    /// Actions that may run at the same time on one VM.
    pub parallel_on_vm: usize,
    /// How long an action is tried again that fails for a passing reason.
    pub retry_for: Duration,
    /// How long an engine may take for one answer.
    pub engine_timeout: Duration,
    /// What becomes of an execution that was cut off.
    pub on_restart: OnRestart,
    /// Time between looks for drift; None for none.
    pub observe_every: Option<Duration>,
    /// Docker engine of the embedded default.
    pub docker_host: String,
    /// Who may do what.
    pub tokens: TokenSource,
    /// Certificates, where TLS is spoken.
    pub tls: Option<TlsFiles>,
    /// Origins of web pages that may use the service.
    pub cors_origins: Vec<String>,
    /// Most connections at the same time.
    pub max_connections: usize,
    /// Largest body of a request.
    pub max_body_bytes: usize,
    /// How long the head of a request may take.
    pub request_timeout: Duration,
    /// How long a connection is kept without a request.
    pub idle_timeout: Duration,
    /// Placements that are searched for at the same time.
    pub solves: usize,
}

/// Why the configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("the configuration file {0} can't be read")]
    File(String, #[source] std::io::Error),
    /// The file is not as it should be.
    #[error("the configuration file {0} is not right: {1}")]
    Toml(String, String),
    /// There is no home to put data in.
    #[error("there is no home folder to keep data in: give --data-dir")]
    Homeless,
    /// A file of tokens can't be read.
    #[error("the tokens file {0} can't be read")]
    TokensFile(String, #[source] std::io::Error),
    /// Tokens can't be used.
    #[error("{0} can't be used: {1}")]
    Tokens(String, BadTokens),
    /// A file of tokens has none, which would open the service to everyone.
    #[error("the tokens file {0} has no token in it; write a line NAME ROLE TOKEN, or leave the option out")]
    NoTokens(String),
    /// Everyone who reaches the service could command it.
    #[error(
        "listening on {0} without any token would let everyone who reaches it command this machine's \
         containers: give --tokens-file (or MAPEK_TOKENS), listen on 127.0.0.1, or say --insecure"
    )]
    Open(SocketAddr),
    /// TLS takes two files.
    #[error("TLS needs both --tls-cert and --tls-key{0}")]
    HalfTls(&'static str),
    /// A number that makes no sense.
    #[error("{0} should be at least 1")]
    Zero(&'static str),
}

impl Options {
    /// Fills what is open from the file, then from the defaults. `home` is the user's data folder.
    ///
    /// # Errors
    ///
    /// When the file can't be used, or a value makes no sense.
    pub fn decide(self, home: Option<PathBuf>) -> Result<Config, ConfigError> {
        let file = match &self.config {
            Some(path) => read(path)?,
            None => Self::default(),
        };
        let at_least_one = |value: u64, name| {
            if value == 0 {
                Err(ConfigError::Zero(name))
            } else {
                Ok(value)
            }
        };
        let solve_ms = self.solve_deadline_ms.or(file.solve_deadline_ms).unwrap_or(2000);
        let hook_s = self.hook_deadline_s.or(file.hook_deadline_s).unwrap_or(60);
        let engine_s = self.engine_timeout_s.or(file.engine_timeout_s).unwrap_or(30);
        let parallel = self.parallel.or(file.parallel).unwrap_or(16);
        let parallel_on_vm = self.parallel_on_vm.or(file.parallel_on_vm).unwrap_or(4);
        let max_connections = self.max_connections.or(file.max_connections).unwrap_or(4096);
        let max_body_bytes = self.max_body_bytes.or(file.max_body_bytes).unwrap_or(16 << 20);
        let solves = self.solves.or(file.solves).unwrap_or(2);
        let request_s = self.request_timeout_s.or(file.request_timeout_s).unwrap_or(10);
        let idle_s = self.idle_timeout_s.or(file.idle_timeout_s).unwrap_or(30);
        let listen = self
            .listen
            .or(file.listen)
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8000)));
        let tokens = TokenSource {
            file: self.tokens_file.or(file.tokens_file),
            list: self.tokens.or(file.tokens),
        };
        let insecure = self.insecure.or(file.insecure).unwrap_or(false);
        if tokens.read()?.is_empty() && !listen.ip().is_loopback() && !insecure {
            return Err(ConfigError::Open(listen));
        }
        let clients = self.tls_client_ca.or(file.tls_client_ca);
        let tls = match (self.tls_cert.or(file.tls_cert), self.tls_key.or(file.tls_key)) {
            (Some(certificate), Some(key)) => Some(TlsFiles {
                certificate,
                key,
                clients,
            }),
            (None, None) if clients.is_none() => None,
            (None, None) => return Err(ConfigError::HalfTls("; --tls-client-ca alone does nothing")),
            _ => return Err(ConfigError::HalfTls("")),
        };
        for (name, count) in [
            ("parallel", parallel),
            ("parallel_on_vm", parallel_on_vm),
            ("max_connections", max_connections),
            ("max_body_bytes", max_body_bytes),
            ("solves", solves),
        ] {
            if count == 0 {
                return Err(ConfigError::Zero(name));
            }
        }
        let data_dir = self
            .data_dir
            .or(file.data_dir)
            .or_else(|| home.map(|home| home.join("mapek")));
        Ok(Config {
            listen,
            tokens,
            tls,
            cors_origins: self.cors_origin.or(file.cors_origin).unwrap_or_default(),
            max_connections,
            max_body_bytes,
            request_timeout: Duration::from_secs(at_least_one(request_s, "request_timeout_s")?),
            idle_timeout: Duration::from_secs(at_least_one(idle_s, "idle_timeout_s")?),
            solves,
            data_dir: data_dir.ok_or(ConfigError::Homeless)?,
            log_format: self.log_format.or(file.log_format).unwrap_or_default(),
            log: self.log.or(file.log).unwrap_or_else(|| "info".to_owned()),
            solve_deadline: Duration::from_millis(at_least_one(solve_ms, "solve_deadline_ms")?),
            hook_deadline: Duration::from_secs(at_least_one(hook_s, "hook_deadline_s")?),
            parallel,
            parallel_on_vm,
            retry_for: Duration::from_secs(self.retry_for_s.or(file.retry_for_s).unwrap_or(30)),
            engine_timeout: Duration::from_secs(at_least_one(engine_s, "engine_timeout_s")?),
            on_restart: self.on_restart.or(file.on_restart).unwrap_or_default(),
            observe_every: Some(self.observe_every_s.or(file.observe_every_s).unwrap_or(10))
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs),
            docker_host: self
                .docker_host
                .or(file.docker_host)
                .unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned()),
        })
    }
}

fn read(path: &Path) -> Result<Options, ConfigError> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| ConfigError::File(name.clone(), error))?;
    toml::from_str(&text).map_err(|error| ConfigError::Toml(name, error.to_string()))
}
