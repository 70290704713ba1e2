//! Why an engine could not do what was asked, and whether the effect may have happened all the same.

/// Why an engine could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{endpoint}: {message}")]
pub struct EngineError {
    /// The engine's endpoint, without any secret.
    pub endpoint: String,
    /// What was tried, what happened, and what to do.
    pub message: String,
    /// What kind of failure it is.
    pub kind: EngineErrorKind,
    /// Whether the effect may have happened.
    pub effect: Effect,
}

impl EngineError {
    /// Whether the failure may pass, or left its effect unknown.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        let passing = match self.kind {
            EngineErrorKind::Unreachable
            | EngineErrorKind::TimedOut
            | EngineErrorKind::Garbled
            | EngineErrorKind::Failing
            | EngineErrorKind::Down => true,
            EngineErrorKind::Misconfigured
            | EngineErrorKind::Foreign
            | EngineErrorKind::Image
            | EngineErrorKind::Secret
            | EngineErrorKind::Refused
            | EngineErrorKind::Unhealthy
            | EngineErrorKind::Mismatch
            | EngineErrorKind::InUse
            | EngineErrorKind::Missing => false,
        };
        passing || (self.effect == Effect::Unknown && self.kind == EngineErrorKind::Refused)
    }
}

/// Kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineErrorKind {
    /// The endpoint can't be used: a bad address or missing TLS files.
    Misconfigured,
    /// Nothing answers, or the connection broke.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// There is a container of that name which is not ours.
    Foreign,
    /// The image can't be had.
    Image,
    /// A secret that the container needs can't be read.
    Secret,
    /// Something answers, but not like a Docker engine.
    Garbled,
    /// The engine refused.
    Refused,
    /// The engine, or something in front of it, failed on the request (5xx), which may pass.
    Failing,
    /// The container did not stay up or did not become healthy.
    Unhealthy,
    /// The container does not run, which may pass: an engine that was restarted starts its
    /// containers again.
    Down,
    /// The engine reports other limits than those asked for.
    Mismatch,
    /// The container uses more memory than it would be allowed.
    InUse,
    /// No such container.
    Missing,
}

/// Whether a failed call may have had its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Certainly not.
    None,
    /// Nobody knows; look it up.
    Unknown,
}
