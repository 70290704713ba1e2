//! Which host a request was sent to. A browser can be made to believe that an attacker's name is at
//! our address (DNS rebinding). It then treats the attacker's page as one of ours, and sends
//! neither Origin nor Sec-Fetch-Site. But it does send the name, in `Host`, so every request is
//! checked against our names.
//!
//! Our names are `localhost` and loopback addresses, the address that the service listens on, the
//! one that the client connected to (so that probes which ask for a pod's address are answered),
//! and what `--allowed-hosts` lists. Ports don't matter: a tunnel has another one.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Uri, Version};
use actix_web::middleware::Next;
use actix_web::{Error, web};

use crate::fault::{Code, Fault};
use crate::listen::Connection;

use super::answer::Timer;

/// Our names. Clones share them.
#[derive(Clone, Debug)]
pub struct OwnHosts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    listen: IpAddr,
    names: BTreeSet<String>,
}

/// The name in a `Host` header or an authority, without its port; None if it is neither a name nor
/// an address.
fn name(host: &str) -> Option<String> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (address, behind) = rest.split_once(']')?;
            (
                address,
                behind.strip_prefix(':').or(behind.is_empty().then_some("")),
            )
        }
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, Some("")),
        },
    };
    if !port?.is_empty() && port?.parse::<u16>().is_err() {
        return None;
    }
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    (!name.is_empty() && name.chars().all(plain)).then_some(name)
}

impl OwnHosts {
    /// The names of a service that listens here, and these.
    ///
    /// # Errors
    ///
    /// The first that can't be a host's name.
    pub fn new(listen: SocketAddr, allowed: &[String]) -> Result<Self, String> {
        let read = |host: &String| {
            let wrong = || format!("{host:?} is not the name or address of a host");
            name(host).ok_or_else(wrong)
        };
        Ok(Self(Arc::new(Inner {
            listen: listen.ip().to_canonical(),
            names: allowed.iter().map(read).collect::<Result<_, _>>()?,
        })))
    }

    /// Whether it is one of our names, on a connection to the address `local`.
    fn has(&self, host: &str, local: Option<IpAddr>) -> bool {
        let Some(name) = name(host) else { return false };
        if name == "localhost" || self.0.names.contains(&name) {
            return true;
        }
        let Ok(address) = name.parse::<IpAddr>() else {
            return false;
        };
        let address = address.to_canonical();
        address.is_loopback()
            || address == self.0.listen
            || local.is_some_and(|local| local.to_canonical() == address)
    }

    fn check(
        &self,
        version: Version,
        uri: &Uri,
        headers: &HeaderMap,
        local: Option<IpAddr>,
    ) -> Result<(), Fault> {
        let refused = |host: &str| {
            let message = format!(
                "{host:?} is not a name of this service: use the address that it listens on, or start it with \
                 --allowed-hosts and this name"
            );
            Fault::new(Code::HostUnknown, message)
        };
        // In `GET http://host/path`, the name goes before that in the header.
        if let Some(host) = uri.authority().map(|authority| authority.as_str())
            && !self.has(host, local)
        {
            return Err(refused(host));
        }
        let mut hosts = headers.get_all(header::HOST);
        match (hosts.next(), hosts.next()) {
            (Some(host), None) => {
                let host = host.to_str().unwrap_or_default();
                if self.has(host, local) {
                    Ok(())
                } else {
                    Err(refused(host))
                }
            }
            // Browsers don't speak HTTP/1.0; some probes do, and send no name.
            (None, None) if version <= Version::HTTP_10 || uri.authority().is_some() => Ok(()),
            (None, None) => Err(Fault::new(Code::RequestInvalid, "there is no Host header")),
            (Some(_), Some(_)) | (None, Some(_)) => Err(Fault::new(
                Code::RequestInvalid,
                "there is more than one Host header",
            )),
        }
    }
}

/// Answers requests that were not meant for this service, before anything else sees them.
///
/// # Errors
///
/// Those of what is inside.
pub async fn own_host(
    hosts: web::Data<OwnHosts>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let connection = request.conn_data::<Connection>();
    let local = connection.and_then(Connection::local);
    let _busy = connection.map(Connection::busy);
    let head = request.head();
    match hosts.check(head.version, &head.uri, request.headers(), local) {
        Ok(()) => next.call(request).await.map(ServiceResponse::map_into_boxed_body),
        Err(fault) => {
            let address = request.peer_addr().map(|peer| peer.ip().to_string());
            tracing::warn!(address, path = request.path(), "refused: {}", fault.message);
            Ok(request.into_response(Timer::now().fail(&fault)))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn hosts() -> OwnHosts {
        let allowed = ["Mapek.Example.org".to_owned(), "10.9.8.7".to_owned()];
        OwnHosts::new("192.0.2.1:8000".parse().unwrap(), &allowed).unwrap()
    }

    #[test]
    fn names_and_addresses_of_ours_are_known_however_they_are_written() {
        let local = "10.0.0.5".parse().ok();
        for own in [
            "localhost",
            "LOCALHOST.:8000",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]",
            "[::1]:8000",
            "[::ffff:127.0.0.1]:80",
            "192.0.2.1:8000",
            "10.0.0.5",
            "mapek.example.org",
            "mapek.example.ORG.:443",
            "10.9.8.7:80",
        ] {
            assert!(hosts().has(own, local), "{own}");
        }
        for other in [
            "",
            ".",
            ":8000",
            "evil.test",
            "localhost.evil.test",
            "evil.localhost",
            "127.0.0.1.evil.test",
            "127.1",
            "2130706433",
            "10.0.0.6",
            "user@localhost",
            "localhost:port",
            "localhost:99999",
            "localhost:80:80",
            "[::1",
            "[::1]x",
            "[localhost]x:1",
            "local host",
            "localhost/",
            "sub.mapek.example.org",
            "\u{ff4c}ocalhost",
        ] {
            assert!(!hosts().has(other, local), "{other}");
        }
        assert!(OwnHosts::new("127.0.0.1:1".parse().unwrap(), &["a b".to_owned()]).is_err());
    }
}
