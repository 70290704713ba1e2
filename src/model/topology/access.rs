//! How the engine on a VM is reached.

use std::path::PathBuf;

use utoipa::ToSchema;

use crate::model::reader::{At, Notes, join};

/// How Docker is reached on the VMs of a cloud, and the TLS files for `https` endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, ToSchema)]
#[schema(example = json!({ "endpoint": "https://{private_ip}:2376", "tls_ca": "/etc/mapek/ca.pem",
    "tls_cert": "/etc/mapek/cert.pem", "tls_key": "/etc/mapek/key.pem" }))]
pub struct DockerAccess {
    /// Template for the VMs of a cloud, with `{private_ip}`, `{public_ip}`, `{private_dns}`,
    /// `{instance_id}`.
    #[schema(pattern = r"^(tcp|http|https|ssh)://", example = "https://{private_ip}:2376")]
    pub endpoint: Option<String>,
    /// Client certificate and authority; needed by `https` endpoints.
    #[serde(flatten)]
    #[schema(value_type = Tls)]
    pub tls: Option<Tls>,
}

/// TLS files, PEM.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
pub struct Tls {
    /// Certificate of the authority that signed the engine's certificate.
    #[schema(rename = "tls_ca", value_type = Option<String>, pattern = r"\S", example = "/etc/mapek/ca.pem")]
    pub ca: PathBuf,
    /// The client's certificate.
    #[schema(rename = "tls_cert", value_type = Option<String>, pattern = r"\S", example = "/etc/mapek/cert.pem")]
    pub cert: PathBuf,
    /// The client's key.
    #[schema(rename = "tls_key", value_type = Option<String>, pattern = r"\S", example = "/etc/mapek/key.pem")]
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

/// What a template may contain.
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
