//! Topologies.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

use crate::model::topology::{OnFailure, OnShortage};

/// The infrastructure, and the apps with their tiers. Fields that are not listed are kept, given
/// back, and named in `warnings`.
#[derive(ToSchema)]
#[schema(example = json!({
    "infrastructure": {
        "cloud_driver": { "hosts": { "vm1": { "docker": "tcp://10.0.0.1:2375", "ip": "10.0.0.1" } } },
        "cpu_cores": 2, "mem_units": 8
    },
    "apps": [{ "name": "rubis", "tiers": {
        "web": { "docker_image": "nginx:1.27", "ports": ["8080:80"], "depends_on": ["db"] },
        "db": { "docker_image": "mysql:8", "max_node": 1 }
    } }]
}))]
pub struct Topology {
    /// For editors: where this schema is.
    #[serde(rename = "$schema")]
    #[schema(example = "http://localhost:8000/schemas/topology.json")]
    schema: Option<String>,
    /// Where VMs come from, and what one has.
    infrastructure: Infrastructure,
    /// The apps.
    apps: Vec<App>,
}

/// Where VMs come from, what one has, and the rules for all placements.
#[derive(ToSchema)]
#[schema(example = json!({ "cpu_cores": 2, "mem_units": 8, "cpu_mode": "quota" }))]
pub struct Infrastructure {
    /// Where VMs come from; without it, this machine's own Docker engine is the one VM.
    cloud_driver: Option<CloudDriver>,
    /// URL or path of a git repository, or a plain folder, with `scale_hooks/` and `tier_hooks/`; or
    /// where that is kept.
    #[schema(example = "https://git.example/hooks.git")]
    hooks_git_repo: Option<TextOrReference>,
    /// Branch, tag or commit.
    #[schema(pattern = r"\S", example = "main")]
    hooks_ref: Option<String>,
    /// Cores of one VM; 2 unless given.
    #[schema(minimum = 0, maximum = 10000, example = 2)]
    cpu_cores: Option<f64>,
    /// Memory units of one VM; 8 unless given.
    #[schema(minimum = 1, maximum = 1000000, example = 8)]
    mem_units: Option<u32>,
    /// MiB in a memory unit; 512 unless given.
    #[schema(minimum = 1, maximum = 1048576, example = 512)]
    mem_unit_mb: Option<u32>,
    /// Most VMs in use.
    #[schema(minimum = 1, maximum = 100000, example = 10)]
    max_vms: Option<u32>,
    /// Fewest VMs kept, even idle.
    #[schema(minimum = 0, maximum = 100000, example = 1)]
    min_vms: Option<u32>,
    /// How processor limits are set.
    cpu_mode: Option<CpuMode>,
    /// How Docker is reached on VMs of a cloud, and TLS files.
    docker: Option<DockerAccess>,
    /// Weights of the placement's objective.
    weights: Option<Weights>,
    /// What an execution does when an action fails for good; `stop` unless given.
    on_failure: Option<OnFailure>,
    /// What an execution does when fewer VMs come than it asked for; `fail` unless given.
    on_shortage: Option<OnShortage>,
    /// When what differs is brought back by carrying the plan out again that was reached last.
    self_heal: Option<SelfHeal>,
    /// Names and passwords for registries, by the registries' names (`docker.io` for Docker Hub).
    #[schema(example = json!({ "registry.test:5000": { "username": "puller", "password": { "from_env": "REGISTRY_PASSWORD" } } }))]
    registries: Option<BTreeMap<String, Login>>,
    /// What becomes of a plan when containers of others, on the VMs that it uses, have no limits;
    /// `warn` unless given.
    foreign: Option<OnForeign>,
}

/// Whether what differs is brought back, and when.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(example = true)]
pub enum SelfHeal {
    /// Whether it is, at the usual times.
    Switch(bool),
    /// It is, at these.
    Times(SelfHealTimes),
}

/// When what differs is brought back.
#[derive(ToSchema)]
#[schema(example = json!({ "grace_s": 10, "lost_after_s": 300, "backoff_max_s": 600 }))]
pub struct SelfHealTimes {
    /// Seconds that something has to differ before anything is done about it; 10 unless given.
    #[schema(minimum = 0, maximum = 604800, example = 10)]
    grace_s: Option<u32>,
    /// Seconds after which an engine that does not answer counts as lost; 300 unless given.
    #[schema(minimum = 1, maximum = 604800, example = 300)]
    lost_after_s: Option<u32>,
    /// The longest pause between two attempts, in seconds; 600 unless given.
    #[schema(minimum = 1, maximum = 604800, example = 600)]
    backoff_max_s: Option<u32>,
}

