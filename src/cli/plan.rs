//! `mapek plan` and `mapek undo`: the plan that holds, and the one before it.

use hyper::Method;
use serde_json::Value;

use crate::config::client::{HowOptions, Output};

use super::execute::carry_out;
use super::executions::listed;
use super::http::Client;
use super::problem::{Exit, Problem};
use super::progress::say;
use super::show::{cell, further, objects, print, print_json, table};
use super::style::{CHANGE, CREATE, DELETE, STRONG, paint};

/// How many executions are read at a time in search of the earlier plan.
const PAGE: u32 = 50;

/// Shows the plan that holds.
///
/// # Errors
///
/// When the service answers with an error.
pub async fn plan(client: &Client, output: Output) -> Result<(), Problem> {
    let answer = client.ask(Method::GET, "/api/plan", None).await?;
    if output == Output::Json {
        return print_json(&answer);
    }
    let of = |key: &str| cell(answer.get(key));
    let state = of("state");
    let Some(plan) = answer.get("plan").filter(|plan| plan.is_object()) else {
        return print("There is no plan yet.");
    };
    let style = match state.as_str() {
        "reached" => CREATE,
        "under_way" => CHANGE,
        _ => DELETE,
    };
    print(&format!(
        "{} {}",
        paint(STRONG, "state:    "),
        paint(style, told(&state))
    ))?;
    print(&format!(
        "{} {} by {}",
        paint(STRONG, "since:    "),
        of("since"),
        of("by")
    ))?;
    print(&format!("{} {}", paint(STRONG, "execution:"), of("execution")))?;
    let rows: Vec<Vec<String>> = amounts(plan);
    if !rows.is_empty() {
        let mut head = vec!["TIER", " CPU CORES", " MEM UNITS"];
        head.extend(further(plan).iter().map(|(_, name)| *name));
        print(&table(&head, rows))?;
    }
    for difference in answer
        .get("differences")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        print(&format!("{} {}", paint(DELETE, "differs:"), differs(difference)))?;
    }
    Ok(())
}

fn told(state: &str) -> String {
    match state {
        "under_way" => "under way: its execution has not ended".to_owned(),
        "reached" => "reached".to_owned(),
        "drifted" => "drifted: it was reached, and something differs now".to_owned(),
        "failed" => "failed: its execution failed, was cancelled or was undone".to_owned(),
        other => other.to_owned(),
    }
}

/// The tiers of a plan, however it is written.
fn amounts(plan: &Value) -> Vec<Vec<String>> {
    let further = further(plan);
    let row = |name: String, tier: &Value| {
        let of = |key: &str| cell(tier.get(key));
        let mut row = vec![name, of("cpu_cores"), of("mem_units")];
        // What is left out is none.
        let some = |key: &str| {
            tier.get(key)
                .map_or_else(|| "0".to_owned(), |amount| cell(Some(amount)))
        };
        row.extend(further.iter().map(|(key, _)| some(key)));
        row
    };
    let is_amount = |value: &Value| value.get("cpu_cores").is_some_and(Value::is_number);
    let mut rows = Vec::new();
    for (app, tiers) in objects(plan) {
        let whole = Value::Object(tiers.clone());
        if is_amount(&whole) {
            rows.push(row(app.clone(), &whole));
        } else {
            rows.extend(tiers.iter().map(|(key, tier)| row(format!("{app}_{key}"), tier)));
        }
    }
    rows.sort_unstable();
    rows
}

fn differs(difference: &Value) -> String {
    let text = |key: &str| difference.get(key).and_then(Value::as_str);
    let details: Vec<&str> = difference
        .get("details")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let place = text("vm").map(|vm| format!(" on {vm}")).unwrap_or_default();
    let since = text("since")
        .map(|since| format!(", since {since}"))
        .unwrap_or_default();
    format!(
        "{}{place}: {}{since}",
        text("container").unwrap_or_default(),
        details.join("; ")
    )
}

