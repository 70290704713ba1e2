//! What a hook says while it runs, passed on a piece at a time and within bounds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::run::Runs;
use crate::engine::{Engine, EngineError, Finished, RunId};

/// Most bytes of one run that are passed on. What it says after that is in its outcome, cut as that is.
pub const MOST: usize = 64 * 1024;
/// Pieces are gathered for this long, or up to so many bytes: each is recorded, and a record is on disk before the next.
const GATHER: Duration = Duration::from_millis(250);
const PIECE: usize = 4 * 1024;
/// Behind the last piece, where there would be more.
const MORE: &str = "\n[… what it says from here on is in its outcome …]\n";

/// Brings a run to its end, and tells `runs` what it says on the way.
pub async fn to_its_end(
    engine: &dyn Engine,
    container: &str,
    run: &RunId,
    deadline: Duration,
    runs: &dyn Runs,
) -> Result<Finished, EngineError> {
    let (pieces, heard) = mpsc::unbounded_channel();
    let told = AtomicUsize::new(0);
    let running = async move {
        let tell = |piece: &str| {
            let before = told.fetch_add(piece.len(), Ordering::Relaxed);
            // Once there is too much, nothing is kept for whoever records it.
            if before <= MOST {
                // Nobody listens once all is over.
                let _ = pieces.send(piece.to_owned());
            }
        };
        engine.complete_aloud(container, run, deadline, &tell).await
    };
    let (finished, ()) = tokio::join!(running, pass_on(heard, runs));
    finished
}

async fn pass_on(mut heard: mpsc::UnboundedReceiver<String>, runs: &dyn Runs) {
    let mut left = MOST;
    while let Some(mut text) = heard.recv().await {
        let until = Instant::now() + GATHER;
        while text.len() < PIECE {
            match timeout_at(until, heard.recv()).await {
                Ok(Some(more)) => text.push_str(&more),
                Ok(None) | Err(_) => break,
            }
        }
        if left == 0 {
            continue;
        }
        if text.len() > left {
            text.truncate(text.floor_char_boundary(left));
            text.push_str(MORE);
            left = 0;
        } else {
            left -= text.len();
        }
        runs.said(text).await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;

    #[derive(Default)]
    struct Book(Mutex<Vec<String>>);

    #[async_trait]
    impl Runs for Book {
        fn earlier(&self) -> Option<RunId> {
            None
        }

        async fn begin(&self, _: &RunId) -> Result<(), String> {
            Ok(())
        }

        async fn said(&self, text: String) {
            self.0.lock().unwrap().push(text);
        }
    }

    async fn told(pieces: &[String], pause: Duration) -> Vec<String> {
        let (send, heard) = mpsc::unbounded_channel();
        let book = Book::default();
        let talk = async move {
            for piece in pieces {
                send.send(piece.clone()).unwrap();
                tokio::time::sleep(pause).await;
            }
        };
        tokio::join!(talk, pass_on(heard, &book));
        book.0.into_inner().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn pieces_that_come_close_together_are_one() {
        let pieces = ["one ".to_owned(), "two ".to_owned(), "three\n".to_owned()];
        assert_eq!(told(&pieces, Duration::from_millis(1)).await, ["one two three\n"]);
        assert_eq!(told(&pieces, Duration::from_secs(1)).await, pieces);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_told_than_there_may_be() {
        let pieces = vec!["é".repeat(3_000); 40];
        let all = told(&pieces, Duration::from_millis(100)).await;
        let length: usize = all.iter().map(String::len).sum();
        assert!(length > MOST - 4 && length <= MOST + MORE.len(), "{length}");
        assert!(all.last().unwrap().ends_with(MORE));
    }
}
