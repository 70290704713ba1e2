//! From a plan to a proposal: the placement, and the actions that lead to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::cloud::{CloudVm, More, Offer, Standing};
use crate::fault::{Code, Fault};
use crate::model::{Allocation, Plan, Size, TierId, Topology, VmId};
use crate::translate::check::Subject;

use crate::service::besides::Whole;
use crate::service::nodes::{Nodes, source};
use crate::service::observed::contention::{crowded_out, overfull};
use crate::service::observed::leftovers::{Strays, remove_first, sweep, without_strays};
use crate::service::observed::told;
use crate::service::planner::pins::Pins;
use crate::service::planner::place::{Outdated, Supply, place};
use crate::service::planner::reasons::{bounded, cordoned_off, for_lack_of, rejected, unlimited};
use crate::service::planner::safety::{self, Leftovers, leftovers};
use crate::service::planner::tags::Tags;
use crate::service::planner::untold::tell;
use crate::service::planner::{Effort, Proposal, Seen, Wishes};
use crate::service::queue::Queue;
use crate::service::requirements::{Asked, Confine, Unknown, asked, confined, fresh};
use crate::service::topology::invalid;
use crate::service::{Service, Snapshot};

/// Stops the search when the client disconnects.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Service {
    /// Places a plan on what is there. Containers that should be restarted are, if they are still
    /// unhealthy.
    pub(in crate::service) async fn propose(
        &self,
        snapshot: &Snapshot,
        plan: &Value,
        wishes: Wishes<'_>,
    ) -> Result<Proposal, Fault> {
        let topology = snapshot.topology()?;
        let Whole {
            plan,
            by_hand,
            warnings,
        } = snapshot
            .besides
            .with(plan, &topology, wishes.word)
            .map_err(|problems| invalid(Code::PlanInvalid, "plan", &problems))?;
        let offer = self.offer(&topology).await?;
        let effort = Effort {
            deadline: self.inner.settings.solve_deadline,
            exact: false,
            trace: false,
        };
        let mut reality = self.reality(snapshot, &topology, &offer, &plan.tiers).await?;
        reality.restart(wishes.restart);
        let tags = match wishes.outdated {
            Outdated::Replaced => {
                self.look_up_tags(&topology, &plan.tiers, &mut reality, &offer.vms)
                    .await
            }
            Outdated::Left => Tags::default(),
        };
        let bounds = offer.bounds.clone();
        let spares = std::mem::take(&mut reality.spares);
        let unusable = spares.unusable.clone();
        let overfull = overfull(&reality.allocation, &reality.contentions);
        let asked = asked_of(
            &topology,
            &plan,
            &reality.nodes,
            &offer,
            wishes.confine,
            Unknown::IsFalse,
        )?;
        let hands = &snapshot.besides.by_hand;
        let pins = Pins::of(hands, &by_hand, &reality.allocation, wishes.confine);
        let cordoned: BTreeSet<VmId> = snapshot
            .cordons
            .keys()
            .chain(unreliable(&offer))
            .cloned()
            .collect();
        let supply = Supply {
            pins,
            conditions: asked.conditions(cordoned.clone()),
            offer,
            spares,
            outdated: wishes.outdated,
            renewed: wishes.renewed.map(str::to_owned),
            digests: tags.digests,
            whole: Some(Arc::clone(&topology)),
        };
        let placed_for = match (wishes.confine, hands.capacity) {
            (Confine { only, vms: None, .. }, None) if only.is_empty() => Arc::clone(&topology),
            (confine, capacity) => Arc::new(confined(&topology, confine, capacity)),
        };
        let place = |allocation, supply| {
            let topology = Arc::clone(&placed_for);
            self.place(
                &self.inner.solvers,
                topology,
                allocation,
                plan.clone(),
                supply,
                effort,
            )
        };
        let in_two_ways = async |supply: &Supply| {
            let placed = place(reality.allocation.clone(), supply.clone()).await;
            if placed.as_ref().is_err_and(|fault| fault.code == Code::Infeasible)
                && let Some(without) = without_strays(&topology, &reality.allocation, &reality.seen)
            {
                return (Strays::First, place(without, supply.clone()).await);
            }
            (Strays::Last, placed)
        };
        // Where ports are in the way everywhere, the plan is shown all the same: preflight tells of them.
        let barred = reality.ports.barred(&topology, &plan, &reality.allocation);
        let beside_ports = if barred.is_empty() {
            None
        } else {
            let conditions = asked.barred(&barred).conditions(cordoned);
            let supply = Supply {
                conditions,
                ..supply.clone()
            };
            let found = in_two_ways(&supply).await;
            let nowhere = found
                .1
                .as_ref()
                .is_err_and(|fault| fault.code == Code::Infeasible);
            (!nowhere).then_some(found)
        };
        let (strays, placed) = match beside_ports {
            Some(found) => found,
            None => in_two_ways(&supply).await,
        };
        let mut proposal = placed
            .map_err(|fault| crowded_out(fault, &reality.contentions))
            .map_err(|fault| rejected(fault, &asked))
            .map_err(|fault| cordoned_off(fault, &asked, &snapshot.cordons, &wishes.confine.leave))
            .map_err(|fault| for_lack_of(bounded(fault, &bounds), unusable))?;
        let from = match strays {
            Strays::First => without_strays(&topology, &reality.allocation, &reality.seen),
            Strays::Last => None,
        };
        let from = from.unwrap_or_else(|| reality.allocation.clone());
        proposal.seen.allocation = reality.allocation;
        proposal.warnings.extend(overfull.into_iter().map(told));
        proposal.warnings.extend(asked.lonely().into_iter().map(told));
        let open = unlimited(&topology, &proposal, &reality.unlimited)?;
        proposal.warnings.extend(open);
        sweep(
            &topology,
            &proposal.target,
            &reality.seen,
            strays,
            &mut proposal.translation.stages,
        );
        tell(&topology, &snapshot.untold, &mut proposal.translation.stages);
        let leftovers = leftovers(&topology, &from, &reality.seen, strays, &reality.surplus);
        remove_first(reality.surplus, &mut proposal.translation.stages);
        let untold = Arc::clone(&snapshot.untold);
        let mut proposal = self.safe(topology, from, (leftovers, untold), proposal).await?;
        proposal.warnings.extend(warnings);
        proposal.warnings.extend(reality.warnings);
        proposal.warnings.extend(tags.unknown.into_iter().map(told));
        let unseen = reality.silent.values().map(|fault| {
            told(format!(
                "{}; it could not be looked at, and is assumed to be as it was confirmed",
                fault.message
            ))
        });
        proposal.warnings.extend(unseen);
        proposal.seen.silent = reality.silent;
        proposal.seen.containers = reality.seen;
        Ok(proposal)
    }

    /// A proposal that breaks no rule at any moment, whoever asks for it.
    ///
    /// # Errors
    ///
    /// When it does.
    pub(in crate::service) async fn safe(
        &self,
        topology: Arc<Topology>,
        from: Allocation,
        (leftovers, untold): (Leftovers, Arc<BTreeSet<TierId>>),
        proposal: Proposal,
    ) -> Result<Proposal, Fault> {
        let task = move || {
            let way = &proposal.translation;
            safety::check(&Subject {
                topology: &topology,
                from: &from,
                to: &proposal.target,
                stages: &way.stages,
                interrupts: Some(&way.interrupts),
                target: Some(&way.target),
                untold: &untold,
                leftovers: &leftovers,
            })
            .map(|()| proposal)
        };
        self.off_async(task)
            .await
            .unwrap_or_else(|| Err(crate::service::crashed()))
    }

    /// Looks at what is.
    pub(in crate::service) async fn see(
        &self,
        snapshot: &Snapshot,
        topology: &Arc<Topology>,
        wanted: &BTreeMap<TierId, Size>,
    ) -> Result<Seen, Fault> {
        let offer = self.offer(topology).await?;
        let reality = self.reality(snapshot, topology, &offer, wanted).await?;
        Ok(Seen {
            vms: offer.vms,
            allocation: reality.allocation,
            occupied: reality.spares.occupied,
            unseen: reality.spares.unseen,
            silent: reality.silent,
            containers: reality.seen,
        })
    }

    /// Runs the solver off the async threads. It is stopped when the caller goes away.
    pub(in crate::service) async fn place(
        &self,
        queue: &Queue,
        topology: Arc<Topology>,
        allocation: Allocation,
        plan: Plan,
        supply: Supply,
        effort: Effort,
    ) -> Result<Proposal, Fault> {
        let long = effort.deadline > self.inner.settings.solve_deadline;
        let permit = queue.take(long).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let _guard = StopOnDrop(Arc::clone(&stop));
        let span = tracing::debug_span!("solve");
        let outer = tracing::Span::current();
        let task = move || {
            let _permit = permit;
            let (_outer, _inside) = (outer.entered(), span.entered());
            place(&topology, &allocation, &plan, supply, effort, &stop)
        };
        let result = self
            .off_async(task)
            .await
            .unwrap_or_else(|| Err(crate::service::crashed()));
        self.inner.metrics.solved(&result);
        result
    }
}

/// VMs that take nothing new because of how they stand themselves.
fn unreliable(offer: &Offer) -> impl Iterator<Item = &VmId> {
    let is = |vm: &&CloudVm| matches!(vm.standing, Standing::Silent(_) | Standing::Departing(_));
    offer.vms.iter().filter(is).map(|vm| &vm.name)
}

/// The conditions of a plan's tiers, worked out for the nodes of an offer and those that it could
/// provide.
///
/// # Errors
///
/// When that takes too long for that many nodes.
pub(in crate::service) fn asked_of(
    topology: &Topology,
    plan: &Plan,
    nodes: &Nodes,
    offer: &Offer,
    confine: &Confine,
    unknown: Unknown,
) -> Result<Asked, Fault> {
    let more = match offer.more {
        More::Named => false,
        More::Anonymous { at_most } => at_most != Some(0),
    };
    let fresh = if more {
        fresh(nodes, source(topology), &topology.infrastructure.kinds())
    } else {
        Vec::new()
    };
    asked(topology, &plan.tiers, nodes, fresh, confine, unknown)
}
