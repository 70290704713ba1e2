//! How a tier's containers are run, except for limits of processor and memory: what their processes
//! may do and use, and how they are stopped. Fields are spelled as in Docker Compose.
//!
//! Two defaults are stricter than Docker's, since hardly any image needs more: processes gain no
//! privileges (`no_new_privileges`), and there are at most [`DEFAULT_PIDS`] of them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::model::reader::{At, Fields, Notes, join, nearest};

use super::linux::{CAPABILITIES, SIGNALS, TMPFS_VALUES, TMPFS_WORDS, ULIMITS, takes};
use super::written::{OneOrMore, ShmSize, StopSignal, UlimitGiven};

/// Most processes and threads of a container, unless the topology says otherwise.
pub const DEFAULT_PIDS: u32 = 4096;
/// The most that Linux can count.
const MOST_PIDS: u32 = 4_194_304;
/// Smallest and largest shared memory, in bytes: a page, and one TiB.
const SHM: (u64, u64) = (4096, 1 << 40);
/// Folders that no tmpfs can be in, and why.
const RESERVED: [(&str, &str); 2] = [
    ("ecoware", "where hooks are put: they would be hidden"),
    ("proc", "where the kernel allows none"),
];
/// How a tier's containers are run. What is not given is None or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct RuntimeOptions {
    /// Most processes and threads of a container; -1 for no limit, 4096 unless given.
    #[schema(rename = "pids_limit", value_type = Option<i64>, minimum = -1, maximum = 4194304, example = 200)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<Pids>,
    /// Limits of each process, by name (`nofile`, `core`, …).
    #[schema(value_type = Option<BTreeMap<String, UlimitGiven>>, example = json!({ "nofile": { "soft": 1024, "hard": 4096 } }))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Whether the containers' root file system can't be written to.
    #[schema(example = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// File systems in memory: `/path[:options]`, one or a list. What they hold counts towards the
    /// container's memory.
    #[schema(value_type = Option<OneOrMore>, example = json!(["/run:size=16m"]))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tmpfs: BTreeMap<String, String>,
    /// Size of `/dev/shm`; 64m unless given.
    #[schema(value_type = Option<ShmSize>, example = "128m")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<u64>,
    /// Linux capabilities in addition to Docker's own set, with or without `CAP_`.
    #[schema(value_type = Option<Vec<String>>, example = json!(["NET_ADMIN"]))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_add: Vec<String>,
    /// Linux capabilities that are taken away; `ALL` takes all.
    #[schema(value_type = Option<Vec<String>>, example = json!(["ALL"]))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_drop: Vec<String>,
    /// Whether processes can't gain privileges, for example through setuid programs such as sudo;
    /// true unless given.
    #[schema(example = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_new_privileges: Option<bool>,
    /// Whether Docker's own small init is process 1.
    #[schema(example = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
    /// The signal that stops a container; the image's own unless given.
    #[schema(value_type = Option<StopSignal>, example = "SIGQUIT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
}

/// How many processes and threads there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pids {
    /// This many.
    AtMost(u32),
    /// As many as the machine allows.
    Unlimited,
}

/// A limit of each process; None is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ulimit {
    /// The limit itself.
    pub soft: Option<u64>,
    /// How far a process may raise it.
    pub hard: Option<u64>,
}

impl RuntimeOptions {
    /// Reads the fields of a tier. `mounted` are its volumes, in Docker's notation.
    pub(super) fn read(notes: &mut Notes, fields: &mut Fields<'_>, mounted: &[String]) -> Self {
        let [cap_add, cap_drop] = capabilities(notes, fields);
        Self {
            pids: fields.get("pids_limit").and_then(|at| pids(notes, &at)),
            ulimits: fields
                .get("ulimits")
                .map_or_else(BTreeMap::new, |at| ulimits(notes, at)),
            read_only: fields.truth(notes, "read_only"),
            tmpfs: fields
                .get("tmpfs")
                .map_or_else(BTreeMap::new, |at| tmpfs(notes, at, mounted)),
            shm_size: fields.get("shm_size").and_then(|at| shm_size(notes, &at)),
            cap_add,
            cap_drop,
            no_new_privileges: fields.truth(notes, "no_new_privileges"),
            init: fields.truth(notes, "init"),
            stop_signal: fields.get("stop_signal").and_then(|at| stop_signal(notes, &at)),
        }
    }

