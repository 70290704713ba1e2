//! One execution with every action, as it is shown. Pure.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::model::topology::{OnFailure, OnShortage};
use crate::model::{Allocation, Plan, Vm};
use crate::translate::{Action, Stage};

use super::event::Lost;
use super::record::Execution;
use super::status::ActionState;
use super::summary::Summary;

/// One execution with every action.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "01a1fc6c-c051-7783-a1ac-3b147b0973c0", "state": "succeeded", "created_at": "2026-11-21T06:00:00Z",
    "finished_at": "2026-11-21T06:00:03Z", "actions": 1, "actions_done": 1, "requested_by": "planner", "reconcile": null,
    "plan": {}, "generation": 3, "hooks_revision": null, "from": {}, "target": {},
    "stages": [[{ "action": { "kind": "delete_vm", "vm": "vm1" }, "text": "delete vm 'vm1'", "state": "succeeded",
        "attempts": 1, "started_at": "2026-11-21T06:00:00Z", "finished_at": "2026-11-21T06:00:03Z" }]],
    "on_failure": "stop", "on_shortage": "fail", "plan_id": null, "request_id": "01a1fc6c-c051-7783-a1ac-3b147b0973bf",
    "address": "127.0.0.1", "resumed": 0, "time": "0.00"
}))]
pub struct Details<'e> {
    #[serde(flatten)]
    summary: Summary,
    /// The plan as it was sent.
    #[schema(value_type = Plan)]
    plan: &'e Value,
    /// The generation of the topology that it was made for; 0 if an earlier version did not record
    /// it.
    #[schema(example = 3)]
    generation: u64,
    /// The commit, or content hash, of the hooks.
    #[schema(example = "9a7a287")]
    hooks_revision: Option<&'e str>,
    /// The allocation before.
    #[schema(value_type = BTreeMap<String, Vm>, example = json!({}))]
    from: &'e Allocation,
    /// The allocation to reach.
    #[schema(value_type = BTreeMap<String, Vm>, example = json!({}))]
    target: &'e Allocation,
    /// Its stages.
    stages: Vec<Vec<Step<'e>>>,
    /// The stages that replaced them, if too few VMs came and the plan was placed again.
    #[serde(skip_serializing_if = "Option::is_none")]
    replanned_stages: Option<Vec<Vec<Step<'e>>>>,
    /// The allocation to reach since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, Vm>>, example = json!({}))]
    replanned_target: Option<&'e Allocation>,
    /// Why the plan could not be placed again, if too few VMs came.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "the demand does not fit on 1 VM")]
    replan_error: Option<&'e str>,
    /// The stages of the rollback, once it has begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    rollback_stages: Option<Vec<Vec<Step<'e>>>>,
    /// What it does when an action fails.
    on_failure: OnFailure,
    /// What it does when fewer VMs come than it asked for.
    on_shortage: OnShortage,
    /// The sealed plan that it carries out, if it does.
    #[schema(example = "3f2a9c0d5e6b7a8190b1c2d3e4f50617")]
    plan_id: Option<&'e str>,
    /// The id of the request, as in the log.
    #[schema(example = "01a1fc6c-c051-7783-a1ac-3b147b0973bf")]
    request_id: Option<&'e str>,
    /// The address that the request came from.
    #[schema(example = "127.0.0.1")]
    address: Option<&'e str>,
    /// How many times a restarted service took it up.
    #[schema(example = 0)]
    resumed: u32,
    /// Containers that were confirmed, did not run any more at the end, and could not be started
    /// again.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<&'e [Lost]>,
}

/// An action with its history.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "action": { "kind": "delete_vm", "vm": "vm1" }, "text": "delete vm 'vm1'",
    "state": "pending", "attempts": 0 }))]
struct Step<'e> {
    /// The action.
    action: &'e Action,
    /// Its text.
    #[schema(example = "delete vm 'vm1'")]
    text: String,
    /// Its state.
    #[serde(flatten)]
    state: ActionState,
}

impl Execution {
    /// Everything.
    #[must_use]
    pub fn details(&self) -> Details<'_> {
        let (frozen, progress) = (&self.frozen, &self.progress);
        let mut states = progress.actions.iter();
        let mut steps = |stages| with_states(stages, &mut states);
        let out = steps(&frozen.stages);
        let second = progress.second.as_ref();
        let again = second.map(|second| steps(&second.stages));
        let back = progress.back.as_ref().map(|back| steps(&back.stages));
        Details {
            summary: self.summary(),
            plan: &frozen.plan,
            generation: frozen.generation,
            hooks_revision: frozen.hooks_revision.as_deref(),
            from: &frozen.from.allocation,
            target: &frozen.target,
            stages: out,
            replanned_stages: again,
            replanned_target: second.map(|second| &second.target),
            replan_error: progress.unplaced.as_ref().map(|unplaced| unplaced.error.as_str()),
            rollback_stages: back,
            on_failure: frozen.on_failure,
            on_shortage: frozen.on_shortage,
            plan_id: frozen.plan_id.as_deref(),
            request_id: frozen.requested_by.request_id.as_deref(),
            address: frozen.requested_by.address.as_deref(),
            resumed: progress.resumed,
            lost: Some(progress.lost.as_slice()).filter(|lost| !lost.is_empty()),
        }
    }
}

/// Stages with the state of each action; the states are in the order of the actions.
fn with_states<'e>(
    stages: &'e [Stage],
    states: &mut std::slice::Iter<'_, ActionState>,
) -> Vec<Vec<Step<'e>>> {
    let mut step = |action: &'e Action| Step {
        action,
        text: action.to_string(),
        state: states.next().cloned().unwrap_or_default(),
    };
    let mut of_stage = |stage: &'e Stage| stage.iter().map(&mut step).collect();
    stages.iter().map(&mut of_stage).collect()
}
