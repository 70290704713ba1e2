//! Intents: cordon, uncordon, drain, migrate. What somebody wants is recorded first, then carried out, one after
//! the other, by one task: whoever asked need not stay. What an intent takes is an execution like any other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::execute::{By, Outcome};
use crate::fault::{Code, Fault};
use crate::journal::{CordonChange, IntentPage};
use crate::model::intent::{Cordon, Destination, Intent, State, Wanted};
use crate::model::topology::{OnFailure, OnShortage};
use crate::model::{Plan, TierId, Topology, VmId};
use crate::require::Requires;

use super::admission::Request;
use super::requirements::{Confine, takes_too_long};
use super::{Service, Snapshot};

/// How often an intent is tried again that waits for something.
const AGAIN: Duration = Duration::from_secs(2);
/// Intents that may wait at the same time.
const MOST: usize = 1000;
/// Nodes that a migrate may name; an expression takes any number.
const MOST_NAMED: usize = 1000;

impl Service {
    /// Records what somebody wants. A node is cordoned, and may be used again, with that; the rest is carried out
    /// afterwards. Where the same is wanted already, and not done yet, that is the answer.
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
                if !topology.tiers.contains_key(tier) {
                    let names = topology.tiers.keys().map(TierId::as_str);
                    let near = crate::model::nearest(tier.as_str(), names);
                    let hint = near.map(|near| format!("; did you mean {near}?"));
                    let hint = hint.unwrap_or_default();
                    let message = format!("there is no tier {tier} in the topology{hint}");
                    return Err(Fault::new(Code::NotFound, message));
                }
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
        }
        let intent = Intent {
            id: self.inner.settings.outside.id(),
            state: match &wanted {
                Wanted::Cordon { .. } | Wanted::Uncordon { .. } => State::Done,
                Wanted::Drain { .. } | Wanted::Migrate { .. } => State::Pending,
            },
            wanted,
            execution: None,
            reasons: Vec::new(),
            by: by.name,
            created_at: self.inner.settings.outside.now(),
            changed_at: self.inner.settings.outside.now(),
        };
        tracing::info!(intent = %intent.id, kind = intent.wanted.kind(), by = intent.by, "an intent was taken");
        self.with_book(move |book| {
            let open = book.open_intents();
            if let Some(same) = open.iter().find(|known| known.wanted == intent.wanted) {
                return Ok(same.clone());
            }
            if open.len() >= MOST {
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
                Wanted::Migrate { .. } => None,
            };
            // Whoever wants a node back wants no more that it is drained.
            if let Wanted::Uncordon { node } = &intent.wanted {
                for drain in open.iter().filter(|open| {
                    open.state == State::Pending
                        && matches!(&open.wanted, Wanted::Drain { node: drained } if drained == node)
                }) {
                    let mut drain = drain.clone();
                    drain.state = State::Refused;
                    drain.reasons = vec![format!("the node was uncordoned by {} before", intent.by)];
                    book.keep_intent(drain, None)?;
                }
            }
            book.keep_intent(intent, cordon.as_ref())
        })
        .await
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
                "before should be the id of an intent; there is no {before}, or it is kept no longer"
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

    /// Starts to carry intents out, for as long as the service lives.
    pub fn carry_out_intents(&self) {
        let service = self.clone();
        self.inner.runtime.spawn(async move {
            let mut changes = service.changes();
            loop {
                let open = Arc::clone(&changes.borrow_and_update().intents);
                for intent in open.iter() {
                    service.go_on(intent.clone()).await;
                }
                let waiting = !service.snapshot().intents.is_empty();
                let pause = if waiting { AGAIN } else { Duration::from_hours(1) };
                // That it ended says that the service has.
                if let Ok(Err(_)) = tokio::time::timeout(pause, changes.changed()).await {
                    return;
                }
            }
        });
    }

    /// Takes an intent as far as it goes now.
    async fn go_on(&self, intent: Intent) {
        let id = intent.id;
        let result = match (intent.state, intent.execution) {
            (State::Running, Some(execution)) => self.follow(intent, execution).await,
            (State::Pending, _) => self.set_out(intent).await,
            _ => Ok(()),
        };
        if let Err(error) = result {
            tracing::warn!(intent = %id, %error, "an intent could not be carried on; it is tried again");
        }
    }

    /// Looks what has become of the execution.
    async fn follow(&self, mut intent: Intent, execution: Uuid) -> Result<(), Fault> {
        let (outcome, failure) = match self.execution(execution).await {
            Ok(record) => (record.progress.outcome, record.failure()),
            Err(fault) if fault.code == Code::NotFound => {
                let message = "its execution is kept no longer";
                (Some(Outcome::Failed), Some(Fault::new(Code::NotFound, message)))
            }
            Err(fault) => return Err(fault),
        };
        let Some(outcome) = outcome else { return Ok(()) };
        intent.state = match outcome {
            Outcome::Succeeded => State::Done,
            Outcome::Failed | Outcome::Cancelled | Outcome::RolledBack | Outcome::RollbackFailed => {
                State::Failed
            }
        };
        if intent.state == State::Failed {
            intent.reasons = vec![format!("its execution ended as {}", outcome.as_str())];
            intent.reasons.extend(failure.map(|failure| failure.message));
        } else {
            intent.reasons.clear();
        }
        tracing::info!(intent = %intent.id, state = intent.state.as_str(), "an intent is over");
        self.with_book(move |book| book.keep_if_open(intent)).await
    }

    /// Begins what an intent takes, or says why not.
    async fn set_out(&self, mut intent: Intent) -> Result<(), Fault> {
        let snapshot = self.snapshot();
        if snapshot.running.is_some() {
            return Ok(());
        }
        let begun = match self.request(&snapshot, &intent).await {
            Ok(Some(request)) => self.begin(request).await.map(|begun| Some(begun.id)),
            Ok(None) => Ok(None),
            Err(fault) => Err(fault),
        };
        match begun {
            // It is on record with the execution.
            Ok(Some(_)) => return Ok(()),
            Ok(None) => {
                intent.state = State::Done;
                // What it waited for.
                intent.reasons.clear();
            }
            // Somebody else was faster.
            Err(fault)
                if matches!(
                    fault.code,
                    Code::ExecutionRunning | Code::Stopping | Code::Overloaded
                ) =>
            {
                return Ok(());
            }
            // It may pass, and is tried again; that it waits is told once.
            Err(fault) if passes(fault.code) => {
                let reasons = vec![format!("waits: {}", fault.message)];
                if intent.reasons == reasons {
                    return Ok(());
                }
                intent.reasons = reasons;
            }
            Err(fault) => {
                intent.state = State::Refused;
                intent.reasons = reasons_of(&fault);
                if let Wanted::Drain { node } = &intent.wanted {
                    intent.reasons.push(format!(
                        "node '{node}' stays cordoned; uncordon it to use it again"
                    ));
                }
            }
        }
        tracing::info!(intent = %intent.id, state = intent.state.as_str(), "an intent goes on");
        self.with_book(move |book| book.keep_if_open(intent)).await
    }

    /// What an intent asks of an execution; None where nothing has to be done.
    async fn request(&self, snapshot: &Snapshot, intent: &Intent) -> Result<Option<Request>, Fault> {
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

    /// Where a tier is to be so that it has left a node; None where it has left it already.
    async fn migration(
        &self,
        snapshot: &Snapshot,
        topology: &Topology,
        tier: &TierId,
        from: Option<&VmId>,
        to: &Destination,
    ) -> Result<Option<Confine>, Fault> {
        let refused = |message: String| Err(Fault::new(Code::Infeasible, message));
        let places: BTreeSet<VmId> = snapshot
            .allocation
            .places(tier)
            .map(|(vm, _)| vm.clone())
            .collect();
        let named = || places.iter().map(VmId::as_str).collect::<Vec<_>>().join(", ");
        let from = match (from, places.len()) {
            (_, 0) => return refused(format!("{tier} runs nowhere")),
            (Some(from), _) if places.contains(from) => from.clone(),
            (Some(from), _) => {
                return refused(format!(
                    "{tier} has no container on '{from}'; it is on {}",
                    named()
                ));
            }
            (None, 1) => places.iter().next().cloned().unwrap_or_else(|| VmId::new("")),
            (None, _) => {
                return refused(format!("{tier} is on {}: say from which it is to go", named()));
            }
        };
        let destinations: BTreeSet<VmId> = match to {
            Destination::Nodes(nodes) => nodes.iter().cloned().collect(),
            Destination::Expression(source) => {
                let requires = compiled(source)?;
                let nodes = self.nodes_here().await?;
                if takes_too_long(nodes.len(), requires.steps()) {
                    let count = nodes.len();
                    return refused(format!("it takes too long to ask {count} nodes {source}"));
                }
                let fit = nodes
                    .values()
                    .filter(|node| requires.unmet(&node.facts()).is_empty());
                let fit: BTreeSet<VmId> = fit.map(|node| node.id.clone()).collect();
                if fit.is_empty() {
                    return refused(format!("there is no node of which {source} is true"));
                }
                fit
            }
        };
        if destinations.contains(&from) {
            // It is where it is wanted.
            return Ok(None);
        }
        if let Some(node) = destinations.iter().find(|node| places.contains(*node))
            && destinations.iter().all(|node| places.contains(node))
        {
            return refused(format!("{tier} has a container on '{node}' already"));
        }
        let mut only = BTreeMap::new();
        for other in snapshot.allocation.totals().into_keys() {
            let mut there: BTreeSet<VmId> = snapshot
                .allocation
                .places(&other)
                .map(|(vm, _)| vm.clone())
                .collect();
            let count = u32::try_from(there.len()).unwrap_or(u32::MAX);
            // All others stay where they are.
            if other == *tier {
                there.remove(&from);
                there.extend(destinations.iter().cloned());
            }
            if topology.tiers.contains_key(&other) {
                only.insert(other, (count, there));
            }
        }
        Ok(Some(Confine {
            leave: BTreeMap::new(),
            only,
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

fn compiled(source: &str) -> Result<Requires, Fault> {
    Requires::compile(source).map_err(|mistakes| {
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        Fault::new(Code::RequestInvalid, format!("to: {}", told.join("; ")))
    })
}

/// Whether a fault may be over soon without anybody's help.
const fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::EngineUnreachable
            | Code::EngineTimeout
            | Code::CloudUnreachable
            | Code::CloudTimeout
            | Code::HooksUnavailable
            | Code::JournalUnavailable
            | Code::Undecided
            | Code::Conflict
    )
}

/// A refusal as reasons, each once.
fn reasons_of(fault: &Fault) -> Vec<String> {
    let mut reasons = vec![fault.message.clone()];
    for detail in &fault.details {
        let text = |key: &str| detail.get(key).and_then(Value::as_str);
        let told = match (text("code"), text("node")) {
            (Some("rejected"), node) => {
                let why = detail.get("reasons").and_then(Value::as_array);
                let why: Vec<&str> = why.into_iter().flatten().filter_map(Value::as_str).collect();
                let tier = text("tier").unwrap_or_default();
                let node = node.map_or_else(|| "a new VM".to_owned(), |node| format!("'{node}'"));
                Some(format!("{tier} on {node}: {}", why.join(", ")))
            }
            _ => text("repair").map(|repair| format!("what would help: {repair}")),
        };
        if let Some(told) = told.filter(|told| !reasons.contains(told)) {
            reasons.push(told);
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

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
