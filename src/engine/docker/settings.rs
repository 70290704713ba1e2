//! How long the driver waits for what.

use std::time::Duration;

/// Bounds on every wait of the driver. No call to an engine is without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// For a TCP connection to be made.
    pub connect: Duration,
    /// For one answer of the engine, besides any time that the call itself is asked to take (a
    /// stop's grace, a hook's deadline).
    pub answer: Duration,
    /// For a container with a health check to become healthy.
    pub health: Duration,
    /// How long a started container must stay up before it counts as running. A process that
    /// can't read its configuration is gone well within it.
    pub settle: Duration,
    /// For an image to be pulled.
    pub pull: Duration,
    /// For the next sign of life during a pull.
    pub pull_silence: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(30),
            health: Duration::from_secs(120),
            settle: Duration::from_millis(250),
            pull: Duration::from_secs(15 * 60),
            pull_silence: Duration::from_secs(90),
        }
    }
}
