//! A connection with an end: one that dribbles a request, or does not read its answer, is cut.
//!
//! Actix times the first request's head and the pause between requests. What it leaves open is
//! closed here: the head of a later request, and an answer that nobody reads.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
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

/// What a connection is doing, for whoever serves it. Belongs to one thread.
#[derive(Clone)]
pub struct Connection(Rc<Doing>);

struct Doing {
    slot: Slot,
    /// Requests that are being served.
    requests: Cell<u32>,
    /// When the first byte came that belongs to no request yet.
    begun: Cell<Option<Instant>>,
    /// Bytes came while a request was served: its body, or the next one's head.
    came: Cell<bool>,
    tick: RefCell<Option<std::task::Waker>>,
}

/// A request is being served for as long as it lives.
pub struct Busy(Connection);

impl Connection {
    /// A request is being served from now on.
    #[must_use]
    pub fn busy(&self) -> Busy {
        let doing = &self.0;
        doing.requests.set(doing.requests.get() + 1);
        doing.begun.set(None);
        doing.came.set(false);
        doing.slot.set_busy(true);
        Busy(self.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let doing = &self.0.0;
        let left = doing.requests.get().saturating_sub(1);
        doing.requests.set(left);
        if left == 0 {
            doing.slot.set_busy(false);
            if doing.came.take() {
                doing.begun.set(Some(Instant::now()));
                if let Some(waker) = doing.tick.borrow_mut().take() {
                    waker.wake();
                }
            }
        }
    }
}

/// A stream with limits.
pub struct Guarded {
    wire: Wire,
    doing: Connection,
    head: Duration,
    write: Duration,
    timer: Pin<Box<Sleep>>,
    /// Since when a write waits.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl Guarded {
    /// Around `wire`.
    pub fn new(wire: Wire, slot: Slot, head: Duration, write: Duration) -> Self {
        let doing = Doing {
            slot,
            requests: Cell::new(0),
            begun: Cell::new(None),
            came: Cell::new(false),
            tick: RefCell::new(None),
        };
        Self {
            wire,
            doing: Connection(Rc::new(doing)),
            head,
            write,
            timer: Box::pin(sleep_until(Instant::now() + head)),
            stuck: None,
        }
    }

    /// What it is doing.
    pub fn connection(&self) -> Connection {
        self.doing.clone()
    }

    /// Whether it has been at a request's head for too long, or has to make room.
    fn is_over(&mut self, context: &mut Context<'_>) -> Option<io::Error> {
        let doing = &self.doing.0;
        *doing.tick.borrow_mut() = Some(context.waker().clone());
        if doing.requests.get() > 0 {
            return None;
        }
        if doing.slot.is_evicted(context.waker()) {
            return Some(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "room is needed for others",
            ));
        }
        let end = doing.begun.get()? + self.head;
        if self.timer.deadline() != end {
            self.timer.as_mut().reset(end);
        }
        match self.timer.as_mut().poll(context) {
            Poll::Ready(()) => Some(io::Error::new(
                io::ErrorKind::TimedOut,
                "the request did not come to its end",
            )),
            Poll::Pending => None,
        }
    }

    /// Takes note of whether a write got on; fails when it has not for too long.
    fn written<T>(&mut self, context: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stuck = None;
            return result;
        }
        let end = Instant::now() + self.write;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep_until(end)));
        match stuck.as_mut().poll(context) {
            Poll::Ready(()) => {
                let message = "the answer is not read";
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
        if buffer.filled().len() > before {
            let doing = &self.doing.0;
            if doing.requests.get() > 0 {
                doing.came.set(true);
            } else if doing.begun.get().is_none() {
                doing.begun.set(Some(Instant::now()));
            }
        }
        match self.is_over(context) {
            // What has come is for nobody any more.
            Some(error) => Poll::Ready(Err(error)),
            None => result,
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
