//! Where an engine listens: the endpoint's text, read once.
//!
//! Pure. No connection is made here.

use std::fmt;

/// An engine's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A unix socket at this absolute path.
    Unix(String),
    /// Plain HTTP at this host and port.
    Plain(HostPort),
    /// HTTP over TLS at this host and port.
    Tls(HostPort),
    /// The `docker` command at the far end of an SSH connection.
    Ssh {
        /// Login name, if one is given.
        user: Option<String>,
        /// Host and port; port 22 may also come from the SSH client's own configuration.
        host: String,
        /// Port, if one is given.
        port: Option<u16>,
    },
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Name or address; an IPv6 address without its brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Ports that Docker's own client assumes.
const PLAIN_PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

impl Endpoint {
    /// Reads `unix:///path`, `tcp://host[:port]`, `http://…`, `https://…` or `ssh://[user@]host[:port]`.
    ///
    /// # Errors
    ///
    /// Says what is wrong and what would be right. The message never repeats a text that may
    /// contain a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.trim().split_once("://") else {
            return Err(
                "is no engine endpoint: give unix:///…, tcp://host:port, https://host:port or ssh://user@host"
                    .to_owned(),
            );
        };
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.to_owned())),
            "unix" => {
                Err("must be unix:// and an absolute path, such as unix:///var/run/docker.sock".to_owned())
            }
            "tcp" | "http" => host_port(rest, PLAIN_PORT).map(Self::Plain),
            "https" => host_port(rest, TLS_PORT).map(Self::Tls),
            "ssh" => ssh(rest),
            other => Err(format!(
                "has the scheme '{other}'; known are unix, tcp, http, https and ssh"
            )),
        }
    }

    /// The machine's name or address, if the endpoint has one: always, except on a unix socket.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Unix(_) => None,
            Self::Plain(at) | Self::Tls(at) => Some(&at.host),
            Self::Ssh { host, .. } => Some(host),
        }
    }
}

fn ssh(rest: &str) -> Result<Endpoint, String> {
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, rest),
    };
    if let Some(user) = user {
        if user.contains(':') {
            return Err("holds a password; SSH endpoints work with keys, write ssh://user@host".to_owned());
        }
        // The ssh command would read a leading dash as an option.
        if user.is_empty() || user.starts_with('-') || !user.chars().all(|c| c.is_ascii_graphic()) {
            return Err("has no usable user name before the @".to_owned());
        }
    }
    let (host, port) = split(place)?;
    Ok(Endpoint::Ssh {
        user: user.map(str::to_owned),
        host,
        port,
    })
}

fn host_port(rest: &str, default: u16) -> Result<HostPort, String> {
    if rest.contains('@') {
        return Err("holds a user name or password, which an engine has no use for".to_owned());
    }
    let (host, port) = split(rest)?;
    Ok(HostPort {
        host,
        port: port.unwrap_or(default),
    })
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`, with at most a slash at the end.
fn split(place: &str) -> Result<(String, Option<u16>), String> {
    let place = place.strip_suffix('/').unwrap_or(place);
    if place.contains('/') {
        return Err("has a path behind the host, which engines do not use".to_owned());
    }
    let (host, port) = if let Some(rest) = place.strip_prefix('[') {
        let (host, behind) = rest
            .split_once(']')
            .ok_or_else(|| "has an opening bracket without a closing one".to_owned())?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err("has something in brackets that is no IPv6 address".to_owned());
        }
        (
            host,
            behind
                .strip_prefix(':')
                .or(if behind.is_empty() { None } else { Some("") }),
        )
    } else {
        match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        }
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    if host.is_empty() || host.starts_with('-') || !host.chars().all(plain) {
        return Err("names no usable host".to_owned());
    }
    let port = match port {
        None => None,
        Some(text) => match text.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            _ => return Err("has a port that is not between 1 and 65535".to_owned()),
        },
    };
    Ok((host.to_owned(), port))
}

impl fmt::Display for HostPort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        bracketed(&self.host, out)?;
        write!(out, ":{}", self.port)
    }
}

fn bracketed(host: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    if host.contains(':') {
        write!(out, "[{host}]")
    } else {
        out.write_str(host)
    }
}

/// As people write it, with the port filled in.
impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(out, "unix://{path}"),
            Self::Plain(at) => write!(out, "tcp://{at}"),
            Self::Tls(at) => write!(out, "https://{at}"),
            Self::Ssh { user, host, port } => {
                out.write_str("ssh://")?;
                if let Some(user) = user {
                    write!(out, "{user}@")?;
                }
                bracketed(host, out)?;
                match port {
                    Some(port) => write!(out, ":{port}"),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_endpoint_is_read_and_written_back() {
        for (text, written, host) in [
            ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock", None),
            ("tcp://10.0.0.1", "tcp://10.0.0.1:2375", Some("10.0.0.1")),
            ("http://vm1:99/", "tcp://vm1:99", Some("vm1")),
            ("https://[fd00::1]", "https://[fd00::1]:2376", Some("fd00::1")),
            ("ssh://ops@vm1:2222", "ssh://ops@vm1:2222", Some("vm1")),
            ("ssh://vm1", "ssh://vm1", Some("vm1")),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!(endpoint.to_string(), written);
            assert_eq!(endpoint.host(), host);
            assert_eq!(Endpoint::parse(written).unwrap(), endpoint);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "docker",
            "ftp://x",
            "unix://relative",
            "tcp://",
            "tcp://:2375",
            "tcp://h:0",
            "tcp://h:99999",
            "tcp://h:p",
            "tcp://h/path",
            "tcp://[::1",
            "tcp://[nope]:1",
            "tcp://[::1]x",
            "ssh://-oProxyCommand=x",
            "ssh://-x@h",
            "ssh://@h",
            "tcp://a b",
        ] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for text in [
            "tcp://me:hunter2@h:1",
            "https://me:hunter2@h",
            "ssh://me:hunter2@h",
        ] {
            let said = Endpoint::parse(text).unwrap_err();
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
