//! Stacks in the Compose format as apps: each service is a tier. What has no counterpart is named, and nothing is dropped
//! silently. Pure.

mod amounts;
mod mounts;
mod size;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use super::problem::{Problem, Warning};
use amounts::seconds;

/// An app that a Compose document describes, as `PUT /api/apps/{app}` takes it.
#[derive(Debug, Default)]
pub struct Converted {
    /// `tiers` and `plan`.
    pub app: Value,
    /// What has no counterpart, and what is assumed.
    pub warnings: Vec<Warning>,
    /// What can't be taken.
    pub problems: Vec<Problem>,
}

/// What the amounts of a document are counted in.
#[derive(Clone, Copy, Debug)]
pub struct Units {
    /// A memory unit, in MiB.
    pub mem_unit_mb: u64,
    /// Whether only whole cores can be had.
    pub whole_cores: bool,
}

/// Whether a document is one of Compose, and not an app.
#[must_use]
pub fn is_compose(document: &Value) -> bool {
    document.get("services").is_some_and(Value::is_object) && document.get("tiers").is_none()
}

/// Converts a document.
#[must_use]
pub fn convert(document: &Value, units: Units) -> Converted {
    let mut notes = Notes::default();
    let (mut tiers, mut plan) = (Map::new(), Map::new());
    let fields = document.as_object();
    for (key, value) in fields.into_iter().flatten() {
        match key.as_str() {
            "services" => {}
            // Docker makes those that are named in services.
            "volumes" if options_of(value).is_empty() => {}
            "volumes" => {
                for name in options_of(value) {
                    notes.ignored(
                        &format!("volumes.{name}"),
                        "drivers and options of volumes are those of the engine",
                    );
                }
            }
            "version" | "name" => notes.warn(key, "is not needed: the path names the app"),
            extension if extension.starts_with("x-") => {}
            _ => notes.ignored(key, "it has no counterpart"),
        }
    }
    let services = document.get("services").and_then(Value::as_object);
    for (name, service) in services.into_iter().flatten() {
        let place = format!("services.{name}");
        match service.as_object() {
            Some(service) => {
                tiers.insert(name.clone(), Value::Object(tier(&mut notes, &place, service)));
                plan.insert(name.clone(), size::of(&mut notes, &place, service, units));
                let replicas = size::replicas(service);
                if let (Some(count), Some(Value::Object(tier))) = (replicas, tiers.get_mut(name)) {
                    tier.insert("min_node".to_owned(), json!(count));
                    tier.insert("max_node".to_owned(), json!(count));
                }
            }
            None => notes.problem(&place, "should be an object"),
        }
    }
    Converted {
        app: json!({ "tiers": tiers, "plan": plan }),
        warnings: notes.warnings,
        problems: notes.problems,
    }
}

/// The names of volumes that ask for more than a name.
fn options_of(volumes: &Value) -> Vec<String> {
    let volumes = volumes.as_object().into_iter().flatten();
    let more = volumes.filter(|(_, options)| options.as_object().is_some_and(|options| !options.is_empty()));
    more.map(|(name, _)| name.clone()).collect()
}

/// What is told of a document.
#[derive(Default)]
struct Notes {
    warnings: Vec<Warning>,
    problems: Vec<Problem>,
}

impl Notes {
    fn warn(&mut self, path: &str, problem: &str) {
        self.warnings.push(Warning {
            path: path.to_owned(),
            problem: problem.to_owned(),
        });
    }

    fn ignored(&mut self, path: &str, why: &str) {
        self.warn(path, &format!("is left out: {why}"));
    }

    fn problem(&mut self, path: &str, problem: &str) {
        self.problems.push(Problem {
            path: path.to_owned(),
            problem: problem.to_owned(),
        });
    }
}

/// A service as a tier.
fn tier(notes: &mut Notes, place: &str, service: &Map<String, Value>) -> Map<String, Value> {
    let mut tier = Map::new();
    // From `tmpfs`, and from `volumes` of that type.
    let mut in_memory: Vec<Value> = Vec::new();
    if !service.contains_key("image") {
        let why = match service.contains_key("build") {
            true => "images are not built here: build it, push it, and name it as image",
            false => "image is missing",
        };
        notes.problem(place, why);
    }
    for (key, value) in service {
        let path = format!("{place}.{key}");
        let mut put = |name: &str, value: Value| drop(tier.insert(name.to_owned(), value));
        match key.as_str() {
            "image" => put("docker_image", value.clone()),
            // Both replace what the image says: Compose names them the other way round.
            "command" if !value.is_null() => put("entrypoint_params", value.clone()),
            "entrypoint" if !value.is_null() => put("command", value.clone()),
            "user" | "init" | "read_only" | "stop_signal" | "cap_add" | "cap_drop" | "shm_size"
            | "pids_limit" => {
                put(key, value.clone());
            }
            "tmpfs" => match value {
                Value::Null => {}
                Value::Array(list) => in_memory.extend(list.iter().cloned()),
                one => in_memory.push(one.clone()),
            },
            "labels" => put("labels", pairs(notes, &path, value)),
            "environment" => put("environment", pairs(notes, &path, value)),
            "ports" => put("ports", mounts::ports(notes, &path, value)),
            "volumes" => {
                let (volumes, tmpfs) = mounts::volumes(notes, &path, value);
                put("volumes", volumes);
                in_memory.extend(tmpfs.into_iter().map(Value::String));
            }
            "depends_on" => put("depends_on", dependencies(notes, &path, value)),
            "healthcheck" => {
                if let Some(check) = healthcheck(notes, &path, value) {
                    put("healthcheck", check);
                }
            }
            "ulimits" => put("ulimits", ulimits(value)),
            "stop_grace_period" => match seconds(value) {
                Some(seconds) => put("stop_grace_s", json!(seconds)),
                None => notes.problem(&path, "should be a duration such as 1m30s"),
            },
            "restart" => match value.as_str() {
                Some("always" | "unless-stopped") => {}
                _ => notes.ignored(&path, "containers are always restarted"),
            },
            "pull_policy" => match value.as_str() {
                Some("always") => put("pull", json!("always")),
                Some("missing" | "if_not_present") | None => {}
                Some(_) => notes.ignored(&path, "images are pulled where they are missing, or always"),
            },
            "security_opt" => security(notes, &path, value, &mut put),
            "build" if service.contains_key("image") => notes.ignored(&path, "images are not built here"),
            // Sizes are in the plan.
            "build" | "command" | "entrypoint" | "deploy" | "cpus" | "mem_limit" | "mem_reservation"
            | "scale" => {}
            extension if extension.starts_with("x-") => {}
            _ => notes.ignored(&path, "it has no counterpart"),
        }
    }
    if !in_memory.is_empty() {
        tier.insert("tmpfs".to_owned(), Value::Array(in_memory));
    }
    tier
}

