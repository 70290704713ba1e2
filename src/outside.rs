//! What the service takes from outside besides its inputs: the time of day, fresh ids, chance, and
//! threads for work that blocks.
//!
//! All of it is handed in, so that a simulation can repeat a run exactly. Time that is waited for is
//! tokio's, never the standard library's, for the same reason.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::runtime::Handle;
use uuid::Uuid;

/// The outside of one service.
#[async_trait]
pub trait Outside: Send + Sync {
    /// The time of day, for people. It may step in either direction, so nothing is ordered by it.
    fn now(&self) -> Timestamp;

    /// An id that nobody else has.
    fn id(&self) -> Uuid;

    /// A number from 0 up to 1, different each time.
    fn chance(&self) -> f64;

    /// Runs work that blocks, to its end, even when the caller goes away.
    async fn run(&self, on: &Handle, work: Box<dyn FnOnce() + Send>);
}

impl fmt::Debug for dyn Outside {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Outside")
    }
}

/// The real outside.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

#[async_trait]
impl Outside for System {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn id(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn chance(&self) -> f64 {
        fastrand::f64()
    }

    async fn run(&self, on: &Handle, work: Box<dyn FnOnce() + Send>) {
        if let Err(error) = on.spawn_blocking(work).await {
            tracing::error!(%error, "a task ended without an answer");
        }
    }
}

/// Runs work that blocks on a runtime's threads and answers with what it came to; None when it
/// crashed, which the log tells of.
pub async fn off_async<T, W>(outside: &dyn Outside, on: &Handle, work: W) -> Option<T>
where
    T: Send + 'static,
    W: FnOnce() -> T + Send + 'static,
{
    let answer = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&answer);
    let task = move || {
        let done = work();
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
    };
    outside.run(on, Box::new(task)).await;
    answer.lock().unwrap_or_else(PoisonError::into_inner).take()
}
