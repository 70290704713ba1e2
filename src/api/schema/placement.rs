//! Plans, and what comes of them.

use std::collections::BTreeMap;

use utoipa::ToSchema;

use crate::model::Warning;
use crate::translate::Interrupt;

use super::{Amount, Topology, Vm};

/// The whole desired state: the total of each tier, by app and tier, or by flat name. A tier that is
/// left out is removed.
#[derive(ToSchema)]
#[schema(example = json!({ "rubis": { "db": { "cpu_cores": 1, "mem_units": 2 } } }))]
pub struct Plan {
    /// For editors: where this schema is.
    #[serde(rename = "$schema")]
    #[schema(example = "http://localhost:8000/schemas/plan.json")]
    schema: Option<String>,
    /// By app, or by flat name.
    #[serde(flatten)]
    entries: BTreeMap<String, PlanEntry>,
}

/// What one tier should hold in all, or what each tier of an app should.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(example = json!({ "cpu_cores": 1, "mem_units": 2 }))]
pub enum PlanEntry {
    /// Of the tier with that flat name.
    Tier(Amount),
    /// Of each tier of the app with that name.
    App(BTreeMap<String, Amount>),
}

/// A what-if.
#[derive(ToSchema)]
#[schema(example = json!({
    "topology": {
        "infrastructure": { "cpu_cores": 2, "mem_units": 8,
            "cloud_driver": { "autoscaling_groupname": "workers" } },
        "apps": [{ "name": "rubis", "tiers": { "db": { "docker_image": "mysql:8", "max_node": 1 } } }]
    },
    "allocation": {},
    "plan": { "rubis": { "db": { "cpu_cores": 1, "mem_units": 2 } } },
    "deadline_ms": 500
}))]
pub struct Question {
    /// The topology.
    topology: Topology,
    /// What runs, in the shape of `GET /api/allocation`; nothing unless given.
    #[schema(example = json!({}))]
    allocation: Option<BTreeMap<String, Vm>>,
    /// The plan.
    plan: Plan,
    /// Milliseconds after which the best found is the answer.
    #[schema(minimum = 1, maximum = 86400000, example = 500)]
    deadline_ms: Option<f64>,
    /// Search until the answer is proven to be the cheapest.
    #[schema(example = false)]
    exact: Option<bool>,
    /// Answer also with what was found and proven on the way.
    #[schema(example = false)]
    trace: Option<bool>,
}

/// Where everything should go, how good that is, and the way there.
#[derive(ToSchema)]
#[schema(example = json!({
    "actions": [["create vm 'new_vm0'"],
        ["create container 'rubis_db' on vm 'new_vm0' with cpu cores=1 and mem_units=2"]],
    "stages": [[{ "kind": "create_vm", "vm": "new_vm0" }],
        [{ "kind": "create_container", "vm": "new_vm0", "container": "rubis_db", "cpu_cores": 1, "mem_units": 2,
            "cores": [0] }]],
    "interrupts": [],
    "allocation": { "new_vm0": { "ip": null, "cpu_cores": 2, "mem_units": 8,
        "used": { "rubis_db": { "cpu_cores": 1, "mem_units": 2 } } } },
    "objective": 35, "bound": 35, "gap": 0, "proven_optimal": true, "proved_by": "volume", "ended_by": "proof", "solve_ms": 0.4,
    "warnings": [], "time": "0.00"
}))]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Stages of action texts: the actions of a stage run at the same time, stages one after the
    /// other.
    #[schema(example = json!([["create vm 'new_vm0'"]]))]
    actions: Vec<Vec<String>>,
    /// The same, structured.
    stages: Vec<Vec<Action>>,
    /// Tiers that can't be kept running on the way.
    interrupts: Vec<Interrupt>,
    /// The allocation to reach.
    #[schema(example = json!({}))]
    allocation: BTreeMap<String, Vm>,
    /// What the placement costs.
    #[schema(example = 35)]
    objective: f64,
    /// No placement can cost less.
    #[schema(example = 35)]
    bound: f64,
    /// (objective − bound) / objective.
    #[schema(example = 0)]
    gap: f64,
    /// Whether no placement is cheaper.
    #[schema(example = true)]
    proven_optimal: bool,
    /// Who proved the bound.
    proved_by: Prover,
    /// What ended the search.
    ended_by: EndedBy,
    /// Milliseconds spent on the placement.
    #[schema(example = 0.4)]
    solve_ms: f64,
    /// What the plan's author should know; of a translation, also what would stop an execution now.
    warnings: Vec<Warning>,
    /// The id under which the translation is sealed: execute it with `?plan_id=` or `If-Match`.
    /// Only in answers of translate.
    #[schema(example = "3f2a9c0d5e6b7a8190b1c2d3e4f50617")]
    plan_id: Option<String>,
    /// What was found and proven on the way. Only where it was asked for.
    trace: Option<Vec<Progress>>,
    /// Seconds spent.
    #[schema(pattern = r"^\d+\.\d\d$", example = "0.00")]
    time: String,
}

