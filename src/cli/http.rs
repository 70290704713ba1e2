//! Requests to the service: over plain connections or TLS, with the token, each with a time limit.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use crate::config::Secret;
use crate::config::client::ClientOptions;
use crate::fault::chain;
use crate::pem;

use super::problem::{Exit, Problem};
use super::progress::say;
use super::reached::told;

/// Until the connection is there.
const CONNECT: Duration = Duration::from_secs(10);
/// Until the answer to a request is there. A placement takes seconds, and engines are asked in
/// addition; for anything that takes longer, `respond-async` is used.
const ANSWER: Duration = Duration::from_secs(300);

/// A client of one service.
#[derive(Clone)]
pub struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    shown: String,
    token: Option<HeaderValue>,
}

impl Client {
    /// No connection is made yet.
    ///
    /// # Errors
    ///
    /// When the options make no sense, or a file that they name can't be read.
    pub fn new(options: &ClientOptions) -> Result<Self, Problem> {
        let (base, shown) = address(&options.server)?;
        let mut plain = HttpConnector::new();
        plain.set_connect_timeout(Some(CONNECT));
        plain.set_nodelay(true);
        plain.enforce_http(false);
        let config = if base.starts_with("https:") {
            Some(tls(options)?)
        } else {
            None
        };
        let config = match config {
            Some(config) => config,
            // Never used: the address is a plain one.
            None => builder()?
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth(),
        };
        let token = token(options)?;
        if token.is_some() && is_exposed(&base) {
            say(&format!(
                "mapek: warning: the token goes to {shown} without encryption, and anyone who sees it on the way can \
                 use it: give the service a certificate (--tls-cert) and ask it at https://"
            ));
        }
        Ok(Self {
            pool: Pool::builder(TokioExecutor::new()).build(HttpsConnector::from((plain, config))),
            base,
            shown,
            token: token.map(|token| bearer(&token)).transpose()?,
        })
    }

    /// Sends a request and reads its answer, which must be a success in JSON.
    ///
    /// # Errors
    ///
    /// When there is no answer, or one with an error.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Problem> {
        self.ask_with(method, path, body, HeaderMap::new()).await
    }

    /// The same, with additional headers.
    ///
    /// # Errors
    ///
    /// As [`Client::ask`].
    pub async fn ask_with(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: HeaderMap,
    ) -> Result<Value, Problem> {
        let whole = async {
            let response = self.send(method, path, body, headers).await?;
            self.read(response).await
        };
        match tokio::time::timeout(ANSWER, whole).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unreachable(&format!("no answer within {} s", ANSWER.as_secs()))),
        }
    }

    /// Sends a request and, once its status is a success, leaves the answer's body to be read.
    ///
    /// # Errors
    ///
    /// As [`Client::ask`].
    pub async fn open(&self, path: &str, headers: HeaderMap) -> Result<Response<Incoming>, Problem> {
        let sent = self.send(Method::GET, path, None, headers);
        let response = match tokio::time::timeout(ANSWER, sent).await {
            Ok(response) => response?,
            Err(_) => return Err(self.unreachable("no answer in time")),
        };
        if response.status().is_success() {
            return Ok(response);
        }
        match self.read(response).await {
            Err(problem) => Err(problem),
            Ok(_) => Err(Problem::new(Exit::Failed, "an error without an error")),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: HeaderMap,
    ) -> Result<Response<Incoming>, Problem> {
        let wrong = |error: hyper::http::Error| Problem::new(Exit::Usage, format!("{path}: {error}"));
        let content = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .body(Full::new(content))
            .map_err(wrong)?;
        let own = request.headers_mut();
        own.extend(headers);
        own.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("mapek/", env!("CARGO_PKG_VERSION"))),
        );
        if body.is_some() {
            own.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(token) = &self.token {
            own.insert(AUTHORIZATION, token.clone());
        }
        let encrypted = self.base.starts_with("https:");
        let sent = self.pool.request(request).await;
        sent.map_err(|error| self.unreachable(&told(&error, encrypted)))
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Value, Problem> {
        let status = response.status();
        let body = response.into_body().collect().await;
        let body = body.map_err(|error| self.unreachable(&chain(&error)))?.to_bytes();
        let answer: Option<Value> = serde_json::from_slice(&body).ok();
        match answer {
            Some(answer) if status.is_success() => Ok(answer),
            answer if !status.is_success() => {
                Err(Problem::answered(status.as_u16(), answer.unwrap_or(Value::Null)))
            }
            _ => Err(Problem::new(
                Exit::Broken,
                format!(
                    "what answers at {} does not answer in JSON; is that a mapek?",
                    self.shown
                ),
            )),
        }
    }

    /// The service can't be reached, or went away in the middle of an answer.
    pub fn unreachable(&self, why: &str) -> Problem {
        Problem::new(Exit::Unreachable, format!("no answer from {}: {why}", self.shown))
    }
}

