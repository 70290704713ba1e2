//! Runs a HiGHS program under a deadline that HiGHS itself may not keep.
//!
//! The program runs on a thread of its own. If it has not answered when time is up, the thread is
//! abandoned: it has its own copy of everything, and its answer is ignored. What runs on it asks
//! between its steps whether it is still wanted; HiGHS, which can't be told to stop, has limits of
//! its own. There are never more than [`MOST_ABANDONED`] such threads; beyond that, programs are
//! refused.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
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

/// A program that was started, whose answers may be fetched later.
pub struct Pending<T> {
    answers: mpsc::Receiver<T>,
    unwanted: Arc<AtomicBool>,
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        self.unwanted.store(true, Ordering::Relaxed);
    }
}

/// What a program knows, and how it answers.
pub struct Desk<T> {
    /// Seconds that it has.
    pub seconds: f64,
    answers: mpsc::Sender<T>,
    unwanted: Arc<AtomicBool>,
}

impl<T> Desk<T> {
    /// Answers, possibly more than once.
    pub fn answer(&self, answer: T) {
        // Nobody may be listening any more, and that is fine.
        drop(self.answers.send(answer));
    }

    /// Whether nobody waits for an answer any more.
    #[must_use]
    pub fn unwanted(&self) -> bool {
        self.unwanted.load(Ordering::Relaxed)
    }
}

/// Starts `program`. `None` if too many are running.
pub fn start<T: Send + 'static>(
    seconds: f64,
    program: impl FnOnce(&Desk<T>) + Send + 'static,
) -> Option<Pending<T>> {
    let running = Running::start()?;
    let (send, answers) = mpsc::channel();
    let unwanted = Arc::new(AtomicBool::new(false));
    let desk = Desk {
        seconds,
        answers: send,
        unwanted: Arc::clone(&unwanted),
    };
    std::thread::Builder::new()
        .name("placement-program".into())
        .stack_size(STACK)
        .spawn(move || {
            program(&desk);
            drop(running);
        })
        .ok()?;
    Some(Pending { answers, unwanted })
}

impl<T> Pending<T> {
    /// Whether the program has ended. Answers may be left.
    #[must_use]
    pub fn over(&self) -> bool {
        // The program holds the other one.
        Arc::strong_count(&self.unwanted) == 1
    }

    /// The next answer, if it is already there.
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
