//! `mapek top`: what the containers use of their limits.

use std::time::Duration;

use hyper::Method;
use serde_json::{Map, Value};

use crate::config::client::{Output, TopOptions};

use super::http::Client;
use super::problem::Problem;
use super::show::{objects, print, print_json, table};
use super::style::{CHANGE, DELETE, number, paint};

/// Between two measurements, which take about a second themselves.
const PAUSE: Duration = Duration::from_secs(1);
/// From here on it is getting tight.
const MUCH: f64 = 0.9;

/// Shows the use of every container, once or again and again.
///
/// # Errors
///
/// When the service answers with an error.
pub async fn top(client: &Client, options: &TopOptions, output: Output) -> Result<(), Problem> {
    if !options.watch {
        return once(client, output, false).await;
    }
    loop {
        let round = async {
            once(client, output, true).await?;
            tokio::time::sleep(PAUSE).await;
            Ok(())
        };
        tokio::select! {
            result = round => result?,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

async fn once(client: &Client, output: Output, again: bool) -> Result<(), Problem> {
    let answer = client.ask(Method::GET, "/api/usage", None).await?;
    if output == Output::Json {
        // One object a line, if there are several.
        return if again {
            print(&answer.to_string())
        } else {
            print_json(&answer)
        };
    }
    // Only a terminal is cleared; elsewhere one table follows the other.
    let clear = if again { "\x1b[H\x1b[2J" } else { "" };
    print(&format!("{clear}{}", shown(&answer)))
}

fn shown(answer: &Value) -> String {
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    for (vm, containers) in objects(answer) {
        let containers = containers
            .iter()
            .filter_map(|(name, one)| Some((name, one.as_object()?)));
        for (name, one) in containers {
            rows.push(row(vm, name, one));
            if let Some(problem) = one.get("problem").and_then(Value::as_str) {
                problems.push(format!(
                    "{} {vm}/{name}: {problem}",
                    paint(DELETE, "not measured:")
                ));
            }
        }
    }
    if rows.is_empty() {
        return "Nothing runs.".to_owned();
    }
    let heads = [
        "VM",
        "CONTAINER",
        "STATE",
        " CPU",
        " OF CORES",
        "  %",
        " MEMORY",
        " OF MIB",
        "  %",
    ];
    let mut lines = vec![table(&heads, rows)];
    lines.extend(problems);
    lines.join("\n")
}

fn row(vm: &str, name: &str, one: &Map<String, Value>) -> Vec<String> {
    let of = |key: &str| one.get(key).and_then(Value::as_f64);
    let mib = |bytes: f64| number((bytes / 1_048_576.0 * 10.0).round() / 10.0);
    let told =
        |value: Option<f64>, as_text: &dyn Fn(f64) -> String| value.map_or_else(|| "-".to_owned(), as_text);
    let state = one.get("state").and_then(Value::as_str).unwrap_or("-");
    vec![
        vm.to_owned(),
        name.to_owned(),
        state.to_owned(),
        told(of("cpu_cores"), &number),
        told(of("cpu_limit"), &number),
        share(of("cpu_cores"), of("cpu_limit")),
        told(of("memory"), &mib),
        told(of("memory_limit"), &mib),
        share(of("memory"), of("memory_limit")),
    ]
}

fn share(used: Option<f64>, limit: Option<f64>) -> String {
    let (Some(used), Some(limit)) = (used, limit.filter(|limit| *limit > 0.0)) else {
        return "-".to_owned();
    };
    let share = used / limit;
    let text = format!("{:.0}", share * 100.0);
    if share >= MUCH { paint(CHANGE, text) } else { text }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn use_is_told_beside_its_limit_and_what_is_not_known_as_a_dash() {
        let answer = json!({ "time": "1.00", "vm1": {
            "a": { "cpu_cores": 0.5, "cpu_limit": 2, "memory": 62_914_560, "memory_limit": 67_108_864,
                "state": "running", "problem": null },
            "b": { "cpu_cores": null, "cpu_limit": 1, "memory": null, "memory_limit": null, "state": "gone" },
        } });
        let text = anstream::adapter::strip_str(&shown(&answer)).to_string();
        let rows: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            rows[1],
            ["vm1", "a", "running", "0.5", "2", "25", "60", "64", "94"]
        );
        assert_eq!(rows[2], ["vm1", "b", "gone", "-", "1", "-", "-", "-", "-"]);
        assert_eq!(shown(&json!({ "time": "0.00" })), "Nothing runs.");
    }
}
