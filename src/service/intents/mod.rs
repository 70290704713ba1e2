//! Intents: cordon, uncordon, drain, migrate. What somebody wants is recorded first, then carried out.

mod alert;
mod app;
mod by_hand;
mod carry_out;
mod gone;
mod migration;
mod reasons;
mod request;
mod take_back;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use uuid::Uuid;

use crate::execute::By;
use crate::fault::{Code, Fault};
use crate::journal::{CordonChange, IntentPage};
use crate::model::intent::{Cordon, Destination, Intent, State, Wanted};
use crate::model::{Size, TierId, Topology, VmId};
use crate::require::Requires;

use crate::service::candidates::countable;
use crate::service::{Service, Snapshot};

pub use alert::{Alert, Alerted};
pub use by_hand::SetTier;

/// Intents that may wait at the same time.
const MOST: usize = 1000;

/// How many nodes a migrate may name; an expression may match any number.
const MOST_NAMED: usize = 1000;

impl Service {
    /// Records what somebody wants. Cordons and uncordons take effect with that; the rest is
    /// carried out afterwards. If the same is already wanted, and not done yet, that intent is the
    /// answer.
    ///
    /// # Errors
    ///
    /// When it makes no sense, or can't be recorded.
    pub async fn intend(&self, wanted: Wanted, by: By) -> Result<Intent, Fault> {
        let service = self.clone();
        self.to_the_end(async move { service.take_intent(wanted, by).await })
            .await
    }

    async fn take_intent(&self, wanted: Wanted, by: By) -> Result<Intent, Fault> {
        let snapshot = self.snapshot();
        let topology = snapshot.topology()?;
        match &wanted {
            // A node that is gone may have left its cordon behind.
            Wanted::Uncordon { node } if snapshot.cordons.contains_key(node) => {}
            Wanted::Cordon { node } | Wanted::Uncordon { node } | Wanted::Drain { node } => {
                self.nodes_are_known(&snapshot, &topology, std::slice::from_ref(node))
                    .await?;
            }
            Wanted::Migrate { tier, to, .. } => {
                tier_is_known(&topology, tier)?;
                match to {
                    Destination::Nodes(nodes) if nodes.is_empty() => {
                        let message = "to names no node: give some, or an expression";
                        return Err(Fault::new(Code::RequestInvalid, message));
                    }
                    Destination::Nodes(nodes) if nodes.len() > MOST_NAMED => {
                        let count = nodes.len();
                        let message =
                            format!("to names {count} nodes; {MOST_NAMED} are the most: give an expression");
                        return Err(Fault::new(Code::RequestInvalid, message));
                    }
                    Destination::Nodes(nodes) => self.nodes_are_known(&snapshot, &topology, nodes).await?,
                    Destination::Expression(source) => drop(compiled(source)?),
                }
            }
            Wanted::SetTier { tier, node, size } => {
                tier_is_known(&topology, tier)?;
                countable(&topology, size.cpu)?;
                // One that is gone may have left its container behind.
                if *size != Size::ZERO {
                    self.nodes_are_known(&snapshot, &topology, std::slice::from_ref(node))
                        .await?;
                }
            }
            Wanted::SetCapacity { capacity } => {
                let most = topology.infrastructure.max_vms;
                if let Some(most) = most.filter(|most| capacity > most) {
                    let message = format!("capacity is {capacity}, and max_vms of the topology is {most}");
                    return Err(Fault::new(Code::Infeasible, message));
                }
            }
            Wanted::DeployApp { .. } | Wanted::RemoveApp { .. } => {
                let message = "apps are put and removed at /api/apps/{app}";
                return Err(Fault::new(Code::RequestInvalid, message));
            }
        }
        let intent = self.new_intent(wanted, by);
        tracing::info!(intent = %intent.id, kind = intent.wanted.kind(), by = intent.by, "an intent was taken");
        self.with_store(move |store| {
            let known = {
                let now = store.now();
                let cordoned = |node: &VmId| now.cordons.contains_key(node);
                same(&now.intents, &intent.wanted, cordoned).cloned()
            };
            if let Some(known) = known {
                return Ok(known);
            }
            if store.open_intents().len() >= MOST {
                let message = format!("{MOST} intents wait already; ask again when some are done");
                return Err(Fault::new(Code::Overloaded, message));
            }
            let cordon = match &intent.wanted {
                Wanted::Cordon { node } | Wanted::Drain { node } => Some(CordonChange::Put(
                    node.clone(),
                    Cordon {
                        intent: intent.id,
                        by: intent.by.clone(),
                        since: intent.created_at,
                    },
                )),
                Wanted::Uncordon { node } => Some(CordonChange::Lift(node.clone())),
                _ => None,
            };
            store.supersede(&intent)?;
            store.keep_intent(intent, cordon.as_ref())
        })
        .await
    }

