//! What the service gets from outside besides its inputs: the time of day, new ids, random numbers,
//! and threads for work that blocks.
//!
//! All of it is passed in, so that a simulation can repeat a run exactly. For the same reason,
//! waiting uses tokio's clock, never the standard library's.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::runtime::Handle;
use uuid::Uuid;

/// What one service gets from outside.
#[async_trait]
pub trait Outside: Send + Sync {
    /// The time of day, for people. It may jump in either direction, so nothing is ordered by it.
    fn now(&self) -> Timestamp;

    /// An id that nobody else has.
    fn id(&self) -> Uuid;

    /// A number from 0 up to 1, different each time.
    fn chance(&self) -> f64;

    /// Runs work that blocks, to its end, even if the caller goes away.
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

/// Runs blocking work on a runtime's threads and returns its result; None if it crashed, which is
/// logged.
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
