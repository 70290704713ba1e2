//! Turns at costly work: so many at the same time, some waiting, and the rest told to come again.
//!
//! Clients take turns, too: a turn that comes free goes to the waiting client that has had the
//! fewest in hand, not to the one that asked most often. Searches that may take long leave one turn
//! to the short ones, where there are two.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;

use crate::fault::{Code, Fault};

/// For each turn, so many may wait.
const WAITING: usize = 8;
/// The longest that one waits: those before may be allowed to search for hours.
const PATIENCE: Duration = Duration::from_secs(30);

tokio::task_local! {
    /// The client that is being served.
    static CLIENT: Arc<str>;
}

/// Serves a client: turns that `work` takes are counted as that client's.
pub async fn on_behalf_of<W: Future>(client: Arc<str>, work: W) -> W::Output {
    CLIENT.scope(client, work).await
}

/// Work that goes on in a task of its own, for the client that is being served here.
pub(super) fn carried<W: Future>(work: W) -> impl Future<Output = W::Output> {
    let client = CLIENT.try_with(Arc::clone).ok();
    async move {
        match client {
            Some(client) => CLIENT.scope(client, work).await,
            None => work.await,
        }
    }
}

/// The client that is being served; the service itself where there is none.
pub(super) fn client() -> Arc<str> {
    CLIENT.try_with(Arc::clone).unwrap_or_else(|_| "mapek".into())
}

/// The turns.
pub struct Turns(Arc<Shared>);

struct Shared {
    at_once: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Turns that are taken, and how many of them by searches that may take long.
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
    call: oneshot::Sender<Turn>,
}

/// A turn, given back when it is dropped.
pub struct Turn {
    shared: Arc<Shared>,
    client: Arc<str>,
    long: bool,
}

impl Turns {
    /// So many at the same time.
    pub fn new(at_once: usize) -> Self {
        Self(Arc::new(Shared {
            at_once,
            state: Mutex::default(),
        }))
    }

    /// Waits for a turn, unless too many wait already: of all clients, or of this one.
    pub async fn take(&self, long: bool) -> Result<Turn, Fault> {
        let client = client();
        let (call, called) = oneshot::channel();
        let free = {
            let mut state = self.0.lock();
            let places = self.0.at_once.saturating_mul(WAITING);
            for one in state.clients.values_mut() {
                // Those that have gone away wait no more.
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
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }
}

/// Whoever has gone away gives the turn back by not taking it.
fn hand_over((call, turn): (oneshot::Sender<Turn>, Turn)) {
    drop(call.send(turn));
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes free turns for those that wait. They are handed over once the lock is given back.
    fn next(self: &Arc<Self>, state: &mut State) -> Vec<(oneshot::Sender<Turn>, Turn)> {
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
            let turn = Turn {
                shared: Arc::clone(self),
                client: name,
                long: one.long,
            };
            called.push((one.call, turn));
        }
        called
    }
}

impl Drop for Turn {
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn ask(turns: &Arc<Turns>, client: &str, long: bool) -> tokio::task::JoinHandle<Result<Turn, Fault>> {
        let turns = Arc::clone(turns);
        let client = client.into();
        tokio::spawn(on_behalf_of(client, async move { turns.take(long).await }))
    }

    async fn until_waiting(turns: &Turns, count: usize) {
        let waiting = || -> usize {
            let state = turns.0.lock();
            state.clients.values().map(|one| one.waiting.len()).sum()
        };
        while waiting() != count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn some_wait_and_the_rest_are_told() {
        let turns = Arc::new(Turns::new(1));
        let first = turns.take(false).await.unwrap();
        let mut waiting = Vec::new();
        for index in 0..WAITING {
            waiting.push(ask(&turns, ["a", "b"][index % 2], false));
        }
        until_waiting(&turns, WAITING).await;
        let told = ask(&turns, "c", false).await.unwrap();
        assert_eq!(told.err().unwrap().code, Code::Overloaded);
        drop(first);
        for one in waiting {
            one.await.unwrap().unwrap();
        }
        turns.take(false).await.unwrap();
        assert!(turns.0.lock().clients.is_empty());
    }

    #[tokio::test]
    async fn a_client_that_asks_often_keeps_no_other_waiting() {
        let turns = Arc::new(Turns::new(2));
        let mut greedy = vec![ask(&turns, "greedy", false), ask(&turns, "greedy", false)];
        let held = [
            greedy.remove(0).await.unwrap().unwrap(),
            greedy.remove(0).await.unwrap().unwrap(),
        ];
        for _ in 0..4 {
            greedy.push(ask(&turns, "greedy", false));
        }
        until_waiting(&turns, 4).await;
        let modest = ask(&turns, "modest", false);
        until_waiting(&turns, 5).await;
        let [one, other] = held;
        drop(one);
        let _turn = modest.await.unwrap().unwrap();
        assert!(greedy.iter().all(|one| !one.is_finished()));
        drop(other);
        greedy.remove(0).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn one_client_never_takes_all_places_to_wait() {
        let turns = Arc::new(Turns::new(1));
        let _held = turns.take(false).await.unwrap();
        let waiting: Vec<_> = (0..WAITING / 2).map(|_| ask(&turns, "greedy", false)).collect();
        until_waiting(&turns, WAITING / 2).await;
        let told = ask(&turns, "greedy", false).await.unwrap();
        assert_eq!(told.err().unwrap().code, Code::Overloaded);
        let _modest = ask(&turns, "modest", false);
        until_waiting(&turns, WAITING / 2 + 1).await;
        assert_eq!(waiting.len(), WAITING / 2);
    }

    #[tokio::test]
    async fn long_searches_leave_a_turn_to_short_ones() {
        let turns = Arc::new(Turns::new(2));
        let _long = ask(&turns, "a", true).await.unwrap().unwrap();
        let second = ask(&turns, "b", true);
        until_waiting(&turns, 1).await;
        for _ in 0..3 {
            ask(&turns, "a", false).await.unwrap().unwrap();
        }
        assert!(!second.is_finished());
        // The only turn there is can be a long one.
        Turns::new(1).take(true).await.unwrap();
    }

    #[tokio::test]
    async fn who_goes_away_gives_the_turn_back() {
        let turns = Arc::new(Turns::new(1));
        let held = turns.take(false).await.unwrap();
        let gone = ask(&turns, "a", false);
        until_waiting(&turns, 1).await;
        gone.abort();
        assert!(gone.await.is_err());
        drop(held);
        turns.take(false).await.unwrap();
    }
}
