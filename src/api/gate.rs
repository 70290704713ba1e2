//! Who is let in: by tokens, and by where the browser says that a request comes from.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::auth::{Grant, Needed, Role, Tokens};
use crate::fault::{Code, Fault};

use super::access::needed;
use super::by::ANONYMOUS;

/// Decides who is let in. Clones share it.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tokens: watch::Sender<Tokens>,
    /// Web pages of these origins may use the API.
    origins: Vec<String>,
}

/// Someone who was let in.
#[derive(Debug)]
pub struct Admitted {
    /// The token's name, or the name of clients without one.
    pub name: Cow<'static, str>,
    /// Whether they may know what is not for everyone.
    pub trusted: bool,
    /// The token that was sent, and the role that the call needs.
    pub grant: Option<(Grant, Needed)>,
    /// Whether they may speak for a node, and nothing else.
    pub node: bool,
}

/// Why a request is refused, with the challenge for `WWW-Authenticate`.
#[derive(Debug)]
pub struct Refusal {
    /// What to answer.
    pub fault: Fault,
    /// What would help.
    pub challenge: Option<String>,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            challenge: None,
        }
    }
}

impl Gate {
    /// For holders of these tokens, and pages of these origins besides the service's own.
    #[must_use]
    pub fn new(tokens: Tokens, origins: Vec<String>) -> Self {
        Self(Arc::new(Inner {
            tokens: watch::Sender::new(tokens),
            origins,
        }))
    }

    /// Uses other tokens from now on. Streams that were opened with a token that is gone end.
    pub fn replace(&self, tokens: Tokens) {
        self.0.tokens.send_replace(tokens);
    }

    /// Lets a request in, or says why not.
    pub fn admit(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<Admitted, Refusal> {
        self.own_page(method, headers)?;
        let tokens = self.0.tokens.borrow();
        let needed = needed(method, path);
        if tokens.is_empty() {
            return Ok(Admitted {
                name: ANONYMOUS,
                trusted: true,
                grant: None,
                node: false,
            });
        }
        let now = Timestamp::now();
        let found = bearer(headers).map(|token| tokens.find(token).ok_or_else(wrong_token));
        let found = found.map(|found| match found {
            Ok(grant) if grant.is_over(now) => Err(expired(grant)),
            found => found,
        });
        match (needed, found) {
            (Some(needed), Some(Ok(grant))) if !grant.allows(&needed) => Err(weak(grant, &needed)),
            (Some(Needed::Write | Needed::Node(_)), Some(Ok(grant))) if !grant.may_change(path) => {
                Err(limited(grant))
            }
            (needed, Some(Ok(grant))) => Ok(Admitted {
                name: grant.name.clone().into(),
                trusted: grant.role != Role::Node,
                node: grant.role == Role::Node,
                grant: needed.map(|needed| (grant.clone(), needed)),
            }),
            (None, _) => Ok(Admitted {
                name: ANONYMOUS,
                trusted: false,
                grant: None,
                node: false,
            }),
            (Some(_), None) => Err(no_token(headers.contains_key(header::AUTHORIZATION))),
            (Some(_), Some(Err(refusal))) => Err(refusal),
        }
    }

    /// Waits until a token no longer allows what it did.
    pub async fn revoked(self, (mut grant, needed): (Grant, Needed)) {
        /// The wall clock may be set, so it is looked at this often.
        const STEP: Duration = Duration::from_secs(60);
        let mut changes = self.0.tokens.subscribe();
        loop {
            if grant.is_over(Timestamp::now()) {
                return;
            }
            let left = grant.until.map(|until| until.duration_since(Timestamp::now()));
            let left = left.map(|left| Duration::try_from(left).unwrap_or_default());
            let sleep = left.map_or(STEP, |left| left.min(STEP) + Duration::from_millis(1));
            // The end of a pause only leads to another look.
            let changed = tokio::time::timeout(sleep, changes.changed()).await;
            if let Ok(Ok(())) = changed {
                match changes.borrow_and_update().still(&grant) {
                    Some(now) if now.allows(&needed) => grant = now.clone(),
                    _ => return,
                }
            }
        }
    }

    /// A browser sends what a page of another site tells it to, and bodies are accepted whatever
    /// their type. So requests from other sites' pages that would change something are refused.
    fn own_page(&self, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
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
        // The host was already checked.
        let host = text(header::HOST).unwrap_or_default();
        let own = origin.is_none_or(|origin| origin.split_once("://").is_some_and(|(_, rest)| rest == host));
        let looks = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
        if looks || (own && !of_others) {
            return Ok(());
        }
        let origin = origin.unwrap_or("another site");
        let message = format!(
            "this request was sent by a web page of {origin}, which may not use this service; --cors-origin allows it"
        );
        Err(Fault::new(Code::Forbidden, message).into())
    }
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
        "this needs a bearer token, and the Authorization header holds something else: send the token as \
         \"Authorization: Bearer TOKEN\""
    } else {
        "this needs a token: send it as \"Authorization: Bearer TOKEN\"; ask the service's operator for one"
    };
    Refusal {
        fault: Fault::new(Code::Unauthorized, message),
        challenge: Some("Bearer realm=\"mapek\"".to_owned()),
    }
}

