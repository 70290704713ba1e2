//! `mapek diff`: what putting a topology would change, field by field.

use hyper::Method;
use serde_json::{Value, json};

use crate::config::client::{DiffOptions, Output};
use crate::fault::STARS;
use crate::model::path;
use crate::service::without_secrets;

use super::http::Client;
use super::input;
use super::problem::{Exit, Problem};
use super::show::{print, print_json};
use super::style::{CHANGE, CREATE, DELETE, count, paint};

/// Compares a topology with the one that the service has.
///
/// # Errors
///
/// When the service answers with an error, or when something differs and the exit code should say
/// so.
pub async fn diff(client: &Client, options: &DiffOptions, output: Output) -> Result<(), Problem> {
    // The service hides secrets, so what it has can only be compared with what it would show.
    let given = without_secrets(&input::read(&options.file)?);
    let mut present = client.ask(Method::GET, "/api/topology", None).await?;
    if let Some(fields) = present.as_object_mut() {
        fields.shift_remove("time");
    }
    let found = compared(&present, &given);
    let report = json!({
        "changes": found.changes.iter().map(Change::to_json).collect::<Value>(),
        "hidden": found.hidden,
    });
    let differs = !found.changes.is_empty();
    let fails = differs && options.exit_code;
    match output {
        Output::Table => show(&found)?,
        Output::Json if !fails => print_json(&report)?,
        // The report itself is the error message.
        Output::Json => {}
    }
    if !fails {
        return Ok(());
    }
    Err(Problem {
        exit: Exit::Differs,
        message: format!("the topology differs in {}", count(found.changes.len(), "place")),
        answer: Some(report),
    })
}

fn show(found: &Found) -> Result<(), Problem> {
    for change in &found.changes {
        let Change { path, was, becomes } = change;
        print(&match (was, becomes) {
            (None, Some(new)) => paint(CREATE, format!("+ {path}: {new}")),
            (Some(old), None) => paint(DELETE, format!("- {path}: {old}")),
            (old, new) => {
                let text = |value: &Option<Value>| value.clone().unwrap_or(Value::Null).to_string();
                paint(CHANGE, format!("~ {path}: {} -> {}", text(old), text(new)))
            }
        })?;
    }
    if found.changes.is_empty() {
        print("The service has this topology.")?;
    }
    match found.hidden {
        0 => Ok(()),
        hidden => print(&format!(
            "{} could not be compared: the service does not show secrets.",
            count(hidden, "hidden value")
        )),
    }
}

/// A field that differs.
#[derive(Debug, PartialEq)]
struct Change {
    path: String,
    was: Option<Value>,
    becomes: Option<Value>,
}

impl Change {
    fn to_json(&self) -> Value {
        json!({ "path": self.path, "was": self.was, "becomes": self.becomes })
    }
}

/// What a comparison found.
#[derive(Debug, Default, PartialEq)]
struct Found {
    changes: Vec<Change>,
    /// Values that are hidden on both sides, and may differ.
    hidden: usize,
}

fn compared(present: &Value, given: &Value) -> Found {
    let mut found = Found::default();
    compare("", Some(present), Some(given), &mut found);
    found
}

fn compare(place: &str, old: Option<&Value>, new: Option<&Value>, found: &mut Found) {
    // A field that is null means the same as one that is missing.
    let (old, new) = (
        old.filter(|value| !value.is_null()),
        new.filter(|value| !value.is_null()),
    );
    match (old, new) {
        (None, None) => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            for (key, value) in before {
                compare(&path(place, key), Some(value), after.get(key), found);
            }
            for (key, value) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
                compare(&path(place, key), None, Some(value), found);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            // Apps are matched by name, whatever their order in the list.
            match (place == "apps")
                .then(|| Some((by_name(before)?, by_name(after)?)))
                .flatten()
            {
                Some((before, after)) => compare_apps(&before, &after, found),
                None => {
                    for index in 0..before.len().max(after.len()) {
                        let place = format!("{place}[{index}]");
                        compare(&place, before.get(index), after.get(index), found);
                    }
                }
            }
        }
        (Some(before), Some(after)) if is_same(before, after) => {
            if before.as_str().is_some_and(|text| text.contains(STARS)) {
                found.hidden += 1;
            }
        }
        (was, becomes) => found.changes.push(Change {
            path: place.to_owned(),
            was: was.cloned(),
            becomes: becomes.cloned(),
        }),
    }
}

