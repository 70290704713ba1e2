//! Places for connections. When all are taken, those that have been idle longest make room: nobody
//! can keep others out by just holding connections open.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The places.
#[derive(Clone)]
pub struct Slots(Arc<All>);

struct All {
    most: usize,
    begun: Instant,
    taken: Mutex<Taken>,
    /// Signalled when a place was given back, or may be freed.
    freed: Notify,
}

#[derive(Default)]
struct Taken {
    next: u64,
    slots: BTreeMap<u64, Arc<State>>,
    /// How many of them were told to close.
    evicted: usize,
}

/// What the connection itself reports, at every request: without a lock, for which all would wait.
#[derive(Default)]
struct State {
    /// Since when it serves no request, in microseconds; [`BUSY`] while it serves one.
    idle: AtomicU64,
    /// It is to be closed.
    evicted: AtomicBool,
    waker: AtomicWaker,
}

const BUSY: u64 = u64::MAX;

/// One place, given back when it is dropped.
pub struct Slot {
    all: Slots,
    id: u64,
    state: Arc<State>,
}

impl Slots {
    /// This many places.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self(Arc::new(All {
            most,
            begun: Instant::now(),
            taken: Mutex::default(),
            freed: Notify::new(),
        }))
    }

    /// Takes a place, and frees one if all are taken. If all of them serve a request, or those that
    /// were told to close have not closed yet, it waits; None if none became free.
    pub async fn take(&self, patience: Duration) -> Option<Slot> {
        let end = Instant::now() + patience;
        loop {
            if let Some(slot) = self.try_take() {
                return Some(slot);
            }
            tokio::time::timeout_at(end, self.0.freed.notified()).await.ok()?;
        }
    }

    fn try_take(&self) -> Option<Slot> {
        let mut taken = self.lock();
        let standing = taken.slots.len().saturating_sub(taken.evicted);
        // Those that are closing count until they are gone, or a flood would be let in with them.
        if taken.slots.len() >= self.0.most.saturating_mul(2) {
            return None;
        }
        if standing >= self.0.most {
            let gone = taken.evict((self.0.most / 64).max(1));
            if gone == 0 {
                return None;
            }
        }
        let id = taken.next;
        taken.next += 1;
        let state = Arc::new(State {
            idle: AtomicU64::new(self.micros(Instant::now())),
            ..State::default()
        });
        taken.slots.insert(id, Arc::clone(&state));
        drop(taken);
        Some(Slot {
            all: self.clone(),
            id,
            state,
        })
    }

    fn micros(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.0.begun).as_micros();
        u64::try_from(since).unwrap_or(BUSY - 1)
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Tells this many of those that have been idle longest to close. Several at once, because
    /// finding them means looking at all.
    fn evict(&mut self, count: usize) -> usize {
        let mut idle: Vec<(u64, &State)> = self
            .slots
            .values()
            .filter(|state| !state.evicted.load(Ordering::Acquire))
            .map(|state| (state.idle.load(Ordering::Acquire), state.as_ref()))
            .filter(|(since, _)| *since != BUSY)
            .collect();
        // Of those equally long idle, the oldest comes first.
        idle.sort_by_key(|(since, _)| *since);
        idle.truncate(count);
        for (_, state) in &idle {
            state.evicted.store(true, Ordering::Release);
            state.waker.wake();
        }
        let gone = idle.len();
        self.evicted += gone;
        gone
    }
}

impl Slot {
    /// It now serves a request.
    pub fn set_busy(&self) {
        self.state.idle.store(BUSY, Ordering::Release);
    }

    /// It no longer serves a request.
    pub fn set_idle(&self, now: Instant) {
        self.state.idle.store(self.all.micros(now), Ordering::Release);
        self.all.0.freed.notify_one();
    }

    /// Whether it has to close; the caller is woken when it has to.
    #[must_use]
    pub fn is_evicted(&self, waker: &Waker) -> bool {
        self.state.waker.register(waker);
        self.state.evicted.load(Ordering::Acquire)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.all.lock();
        let gone = taken.slots.remove(&self.id);
        taken.evicted -= usize::from(gone.is_some_and(|state| state.evicted.load(Ordering::Acquire)));
        drop(taken);
        self.all.0.freed.notify_one();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_idle_connection_makes_room_and_a_busy_one_stays() {
        let slots = Slots::new(2);
        let (busy, idle) = (slots.try_take().unwrap(), slots.try_take().unwrap());
        busy.set_busy();
        let third = slots.try_take().unwrap();
        let waker = Waker::noop();
        let evicted = |slot: &Slot| slot.is_evicted(waker);
        assert!(!evicted(&busy) && evicted(&idle) && !evicted(&third));
        third.set_busy();
        assert!(slots.try_take().is_none(), "all are busy");
        drop(idle);
        assert!(slots.try_take().is_none(), "all are busy");
        third.set_idle(Instant::now());
        assert!(slots.try_take().is_some() && evicted(&third));
    }

    #[test]
    fn a_place_is_given_back() {
        let slots = Slots::new(1);
        for _ in 0..3 {
            let slot = slots.try_take().unwrap();
            slot.set_busy();
            assert!(slots.try_take().is_none());
        }
    }

    #[tokio::test]
    async fn a_connection_that_comes_when_all_are_busy_waits_for_one_to_end() {
        let slots = Slots::new(1);
        let busy = slots.take(Duration::from_secs(60)).await.unwrap();
        busy.set_busy();
        assert!(slots.take(Duration::from_millis(1)).await.is_none());
        let waiting = tokio::spawn({
            let slots = slots.clone();
            async move { slots.take(Duration::from_secs(60)).await.is_some() }
        });
        tokio::task::yield_now().await;
        drop(busy);
        assert!(waiting.await.unwrap());
    }
}
