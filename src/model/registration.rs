//! A machine that registers itself: what it says of itself, read strictly, and all problems at once.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ids::VmId;
use super::problem::Problems;
use super::reader::{At, Fields, Notes, join};
use super::topology::{MOST_CORES, MOST_MEM_UNITS, check_name, read_endpoint, read_labels};
use super::units::{Cpu, MOST};
use crate::require::{MOST_LABELS, WIDEST};

/// Registered nodes, by name. Shared, since many of them change one by one.
pub type Registrations = BTreeMap<VmId, Arc<Registration>>;

/// The largest epoch: what JSON numbers hold exactly everywhere.
pub const MOST_EPOCH: u64 = (1 << 53) - 1;
/// The longest time between two refreshes, in seconds.
pub const MOST_REFRESH_S: u32 = 3600;
/// The time between two refreshes where the node does not say.
const REFRESH_S: u32 = 10;
/// The most bytes that capabilities, or health, may have as JSON.
const MOST_BYTES: usize = 16 * 1024;

/// What is kept of a node that registered itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Its engine's endpoint.
    pub endpoint: String,
    /// The address at which its published ports are reached.
    pub ip: Option<String>,
    /// Which start of its agent this is: a later one has a larger number.
    pub epoch: u64,
    /// It promises to come again within so many seconds.
    pub refresh_s: u32,
    /// Cores that it offers; those that its capabilities tell of unless given.
    pub cpu: Option<Cpu>,
    /// Memory units that it offers; those that its capabilities tell of unless given.
    pub mem: Option<u64>,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What it is able to do.
    #[serde(default)]
    pub capabilities: Map<String, Value>,
    /// It said that it leaves, and something of ours was still on it.
    #[serde(default)]
    pub left: bool,
}

/// What a node sends: all of it when it registers, and what has changed when it refreshes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// Which start of its agent this is.
    pub epoch: u64,
    /// How it does now.
    pub health: Map<String, Value>,
    endpoint: Option<String>,
    ip: Option<String>,
    refresh_s: Option<u32>,
    cpu: Option<Cpu>,
    mem: Option<u64>,
    labels: Option<BTreeMap<String, String>>,
    capabilities: Option<Map<String, Value>>,
}

/// Why a refresh can't be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A later start of the node's agent has registered; its epoch.
    Stale(u64),
    /// It is not registered, or its agent was started anew, and this does not say where its engine is.
    Incomplete,
}

impl Registration {
    /// What it offers, where it says so or its capabilities tell.
    #[must_use]
    pub fn offers(&self, mem_unit_mb: u64) -> (Option<Cpu>, Option<u64>) {
        let told = |name: &str| self.capabilities.get(name).and_then(Value::as_u64);
        let cores = || {
            let cores = u32::try_from(told("cores")?).ok()?;
            (1..=MOST_CORES).contains(&cores).then(|| Cpu::cores(cores))
        };
        let units = || {
            let units = told("memory_mb")? / mem_unit_mb.max(1);
            (1..=MOST_MEM_UNITS).contains(&units).then_some(units)
        };
        (self.cpu.or_else(cores), self.mem.or_else(units))
    }

    /// Gigabytes of disk and GPUs that it offers, where its capabilities tell.
    #[must_use]
    pub fn further(&self) -> (Option<u64>, Option<u64>) {
        let told = |name: &str| {
            let told = self.capabilities.get(name).and_then(Value::as_u64);
            told.filter(|amount| *amount <= u64::from(MOST))
        };
        (told("disk_gb"), told("gpus"))
    }
}

