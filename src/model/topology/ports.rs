//! Published ports: `[address:]host:container[/protocol]`.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use crate::model::reader::{At, Notes};

/// A host port that is forwarded to a port of the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortBinding {
    /// The host's address; None for every address.
    pub address: Option<IpAddr>,
    /// The host's port.
    pub host: u16,
    /// The container's port.
    pub container: u16,
    /// The protocol.
    pub protocol: Protocol,
}

/// Transport protocol of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP, the default.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

impl PortBinding {
    /// Whether two containers with these bindings can't be on one VM.
    #[must_use]
    pub fn conflicts(&self, other: &Self) -> bool {
        let same_address = match (self.address, other.address) {
            (Some(a), Some(b)) => a == b || a.is_unspecified() || b.is_unspecified(),
            _ => true,
        };
        self.host == other.host && self.protocol == other.protocol && same_address
    }
}

/// In Docker's notation, as the topology writes it.
impl fmt::Display for PortBinding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(IpAddr::V6(address)) => write!(out, "[{address}]:")?,
            Some(IpAddr::V4(address)) => write!(out, "{address}:")?,
            None => {}
        }
        write!(out, "{}:{}/{}", self.host, self.container, self.protocol)
    }
}

impl serde::Serialize for PortBinding {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// The most ports that one range may publish.
const WIDEST: u16 = 1000;

/// Reads one binding, or a range as several: `[address:]host[-last]:container[-last][/protocol]`.
pub fn parse(text: &str) -> Result<Vec<PortBinding>, String> {
    let form = || format!("{text:?} is not of the form [address:]host:container[/protocol], such as 8080:80");
    let (rest, protocol) = match text.split_once('/') {
        None => (text, Protocol::Tcp),
        Some((rest, "tcp")) => (rest, Protocol::Tcp),
        Some((rest, "udp")) => (rest, Protocol::Udp),
        Some((rest, "sctp")) => (rest, Protocol::Sctp),
        Some(_) => {
            let known = "tcp, udp and sctp are";
            return Err(format!(
                "{text:?}: what follows the slash is not a protocol; {known}"
            ));
        }
    };
    let (rest, container) = rest.rsplit_once(':').ok_or_else(form)?;
    let (address, host) = match rest.rsplit_once(':') {
        None => (None, rest),
        Some((address, host)) => {
            let bare = address
                .strip_prefix('[')
                .and_then(|a| a.strip_suffix(']'))
                .unwrap_or(address);
            let parsed = bare
                .parse::<IpAddr>()
                .map_err(|_| format!("{bare:?} is not an IP address"))?;
            (Some(parsed), host)
        }
    };
    let ((host, last_host), (container, last_container)) = (range(host)?, range(container)?);
    if last_host - host != last_container - container {
        return Err(format!("{text:?} has ranges of different lengths"));
    }
    if last_host - host >= WIDEST {
        return Err(format!("{text:?} publishes more than {WIDEST} ports"));
    }
    let bind = |(host, container)| PortBinding {
        address,
        host,
        container,
        protocol,
    };
    Ok((host..=last_host)
        .zip(container..=last_container)
        .map(bind)
        .collect())
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let port = |digits: &str| match digits.parse::<u16>() {
        Ok(port) if port > 0 && digits.chars().all(|c| c.is_ascii_digit()) => Ok(port),
        _ => Err(format!("{digits:?} is not a port: 1 to 65535")),
    };
    let Some((first, last)) = text.split_once('-') else {
        return port(text).map(|port| (port, port));
    };
    let (first, last) = (port(first)?, port(last)?);
    if last < first {
        Err(format!("{text:?} is a range that ends before it begins"))
    } else {
        Ok((first, last))
    }
}

/// The ports of a tier: a list of bindings, or an object of host ports and container ports.
pub fn read(notes: &mut Notes, at: &At<'_>) -> Vec<PortBinding> {
    let entries: Vec<(String, String)> = match at.value {
        serde_json::Value::Object(map) => map
            .iter()
            .map(|(host, container)| {
                let container = container
                    .as_str()
                    .map_or_else(|| container.to_string(), str::to_owned);
                (
                    crate::model::reader::join(&at.path, host),
                    format!("{host}:{container}"),
                )
            })
            .collect(),
        _ => at
            .list(notes)
            .iter()
            .filter_map(|entry| Some((entry.path.clone(), entry.text(notes)?.trim().to_owned())))
            .collect(),
    };
    let mut bindings: Vec<PortBinding> = Vec::new();
    let mut by_port: HashMap<(u16, Protocol), Vec<PortBinding>> = HashMap::new();
    for (path, text) in entries {
        match parse(&text) {
            Ok(parsed) => {
                for binding in parsed {
                    // Ranges may be wide, so a binding is compared only with those of its own port.
                    let same = by_port.entry((binding.host, binding.protocol)).or_default();
                    let twice = same.iter().any(|other: &PortBinding| other.conflicts(&binding));
                    same.push(binding);
                    if twice {
                        notes.problem(&path, format!("host port {} is published twice", binding.host));
                    }
                    bindings.push(binding);
                }
            }
            Err(problem) => notes.problem(&path, problem),
        }
    }
    bindings
}
