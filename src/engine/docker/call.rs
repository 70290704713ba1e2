//! One call to an engine, with a time limit, and what its failure means.
//!
//! This decides whether a failed call may have had its effect. If no connection was made, or the
//! engine itself refused, it certainly had none. After the request was sent, any other failure is
//! uncertain, also a failure inside the engine (5xx), which may come after the effect or from a
//! proxy in between.

use std::error::Error as _;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use tokio::sync::{Mutex, OnceCell};

use super::look;
use super::probes::Probes;
use super::settings::Settings;
use crate::engine::{Effect, EngineError, EngineErrorKind, Machine, Owners};
use crate::fault::chain;

/// The client of one engine, with what every call needs.
#[derive(Clone)]
pub struct Caller {
    pub docker: Docker,
    pub endpoint: Arc<str>,
    pub settings: Settings,
    /// Whose containers are our own.
    pub owners: Owners,
    /// The probes of its containers.
    pub probes: Probes,
    /// Held while a container is given GPUs.
    pub giving_gpus: Arc<Mutex<()>>,
    /// What the machine has and whether its kernel counts swap, asked once: a resize needs it.
    machine: OnceCell<(Machine, bool)>,
}

/// A call that failed.
#[derive(Debug)]
pub struct Failed {
    /// HTTP status, if the engine answered.
    pub status: Option<u16>,
    /// The engine's own message.
    pub said: String,
    /// The failure as it is reported if nothing better is known.
    pub error: EngineError,
}

impl From<Failed> for EngineError {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

impl Caller {
    /// A client with its limits.
    pub fn new(docker: Docker, endpoint: &str, settings: Settings, owners: Owners) -> Self {
        Self {
            docker,
            endpoint: Arc::from(endpoint),
            settings,
            owners,
            probes: Probes::default(),
            giving_gpus: Arc::default(),
            machine: OnceCell::new(),
        }
    }

    /// What the machine has, as first reported, and whether its kernel counts swap.
    pub async fn machine(&self) -> Result<&(Machine, bool), EngineError> {
        self.machine.get_or_try_init(|| look::machine(self)).await
    }

    /// A call that only reads.
    pub async fn look<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failed> {
        self.bounded(what, Effect::None, self.settings.answer, call).await
    }

    /// A call that changes something.
    pub async fn change<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failed> {
        self.bounded(what, Effect::Unknown, self.settings.answer, call)
            .await
    }

    /// A call that changes something and may take up to `extra` time.
    pub async fn change_slowly<T>(
        &self,
        what: &str,
        extra: Duration,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failed> {
        let limit = self.settings.answer.saturating_add(extra);
        self.bounded(what, Effect::Unknown, limit, call).await
    }

    /// An error of this engine.
    pub fn error(&self, kind: EngineErrorKind, effect: Effect, message: String) -> EngineError {
        EngineError {
            endpoint: self.endpoint.to_string(),
            message,
            kind,
            effect,
        }
    }

    /// `worst` is the effect to assume if nothing better is known.
    async fn bounded<T>(
        &self,
        what: &str,
        worst: Effect,
        limit: Duration,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failed> {
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.failed(what, worst, error)),
            Err(_) => Err(self.late(what, worst, limit)),
        }
    }

    /// The failure of a call that did not answer in time.
    pub fn late(&self, what: &str, worst: Effect, limit: Duration) -> Failed {
        let message = format!(
            "could not {what}: no answer within {} s; the engine may be overloaded or frozen",
            limit.as_secs_f32()
        );
        Failed {
            status: None,
            said: String::new(),
            error: self.error(EngineErrorKind::TimedOut, worst, message),
        }
    }

    /// What a failed call means.
    pub fn failed(&self, what: &str, worst: Effect, error: Error) -> Failed {
        let (status, said, kind, effect, advice) = match error {
            Error::DockerResponseServerError { status_code, message } => {
                let (kind, effect) = if status_code >= 500 {
                    (EngineErrorKind::Failing, worst)
                } else {
                    (EngineErrorKind::Refused, Effect::None)
                };
                let said = if message.trim().is_empty() {
                    format!("status {status_code} without a message")
                } else {
                    message.trim().to_owned()
                };
                (Some(status_code), said, kind, effect, "")
            }
            Error::HyperLegacyError { err } if err.is_connect() => {
                let said = chain(&err);
                let advice = if said.contains("invalid peer certificate") {
                    "; is infrastructure.docker.tls_ca the authority that signed the engine's certificate, and is that for this address?"
                } else {
                    "; is a Docker engine running there, and may this user reach it?"
                };
                (None, said, EngineErrorKind::Unreachable, Effect::None, advice)
            }
            Error::HyperLegacyError { err } => {
                let garbled = err
                    .source()
                    .and_then(|source| source.downcast_ref::<hyper::Error>())
                    .is_some_and(hyper::Error::is_parse);
                let said = chain(&err);
                // This is how a server that wants another client certificate says so, at the first
                // request.
                let advice = if said.contains("fatal alert") {
                    "; does the engine trust the certificate in infrastructure.docker.tls?"
                } else {
                    ""
                };
                (None, said, broken_or_garbled(garbled), worst, advice)
            }
            Error::HyperResponseError { err } => {
                (None, chain(&err), broken_or_garbled(err.is_parse()), worst, "")
            }
            Error::IOError { err } => (None, chain(&err), EngineErrorKind::Unreachable, worst, ""),
            Error::RequestTimeoutError => (
                None,
                "no answer in time".to_owned(),
                EngineErrorKind::TimedOut,
                worst,
                "",
            ),
            // An error inside a stream that began well: the engine's own message.
            Error::DockerStreamError { error } => (None, error, EngineErrorKind::Refused, worst, ""),
            other => (
                None,
                chain(&other),
                EngineErrorKind::Garbled,
                worst,
                "; is that a Docker engine?",
            ),
        };
        let message = format!("could not {what}: {said}{advice}");
        Failed {
            status,
            said,
            error: self.error(kind, effect, message),
        }
    }
}

fn broken_or_garbled(garbled: bool) -> EngineErrorKind {
    if garbled {
        EngineErrorKind::Garbled
    } else {
        EngineErrorKind::Unreachable
    }
}