/// `{name: value}`, or a list of `name=value`.
fn pairs(notes: &mut Notes, path: &str, value: &Value) -> Value {
    let mut pairs = Map::new();
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::Null => notes.ignored(
                        &format!("{path}.{name}"),
                        "it has no value, and no shell gives one here",
                    ),
                    value => drop(pairs.insert(name.clone(), value.clone())),
                }
            }
        }
        Value::Array(entries) => {
            for (index, entry) in entries.iter().enumerate() {
                match entry.as_str().and_then(|text| text.split_once('=')) {
                    Some((name, value)) => drop(pairs.insert(name.to_owned(), json!(value))),
                    None => notes.ignored(
                        &format!("{path}[{index}]"),
                        "it has no value, and no shell gives one here",
                    ),
                }
            }
        }
        _ => notes.problem(path, "should be an object, or a list of NAME=value"),
    }
    Value::Object(pairs)
}

fn dependencies(notes: &mut Notes, path: &str, value: &Value) -> Value {
    let Value::Object(fields) = value else {
        return value.clone();
    };
    for (name, options) in fields {
        let condition = options.get("condition").and_then(Value::as_str);
        if condition == Some("service_completed_successfully") {
            let path = format!("{path}.{name}.condition");
            notes.warn(
                &path,
                "is taken as service_healthy: containers run until they are removed",
            );
        }
        for option in options
            .as_object()
            .into_iter()
            .flatten()
            .map(|(option, _)| option)
        {
            if option != "condition" {
                notes.ignored(&format!("{path}.{name}.{option}"), "it has no counterpart");
            }
        }
    }
    json!(fields.keys().collect::<Vec<_>>())
}

fn healthcheck(notes: &mut Notes, path: &str, value: &Value) -> Option<Value> {
    let Some(fields) = value.as_object() else {
        if !value.is_null() {
            notes.problem(path, "should be an object");
        }
        return None;
    };
    let test = fields.get("test");
    let none = test
        .and_then(|test| test.get(0))
        .is_some_and(|word| word == "NONE");
    if none || fields.get("disable").is_some_and(|disable| disable == true) {
        notes.ignored(path, "a health check of the image itself stays as it is");
        return None;
    }
    let mut check = Map::new();
    for (key, value) in fields {
        let place = format!("{path}.{key}");
        let seconds_as = match key.as_str() {
            "test" => {
                // A text is for the shell.
                let test = match value {
                    Value::String(text) => json!(["CMD-SHELL", text]),
                    other => other.clone(),
                };
                check.insert("test".to_owned(), test);
                continue;
            }
            "retries" => {
                check.insert("retries".to_owned(), value.clone());
                continue;
            }
            "interval" => "interval_s",
            "timeout" => "timeout_s",
            "start_period" => "start_period_s",
            "disable" => continue,
            _ => {
                notes.ignored(&place, "it has no counterpart");
                continue;
            }
        };
        match seconds(value) {
            Some(seconds) => drop(check.insert(seconds_as.to_owned(), json!(seconds))),
            None => notes.problem(&place, "should be a duration such as 1m30s"),
        }
    }
    Some(Value::Object(check))
}

fn ulimits(value: &Value) -> Value {
    let limits = value.as_object().into_iter().flatten();
    let limits = limits.map(|(name, limit)| {
        let both = || json!({ "soft": limit, "hard": limit });
        (
            name.clone(),
            if limit.is_object() { limit.clone() } else { both() },
        )
    });
    Value::Object(limits.collect())
}

fn security(notes: &mut Notes, path: &str, value: &Value, put: &mut impl FnMut(&str, Value)) {
    for (index, option) in value.as_array().into_iter().flatten().enumerate() {
        match option.as_str() {
            Some("no-new-privileges" | "no-new-privileges:true") => put("no_new_privileges", json!(true)),
            Some("no-new-privileges:false") => put("no_new_privileges", json!(false)),
            _ => notes.ignored(&format!("{path}[{index}]"), "it has no counterpart"),
        }
    }
}
