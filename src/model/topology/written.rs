//! How values are written that are read into something simpler: shapes for the description of the API,
//! beside the readers that know them.

#![expect(dead_code, reason = "only their shapes are of interest")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::{AutoScaling, DockerAccess, Host, SelfHeal, Tier};

/// An app.
#[derive(ToSchema)]
#[schema(example = json!({ "name": "rubis", "tiers": { "db": { "docker_image": "mysql:8", "max_node": 1 } } }))]
pub struct App {
    /// Its name, the first part of its containers' names.
    #[schema(
        pattern = r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$",
        max_length = 100,
        example = "rubis"
    )]
    name: String,
    /// Its tiers, by key.
    tiers: BTreeMap<String, Tier>,
}

/// Cores and memory of one VM.
#[derive(ToSchema)]
pub struct Shape {
    /// Cores of one VM; 2 unless given.
    #[schema(minimum = 0, maximum = 10000, example = 2)]
    cpu_cores: Option<f64>,
    /// Memory units of one VM; 8 unless given.
    #[schema(minimum = 1, maximum = 1000000, example = 8)]
    mem_units: Option<u32>,
}

/// How Docker is reached on the VMs of a cloud: the template alone, or with TLS files.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(example = "https://{private_ip}:2376")]
pub enum DockerGiven {
    /// Template for the VMs of a cloud.
    Template(String),
    /// With TLS files.
    Access(DockerAccess),
}

/// Whether drift is repaired, and when.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = SelfHeal, example = true)]
pub enum SelfHealGiven {
    /// Whether it is, at the usual times.
    Switch(bool),
    /// It is, at these.
    Times(SelfHeal),
}

/// Where VMs come from: machines that exist, an Auto Scaling group, or, left empty, this machine's own
/// Docker engine.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(example = json!({ "hosts": { "vm1": { "docker": "ssh://me@10.0.0.1", "ip": "10.0.0.1" } } }))]
pub enum CloudDriver {
    /// Machines that exist.
    Hosts(Hosts),
    /// An AWS Auto Scaling group.
    Group(AutoScaling),
    /// This machine's own engine.
    Embedded(Embedded),
}

/// This machine's own engine: nothing is given.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct Embedded {}

/// Machines that exist.
#[derive(ToSchema)]
#[schema(example = json!({ "hosts": { "vm1": { "docker": "ssh://me@10.0.0.1", "ip": "10.0.0.1" } } }))]
pub struct Hosts {
    /// By name.
    #[schema(example = json!({ "vm1": { "docker": "ssh://me@10.0.0.1" } }))]
    hosts: BTreeMap<String, Host>,
}

/// Published ports.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(example = json!(["8080:80"]))]
pub enum Ports {
    /// `[address:]host:container[/tcp|udp|sctp]`, ranges too.
    Listed(Vec<String>),
    /// Container port by host port.
    Mapped(BTreeMap<String, Scalar>),
}

/// A command or its arguments: a string, split as a shell would, or a list.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(example = "--workers 2")]
pub enum Words {
    /// Split as a shell would.
    Line(String),
    /// As they are.
    List(Vec<String>),
}

/// A name or several.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(example = json!(["db"]))]
pub enum OneOrMore {
    /// One.
    One(String),
    /// Several.
    More(Vec<String>),
}

/// Environment variables.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(example = json!({ "MODE": "fast" }))]
pub enum Environment {
    /// By name.
    Named(BTreeMap<String, Variable>),
    /// As `NAME=value`.
    Listed(Vec<String>),
}

/// The value of an environment variable.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(example = json!({ "from_file": "/run/secrets/db" }))]
pub enum Variable {
    /// Written out.
    Value(Scalar),
    /// Kept elsewhere.
    Reference(Reference),
}

/// A text, or where it is kept.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(example = json!({ "from_env": "HOOKS_REPO" }))]
pub enum TextOrReference {
    /// Written out.
    Text(String),
    /// Kept elsewhere.
    Reference(Reference),
}

/// Where a value is kept on the service's machine. It is read each time it is needed.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(example = json!({ "from_file": "/run/secrets/db" }))]
pub enum Reference {
    /// In a file.
    File(FromFile),
    /// In a variable.
    Env(FromEnv),
}

/// A file's content.
#[derive(ToSchema)]
#[schema(example = json!({ "from_file": "/run/secrets/db" }))]
#[serde(deny_unknown_fields)]
pub struct FromFile {
    /// The absolute path; one line end at the end of the file does not count.
    #[schema(pattern = r"^/[^\x00]*$", example = "/run/secrets/db")]
    from_file: String,
}

/// A variable of the service's own environment.
#[derive(ToSchema)]
#[schema(example = json!({ "from_env": "SHOP_API_KEY" }))]
#[serde(deny_unknown_fields)]
pub struct FromEnv {
    /// Its name; not one of mapek's (`MAPEK_…`).
    #[schema(pattern = r"^(?!MAPEK_)[A-Za-z0-9_]+$", example = "SHOP_API_KEY")]
    from_env: String,
}

/// A value that is written as text.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(example = "fast")]
pub enum Scalar {
    /// Text.
    Text(String),
    /// A number.
    Number(f64),
    /// True or false.
    Truth(bool),
}