    /// Whether nothing is given.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A whole number, or -1 for none.
fn or_unlimited(notes: &mut Notes, at: &At<'_>, least: u64, most: u64) -> Option<Option<u64>> {
    if at.value.as_f64() == Some(-1.0) {
        return Some(None);
    }
    if at.value.as_f64().is_some_and(f64::is_sign_negative) {
        notes.problem(
            &at.path,
            format!("should be a whole number from {least} on, or -1 for no limit"),
        );
        return None;
    }
    at.whole(notes, least, most).map(Some)
}

fn pids(notes: &mut Notes, at: &At<'_>) -> Option<Pids> {
    let most = or_unlimited(notes, at, 1, MOST_PIDS.into())?;
    Some(match most.and_then(|most| u32::try_from(most).ok()) {
        Some(most) => Pids::AtMost(most),
        None => Pids::Unlimited,
    })
}

/// `{"nofile": 1024}` or `{"nofile": {"soft": 1024, "hard": 4096}}`.
fn ulimits(notes: &mut Notes, at: At<'_>) -> BTreeMap<String, Ulimit> {
    /// The largest number that Docker can be given.
    const MOST: u64 = i64::MAX.unsigned_abs();
    let mut limits = BTreeMap::new();
    let Some(fields) = at.object(notes) else {
        return limits;
    };
    for (name, at) in fields.entries() {
        let known = ULIMITS.contains(&name);
        if !known {
            let hint = nearest(name, ULIMITS.into_iter()).map(|near| format!("; did you mean {near}?"));
            let all = || format!("; the limits are {}", ULIMITS.join(", "));
            notes.problem(
                &at.path,
                format!("is no limit of Linux{}", hint.unwrap_or_else(all)),
            );
        }
        let path = at.path.clone();
        let limit = if at.value.is_object() {
            let Some(mut both) = at.object(notes) else {
                continue;
            };
            let mut one = |notes: &mut Notes, key| {
                let at = both.need(notes, key)?;
                or_unlimited(notes, &at, 0, MOST)
            };
            let limit = (one(notes, "soft"), one(notes, "hard"));
            both.finish(notes);
            limit
        } else {
            let limit = or_unlimited(notes, &at, 0, MOST);
            (limit, limit)
        };
        let (Some(soft), Some(hard)) = limit else { continue };
        let above = |value: Option<u64>| value.unwrap_or(u64::MAX);
        if above(soft) > above(hard) {
            notes.problem(&path, "has a soft limit above the hard one");
        }
        if known {
            limits.insert(name.to_owned(), Ulimit { soft, hard });
        }
    }
    limits
}

/// `"/run"` or `"/run:size=64m,mode=1777"`, one or a list.
fn tmpfs(notes: &mut Notes, at: At<'_>, mounted: &[String]) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let entries = if at.value.is_string() {
        vec![at]
    } else {
        at.list(notes)
    };
    for entry in entries {
        let Some(text) = entry.text(notes) else { continue };
        let (path, options) = text.split_once(':').unwrap_or((text, ""));
        if !path.starts_with('/') || path.split('/').all(|part| matches!(part, "" | "." | "..")) {
            notes.problem(
                &entry.path,
                format!("{text:?} is not of the form /path[:options], such as /run:size=64m"),
            );
            continue;
        }
        if path.split('/').any(|part| matches!(part, "." | "..")) {
            notes.problem(
                &entry.path,
                format!("{text:?} has . or .. in its path: write it out"),
            );
            continue;
        }
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let reserved = RESERVED.iter().find(|(folder, _)| parts.first() == Some(folder));
        if let Some((folder, why)) = reserved {
            notes.problem(&entry.path, format!("{text:?} is in /{folder}, {why}"));
            continue;
        }
        let wrong = options.split(',').filter(|_| !options.is_empty()).find(|option| {
            let known = match option.split_once('=') {
                Some((name, value)) => TMPFS_VALUES.contains(&name) && takes(name, value),
                None => TMPFS_WORDS.contains(option),
            };
            !known
        });
        if let Some(option) = wrong {
            notes.problem(
                &entry.path,
                format!("{text:?} has the option {option:?}, which a tmpfs does not have or take"),
            );
        }
        let place = |path: &str| -> Vec<String> {
            let parts = path.split('/').filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        };
        let taken = mounted
            .iter()
            .any(|volume| volume.split(':').nth(1).map(place) == Some(place(path)));
        let twice = all.keys().any(|other: &String| place(other) == place(path));
        if taken || twice || all.insert(path.to_owned(), options.to_owned()).is_some() {
            notes.problem(&entry.path, format!("{path} has something else mounted on it"));
        }
    }
    all
}

