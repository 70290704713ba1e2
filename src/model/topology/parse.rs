//! From JSON to a topology.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::Revisions;
use crate::model::ids::TierId;
use crate::model::problem::{Problems, Warning};
use crate::model::reader::{At, Fields, Notes, join};

use super::cloud::Cloud;
use super::names;
use super::{Infrastructure, Tier, Topology, graph};

/// A valid topology and what its author should know about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The topology.
    pub topology: Topology,
    /// Fields that are not used, synonyms, near misses.
    pub warnings: Vec<Warning>,
}

/// The most tiers that a topology may have.
const MOST_TIERS: usize = 20_000;
/// The most apps that a topology may have.
const MOST_APPS: usize = 5_000;

impl Topology {
    /// Reads a topology.
    ///
    /// # Errors
    ///
    /// All problems of the document, each with its JSON path.
    pub fn parse(document: &Value) -> Result<Parsed, Problems> {
        let mut notes = Notes::default();
        let read = read(&mut notes, document);
        match read {
            Some(topology) if notes.is_clean() => Ok(Parsed {
                topology,
                warnings: notes.warnings,
            }),
            _ => Err(notes.into_problems()),
        }
    }
}

fn read(notes: &mut Notes, document: &Value) -> Option<Topology> {
    let mut root = At::root(document).object(notes)?;
    let infrastructure = match root.need(notes, "infrastructure") {
        Some(at) => at
            .object(notes)
            .and_then(|fields| Infrastructure::read(notes, fields)),
        None => None,
    };
    let mut apps = Vec::new();
    let mut tiers = BTreeMap::new();
    for at in root
        .need(notes, "apps")
        .map_or_else(Vec::new, |at| at.list(notes))
    {
        if let Some(fields) = at.object(notes) {
            read_app(notes, fields, &mut apps, &mut tiers);
        }
    }
    // Editors use this to find the topology's schema.
    root.text(notes, "$schema");
    root.finish(notes);
    if apps.len() > MOST_APPS {
        notes.problem("apps", format!("are {}; {MOST_APPS} is the most", apps.len()));
    }
    if tiers.len() > MOST_TIERS {
        notes.problem(
            "apps",
            format!("have {} tiers; {MOST_TIERS} is the most", tiers.len()),
        );
    }
    for cycle in graph::cycles(&tiers) {
        let members: Vec<&str> = cycle.iter().chain(cycle.first()).map(TierId::as_str).collect();
        notes.problem(
            "apps",
            format!("tiers depend on each other in a cycle: {}", members.join(" -> ")),
        );
    }
    let infrastructure = infrastructure?;
    check_hooks(notes, &infrastructure, &tiers);
    check_vms(notes, &infrastructure);
    Some(Topology {
        infrastructure,
        tiers,
        apps,
        document: document.clone(),
        revisions: Revisions::default(),
    })
}

fn read_app(
    notes: &mut Notes,
    mut fields: Fields<'_>,
    apps: &mut Vec<String>,
    tiers: &mut BTreeMap<TierId, Tier>,
) {
    let name = fields
        .need(notes, "name")
        .and_then(|at| at.text(notes).map(str::to_owned));
    let tiers_at = fields.need(notes, "tiers").and_then(|at| at.object(notes));
    let path = fields.path.clone();
    fields.finish(notes);
    // Without a name the tiers are read all the same, so that their problems are reported, too.
    let app = name.clone().unwrap_or_else(|| "?".to_owned());
    if name.is_some() {
        names::check(notes, &join(&path, "name"), &app);
        if apps.contains(&app) {
            notes.problem(
                &join(&path, "name"),
                format!("there is another app named {app:?}"),
            );
        }
        apps.push(app.clone());
    }
    let Some(tiers_at) = tiers_at else { return };
    let keys: Vec<&str> = tiers_at.entries().map(|(key, _)| key).collect();
    for (key, at) in tiers_at.entries() {
        let at_path = at.path.clone();
        names::check(notes, &at_path, key);
        let Some(tier) = Tier::read(notes, &app, key, &keys, at) else {
            continue;
        };
        // "a_b" + "c" and "a" + "b_c" make the same container name.
        if let Some(other) = tiers.get(&tier.id) {
            if other.app != tier.app {
                let problem = format!(
                    "the flat name {} is also that of tier {:?} of app {:?}",
                    tier.id, other.key, other.app
                );
                notes.problem(&at_path, problem);
            }
            continue;
        }
        tiers.insert(tier.id.clone(), tier);
    }
}

fn check_hooks(notes: &mut Notes, infrastructure: &Infrastructure, tiers: &BTreeMap<TierId, Tier>) {
    if infrastructure.hooks.is_some() {
        return;
    }
    let named: BTreeSet<&str> = tiers
        .values()
        .flat_map(Tier::hooks)
        .map(|hook| hook.as_str())
        .collect();
    if !named.is_empty() {
        let names: Vec<&str> = named.into_iter().collect();
        let problem = format!("is missing, and tiers name hooks: {}", names.join(", "));
        notes.problem("infrastructure.hooks_git_repo", problem);
    }
}

fn check_vms(notes: &mut Notes, infrastructure: &Infrastructure) {
    let count = match &infrastructure.cloud {
        // VMs of shapes are made, as many as are asked for.
        Cloud::Embedded if !infrastructure.shapes.is_empty() => return,
        Cloud::Embedded => 1,
        Cloud::Hosts(hosts) => hosts.len(),
        Cloud::AutoScaling(_) | Cloud::Nodes(_) => return,
    };
    if usize::try_from(infrastructure.min_vms).is_ok_and(|least| least > count) {
        let problem = format!("is {}, but there are {count} machines", infrastructure.min_vms);
        notes.problem("infrastructure.min_vms", problem);
    }
}
