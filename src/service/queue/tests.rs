#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

fn ask(queue: &Arc<Queue>, client: &str, long: bool) -> tokio::task::JoinHandle<Result<Permit, Fault>> {
    let queue = Arc::clone(queue);
    let client = client.into();
    tokio::spawn(on_behalf_of(client, async move { queue.take(long).await }))
}

async fn until_waiting(queue: &Queue, count: usize) {
    let waiting = || -> usize {
        let state = queue.0.lock();
        state.clients.values().map(|one| one.waiting.len()).sum()
    };
    while waiting() != count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn some_wait_and_the_rest_are_told() {
    let queue = Arc::new(Queue::new(1));
    let first = queue.take(false).await.unwrap();
    let mut waiting = Vec::new();
    for index in 0..WAITING {
        waiting.push(ask(&queue, ["a", "b"][index % 2], false));
    }
    until_waiting(&queue, WAITING).await;
    let told = ask(&queue, "c", false).await.unwrap();
    assert_eq!(told.err().unwrap().code, Code::Overloaded);
    drop(first);
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    queue.take(false).await.unwrap();
    assert!(queue.0.lock().clients.is_empty());
}

#[tokio::test]
async fn a_client_that_asks_often_keeps_no_other_waiting() {
    let queue = Arc::new(Queue::new(2));
    let mut greedy = vec![ask(&queue, "greedy", false), ask(&queue, "greedy", false)];
    let held = [
        greedy.remove(0).await.unwrap().unwrap(),
        greedy.remove(0).await.unwrap().unwrap(),
    ];
    for _ in 0..4 {
        greedy.push(ask(&queue, "greedy", false));
    }
    until_waiting(&queue, 4).await;
    let modest = ask(&queue, "modest", false);
    until_waiting(&queue, 5).await;
    let [one, other] = held;
    drop(one);
    let _turn = modest.await.unwrap().unwrap();
    assert!(greedy.iter().all(|one| !one.is_finished()));
    drop(other);
    greedy.remove(0).await.unwrap().unwrap();
}

#[tokio::test]
async fn one_client_never_takes_all_places_to_wait() {
    let queue = Arc::new(Queue::new(1));
    let _held = queue.take(false).await.unwrap();
    let waiting: Vec<_> = (0..WAITING / 2).map(|_| ask(&queue, "greedy", false)).collect();
    until_waiting(&queue, WAITING / 2).await;
    let told = ask(&queue, "greedy", false).await.unwrap();
    assert_eq!(told.err().unwrap().code, Code::Overloaded);
    let _modest = ask(&queue, "modest", false);
    until_waiting(&queue, WAITING / 2 + 1).await;
    assert_eq!(waiting.len(), WAITING / 2);
}

#[tokio::test]
async fn long_searches_leave_a_turn_to_short_ones() {
    let queue = Arc::new(Queue::new(2));
    let _long = ask(&queue, "a", true).await.unwrap().unwrap();
    let second = ask(&queue, "b", true);
    until_waiting(&queue, 1).await;
    for _ in 0..3 {
        ask(&queue, "a", false).await.unwrap().unwrap();
    }
    assert!(!second.is_finished());
    // The only permit can be a long one.
    Queue::new(1).take(true).await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_gives_its_turn_back() {
    let queue = Arc::new(Queue::new(1));
    let held = queue.take(false).await.unwrap();
    let gone = ask(&queue, "a", false);
    until_waiting(&queue, 1).await;
    gone.abort();
    assert!(gone.await.is_err());
    drop(held);
    queue.take(false).await.unwrap();
}
