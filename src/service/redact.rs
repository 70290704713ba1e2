//! Keeps the secrets of topologies out of answers, and restores them in a topology that was read
//! and is put again.
//!
//! Secrets are in two places: the values of `environment`, and URLs with credentials. They are
//! shown as `***`. If a document is put with `***` in such a place, it gets the value that the
//! present topology has in the same place. Apps are matched by name, everything else by its path,
//! so that moving an app within the list loses nothing. A URL only gets its credentials back if
//! nothing else in it has changed, so nobody can have them sent to another host.

use serde_json::{Map, Value, json};

use crate::fault::{STARS, in_value};
use crate::model::Problems;
use crate::model::problem::Problem;

/// The document as it may be shown.
pub fn without_secrets(document: &Value) -> Value {
    let mut shown = in_value(document.clone());
    for tier in tiers(&mut shown) {
        match tier.get_mut("environment") {
            Some(Value::Object(variables)) => variables.values_mut().for_each(hide),
            Some(Value::Array(entries)) => entries.iter_mut().for_each(hide_entry),
            _ => {}
        }
    }
    shown
}

fn tiers(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let apps = document.get_mut("apps").and_then(Value::as_array_mut);
    apps.into_iter()
        .flatten()
        .filter_map(|app| app.get_mut("tiers")?.as_object_mut())
        .flat_map(Map::values_mut)
}

/// References say where a value is, not what it is.
fn hide(value: &mut Value) {
    if !value.is_object() {
        *value = json!(STARS);
    }
}

fn hide_entry(entry: &mut Value) {
    if let Some((name, _)) = entry.as_str().and_then(|text| text.split_once('=')) {
        *entry = json!(format!("{name}={STARS}"));
    }
}

/// The document with what `***` stands for, and whether it stood for anything.
///
/// # Errors
///
/// Each `***` that stands for nothing.
pub fn with_secrets(mut given: Value, present: Option<&Value>) -> Result<(Value, bool), Problems> {
    let (nothing, mut found) = (Value::Null, Found::default());
    restore(
        &mut given,
        present.unwrap_or(&nothing),
        Place::Document,
        "",
        &mut found,
    );
    if found.problems.is_empty() {
        Ok((given, found.restored))
    } else {
        Err(Problems(found.problems))
    }
}

/// The result of restoring.
#[derive(Default)]
struct Found {
    restored: bool,
    problems: Vec<Problem>,
}

impl Found {
    /// Puts the secret in its place, or notes that there is none.
    fn put(&mut self, value: &mut Value, secret: Option<Value>, path: String) {
        match secret {
            Some(secret) => {
                *value = secret;
                self.restored = true;
            }
            None => self.problems.push(unknown(path)),
        }
    }
}

/// What a value is, as far as it matters here.
#[derive(Clone, Copy)]
enum Place {
    Document,
    Apps,
    App,
    Tiers,
    Tier,
    Environment,
    Other,
}

impl Place {
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Document, "apps") => Self::Apps,
            (Self::App, "tiers") => Self::Tiers,
            (Self::Tiers, _) => Self::Tier,
            (Self::Tier, "environment") => Self::Environment,
            _ => Self::Other,
        }
    }
}

