//! Running a HiGHS program under a deadline that HiGHS itself may not keep.
//!
//! The program runs on a thread of its own. When time is up before it answers, the thread is
//! left to run out alone: it holds its own copy of everything and its answer goes nowhere.
//! There are never more than [`MOST_ABANDONED`] such threads; beyond that, programs are refused.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::watch::Watch;

/// Most programs that may be running, wanted or abandoned, in the whole process.
pub const MOST_ABANDONED: usize = 8;
static RUNNING: AtomicUsize = AtomicUsize::new(0);
const STACK: usize = 16 << 20;
const POLL: Duration = Duration::from_millis(2);

/// Counts a program for as long as its thread lives.
struct Running;

impl Running {
    fn start() -> Option<Self> {
        RUNNING
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| {
                (n < MOST_ABANDONED).then_some(n + 1)
            })
            .ok()
            .map(|_| Self)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A program started, whose answer may be fetched later.
pub struct Pending<T> {
    answer: mpsc::Receiver<T>,
}

/// Starts `program`, which is told how many seconds it has. `None` if too many are running.
pub fn start<T: Send + 'static>(
    seconds: f64,
    program: impl FnOnce(f64) -> T + Send + 'static,
) -> Option<Pending<T>> {
    let running = Running::start()?;
    let (send, answer) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("placement-program".into())
        .stack_size(STACK)
        .spawn(move || {
            let result = program(seconds);
            // Nobody may be waiting any more.
            let _ = send.send(result);
            drop(running);
        })
        .ok()?;
    Some(Pending { answer })
}

impl<T> Pending<T> {
    /// Waits until the answer is there or the watch says stop.
    pub fn wait(&self, watch: &Watch<'_>) -> Option<T> {
        loop {
            match self.answer.recv_timeout(POLL) {
                Ok(result) => return Some(result),
                Err(mpsc::RecvTimeoutError::Disconnected) => return None,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    if watch.cut().is_some() {
                        return None;
                    }
                }
            }
        }
    }
}