/// Carries out the plan that was reached last before the one that holds, with the topology that it
/// was made for.
///
/// # Errors
///
/// When there is none, or it was not carried out.
pub async fn undo(client: &Client, options: &HowOptions, output: Output) -> Result<(), Problem> {
    let held = client.ask(Method::GET, "/api/plan", None).await?;
    let none = |text: &str| Err(Problem::new(Exit::Conflict, text));
    let Some(holds) = held.get("plan").filter(|plan| plan.is_object()) else {
        return none("there is no plan to undo yet");
    };
    if held.get("state").and_then(Value::as_str) == Some("under_way") {
        let id = cell(held.get("execution"));
        return none(&format!(
            "the plan that holds is still being carried out: wait for execution {id}, or stop it with mapek cancel"
        ));
    }
    let present = generation_of(client, &held).await?;
    let Some(before) = reached_before(client, holds, present).await? else {
        return none("the history has no other plan that was reached, so there is nothing to go back to");
    };
    say(&format!(
        "Back to the plan of execution {}, reached at {}",
        cell(before.get("id")),
        cell(before.get("finished_at"))
    ));
    let plan = before.get("plan").unwrap_or(&Value::Null);
    let generation = generation(&before);
    if generation == present || generation == 0 {
        return carry_out(client, plan, options, output).await;
    }
    say(&format!(
        "Back to the topology of generation {generation}, which it was made for"
    ));
    let was = topology(client, "/api/topology").await?;
    let put = put_topology_of(client, generation).await?;
    let result = carry_out(client, plan, options, output).await;
    // If nothing was begun, the topology must not stay, or the next plan would roll it out. Where it was that one
    // already, putting it has changed nothing, and the one of the generation before is another.
    if let Err(problem) = &result
        && was_not_begun(problem.exit)
        && let Some(replaced) = put.checked_sub(1)
        && topology(client, &format!("/api/topology?generation={replaced}"))
            .await
            .is_ok_and(|before| before == was)
    {
        put_topology_of(client, replaced).await?;
        say("The topology is again the one that was there before");
    }
    result
}

/// A topology as it is shown.
async fn topology(client: &Client, path: &str) -> Result<Value, Problem> {
    let mut shown = client.ask(Method::GET, path, None).await?;
    if let Some(fields) = shown.as_object_mut() {
        fields.shift_remove("time");
    }
    Ok(shown)
}

/// Puts the topology of an earlier generation, and returns the generation that it now has.
async fn put_topology_of(client: &Client, generation: u64) -> Result<u64, Problem> {
    let path = format!("/api/topology?generation={generation}");
    let put = client
        .ask(Method::PUT, &path, Some(&serde_json::json!({})))
        .await?;
    Ok(self::generation(&put))
}

/// Whether this exit code means that no execution was begun.
const fn was_not_begun(exit: Exit) -> bool {
    match exit {
        Exit::Usage | Exit::Refused | Exit::Conflict | Exit::Denied | Exit::Unconfirmed => true,
        Exit::Failed
        | Exit::Unsuccessful
        | Exit::Unreachable
        | Exit::Broken
        | Exit::Differs
        | Exit::Interrupted => false,
    }
}

/// The topology that an execution was made for; 0 if its record does not say.
fn generation(record: &Value) -> u64 {
    record.get("generation").and_then(Value::as_u64).unwrap_or(0)
}

/// The topology that the plan which holds was made for.
async fn generation_of(client: &Client, held: &Value) -> Result<u64, Problem> {
    let Some(id) = held.get("execution").and_then(Value::as_str) else {
        return Ok(0);
    };
    let record = client
        .ask(Method::GET, &format!("/api/executions/{id}"), None)
        .await?;
    Ok(generation(&record))
}

/// The newest execution that reached a plan other than the one that holds, or that plan with
/// another topology.
async fn reached_before(client: &Client, holds: &Value, present: u64) -> Result<Option<Value>, Problem> {
    let mut before = None;
    loop {
        let filters = [
            ("state", Some("succeeded".to_owned())),
            ("limit", Some(PAGE.to_string())),
            ("before", before),
        ];
        let page = listed(client, "/api/executions", &filters).await?;
        let executions = page.get("executions").and_then(Value::as_array);
        for execution in executions.into_iter().flatten() {
            // What the service did by itself, or for an app or an intent, went to a plan that somebody had sent before.
            if execution.get("reconcile").is_some_and(|why| !why.is_null()) {
                continue;
            }
            let path = format!("/api/executions/{}", cell(execution.get("id")));
            let record = client.ask(Method::GET, &path, None).await?;
            let plan = record.get("plan").filter(|plan| plan.is_object());
            let other = ![0, present].contains(&generation(&record)) && present != 0;
            if plan.is_some_and(|plan| other || amounts(plan) != amounts(holds)) {
                return Ok(Some(record));
            }
        }
        before = page.get("next").and_then(Value::as_str).map(str::to_owned);
        if before.is_none() {
            return Ok(None);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_says_the_same_whichever_way_it_is_written() {
        let nested = json!({ "$schema": "x", "shop": { "db": { "cpu_cores": 1, "mem_units": 2 } } });
        let flat = json!({ "shop_db": { "cpu_cores": 1.0, "mem_units": 2.0 } });
        assert_eq!(amounts(&nested), [["shop_db", "1", "2"]]);
        assert_eq!(amounts(&nested), amounts(&flat));
    }
}
