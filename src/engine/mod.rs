//! Engines: what runs containers on a VM.
//!
//! The trait speaks of ends, not steps: *observe*, *ensure*, *ensure absent*. A call that is
//! repeated finds what is already there and is content. An error says whether the effect
//! surely did not happen or is unknown; an unknown one must be looked up again with
//! [`Engine::observe`]. Drivers know only `model`.

mod command;
mod container;
pub mod docker;
pub mod endpoint;
mod error;
mod image;
mod labels;
mod log;
mod machine;
mod observed;
mod owners;
pub mod probe;
pub mod secret;
mod whose;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::model::Handover;
use crate::model::topology::Tls;

pub use command::{Command, End, Finished, HOOKS_FOLDER, RunId};
pub use container::{ContainerSpec, CpuLimit, Fixed, Limits};
pub use error::{Effect, EngineError, EngineErrorKind};
pub use image::{Tell, Wanted};
pub use labels::{
    LABEL_APP, LABEL_DIGEST, LABEL_DISK, LABEL_MANAGED, LABEL_OWNER, LABEL_PROBE, LABEL_REVISION, LABEL_SPEC,
    LABEL_TIER, successor,
};
pub use log::{Log, LogOptions};
pub use machine::{Identity, Machine};
pub use observed::{Health, Observed, State, Usage};
pub use owners::Owners;

/// One VM's engine.
#[async_trait]
pub trait Engine: Send + Sync {
    /// What the machine under the engine has.
    async fn machine(&self) -> Result<Machine, EngineError>;

    /// Every container on the machine, whoever made it, running or not. Limits are told of all that
    /// hold anything ([`State::holds`]); of other people's containers that hold nothing they are left
    /// empty.
    async fn observe(&self) -> Result<Vec<Observed>, EngineError>;

    /// Every container by its name and state, in one call: limits and health are not told. Engines without such a
    /// list observe instead.
    async fn list(&self) -> Result<Vec<Observed>, EngineError> {
        self.observe().await
    }

    /// One container by name.
    async fn find(&self, name: &str) -> Result<Option<Observed>, EngineError>;

    /// The engine's id of an image; None where it has no such image.
    async fn image(&self, image: &str) -> Result<Option<String>, EngineError>;

