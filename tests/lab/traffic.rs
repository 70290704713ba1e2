//! Requests to an address, one after the other, while something else goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::http::client;

/// Most requests that one flow makes if nobody stops it.
const MOST: usize = 20_000;

/// A flow of requests that goes on until it is stopped.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    flow: tokio::task::JoinHandle<Report>,
}

/// The results of the requests.
#[derive(Debug, Default)]
pub struct Report {
    /// How often each body came with status 200.
    pub bodies: BTreeMap<String, usize>,
    /// Everything else: other statuses, broken connections.
    pub failures: Vec<String>,
}

impl Traffic {
    /// Starts to GET `url` over and over, each time on a new connection.
    pub fn to(url: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (url, stopped) = (url.to_owned(), Arc::clone(&stop));
        let flow = tokio::spawn(async move {
            let client = client();
            let mut report = Report::default();
            for _ in 0..MOST {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                report.add(client.get(&url).send().await).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            report
        });
        Self { stop, flow }
    }

    /// Stops the flow and returns its results.
    pub async fn stop(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        self.flow.await.unwrap()
    }
}

impl Report {
    async fn add(&mut self, sent: reqwest::Result<reqwest::Response>) {
        let read = async |answer: reqwest::Response| {
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, answer.text().await?))
        };
        let outcome = match sent {
            Ok(answer) => read(answer).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok((status, body)) if status == 200 => *self.bodies.entry(body).or_default() += 1,
            Ok((status, body)) => self.failures.push(format!("{status}: {body}")),
            Err(error) => self.failures.push(format!("{error:?}")),
        }
    }

    /// How many requests succeeded.
    pub fn answered(&self) -> usize {
        self.bodies.values().sum()
    }
}