fn invalid(message: &str) -> Refusal {
    Refusal {
        fault: Fault::new(Code::Unauthorized, message),
        challenge: Some("Bearer realm=\"mapek\", error=\"invalid_token\"".to_owned()),
    }
}

fn wrong_token() -> Refusal {
    invalid("the service does not know this token: it may have been replaced, or belong to another service")
}

fn expired(grant: &Grant) -> Refusal {
    let until = grant.until.map(|until| until.to_string()).unwrap_or_default();
    invalid(&format!(
        "the token of {} expired at {until}: use a new one",
        grant.name
    ))
}

fn weak(grant: &Grant, needed: &Needed) -> Refusal {
    let (name, role, scope) = (&grant.name, grant.role.as_str(), needed.role());
    let of = grant.node.as_ref().map(|node| format!(" for '{node}'"));
    let of = of.unwrap_or_default();
    let message = format!(
        "the token of {name} has the role {role}{of}, and this needs {needed}: use a token with that role"
    );
    Refusal {
        fault: Fault::new(Code::Forbidden, message),
        challenge: Some(format!(
            "Bearer realm=\"mapek\", error=\"insufficient_scope\", scope=\"{scope}\""
        )),
    }
}

/// That a token may change some apps, and nothing else.
fn limited(grant: &Grant) -> Refusal {
    let apps: Vec<&str> = grant.apps.iter().flatten().map(String::as_str).collect();
    let name = &grant.name;
    let message = format!(
        "the token of {name} may change only these apps, at /api/apps/{{app}}: {}",
        apps.join(", ")
    );
    Refusal {
        fault: Fault::new(Code::Forbidden, message),
        challenge: Some("Bearer realm=\"mapek\", error=\"insufficient_scope\", scope=\"write\"".to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use actix_web::http::header::HeaderValue;

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
    }

    #[test]
    fn a_token_for_some_apps_changes_nothing_else() {
        let tokens = Tokens::from_file("alice write:shop,blog 0123456789abcdef").unwrap();
        let gate = Gate::new(tokens, Vec::new());
        let fields = headers(&[("authorization", "Bearer 0123456789abcdef")]);
        let admitted = |method: Method, path: &str| gate.admit(&method, path, &fields).is_ok();
        assert!(admitted(Method::PUT, "/api/apps/shop"));
        assert!(admitted(Method::DELETE, "/api/apps/blog"));
        assert!(admitted(Method::GET, "/api/apps/other") && admitted(Method::PUT, "/api/translate"));
        for path in [
            "/api/apps/other",
            "/api/apps/shop/",
            "/api/apps/",
            "/api/apps/sho%70",
            "/api/execute",
            "/api/topology",
        ] {
            let refused = gate.admit(&Method::PUT, path, &fields).unwrap_err();
            assert_eq!(refused.fault.code, Code::Forbidden, "{path}");
            assert!(refused.fault.message.contains("blog, shop"), "{}", refused.fault);
        }
    }

    #[tokio::test]
    async fn a_token_that_is_replaced_expires_or_loses_its_role_is_revoked() {
        let tokens = |text: &str| Tokens::from_file(text).unwrap();
        let gate = Gate::new(tokens("a write 0123456789abcdef"), Vec::new());
        let fields = headers(&[("authorization", "Bearer 0123456789abcdef")]);
        let grant = || {
            let admitted = gate.admit(&Method::PUT, "/api/execute", &fields);
            admitted.unwrap().grant.unwrap()
        };
        for after in ["b write fedcba9876543210", "a read 0123456789abcdef"] {
            let revoked = tokio::spawn(gate.clone().revoked(grant()));
            tokio::task::yield_now().await;
            gate.replace(tokens("b write 0123456789abcdef"));
            tokio::task::yield_now().await;
            assert!(!revoked.is_finished(), "it has another name, and allows the same");
            gate.replace(tokens(after));
            revoked.await.unwrap();
            gate.replace(tokens("a write 0123456789abcdef"));
        }
        let soon = Timestamp::now() + Duration::from_millis(200);
        gate.replace(tokens(&format!("a write 0123456789abcdef {soon}")));
        gate.clone().revoked(grant()).await;
        let refused = gate.admit(&Method::PUT, "/api/execute", &fields).unwrap_err();
        assert!(refused.fault.message.contains("expired at"), "{}", refused.fault);
    }
}
