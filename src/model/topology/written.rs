//! Values that can be written in several ways, as the API's description shows them. They are beside
//! the readers that turn them into something simpler.

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

/// Cores and memory of one VM of a kind.
#[derive(ToSchema)]
pub struct ShapeSize {
    /// Cores of one VM.
    #[schema(minimum = 0, maximum = 10000, example = 8)]
    cpu_cores: f64,
    /// Memory units of one VM.
    #[schema(minimum = 1, maximum = 1000000, example = 32)]
    mem_units: u32,
    /// Gigabytes of disk of one VM; none unless given.
    #[schema(minimum = 0, maximum = 1000000, example = 200)]
    disk_gb: Option<u32>,
    /// Graphics processors of one VM; none unless given.
    #[schema(minimum = 0, maximum = 1000000, example = 1)]
    gpus: Option<u32>,
}

/// Cores and memory of one VM.
#[derive(ToSchema)]
pub struct VmSize {
    /// Cores of one VM; 2 unless given.
    #[schema(minimum = 0, maximum = 10000, example = 2)]
    cpu_cores: Option<f64>,
    /// Memory units of one VM; 8 unless given.
    #[schema(minimum = 1, maximum = 1000000, example = 8)]
    mem_units: Option<u32>,
    /// Gigabytes of disk of one VM; none unless given.
    #[schema(minimum = 0, maximum = 1000000, example = 200)]
    disk_gb: Option<u32>,
    /// Graphics processors of one VM; none unless given.
    #[schema(minimum = 0, maximum = 1000000, example = 1)]
    gpus: Option<u32>,
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
    /// Whether it is, with the usual times.
    Switch(bool),
    /// It is, with these times.
    Times(SelfHeal),
}

/// Where VMs come from: machines that exist, machines that register themselves, an Auto Scaling group,
/// or, if empty, this machine's own Docker engine.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(example = json!({ "hosts": { "vm1": { "docker": "ssh://me@10.0.0.1", "ip": "10.0.0.1" } } }))]
pub enum CloudDriver {
    /// Machines that exist.
    Hosts(Hosts),
    /// An AWS Auto Scaling group.
    Group(AutoScaling),
    /// Machines that register themselves.
    Nodes(Nodes),
    /// This machine's own engine.
    Embedded(Embedded),
}

/// This machine's own engine: nothing is given.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct Embedded {}

/// Machines that register themselves, with `PUT /api/nodes/{id}`: nothing is given of them.
#[derive(ToSchema)]
#[schema(as = RegisteredNodes, example = json!({ "nodes": {} }))]
pub struct Nodes {
    /// An empty object.
    nodes: Embedded,
}

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

/// A health check from outside: exactly one of `http`, `tcp` and `command`.
#[derive(ToSchema)]
#[schema(as = Probe, example = json!({ "http": { "port": 80, "path": "/health" }, "interval_s": 5 }))]
pub struct ProbeGiven {
    /// Made by mapek, at the published port.
    http: Option<HttpProbe>,
    /// A connection, made by mapek to the published port.
    tcp: Option<TcpProbe>,
    /// Run by the engine in the container: a string, split as a shell would, or a list.
    #[schema(example = json!(["pg_isready"]))]
    command: Option<Words>,
    /// Seconds between checks; 5 unless given.
    #[schema(minimum = 1, maximum = 86400, example = 5)]
    interval_s: Option<u32>,
    /// Seconds until one check counts as failed; 5 unless given.
    #[schema(minimum = 1, maximum = 86400, example = 3)]
    timeout_s: Option<u32>,
    /// Failures in a row until the container counts as unhealthy; 3 unless given.
    #[schema(minimum = 1, maximum = 1000, example = 3)]
    retries: Option<u32>,
    /// Seconds at the start in which failures do not count, and checks come often; 30 unless given.
    #[schema(minimum = 0, maximum = 86400, example = 10)]
    start_period_s: Option<u32>,
}

/// `GET path` at a published port.
#[derive(ToSchema)]
#[schema(example = json!({ "port": 80, "path": "/health", "status": 200 }))]
pub struct HttpProbe {
    /// The container's port.
    #[schema(minimum = 1, maximum = 65535, example = 80)]
    port: u32,
    /// Path and query; `/` unless given.
    #[schema(pattern = r"^/[!-~]*$", example = "/health")]
    path: Option<String>,
    /// The status that counts as healthy; anything from 200 to 399 unless given.
    #[schema(minimum = 100, maximum = 599, example = 200)]
    status: Option<u32>,
}

/// A connection to a published port.
#[derive(ToSchema)]
#[schema(example = json!({ "port": 3306 }))]
pub struct TcpProbe {
    /// The container's port.
    #[schema(minimum = 1, maximum = 65535, example = 3306)]
    port: u32,
}

/// A limit of each process; -1 is no limit.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = Ulimit, example = 1024)]
pub enum UlimitGiven {
    /// The limit, which can't be raised.
    Both(i64),
    /// The limit, and how far a process may raise it.
    Each(SoftAndHard),
}

/// The limit, and how far a process may raise it; -1 is no limit.
#[derive(ToSchema)]
#[schema(example = json!({ "soft": 1024, "hard": 4096 }))]
pub struct SoftAndHard {
    /// The limit.
    #[schema(minimum = -1, example = 1024)]
    soft: i64,
    /// How far a process may raise it.
    #[schema(minimum = -1, example = 4096)]
    hard: i64,
}

/// A size: bytes, or a number followed by `k`, `m` or `g`.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(example = "128m")]
pub enum ShmSize {
    /// With its unit.
    Text(String),
    /// In bytes.
    Bytes(u64),
}

/// A signal: its name, or its number.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(example = "SIGQUIT")]
pub enum StopSignal {
    /// With or without `SIG`.
    Name(String),
    /// Its number.
    Number(u32),
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
    /// A reference.
    Reference(Reference),
}

/// A text, or a reference to it.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(example = json!({ "from_env": "HOOKS_REPO" }))]
pub enum TextOrReference {
    /// Written out.
    Text(String),
    /// A reference.
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
    /// The absolute path; one newline at the end of the file does not count.
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
