//! How the engine on a VM is reached.

use std::path::PathBuf;

/// How Docker is reached on the VMs of a cloud, and the TLS files for `https` endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DockerAccess {
    /// Endpoint template for cloud VMs, such as `https://{private_ip}:2376`.
    pub endpoint: Option<String>,
    /// Client certificate and authority; needed by `https` endpoints.
    pub tls: Option<Tls>,
}

/// TLS files, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Certificate of the authority that signed the engine's certificate.
    pub ca: PathBuf,
    /// The client's certificate.
    pub cert: PathBuf,
    /// The client's key.
    pub key: PathBuf,
}
