//! The door that every request comes through: it gets its id, is let in or not, and is told of in
//! the log.

use std::borrow::Cow;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, web};
use tracing::Instrument;
use uuid::Uuid;

use crate::auth::{Role, Tokens};
use crate::fault::{Code, Fault};
use crate::listen::{Busy, Connection};

use super::access::needed;
use super::answer::Timer;
use super::by::{ANONYMOUS, Asker};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Who is let in. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    tokens: RwLock<Tokens>,
    /// Web pages of these origins may use the API.
    origins: Vec<String>,
}

impl Gate {
    /// For holders of these tokens, and pages of these origins besides the service's own.
    #[must_use]
    pub fn new(tokens: Tokens, origins: Vec<String>) -> Self {
        Self(Arc::new(Inner {
            tokens: RwLock::new(tokens),
            origins,
        }))
    }

    /// Other tokens from now on.
    pub fn replace(&self, tokens: Tokens) {
        *self.0.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens;
    }

    /// Who asks, and whether he may know what only those may that were let in; or why he is not let
    /// in, with the challenge for `WWW-Authenticate`.
    fn admit(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<(Cow<'static, str>, bool), Refusal> {
        let tokens = self.0.tokens.read().unwrap_or_else(PoisonError::into_inner);
        self.own_page(method, headers, tokens.is_empty())?;
        let needed = needed(method, path);
        if tokens.is_empty() {
            return Ok((ANONYMOUS, true));
        }
        let found = bearer(headers).map(|token| tokens.find(token));
        match (needed, found) {
            (Some(needed), Some(Some((name, role)))) if role < needed => Err(weak(name, role, needed)),
            (_, Some(Some((name, _)))) => Ok((name.to_owned().into(), true)),
            (None, _) => Ok((ANONYMOUS, false)),
            (Some(_), None) => Err(no_token(headers.contains_key(header::AUTHORIZATION))),
            (Some(_), Some(None)) => Err(wrong_token()),
        }
    }

    /// A browser sends what a page of another site tells it to, and bodies are taken whatever their
    /// type is. So pages of others are refused what changes; where no token is needed, also those
    /// that reach the service by a name that somebody made point to it.
    fn own_page(&self, method: &Method, headers: &HeaderMap, open: bool) -> Result<(), Refusal> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let origin = text(header::ORIGIN);
        let of_others =
            text(HeaderName::from_static("sec-fetch-site")).is_some_and(|site| site == "cross-site");
        if origin.is_none() && !of_others {
            return Ok(());
        }
        if origin.is_some_and(|origin| self.0.origins.iter().any(|one| one == origin)) {
            return Ok(());
        }
        let host = text(header::HOST).unwrap_or_default();
        let own = origin.is_none_or(|origin| origin.split_once("://").is_some_and(|(_, rest)| rest == host));
        let looks = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
        if (looks || (own && !of_others)) && (!open || is_local_name(host)) {
            return Ok(());
        }
        let origin = origin.unwrap_or("another site");
        let message = format!(
            "this request was sent by a web page of {origin}, which may not use this service; --cors-origin lets it"
        );
        Err(Refusal {
            fault: Fault::new(Code::Forbidden, message),
            challenge: None,
        })
    }
}

