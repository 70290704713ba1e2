//! What is allocated, and what runs.

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// An amount of processor and memory together.
#[derive(ToSchema)]
#[schema(example = json!({ "cpu_cores": 1, "mem_units": 2 }))]
pub struct Amount {
    /// Cores; decimals in steps of 0.01 in quota mode.
    #[schema(minimum = 0, maximum = 1000000, example = 1)]
    cpu_cores: f64,
    /// Memory units.
    #[schema(minimum = 0, maximum = 1000000, example = 2)]
    mem_units: u32,
}

/// A VM: what it has, and what each container on it holds.
#[derive(ToSchema)]
#[schema(example = json!({ "ip": "10.0.0.1", "cpu_cores": 2, "mem_units": 8,
    "used": { "rubis_db": { "cpu_cores": 1, "mem_units": 2 } } }))]
pub struct Vm {
    /// The address at which its published ports are reached; null while the VM is still to be made.
    #[schema(pattern = r"\S", example = "10.0.0.1")]
    ip: Option<String>,
    /// Its cores.
    #[schema(exclusive_minimum = 0, maximum = 1000000, example = 2)]
    cpu_cores: f64,
    /// Its memory units.
    #[schema(minimum = 1, maximum = 1000000, example = 8)]
    mem_units: u32,
    /// What each container on it holds, by flat name.
    used: Option<BTreeMap<String, Held>>,
    /// What containers that are not part of the allocation hold. Only in questions to `/api/solve`.
    foreign: Option<Foreign>,
}

/// What a container holds: some of both.
#[derive(ToSchema)]
#[schema(example = json!({ "cpu_cores": 1, "mem_units": 2 }))]
pub struct Held {
    /// Cores.
    #[schema(exclusive_minimum = 0, maximum = 1000000, example = 1)]
    cpu_cores: f64,
    /// Memory units.
    #[schema(minimum = 1, maximum = 1000000, example = 2)]
    mem_units: u32,
}

/// The VMs in use, by name, and the `time` spent.
#[derive(ToSchema)]
#[schema(example = json!({ "vm1": { "ip": "10.0.0.1", "cpu_cores": 2, "mem_units": 8,
    "used": { "rubis_db": { "cpu_cores": 1, "mem_units": 2 } } }, "time": "0.00" }))]
pub struct AllocationShown {
    /// Seconds spent.
    #[schema(pattern = r"^\d+\.\d\d$", example = "0.00")]
    time: String,
    /// VMs by name.
    #[serde(flatten)]
    vms: BTreeMap<String, Vm>,
}

/// What the engines say, by VM and container, and the `time` spent.
#[derive(ToSchema)]
#[schema(example = json!({ "vm1": { "rubis_db": { "CpusetCpus": "0", "NanoCpus": 0, "Memory": 1073741824,
    "MemUnits": 2, "state": "running", "health": null, "image": "mysql:8", "id": "4f5c", "exit_code": null,
    "managed": true, "owner": "0193b5a0-7c3e-7d52-9b1f-2f6f0f6f3a11", "foreign": false,
    "drift": [], "differences": [] } }, "time": "0.02" }))]
pub struct Inspection {
    /// Seconds spent.
    #[schema(pattern = r"^\d+\.\d\d$", example = "0.02")]
    time: String,
    /// Containers by VM and name.
    #[serde(flatten)]
    vms: BTreeMap<String, BTreeMap<String, Inspected>>,
}

/// A container as its engine reports it, beside what the allocation says.
#[derive(ToSchema)]
#[schema(example = json!({ "CpusetCpus": "0", "NanoCpus": 0, "Memory": 1073741824, "MemUnits": 2,
    "state": "running", "health": "healthy", "image": "mysql:8", "id": "4f5c", "exit_code": null,
    "managed": true, "owner": "0193b5a0-7c3e-7d52-9b1f-2f6f0f6f3a11", "foreign": false, "drift": [],
    "differences": [] }))]
