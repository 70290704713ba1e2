//! `mapek topology`, `allocation`, `inspect`, `translate`: what is there, and what would be.

use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::config::client::{FileArgument, GiveUpOptions, Output, TranslateOptions};

use super::http::Client;
use super::input;
use super::problem::Problem;
use super::show::{cell, further, objects, print, print_json, table};
use super::style::{CHANGE, DELETE, number, paint};
use super::summary::summary;

/// Shows the topology.
///
/// # Errors
///
/// When the service answers with an error.
pub async fn topology(client: &Client, output: Option<Output>) -> Result<(), Problem> {
    let answer = untimed(client.ask(Method::GET, "/api/topology", None).await?);
    if output != Some(Output::Table) {
        return print_json(&answer);
    }
    let mut rows = Vec::new();
    for app in answer.get("apps").and_then(Value::as_array).into_iter().flatten() {
        for (key, tier) in app.get("tiers").into_iter().flat_map(objects) {
            let several = |name: &str| match tier.get(name) {
                Some(Value::Array(values)) => values
                    .iter()
                    .map(|value| cell(Some(value)))
                    .collect::<Vec<_>>()
                    .join(", "),
                other => cell(other),
            };
            let name = format!("{}_{key}", cell(app.get("name")));
            let nodes = tier.get("max_node").or_else(|| tier.get("max_nodes"));
            rows.push(vec![
                name,
                several("docker_image"),
                several("ports"),
                cell(nodes),
                several("depends_on"),
            ]);
        }
    }
    print(&table(
        &["TIER", "IMAGE", "PORTS", " MAX NODE", "DEPENDS ON"],
        rows,
    ))
}

/// Puts a topology.
///
/// # Errors
///
/// When the service refuses it.
pub async fn put_topology(client: &Client, file: &FileArgument, output: Output) -> Result<(), Problem> {
    let document = input::read(&file.file)?;
    let answer = client.ask(Method::PUT, "/api/topology", Some(&document)).await?;
    if output == Output::Json {
        return print_json(&answer);
    }
    for warning in answer
        .get("warnings")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let text = match (warning.get("path"), warning.get("problem")) {
            (Some(path), Some(problem)) => format!("{}: {}", cell(Some(path)), cell(Some(problem))),
            _ => cell(Some(warning)),
        };
        print(&format!("{} {text}", paint(CHANGE, "note:")))?;
    }
    print(&format!("Put, as generation {}", cell(answer.get("generation"))))
}

/// Shows what a plan would change.
///
/// # Errors
///
/// When the plan is not valid or has no solution.
pub async fn translate(client: &Client, options: &TranslateOptions, output: Output) -> Result<(), Problem> {
    let plan = input::read(&options.plan)?;
    let proposal = client.ask(Method::PUT, "/api/translate", Some(&plan)).await?;
    match output {
        Output::Json => print_json(&proposal),
        Output::Table => print(&summary(&proposal, options.stages)),
    }
}

/// Shows the VMs in use.
///
/// # Errors
///
/// When the service answers with an error.
pub async fn allocation(client: &Client, output: Output) -> Result<(), Problem> {
    let answer = untimed(client.ask(Method::GET, "/api/allocation", None).await?);
    if output == Output::Json {
        return print_json(&answer);
    }
    let further = further(&answer);
    let mut rows = Vec::new();
    for (name, vm) in objects(&answer) {
        let used = || vm.get("used").into_iter().flat_map(objects);
        let sum = |key: &str| -> f64 {
            used()
                .filter_map(|(_, container)| container.get(key)?.as_f64())
                .sum()
        };
        let share = |key: &str| format!("{}/{}", number(sum(key)), cell(vm.get(key)));
        let mut row = vec![
            name.clone(),
            cell(vm.get("ip")),
            "all".to_owned(),
            share("cpu_cores"),
            share("mem_units"),
        ];
        row.extend(further.iter().map(|(key, _)| share(key)));
        rows.push(row);
        for (container, size) in used() {
            let of = |key: &str| cell(size.get(key));
            let mut row = vec![
                String::new(),
                String::new(),
                container.clone(),
                of("cpu_cores"),
                of("mem_units"),
            ];
            row.extend(further.iter().map(|(key, _)| of(key)));
            rows.push(row);
        }
    }
    if rows.is_empty() {
        return print("No VM is in use.");
    }
    let mut head = vec!["VM", "ADDRESS", "CONTAINER", " CPU CORES", " MEM UNITS"];
    head.extend(further.iter().map(|(_, name)| *name));
    print(&table(&head, rows))
}