    /// Makes sure that the image is there, pulling it where that is needed; `tell` is told how far that is.
    async fn ensure_image(&self, wanted: &Wanted, tell: Tell<'_>) -> Result<(), EngineError>;

    /// The digest that an image's registry has for it now, as the engine finds it. None of engines that can't ask.
    async fn digest(&self, _wanted: &Wanted) -> Result<Option<String>, EngineError> {
        Ok(None)
    }

    /// The digest of the image that a container was made from, where that was pulled under the name `image`.
    async fn digest_of(&self, _name: &str, _image: &str) -> Result<Option<String>, EngineError> {
        Ok(None)
    }

    /// Makes sure that the container runs, is healthy where it has a health check, and holds what
    /// was asked. A container of that name which is ours and not as asked for is finished, started or
    /// replaced; one that is not ours is a [`EngineErrorKind::Foreign`] error. One that was started and does not come up
    /// ([`EngineErrorKind::Unhealthy`]) is stopped again, so that it holds nothing, and kept, so
    /// that its log can be read.
    async fn ensure_running(&self, spec: &ContainerSpec) -> Result<Observed, EngineError>;

    /// Puts a container that is as asked in the place of the one of that name, whatever that was made from. Its
    /// successor has a name of its own until it runs, and is healthy where it has a health check; only then the old one
    /// is removed. A failure leaves both as they are: see [`Engine::take_back`]. Called again, it goes on from there.
    /// Stand-ins may do it in one go.
    async fn replace(&self, spec: &ContainerSpec, _handover: Handover) -> Result<Observed, EngineError> {
        self.ensure_running(spec).await
    }

    /// Goes as far with a replacement as the old container is not touched: with [`Handover::StartFirst`] the successor is up
    /// then, otherwise it is made. Returns whether the old one is still to go. Stand-ins may do nothing.
    async fn prepare_replacement(
        &self,
        _spec: &ContainerSpec,
        _handover: Handover,
    ) -> Result<bool, EngineError> {
        Ok(true)
    }

    /// After a replacement that failed: makes sure that no successor is left, and that the old container runs. Where
    /// that has gone already, the successor is up, and is given the name.
    async fn take_back(&self, _name: &str) -> Result<(), EngineError> {
        Ok(())
    }

    /// Makes sure that the running container holds these limits, without stopping it.
    async fn ensure_limits(&self, name: &str, limits: &Limits) -> Result<Observed, EngineError>;

    /// Restarts the running container as it is, and waits until it is up again. One that stays unhealthy
    /// ([`EngineErrorKind::Unhealthy`]) goes on running. Stand-ins may leave it as it is.
    async fn restart(&self, _name: &str) -> Result<(), EngineError> {
        Ok(())
    }

    /// Makes sure that there is no such container: stopped with its grace, removed with its
    /// anonymous volumes. One that is not ours is a [`EngineErrorKind::Foreign`] error.
    async fn ensure_absent(&self, name: &str) -> Result<(), EngineError>;

    /// What the container has written, to its standard output and error as they came. An error in the
    /// stream is its end. Engines that keep no logs have nothing to tell.
    async fn log(&self, _name: &str, _options: &LogOptions) -> Result<Log, EngineError> {
        Ok(Box::pin(futures_util::stream::empty()))
    }

    /// What a running container uses, measured for about a second; None where it does not run. Engines that
    /// measure nothing have nothing to tell.
    async fn usage(&self, _name: &str) -> Result<Option<Usage>, EngineError> {
        Ok(None)
    }

    /// Bytes of memory that the container uses and the kernel can't take back from it, as it can pages of files:
    /// less than that can't be its limit. None where it does not run, and of engines that measure nothing.
    async fn memory_held(&self, _name: &str) -> Result<Option<u64>, EngineError> {
        Ok(None)
    }

    /// Unpacks a tar archive at a folder inside the container.
    async fn unpack(&self, name: &str, archive: Vec<u8>, folder: &str) -> Result<(), EngineError>;

    /// Makes a command ready to run in the container, as an argument vector. Nothing of it has run
    /// when this answers, so that what it is known by can be recorded first. Where the same program
    /// still runs there from an earlier run, waits for that to end, and fails when it does not
    /// within the command's deadline.
    async fn prepare(&self, name: &str, command: &Command) -> Result<RunId, EngineError>;

    /// Runs what was made ready, and waits for its end, no longer than `within`. It is begun once:
    /// called again for the same run, by whichever process, this waits for the run that is under
    /// way, or answers with how it ended. A command that ends badly or hangs is an answer, not an
    /// error.
    async fn complete(&self, name: &str, run: &RunId, within: Duration) -> Result<Finished, EngineError>;

    /// The same, and passes on what the command says while it runs, as far as it may be shown. Engines that can't hear
    /// it before its end tell nothing.
    async fn complete_aloud(
        &self,
        name: &str,
        run: &RunId,
        within: Duration,
        _tell: Tell<'_>,
    ) -> Result<Finished, EngineError> {
        self.complete(name, run, within).await
    }

    /// Makes sure that nothing of a run goes on: waits for its end, no longer than `within`, and
    /// kills it then. One that was not begun is not begun here either.
    async fn settle(&self, name: &str, run: &RunId, within: Duration) -> Result<Finished, EngineError>;

    /// Runs a command from beginning to end.
    async fn run(&self, name: &str, command: &Command) -> Result<Finished, EngineError> {
        let run = self.prepare(name, command).await?;
        self.complete(name, &run, command.deadline).await
    }
}

/// Gives the engine at an endpoint.
pub trait Engines: Send + Sync {
    /// The engine at `endpoint` (`unix:///…`, `tcp://…`, `https://…`, `ssh://…`). Handles are
    /// shared; nothing is dialled before the first call on the handle.
    fn at(&self, endpoint: &str, tls: Option<&Tls>) -> Result<Arc<dyn Engine>, EngineError>;

    /// Whose containers the engines take for ours. Stand-ins that mark containers as ours by themselves
    /// have nobody to name.
    fn owners(&self) -> Owners {
        Owners::default()
    }
}
