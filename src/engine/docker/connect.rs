//! From an endpoint to a client.
//!
//! The transports are made here rather than by bollard for three reasons: connecting has a time
//! limit of its own, so that "nobody is there" can be told from "no answer came"; TLS trusts the
//! given authority and no other; and files that can't be read are reported at once. No connection
//! is made here.

use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;

use tracing::Instrument;

use super::calls::name;
use super::ssh::SshConnector;
use crate::engine::endpoint::Endpoint;
use crate::meter::{CallOutcome, Calls};
use crate::model::topology::Tls;
use crate::pem;

/// Seconds after which the client itself would give up. Never reached: [`super::call`] limits every
/// call, and knows how long it may take.
const CLIENT_LIMIT_S: u64 = 24 * 60 * 60;

/// How many connections through SSH are kept for the next requests, and for how long.
const KEPT: usize = 4;
const KEPT_FOR: Duration = Duration::from_secs(60);

/// A client for the engine at `endpoint`.
/// The client sends requests without a version in their path, so that the engine answers with the
/// newest version that it has. An old engine ignores fields that it does not know.
pub fn connect(
    endpoint: &Endpoint,
    tls: Option<&Tls>,
    timeout: Duration,
    calls: &Calls,
) -> Result<Docker, String> {
    match endpoint {
        Endpoint::Unix(path) => {
            let host: String = path.bytes().map(|byte| format!("{byte:02x}")).collect();
            client(hyperlocal::UnixConnector, &format!("unix://{host}"), calls)
        }
        Endpoint::Plain(at) => client(tcp(timeout), &format!("http://{at}"), calls),
        Endpoint::Tls(at) => {
            let files = tls.ok_or_else(|| {
                "needs TLS files: give infrastructure.docker.tls with ca, cert and key".to_owned()
            })?;
            let mut plain = tcp(timeout);
            plain.enforce_http(false);
            client(
                HttpsConnector::from((plain, tls_config(files)?)),
                &format!("https://{at}"),
                calls,
            )
        }
        Endpoint::Ssh { user, host, port } => {
            let connector = SshConnector {
                user: user.clone(),
                host: host.clone(),
                port: *port,
                timeout,
            };
            pooled(connector, "http://docker", calls)
        }
    }
}

fn tcp(timeout: Duration) -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(timeout));
    connector.set_nodelay(true);
    connector.set_keepalive(Some(Duration::from_secs(30)));
    connector
}

/// One connection for each request: connections that were taken over by a running command can't
/// be used again, and a pooled one that the engine closed meanwhile would make the outcome of a
/// change unknown.
fn client<C>(connector: C, address: &str, calls: &Calls) -> Result<Docker, String>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    keeping(0, connector, address, calls)
}

/// Connections are kept for the next requests, because making one takes long.
fn pooled<C>(connector: C, address: &str, calls: &Calls) -> Result<Docker, String>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    keeping(KEPT, connector, address, calls)
}

fn keeping<C>(idle: usize, connector: C, address: &str, calls: &Calls) -> Result<Docker, String>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(KEPT_FOR)
        .pool_max_idle_per_host(idle)
        .build(connector);
    let calls = calls.clone();
    // Every request to an engine goes through here, so they are measured here: until the headers of
    // the answer are there.
    let transport = move |request: BollardRequest| {
        let call = calls.begin("docker", name(request.method().as_str(), request.uri().path()));
        let span = tracing::debug_span!("engine", call = call.name());
        let answer = client.request(request);
        let whole = async move {
            let result = answer.await;
            call.end(match &result {
                Ok(answer) => CallOutcome::of_status(answer.status().as_u16()),
                Err(_) => CallOutcome::Failed,
            });
            result.map_err(Error::from)
        };
        whole.instrument(span)
    };
    Docker::connect_with_custom_transport(transport, Some(address), CLIENT_LIMIT_S, API_DEFAULT_VERSION)
        .map_err(|error| error.to_string())
}

fn tls_config(files: &Tls) -> Result<ClientConfig, String> {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(pem::authorities(&files.ca)?)
        .with_client_auth_cert(pem::certificates(&files.cert)?, pem::key(&files.key)?)
        .map_err(|error| {
            format!(
                "can't use {} with {}: {error}",
                files.cert.display(),
                files.key.display()
            )
        })
}
