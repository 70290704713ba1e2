//! The service's settings, once flags, variables, file and defaults are combined.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::auth::BadTokens;

use super::{LogFormat, OnRestart, Options, TokenSource, defaults::defaults};

/// All settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Folder for the journal and the hooks.
    pub data_dir: PathBuf,
    /// Executions that are kept in the history.
    pub keep_executions: u32,
    /// Days that they are kept after their end.
    pub keep_days: u32,
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
    /// How long an action that fails for a passing reason is tried again.
    pub retry_for: Duration,
    /// How long an engine may take for one answer.
    pub engine_timeout: Duration,
    /// What happens to an execution that was cut off.
    pub on_restart: OnRestart,
    /// Time between checks for drift; None for no checks.
    pub observe_every: Option<Duration>,
    /// Docker engine of the embedded default.
    pub docker_host: String,
    /// Who may do what.
    pub tokens: TokenSource,
    /// Certificates, if TLS is used.
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
    /// Longest that a what-if may be searched for.
    pub max_what_if: Duration,
    /// Costly calls that one client may make in a minute; 0 for any number.
    pub rate_limit: u32,
    /// Names and addresses of the service, in addition to those that it finds out.
    pub allowed_hosts: Vec<String>,
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

/// Why the configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("the configuration file {0} can't be read")]
    File(String, #[source] std::io::Error),
    /// The file has a mistake.
    #[error("the configuration file {0} has a mistake: {1}")]
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
    #[error("the tokens file {0} has no token in it; write a line NAME ROLE TOKEN, or leave out the option")]
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
    /// A default was forgotten. A test makes sure that none is.
    #[error("{0} has no default: give it")]
    NoDefault(&'static str),
    /// A number that makes no sense.
    #[error("{0} should be at least 1")]
    Zero(&'static str),
}

impl Options {
    /// Fills gaps from the file, then from the defaults. `home` is the user's data folder.
    ///
    /// # Errors
    ///
    /// When the file can't be used, or a value makes no sense.
    pub fn decide(self, home: Option<PathBuf>) -> Result<Config, ConfigError> {
        let file = read(self.config.as_deref())?;
        let at_least_one = |value: u64, name| {
            if value == 0 {
                Err(ConfigError::Zero(name))
            } else {
                Ok(value)
            }
        };
        let solve_ms = given(
            self.solve_deadline_ms.or(file.solve_deadline_ms),
            "solve_deadline_ms",
        )?;
        let hook_s = given(self.hook_deadline_s.or(file.hook_deadline_s), "hook_deadline_s")?;
        let engine_s = given(
            self.engine_timeout_s.or(file.engine_timeout_s),
            "engine_timeout_s",
        )?;
        let parallel = given(self.parallel.or(file.parallel), "parallel")?;
        let parallel_on_vm = given(self.parallel_on_vm.or(file.parallel_on_vm), "parallel_on_vm")?;
        let max_connections = given(self.max_connections.or(file.max_connections), "max_connections")?;
        let max_body_bytes = given(self.max_body_bytes.or(file.max_body_bytes), "max_body_bytes")?;
        let solves = given(self.solves.or(file.solves), "solves")?;
        let keep_executions = given(self.keep_executions.or(file.keep_executions), "keep_executions")?;
        let keep_days = given(self.keep_days.or(file.keep_days), "keep_days")?;
        let what_if_ms = given(self.max_what_if_ms.or(file.max_what_if_ms), "max_what_if_ms")?;
        let request_s = given(
            self.request_timeout_s.or(file.request_timeout_s),
            "request_timeout_s",
        )?;
        let idle_s = given(self.idle_timeout_s.or(file.idle_timeout_s), "idle_timeout_s")?;
        let observe_s = given(self.observe_every_s.or(file.observe_every_s), "observe_every_s")?;
        let retry_s = given(self.retry_for_s.or(file.retry_for_s), "retry_for_s")?;
        let listen = given(self.listen.or(file.listen), "listen")?;
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
            ("keep_executions", keep_executions as usize),
            ("keep_days", keep_days as usize),
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
            keep_executions,
            keep_days,
            max_what_if: Duration::from_millis(at_least_one(what_if_ms, "max_what_if_ms")?),
            rate_limit: given(self.rate_limit.or(file.rate_limit), "rate_limit")?,
            allowed_hosts: self.allowed_hosts.or(file.allowed_hosts).unwrap_or_default(),
            data_dir: data_dir.ok_or(ConfigError::Homeless)?,
            log_format: given(self.log_format.or(file.log_format), "log_format")?,
            log: given(self.log.or(file.log), "log")?,
            solve_deadline: Duration::from_millis(at_least_one(solve_ms, "solve_deadline_ms")?),
            hook_deadline: Duration::from_secs(at_least_one(hook_s, "hook_deadline_s")?),
            parallel,
            parallel_on_vm,
            retry_for: Duration::from_secs(retry_s),
            engine_timeout: Duration::from_secs(at_least_one(engine_s, "engine_timeout_s")?),
            on_restart: given(self.on_restart.or(file.on_restart), "on_restart")?,
            observe_every: Some(observe_s)
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs),
            docker_host: given(self.docker_host.or(file.docker_host), "docker_host")?,
        })
    }
}

/// The file's settings, on top of the defaults.
fn read(path: Option<&Path>) -> Result<Options, ConfigError> {
    let name = path.map(|path| path.display().to_string()).unwrap_or_default();
    let wrong = |error: toml::de::Error| ConfigError::Toml(name.clone(), error.to_string());
    let mut whole = defaults();
    if let Some(path) = path {
        let text = fs::read_to_string(path).map_err(|error| ConfigError::File(name.clone(), error))?;
        // A mistake is reported with its line here, which is no longer known once the options are
        // combined.
        toml::from_str::<Options>(&text).map_err(wrong)?;
        whole.extend(toml::from_str::<toml::Table>(&text).map_err(wrong)?);
    }
    whole.try_into().map_err(wrong)
}

/// The value of an option that has a default, and therefore always has a value.
fn given<T>(value: Option<T>, name: &'static str) -> Result<T, ConfigError> {
    value.ok_or(ConfigError::NoDefault(name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_one_of_an_option_and_none_is_missing() {
        let config = Options::default().decide(Some("/home/data".into())).unwrap();
        assert_eq!(config.data_dir, Path::new("/home/data/mapek"));
        assert_eq!(
            (config.max_connections, config.on_restart),
            (4096, super::super::OnRestart::Resume)
        );
        assert!(config.listen.ip().is_loopback());
    }
}