/// Shows what really runs.
///
/// # Errors
///
/// When the service answers with an error.
pub async fn inspect(client: &Client, output: Output) -> Result<(), Problem> {
    let answer = untimed(client.ask(Method::GET, "/api/inspect", None).await?);
    if output == Output::Json {
        return print_json(&answer);
    }
    let mut rows = Vec::new();
    for (vm, containers) in objects(&answer) {
        for (name, container) in containers
            .iter()
            .filter_map(|(name, seen)| Some((name, seen.as_object()?)))
        {
            rows.push(inspected(vm, name, container));
        }
    }
    if rows.is_empty() {
        return print("Nothing runs.");
    }
    print(&table(
        &[
            "VM",
            "CONTAINER",
            "STATE",
            "CPUSET",
            " CPUS",
            " MEM UNITS",
            "IMAGE",
            "DRIFT",
        ],
        rows,
    ))
}

fn inspected(vm: &str, name: &str, container: &Map<String, Value>) -> Vec<String> {
    let text = |key: &str| cell(container.get(key));
    let health = container
        .get("health")
        .and_then(Value::as_str)
        .filter(|health| *health != "none");
    let state = match health {
        Some(health) => format!("{} ({health})", text("state")),
        None => text("state"),
    };
    let cpus = container
        .get("NanoCpus")
        .and_then(Value::as_f64)
        .filter(|nano| *nano > 0.0);
    let drift = container
        .get("drift")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let drift: Vec<String> = drift.map(|difference| cell(Some(difference))).collect();
    vec![
        vm.to_owned(),
        name.to_owned(),
        state,
        text("CpusetCpus"),
        cpus.map_or_else(|| "-".to_owned(), |nano| number(nano / 1e9)),
        text("MemUnits"),
        text("image"),
        if drift.is_empty() {
            "-".to_owned()
        } else {
            paint(DELETE, drift.join("; "))
        },
    ]
}

/// Takes over the containers of a data directory that was lost.
///
/// # Errors
///
/// When the service refuses.
pub async fn adopt(client: &Client, owner: &str, output: Output) -> Result<(), Problem> {
    let body = json!({ "owner": owner });
    let answer = client.ask(Method::POST, "/api/adopt", Some(&body)).await?;
    if output == Output::Json {
        return print_json(&answer);
    }
    let warnings = answer.get("warnings").and_then(Value::as_array);
    for warning in warnings.into_iter().flatten() {
        print(&format!("{} {}", paint(CHANGE, "note:"), cell(Some(warning))))?;
    }
    let vms = answer.get("adopted").and_then(Value::as_object);
    for (vm, containers) in vms.into_iter().flatten() {
        let names = containers.as_array().into_iter().flatten();
        let names: Vec<String> = names.map(|name| cell(Some(name))).collect();
        print(&format!("Adopted on {vm}: {}", names.join(", ")))?;
    }
    Ok(())
}

/// Gives up a VM that is gone for good, with what was on it.
///
/// # Errors
///
/// When the answer was not yes, or the service refuses.
pub async fn give_up(client: &Client, options: &GiveUpOptions, output: Output) -> Result<(), Problem> {
    let vm = &options.vm;
    let allocation = client.ask(Method::GET, "/api/allocation", None).await?;
    let held = allocation.get(vm).and_then(|vm| vm.get("used"));
    let held: Vec<String> = held
        .into_iter()
        .flat_map(objects)
        .map(|(name, _)| name.clone())
        .collect();
    // A VM that the allocation lacks is for the service to refuse.
    if !options.yes && allocation.get(vm).is_some_and(Value::is_object) {
        let what = match held.as_slice() {
            [] => "nothing".to_owned(),
            held => held.join(", "),
        };
        input::confirm(&format!("Give up {vm}, which held {what}?"))?;
    }
    let path = format!("/api/allocation/{}", utf8_percent_encode(vm, NON_ALPHANUMERIC));
    let answer = client.ask(Method::DELETE, &path, None).await?;
    if output == Output::Json {
        return print_json(&answer);
    }
    let given_up = answer.get("given_up").and_then(Value::as_array);
    let names: Vec<String> = given_up
        .into_iter()
        .flatten()
        .map(|name| cell(Some(name)))
        .collect();
    match names.as_slice() {
        [] => print(&format!("Gave up {vm}; nothing was on it")),
        names => print(&format!(
            "Gave up {vm} with {}: the next plan places them elsewhere",
            names.join(", ")
        )),
    }
}

/// Turns an answer of the service into a body for it.
fn untimed(mut answer: Value) -> Value {
    if let Some(fields) = answer.as_object_mut() {
        fields.shift_remove("time");
    }
    answer
}
