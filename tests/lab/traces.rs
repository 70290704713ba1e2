//! Traces at a real collector: [rotel](https://rotel.dev), which prints every span that it
//! receives.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::http;
use crate::images;
use crate::process::{Daemon, wait_until};
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan};

const ENDPOINT: &str = "127.0.0.1:4318";

/// A span, as the collector took it.
#[derive(Clone, Debug, Default)]
struct Span {
    name: String,
    trace: String,
    id: String,
    parent: String,
    /// Texts and numbers alike, as text.
    fields: BTreeMap<String, String>,
}

fn collector() -> Daemon {
    let mut command = Command::new(images::collector());
    command.args([
        "start",
        "--otlp-http-endpoint",
        ENDPOINT,
        "--pid-file",
        "/run/lab/rotel.pid",
    ]);
    command.args([
        "--exporter",
        "blackhole",
        "--debug-log",
        "traces",
        "--debug-log-verbosity",
        "detailed",
    ]);
    let mut daemon = Daemon::start("rotel", Path::new("/run/lab/rotel.log"), &mut command);
    daemon.wait_ready(|| std::net::TcpStream::connect(ENDPOINT).is_ok());
    daemon
}

/// What the collector has printed.
fn spans(log: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    for part in log.split("Span #").skip(1) {
        let mut span = Span::default();
        // Its events have attributes of their own.
        let own = |line: &&str| *line != "Events:" && !line.starts_with("ResourceSpans");
        for line in part.lines().skip(1).take_while(own) {
            if let Some((name, value)) = line
                .trim()
                .strip_prefix("-> ")
                .and_then(|rest| rest.split_once(": "))
            {
                let inner = value.split_once('(').map(|(_, rest)| rest.trim_end_matches(')'));
                span.fields
                    .insert(name.to_owned(), inner.unwrap_or(value).to_owned());
            } else if let Some((name, value)) = line.split_once(" : ") {
                let field = match name.trim() {
                    "Name" => &mut span.name,
                    "Trace ID" => &mut span.trace,
                    "ID" => &mut span.id,
                    "Parent ID" => &mut span.parent,
                    _ => continue,
                };
                value.trim().clone_into(field);
            }
        }
        spans.push(span);
    }
    spans
}

#[test]
fn a_request_and_its_execution_are_one_trace_with_their_ids() {
    in_lab!(1, async |lab| {
        let collector = collector();
        let endpoint = format!("http://{ENDPOINT}");
        let mut service = Service::start_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
        let tiers = json!({"one": idle(), "two": idle()});
        service.put_topology(&on_hosts(lab.hosts(1), tiers)).await;
        let wanted = plan(&[("one", 1.0, 1), ("two", 1.0, 2)]);
        let answer = http::client()
            .put(service.api.url("/api/execute"))
            .header("x-request-id", "this-one")
            .body(wanted.to_string())
            .send()
            .await
            .unwrap();
        let answer: Value = answer.json().await.unwrap();
        let execution = answer["execution"].as_str().unwrap();
        let actions = service.executions().await["executions"][0]["actions"].clone();
        // What has not been sent yet is sent now.
        assert!(service.terminate().success());

        let found = || spans(&collector.log());
        let with = |name: &str, field: &str, value: &str| -> Vec<Span> {
            let fits =
                |span: &Span| span.name == name && span.fields.get(field).is_some_and(|one| one == value);
            found().into_iter().filter(fits).collect()
        };
        wait_until(
            || format!("no span of the request:\n{}", collector.log_end()),
            || !with("request", "id", "this-one").is_empty(),
        );
        assert!(collector.log().contains("service.name: Str(mapek)"));
        let requests = with("request", "id", "this-one");
        let [request] = requests.as_slice() else {
            panic!("one request, one span: {requests:#?}")
        };
        let field = |name: &str| request.fields[name].as_str();
        assert_eq!(
            (field("method"), field("path"), field("by")),
            ("PUT", "/api/execute", "anonymous")
        );
        let runs = with("execution", "execution", execution);
        assert_eq!(runs.len(), 1, "{runs:#?}");
        assert_eq!((&runs[0].trace, &runs[0].parent), (&request.trace, &request.id));
        let done = with("action", "execution", execution);
        assert_eq!(json!(done.len()), actions, "{done:#?}");
        assert!(
            done.iter()
                .any(|span| span.fields["what"].contains("create container 'rubis_two'"))
        );
        // The requests to the engine for an action are below it.
        for span in done
            .iter()
            .filter(|span| span.fields["what"].contains("container"))
        {
            assert_eq!((&span.trace, &span.parent), (&request.trace, &runs[0].id));
            let asked = found()
                .into_iter()
                .filter(|one| one.name == "engine" && one.parent == span.id);
            assert!(asked.count() > 0, "{span:#?}");
        }
    });
}