    /// An intent that is not on record yet.
    fn new_intent(&self, wanted: Wanted, by: By) -> Intent {
        let at = self.inner.settings.outside.now();
        Intent {
            id: self.inner.settings.outside.id(),
            state: match &wanted {
                Wanted::Cordon { .. } | Wanted::Uncordon { .. } => State::Done,
                _ => State::Pending,
            },
            wanted,
            execution: None,
            reasons: Vec::new(),
            by: by.name,
            created_at: at,
            changed_at: at,
        }
    }

    /// Makes sure that nodes are there. Their source is asked once, and only where that has to be.
    async fn nodes_are_known(
        &self,
        snapshot: &Snapshot,
        topology: &Arc<Topology>,
        nodes: &[VmId],
    ) -> Result<(), Fault> {
        let used = &snapshot.allocation.vms;
        if nodes.iter().all(|node| used.contains_key(node)) {
            return Ok(());
        }
        let known = self.known(topology).await?;
        let there = |node: &&VmId| used.contains_key(*node) || known.contains_key(*node);
        let Some(node) = nodes.iter().find(|node| !there(node)) else {
            return Ok(());
        };
        let near = crate::model::nearest(node.as_str(), known.keys().map(VmId::as_str));
        let hint = near
            .map(|near| format!("; did you mean '{near}'?"))
            .unwrap_or_default();
        Err(Fault::new(
            Code::NotFound,
            format!("there is no node '{node}'{hint}"),
        ))
    }

    /// A page of the intents, newest first, and whether there are more.
    ///
    /// # Errors
    ///
    /// When the page is to begin before an intent that is not kept, or the record can't be read.
    pub async fn intents(&self, page: IntentPage) -> Result<(Vec<Intent>, bool), Fault> {
        let before = page.before.unwrap_or_default();
        let listed = self.with_history(move |history| history.intents(&page)).await?;
        listed.ok_or_else(|| {
            let message = format!(
                "before should be the id of an intent; there is no {before}, or it is no longer kept"
            );
            Fault::new(Code::RequestInvalid, message)
        })
    }

    /// One intent.
    ///
    /// # Errors
    ///
    /// When there is none of that id, or the record can't be read.
    pub async fn intent(&self, id: Uuid) -> Result<Intent, Fault> {
        let found = self.with_history(move |history| history.intent(id)).await?;
        found.ok_or_else(|| Fault::new(Code::NotFound, format!("there is no intent {id}")))
    }
}

/// The open intent that wants the same, unless somebody has wanted something else of the same since.
fn same<'i>(open: &'i [Intent], wanted: &Wanted, cordoned: impl Fn(&VmId) -> bool) -> Option<&'i Intent> {
    let newest = open
        .iter()
        .rev()
        .find(|known| are_about_the_same(&known.wanted, wanted))?;
    let holds = match wanted {
        // It may have been uncordoned while it was being drained.
        Wanted::Drain { node } => cordoned(node),
        _ => true,
    };
    (holds && newest.wanted == *wanted).then_some(newest)
}

/// Whether the later of two intents decides what becomes of something.
fn are_about_the_same(one: &Wanted, other: &Wanted) -> bool {
    match (one, other) {
        (Wanted::SetCapacity { .. }, Wanted::SetCapacity { .. }) => true,
        (
            Wanted::SetTier { tier, node, .. },
            Wanted::SetTier {
                tier: set, node: on, ..
            },
        ) => tier == set && node == on,
        (
            Wanted::Migrate { tier, from, .. },
            Wanted::Migrate {
                tier: moved,
                from: left,
                ..
            },
        ) => tier == moved && (from == left || from.is_none() || left.is_none()),
        _ => one == other,
    }
}

fn tier_is_known(topology: &Topology, tier: &TierId) -> Result<(), Fault> {
    if topology.tiers.contains_key(tier) {
        return Ok(());
    }
    let names = topology.tiers.keys().map(TierId::as_str);
    let near = crate::model::nearest(tier.as_str(), names);
    let hint = near.map(|near| format!("; did you mean {near}?"));
    let hint = hint.unwrap_or_default();
    let message = format!("there is no tier {tier} in the topology{hint}");
    Err(Fault::new(Code::NotFound, message))
}

fn compiled(source: &str) -> Result<Requires, Fault> {
    Requires::compile(source).map_err(|mistakes| {
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        Fault::new(Code::RequestInvalid, format!("to: {}", told.join("; ")))
    })
}