/// Where VMs come from: machines that exist, or an Auto Scaling group; empty, this machine's own
/// Docker engine.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(example = json!({ "hosts": { "vm1": { "docker": "ssh://me@10.0.0.1", "ip": "10.0.0.1" } } }))]
pub enum CloudDriver {
    /// Machines that exist.
    Hosts(Hosts),
    /// An AWS Auto Scaling group.
    Group(AutoScalingGroup),
}

/// Machines that exist.
#[derive(ToSchema)]
#[schema(example = json!({ "hosts": { "vm1": { "docker": "ssh://me@10.0.0.1", "ip": "10.0.0.1" } } }))]
pub struct Hosts {
    /// By name.
    #[schema(example = json!({ "vm1": { "docker": "ssh://me@10.0.0.1" } }))]
    hosts: BTreeMap<String, Host>,
}

/// An AWS Auto Scaling group.
#[derive(ToSchema)]
#[schema(example = json!({ "autoscaling_groupname": "workers", "region": "eu-west-1" }))]
pub struct AutoScalingGroup {
    /// Its name.
    #[schema(pattern = r"\S", example = "workers")]
    autoscaling_groupname: String,
    /// A file with lines `AWS_ACCESS_KEY_ID=…`, `AWS_SECRET_ACCESS_KEY=…`.
    #[schema(pattern = r"\S", example = "/etc/mapek/aws")]
    credentials: Option<String>,
    /// Its region.
    #[schema(pattern = r"\S", example = "eu-west-1")]
    region: Option<String>,
    /// Another endpoint for the AWS API.
    #[schema(pattern = r"\S", example = "http://127.0.0.1:5000")]
    endpoint_url: Option<String>,
    /// Seconds to wait for a new instance to be usable.
    #[schema(minimum = 1, maximum = 86400, example = 600)]
    ready_timeout_s: Option<u32>,
    /// Whether the group's MaxSize may be raised.
    #[schema(example = false)]
    manage_max_size: Option<bool>,
}

/// A machine that exists.
#[derive(ToSchema)]
#[schema(example = json!({ "docker": "tcp://10.0.0.1:2375", "ip": "10.0.0.1" }))]
pub struct Host {
    /// Its engine: `unix:///…`, `tcp://IP:2375`, `https://IP:2376` or `ssh://user@IP`.
    #[schema(
        pattern = r"^(unix:///|tcp://|http://|https://|ssh://)\S+$",
        example = "tcp://10.0.0.1:2375"
    )]
    docker: String,
    /// The address at which its published ports are reached.
    #[schema(format = "ipv4", example = "10.0.0.1")]
    ip: Option<String>,
}

/// How processor limits are set: whole cores, each container pinned to cores of its own; or
/// decimal cores in steps of 0.01.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase", example = "quota")]
pub enum CpuMode {
    Cpuset,
    Quota,
}

/// What becomes of a plan when containers of others have no limits, so that what they may take can't be
/// counted: they are named in a warning; the plan is refused.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase", example = "refuse")]
pub enum OnForeign {
    Warn,
    Refuse,
}

/// How Docker is reached.
#[derive(ToSchema)]
#[schema(example = json!({ "endpoint": "https://{private_ip}:2376", "tls_ca": "/etc/mapek/ca.pem",
    "tls_cert": "/etc/mapek/cert.pem", "tls_key": "/etc/mapek/key.pem" }))]
pub struct DockerAccess {
    /// Template for the VMs of a cloud, with `{private_ip}`, `{public_ip}`, `{private_dns}`,
    /// `{instance_id}`.
    #[schema(pattern = r"\S", example = "https://{private_ip}:2376")]
    endpoint: Option<String>,
    /// Authority of the engines' certificates.
    #[schema(pattern = r"\S", example = "/etc/mapek/ca.pem")]
    tls_ca: Option<String>,
    /// Certificate shown to the engines.
    #[schema(pattern = r"\S", example = "/etc/mapek/cert.pem")]
    tls_cert: Option<String>,
    /// Its key.
    #[schema(pattern = r"\S", example = "/etc/mapek/key.pem")]
    tls_key: Option<String>,
}