impl Refresh {
    /// Reads what the node `id` sends. Members that are not known are problems too.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn parse(id: &str, document: &Value) -> Result<Self, Problems> {
        let mut notes = Notes::default();
        check_name(&mut notes, "id", id);
        let read = At::root(document)
            .object(&mut notes)
            .and_then(|fields| Self::read(&mut notes, fields));
        for warning in std::mem::take(&mut notes.warnings) {
            notes.problem(&warning.path, warning.problem);
        }
        match read {
            Some(read) if notes.is_clean() => Ok(read),
            _ => Err(notes.into_problems()),
        }
    }

    fn read(notes: &mut Notes, mut fields: Fields<'_>) -> Option<Self> {
        let epoch = fields
            .need(notes, "epoch")
            .and_then(|at| at.whole(notes, 0, MOST_EPOCH));
        let endpoint = fields.get("endpoint").and_then(|at| read_endpoint(notes, &at));
        let ip = fields.text(notes, "ip");
        if let Some(ip) = &ip
            && ip.parse::<IpAddr>().is_err()
        {
            notes.problem(&join(&fields.path, "ip"), format!("{ip:?} is not an IP address"));
        }
        let refresh_s = fields.whole(notes, "refresh_s", 1, MOST_REFRESH_S);
        let cpu = fields.get("cpu_cores").and_then(|at| {
            let read = at.cores(notes, 1, MOST_CORES)?;
            if read == Cpu::ZERO {
                notes.problem(&at.path, "is zero: a node needs cores");
            }
            Some(read)
        });
        let mem = fields
            .get("mem_units")
            .and_then(|at| at.whole(notes, 1, MOST_MEM_UNITS));
        let labels = fields.get("labels").is_some();
        let labels = labels.then(|| read_labels(notes, &mut fields));
        let capabilities = read_facts(notes, &mut fields, "capabilities");
        let health = read_facts(notes, &mut fields, "health");
        fields.finish(notes);
        Some(Self {
            epoch: epoch?,
            health: health.unwrap_or_default(),
            endpoint,
            ip,
            refresh_s,
            cpu,
            mem,
            labels,
            capabilities,
        })
    }

    /// Where the engine is, where this says so.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// The address of its published ports, where this says so.
    #[must_use]
    pub fn ip(&self) -> Option<&str> {
        self.ip.as_deref()
    }

    /// What is known of the node once this is taken. What the same start of the agent does not say stays as it was;
    /// a later start says everything anew.
    ///
    /// # Errors
    ///
    /// When a later start is known, or too little is said.
    pub fn over(&self, known: Option<&Registration>) -> Result<Registration, Refused> {
        if let Some(known) = known.filter(|known| known.epoch > self.epoch) {
            return Err(Refused::Stale(known.epoch));
        }
        let same = known.filter(|known| known.epoch == self.epoch);
        let endpoint = self.endpoint.clone();
        let endpoint = endpoint.or_else(|| same.map(|known| known.endpoint.clone()));
        let labels = self.labels.clone();
        let capabilities = self.capabilities.clone();
        let (labels_before, capabilities_before) = match same {
            Some(known) => (known.labels.clone(), known.capabilities.clone()),
            None => (BTreeMap::new(), Map::new()),
        };
        Ok(Registration {
            endpoint: endpoint.ok_or(Refused::Incomplete)?,
            ip: self
                .ip
                .clone()
                .or_else(|| same.and_then(|known| known.ip.clone())),
            epoch: self.epoch,
            refresh_s: self
                .refresh_s
                .or_else(|| same.map(|known| known.refresh_s))
                .unwrap_or(REFRESH_S),
            cpu: self.cpu.or_else(|| same.and_then(|known| known.cpu)),
            mem: self.mem.or_else(|| same.and_then(|known| known.mem)),
            labels: labels.unwrap_or(labels_before),
            capabilities: capabilities.unwrap_or(capabilities_before),
            left: false,
        })
    }

    /// Whether it says nothing of the node that is not known already, so that only its time and its health count.
    #[must_use]
    pub fn repeats(&self, known: &Registration) -> bool {
        known.epoch == self.epoch
            && !known.left
            && self.endpoint.as_ref().is_none_or(|said| *said == known.endpoint)
            && (self.ip.is_none() || self.ip == known.ip)
            && self.refresh_s.is_none_or(|said| said == known.refresh_s)
            && (self.cpu.is_none() || self.cpu == known.cpu)
            && (self.mem.is_none() || self.mem == known.mem)
            && self.labels.as_ref().is_none_or(|said| *said == known.labels)
            && self
                .capabilities
                .as_ref()
                .is_none_or(|said| *said == known.capabilities)
    }
}

/// Names and values: texts, numbers, true or false, and lists and objects of these. As many and as long as
/// expressions see of them.
fn read_facts(notes: &mut Notes, fields: &mut Fields<'_>, name: &'static str) -> Option<Map<String, Value>> {
    let at = fields.get(name)?;
    let (path, document) = (at.path.clone(), at.value);
    let facts = at.object(notes)?;
    let mut read = Map::new();
    for (name, at) in facts.entries() {
        if name.is_empty() || name.len() > WIDEST {
            notes.problem(&at.path, format!("its name should have 1 to {WIDEST} bytes"));
        }
        if let Some(problem) = unfit(at.value, 1) {
            notes.problem(&at.path, problem);
        }
        if !at.value.is_null() {
            read.insert(name.to_owned(), at.value.clone());
        }
    }
    if read.len() > MOST_LABELS {
        notes.problem(&path, format!("names {}; {MOST_LABELS} is the most", read.len()));
    }
    let bytes = document.to_string().len();
    if bytes > MOST_BYTES {
        notes.problem(&path, format!("has {bytes} bytes; {MOST_BYTES} is the most"));
    }
    Some(read)
}

/// Why a value is none of these. `deep` is how many levels of lists and objects it may have.
fn unfit(value: &Value, deep: usize) -> Option<String> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
        Value::String(text) => {
            (text.len() > WIDEST).then(|| format!("has {} bytes; {WIDEST} is the most", text.len()))
        }
        Value::Array(_) | Value::Object(_) if deep == 0 => {
            Some("is nested deeper than one list or object".to_owned())
        }
        Value::Array(values) => {
            let many = (values.len() > MOST_LABELS)
                .then(|| format!("has {} entries; {MOST_LABELS} is the most", values.len()));
            many.or_else(|| values.iter().find_map(|value| unfit(value, deep - 1)))
        }
        Value::Object(fields) => {
            let many = (fields.len() > MOST_LABELS)
                .then(|| format!("has {} entries; {MOST_LABELS} is the most", fields.len()));
            many.or_else(|| fields.values().find_map(|value| unfit(value, deep - 1)))
        }
    }
}

#[cfg(test)]
mod tests;
