//! Listening: connections, TLS, and limits that keep one client from starving the others. Knows
//! nothing of what is served.
//!
//! Actix's own server limits neither the time for a request's head once a connection has been used,
//! nor that of a client which does not read; and when it is full, it accepts nobody. So connections
//! are guarded here, in `guard`, before Actix sees them.

mod guard;
mod slots;
mod tls;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Protocol, Request, Response};
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::Error;
use actix_web::dev::AppConfig;
use actix_web::rt::net::TcpStream;

pub use guard::{Busy, Connection};
pub use slots::Slots;
pub use tls::{Files, Tls, TlsError};

use guard::{Guarded, Patience, Wire};

/// Limits for connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most at the same time.
    pub connections: usize,
    /// How long the head of a request, or a TLS handshake, may take.
    pub head: Duration,
    /// How long a connection is kept without a request.
    pub idle: Duration,
    /// How long a client may take to read its answer.
    pub write: Duration,
}

/// Opens a socket.
///
/// # Errors
///
/// When the address can't be used.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    // As many as the kernel allows, so that they can wait during a flood.
    socket.listen(4096)?.into_std()
}

/// Serves what `app` makes on a socket, until the server is stopped.
///
/// # Errors
///
/// When the socket can't be used.
pub fn serve<F, I, S, B>(
    socket: TcpListener,
    tls: Option<Arc<Tls>>,
    limits: Limits,
    app: F,
) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: std::fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    S::Service: 'static,
    B: actix_web::body::MessageBody + 'static,
{
    let address = socket.local_addr()?;
    let slots = Slots::new(limits.connections);
    let builder = Server::build()
        .workers(2)
        // The limit is in the slots, for all workers together.
        .max_concurrent_connections(limits.connections.saturating_mul(2).max(1024))
        .disable_signals()
        .shutdown_timeout(5);
    let stopping = builder.graceful_shutdown_signal();
    let server = builder.listen("mapek", socket, move || {
        let stopping = stopping.clone();
        let app = app().into_factory();
        let app = app.map_err(|error: S::Error| error.into().error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            // The guard closes idle connections: Actix would set a timer at every request.
            .keep_alive(KeepAlive::Os)
            .client_request_timeout(limits.head)
            .client_disconnect_timeout(Duration::from_secs(1))
            .local_addr(address)
            .on_connect_ext(|wire: &Guarded, extensions| {
                extensions.insert(wire.connection());
            })
            // Its content would matter only to links that contain a host, and there are none.
            .finish(map_config(app, |()| AppConfig::default()));
        let (slots, tls) = (slots.clone(), tls.clone());
        let guard = fn_service(move |stream: TcpStream| {
            let (slots, tls) = (slots.clone(), tls.clone());
            async move {
                let peer = stream.peer_addr().ok();
                let local = stream.local_addr().ok().map(|address| address.ip());
                // A refused connection is closed without a message: nothing of it was read.
                let slot = slots.take(limits.head).await.ok_or_else(full)?;
                // Don't wait for a packet to be full: that would delay answers.
                stream.set_nodelay(true).map_err(DispatchError::Io)?;
                let wire = match tls {
                    None => Wire::Plain(stream),
                    Some(tls) => {
                        let shake = tokio::time::timeout(limits.head, tls.accept(stream));
                        let late = |_| Err(io::ErrorKind::TimedOut.into());
                        Wire::Tls(Box::new(
                            shake.await.unwrap_or_else(late).map_err(DispatchError::Io)?,
                        ))
                    }
                };
                let patience = Patience {
                    head: limits.head,
                    idle: limits.idle,
                    write: limits.write,
                };
                let guarded = Guarded::new(wire, slot, local, patience);
                Ok::<_, DispatchError>((guarded, Protocol::Http1, peer))
            }
        });
        guard.and_then(http)
    })?;
    Ok(server.run())
}

fn full() -> DispatchError {
    DispatchError::Io(io::Error::other("every connection is in use"))
}
