//! Requests for apps: on record first, then taken into what holds as their executions begin.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use crate::fault::{Code, Fault};
use crate::model::TierId;
use crate::model::app::{App, Apps, Request, State as AppState, Step};
use crate::model::by_hand::ByHand;
use crate::model::intent::{Intent, State, Wanted};
use crate::service::Snapshot;
use crate::service::state::Store;
use crate::service::state::besides::{Change, clash};

/// Apps that were removed are kept up to this number, for who asks what became of them.
const REMOVED: usize = 1000;

impl Store {
    /// Puts a request for an app on record, with the intent that carries it out. What was asked for it before and
    /// has not begun is wanted no more.
    pub fn request_app(&mut self, name: &str, step: Step, intent: Intent) -> Result<App, Fault> {
        let now = self.now();
        clash(now.topology()?.as_ref(), &now.besides.apps, name)?;
        self.supersede(&intent)?;
        let known = self.now().besides.apps.get(name).cloned();
        let request = Request::new(intent.id, step, &intent.by, intent.created_at);
        let app = match known {
            Some(app) => App { request, ..app },
            None => App {
                holds: None,
                dispatched: None,
                request,
            },
        };
        let event = json!({ "app": name, "request": intent.id, "state": AppState::New, "by": intent.by });
        let change = Change {
            apps: vec![(name.to_owned(), Some(app.clone()))],
            intent: Some(intent),
            ..Change::default()
        };
        self.keep_besides("app", event, change)?;
        Ok(app)
    }

    /// The request of an app came as far as its intent.
    pub(in crate::service) fn tell_app(&mut self, intent: &Intent) -> Result<(), Fault> {
        let Some(name) = intent.wanted.app() else {
            return Ok(());
        };
        let now = self.now();
        let Some(mut app) = now.besides.apps.get(name).cloned() else {
            return Ok(());
        };
        if app.request.id != intent.id {
            return Ok(());
        }
        let state = match (intent.state, &intent.wanted) {
            (State::Pending, _) => AppState::Dispatched,
            (State::Running, _) => AppState::Pending,
            (State::Done, Wanted::RemoveApp { .. }) => AppState::Removed,
            (State::Done, _) => AppState::Deployed,
            (State::Refused | State::Failed | State::Cancelled, _) => AppState::Failed,
        };
        if (app.request.state, &app.request.reasons) == (state, &intent.reasons) {
            return Ok(());
        }
        app.request.execution = intent.execution;
        app.request
            .come_to(state, self.outside.now(), intent.reasons.clone());
        let event = json!({ "app": name, "request": intent.id, "state": state, "execution": intent.execution,
            "reasons": intent.reasons, "by": intent.by });
        let mut apps = vec![(name.to_owned(), Some(app))];
        apps.extend(forgotten(&now.besides.apps));
        let change = Change {
            apps,
            ..Change::default()
        };
        self.keep_besides("app", event, change)
    }

    /// What there would be with an app's request under way: a plan for it is worked out on that, and it is taken
    /// with the execution.
    pub fn imagine(&self, name: &str, intent: Uuid) -> Result<Snapshot, Fault> {
        let mut imagined = (*self.now()).clone();
        let apps = Arc::make_mut(&mut imagined.besides.apps);
        let Some(app) = apps.get_mut(name).filter(|app| app.request.id == intent) else {
            let message = format!("a newer request for app {name} took the place of this one");
            return Err(Fault::new(Code::Cancelled, message));
        };
        app.dispatched = Some(app.request.step.clone());
        let apps = Arc::clone(&imagined.besides.apps);
        if let Some(topology) = self.whole(&self.now(), &apps)? {
            imagined.topology = Some(topology);
            imagined.generation += 1;
            imagined.shown_topology = Arc::default();
        }
        // The request names its tiers: what was set of them by hand holds no more.
        let topologies = [&self.now().topology, &imagined.topology].map(Clone::clone);
        let tiers = topologies
            .iter()
            .flatten()
            .flat_map(|topology| topology.tiers.values());
        let named = tiers.filter(|tier| tier.app == name).map(|tier| tier.id.clone());
        let named: BTreeSet<TierId> = named.collect();
        if imagined
            .besides
            .by_hand
            .tiers
            .keys()
            .any(|tier| named.contains(tier))
        {
            Arc::make_mut(&mut imagined.besides.by_hand).forget(&named);
        }
        Ok(imagined)
    }

    /// Takes an app's request into what holds, as its execution begins.
    pub(super) fn dispatch(&mut self, imagined: &Snapshot, name: &str) -> Result<(), Fault> {
        let app = imagined.besides.apps.get(name).cloned();
        let changed = imagined.generation != self.now().generation;
        let change = Change {
            apps: vec![(name.to_owned(), app)],
            topology: imagined.topology.clone().filter(|_| changed),
            by_hand: (imagined.besides.by_hand != self.now().besides.by_hand)
                .then(|| ByHand::clone(&imagined.besides.by_hand)),
            ..Change::default()
        };
        self.keep_besides("app_dispatched", json!({ "app": name }), change)
    }
}

/// Apps that were removed long ago, to be forgotten.
fn forgotten(apps: &Apps) -> Vec<(String, Option<App>)> {
    let gone = |app: &App| app.holds.is_none() && app.request.state == AppState::Removed;
    let mut gone: Vec<(&String, &App)> = apps.iter().filter(|(_, app)| gone(app)).collect();
    gone.sort_by_key(|(_, app)| app.request.id);
    let surplus = gone.len().saturating_sub(REMOVED);
    gone.into_iter()
        .take(surplus)
        .map(|(name, _)| (name.clone(), None))
        .collect()
}
