//! A connection with limits: if a client sends a request too slowly, or does not read its answer,
//! the connection is cut.
//!
//! Actix limits only the time for the first request's head. The rest is done here: the head of a
//! later request, the pause between requests, and an answer that nobody reads. One timer serves the
//! first two. It is not set again at every request: it goes off early, and is then set to the right
//! time.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::server::TlsStream;

use super::slots::Slot;

/// A stream of bytes, encrypted or not.
pub enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What a connection is doing, as told by whoever serves it. Belongs to one thread.
#[derive(Clone)]
pub struct Connection(Rc<Doing>);

struct Doing {
    slot: Slot,
    /// The address that the client connected to.
    local: Option<IpAddr>,
    /// Requests that are being served.
    requests: Cell<u32>,
    /// When the first byte of a request came that has not begun to be served.
    begun: Cell<Option<Instant>>,
    /// Since when it serves no request.
    idle: Cell<Instant>,
    /// When the timer goes off, if it is set.
    alarm: Cell<Option<Instant>>,
    /// The task that reads.
    reader: RefCell<Option<Waker>>,
}

/// A request is being served for as long as this lives.
pub struct Busy(Connection);

impl Connection {
    /// A request is being served from now on.
    #[must_use]
    pub fn busy(&self) -> Busy {
        let doing = &self.0;
        doing.requests.set(doing.requests.get() + 1);
        doing.begun.set(None);
        doing.slot.set_busy();
        Busy(self.clone())
    }

    /// The address of this machine that the client connected to, if it is known.
    #[must_use]
    pub fn local(&self) -> Option<IpAddr> {
        self.0.local
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let doing = &self.0.0;
        let left = doing.requests.get().saturating_sub(1);
        doing.requests.set(left);
        if left > 0 {
            return;
        }
        let now = Instant::now();
        doing.idle.set(now);
        doing.slot.set_idle(now);
        // If the timer went off meanwhile, it must be set again; the reader does that.
        let asleep = doing.alarm.get().is_none_or(|alarm| alarm <= now);
        if asleep && let Some(reader) = doing.reader.borrow_mut().take() {
            reader.wake();
        }
    }
}

/// How long a connection may take.
#[derive(Clone, Copy)]
pub struct Patience {
    /// For the head of a request.
    pub head: Duration,
    /// Between requests.
    pub idle: Duration,
    /// Until some of an answer is read.
    pub write: Duration,
}

/// A stream with limits.
pub struct Guarded {
    wire: Wire,
    doing: Connection,
    patience: Patience,
    timer: Pin<Box<Sleep>>,
    /// Since when a write has been waiting.
    stuck: Option<Pin<Box<Sleep>>>,
}

/// Why a connection is closed.
enum Over {
    /// It was idle, so nobody loses anything.
    Idle,
    /// It took too long to send a request's head, or has to make room.
    Broken(io::Error),
}

impl Guarded {
    /// Guards `wire`.
    pub fn new(wire: Wire, slot: Slot, local: Option<IpAddr>, patience: Patience) -> Self {
        let now = Instant::now();
        let doing = Doing {
            slot,
            local,
            requests: Cell::new(0),
            begun: Cell::new(None),
            idle: Cell::new(now),
            alarm: Cell::new(None),
            reader: RefCell::new(None),
        };
        Self {
            wire,
            doing: Connection(Rc::new(doing)),
            patience,
            timer: Box::pin(sleep_until(now + patience.head)),
            stuck: None,
        }
    }

    /// What it is doing.
    pub fn connection(&self) -> Connection {
        self.doing.clone()
    }

    /// Whether its time is up, or it has to make room.
    fn is_over(&mut self, context: &mut Context<'_>) -> Option<Over> {
        let doing = &self.doing.0;
        let mut reader = doing.reader.borrow_mut();
        if !reader
            .as_ref()
            .is_some_and(|known| known.will_wake(context.waker()))
        {
            *reader = Some(context.waker().clone());
        }
        if doing.requests.get() > 0 {
            return None;
        }
        if doing.slot.is_evicted(context.waker()) {
            let why = "room is needed for others";
            return Some(Over::Broken(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                why,
            )));
        }
        let end = match doing.begun.get() {
            Some(begun) => begun + self.patience.head,
            None => doing.idle.get() + self.patience.idle,
        };
        if self.timer.deadline() > end {
            self.timer.as_mut().reset(end);
        }
        while self.timer.as_mut().poll(context).is_ready() {
            if self.timer.deadline() < end {
                // It was set for an earlier request.
                self.timer.as_mut().reset(end);
                continue;
            }
            return Some(match doing.begun.get() {
                Some(_) => {
                    let why = "the request was not sent completely in time";
                    Over::Broken(io::Error::new(io::ErrorKind::TimedOut, why))
                }
                None => Over::Idle,
            });
        }
        doing.alarm.set(Some(self.timer.deadline()));
        None
    }

    /// Records whether a write made progress; fails if none has for too long.
    fn written<T>(&mut self, context: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stuck = None;
            return result;
        }
        let end = Instant::now() + self.patience.write;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep_until(end)));
        match stuck.as_mut().poll(context) {
            Poll::Ready(()) => {
                let message = "the client does not read its answer";
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Wire::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        };
        let doing = &self.doing.0;
        // While a request is served, what comes is its body or the next request's head, which
        // counts from its first byte.
        let of_a_head = doing.requests.get() == 0 && doing.begun.get().is_none();
        if of_a_head && buffer.filled().len() > before {
            doing.begun.set(Some(Instant::now()));
        }
        match self.is_over(context) {
            // Nobody needs what has come any more.
            Some(Over::Broken(error)) => Poll::Ready(Err(error)),
            // As if the client had closed the connection.
            Some(Over::Idle) if result.is_pending() => Poll::Ready(Ok(())),
            _ => result,
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Wire::Tls(stream) => Pin::new(stream.as_mut()).poll_write(context, bytes),
        };
        self.written(context, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(context),
            Wire::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        };
        self.written(context, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Wire::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        };
        self.written(context, result)
    }
}
