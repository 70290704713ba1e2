//! What-ifs: placements for a question that contains everything. No state, no engine, no cloud.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::{CloudVm, More, Offer, Standing};
use crate::fault::{Code, Fault};
use crate::model::problem::Warning;
use crate::model::topology::Cloud as CloudSpec;
use crate::model::{About, Allocation, Plan, Topology, VmGiven, VmId};

use crate::service::Service;
use crate::service::nodes;
use crate::service::observed::told;
use crate::service::planner::place::{Supply, place};
use crate::service::planner::{Effort, Proposal, asked_of};
use crate::service::requirements::{Confine, Unknown};
use crate::service::topology::invalid;

impl Service {
    /// Answers a what-if. State is neither read nor changed.
    ///
    /// # Errors
    ///
    /// When the question is not valid or has no solution.
    pub async fn solve(&self, question: Value) -> Result<Proposal, Fault> {
        let settings = &self.inner.settings;
        let mut what_if = WhatIf::parse(&question, settings.solve_deadline)?;
        what_if.cap(settings.max_what_if);
        let WhatIf {
            topology,
            allocation,
            plan,
            effort,
            mut warnings,
        } = what_if;
        let (supply, lonely) = supply(&topology, &allocation, &plan)?;
        warnings.extend(lonely);
        let mut proposal = self
            .place(
                &self.inner.what_ifs,
                Arc::clone(&topology),
                allocation,
                plan,
                supply,
                effort,
            )
            .await?;
        let from = proposal.seen.allocation.clone();
        proposal = self.safe(topology, from, Default::default(), proposal).await?;
        proposal.warnings.extend(warnings);
        Ok(proposal)
    }
}

/// Answers a what-if without a service, for `mapek solve`.
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
        mut warnings,
    } = WhatIf::parse(question, deadline)?;
    let (supply, lonely) = supply(&topology, &allocation, &plan)?;
    warnings.extend(lonely);
    let mut proposal = place(&topology, &allocation, &plan, supply, effort, stop)?;
    proposal.warnings.extend(warnings);
    Ok(proposal)
}

/// Checks a what-if without answering it.
///
/// # Errors
///
/// What is wrong with the first part that is not valid.
pub fn check_what_if(question: &Value) -> Result<(), Fault> {
    WhatIf::parse(question, Duration::ZERO).map(drop)
}

/// The fields of a question.
const MEMBERS: [&str; 6] = ["topology", "allocation", "plan", "deadline_ms", "exact", "trace"];

/// A what-if.
#[derive(utoipa::ToSchema)]
#[schema(as = Question, example = json!({
    "topology": {
        "infrastructure": { "cpu_cores": 2, "mem_units": 8,
            "cloud_driver": { "autoscaling_groupname": "workers" } },
        "apps": [{ "name": "rubis", "tiers": { "db": { "docker_image": "mysql:8", "max_node": 1 } } }]
    },
    "allocation": {},
    "plan": { "rubis": { "db": { "cpu_cores": 1, "mem_units": 2 } } },
    "deadline_ms": 500
}))]
pub struct WhatIf {
    /// The topology.
    #[schema(value_type = Topology)]
    topology: Arc<Topology>,
    /// What runs, in the shape of `GET /api/allocation`; nothing unless given.
    #[schema(value_type = Option<BTreeMap<String, VmGiven>>, example = json!({}))]
    allocation: Allocation,
    /// The plan.
    plan: Plan,
    /// How long and how hard to search.
    #[serde(flatten)]
    effort: Effort,
    #[schema(ignore)]
    warnings: Vec<Warning>,
}

impl WhatIf {
    /// Reads `{"topology", "allocation", "plan", "deadline_ms"?, "exact"?, "trace"?}`.
    fn parse(question: &Value, deadline: Duration) -> Result<Self, Fault> {
        let bad = |message: &str| Fault::new(Code::RequestInvalid, message);
        let part = |key: &str| question.get(key).filter(|value| !value.is_null());
        let Some(members) = question.as_object() else {
            return Err(bad("should be an object with topology, allocation and plan"));
        };
        if let Some(stray) = members.keys().find(|key| !MEMBERS.contains(&key.as_str())) {
            return Err(Fault::unknown("member of the question", stray, &MEMBERS));
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
        let switch = |name: &str| match part(name) {
            None => Ok(false),
            Some(given) => given
                .as_bool()
                .ok_or_else(|| bad(&format!("{name} should be true or false"))),
        };
        let (exact, trace) = (switch("exact")?, switch("trace")?);
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
            effort: Effort {
                deadline,
                exact,
                trace,
            },
            warnings,
        })
    }
}

impl WhatIf {
    /// Limits the search to that time, and says so if more was asked for.
    fn cap(&mut self, most: Duration) {
        if self.effort.deadline > most {
            self.effort.deadline = most;
            self.warnings.push(Warning {
                path: "deadline_ms".to_owned(),
                problem: format!(
                    "cut to {} ms, the most that this service allows (--max-what-if-ms)",
                    most.as_millis()
                ),
            });
        }
    }
}

/// The VMs that a what-if may use, and what its author should know about them. Nobody can look at
/// them, so capabilities that a tier requires are assumed to be there.
fn supply(
    topology: &Topology,
    allocation: &Allocation,
    plan: &Plan,
) -> Result<(Supply, Vec<Warning>), Fault> {
    let offer = imagined(topology, allocation);
    let nodes = nodes::imagined(topology, allocation, &offer);
    let confine = Confine::default();
    let asked = asked_of(topology, plan, &nodes, &offer, &confine, Unknown::IsFine)?;
    let mut supply = Supply::unseen(offer, allocation);
    supply.conditions = asked.conditions(BTreeSet::new());
    Ok((supply, asked.lonely().into_iter().map(told).collect()))
}

/// What the cloud of a what-if could provide: no driver is asked.
fn imagined(topology: &Topology, allocation: &Allocation) -> Offer {
    let named = |name: VmId, ip: Option<String>, about: About| CloudVm {
        name,
        ip,
        endpoint: String::new(),
        standing: Standing::Ready,
        about,
    };
    let labels = |host: &crate::model::topology::Host| About {
        labels: host.labels.clone(),
        ..About::default()
    };
    match &topology.infrastructure.cloud {
        // VMs of these shapes are imaginary, so there are as many as wanted.
        CloudSpec::Embedded if !topology.infrastructure.shapes.is_empty() => Offer {
            more: More::Anonymous { at_most: None },
            ..Offer::of_named(Vec::new())
        },
        CloudSpec::Embedded => Offer::of_named(vec![named(
            VmId::new(crate::cloud::LOCALHOST),
            None,
            About::default(),
        )]),
        CloudSpec::Hosts(hosts) => Offer::of_named(
            hosts
                .iter()
                .map(|host| named(host.name.clone(), host.ip.clone(), labels(host)))
                .collect(),
        ),
        // Those that there are to be are in the allocation.
        CloudSpec::Nodes(_) => Offer::of_named(
            allocation
                .vms
                .iter()
                .map(|(id, vm)| named(id.clone(), vm.ip.clone(), About::default()))
                .collect(),
        ),
        CloudSpec::AutoScaling(_) => Offer {
            more: More::Anonymous { at_most: None },
            ..Offer::of_named(Vec::new())
        },
    }
}
