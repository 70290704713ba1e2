//! Why there is no placement, or not this one, in words. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::execute::no_limits;
use crate::fault::{Code, Fault};
use crate::model::intent::Cordon;
use crate::model::problem::Warning;
use crate::model::topology::OnForeign;
use crate::model::{Topology, VmId};
use crate::solve::conditions::Candidate;
use crate::translate::{Action, Stage};

use crate::service::observed::{Unlimited, told};
use crate::service::planner::Proposal;
use crate::service::requirements::Asked;

/// Says what limits the number of VMs, if no placement was found.
pub(in crate::service) fn bounded(mut fault: Fault, bounds: &[String]) -> Fault {
    if fault.code == Code::Infeasible && !bounds.is_empty() {
        let of_vms = |detail: &Value| {
            let code = detail.get("code").and_then(Value::as_str);
            matches!(code, Some("too_few_vms" | "ports_exhausted" | "together"))
        };
        if fault.details.iter().any(of_vms) {
            fault.message = format!("{}; {}", fault.message, bounds.join("; "));
        }
        fault.details.extend(
            bounds
                .iter()
                .map(|bound| json!({ "code": "cloud_bound", "reason": bound })),
        );
    }
    fault
}

/// Says which VMs could not be used, if no placement was found. If one can't be reached, that is
/// the reason.
pub(super) fn for_lack_of(fault: Fault, unusable: Vec<Fault>) -> Fault {
    if fault.code != Code::Infeasible {
        return fault;
    }
    let Some(first) = unusable.first() else {
        return fault;
    };
    let messages: Vec<&str> = unusable.iter().map(|fault| fault.message.as_str()).collect();
    Fault {
        code: first.code,
        message: format!("{}; {}", messages.join("; "), fault.message),
        ..fault
    }
}

/// Says which nodes are impossible for which tiers, if no placement was found.
pub(super) fn rejected(mut fault: Fault, asked: &Asked) -> Fault {
    if fault.code == Code::Infeasible {
        let lonely = asked.lonely();
        if !lonely.is_empty() {
            fault.message = format!("{}; {}", lonely.join("; "), fault.message);
        }
        fault.details.extend(asked.rejections());
    }
    fault
}

/// Says which nodes take nothing new, where no placement was found. Those that are to be left are what the request is
/// about.
pub(super) fn cordoned_off(
    mut fault: Fault,
    asked: &Asked,
    cordons: &BTreeMap<VmId, Cordon>,
    leave: &BTreeSet<VmId>,
) -> Fault {
    if fault.code == Code::Infeasible {
        let there = |node: &VmId| asked.candidates.contains_key(&Candidate::Vm(node.clone()));
        for (node, cordon) in cordons
            .iter()
            .filter(|(node, _)| there(node) && !leave.contains(*node))
        {
            let why = format!("node '{node}' is {}; uncordon it to use it", cordon.reason());
            fault.message = format!("{}; {why}", fault.message);
            fault
                .details
                .push(json!({ "code": "cordoned", "node": node, "reason": why }));
        }
    }
    fault
}

/// Containers without limits on the VMs that a placement sets out from or uses: as warnings, or, where the
/// topology wants that, as a refusal of what would put more beside them.
pub(super) fn unlimited(
    topology: &Topology,
    proposal: &Proposal,
    unlimited: &BTreeMap<VmId, Vec<Unlimited>>,
) -> Result<Vec<Warning>, Fault> {
    let used =
        |vm: &VmId| proposal.target.vms.contains_key(vm) || proposal.seen.allocation.vms.contains_key(vm);
    let refuses = topology.infrastructure.foreign == OnForeign::Refuse;
    let grows = grows(&proposal.translation.stages);
    let mut warnings = Vec::new();
    let mut messages = Vec::new();
    let mut places = Vec::new();
    for (vm, containers) in unlimited.iter().filter(|(vm, _)| used(vm)) {
        for Unlimited { container, lacks } in containers {
            let message = no_limits(vm, container, lacks);
            if refuses && grows.contains(vm) {
                messages.push(message);
                places.push(json!({ "vm": vm, "container": container }));
            } else {
                warnings.push(told(message));
            }
        }
    }
    if messages.is_empty() {
        return Ok(warnings);
    }
    let message = format!(
        "{}; set its limits with `docker update`, or stop it (infrastructure.foreign is \"refuse\")",
        messages.join("; ")
    );
    Err(Fault::new(Code::ForeignUnlimited, message).with(places))
}

/// The VMs on which something is started, or gets more than it has.
fn grows(stages: &[Stage]) -> BTreeSet<&VmId> {
    let grows = |action: &&Action| match action {
        Action::CreateContainer { .. } | Action::ReplaceContainer { .. } => true,
        Action::UpdateContainer { size, was, .. } => size.cpu > was.cpu || size.mem > was.mem,
        Action::CreateVm { .. }
        | Action::DeleteVm { .. }
        | Action::DeleteContainer { .. }
        | Action::RunScaleHook { .. }
        | Action::RunTierHook { .. } => false,
    };
    stages.iter().flatten().filter(grows).map(Action::vm).collect()
}