/// Weights of the placement's objective.
#[derive(ToSchema)]
#[schema(example = json!({ "vm_create": 20, "vm_use": 11 }))]
pub struct Weights {
    /// A new VM used; 20.
    #[schema(maximum = 1000000, example = 20)]
    vm_create: Option<u32>,
    /// An existing VM used; 11.
    #[schema(maximum = 1000000, example = 11)]
    vm_use: Option<u32>,
    /// An existing VM not used, so deleted; 2.
    #[schema(maximum = 1000000, example = 2)]
    vm_delete: Option<u32>,
    /// A new container; 4.
    #[schema(maximum = 1000000, example = 4)]
    container_create: Option<u32>,
    /// An existing container kept or resized; 3.
    #[schema(maximum = 1000000, example = 3)]
    container_set: Option<u32>,
    /// An existing container of a tier in the plan, removed; 1.
    #[schema(maximum = 1000000, example = 1)]
    container_delete: Option<u32>,
    /// The same, where the tier has `max_node` 1; 100.
    #[schema(maximum = 1000000, example = 100)]
    container_delete_pinned: Option<u32>,
}

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

/// One component of an app.
#[derive(ToSchema)]
#[schema(example = json!({ "docker_image": "nginx:1.27", "ports": ["8080:80"], "depends_on": ["db"], "max_node": 2 }))]
pub struct Tier {
    /// For people; the container is named `{app}_{key}`.
    #[schema(pattern = r"\S", example = "Load balancer")]
    name: Option<String>,
    /// Image.
    #[schema(
        pattern = r"^[A-Za-z0-9][A-Za-z0-9._/:@\-]*$",
        max_length = 512,
        example = "nginx:1.27"
    )]
    docker_image: String,
    /// When the image is pulled; `missing` unless given.
    pull: Option<Pull>,
    /// Published ports: `[address:]host:container[/tcp|udp|sctp]`, ranges too; a list, or an object
    /// from host to container port.
    #[schema(value_type = Option<Ports>, example = json!(["8080:80"]))]
    ports: Option<Value>,
    /// Arguments of the image's entrypoint: a string, split as a shell would, or a list.
    #[schema(value_type = Option<Words>, example = "--workers 2")]
    entrypoint_params: Option<Value>,
    /// Replaces the image's entrypoint: a string, split as a shell would, or a list.
    #[schema(value_type = Option<Words>, example = json!(["/bin/server"]))]
    command: Option<Value>,
    /// Most VMs that the tier may be on.
    #[schema(minimum = 1, maximum = 100000, example = 1)]
    max_node: Option<u32>,
    /// Fewest VMs that the tier may be on.
    #[schema(minimum = 1, maximum = 100000, example = 1)]
    min_node: Option<u32>,
    /// Tiers of the same app that run before this one starts.
    #[schema(value_type = Option<OneOrMore>, example = json!(["db"]))]
    depends_on: Option<Value>,
    /// Hooks run in each container that was created or updated.
    #[schema(value_type = Option<OneOrMore>, example = "set_nginx_workers.sh")]
    on_node_scale: Option<Value>,
    /// Hook run in every container of the tier when a dependency changed.
    #[schema(pattern = r"\S", max_length = 255, example = "reload_server_pool.sh")]
    on_dependency_scale: Option<String>,
    /// Hooks run in a container before it is stopped for good.
    #[schema(value_type = Option<OneOrMore>, example = "drain.sh")]
    on_node_stop: Option<Value>,
    /// Environment variables: an object, or a list of `NAME=value`. Values that are written out are
    /// answered as `***`.
    #[schema(value_type = Option<Environment>, example = json!({ "MODE": "fast" }))]
    environment: Option<Value>,
    /// Volumes and bind mounts, in Docker's notation.
    #[schema(example = json!(["data:/var/lib/mysql"]))]
    volumes: Option<Vec<String>>,
    /// How the engine finds out whether a container is healthy.
    healthcheck: Option<Healthcheck>,
    /// How mapek itself finds that out; in the place of `healthcheck`.
    probe: Option<Probe>,
    /// Seconds that a new container must stay up, and healthy, until it counts as running; 0 unless given.
    #[schema(maximum = 86400, example = 10)]
    bake_s: Option<u32>,
    /// Seconds between the stop signal and the kill.
    #[schema(maximum = 86400, example = 10)]
    stop_grace_s: Option<u32>,
    /// Labels of the containers; those that begin with `mapek.` are mapek's own.
    #[schema(value_type = Option<BTreeMap<String, Scalar>>, example = json!({ "team": "shop" }))]
    labels: Option<Value>,
    /// User that the containers run as.
    #[schema(pattern = r"\S", example = "nobody")]
    user: Option<String>,
    /// Most processes and threads of a container; -1 for no limit, 4096 unless given.
    #[schema(minimum = -1, maximum = 4194304, example = 200)]
    pids_limit: Option<i64>,
    /// Limits of each process, by name (`nofile`, `core`, …).
    #[schema(value_type = Option<BTreeMap<String, Ulimit>>, example = json!({ "nofile": { "soft": 1024, "hard": 4096 } }))]
    ulimits: Option<Value>,
    /// Whether the containers' root file system can't be written to.
    #[schema(example = true)]
    read_only: Option<bool>,
    /// File systems in memory: `/path[:options]`, one or a list. What they hold counts as the container's memory.
    #[schema(value_type = Option<OneOrMore>, example = json!(["/run:size=16m"]))]
    tmpfs: Option<Value>,
    /// Size of `/dev/shm`: bytes, or a number with `k`, `m` or `g` behind it; 64m unless given.
    #[schema(value_type = Option<Scalar>, example = "128m")]
    shm_size: Option<Value>,
    /// Capabilities of Linux besides Docker's own set.
    #[schema(example = json!(["NET_ADMIN"]))]
    cap_add: Option<Vec<String>>,
    /// Capabilities of Linux that are taken away; `ALL` takes all.
    #[schema(example = json!(["ALL"]))]
    cap_drop: Option<Vec<String>>,
    /// Whether processes can't gain privileges, by setuid programs such as sudo for one; true unless given.
    #[schema(example = true)]
    no_new_privileges: Option<bool>,
    /// Whether Docker's own small init is process 1.
    #[schema(example = true)]
    init: Option<bool>,
    /// The signal that stops a container: a name or a number.
    #[schema(value_type = Option<Scalar>, example = "SIGQUIT")]
    stop_signal: Option<Value>,
}

