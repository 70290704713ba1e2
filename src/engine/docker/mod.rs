//! Docker, through bollard.
//!
//! Every call has a time limit ([`Settings`]), only our own containers ([`Owners`]) are changed,
//! and a repeated call finds what the first one did. What a failure says about the effect is
//! decided in one place, `call`. Nothing here knows of plans, VMs or executions.

mod archive;
mod call;
mod calls;
mod capabilities;
mod connect;
mod disk;
mod ensure;
mod exec;
mod exec_end;
mod facts;
mod gpus;
mod image;
mod limits;
mod log;
mod login;
mod look;
mod output;
mod probes;
mod read;
mod replace;
mod resize;
mod runtime;
mod settings;
mod spec;
mod ssh;
mod start;
#[cfg(test)]
mod tests;
mod usage;
mod wait;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::endpoint::Endpoint;
use super::{
    Command, ContainerSpec, Effect, Engine, EngineError, EngineErrorKind, Engines, Finished, Limits, Log,
    LogOptions, Machine, Observed, Owners, RunId, Tell, Usage, Wanted,
};
use crate::meter::Calls;
use crate::model::Handover;
use crate::model::topology::Tls;
use call::Caller;
pub use facts::Facts;
pub use settings::Settings;

/// Docker engines by endpoint.
pub struct DockerEngines {
    settings: Settings,
    owners: Owners,
    known: Mutex<HashMap<Key, Arc<DockerEngine>>>,
    calls: Calls,
}

/// So many engines are kept, in use or not: more than a topology has hosts, or nodes register.
const MOST_KNOWN: usize = 20_000;

/// An endpoint, and the TLS files (authority, certificate, key) that go with it.
type Key = (Endpoint, Option<[PathBuf; 3]>);

impl DockerEngines {
    /// No connection is made until an engine is used. Containers of `owners` are our own.
    #[must_use]
    pub fn new(settings: Settings, owners: Owners) -> Self {
        Self {
            settings,
            owners,
            known: Mutex::new(HashMap::new()),
            calls: Calls::default(),
        }
    }

    /// Counts its calls into these.
    #[must_use]
    pub fn measured(self, calls: Calls) -> Self {
        Self { calls, ..self }
    }

    /// The engine at an endpoint. No connection is made yet.
    ///
    /// # Errors
    ///
    /// When the endpoint can't be used.
    pub fn engine(&self, endpoint: &str, tls: Option<&Tls>) -> Result<Arc<DockerEngine>, EngineError> {
        // An endpoint that can't be read may contain a password, so it is not repeated.
        let wrong = |shown: &str, problem: String| EngineError {
            endpoint: shown.to_owned(),
            message: format!("the endpoint {problem}"),
            kind: EngineErrorKind::Misconfigured,
            effect: Effect::None,
        };
        let endpoint = Endpoint::parse(endpoint).map_err(|problem| wrong("engine", problem))?;
        // TLS files concern only TLS endpoints.
        let tls = tls.filter(|_| matches!(endpoint, Endpoint::Tls(_)));
        let files = tls.map(|tls| [tls.ca.clone(), tls.cert.clone(), tls.key.clone()]);
        let key = (endpoint, files);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = known.get(&key) {
            return Ok(engine.clone());
        }
        let shown = key.0.to_string();
        let docker = connect::connect(&key.0, tls, self.settings.connect, &self.calls)
            .map_err(|problem| wrong(&shown, problem))?;
        let engine = Arc::new(DockerEngine {
            caller: Caller::new(docker, &shown, self.settings.clone(), self.owners.clone()),
        });
        // Machines come and go, and nodes may move: those that nobody uses are made again when they are wanted.
        if known.len() >= MOST_KNOWN {
            known.retain(|_, engine| Arc::strong_count(engine) > 1);
        }
        known.insert(key, engine.clone());
        Ok(engine)
    }
}

