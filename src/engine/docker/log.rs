//! What a container has written, as it comes, without what is secret of its environment.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::{Stream, StreamExt, stream};

use super::call::Caller;
use super::look;
use crate::engine::{Effect, EngineError, EngineErrorKind, Log, LogOptions};
use crate::fault::Flow;

/// A line that is not at its end is passed on after this time without anything more.
const QUIET: Duration = Duration::from_secs(1);

/// See [`crate::engine::Engine::log`].
pub async fn of(caller: &Caller, name: &str, options: &LogOptions) -> Result<Log, EngineError> {
    let what = format!("read the log of container '{name}'");
    let Some(found) = look::one(caller, name).await? else {
        let message = format!("there is no container '{name}' on this engine");
        return Err(caller.error(EngineErrorKind::Missing, Effect::None, message));
    };
    // Asked before anything is read: what can't be masked is not shown.
    let Some(secrets) = look::secrets(caller, &found.seen.id).await else {
        let message = format!("could not {what}: the engine does not say which secrets the container has");
        return Err(caller.error(EngineErrorKind::Failing, Effect::None, message));
    };
    let mut query = LogsOptionsBuilder::default()
        .stdout(true)
        .stderr(true)
        .follow(options.follow)
        .tail(
            &options
                .tail
                .map_or_else(|| "all".to_owned(), |tail| tail.to_string()),
        );
    if let Some(since) = options.since {
        let seconds = since.clamp(0, i64::from(i32::MAX));
        query = query.since(i32::try_from(seconds).unwrap_or(i32::MAX));
    }
    let pieces = caller.docker.logs(&found.seen.id, Some(query.build()));
    let mut reading = Reading {
        caller: caller.clone(),
        what,
        follow: options.follow,
        pieces: Box::pin(pieces),
        flow: Flow::new(secrets),
        last: None,
        ended: false,
    };
    // A refusal comes with the first piece; a log that is followed may stay silent.
    if options.follow {
        return Ok(Box::pin(reading.rest()));
    }
    match reading.next().await {
        None => Ok(Box::pin(stream::empty())),
        Some(first) => {
            let first = first?;
            Ok(Box::pin(stream::iter([Ok(first)]).chain(reading.rest())))
        }
    }
}

/// A log that is being read.
struct Reading<S> {
    caller: Caller,
    what: String,
    follow: bool,
    pieces: std::pin::Pin<Box<S>>,
    flow: Flow,
    /// What is told once all that was read is.
    last: Option<EngineError>,
    ended: bool,
}

impl<S: Stream<Item = Result<LogOutput, Error>> + Send + 'static> Reading<S> {
    /// The next piece that may be shown. While a log is followed nothing may come for as long as nothing is written.
    async fn next(&mut self) -> Option<Result<Vec<u8>, EngineError>> {
        while !self.ended {
            let limit = self.caller.settings.answer;
            let next = self.pieces.next();
            let piece = if self.follow && self.flow.is_empty() {
                Ok(next.await)
            } else {
                tokio::time::timeout(if self.follow { QUIET } else { limit }, next).await
            };
            let shown = match piece {
                Ok(Some(Ok(output))) => self.flow.push(&output.into_bytes()),
                Err(_) if self.follow => self.flow.pause(),
                ended => {
                    self.ended = true;
                    self.last = match ended {
                        Ok(Some(Err(error))) => {
                            Some(self.caller.failed(&self.what, Effect::None, error).error)
                        }
                        Err(_) => Some(self.caller.late(&self.what, Effect::None, limit).error),
                        Ok(_) => None,
                    };
                    self.flow.end()
                }
            };
            if !shown.is_empty() {
                return Some(Ok(shown));
            }
        }
        self.last.take().map(Err)
    }

    fn rest(self) -> impl Stream<Item = Result<Vec<u8>, EngineError>> + Send {
        stream::unfold(self, |mut reading| async move {
            let piece = reading.next().await?;
            Some((piece, reading))
        })
    }
}
