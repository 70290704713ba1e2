//! Places a plan once more in the middle of its execution, when fewer VMs came than it asked for.
//!
//! It is placed on the VMs that are there and on no others, so that an execution asks its cloud for
//! VMs once.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::cloud::More;
use crate::execute::{Event, Execution, Pinned, World, preflight};
use crate::fault::{Code, Fault};
use crate::model::TierId;
use crate::model::Topology;
use crate::model::topology::Infrastructure;
use crate::translate::Action;

use crate::service::Service;
use crate::service::admission::refuse;
use crate::service::besides::{Whole, Word};
use crate::service::observed::leftovers::{Strays, sweep};
use crate::service::planner::pins::Pins;
use crate::service::planner::place::{Outdated, Supply};
use crate::service::planner::reasons::{bounded, rejected};
use crate::service::planner::safety::leftovers;
use crate::service::planner::untold::tell;
use crate::service::planner::{Effort, asked_of};
use crate::service::requirements::{Confine, Unknown};
use crate::service::topology::invalid;

impl Service {
    /// The stages for an execution that is short of VMs. Nothing is changed or recorded.
    pub(in crate::service) async fn place_anew(&self, id: Uuid, world: Arc<World>) -> Result<Event, Fault> {
        let execution = self.execution(id).await?;
        let snapshot = self.snapshot();
        let topology = &world.topology;
        let frozen = &execution.frozen;
        let word = match (&frozen.reconcile, frozen.intent) {
            (None, None) => Word::Plan,
            _ => Word::Besides,
        };
        let Whole { plan, by_hand, .. } = snapshot
            .besides
            .with(&frozen.plan, topology, word)
            .map_err(|problems| invalid(Code::PlanInvalid, "plan", &problems))?;
        let cloud = Arc::clone(&world.cloud);
        let mut offer = self.to_the_end(async move { Ok(cloud.offer().await?) }).await?;
        offer
            .vms
            .retain(|vm| snapshot.allocation.vms.contains_key(&vm.name));
        if let More::Anonymous { at_most } = &mut offer.more {
            *at_most = Some(0);
        }
        let mut reality = self.reality(&snapshot, topology, &offer, &plan.tiers).await?;
        let there = u32::try_from(reality.allocation.vms.len()).unwrap_or(u32::MAX);
        let bounds = [format!(
            "{} there, and no more are asked for in this execution",
            match there {
                1 => "1 VM is".to_owned(),
                count => format!("{count} VMs are"),
            }
        )];
        let effort = Effort {
            deadline: self.inner.settings.solve_deadline,
            exact: false,
            trace: false,
        };
        let confine = Confine::default();
        let asked = asked_of(
            topology,
            &plan,
            &reality.nodes,
            &offer,
            &confine,
            Unknown::IsFalse,
        )?;
        let barred = reality.ports.barred(topology, &plan, &reality.allocation);
        let asked = asked.barred(&barred);
        let mut proposal = self
            .place(
                &self.inner.solvers,
                Arc::new(with_no_more_than(there, topology)),
                reality.allocation.clone(),
                plan,
                Supply {
                    pins: Pins::of(&snapshot.besides.by_hand, &by_hand, &reality.allocation, &confine),
                    offer,
                    spares: std::mem::take(&mut reality.spares),
                    conditions: asked.conditions(snapshot.cordons.keys().cloned().collect()),
                    renewed: snapshot
                        .intents
                        .iter()
                        .find(|open| Some(open.id) == execution.frozen.intent)
                        .and_then(|intent| intent.wanted.app().cloned()),
                    digests: shown(&execution),
                    whole: Some(Arc::clone(topology)),
                    outdated: Outdated::for_what(
                        execution.frozen.reconcile.is_some() || execution.frozen.intent.is_some(),
                    ),
                },
                effort,
            )
            .await
            .map_err(|fault| bounded(rejected(fault, &asked), &bounds))?;
        let stages = &mut proposal.translation.stages;
        sweep(topology, &proposal.target, &reality.seen, Strays::Last, stages);
        tell(topology, &snapshot.untold, stages);
        if let Some(made) = stages
            .iter()
            .flatten()
            .find(|action| matches!(action, Action::CreateVm { .. }))
        {
            let message = format!("{made}: a plan that is placed again must not need another VM");
            return Err(Fault::new(Code::Internal, message));
        }
        refuse(preflight(&world, &snapshot.view(), &reality.seen, stages).await)?;
        let from = proposal.seen.allocation.clone();
        let leftovers = leftovers(topology, &from, &reality.seen, Strays::Last, &[]);
        let proposal = self
            .safe(
                Arc::clone(topology),
                from,
                (leftovers, Arc::clone(&snapshot.untold)),
                proposal,
            )
            .await?;
        Ok(Event::Replanned {
            from: Pinned::from(&proposal.seen.allocation),
            target: proposal.target,
            stages: proposal.translation.stages,
        })
    }
}

/// The digests of the images that an execution has set out to make its containers from.
fn shown(execution: &Execution) -> BTreeMap<TierId, String> {
    let shown = execution.frozen.actions().filter_map(|(_, action)| match action {
        Action::CreateContainer {
            container, digest, ..
        }
        | Action::ReplaceContainer {
            container, digest, ..
        } => Some((container.clone(), digest.clone()?)),
        _ => None,
    });
    shown.collect()
}

/// The topology, with no idle VMs kept beyond those that there are.
fn with_no_more_than(there: u32, topology: &Topology) -> Topology {
    let infrastructure = Infrastructure {
        min_vms: topology.infrastructure.min_vms.min(there),
        ..topology.infrastructure.clone()
    };
    Topology {
        infrastructure,
        ..topology.clone()
    }
}