/// A header of a request.
///
/// # Errors
///
/// When the value can't be a header.
pub fn header(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<(), Problem> {
    let value = HeaderValue::from_str(value)
        .map_err(|_| Problem::new(Exit::Usage, format!("{name} can't be sent as {value:?}")))?;
    headers.insert(HeaderName::from_static(name), value);
    Ok(())
}

/// The address to append paths to, and the address as it is shown.
fn address(server: &str) -> Result<(String, String), Problem> {
    let wrong = |why: &str| {
        Problem::new(
            Exit::Usage,
            format!("--server should be a URL such as http://127.0.0.1:8000: {why}"),
        )
    };
    let text = server.trim();
    let text = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let text = text.trim_end_matches('/');
    let uri: Uri = text.parse().map_err(|_| wrong("it can't be read"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong("it names no host"));
    };
    if !matches!(scheme, "http" | "https") {
        return Err(wrong("it should begin with http:// or https://"));
    }
    if authority.as_str().contains('@') {
        return Err(wrong(
            "there should be no user in it; put the token into MAPEK_TOKEN",
        ));
    }
    if authority.host().is_empty() {
        return Err(wrong("it names no host"));
    }
    if uri.query().is_some() {
        return Err(wrong("there should be no query in it"));
    }
    let shown = format!("{scheme}://{authority}{}", uri.path().trim_end_matches('/'));
    Ok((shown.clone(), shown))
}

/// Whether what is sent there crosses a network unencrypted.
fn is_exposed(base: &str) -> bool {
    let Ok(uri) = base.parse::<Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let here = host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback());
    uri.scheme_str() == Some("http") && !here
}

fn token(options: &ClientOptions) -> Result<Option<Secret>, Problem> {
    let Some(file) = &options.token_from else {
        return Ok(options.token.clone());
    };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Problem::new(Exit::Failed, format!("can't read {}: {error}", file.display())))?;
    match text.trim() {
        "" => Err(Problem::new(
            Exit::Usage,
            format!("there is no token in {}", file.display()),
        )),
        token => Ok(Some(Secret::from(token))),
    }
}

fn bearer(token: &Secret) -> Result<HeaderValue, Problem> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.0))
        .map_err(|_| Problem::new(Exit::Usage, "the token has characters in it that can't be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, Problem> {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Problem::new(Exit::Failed, error.to_string()))
}

fn tls(options: &ClientOptions) -> Result<ClientConfig, Problem> {
    let failed = |text: String| Problem::new(Exit::Failed, text);
    let trusting = match &options.ca_cert {
        None => builder()?
            .with_native_roots()
            .map_err(|error| failed(format!("the system's authorities can't be read: {error}")))?,
        Some(file) => builder()?.with_root_certificates(pem::authorities(file).map_err(failed)?),
    };
    let (Some(certificate), Some(key)) = (&options.client_cert, &options.client_key) else {
        return Ok(trusting.with_no_client_auth());
    };
    let (chain, secret) = (pem::certificates(certificate), pem::key(key));
    trusting
        .with_client_auth_cert(chain.map_err(failed)?, secret.map_err(failed)?)
        .map_err(|error| {
            failed(format!(
                "can't use {} with {}: {error}",
                certificate.display(),
                key.display()
            ))
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_leave_the_scheme_out_and_end_with_a_slash() {
        for (given, meant) in [
            ("127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("http://mapek.test/", "http://mapek.test"),
            (
                "https://mapek.test:8443/behind/",
                "https://mapek.test:8443/behind",
            ),
        ] {
            assert_eq!(address(given).unwrap().0, meant);
        }
    }

    #[test]
    fn only_what_leaves_this_machine_in_the_clear_is_exposed() {
        for exposed in [
            "http://mapek.test",
            "http://10.0.0.1:8000",
            "http://[2001:db8::1]",
        ] {
            assert!(is_exposed(exposed), "{exposed}");
        }
        for safe in [
            "https://mapek.test",
            "http://127.0.0.1:8000",
            "http://localhost",
            "http://[::1]:8000",
            "http://127.9.9.9",
        ] {
            assert!(!is_exposed(safe), "{safe}");
        }
    }

    #[test]
    fn an_address_that_makes_no_sense_is_refused_without_repeating_a_password() {
        for given in [
            "",
            "ftp://host",
            "http://",
            ":1",
            "http://host/?a=b",
            "http://user:hunter2@host",
        ] {
            let problem = address(given).unwrap_err();
            assert_eq!(problem.exit, Exit::Usage);
            assert!(!problem.message.contains("hunter2"), "{problem}");
        }
    }
}
