//! Places for connections. When all are taken, those that have been idle longest make room: who
//! only holds connections open keeps nobody out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The places.
#[derive(Clone)]
pub struct Slots(Arc<All>);

struct All {
    most: usize,
    taken: Mutex<Taken>,
    /// Rung when a place was given back, or may be made free.
    freed: Notify,
}

#[derive(Default)]
struct Taken {
    next: u64,
    slots: BTreeMap<u64, State>,
    /// How many of them were told to go.
    evicted: usize,
}

struct State {
    /// Since when it serves no request; None while it does.
    idle: Option<Instant>,
    /// It is to be closed.
    evicted: bool,
    waker: Option<Waker>,
}

/// One place, given back when it is dropped.
pub struct Slot {
    all: Slots,
    id: u64,
}

impl Slots {
    /// So many places.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self(Arc::new(All {
            most,
            taken: Mutex::default(),
            freed: Notify::new(),
        }))
    }

    /// A place, made free where none is. Where all of them serve a request, or those that were told
    /// to go have not gone yet, it is waited for; None when none came free.
    pub async fn take(&self, patience: Duration) -> Option<Slot> {
        let end = tokio::time::Instant::now() + patience;
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
        // Those on their way out count until they are gone, or a flood would be let in with them.
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
        let state = State {
            idle: Some(Instant::now()),
            evicted: false,
            waker: None,
        };
        taken.slots.insert(id, state);
        drop(taken);
        Some(Slot {
            all: self.clone(),
            id,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Tells so many of those idle longest to go. Several at once, since finding them takes a look
    /// at all.
    fn evict(&mut self, count: usize) -> usize {
        let mut idle: Vec<(Instant, u64)> = self
            .slots
            .iter()
            .filter(|(_, state)| !state.evicted)
            .filter_map(|(id, state)| Some((state.idle?, *id)))
            .collect();
        idle.sort_unstable();
        idle.truncate(count);
        for (_, id) in &idle {
            if let Some(state) = self.slots.get_mut(id) {
                state.evicted = true;
                if let Some(waker) = state.waker.take() {
                    waker.wake();
                }
            }
        }
        self.evicted += idle.len();
        idle.len()
    }
}

impl Slot {
    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> Option<T> {
        self.all.lock().slots.get_mut(&self.id).map(look)
    }

    /// It serves a request from now on, or does no more.
    pub fn set_busy(&self, busy: bool) {
        self.with(|state| state.idle = if busy { None } else { Some(Instant::now()) });
        if !busy {
            self.all.0.freed.notify_one();
        }
    }

    /// Whether it has to go; who asks is woken when it has to.
    #[must_use]
    pub fn is_evicted(&self, waker: &Waker) -> bool {
        let look = |state: &mut State| {
            if !state.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
                state.waker = Some(waker.clone());
            }
            state.evicted
        };
        self.with(look).unwrap_or(true)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.all.lock();
        let gone = taken.slots.remove(&self.id);
        taken.evicted -= usize::from(gone.is_some_and(|state| state.evicted));
        drop(taken);
        self.all.0.freed.notify_one();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn who_is_idle_longest_makes_room_and_who_is_busy_stays() {
        let slots = Slots::new(2);
        let (busy, idle) = (slots.try_take().unwrap(), slots.try_take().unwrap());
        busy.set_busy(true);
        let third = slots.try_take().unwrap();
        let waker = Waker::noop();
        let evicted = |slot: &Slot| slot.is_evicted(waker);
        assert!(!evicted(&busy) && evicted(&idle) && !evicted(&third));
        third.set_busy(true);
        assert!(slots.try_take().is_none(), "all are busy");
        drop(idle);
        assert!(slots.try_take().is_none(), "all are busy");
        third.set_busy(false);
        assert!(slots.try_take().is_some() && evicted(&third));
    }

    #[test]
    fn a_place_is_given_back() {
        let slots = Slots::new(1);
        for _ in 0..3 {
            let slot = slots.try_take().unwrap();
            slot.set_busy(true);
            assert!(slots.try_take().is_none());
        }
    }

    #[tokio::test]
    async fn who_comes_when_all_are_busy_waits_for_one_to_end() {
        let slots = Slots::new(1);
        let busy = slots.take(Duration::from_secs(60)).await.unwrap();
        busy.set_busy(true);
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
