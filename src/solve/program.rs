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

/// A program started, whose answers may be fetched later.
pub struct Pending<T> {
    answers: mpsc::Receiver<T>,
}

/// Starts `program`, which is told how many seconds it has and how to answer, more than once if
/// it likes. `None` if too many are running.
pub fn start<T: Send + 'static>(
    seconds: f64,
    program: impl FnOnce(f64, &dyn Fn(T)) + Send + 'static,
) -> Option<Pending<T>> {
    let running = Running::start()?;
    let (send, answers) = mpsc::channel();
    std::thread::Builder::new()
        .name("placement-program".into())
        .stack_size(STACK)
        .spawn(move || {
            // Nobody may be listening any more, and that is fine.
            program(seconds, &|answer| drop(send.send(answer)));
            drop(running);
        })
        .ok()?;
    Some(Pending { answers })
}

impl<T> Pending<T> {
    /// The next answer if it is there already.
    pub fn poll(&self) -> Option<T> {
        self.answers.try_recv().ok()
    }

    /// Waits for the next answer until there will be none or the watch says stop.
    pub fn wait(&self, watch: &Watch<'_>) -> Option<T> {
        loop {
            match self.answers.recv_timeout(POLL) {
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
