//! Waiting in tests for something that takes an unknown time.
//!
//! A slow or busy machine takes longer, and that is no failure. So this counts looks, not seconds:
//! each look takes the machine's own time, and on a machine that is five times slower, the same
//! number of looks lasts longer. Something that never comes is still given up, and the failure says
//! what it was.

use std::time::Duration;

/// How many looks a fast machine takes before it gives up. Most of what is waited for comes within
/// one second.
const NOMINAL: Duration = Duration::from_secs(180);

/// How many looks are left.
pub struct Patience {
    pause: Duration,
    left: u128,
}

impl Patience {
    /// Looks with this pause between them.
    pub fn every(pause: Duration) -> Self {
        Self {
            pause,
            left: NOMINAL.as_millis() / pause.as_millis().max(1),
        }
    }

    /// Waits for the next look; fails with the text from `tell` if there is none left.
    pub async fn wait(&mut self, tell: impl FnOnce() -> String) {
        self.count(tell);
        tokio::time::sleep(self.pause).await;
    }

    /// The same, for a test with a thread of its own.
    pub fn wait_blocking(&mut self, tell: impl FnOnce() -> String) {
        self.count(tell);
        std::thread::sleep(self.pause);
    }

    fn count(&mut self, tell: impl FnOnce() -> String) {
        assert!(self.left > 0, "waited in vain: {}", tell());
        self.left -= 1;
    }
}

/// The result of a future; fails if there is none in time.
pub async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut patience = Patience::every(Duration::from_millis(100));
    loop {
        tokio::select! {
            biased;
            done = &mut future => return done,
            () = patience.wait(|| what.to_owned()) => {}
        }
    }
}