/// Whether nobody else can have made the name point here.
fn is_local_name(host: &str) -> bool {
    let name = match host
        .parse::<Uri>()
        .ok()
        .as_ref()
        .and_then(|uri| uri.host().map(str::to_owned))
    {
        Some(name) => name,
        None => return false,
    };
    name == "localhost" || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

struct Refusal {
    fault: Fault,
    challenge: Option<String>,
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn no_token(other_scheme: bool) -> Refusal {
    let message = if other_scheme {
        "this needs a bearer token; the Authorization header has something else: send it as \
         \"Authorization: Bearer TOKEN\""
    } else {
        "this needs a token: send it as \"Authorization: Bearer TOKEN\"; whoever runs the service has it"
    };
    Refusal {
        fault: Fault::new(Code::Unauthorized, message),
        challenge: Some("Bearer realm=\"mapek\"".to_owned()),
    }
}

fn wrong_token() -> Refusal {
    let message = "this token is none of those that the service knows: it may have been replaced, or belong to \
                   another service";
    Refusal {
        fault: Fault::new(Code::Unauthorized, message),
        challenge: Some("Bearer realm=\"mapek\", error=\"invalid_token\"".to_owned()),
    }
}

fn weak(name: &str, role: Role, needed: Role) -> Refusal {
    let (role, needed) = (role.as_str(), needed.as_str());
    let message = format!(
        "the token of {name} has the role {role}, and this needs {needed}: use a token with that role"
    );
    Refusal {
        fault: Fault::new(Code::Forbidden, message),
        challenge: Some(format!(
            "Bearer realm=\"mapek\", error=\"insufficient_scope\", scope=\"{needed}\""
        )),
    }
}

/// The id that the client gave, where it is one; a new one otherwise.
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

/// An id that nobody has. Nobody gains anything by guessing it, so that the system's own source of
/// randomness need not be asked at every request.
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
/// Those of whoever is behind the door.
pub async fn door(
    gate: web::Data<Gate>,
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
    let admitted = gate.admit(method, request.path(), request.headers());
    let name = admitted.as_ref().map_or("nobody", |(name, _)| name);
    let span = tracing::info_span!("request", id, %method, path = request.path(), by = name);
    let number = HeaderValue::from_str(&id);
    let answered = async move {
        match admitted {
            Ok((name, trusted)) => {
                request.extensions_mut().insert(Asker { name, trusted, id });
                next.call(request).await.map(ServiceResponse::map_into_boxed_body)
            }
            Err(refusal) => Ok(request.into_response(refuse(&refusal))),
        }
    }
    .instrument(span.clone())
    .await;
    let mut response = answered?;
    if let Ok(number) = number {
        response.headers_mut().insert(REQUEST_ID, number);
    }
    let status = response.status();
    let address = || peer.map(|peer| peer.ip().to_string()).unwrap_or_default();
    let ms = || begun.elapsed().as_millis();
    span.in_scope(|| {
        if status.is_success() && looks || status.is_redirection() {
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
    Ok(match busy {
        Some(busy) if !is_short(response.response().body().size()) => {
            response.map_body(|_, body| BoxBody::new(Held { body, _busy: busy }))
        }
        _ => response,
    })
}

/// Whether a body is through as soon as the answer is made. Who reads it slowly is timed by the
/// connection.
fn is_short(size: BodySize) -> bool {
    match size {
        BodySize::None => true,
        BodySize::Sized(bytes) => bytes <= 32 * 1024,
        BodySize::Stream => false,
    }
}

/// A body that takes its time, and the connection that is busy with it.
struct Held {
    body: BoxBody,
    _busy: Busy,
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
    fn pages_of_others_may_not_change_anything() {
        let gate = Gate::new(Tokens::default(), vec!["https://planner.test".to_owned()]);
        let admitted = |method: Method, fields: &[(&'static str, &'static str)]| {
            gate.admit(&method, "/api/execute", &headers(fields)).is_ok()
        };
        let own = ("host", "127.0.0.1:8000");
        assert!(admitted(Method::PUT, &[own]));
        assert!(admitted(Method::PUT, &[own, ("origin", "http://127.0.0.1:8000")]));
        assert!(admitted(Method::PUT, &[own, ("origin", "https://planner.test")]));
        assert!(!admitted(Method::PUT, &[own, ("origin", "https://evil.test")]));
        assert!(!admitted(Method::PUT, &[own, ("origin", "null")]));
        assert!(!admitted(Method::POST, &[own, ("sec-fetch-site", "cross-site")]));
        // A name that was made to point here.
        let rebound = [("host", "evil.test:8000"), ("origin", "http://evil.test:8000")];
        assert!(!admitted(Method::PUT, &rebound) && !admitted(Method::GET, &rebound));
        for local in ["localhost:8000", "[::1]:8000", "10.0.0.1"] {
            assert!(is_local_name(local), "{local}");
        }
        assert!(!is_local_name("localhost.evil.test") && !is_local_name(""));
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
