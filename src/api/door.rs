//! Every request comes through here first: it gets its id, is let in or not, and is logged. A
//! stream that was let in ends when its token does.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, web};
use tracing::Instrument;
use uuid::Uuid;

use crate::listen::{Busy, Connection};
use crate::service::on_behalf_of;

use super::answer::Timer;
use super::by::{ANONYMOUS, Asker};
use super::gate::{Admitted, Gate, Refusal};
use super::limit::{RateLimit, is_costly};
use super::query;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id that the client gave, if it is valid; a new one otherwise.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    let fits = |id: &&str| {
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&byte);
        (1..=128).contains(&id.len()) && id.bytes().all(letters)
    };
    given
        .filter(fits)
        .map_or_else(|| new_id().to_string(), str::to_owned)
}

/// A new id. Nobody gains anything by guessing it, so the system's random numbers are not needed at
/// every request.
fn new_id() -> Uuid {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    let mut random = [0; 10];
    fastrand::fill(&mut random);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// Lets a request in, or answers it here.
///
/// # Errors
///
/// Those of the inner service.
pub async fn door(
    (gate, limit): (web::Data<Gate>, web::Data<RateLimit>),
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let begun = Instant::now();
    let busy = request.conn_data::<Connection>().map(Connection::busy);
    let (id, peer, method) = (
        request_id(request.headers()),
        request.peer_addr(),
        request.method(),
    );
    let looks = method == Method::GET || method == Method::HEAD;
    // Nodes come again and again; what changes by that is logged where it does.
    let routine = looks || (method == Method::PUT && request.path().starts_with("/api/nodes/"));
    let admitted = gate.admit(method, request.path(), request.headers());
    let name = admitted.as_ref().map_or("nobody", |admitted| &admitted.name);
    let span = tracing::info_span!("request", id, %method, path = request.path(), by = name);
    let number = HeaderValue::from_str(&id);
    let admitted = admitted.and_then(|admitted| {
        let client = is_costly(method, request.path()).then(|| client(&admitted, peer));
        if let Some(client) = &client {
            limit.count(client, begun)?;
        }
        query::check(method, request.match_pattern().as_deref(), request.query_string())?;
        Ok((admitted, client))
    });
    let answered = async move {
        match admitted {
            Ok((admitted, client)) => {
                let Admitted {
                    name,
                    trusted,
                    grant,
                    node,
                } = admitted;
                request.extensions_mut().insert(Asker {
                    name,
                    trusted,
                    id,
                    node,
                });
                let answer = match client {
                    Some(client) => on_behalf_of(client, next.call(request)).await,
                    None => next.call(request).await,
                };
                answer.map(|answer| (answer.map_into_boxed_body(), grant))
            }
            Err(refusal) => Ok((request.into_response(refuse(&refusal)), None)),
        }
    }
    .instrument(span.clone())
    .await;
    let (mut response, grant) = answered?;
    if let Ok(number) = number {
        response.headers_mut().insert(REQUEST_ID, number);
    }
    let status = response.status();
    let address = || peer.map(|peer| peer.ip().to_string()).unwrap_or_default();
    let ms = || begun.elapsed().as_millis();
    span.in_scope(|| {
        if status.is_success() && routine || status.is_redirection() {
            tracing::debug!(
                status = status.as_u16(),
                address = address(),
                ms = ms(),
                "answered"
            );
        } else {
            tracing::info!(
                status = status.as_u16(),
                address = address(),
                ms = ms(),
                "answered"
            );
        }
    });
    let size = response.response().body().size();
    let grant = grant.filter(|_| size == BodySize::Stream);
    let revoked = grant.map(|grant| Box::pin(gate.get_ref().clone().revoked(grant)) as Revoked);
    let busy = busy.filter(|_| !is_short(size));
    if busy.is_none() && revoked.is_none() {
        return Ok(response);
    }
    Ok(response.map_body(|_, body| {
        BoxBody::new(Held {
            body,
            revoked,
            _busy: busy,
        })
    }))
}

/// The client that is counted: the token's holder, or everyone at an address.
fn client(admitted: &Admitted, peer: Option<std::net::SocketAddr>) -> Arc<str> {
    match peer.filter(|_| admitted.name == ANONYMOUS) {
        Some(peer) => peer.ip().to_string().into(),
        None => admitted.name.as_ref().into(),
    }
}

/// Whether a body is complete as soon as the answer is made. For a client that reads slowly, the
/// connection has a time limit.
fn is_short(size: BodySize) -> bool {
    match size {
        BodySize::None => true,
        BodySize::Sized(bytes) => bytes <= 32 * 1024,
        BodySize::Stream => false,
    }
}

type Revoked = Pin<Box<dyn Future<Output = ()>>>;

/// A body that takes time, and the connection that it keeps busy. It ends with the token that it
/// was requested with.
struct Held {
    body: BoxBody,
    revoked: Option<Revoked>,
    _busy: Option<Busy>,
}

impl MessageBody for Held {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<web::Bytes, Self::Error>>> {
        let revoked = self
            .revoked
            .as_mut()
            .map(|revoked| revoked.as_mut().poll(context));
        if revoked.is_some_and(|revoked| revoked.is_ready()) {
            self.revoked = None;
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_next(context)
    }
}

fn refuse(refusal: &Refusal) -> HttpResponse {
    let mut response = Timer::now().fail(&refusal.fault);
    let challenge = refusal.challenge.as_deref().map(HeaderValue::from_str);
    if let Some(Ok(challenge)) = challenge {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let fields = fields.iter();
        fields
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn an_id_that_could_forge_log_lines_is_replaced() {
        let id = |given: &'static str| request_id(&headers(&[("x-request-id", given)]));
        assert_eq!(id("a-1:b/c"), "a-1:b/c");
        for bad in ["", "a b", "a\"b", "a\tb"] {
            assert!(id(bad).parse::<Uuid>().is_ok(), "{bad:?}");
        }
    }

    #[test]
    fn ids_are_new_and_tell_when_they_were_made() {
        let (one, other) = (new_id(), new_id());
        assert_ne!(one, other);
        let of_its_time = |id: Uuid| id.get_version_num() == 7 && id.get_timestamp().is_some();
        assert!(of_its_time(one) && of_its_time(other));
    }
}
