//! The driver's time limits.

use std::time::Duration;

/// Limits for every wait of the driver. No call to an engine is without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// For making a TCP connection.
    pub connect: Duration,
    /// For one answer of the engine, in addition to any time that the call itself may take (a
    /// stop's grace period, a hook's deadline).
    pub answer: Duration,
    /// For a container with a health check to become healthy.
    pub health: Duration,
    /// How long a started container must stay up before it counts as running. A process that can't
    /// read its configuration has ended well before that.
    pub settle: Duration,
    /// For an image to be pulled.
    pub pull: Duration,
    /// For the next progress message during a pull.
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
