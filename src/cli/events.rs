//! Following the service's events, across broken connections.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use serde_json::Value;

use super::http::{Client, header};
use super::problem::{Exit, Problem};
use super::sse::{Message, Reader};

/// The service sends something at least every 15 s.
const SILENCE: Duration = Duration::from_secs(45);
/// How long a service that went away may take to come back.
const PATIENCE: Duration = Duration::from_secs(60);

/// Events, in order, none twice and none missing. If some can't be had, an event `reset` says so.
pub struct Events {
    client: Client,
    body: Option<Incoming>,
    reader: Reader,
    ready: std::collections::VecDeque<Message>,
    last: Option<String>,
    /// The journal that the last number belongs to.
    journal: Option<String>,
    lost_at: Option<Instant>,
}

impl Events {
    /// Follows from now on, or from after the event with that number. Once this returns, no event
    /// is missed.
    ///
    /// # Errors
    ///
    /// When the service can't be reached or refuses.
    pub async fn follow(client: &Client, after: Option<u64>) -> Result<Self, Problem> {
        let mut events = Self {
            client: client.clone(),
            body: None,
            reader: Reader::default(),
            ready: std::collections::VecDeque::new(),
            last: after.map(|after| after.to_string()),
            journal: None,
            lost_at: None,
        };
        events.connect().await?;
        Ok(events)
    }

    /// The next event. If the connection breaks, it is made again and continues after the last
    /// event.
    ///
    /// # Errors
    ///
    /// When the service stays away, or refuses.
    pub async fn next(&mut self) -> Result<Value, Problem> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                self.last = message.id.or(self.last.take());
                // What is not JSON is not from the service.
                let Ok(mut event) = serde_json::from_str::<Value>(&message.data) else {
                    continue;
                };
                if let (Some(fields), Some(id)) = (event.as_object_mut(), &self.last) {
                    fields.insert(
                        "id".to_owned(),
                        id.parse::<u64>().map_or(Value::Null, Value::from),
                    );
                }
                return Ok(event);
            }
            let Some(body) = &mut self.body else {
                self.reconnect().await?;
                continue;
            };
            match tokio::time::timeout(SILENCE, body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    self.lost_at = None;
                    if let Some(piece) = frame.data_ref() {
                        self.ready.extend(self.reader.take(piece));
                        if self.ready.is_empty() {
                            self.last = self.reader.place().map(str::to_owned).or(self.last.take());
                        }
                    }
                }
                // It ended, broke or went silent.
                _ => self.body = None,
            }
        }
    }

    async fn connect(&mut self) -> Result<(), Problem> {
        let mut headers = HeaderMap::new();
        if let Some(last) = &self.last {
            header(&mut headers, "last-event-id", last)?;
        }
        self.reader = Reader::default();
        let path = match &self.journal {
            Some(journal) => format!("/api/events?journal={journal}"),
            None => "/api/events".to_owned(),
        };
        let response = self.client.open(&path, headers).await?;
        let journal = response.headers().get("mapek-journal");
        let journal = journal.and_then(|journal| journal.to_str().ok());
        self.journal = journal
            .filter(|id| id.parse::<uuid::Uuid>().is_ok())
            .map(str::to_owned);
        self.body = Some(response.into_body());
        Ok(())
    }

    async fn reconnect(&mut self) -> Result<(), Problem> {
        let lost_at = *self.lost_at.get_or_insert_with(Instant::now);
        match self.connect().await {
            Err(problem)
                if matches!(problem.exit, Exit::Unreachable | Exit::Broken)
                    && lost_at.elapsed() < PATIENCE =>
            {
                tokio::time::sleep(Duration::from_millis(300)).await;
                Ok(())
            }
            result => result,
        }
    }
}
