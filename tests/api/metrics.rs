//! What /metrics reports, checked by Prometheus' own tool; and the dashboard that uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::bad_input::topology;
use crate::server::Server;

/// The folder of what `scripts/setup test` has made or fetched.
pub fn cache() -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    std::env::var_os("MAPEK_CACHE_DIR")
        .map(PathBuf::from)
        .unwrap_or_else(|| {
            std::env::var_os("XDG_CACHE_HOME")
                .map_or_else(|| home.join(".cache"), PathBuf::from)
                .join("mapek")
        })
}

fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new(cache().join("tools/promtool"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is there: `make test` fetches it");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// The metrics of a service after some requests.
async fn metrics(accept: &str) -> (String, String) {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    server
        .put(
            "/api/translate",
            &json!({ "rubis": { "db": { "cpu_cores": 1, "mem_units": 1 } } }),
        )
        .await;
    server
        .put(
            "/api/translate",
            &json!({ "rubis": { "db": { "cpu_cores": 9, "mem_units": 9 } } }),
        )
        .await;
    server.put("/api/execute", &json!({})).await;
    server.get("/api/executions/nonsense").await;
    server.get("/nothing/here").await;
    let request = reqwest::Client::new()
        .get(format!("{}/metrics", server.base()))
        .header("accept", accept);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    (kind, response.text().await.unwrap())
}

/// Value of a sample, by its name and labels as they are written.
fn sample(text: &str, series: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in\n{text}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn what_happened_is_counted_in_a_form_that_prometheus_approves_of() {
    let (kind, text) = metrics("*/*").await;
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    let (fine, said) = promtool(&["check", "metrics"], &text);
    assert!(fine && said.trim().is_empty(), "{said}\n{text}");

    let translate = r#"method="PUT",route="/api/translate""#;
    assert!(
        (sample(
            &text,
            &format!("mapek_http_requests_total{{{translate},status=\"200\"}}")
        ) - 1.0)
            .abs()
            < 0.1
    );
    assert!(
        (sample(
            &text,
            &format!("mapek_http_requests_total{{{translate},status=\"422\"}}")
        ) - 1.0)
            .abs()
            < 0.1
    );
    assert!(
        (sample(
            &text,
            &format!("mapek_http_request_duration_seconds_count{{{translate}}}")
        ) - 2.0)
            .abs()
            < 0.1
    );
    // Ids and unknown paths do not make series of their own.
    assert!(text.contains("route=\"/api/executions/{id}\""), "{text}");
    assert!(
        sample(
            &text,
            r#"mapek_http_requests_total{method="GET",route="other",status="404"}"#
        ) > 0.0
    );
    assert!(!text.contains("nonsense") && !text.contains("nothing/here"));

    assert!(sample(&text, r#"mapek_solves_total{result="proven"}"#) > 0.0);
    assert!(sample(&text, r#"mapek_solves_total{result="infeasible"}"#) > 0.0);
    assert!(sample(&text, "mapek_solve_duration_seconds_count") > 0.0);
    assert!(sample(&text, r#"mapek_executions_total{outcome="succeeded"}"#) > 0.0);
    assert!(sample(&text, "mapek_journal_size_bytes") > 4096.0);
    assert!(sample(&text, "process_resident_memory_bytes") > 1e6);
    assert!(sample(&text, "process_start_time_seconds") > 1.7e9);
    assert!(sample(&text, "mapek_topology_generation") > 0.0);
}

#[tokio::test]
async fn a_client_that_accepts_openmetrics_gets_it() {
    let (kind, text) = metrics("application/openmetrics-text;version=1.0.0,text/plain;q=0.5").await;
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert!(text.contains("# TYPE mapek_executions counter\n"), "{text}");
}

/// Every query of the Grafana dashboard.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("expr").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| queries(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_grafana_dashboard_asks_for_nothing_that_is_not_told() {
    let (_, text) = metrics("*/*").await;
    let kinds: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let told = |name: &str| {
        let histogram = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        kinds.contains_key(name) || histogram.is_some_and(|name| kinds.get(name) == Some(&"histogram"))
    };
    let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/grafana.json")).unwrap();
    let mut found = Vec::new();
    queries(&serde_json::from_str(&file).unwrap(), &mut found);
    assert!(found.len() >= 15, "{found:#?}");
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':');
    let mut asked = BTreeSet::new();
    for query in &found {
        let names = query
            .split(word)
            .filter(|name| name.starts_with("mapek_") || name.starts_with("process_"));
        let names: Vec<&str> = names.collect();
        assert!(!names.is_empty(), "{query} asks for nothing of ours");
        for name in names {
            assert!(told(name), "{name}, in {query}, is not in /metrics");
            asked.insert(
                name.trim_end_matches("_bucket")
                    .trim_end_matches("_sum")
                    .trim_end_matches("_count")
                    .to_owned(),
            );
        }
    }
    // And it leaves nothing out that is worth looking at.
    for name in kinds.keys().filter(|name| name.starts_with("mapek_")) {
        assert!(
            asked.contains(*name) || *name == "mapek_drift_looks_total",
            "no panel shows {name}"
        );
    }

    // Prometheus can run its queries.
    let rules: Vec<Value> = found
        .iter()
        .enumerate()
        .map(|(index, query)| json!({ "record": format!("test:panel_{index}"), "expr": query.replace("$__rate_interval", "5m") }))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yml");
    // JSON is YAML as well.
    std::fs::write(
        &path,
        json!({ "groups": [{ "name": "panels", "rules": rules }] }).to_string(),
    )
    .unwrap();
    let (fine, said) = promtool(&["check", "rules", path.to_str().unwrap()], "");
    assert!(fine, "{said}");
}
