//! What an intent asks of an execution.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::execute::By;
use crate::fault::Fault;
use crate::model::intent::{Intent, Wanted};
use crate::model::topology::{OnFailure, OnShortage};
use crate::model::{Plan, Topology, VmId};

use crate::service::admission::Request;
use crate::service::requirements::Confine;
use crate::service::{Service, Snapshot};

impl Service {
    /// What an intent asks of an execution; None where nothing has to be done.
    pub(super) async fn request(
        &self,
        snapshot: &Snapshot,
        intent: &Intent,
    ) -> Result<Option<Request>, Fault> {
        let topology = snapshot.topology()?;
        let confine = match &intent.wanted {
            Wanted::Cordon { .. } | Wanted::Uncordon { .. } => return Ok(None),
            Wanted::Drain { node } => {
                let holds = snapshot.allocation.vms.get(node);
                if holds.is_none_or(|vm| vm.used.is_empty()) {
                    return Ok(None);
                }
                Confine {
                    leave: leaving(snapshot, node),
                    only: BTreeMap::new(),
                }
            }
            Wanted::Migrate { tier, from, to } => {
                match self
                    .migration(snapshot, &topology, tier, from.as_ref(), to)
                    .await?
                {
                    Some(confine) => confine,
                    None => return Ok(None),
                }
            }
        };
        let (plan, reached) = held(snapshot, &topology);
        let why = format!(
            "{} wanted by {} (intent {})",
            intent.wanted.kind(),
            intent.by,
            intent.id
        );
        Ok(Some(Request {
            plan: Some(plan),
            on_failure: Some(OnFailure::Rollback),
            on_shortage: Some(OnShortage::Fail),
            by: By {
                name: intent.by.clone(),
                ..By::itself()
            },
            reconcile: reached
                .then(|| {
                    let reached = snapshot.reached.as_ref();
                    reached.map(|reached| reached.reconcile(vec![why]))
                })
                .flatten(),
            confine,
            intent: Some(intent.id),
            ..Request::default()
        }))
    }
}

/// The node that a drain is about, and why everything is to leave it. Others that are to be drained are cordoned, so
/// that nothing goes there; they are left one after the other, so that one that does not answer holds up no other.
fn leaving(snapshot: &Snapshot, node: &VmId) -> BTreeMap<VmId, String> {
    let why = snapshot.drained(node);
    why.map(|why| (node.clone(), why)).into_iter().collect()
}

/// The plan of what is held, and whether it is the one that was reached last.
fn held(snapshot: &Snapshot, topology: &Topology) -> (Value, bool) {
    let totals = snapshot.allocation.totals();
    if let Some(reached) = &snapshot.reached
        && let Ok((plan, _)) = Plan::parse(&reached.plan, topology)
        && plan
            .tiers
            .iter()
            .filter(|(_, size)| **size != crate::model::Size::ZERO)
            .eq(totals.iter())
    {
        return (reached.plan.clone(), true);
    }
    (json!(totals), false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::intent::State;
    use std::sync::Arc;
    use uuid::Uuid;

    #[test]
    fn a_drain_is_about_one_node_whatever_else_is_to_be_drained() {
        let drain = |node: &str| Intent {
            id: Uuid::nil(),
            wanted: Wanted::Drain {
                node: VmId::new(node),
            },
            state: State::Pending,
            execution: None,
            reasons: Vec::new(),
            by: "operator".to_owned(),
            created_at: jiff::Timestamp::UNIX_EPOCH,
            changed_at: jiff::Timestamp::UNIX_EPOCH,
        };
        let snapshot = Snapshot {
            intents: Arc::new(vec![drain("vm1"), drain("vm2")]),
            ..Snapshot::default()
        };
        let why = |node: &str| leaving(&snapshot, &VmId::new(node));
        assert!(why("vm2").keys().eq([&VmId::new("vm2")]));
        assert!(why("vm3").is_empty());
    }
}
