//! The service itself.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

/// The service answers.
#[derive(ToSchema)]
#[schema(example = json!({ "status": "ok", "version": "0.1.0", "time": "0.00" }))]
#[serde(deny_unknown_fields)]
pub struct Alive {
    /// `ok`.
    #[schema(example = "ok")]
    status: String,
    /// The service's version.
    #[schema(example = "0.1.0")]
    version: String,
    /// Seconds spent.
    #[schema(pattern = r"^\d+\.\d\d$", example = "0.00")]
    time: String,
}

/// Whether the service can carry plans out, and which part can't do its own.
#[derive(ToSchema)]
#[schema(example = json!({ "ready": false, "parts": { "journal": { "ready": true }, "topology": { "ready": true },
    "cloud": { "ready": true }, "engines": { "ready": false, "problem": "VM 'vm1': nothing answers" } },
    "time": "0.01" }))]
#[serde(deny_unknown_fields)]
pub struct Readiness {
    /// Whether all parts are.
    #[schema(example = true)]
    ready: bool,
    /// `journal`, `topology`, `cloud`, `engines`.
    parts: BTreeMap<String, Part>,
    /// Seconds spent.
    #[schema(pattern = r"^\d+\.\d\d$", example = "0.01")]
    time: String,
}

/// A part of the service.
#[derive(ToSchema)]
#[schema(example = json!({ "ready": false, "problem": "VM 'vm1': nothing answers" }))]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Whether it can do its own.
    #[schema(example = false)]
    ready: bool,
    /// Why not; told to holders of tokens only, where there are tokens.
    #[schema(example = "VM 'vm1': nothing answers")]
    problem: Option<String>,
}

/// What could not be done, and what to do about it.
#[derive(ToSchema)]
#[schema(example = json!({ "error": "there is no topology yet: PUT one to /api/topology first",
    "code": "topology_missing", "details": [], "time": "0.00" }))]
#[serde(deny_unknown_fields)]
pub struct Error {
    /// A sentence that a person can act on.
    #[schema(example = "there is no topology yet: PUT one to /api/topology first")]
    error: String,
    /// The kind of failure, for programs; docs/errors.md lists them.
    #[schema(example = "topology_missing")]
    code: String,
    /// Particulars: problems with paths, reasons, what has moved.
    #[schema(example = json!([]))]
    details: Vec<Value>,
    /// Seconds spent.
    #[schema(pattern = r"^\d+\.\d\d$", example = "0.00")]
    time: String,
}
