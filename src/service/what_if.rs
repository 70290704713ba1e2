//! What-ifs: placements of a question that brings everything with it. No state, no engine, no cloud.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::{CloudVm, More, Offer, Standing};
use crate::fault::{Code, Fault};
use crate::model::problem::Warning;
use crate::model::topology::Cloud as CloudSpec;
use crate::model::{Allocation, Plan, Topology, VmId};

use super::Service;
use super::propose::{Effort, Proposal};
use super::topology::invalid;
use super::work_out::work_out;

impl Service {
    /// Answers a what-if. State is neither read nor changed.
    ///
    /// # Errors
    ///
    /// When the question is not valid or has no solution.
    pub async fn solve(&self, question: Value) -> Result<Proposal, Fault> {
        let what_if = WhatIf::parse(&question, self.inner.settings.solve_deadline)?;
        let WhatIf {
            topology,
            allocation,
            plan,
            effort,
            warnings,
        } = what_if;
        let offer = imagined(&topology);
        let mut proposal = self
            .place(&self.inner.what_ifs, topology, allocation, plan, offer, effort)
            .await?;
        proposal.warnings.extend(warnings);
        Ok(proposal)
    }
}

/// Answers a what-if without any service: what `mapek solve` runs.
///
/// # Errors
///
/// As [`Service::solve`].
pub fn what_if(question: &Value, deadline: Duration, stop: &AtomicBool) -> Result<Proposal, Fault> {
    let WhatIf {
        topology,
        allocation,
        plan,
        effort,
        warnings,
    } = WhatIf::parse(question, deadline)?;
    let mut proposal = work_out(&topology, &allocation, &plan, imagined(&topology), effort, stop)?;
    proposal.warnings.extend(warnings);
    Ok(proposal)
}

/// A stateless question.
pub struct WhatIf {
    topology: Arc<Topology>,
    allocation: Allocation,
    plan: Plan,
    effort: Effort,
    warnings: Vec<Warning>,
}

impl WhatIf {
    /// Reads `{"topology", "allocation", "plan", "deadline_ms"?, "exact"?}`.
    fn parse(question: &Value, deadline: Duration) -> Result<Self, Fault> {
        let bad = |message: &str| Fault::new(Code::RequestInvalid, message);
        let part = |key: &str| question.get(key).filter(|value| !value.is_null());
        if !question.is_object() {
            return Err(bad("should be an object with topology, allocation and plan"));
        }
        let topology = part("topology").ok_or_else(|| bad("topology is missing"))?;
        let plan = part("plan").ok_or_else(|| bad("plan is missing"))?;
        let parsed = Topology::parse(topology)
            .map_err(|problems| invalid(Code::TopologyInvalid, "topology", &problems))?;
        let topology = Arc::new(parsed.topology);
        let mut warnings = parsed.warnings;
        let empty = json!({});
        let step = topology.infrastructure.cpu_mode.step();
        let (allocation, notes) = Allocation::parse(part("allocation").unwrap_or(&empty), "allocation", step)
            .map_err(|problems| invalid(Code::AllocationInvalid, "allocation", &problems))?;
        warnings.extend(notes);
        let (plan, notes) =
            Plan::parse(plan, &topology).map_err(|problems| invalid(Code::PlanInvalid, "plan", &problems))?;
        warnings.extend(notes);
        let deadline = match part("deadline_ms") {
            None => deadline,
            Some(given) => match given.as_f64() {
                Some(ms) if (1.0..=86_400_000.0).contains(&ms) => Duration::from_secs_f64(ms / 1000.0),
                _ => {
                    return Err(bad(
                        "deadline_ms should be a number of milliseconds from 1 to 86400000",
                    ));
                }
            },
        };
        let exact = match part("exact") {
            None => false,
            Some(given) => given
                .as_bool()
                .ok_or_else(|| bad("exact should be true or false"))?,
        };
        // "Until proven" has no deadline unless the question sets one.
        let day = Duration::from_secs(86_400);
        let deadline = if exact && part("deadline_ms").is_none() {
            day
        } else {
            deadline
        };
        Ok(Self {
            topology,
            allocation,
            plan,
            effort: Effort { deadline, exact },
            warnings,
        })
    }
}

/// What the cloud of a what-if could give: no driver is asked.
fn imagined(topology: &Topology) -> Offer {
    let named = |name: VmId, ip: Option<String>| CloudVm {
        name,
        ip,
        endpoint: String::new(),
        standing: Standing::Ready,
    };
    match &topology.infrastructure.cloud {
        CloudSpec::Embedded => Offer::of_named(vec![named(VmId::new(crate::cloud::LOCALHOST), None)]),
        CloudSpec::Hosts(hosts) => Offer::of_named(
            hosts
                .iter()
                .map(|host| named(host.name.clone(), host.ip.clone()))
                .collect(),
        ),
        CloudSpec::AutoScaling(_) => Offer {
            more: More::Anonymous { at_most: None },
            ..Offer::of_named(Vec::new())
        },
    }
}
