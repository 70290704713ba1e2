//! Turns at costly work: so many at the same time, some waiting, and the rest told to come again.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::fault::{Code, Fault};

/// For each turn, so many may wait.
const WAITING: usize = 8;
/// The longest that one waits: those before may be allowed to search for hours.
const PATIENCE: Duration = Duration::from_secs(30);

/// The turns.
pub struct Turns {
    at_once: Arc<Semaphore>,
    all: Arc<Semaphore>,
}

/// A turn, given back when it is dropped.
pub struct Turn {
    _at_once: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Turns {
    /// So many at the same time.
    pub fn new(at_once: usize) -> Self {
        Self {
            at_once: Arc::new(Semaphore::new(at_once)),
            all: Arc::new(Semaphore::new(at_once.saturating_mul(1 + WAITING))),
        }
    }

    /// Waits for a turn, unless too many wait already.
    pub async fn take(&self) -> Result<Turn, Fault> {
        let all = Arc::clone(&self.all).try_acquire_owned().map_err(|_| busy())?;
        let closed = |_| Fault::new(Code::Stopping, "the service is stopping");
        let turn = Arc::clone(&self.at_once).acquire_owned();
        let at_once = tokio::time::timeout(PATIENCE, turn)
            .await
            .map_err(|_| busy())?
            .map_err(closed)?;
        Ok(Turn {
            _at_once: at_once,
            _all: all,
        })
    }
}

fn busy() -> Fault {
    let message = "too many placements are asked for at once; ask again in a moment (--solves lets more be searched \
                   for at the same time)";
    Fault::new(Code::Overloaded, message).with([json!({ "retry_after_s": 1 })])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn some_wait_and_the_rest_are_told() {
        let turns = Arc::new(Turns::new(1));
        let first = turns.take().await.unwrap();
        let waiting: Vec<_> = (0..WAITING)
            .map(|_| {
                let turns = Arc::clone(&turns);
                tokio::spawn(async move { turns.take().await.map(drop) })
            })
            .collect();
        while turns.all.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(turns.take().await.err().unwrap().code, Code::Overloaded);
        drop(first);
        for one in waiting {
            one.await.unwrap().unwrap();
        }
        turns.take().await.unwrap();
    }
}
