//! What an execution that ended changes in what is wanted besides plans.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::execute::{Event, Execution, Frozen, Outcome};
use crate::fault::Fault;
use crate::model::app::{App, Spec, Step};
use crate::model::intent::{Intent, Wanted};
use crate::model::{TierId, Topology};
use crate::service::Snapshot;
use crate::service::besides::{Word, named, names_app, resized};
use crate::service::state::Store;
use crate::service::state::besides::Change;

impl Store {
    /// What an execution that ended changes in what is wanted besides plans. It may be done again.
    pub fn settle(&mut self, frozen: &Frozen, outcome: Outcome) -> Result<(), Fault> {
        let now = self.now();
        let open = now.intents.iter();
        let wanted = open.clone().find(|open| Some(open.id) == frozen.intent);
        let wanted = wanted.map(|intent| intent.wanted.clone());
        let succeeded = outcome == Outcome::Succeeded;
        let mut by_hand = (*now.besides.by_hand).clone();
        let mut apps: Vec<(String, Option<App>)> = Vec::new();
        match &wanted {
            Some(Wanted::DeployApp { app } | Wanted::RemoveApp { app }) => {
                let known = now.besides.apps.get(app).cloned();
                if let Some(mut known) = known.filter(|app| app.dispatched.is_some()) {
                    if succeeded {
                        // The request names all tiers of its app.
                        let topology = now.topology()?;
                        let of_app = topology.tiers.values().filter(|tier| tier.app == *app);
                        by_hand.forget(&of_app.map(|tier| tier.id.clone()).collect());
                    }
                    end(&mut known, succeeded, &now, app);
                    apps.push((app.clone(), Some(known)));
                }
            }
            Some(Wanted::SetTier { tier, .. }) if succeeded => by_hand.set(tier, &now.allocation),
            Some(Wanted::SetCapacity { capacity }) if succeeded => {
                by_hand.capacity = Some(*capacity).filter(|capacity| *capacity > 0);
            }
            Some(Wanted::Migrate { tier, .. }) if succeeded => by_hand.forget(&[tier.clone()].into()),
            Some(Wanted::Drain { node }) if succeeded => by_hand.forget(&by_hand.on(node)),
            None if succeeded && frozen.intent.is_none() && frozen.reconcile.is_none() => {
                let topology = now.topology()?;
                by_hand.forget(&named(&frozen.plan, &topology));
                apps = resized_by(&now, &topology, &frozen.plan);
            }
            _ => {}
        }
        if succeeded && now.running.is_none() {
            // What had to move, since its VM was lost, is where it is now. Another execution may have begun since:
            // on its way, things are nowhere for good.
            let set: Vec<TierId> = by_hand.tiers.keys().cloned().collect();
            set.iter().for_each(|tier| by_hand.set(tier, &now.allocation));
        }
        let by_hand = Some(by_hand).filter(|by_hand| *by_hand != *now.besides.by_hand);
        if apps.is_empty() && by_hand.is_none() {
            return Ok(());
        }
        let mut all = (*now.besides.apps).clone();
        all.extend(
            apps.iter()
                .filter_map(|(name, app)| Some((name.clone(), app.clone()?))),
        );
        let topology = self.whole(&now, &all)?;
        drop(now);
        let event = json!({ "execution": frozen.id });
        let change = Change {
            apps,
            by_hand,
            topology,
            ..Change::default()
        };
        self.keep_besides("desired_changed", event, change)
    }