/// A limit of each process; -1 is no limit.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(example = 1024)]
pub enum Ulimit {
    /// What counts, and can't be raised.
    Both(i64),
    /// What counts, and how far a process may raise it.
    Each(SoftAndHard),
}

/// What counts, and how far a process may raise it; -1 is no limit.
#[derive(ToSchema)]
#[schema(example = json!({ "soft": 1024, "hard": 4096 }))]
pub struct SoftAndHard {
    /// What counts.
    #[schema(minimum = -1, example = 1024)]
    soft: i64,
    /// How far a process may raise it.
    #[schema(minimum = -1, example = 4096)]
    hard: i64,
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

/// A health check, with Docker's defaults where a time is not given.
#[derive(ToSchema)]
#[schema(example = json!({ "test": "curl -f localhost", "interval_s": 5, "retries": 3 }))]
pub struct Healthcheck {
    /// Command that is run in the container: a string, split as a shell would, or a list.
    test: Words,
    /// Seconds between checks.
    #[schema(minimum = 1, maximum = 86400, example = 5)]
    interval_s: Option<u32>,
    /// Seconds until one check counts as failed.
    #[schema(minimum = 1, maximum = 86400, example = 3)]
    timeout_s: Option<u32>,
    /// Failures in a row until the container counts as unhealthy.
    #[schema(minimum = 1, maximum = 1000, example = 3)]
    retries: Option<u32>,
    /// Seconds at the start in which failures do not count.
    #[schema(maximum = 86400, example = 10)]
    start_period_s: Option<u32>,
}

/// When an image is pulled: where a VM does not have it; for every plan that makes a container of it; where it is
/// missing, and on all VMs it is the same.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase", example = "digest")]
pub enum Pull {
    Missing,
    Always,
    Digest,
}

/// Name and password for a registry.
#[derive(ToSchema)]
#[schema(example = json!({ "username": "puller", "password": { "from_env": "REGISTRY_PASSWORD" } }))]
pub struct Login {
    /// User name.
    #[schema(pattern = r"\S", example = "puller")]
    username: String,
    /// Where the password or token is.
    password: Reference,
}

/// A health check from outside: exactly one of `http`, `tcp` and `command`.
#[derive(ToSchema)]
#[schema(example = json!({ "http": { "port": 80, "path": "/health" }, "interval_s": 5 }))]
pub struct Probe {
    /// Asked by mapek at the published port.
    http: Option<HttpProbe>,
    /// A connection, made by mapek to the published port.
    tcp: Option<TcpProbe>,
    /// Run by the engine in the container: a string, split as a shell would, or a list.
    #[schema(value_type = Option<Words>, example = json!(["pg_isready"]))]
    command: Option<Value>,
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
    #[schema(maximum = 86400, example = 10)]
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
    /// The right status; anything from 200 to 399 unless given.
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

/// The topology as it was put, its secrets as `***`; only `time` before the first.
#[derive(ToSchema)]
#[schema(example = json!({ "infrastructure": { "cpu_cores": 2, "mem_units": 8 }, "apps": [], "time": "0.00" }))]
pub struct TopologyShown {
    /// Where VMs come from, and what one has.
    infrastructure: Option<Infrastructure>,
    /// The apps.
    apps: Option<Vec<App>>,
    /// Seconds spent.
    #[schema(pattern = r"^\d+\.\d\d$", example = "0.00")]
    time: String,
}