#[serde(deny_unknown_fields)]
pub struct Inspected {
    /// The cores that it is pinned to; empty in quota mode.
    #[schema(example = "0")]
    #[serde(rename = "CpusetCpus")]
    cpuset: Option<String>,
    /// Its share of all cores, in billionths; 0 in cpuset mode.
    #[schema(example = 0)]
    #[serde(rename = "NanoCpus")]
    nano_cpus: Option<u64>,
    /// Its memory limit in bytes.
    #[schema(example = 1073741824)]
    #[serde(rename = "Memory")]
    memory: Option<u64>,
    /// The same in memory units.
    #[schema(example = 2)]
    #[serde(rename = "MemUnits")]
    mem_units: Option<f64>,
    /// `running` and the like; `gone` where it should be and is not; `unknown` where its VM can't
    /// be asked.
    #[schema(example = "running")]
    state: String,
    /// `starting`, `healthy` or `unhealthy`; null without a health check.
    #[schema(example = "healthy")]
    health: Option<String>,
    /// The image that it was made from.
    #[schema(example = "mysql:8")]
    image: Option<String>,
    /// The engine's id.
    #[schema(example = "4f5c")]
    id: Option<String>,
    /// Exit code of its last run, where it does not run.
    #[schema(example = 0)]
    exit_code: Option<i64>,
    /// Whether any `mapek` made it.
    #[schema(example = true)]
    managed: Option<bool>,
    /// The id of the data directory that it was made for, where it says so.
    #[schema(example = "0193b5a0-7c3e-7d52-9b1f-2f6f0f6f3a11")]
    owner: Option<String>,
    /// Whether it is not this service's own: it is never touched, and counts against its VM.
    #[schema(example = false)]
    foreign: Option<bool>,
    /// What differs from the allocation.
    #[schema(example = json!([]))]
    drift: Vec<String>,
    /// The same for programs.
    #[schema(example = json!([]))]
    differences: Vec<Drift>,
}

/// One thing in which a container differs from what the allocation says.
#[derive(ToSchema)]
#[schema(example = json!({ "kind": "resized", "limit": "memory", "is": "33554432", "should": "67108864" }))]
pub struct Drift {
    /// `missing`, `unknown`, `stopped`, `paused`, `restarting`, `unhealthy`, `resized`, `foreign`,
    /// `unreachable` or `engine_changed`; there may be more one day.
    #[schema(example = "resized")]
    kind: String,
    /// Where it is resized: `memory` (bytes), `cpuset` or `nano_cpus`.
    #[schema(example = "memory")]
    limit: Option<String>,
    /// Where it is resized: the limit that it has.
    #[schema(example = "33554432")]
    is: Option<String>,
    /// Where it is resized: the limit that it should have.
    #[schema(example = "67108864")]
    should: Option<String>,
    /// Where its name is another `mapek`'s: whose.
    #[schema(example = "0193b5a0-7c3e-7d52-9b1f-2f6f0f6f3a11")]
    owner: Option<String>,
    /// Where its VM is `unreachable` or has another engine: what is known of that.
    #[schema(example = "no answer within 30 s")]
    why: Option<String>,
}

/// What other containers hold on a VM.
#[derive(ToSchema)]
#[schema(example = json!({ "cpu_cores": 1, "mem_units": 2, "cores": "0" }))]
pub struct Foreign {
    /// Cores; decimals in steps of 0.01 in quota mode. No less than there are in `cores`.
    #[schema(minimum = 0, maximum = 1000000, example = 1)]
    cpu_cores: Option<f64>,
    /// Memory units.
    #[schema(minimum = 0, maximum = 1000000, example = 2)]
    mem_units: Option<u32>,
    /// The cores that they are pinned to, as Docker writes them.
    #[schema(pattern = r"^\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*$", example = "0,2-3")]
    cores: Option<String>,
}
