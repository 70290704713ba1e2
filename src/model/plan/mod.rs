//! The plan: the total that each tier should hold.

mod alone;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::further;
use crate::model::ids::TierId;
use crate::model::problem::{Problems, Warning};
use crate::model::reader::{At, Fields, Notes, nearest};
use crate::model::topology::Topology;
use crate::model::units::{Cpu, MOST, Size};

/// The whole desired state: the total of each tier, by app and tier, or by flat name. A tier that is
/// left out is removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, utoipa::ToSchema)]
#[schema(example = json!({ "rubis": { "db": { "cpu_cores": 1, "mem_units": 2 } } }))]
pub struct Plan {
    /// Total of each tier; never zero in cores or memory.
    #[serde(flatten)]
    #[schema(value_type = BTreeMap<String, PlanEntry>)]
    pub tiers: BTreeMap<TierId, Size>,
}

/// The total that one tier should hold, or those of each tier of an app.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[schema(example = json!({ "cpu_cores": 1, "mem_units": 2 }))]
#[expect(dead_code, reason = "only its shape is of interest")]
pub(crate) enum PlanEntry {
    /// For the tier with that flat name.
    Tier(Size),
    /// For each tier of the app with that name.
    App(BTreeMap<String, Size>),
}

impl Plan {
    /// Reads a plan, keyed by app and tier or by flat name, for a topology. A tier with zero of
    /// both counts as left out.
    ///
    /// # Errors
    ///
    /// All problems of the document, each with its JSON path.
    pub fn parse(document: &Value, topology: &Topology) -> Result<(Self, Vec<Warning>), Problems> {
        let mut reading = Reading {
            notes: Notes::default(),
            topology,
            tiers: BTreeMap::new(),
        };
        reading.read(document);
        let Reading { mut notes, tiers, .. } = reading;
        if !notes.is_clean() {
            return Err(notes.into_problems());
        }
        let tiers: BTreeMap<TierId, Size> = tiers
            .into_iter()
            .filter(|(_, size)| *size != Size::ZERO)
            .collect();
        warn_of_missing_dependencies(&mut notes, topology, &tiers);
        Ok((Self { tiers }, notes.warnings))
    }
}

fn warn_of_missing_dependencies(notes: &mut Notes, topology: &Topology, tiers: &BTreeMap<TierId, Size>) {
    for tier in tiers.keys().filter_map(|id| topology.tiers.get(id)) {
        for dependency in tier.depends_on.iter().filter(|id| !tiers.contains_key(*id)) {
            notes.warn(
                tier.id.as_str(),
                format!("depends on {dependency}, which the plan leaves out"),
            );
        }
    }
}

struct Reading<'t> {
    notes: Notes,
    topology: &'t Topology,
    tiers: BTreeMap<TierId, Size>,
}

impl Reading<'_> {
    fn read(&mut self, document: &Value) {
        let Some(root) = At::root(document).object(&mut self.notes) else {
            return;
        };
        // Editors use this to find the plan's schema.
        let entries = root
            .entries()
            .filter(|(key, at)| *key != "$schema" || !at.value.is_string());
        for (key, at) in entries {
            let is_app = self.topology.apps.iter().any(|app| app == key);
            if is_amount(at.value) && !is_app {
                self.flat(key, at);
            } else if is_app {
                self.app(key, at);
            } else {
                let apps = self.topology.apps.iter().map(String::as_str);
                let flat = self.topology.tiers.keys().map(TierId::as_str);
                let hint = hint(key, apps.chain(flat));
                self.notes
                    .problem(&at.path, format!("the topology has no app {key:?}{hint}"));
            }
        }
    }

    fn app(&mut self, app: &str, at: At<'_>) {
        let Some(fields) = at.object(&mut self.notes) else {
            return;
        };
        for (key, at) in fields.entries() {
            let id = TierId::of(app, key);
            match self.topology.tiers.get(&id) {
                Some(tier) if tier.app == app => self.tier(id, at),
                _ => {
                    let keys = self.topology.tiers.values().filter(|tier| tier.app == app);
                    let hint = hint(key, keys.map(|tier| tier.key.as_str()));
                    self.notes
                        .problem(&at.path, format!("app {app:?} has no tier {key:?}{hint}"));
                }
            }
        }
    }

    fn flat(&mut self, name: &str, at: At<'_>) {
        let id = TierId::new(name);
        if self.topology.tiers.contains_key(&id) {
            self.tier(id, at);
        } else {
            let hint = hint(name, self.topology.tiers.keys().map(TierId::as_str));
            self.notes
                .problem(&at.path, format!("the topology has no tier {name:?}{hint}"));
        }
    }

    fn tier(&mut self, id: TierId, at: At<'_>) {
        let path = at.path.clone();
        let Some(fields) = at.object(&mut self.notes) else {
            return;
        };
        let Some(size) = read_size(
            &mut self.notes,
            fields,
            self.topology.infrastructure.cpu_mode.step(),
        ) else {
            return;
        };
        if self.tiers.insert(id.clone(), size).is_some() {
            self.notes
                .problem(&path, format!("tier {id} is in the plan twice"));
        }
    }
}

fn hint<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> String {
    nearest(name, known)
        .map(|near| format!("; did you mean {near}?"))
        .unwrap_or_default()
}

/// Whether a value is a tier's total, and not an app with tiers.
fn is_amount(value: &Value) -> bool {
    let number = |key| value.get(key).is_some_and(|v: &Value| !v.is_object());
    number("cpu_cores") || number("mem_units")
}

fn read_size(notes: &mut Notes, mut fields: Fields<'_>, step: u64) -> Option<Size> {
    let cpu = fields
        .need(notes, "cpu_cores")
        .and_then(|at| at.cores(notes, step, MOST));
    let mem = fields
        .need(notes, "mem_units")
        .and_then(|at| at.whole(notes, 0, MOST.into()));
    let path = fields.path.clone();
    let further = further::read(notes, &mut fields, Size::ZERO, Size::ZERO);
    fields.finish(notes);
    let size = Size {
        cpu: cpu?,
        mem: mem?,
        ..further
    };
    if (size.cpu == Cpu::ZERO) != (size.mem == 0) {
        let problem = format!("has {size}: a tier needs some of both, or none of both to be removed");
        notes.problem(&path, problem);
        return None;
    }
    if size.cpu == Cpu::ZERO && size != Size::ZERO {
        let problem = format!("has {size}: a tier that is removed holds no disk and no GPUs either");
        notes.problem(&path, problem);
        return None;
    }
    Some(size)
}
