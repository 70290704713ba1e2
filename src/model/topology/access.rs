//! How the engine on a VM is reached.

use std::path::PathBuf;

use crate::model::reader::{At, Notes, join};

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

impl DockerAccess {
    /// A template alone, or an object with `endpoint`, `tls_ca`, `tls_cert` and `tls_key`.
    pub(super) fn read(notes: &mut Notes, at: Option<At<'_>>) -> Self {
        let Some(at) = at else { return Self::default() };
        if at.value.is_string() {
            return Self {
                endpoint: template(notes, &at),
                tls: None,
            };
        }
        let Some(mut fields) = at.object(notes) else {
            return Self::default();
        };
        let endpoint = fields.get("endpoint").and_then(|at| template(notes, &at));
        let ca = fields.text(notes, "tls_ca");
        let cert = fields.text(notes, "tls_cert");
        let key = fields.text(notes, "tls_key");
        let tls = match (ca, cert, key) {
            (Some(ca), Some(cert), Some(key)) => Some(Tls {
                ca: ca.into(),
                cert: cert.into(),
                key: key.into(),
            }),
            (None, None, None) => None,
            _ => {
                notes.problem(
                    &join(&fields.path, "tls_ca"),
                    "tls_ca, tls_cert and tls_key go together",
                );
                None
            }
        };
        fields.finish(notes);
        Self { endpoint, tls }
    }
}

/// What a template may name.
const PLACEHOLDERS: [&str; 4] = ["{private_ip}", "{public_ip}", "{private_dns}", "{instance_id}"];

fn template(notes: &mut Notes, at: &At<'_>) -> Option<String> {
    let text = at.text(notes)?;
    let filled = PLACEHOLDERS
        .iter()
        .fold(text.to_owned(), |text, name| text.replace(name, "x"));
    let schemes = ["tcp://", "http://", "https://", "ssh://"];
    if filled.contains(['{', '}']) || !schemes.iter().any(|scheme| filled.starts_with(scheme)) {
        let names = PLACEHOLDERS.join(" ");
        let form = format!("should be an endpoint such as https://{{private_ip}}:2376, with any of {names}");
        notes.problem(&at.path, form);
        return None;
    }
    Some(text.to_owned())
}
