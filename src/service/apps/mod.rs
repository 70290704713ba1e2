//! Apps as requests: one app that is put, changed or removed without the whole topology.

mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::execute::By;
use crate::fault::{Code, Fault};
use crate::model::app::{App, State, Step};
use crate::model::{Size, Warning};

use super::redact::without_secrets;
use super::state::besides::clash;
use super::{Service, Snapshot};

use read::{composed, read};

/// An app, and how far the newest request for it is.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({ "app": "blog", "id": "01a1fc6c-c051-7783-a1ac-3b147b0973c0", "wants": "deploy", "state": "deployed",
    "times": { "new": "2026-11-21T06:00:00Z", "deployed": "2026-11-21T06:00:04Z" }, "reasons": [],
    "execution": "01a1fc6c-c051-7783-a1ac-3b147b0973c1", "by": "alice",
    "tiers": { "site": { "docker_image": "nginx:1.27" } },
    "plan": { "site": { "cpu_cores": 1, "mem_units": 2 } }, "holds": { "site": { "cpu_cores": 1, "mem_units": 2 } } }))]
pub struct AppShown {
    /// Its name.
    #[schema(example = "blog")]
    pub app: String,
    /// The id of the newest request; the intent of that id carries it out.
    #[schema(value_type = String, format = "uuid", example = "01a1fc6c-c051-7783-a1ac-3b147b0973c0")]
    pub id: Uuid,
    /// What the request wants.
    pub wants: Wants,
    /// How far it is.
    pub state: State,
    /// When it came to each state.
    #[schema(value_type = BTreeMap<String, String>, example = json!({ "new": "2026-11-21T06:00:00Z" }))]
    pub times: BTreeMap<State, Timestamp>,
    /// Why it failed or waits, or what differs from it now.
    #[schema(example = json!([]))]
    pub reasons: Vec<String>,
    /// The execution that carries it out.
    #[schema(value_type = Option<String>, format = "uuid", example = "01a1fc6c-c051-7783-a1ac-3b147b0973c1")]
    pub execution: Option<Uuid>,
    /// The name of the token that asked for it; `anonymous` without one.
    #[schema(example = "alice")]
    pub by: String,
    /// Its tiers as the request wants them, secrets as `***`.
    #[schema(value_type = BTreeMap<String, crate::model::topology::Tier>)]
    pub tiers: Value,
    /// What each tier is to hold in all, as the request wants it.
    pub plan: BTreeMap<String, Size>,
    /// What each tier is to hold in all now: what the last request that succeeded wanted, or a plan since.
    pub holds: BTreeMap<String, Size>,
}

/// What a request wants: that the app is as it says, or that it is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AppWants, example = "deploy")]
pub enum Wants {
    /// That it is so.
    Deploy,
    /// That it is no more.
    Remove,
}

/// A request that was taken, and what its author should know.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// The app.
    pub app: AppShown,
    /// Fields that are not used, near misses.
    pub warnings: Vec<Warning>,
}

/// All apps that are put by requests, by name.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({ "apps": [], "time": "0.00" }))]
#[serde(deny_unknown_fields)]
pub struct Apps {
    /// In the order of their names.
    pub apps: Vec<AppShown>,
}

impl Service {
    /// Checks an app as a whole, and puts the request for it on record. It is carried out afterwards, after what was
    /// asked for before.
    ///
    /// # Errors
    ///
    /// When it is not valid, its name is that of an app of the topology, or it can't be recorded.
    pub async fn put_app(&self, name: String, body: Value, by: By) -> Result<Taken, Fault> {
        let service = self.clone();
        self.to_the_end(async move {
            let snapshot = service.snapshot();
            let topology = snapshot.topology()?;
            clash(&topology, &snapshot.besides.apps, &name)?;
            let (body, told) = composed(&topology, body)?;
            let (spec, mut warnings) = read(&snapshot, &name, body)?;
            warnings.splice(0..0, told);
            let app = service.take_request(name.clone(), Step::Deploy(spec), by).await?;
            let app = shown(&service.snapshot(), &name, &app);
            Ok(Taken { app, warnings })
        })
        .await
    }

