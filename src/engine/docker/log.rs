//! What a container has written, as it comes.

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::{Stream, StreamExt, stream};

use super::call::Caller;
use super::look;
use crate::engine::{Effect, EngineError, EngineErrorKind, Log, LogOptions};

/// See [`crate::engine::Engine::log`].
pub async fn of(caller: &Caller, name: &str, options: &LogOptions) -> Result<Log, EngineError> {
    let what = format!("read the log of container '{name}'");
    let Some(found) = look::one(caller, name).await? else {
        let message = format!("there is no container '{name}' on this engine");
        return Err(caller.error(EngineErrorKind::Missing, Effect::None, message));
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
    ended: bool,
}

impl<S: Stream<Item = Result<LogOutput, Error>> + Send + 'static> Reading<S> {
    /// The next piece. While a log is followed nothing may come for as long as nothing is written.
    async fn next(&mut self) -> Option<Result<Vec<u8>, EngineError>> {
        if self.ended {
            return None;
        }
        let next = self.pieces.next();
        let limit = self.caller.settings.answer;
        let piece = if self.follow {
            next.await
        } else {
            match tokio::time::timeout(limit, next).await {
                Ok(piece) => piece,
                Err(_) => {
                    self.ended = true;
                    return Some(Err(self.caller.late(&self.what, Effect::None, limit).error));
                }
            }
        };
        match piece {
            None => None,
            Some(Ok(output)) => Some(Ok(output.into_bytes().to_vec())),
            Some(Err(error)) => {
                self.ended = true;
                Some(Err(self.caller.failed(&self.what, Effect::None, error).error))
            }
        }
    }

    fn rest(self) -> impl Stream<Item = Result<Vec<u8>, EngineError>> + Send {
        stream::unfold(self, |mut reading| async move {
            let piece = reading.next().await?;
            Some((piece, reading))
        })
    }
}
