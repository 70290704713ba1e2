//! Apps as requests: one app that is put, changed and removed by itself, with a life of its own. Its part of the
//! topology and its sizes are on record before anything is done, and what came of each request.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::ids::TierId;
use super::units::Size;

/// What an app is: its part of the topology, and its sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The entry of the app in the topology's `apps`, as it was put, secrets and all.
    pub part: Value,
    /// What each of its tiers holds in all.
    pub plan: BTreeMap<TierId, Size>,
}

/// What a request wants of an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// That it is so.
    Deploy(Spec),
    /// That it is no more.
    Remove,
}

/// How far a request for an app is: it is on record; it is the next to be carried out; an execution carries it out; what
/// was wanted runs and is healthy; it could not be done, and the app is as it was before; the app is no more.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema, strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[schema(as = AppState, example = "deployed")]
pub enum State {
    /// It is on record.
    New,
    /// It is the next to be carried out.
    Dispatched,
    /// An execution carries it out.
    Pending,
    /// What was wanted runs and is healthy.
    Deployed,
    /// It could not be done.
    Failed,
    /// The app is no more.
    Removed,
}

impl State {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The newest request for an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Its id, which is also that of the intent that carries it out.
    pub id: Uuid,
    /// What it wants.
    pub step: Step,
    /// How far it is.
    pub state: State,
    /// When it came to each state.
    pub times: BTreeMap<State, Timestamp>,
    /// Why it failed, or waits.
    pub reasons: Vec<String>,
    /// The execution that carries it out.
    pub execution: Option<Uuid>,
    /// Who asks.
    pub by: String,
}

impl Request {
    /// One that was just put on record.
    #[must_use]
    pub fn new(id: Uuid, step: Step, by: &str, at: Timestamp) -> Self {
        Self {
            id,
            step,
            state: State::New,
            times: [(State::New, at)].into(),
            reasons: Vec::new(),
            execution: None,
            by: by.to_owned(),
        }
    }

    /// It came to a state.
    pub fn come_to(&mut self, state: State, at: Timestamp, reasons: Vec<String>) {
        self.state = state;
        self.times.insert(state, at);
        self.reasons = reasons;
    }
}

/// An app that is put by requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct App {
    /// What holds: what the last request that succeeded wanted, or a plan that named it since.
    pub holds: Option<Spec>,
    /// What is being carried out.
    pub dispatched: Option<Step>,
    /// The newest request.
    pub request: Request,
}

impl App {
    /// Its entry in the topology; None where it has none. Tiers that are about to go are in it until they are gone.
    #[must_use]
    pub fn part(&self) -> Option<Value> {
        match (&self.dispatched, &self.holds) {
            (Some(Step::Deploy(spec)), before) => Some(with_tiers_of(
                spec.part.clone(),
                before.as_ref().map(|before| &before.part),
            )),
            (_, holds) => holds.as_ref().map(|holds| holds.part.clone()),
        }
    }

    /// What its tiers are to hold.
    #[must_use]
    pub fn sizes(&self) -> BTreeMap<TierId, Size> {
        match (&self.dispatched, &self.holds) {
            (Some(Step::Remove), _) | (None, None) => BTreeMap::new(),
            (Some(Step::Deploy(spec)), _) | (None, Some(spec)) => spec.plan.clone(),
        }
    }
}

fn with_tiers_of(mut part: Value, before: Option<&Value>) -> Value {
    let old = before
        .and_then(|before| before.get("tiers"))
        .and_then(Value::as_object);
    if let (Some(old), Some(tiers)) = (old, part.get_mut("tiers").and_then(Value::as_object_mut)) {
        for (key, tier) in old {
            if !tiers.contains_key(key) {
                tiers.insert(key.clone(), tier.clone());
            }
        }
    }
    part
}

/// The apps that are put by requests, by name; also those that were removed, as far as they are kept.
pub type Apps = BTreeMap<String, App>;