/// Bytes, or a number followed by `b`, `k`, `m` or `g`, as Docker writes sizes.
fn shm_size(notes: &mut Notes, at: &At<'_>) -> Option<u64> {
    let bytes = match at.value {
        Value::String(text) => size(text),
        number => number.as_u64(),
    };
    let fits = bytes.filter(|bytes| (SHM.0..=SHM.1).contains(bytes));
    if fits.is_none() {
        notes.problem(
            &at.path,
            "is no size from 4k to 1024g: bytes, or a number followed by k, m or g, such as \"128m\"",
        );
    }
    fits
}

fn size(text: &str) -> Option<u64> {
    let text = text.trim().to_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale: u64 = match text.get(digits.len()..)? {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return None,
    };
    digits.trim_end().parse::<u64>().ok()?.checked_mul(scale)
}

fn capabilities(notes: &mut Notes, fields: &mut Fields<'_>) -> [Vec<String>; 2] {
    let mut read = |key: &'static str| {
        let mut names: Vec<String> = Vec::new();
        for at in fields.get(key).map_or_else(Vec::new, |at| at.list(notes)) {
            let Some(text) = at.text(notes) else { continue };
            let upper = text.to_uppercase();
            let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
            if !CAPABILITIES.contains(&name) {
                let hint = nearest(name, CAPABILITIES.into_iter());
                let hint = hint
                    .map(|near| format!("; did you mean {near}?"))
                    .unwrap_or_default();
                notes.problem(&at.path, format!("{text:?} is no capability of Linux{hint}"));
            } else if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        names
    };
    let both = [read("cap_add"), read("cap_drop")];
    let [add, drop] = &both;
    if let Some(twice) = add.iter().find(|name| drop.contains(name)) {
        let path = join(&fields.path, "cap_drop");
        notes.problem(&path, format!("takes away {twice}, which cap_add gives"));
    }
    both
}

/// `SIGTERM`, `TERM` or `15`; kept as `SIGTERM`, or as the number.
fn stop_signal(notes: &mut Notes, at: &At<'_>) -> Option<String> {
    let text = match at.value {
        Value::Number(number) => number.to_string(),
        _ => at.text(notes)?.trim().to_uppercase(),
    };
    if text.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number)) {
        return Some(text);
    }
    let name = text.strip_prefix("SIG").unwrap_or(&text);
    let realtime = [("RTMIN+", 15), ("RTMAX-", 14)].into_iter().any(|(from, most)| {
        let number = name.strip_prefix(from).and_then(|rest| rest.parse::<u8>().ok());
        number.is_some_and(|number| (1..=most).contains(&number))
    });
    if SIGNALS.contains(&name) || realtime {
        return Some(format!("SIG{name}"));
    }
    let hint = nearest(name, SIGNALS.into_iter()).map(|near| format!("; did you mean SIG{near}?"));
    let hint = hint.unwrap_or_else(|| " such as SIGTERM or SIGQUIT".to_owned());
    notes.problem(&at.path, format!("{text:?} is no signal{hint}"));
    None
}

#[cfg(test)]
mod tests;
