//! The plan that holds.

use utoipa::ToSchema;

use super::Plan;

/// The plan that holds, and what came of it.
#[derive(ToSchema)]
#[schema(example = json!({ "plan": { "rubis": { "db": { "cpu_cores": 2, "mem_units": 2 } } },
    "since": "2026-11-21T06:00:00Z", "by": "planner", "execution": "01a1fc6c-c051-7783-a1ac-3b147b0973c0",
    "state": "reached", "differences": [], "time": "0.00" }))]
#[serde(deny_unknown_fields)]
pub struct PlanThatHolds {
    /// The plan as it was sent; null before the first.
    #[schema(inline = false)]
    plan: Option<Plan>,
    /// When it was accepted.
    #[schema(format = "date-time", example = "2026-11-21T06:00:00Z")]
    since: Option<String>,
    /// The name of the token that asked for it; `anonymous` without one.
    #[schema(example = "planner")]
    by: Option<String>,
    /// The execution that it was wanted with.
    #[schema(format = "uuid", example = "01a1fc6c-c051-7783-a1ac-3b147b0973c0")]
    execution: Option<String>,
    /// What came of it.
    state: PlanState,
    /// What differed from it at the last look.
    differences: Vec<Difference>,
    /// Seconds spent.
    #[schema(pattern = r"^\d+\.\d\d$", example = "0.00")]
    time: String,
}

/// What came of the plan that holds: there is none yet; its execution has not ended; what it asks for is
/// there; it was, and something differs now; its execution failed, was cancelled or undone.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case", example = "reached")]
pub enum PlanState {
    None,
    UnderWay,
    Reached,
    Drifted,
    Failed,
}

/// How what runs differs from what should.
#[derive(ToSchema)]
#[schema(example = json!({ "vm": "vm1", "container": "rubis_db", "kind": "stopped", "details": ["not running"],
    "since": "2026-11-21T06:00:00Z" }))]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The VM; null where it is about all of a tier.
    #[schema(example = "vm1")]
    vm: Option<String>,
    /// The container, or the tier.
    #[schema(example = "rubis_db")]
    container: String,
    /// How it differs.
    kind: DifferenceKind,
    /// In what, for a person.
    #[schema(example = json!(["not running"]))]
    details: Vec<String>,
    /// Since when it was seen to.
    #[schema(format = "date-time", example = "2026-11-21T06:00:00Z")]
    since: String,
}

/// How something differs: it is not there, does not run, is unhealthy, holds something else than it should,
/// is not in the allocation; its VM can't be asked, or could not be for so long
/// that it counts as lost; less of the tier is held than the plan asks for; a hook of it is still to run.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case", example = "stopped")]
pub enum DifferenceKind {
    Missing,
    Stopped,
    Unhealthy,
    Resized,
    Unknown,
    Unreachable,
    Lost,
    Short,
    HookOwed,
}
