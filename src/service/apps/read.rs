//! Reading an app: its part of the topology and its sizes, or a Compose stack. All problems are told at once. Pure.

use serde_json::{Map, Value, json};

use crate::fault::{Code, Fault};
use crate::model::app::{Spec, Step};
use crate::model::{Plan, Problem, Problems, Topology, Warning, compose};

use crate::service::Snapshot;
use crate::service::besides::{merged, own_part};
use crate::service::redact::with_secrets;
use crate::service::topology::invalid;

/// An app that is given as a Compose stack, as an app; what it is told about it.
pub(super) fn composed(topology: &Topology, body: Value) -> Result<(Value, Vec<Warning>), Fault> {
    if !compose::is_compose(&body) {
        return Ok((body, Vec::new()));
    }
    let infrastructure = &topology.infrastructure;
    let units = compose::Units {
        mem_unit_mb: infrastructure.mem_unit_mb,
        whole_cores: infrastructure.cpu_mode.step() == 100,
    };
    let converted = compose::convert(&body, units);
    if converted.problems.is_empty() {
        return Ok((converted.app, converted.warnings));
    }
    Err(invalid(
        Code::AppInvalid,
        "Compose stack",
        &Problems(converted.problems),
    ))
}

/// Reads an app: its part of the topology, and `plan`. All problems are told, with their paths in the body.
pub(super) fn read(snapshot: &Snapshot, name: &str, body: Value) -> Result<(Spec, Vec<Warning>), Fault> {
    let topology = snapshot.topology()?;
    let mut problems = Vec::new();
    let problem = |path: &str, problem: &str| Problem {
        path: path.to_owned(),
        problem: problem.to_owned(),
    };
    let Value::Object(mut fields) = body else {
        let whole = problem("", "should be an object with tiers and plan");
        return Err(invalid(Code::AppInvalid, "app", &Problems(vec![whole])));
    };
    let plan = fields.shift_remove("plan");
    match fields.shift_remove("name") {
        None => {}
        Some(Value::String(given)) if given == name => {}
        Some(given) => problems.push(problem(
            "name",
            &format!("is {given}, and the path names {name:?}"),
        )),
    }
    let mut part = Map::from_iter([("name".to_owned(), json!(name))]);
    part.extend(fields);
    let mut part = json!(part);
    // What `***` stands for is what the app is shown with: what its newest request wants, or else what it has now.
    let shown = snapshot
        .besides
        .apps
        .get(name)
        .and_then(|app| match &app.request.step {
            Step::Deploy(spec) => Some(json!({ "apps": [spec.part] })),
            Step::Remove => None,
        });
    let present = shown.as_ref().unwrap_or(&topology.document);
    match with_secrets(json!({ "apps": [part.clone()] }), Some(present)) {
        Ok((mut whole, _)) => part = whole.pointer_mut("/apps/0").map(Value::take).unwrap_or_default(),
        Err(Problems(found)) => problems.extend(found.into_iter().map(|one| inside(one, "apps[0]"))),
    }
    let mut others = (*snapshot.besides.apps).clone();
    others.remove(name);
    let mut whole = merged(&own_part(&topology.document), &others);
    let mut index = 0;
    if let Some(apps) = whole.get_mut("apps").and_then(Value::as_array_mut) {
        index = apps.len();
        apps.push(part.clone());
    }
    let place = format!("apps[{index}]");
    let mut warnings = Vec::new();
    let parsed = Topology::parse(&whole);
    let sizes = match (&parsed, &plan) {
        (_, None) => {
            problems.push(problem("plan", "is missing: it says what each tier holds in all"));
            None
        }
        (Ok(parsed), Some(plan)) => match Plan::parse(&json!({ name: plan }), &parsed.topology) {
            Ok((sizes, found)) => {
                warnings.extend(found);
                Some(sizes.tiers)
            }
            Err(Problems(found)) => {
                problems.extend(found.into_iter().map(|one| renamed(one, name)));
                None
            }
        },
        (Err(_), Some(plan)) => {
            if let Err(Problems(found)) = Plan::check_alone(&json!({ name: plan })) {
                problems.extend(found.into_iter().map(|one| renamed(one, name)));
            }
            None
        }
    };
    match parsed {
        Ok(parsed) => {
            let own = parsed
                .warnings
                .into_iter()
                .filter(|one| one.path.starts_with(&place));
            warnings.extend(own.map(|one| Warning {
                path: stripped(&one.path, &place),
                ..one
            }));
        }
        Err(Problems(found)) => problems.extend(found.into_iter().map(|one| inside(one, &place))),
    }
    match sizes.filter(|_| problems.is_empty()) {
        Some(plan) => Ok((Spec { part, plan }, warnings)),
        None => Err(invalid(Code::AppInvalid, "app", &Problems(problems))),
    }
}

/// A problem of a topology, with its path in the app that is the cause.
fn inside(one: Problem, place: &str) -> Problem {
    Problem {
        path: stripped(&one.path, place),
        ..one
    }
}

fn stripped(path: &str, place: &str) -> String {
    let rest = path.strip_prefix(place).unwrap_or(path);
    rest.strip_prefix('.').unwrap_or(rest).to_owned()
}

/// A problem of a plan for one app, with its path in `plan`.
fn renamed(one: Problem, app: &str) -> Problem {
    let rest = one.path.strip_prefix(app).unwrap_or(&one.path);
    Problem {
        path: format!("plan{rest}"),
        ..one
    }
}