type Named<'a> = Vec<(&'a str, &'a Value)>;

/// The entries of a list by name; None if one has no name, or two have the same.
fn by_name(list: &[Value]) -> Option<Named<'_>> {
    let named: Option<Named<'_>> = list
        .iter()
        .map(|one| Some((one.get("name")?.as_str()?, one)))
        .collect();
    let mut names: Vec<&str> = named.iter().flatten().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    named.filter(|named| named.len() == names.len())
}

fn compare_apps(before: &Named<'_>, after: &Named<'_>, found: &mut Found) {
    let of = |list: &Named<'_>, name: &str| {
        list.iter()
            .find(|(one, _)| *one == name)
            .map(|(_, app)| (*app).clone())
    };
    let added = after.iter().filter(|(name, _)| of(before, name).is_none());
    for (name, _) in before.iter().chain(added) {
        let place = format!("apps[{}]", Value::from(*name));
        compare(&place, of(before, name).as_ref(), of(after, name).as_ref(), found);
    }
}

/// 6 and 6.0 are the same number.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.total_cmp(&other).is_eq(),
        _ => one == other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn topology() -> Value {
        json!({ "infrastructure": { "cpu_cores": 2 }, "apps": [
            { "name": "a", "tiers": { "db": { "docker_image": "db:1", "ports": ["1:1", "2:2"],
                "environment": { "PASSWORD": "***", "KEY": { "from_file": "/k" } } } } },
            { "name": "b", "tiers": {} } ] })
    }

    #[test]
    fn the_order_of_apps_and_the_way_a_number_is_written_do_not_matter() {
        let mut given = topology();
        given["infrastructure"]["cpu_cores"] = json!(2.0);
        given["infrastructure"]["max_vms"] = Value::Null;
        if let Some(apps) = given["apps"].as_array_mut() {
            apps.reverse();
        }
        let found = compared(&topology(), &given);
        assert_eq!((found.changes, found.hidden), (Vec::new(), 1));
    }

    #[test]
    fn every_member_that_differs_is_told_with_its_path() {
        let mut given = topology();
        given["infrastructure"] = json!({ "cpu_cores": 4, "max_vms": 3 });
        given["apps"][0]["tiers"]["db"]["ports"] = json!(["1:1"]);
        given["apps"][0]["tiers"]["db"]["environment"]["PASSWORD"] = json!({ "from_env": "P" });
        given["apps"][1]["name"] = json!("c d");
        let found = compared(&topology(), &given);
        let told: Vec<(&str, Value, Value)> = found
            .changes
            .iter()
            .map(|one| (one.path.as_str(), json!(one.was), json!(one.becomes)))
            .collect();
        assert_eq!(
            told,
            [
                ("infrastructure.cpu_cores", json!(2), json!(4)),
                ("infrastructure.max_vms", Value::Null, json!(3)),
                ("apps[\"a\"].tiers.db.ports[1]", json!("2:2"), Value::Null),
                (
                    "apps[\"a\"].tiers.db.environment.PASSWORD",
                    json!("***"),
                    json!({ "from_env": "P" })
                ),
                ("apps[\"b\"]", json!({ "name": "b", "tiers": {} }), Value::Null),
                (
                    "apps[\"c d\"]",
                    Value::Null,
                    json!({ "name": "c d", "tiers": {} })
                ),
            ]
        );
    }

    #[test]
    fn before_the_first_topology_everything_is_new() {
        let found = compared(&json!({}), &topology());
        let paths: Vec<&str> = found.changes.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(paths, ["infrastructure", "apps"]);
    }
}
