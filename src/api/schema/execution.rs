//! Executions.

use std::collections::BTreeMap;

use utoipa::ToSchema;

use crate::execute::{Lost, Reconcile, Standing, Status};
use crate::model::topology::{OnFailure, OnShortage};

use super::{Action, Plan, Vm};

/// What is to be adopted.
#[derive(ToSchema)]
#[schema(example = json!({ "owner": "0193b5a0-7c3e-7d52-9b1f-2f6f0f6f3a11" }))]
#[serde(deny_unknown_fields)]
pub struct Adoption {
    /// The id of the data directory that was lost, as the label `mapek.owner` shows it.
    #[schema(format = "uuid", example = "0193b5a0-7c3e-7d52-9b1f-2f6f0f6f3a11")]
    owner: String,
}

/// One execution with every action.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "01a1fc6c-c051-7783-a1ac-3b147b0973c0", "state": "succeeded", "created_at": "2026-11-21T06:00:00Z",
    "finished_at": "2026-11-21T06:00:03Z", "actions": 1, "actions_done": 1, "requested_by": "planner", "reconcile": null,
    "plan": {}, "hooks_revision": null, "from": {}, "target": {},
    "stages": [[{ "action": { "kind": "delete_vm", "vm": "vm1" }, "text": "delete vm 'vm1'", "state": "succeeded",
        "attempts": 1, "started_at": "2026-11-21T06:00:00Z", "finished_at": "2026-11-21T06:00:03Z" }]],
    "on_failure": "stop", "on_shortage": "fail", "plan_id": null, "request_id": "01a1fc6c-c051-7783-a1ac-3b147b0973bf",
    "address": "127.0.0.1", "resumed": 0, "time": "0.00"
}))]
#[serde(deny_unknown_fields)]
pub struct Details {
    /// Its id.
    #[schema(format = "uuid", example = "01a1fc6c-c051-7783-a1ac-3b147b0973c0")]
    id: String,
    /// Where it stands.
    state: Standing,
    /// When it was accepted.
    #[schema(format = "date-time", example = "2026-11-21T06:00:00Z")]
    created_at: String,
    /// When it ended; null while it runs.
    #[schema(format = "date-time", example = "2026-11-21T06:00:03Z")]
    finished_at: Option<String>,
    /// Its actions.
    #[schema(example = 1)]
    actions: u64,
    /// Those that are done.
    #[schema(example = 1)]
    actions_done: u64,
    /// The name of the token that asked for it; `anonymous` without one; `mapek` for a repair.
    #[schema(example = "planner")]
    requested_by: String,
    /// Why `mapek` began it by itself, where it did.
    reconcile: Option<Reconcile>,
    /// The id of the request, as in the log.
    #[schema(example = "01a1fc6c-c051-7783-a1ac-3b147b0973bf")]
    request_id: Option<String>,
    /// The address that the request came from.
    #[schema(example = "127.0.0.1")]
    address: Option<String>,
    /// The sealed plan that it carries out, where it does.
    #[schema(example = "3f2a9c0d5e6b7a8190b1c2d3e4f50617")]
    plan_id: Option<String>,
    /// The plan as it was sent.
    #[schema(inline = false)]
    plan: Plan,
    /// The commit, or content hash, of the hooks.
    #[schema(example = "9a7a287")]
    hooks_revision: Option<String>,
    /// What was.
    #[schema(example = json!({}))]
    from: BTreeMap<String, Vm>,
    /// What should be.
    #[schema(example = json!({}))]
    target: BTreeMap<String, Vm>,
    /// Its stages.
    stages: Vec<Vec<Step>>,
    /// Those that took their place, where too few VMs came and the plan was placed anew.
    replanned_stages: Option<Vec<Vec<Step>>>,
    /// What should be since then.
    #[schema(example = json!({}))]
    replanned_target: Option<BTreeMap<String, Vm>>,
    /// Why the plan could not be placed anew, where too few VMs came.
    #[schema(example = "the demand does not fit on 1 VM")]
    replan_error: Option<String>,
    /// Those of the way back, once it was begun.
    rollback_stages: Option<Vec<Vec<Step>>>,
    /// What it does when an action fails.
    on_failure: OnFailure,
    /// What it does when fewer VMs come than it asked for.
    on_shortage: OnShortage,
    /// How often a restarted service took it up.
    #[schema(example = 0)]
    resumed: u32,
    /// What was confirmed, did not run any more at the end, and could not be started again.
    lost: Option<Vec<Lost>>,
    /// Seconds spent.
    #[schema(pattern = r"^\d+\.\d\d$", example = "0.00")]
    time: String,
}

/// An action with its history.
#[derive(ToSchema)]
#[schema(example = json!({ "action": { "kind": "delete_vm", "vm": "vm1" }, "text": "delete vm 'vm1'",
    "state": "pending", "attempts": 0 }))]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The action.
    action: Action,
    /// Its text.
    #[schema(example = "delete vm 'vm1'")]
    text: String,
    /// Where it stands.
    state: Status,
    /// How often it was begun.
    #[schema(example = 1)]
    attempts: u32,
    /// When it was first begun.
    #[schema(format = "date-time", example = "2026-11-21T06:00:00Z")]
    started_at: Option<String>,
    /// When it ended.
    #[schema(format = "date-time", example = "2026-11-21T06:00:03Z")]
    finished_at: Option<String>,
    /// How far it is, where it takes long; how far it got, once it has ended.
    #[schema(example = "instance i-0abc is Pending")]
    progress: Option<String>,
    /// Why the last attempt failed.
    #[schema(example = "no answer within 30 s")]
    error: Option<String>,
    /// The failure's code.
    #[schema(example = "engine_timeout")]
    code: Option<String>,
    /// True where it failed, and something may be there that the record does not know of.
    #[schema(example = true)]
    unknown: Option<bool>,
    /// What its hooks said.
    #[schema(example = "2 workers")]
    output: Option<String>,
    /// The failed action for which it was skipped.
    #[schema(example = 0)]
    because: Option<u64>,
}
