//! What is wanted besides plans, as it is kept: apps that are put by requests, and what is set by hand.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::fault::{Code, Fault};
use crate::journal::{DesiredChange, Journal, JournalError};
use crate::model::Topology;
use crate::model::app::{App, Apps};
use crate::model::by_hand::ByHand;
use crate::model::intent::Intent;
use crate::service::Snapshot;
use crate::service::besides::{Besides, merged};
use crate::service::state::{Store, revisions};
use crate::service::topology::{check_against_use, invalid};

/// The name under which what is set by hand is kept.
const BY_HAND: &str = "by_hand";
/// What the names of apps begin with.
const APP: &str = "app/";

/// What the record has of it.
pub(super) fn recall(journal: &dyn Journal) -> Result<Besides, JournalError> {
    let unreadable = |error: serde_json::Error| {
        JournalError::Unreadable(format!("what is wanted besides plans can't be read: {error}"))
    };
    let (mut apps, mut by_hand) = (Apps::new(), ByHand::default());
    for (name, value) in journal.desired()? {
        if name == BY_HAND {
            by_hand = serde_json::from_value(value).map_err(unreadable)?;
        } else if let Some(app) = name.strip_prefix(APP) {
            apps.insert(app.to_owned(), serde_json::from_value(value).map_err(unreadable)?);
        }
    }
    Ok(Besides {
        apps: Arc::new(apps),
        by_hand: Arc::new(by_hand),
    })
}

/// A change of what is wanted besides plans.
#[derive(Default)]
pub(super) struct Change {
    pub apps: Vec<(String, Option<App>)>,
    pub by_hand: Option<ByHand>,
    pub intent: Option<Intent>,
    pub topology: Option<Arc<Topology>>,
}

impl Store {
    pub(super) fn keep_besides(&mut self, kind: &str, event: Value, change: Change) -> Result<(), Fault> {
        let mut entries = Vec::new();
        for (name, app) in &change.apps {
            entries.push((format!("{APP}{name}"), app.as_ref().map(|app| json!(app))));
        }
        if let Some(by_hand) = &change.by_hand {
            entries.push((BY_HAND.to_owned(), Some(json!(by_hand))));
        }
        let generation = self.journal.keep_desired(&DesiredChange {
            entries,
            intent: change.intent.clone(),
            topology: change.topology.as_ref().map(|topology| topology.document.clone()),
            event: self.dated(kind, event),
        })?;
        self.publish(|now| {
            let apps = Arc::make_mut(&mut now.besides.apps);
            for (name, app) in change.apps {
                match app {
                    Some(app) => drop(apps.insert(name, app)),
                    None => drop(apps.remove(&name)),
                }
            }
            if let Some(by_hand) = change.by_hand {
                now.besides.by_hand = Arc::new(by_hand);
            }
            if let Some(intent) = &change.intent {
                now.show_intent(intent);
            }
            if let (Some(topology), Some(generation)) = (change.topology, generation) {
                now.generation = generation;
                now.topology = Some(topology);
                now.shown_topology = Arc::default();
                // Nodes may have come and gone since it was made.
                now.fill_in_members();
            }
        });
        Ok(())
    }

    /// The topology with these apps; None where that is the one that holds.
    pub(super) fn whole(&self, now: &Snapshot, apps: &Apps) -> Result<Option<Arc<Topology>>, Fault> {
        let topology = now.topology()?;
        let document = merged(&topology.document, apps);
        if document == topology.document {
            return Ok(None);
        }
        let parsed = Topology::parse(&document)
            .map_err(|problems| invalid(Code::TopologyInvalid, "topology with this app", &problems))?;
        let parsed = parsed.topology.with_members(&now.registered);
        check_against_use(Some(&topology), &parsed, &now.allocation)?;
        let key = self.journal.revision_key();
        let keyed = parsed.keyed(&key, Some(&topology), |one| revisions::runs(now, one));
        Ok(Some(Arc::new(keyed)))
    }

    /// A topology that somebody puts, with the apps that are put by requests.
    pub(super) fn with_apps(&self, own: Topology, now: &Snapshot) -> Result<Topology, Fault> {
        let apps = &now.besides.apps;
        let held = apps.iter().filter(|(_, app)| app.part().is_some());
        let clashes: Vec<&str> = held
            .map(|(name, _)| name.as_str())
            .filter(|name| own.apps.iter().any(|app| app == name))
            .collect();
        if !clashes.is_empty() {
            let names = clashes.join(", ");
            let message = format!(
                "{names}: put by PUT /api/apps, so the topology can't have an app of that name; leave it out, or remove \
                 the app first"
            );
            let details = clashes.iter().map(|app| json!({ "app": app }));
            return Err(Fault::new(Code::InUse, message).with(details));
        }
        let document = merged(&own.document, apps);
        if document == own.document {
            return Ok(own);
        }
        let parsed = Topology::parse(&document).map_err(|problems| {
            invalid(
                Code::TopologyInvalid,
                "topology with the apps that are put by requests",
                &problems,
            )
        })?;
        Ok(parsed.topology)
    }
}

/// That an app of that name can be put by a request: the topology has none of its own.
pub(in crate::service) fn clash(topology: &Topology, apps: &Apps, name: &str) -> Result<(), Fault> {
    let own = topology.apps.iter().any(|app| app == name);
    let requested = apps.get(name).is_some_and(|app| app.part().is_some());
    if !own || requested {
        return Ok(());
    }
    let message = format!(
        "app {name} is part of the topology: change it with PUT /api/topology, or take it out of there first"
    );
    Err(Fault::new(Code::InUse, message).with([json!({ "app": name })]))
}
