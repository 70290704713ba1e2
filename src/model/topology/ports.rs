//! Published ports: `[address:]host:container[/protocol]`.

use std::fmt;
use std::net::IpAddr;

/// A host port that is forwarded to a port of the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortBinding {
    /// The host's address; None stands for every address.
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