    /// Wants that an app is no more.
    ///
    /// # Errors
    ///
    /// When there is none of that name, or that can't be recorded.
    pub async fn remove_app(&self, name: String, by: By) -> Result<AppShown, Fault> {
        let service = self.clone();
        self.to_the_end(async move {
            let snapshot = service.snapshot();
            clash(snapshot.topology()?.as_ref(), &snapshot.besides.apps, &name)?;
            let known = snapshot.besides.apps.get(&name);
            let gone = |app: &&App| app.request.state == State::Removed && app.part().is_none();
            if known.is_none_or(|app| gone(&app)) {
                return Err(unknown(&snapshot, &name));
            }
            let app = service.take_request(name.clone(), Step::Remove, by).await?;
            Ok(shown(&service.snapshot(), &name, &app))
        })
        .await
    }

    /// One app.
    ///
    /// # Errors
    ///
    /// When there is none of that name.
    pub fn app(&self, name: &str) -> Result<AppShown, Fault> {
        let snapshot = self.snapshot();
        let app = snapshot.besides.apps.get(name);
        app.map(|app| shown(&snapshot, name, app))
            .ok_or_else(|| unknown(&snapshot, name))
    }

    /// All of them.
    #[must_use]
    pub fn apps(&self) -> Apps {
        let snapshot = self.snapshot();
        let apps = snapshot.besides.apps.iter();
        Apps {
            apps: apps.map(|(name, app)| shown(&snapshot, name, app)).collect(),
        }
    }
}

fn unknown(snapshot: &Snapshot, name: &str) -> Fault {
    let names = snapshot.besides.apps.keys().map(String::as_str);
    let near = crate::model::nearest(name, names).map(|near| format!("; did you mean {near}?"));
    let hint = near.unwrap_or_default();
    Fault::new(
        Code::NotFound,
        format!("no app {name} was put by a request{hint}"),
    )
}

fn shown(snapshot: &Snapshot, name: &str, app: &App) -> AppShown {
    let by_key = |sizes: &BTreeMap<_, Size>| {
        let key = |tier: &crate::model::TierId| {
            let flat = tier.as_str();
            flat.strip_prefix(&format!("{name}_")).unwrap_or(flat).to_owned()
        };
        sizes.iter().map(|(tier, size)| (key(tier), *size)).collect()
    };
    let request = &app.request;
    let (wants, spec) = match &request.step {
        Step::Deploy(spec) => (Wants::Deploy, Some(spec)),
        Step::Remove => (Wants::Remove, app.holds.as_ref()),
    };
    let tiers = spec.map(|spec| {
        let whole = without_secrets(&json!({ "apps": [spec.part] }));
        whole.pointer("/apps/0/tiers").cloned().unwrap_or_default()
    });
    let (mut state, mut reasons) = (request.state, request.reasons.clone());
    if state == State::Deployed {
        // Deployed is what runs and is healthy.
        let of_app = |container: &str| {
            let tier = snapshot
                .topology
                .as_ref()
                .and_then(|topology| topology.tiers.get(container));
            tier.is_some_and(|tier| tier.app == name)
        };
        for differs in snapshot.differences.iter().filter(|one| of_app(&one.container)) {
            state = State::Pending;
            let vm = differs
                .vm
                .as_ref()
                .map(|vm| format!(" on '{vm}'"))
                .unwrap_or_default();
            reasons.push(format!(
                "{}{vm}: {}",
                differs.container,
                differs.details.join("; ")
            ));
        }
    }
    AppShown {
        app: name.to_owned(),
        id: request.id,
        wants,
        state,
        times: request.times.clone(),
        reasons,
        execution: request.execution,
        by: request.by.clone(),
        tiers: tiers.unwrap_or_else(|| json!({})),
        plan: spec.map(|spec| by_key(&spec.plan)).unwrap_or_default(),
        holds: by_key(&app.sizes()),
    }
}