impl Engines for DockerEngines {
    fn at(&self, endpoint: &str, tls: Option<&Tls>) -> Result<Arc<dyn Engine>, EngineError> {
        Ok(self.engine(endpoint, tls)?)
    }

    fn owners(&self) -> Owners {
        self.owners.clone()
    }
}

/// One Docker engine.
pub struct DockerEngine {
    caller: Caller,
}

#[async_trait]
impl Engine for DockerEngine {
    async fn machine(&self) -> Result<Machine, EngineError> {
        Ok(look::machine(&self.caller).await?.0)
    }

    async fn observe(&self) -> Result<Vec<Observed>, EngineError> {
        look::all(&self.caller).await
    }

    async fn list(&self) -> Result<Vec<Observed>, EngineError> {
        look::list(&self.caller).await
    }

    async fn find(&self, name: &str) -> Result<Option<Observed>, EngineError> {
        Ok(look::one(&self.caller, name).await?.map(|found| found.seen))
    }

    async fn image(&self, image: &str) -> Result<Option<String>, EngineError> {
        image::id(&self.caller, image).await
    }

    async fn ensure_image(&self, wanted: &Wanted, tell: Tell<'_>) -> Result<(), EngineError> {
        image::ensure(&self.caller, wanted, tell).await
    }

    async fn digest(&self, wanted: &Wanted) -> Result<Option<String>, EngineError> {
        image::digest(&self.caller, wanted).await.map(Some)
    }

    async fn digest_of(&self, name: &str, image: &str) -> Result<Option<String>, EngineError> {
        image::digest_of(&self.caller, name, image).await
    }

    async fn ensure_running(&self, spec: &ContainerSpec) -> Result<Observed, EngineError> {
        ensure::running(&self.caller, spec).await
    }

    async fn replace(&self, spec: &ContainerSpec, handover: Handover) -> Result<Observed, EngineError> {
        replace::with(&self.caller, spec, handover).await
    }

    async fn prepare_replacement(
        &self,
        spec: &ContainerSpec,
        handover: Handover,
    ) -> Result<bool, EngineError> {
        replace::prepare(&self.caller, spec, handover).await
    }

    async fn take_back(&self, name: &str) -> Result<(), EngineError> {
        replace::back(&self.caller, name).await
    }

    async fn ensure_limits(&self, name: &str, limits: &Limits) -> Result<Observed, EngineError> {
        resize::running(&self.caller, name, limits).await
    }

    async fn restart(&self, name: &str) -> Result<(), EngineError> {
        start::again(&self.caller, name).await
    }

    async fn ensure_absent(&self, name: &str) -> Result<(), EngineError> {
        ensure::absent(&self.caller, name).await
    }

    async fn log(&self, name: &str, options: &LogOptions) -> Result<Log, EngineError> {
        log::of(&self.caller, name, options).await
    }

    async fn usage(&self, name: &str) -> Result<Option<Usage>, EngineError> {
        usage::of(&self.caller, name).await
    }

    async fn memory_held(&self, name: &str) -> Result<Option<u64>, EngineError> {
        usage::held(&self.caller, name).await
    }

    async fn unpack(&self, name: &str, archive: Vec<u8>, folder: &str) -> Result<(), EngineError> {
        archive::unpack(&self.caller, name, archive, folder).await
    }

    async fn prepare(&self, name: &str, command: &Command) -> Result<RunId, EngineError> {
        exec::prepare(&self.caller, name, command).await
    }

    async fn complete(&self, name: &str, run: &RunId, within: Duration) -> Result<Finished, EngineError> {
        exec::complete(&self.caller, name, run, within, None).await
    }

    async fn complete_aloud(
        &self,
        name: &str,
        run: &RunId,
        within: Duration,
        tell: Tell<'_>,
    ) -> Result<Finished, EngineError> {
        exec::complete(&self.caller, name, run, within, Some(tell)).await
    }

    async fn settle(&self, name: &str, run: &RunId, within: Duration) -> Result<Finished, EngineError> {
        exec::settle(&self.caller, name, run, within).await
    }
}
