//! The queue for costly work: a limited amount is done at the same time, some waits, and the rest
//! is told to come again.
//!
//! It is fair: a permit that becomes free goes to the waiting client that holds the fewest, not to
//! the one that asked most often. Searches that may take long leave one permit to the short ones,
//! if there are two.

mod client;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;

use crate::fault::{Code, Fault};

pub use client::on_behalf_of;
pub(super) use client::{carried, client};

/// For each permit, this many may wait.
const WAITING: usize = 8;

/// The longest wait: those in front may be allowed to search for hours.
const PATIENCE: Duration = Duration::from_secs(30);

/// A queue, and the permits that it gives out.
pub struct Queue(Arc<Shared>);

struct Shared {
    at_once: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Permits that are taken, and how many of them by searches that may take long.
    taken: usize,
    long: usize,
    clients: BTreeMap<Arc<str>, Client>,
    /// Counts those that came.
    came: u64,
}

#[derive(Default)]
struct Client {
    taken: usize,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    number: u64,
    long: bool,
    call: oneshot::Sender<Permit>,
}

/// Permission to do the work, given back when it is dropped.
pub struct Permit {
    shared: Arc<Shared>,
    client: Arc<str>,
    long: bool,
}

impl Queue {
    /// This many at the same time.
    pub fn new(at_once: usize) -> Self {
        Self(Arc::new(Shared {
            at_once,
            state: Mutex::default(),
        }))
    }

    /// Waits for a permit, unless too many wait already: of all clients, or of this one.
    pub async fn take(&self, long: bool) -> Result<Permit, Fault> {
        let client = client();
        let (call, called) = oneshot::channel();
        let free = {
            let mut state = self.0.lock();
            let places = self.0.at_once.saturating_mul(WAITING);
            for one in state.clients.values_mut() {
                // Those that have gone away no longer wait.
                one.waiting.retain(|one| !one.call.is_closed());
            }
            let waiting: usize = state.clients.values().map(|one| one.waiting.len()).sum();
            let own = state.clients.get(&client).map_or(0, |own| own.waiting.len());
            // One client can't take all the places; alone, it gets half of them.
            if waiting >= places || own >= places.div_ceil(2) {
                return Err(busy());
            }
            state.came += 1;
            let number = state.came;
            let own = state.clients.entry(client).or_default();
            own.waiting.push_back(Waiting { number, long, call });
            self.0.next(&mut state)
        };
        free.into_iter().for_each(hand_over);
        match tokio::time::timeout(PATIENCE, called).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }
}

/// A client that has gone away gives the permit back by not taking it.
fn hand_over((call, permit): (oneshot::Sender<Permit>, Permit)) {
    drop(call.send(permit));
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes free permits for those that wait. They are given out once the lock is released.
    fn next(self: &Arc<Self>, state: &mut State) -> Vec<(oneshot::Sender<Permit>, Permit)> {
        let mut called = Vec::new();
        while state.taken < self.at_once {
            let room_for_long = state.long < self.at_once.saturating_sub(1).max(1);
            let fits = |one: &Waiting| !one.call.is_closed() && (!one.long || room_for_long);
            let first = state
                .clients
                .iter()
                .filter_map(|(name, client)| {
                    let one = client.waiting.iter().find(|one| fits(one))?;
                    Some((client.taken, one.number, Arc::clone(name)))
                })
                .min();
            let Some((_, number, name)) = first else { break };
            let Some(client) = state.clients.get_mut(&name) else {
                break;
            };
            let Some(place) = client.waiting.iter().position(|one| one.number == number) else {
                break;
            };
            let Some(one) = client.waiting.remove(place) else {
                break;
            };
            client.taken += 1;
            state.taken += 1;
            state.long += usize::from(one.long);
            let permit = Permit {
                shared: Arc::clone(self),
                client: name,
                long: one.long,
            };
            called.push((one.call, permit));
        }
        called
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let called = {
            let mut state = self.shared.lock();
            state.taken = state.taken.saturating_sub(1);
            state.long = state.long.saturating_sub(usize::from(self.long));
            if let Some(client) = state.clients.get_mut(&self.client) {
                client.taken = client.taken.saturating_sub(1);
                if client.taken == 0 && client.waiting.is_empty() {
                    state.clients.remove(&self.client);
                }
            }
            self.shared.next(&mut state)
        };
        called.into_iter().for_each(hand_over);
    }
}

fn busy() -> Fault {
    let message = "too many placements are asked for at once; ask again in a moment (--solves lets more be searched \
                   for at the same time)";
    Fault::new(Code::Overloaded, message).with([json!({ "retry_after_s": 1 })])
}
