//! Events as they come, and read again later.

use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::bad_input::topology;
use crate::patience::patiently;
use crate::server::Server;

/// An event: number, kind and data.
pub type Told = (u64, String, Value);

/// The events in the text of a stream.
pub fn read(text: &str) -> Vec<Told> {
    let of_block = |block: &str| {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
        let (id, kind, data) = (field("id: ")?, field("event: ")?, field("data: ")?);
        let data = serde_json::from_str(data).unwrap();
        Some((id.parse().unwrap(), kind.to_owned(), data))
    };
    text.split("\n\n").filter_map(of_block).collect()
}

async fn text_until(response: reqwest::Response, enough: impl Fn(&str) -> bool) -> String {
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    let mut stream = response.bytes_stream();
    let read = async {
        while !text.ends_with("\n\n") || !enough(&text) {
            text.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
        }
    };
    patiently("not so many events", read).await;
    text
}

/// The first events of a stream.
pub async fn first(response: reqwest::Response, count: usize) -> Vec<Told> {
    read(&text_until(response, |text| read(text).len() >= count).await)
}

/// The number of the newest event when the stream was opened.
pub async fn newest(server: &Server) -> u64 {
    let stream = server.stream("/api/events", None).await;
    let text = text_until(stream, |text| text.contains("id: ")).await;
    let number = text.lines().find_map(|line| line.strip_prefix("id: "));
    number.unwrap().parse().unwrap()
}

fn kinds(events: &[Told]) -> Vec<&str> {
    events.iter().map(|(_, kind, _)| kind.as_str()).collect()
}

#[tokio::test]
async fn events_come_as_they_happen_and_are_told_again_after_a_kill() {
    let server = Server::start();
    let stream = server.stream("/api/events", None).await;
    server.put("/api/topology", &topology()).await;
    let id = server.put("/api/execute", &json!({})).await.body["execution"].clone();
    let events = first(stream, 3).await;
    assert_eq!(
        kinds(&events),
        ["topology_put", "execution_begun", "finished"],
        "{events:?}"
    );
    assert!(
        events
            .iter()
            .skip(1)
            .all(|(_, _, event)| event["execution"] == id),
        "{events:?}"
    );
    assert!(
        events.iter().all(|(_, _, event)| event["at"].is_string()),
        "{events:?}"
    );

    let server = server.kill_and_restart();
    let again = first(server.stream("/api/events", Some(events[0].0)).await, 2).await;
    assert_eq!(again, events[1..]);
    let answer = server.get("/api/events?last_event_id=x").await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (400, &json!("request_invalid"))
    );
    // Bytes that are not text are no number either.
    let strange = reqwest::header::HeaderValue::from_bytes(b"\xfc").unwrap();
    let strange = [(reqwest::header::HeaderName::from_static("last-event-id"), strange)];
    let status = server
        .status(reqwest::Method::GET, "/api/events", strange.into_iter().collect())
        .await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn what_is_counted_is_told_to_prometheus() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    server.put("/api/execute", &json!({})).await;
    let text = server.text("/metrics").await;
    for line in [
        "mapek_executions_total{outcome=\"succeeded\"} 1",
        "mapek_drift_containers 0",
        "mapek_vms 0",
    ] {
        assert!(
            text.lines().any(|other| other == line),
            "{line} is not in\n{text}"
        );
    }
}