    /// Ends what an earlier process left in the middle: a request that was dispatched and whose execution never
    /// began, or ended.
    pub(super) fn settle_at_start(&mut self) -> Result<(), Fault> {
        let now = self.now();
        for (name, app) in now
            .besides
            .apps
            .iter()
            .filter(|(_, app)| app.dispatched.is_some())
        {
            let of_app = |intent: &&Intent| intent.wanted.app() == Some(name);
            let begun = now
                .intents
                .iter()
                .filter(of_app)
                .find_map(|intent| intent.execution);
            let execution = begun.map(|id| self.execution(id)).transpose()?.flatten();
            match execution {
                Some(Execution { frozen, progress }) => {
                    if let Some(outcome) = progress.outcome {
                        self.settle(&frozen, outcome)?;
                    }
                }
                None => {
                    let mut app = app.clone();
                    app.dispatched = None;
                    let mut all = (*now.besides.apps).clone();
                    all.insert(name.clone(), app.clone());
                    let topology = self.whole(&now, &all)?;
                    let change = Change {
                        apps: vec![(name.clone(), Some(app))],
                        topology,
                        ..Change::default()
                    };
                    self.keep_besides("desired_changed", json!({ "app": name }), change)?;
                }
            }
        }
        Ok(())
    }

    /// Notes what the plan that was carried out last has changed, where an earlier process ended before it could:
    /// nobody follows a plan as intents are followed.
    pub(super) fn settle_newest(&mut self) -> Result<(), Fault> {
        let Some(newest) = self.journal.newest(None)? else {
            return Ok(());
        };
        let Some(Execution { frozen, progress }) = self.execution(newest)? else {
            return Ok(());
        };
        let sent = frozen.intent.is_none() && frozen.reconcile.is_none();
        if !sent || progress.outcome != Some(Outcome::Succeeded) {
            return Ok(());
        }
        let now = self.now();
        let topology = now.topology()?;
        let named = named(&frozen.plan, &topology);
        let set = now.besides.by_hand.tiers.keys().any(|tier| named.contains(tier));
        if !set && resized_by(&now, &topology, &frozen.plan).is_empty() {
            return Ok(());
        }
        drop(now);
        self.settle(&frozen, Outcome::Succeeded)
    }

    /// What the running execution changes, now that this event ends it.
    pub(super) fn settle_ended(&mut self, frozen: &Frozen, event: &Event) {
        let Event::Finished { outcome } = event else {
            return;
        };
        // Whoever follows its intent does it again.
        if let Err(error) = self.settle(frozen, *outcome) {
            tracing::warn!(%error, "could not note what an execution changed in what is wanted besides plans");
        }
    }
}

/// The apps that a plan which was carried out names, and gives other sizes.
fn resized_by(now: &Snapshot, topology: &Topology, plan: &Value) -> Vec<(String, Option<App>)> {
    let Ok(whole) = now.besides.with(plan, topology, Word::Plan) else {
        return Vec::new();
    };
    let named = named(plan, topology);
    let mut changed = Vec::new();
    for (name, app) in now.besides.apps.iter() {
        let of_app = |tier: &TierId| topology.tiers.get(tier).is_some_and(|tier| tier.app == *name);
        if !names_app(plan, name, &named, of_app) {
            continue;
        }
        let resized = resized(app, &whole.plan, of_app);
        if resized != *app {
            changed.push((name.clone(), Some(resized)));
        }
    }
    changed
}

/// What of an app holds once its execution has ended.
fn end(app: &mut App, succeeded: bool, now: &Snapshot, name: &str) {
    let during = app.part();
    let step = app.dispatched.take();
    if succeeded {
        app.holds = match step {
            Some(Step::Deploy(spec)) => Some(spec),
            _ => None,
        };
        return;
    }
    // Where containers are left that the app had not before, it owns them all the same.
    let topology = now.topology.as_deref();
    let of_app = |tier: &TierId| {
        topology
            .and_then(|topology| topology.tiers.get(tier))
            .is_some_and(|tier| tier.app == name)
    };
    let left = now
        .allocation
        .totals()
        .into_iter()
        .filter(|(tier, _)| of_app(tier));
    let left: BTreeMap<_, _> = left.collect();
    let known = app.holds.as_ref().map(|holds| &holds.plan);
    let more = left
        .keys()
        .any(|tier| known.is_none_or(|known| !known.contains_key(tier)));
    if let (true, Some(part)) = (more, during) {
        app.holds = Some(Spec { part, plan: left });
    }
}
