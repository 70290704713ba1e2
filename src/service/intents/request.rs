//! What an intent asks of an execution.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::execute::By;
use crate::fault::Fault;
use crate::model::Topology;
use crate::model::intent::{Intent, Wanted};
use crate::model::topology::{OnFailure, OnShortage};

use crate::service::admission::Request;
use crate::service::besides::Word;
use crate::service::intents::SetTier;
use crate::service::requirements::Confine;
use crate::service::{Service, Snapshot};

use super::carry_out::Attempt;

impl Service {
    /// Begins what an intent takes.
    pub(super) async fn attempt(&self, snapshot: &Snapshot, intent: &Intent) -> Result<Attempt, Fault> {
        let topology = snapshot.topology()?;
        let confine = match &intent.wanted {
            Wanted::Cordon { .. } | Wanted::Uncordon { .. } => return Ok(Attempt::Done),
            Wanted::Drain { node } => {
                let holds = snapshot.allocation.vms.get(node);
                if holds.is_none_or(|vm| vm.used.is_empty()) {
                    return Ok(Attempt::Done);
                }
                // Others that are to be drained are cordoned, so that nothing goes there. They are
                // drained one after the other, so that one that does not answer does not hold up
                // the others.
                Confine {
                    leave: BTreeSet::from([node.clone()]),
                    ..Confine::default()
                }
            }
            Wanted::SetCapacity { capacity } => Confine {
                vms: Some(*capacity),
                ..Confine::default()
            },
            Wanted::SetTier { tier, node, size } => {
                let request = Request {
                    set: Some(SetTier {
                        tier: tier.clone(),
                        vm: node.clone(),
                        size: *size,
                    }),
                    ..request_of(snapshot, &topology, intent, Confine::default())
                };
                return Ok(Attempt::of(self.begin(request).await));
            }
            Wanted::DeployApp { app } | Wanted::RemoveApp { app } => {
                return self.attempt_app(snapshot, intent, app).await;
            }
            Wanted::Migrate { tier, from, to } => {
                return self.migrate(snapshot, intent, (tier, from.as_ref()), to).await;
            }
        };
        let request = request_of(snapshot, &topology, intent, confine);
        Ok(Attempt::of(self.begin(request).await))
    }
}

/// What an intent asks of an execution: what is held, with its sizes as they are, elsewhere.
pub(super) fn request_of(
    snapshot: &Snapshot,
    topology: &Topology,
    intent: &Intent,
    confine: Confine,
) -> Request {
    let (plan, reached) = held(snapshot, topology);
    let kind = intent.wanted.kind();
    let why = format!("{kind} wanted by {} (intent {})", intent.by, intent.id);
    let reached = snapshot.reached.as_ref().filter(|_| reached);
    Request {
        plan: Some(plan),
        on_failure: Some(OnFailure::Rollback),
        on_shortage: Some(OnShortage::Fail),
        by: By {
            name: intent.by.clone(),
            ..By::itself()
        },
        reconcile: reached.map(|reached| reached.reconcile(vec![why])),
        confine,
        intent: Some(intent.id),
        holding: Some(snapshot.desired.clone()),
        word: Word::Besides,
        ..Request::default()
    }
}

/// A plan of what is held now, and whether it is the one that was reached last.
fn held(snapshot: &Snapshot, topology: &Topology) -> (Value, bool) {
    let totals = snapshot.allocation.totals();
    if let Some(reached) = &snapshot.reached
        && let Ok(whole) = snapshot.besides.with(&reached.plan, topology, Word::Besides)
        && whole
            .plan
            .tiers
            .iter()
            .filter(|(_, size)| **size != crate::model::Size::ZERO)
            .eq(totals.iter())
    {
        return (reached.plan.clone(), true);
    }
    (json!(totals), false)
}
