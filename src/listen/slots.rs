//! Places for connections. When all are taken, those that have been idle longest make room: who
//! only holds connections open keeps nobody out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

/// The places.
#[derive(Clone)]
pub struct Slots(Arc<All>);

struct All {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    slots: BTreeMap<u64, State>,
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
        }))
    }

    /// A place, made free where none is; None where all of them serve a request.
    #[must_use]
    pub fn take(&self) -> Option<Slot> {
        let mut taken = self.lock();
        let evicted = taken.slots.values().filter(|state| state.evicted).count();
        let standing = taken.slots.len() - evicted;
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
        self.all.lock().slots.remove(&self.id);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn who_is_idle_longest_makes_room_and_who_is_busy_stays() {
        let slots = Slots::new(2);
        let (busy, idle) = (slots.take().unwrap(), slots.take().unwrap());
        busy.set_busy(true);
        let third = slots.take().unwrap();
        let waker = Waker::noop();
        let evicted = |slot: &Slot| slot.is_evicted(waker);
        assert!(!evicted(&busy) && evicted(&idle) && !evicted(&third));
        third.set_busy(true);
        assert!(slots.take().is_none(), "all are busy");
        drop(idle);
        assert!(slots.take().is_none(), "all are busy");
        third.set_busy(false);
        assert!(slots.take().is_some() && evicted(&third));
    }

    #[test]
    fn a_place_is_given_back() {
        let slots = Slots::new(1);
        for _ in 0..3 {
            let slot = slots.take().unwrap();
            slot.set_busy(true);
            assert!(slots.take().is_none());
        }
    }
}