/// What ended a search: a proof that nothing is cheaper and that nothing of the same price has fewer actions,
/// a plan that asks for what runs now, the work that it sets itself, its deadline, or a client that went away.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case", example = "proof")]
pub enum EndedBy {
    Proof,
    Unchanged,
    WorkLimit,
    Deadline,
    Stopped,
}

/// Who proved a bound: what volume forces (`volume`), the relaxation that only counts new containers
/// (`relaxation`, `relaxation_in_parts`), what a VM can be worth where each tier is on one (`knapsack`),
/// the linear program over all loads of a VM where each tier is on one new VM (`column_generation`), the
/// solver's own tree (`tree`), or HiGHS on the whole question (`program`).
#[derive(ToSchema)]
#[schema(rename_all = "snake_case", example = "volume")]
pub enum Prover {
    Volume,
    Relaxation,
    RelaxationInParts,
    Knapsack,
    ColumnGeneration,
    Tree,
    Program,
}

/// A cheaper placement that was found, or a higher bound that was proven.
#[derive(ToSchema)]
#[schema(example = json!({ "ms": 0.2, "objective": 35, "by": "construct" }))]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Milliseconds since the search began.
    #[schema(example = 0.2)]
    ms: f64,
    /// What the placement costs.
    #[schema(example = 35)]
    objective: Option<f64>,
    /// What no placement is below.
    #[schema(example = 35)]
    bound: Option<f64>,
    /// The method.
    #[schema(example = "construct")]
    by: String,
}

/// One step of an execution.
#[derive(ToSchema)]
#[schema(example = json!({ "kind": "create_container", "vm": "vm1", "container": "rubis_db", "cpu_cores": 1,
    "mem_units": 2, "cores": [0] }))]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// What is done.
    kind: ActionKind,
    /// Where.
    #[schema(example = "vm1")]
    vm: String,
    /// With which container.
    #[schema(example = "rubis_db")]
    container: Option<String>,
    /// The cores that it then holds.
    #[schema(example = 1)]
    cpu_cores: Option<f64>,
    /// The memory units that it then holds.
    #[schema(example = 2)]
    mem_units: Option<u64>,
    /// The cores that it is then pinned to.
    #[schema(example = json!([0]))]
    cores: Option<Vec<u32>>,
    /// What it held before.
    was: Option<Amount>,
    /// The cores that it was pinned to before.
    #[schema(example = json!([1]))]
    was_cores: Option<Vec<u32>>,
    /// The scale hooks that are run, in this order; of a container that is deleted, those that run in it before.
    #[schema(example = json!(["set_nginx_workers.sh"]))]
    hooks: Option<Vec<String>>,
    /// The dependency hook that is run.
    #[schema(example = "reload_server_pool.sh")]
    hook: Option<String>,
    /// Containers that the dependency hook is told of as gone, and that the next stage removes.
    leaving: Option<Vec<Place>>,
}

/// Where a container is.
#[derive(ToSchema)]
#[schema(example = json!({ "vm": "vm1", "container": "rubis_app" }))]
pub struct Place {
    /// Its VM.
    #[schema(example = "vm1")]
    vm: String,
    /// Its name.
    #[schema(example = "rubis_app")]
    container: String,
}

/// What an action does.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case", example = "create_container")]
pub enum ActionKind {
    CreateVm,
    DeleteVm,
    CreateContainer,
    UpdateContainer,
    DeleteContainer,
    RunScaleHook,
    RunTierHook,
}