fn restore(given: &mut Value, present: &Value, place: Place, path: &str, found: &mut Found) {
    match given {
        Value::Object(fields) if matches!(place, Place::Environment) => {
            for (name, value) in fields.iter_mut().filter(|(_, value)| *value == STARS) {
                found.put(value, variable(present, name), join(path, name));
            }
        }
        Value::Array(entries) if matches!(place, Place::Environment) => {
            for (index, entry) in entries.iter_mut().enumerate() {
                let text = entry.as_str().and_then(|text| text.split_once('='));
                let Some((name, _)) = text.filter(|(_, value)| *value == STARS) else {
                    continue;
                };
                let secret = variable(present, name).as_ref().and_then(written);
                let secret = secret.map(|secret| json!(format!("{name}={secret}")));
                found.put(entry, secret, format!("{path}[{index}]"));
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                let there = present.get(key).unwrap_or(&Value::Null);
                restore(value, there, place.below(key), &join(path, key), found);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter_mut().enumerate() {
                let (there, below) = if matches!(place, Place::Apps) {
                    (named(present, value.get("name")), Place::App)
                } else {
                    (present.get(index), Place::Other)
                };
                let path = format!("{path}[{index}]");
                restore(value, there.unwrap_or(&Value::Null), below, &path, found);
            }
        }
        Value::String(text) if text.contains(STARS) => {
            let shown = json!(text);
            if in_value(present.clone()) == shown {
                found.put(given, Some(present.clone()), String::new());
            } else if hides_something(text) {
                found.problems.push(unknown(path.to_owned()));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether the text is a URL whose credentials were hidden.
fn hides_something(text: &str) -> bool {
    text.split_once("://").is_some_and(|(_, rest)| {
        let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let credentials = place.rsplit_once('@').is_some_and(|(user, _)| user == STARS);
        credentials || rest.contains(&format!("={STARS}"))
    })
}

/// The app of that name.
fn named<'v>(apps: &'v Value, name: Option<&Value>) -> Option<&'v Value> {
    let name = name.filter(|name| name.is_string())?;
    apps.as_array()?.iter().find(|app| app.get("name") == Some(name))
}

/// The variable's value, however the environment is written.
fn variable(environment: &Value, name: &str) -> Option<Value> {
    match environment {
        Value::Object(variables) => variables.get(name).cloned(),
        Value::Array(entries) => {
            let entries = entries.iter().filter_map(|entry| entry.as_str()?.split_once('='));
            // If there are several, the last one counts.
            let value = entries.rev().find(|(of, _)| *of == name);
            value.map(|(_, value)| json!(value))
        }
        _ => None,
    }
}

/// What is written after `NAME=`; None for references, which have no such form.
fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn unknown(path: String) -> Problem {
    let problem = format!(
        "{STARS} stands for a secret of the present topology, which has none here: write the value out, or refer to \
         it with {{\"from_file\": …}} or {{\"from_env\": …}}"
    );
    Problem { path, problem }
}

fn join(path: &str, key: &str) -> String {
    crate::model::path(path, key)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn topology(password: &str) -> Value {
        json!({
            "infrastructure": {
                "hooks_git_repo": format!("https://me:{password}@git.test/hooks.git"),
                "cloud_driver": { "hosts": { "vm1": { "docker": format!("https://me:{password}@10.0.0.1") } } }
            },
            "apps": [
                { "name": "a", "tiers": { "db": { "environment": { "PASSWORD": password, "N": 5, "KEY": { "from_file": "/k" } } } } },
                { "name": "b", "tiers": { "web": { "environment": [format!("PASSWORD={password}"), "N=5"] } } },
            ],
            "notes": [format!("see https://x:{password}@wiki.test/a")]
        })
    }

    #[test]
    fn no_secret_is_shown_and_references_are() {
        let shown = without_secrets(&topology("geheim123"));
        assert!(!shown.to_string().contains("geheim123"), "{shown}");
        let environment = &shown["apps"][0]["tiers"]["db"]["environment"];
        assert_eq!(
            *environment,
            json!({ "PASSWORD": "***", "N": "***", "KEY": { "from_file": "/k" } })
        );
        let listed = &shown["apps"][1]["tiers"]["web"]["environment"];
        assert_eq!(*listed, json!(["PASSWORD=***", "N=***"]));
        assert_eq!(
            shown["infrastructure"]["hooks_git_repo"],
            "https://***@git.test/hooks.git"
        );
    }

    #[test]
    fn what_is_read_and_put_back_keeps_its_secrets_wherever_its_apps_stand() {
        let present = topology("geheim123");
        let mut shown = without_secrets(&present);
        assert_eq!(
            with_secrets(shown.clone(), Some(&present)).unwrap(),
            (present.clone(), true)
        );
        shown["apps"].as_array_mut().unwrap().reverse();
        let (back, _) = with_secrets(shown, Some(&present)).unwrap();
        assert_eq!(back["apps"][1], present["apps"][0]);
        assert_eq!(back["apps"][0], present["apps"][1]);
    }

    #[test]
    fn an_environment_written_the_other_way_keeps_its_secrets() {
        let present = topology("geheim123");
        let mut shown = without_secrets(&present);
        shown["apps"][0]["tiers"]["db"]["environment"] = json!(["PASSWORD=***"]);
        shown["apps"][1]["tiers"]["web"]["environment"] = json!({ "PASSWORD": "***" });
        let (back, _) = with_secrets(shown, Some(&present)).unwrap();
        assert_eq!(
            back["apps"][0]["tiers"]["db"]["environment"][0],
            "PASSWORD=geheim123"
        );
        assert_eq!(
            back["apps"][1]["tiers"]["web"]["environment"]["PASSWORD"],
            "geheim123"
        );
    }

    #[test]
    fn stars_that_stand_for_nothing_are_told_with_their_place() {
        let present = topology("geheim123");
        let paths = |given: Value| {
            let problems = with_secrets(given, Some(&present)).unwrap_err().0;
            problems
                .into_iter()
                .map(|problem| problem.path)
                .collect::<Vec<_>>()
        };
        let mut moved = without_secrets(&present);
        // The password would be sent to another host.
        moved["infrastructure"]["hooks_git_repo"] = json!("https://***@evil.test/hooks.git");
        moved["apps"][0]["name"] = json!("c");
        moved["apps"][1]["tiers"]["web"]["environment"] = json!(["OTHER=***"]);
        assert_eq!(
            paths(moved),
            [
                "infrastructure.hooks_git_repo",
                "apps[0].tiers.db.environment.PASSWORD",
                "apps[0].tiers.db.environment.N",
                "apps[1].tiers.web.environment[0]"
            ]
        );
        assert!(with_secrets(without_secrets(&present), None).is_err());
    }

    proptest! {
        #[test]
        fn reading_and_putting_back_changes_no_document(
            values in prop::collection::vec("[ -~]{0,20}", 4), scheme in "(https|ssh|tcp)",
        ) {
            let [one, two, three, four] = &values[..] else { unreachable!() };
            let document = json!({
                "infrastructure": { "hooks_git_repo": format!("{scheme}://{one}@h/{two}"), "x": [three, { "y": four }] },
                "apps": [{ "name": "a", "tiers": { "t": { "environment": { "A": one, "B": three }, "command": two } } }]
            });
            // A value that was put as `***` could not have been restored.
            prop_assume!(one != STARS && three != STARS);
            let shown = without_secrets(&document);
            prop_assert_eq!(with_secrets(shown, Some(&document)).unwrap().0, document);
        }
    }
}
