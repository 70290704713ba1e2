//! Slow, greedy and hostile clients: everyone else gets answers as if they were not there.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::bad_input::topology;
use crate::patience::patiently;
use crate::requests::headers;
use crate::server::Server;

async fn connect(server: &Server) -> TcpStream {
    let connected = patiently("no connection", TcpStream::connect(server.address())).await;
    connected.unwrap()
}

/// Everyone else: a new connection for each request.
async fn others_are_answered(server: &Server) {
    for _ in 0..5 {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let ask = client.get(format!("{}/api/topology", server.base())).send();
        let answer = patiently("others are not answered", ask).await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
    }
}

/// What a connection received until the service closed it.
async fn until_closed(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    // A reset is a close, too.
    let read = patiently("the connection is not closed", stream.read_to_end(&mut said));
    let _ = read.await;
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn a_client_that_sends_too_slowly_is_cut_off_and_others_do_not_notice() {
    let server = Server::start_with(&["--request-timeout-s", "1"]);
    server.put("/api/topology", &topology()).await;
    // What the slow requests would get as an answer.
    let whole = "GET /api/topology HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut stream = connect(&server).await;
    stream.write_all(whole.as_bytes()).await.unwrap();
    assert!(until_closed(stream).await.contains("\"apps\""));
    let mut slow = JoinSet::new();
    for first in ["", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        for _ in 0..200 {
            let mut stream = connect(&server).await;
            slow.spawn(async move {
                // Half of them send a whole request first: then the head of the second one is slow.
                stream.write_all(first.as_bytes()).await.unwrap();
                stream
                    .write_all(b"GET /api/topology HTTP/1.1\r\nHost: localhost\r\n")
                    .await
                    .unwrap();
                let (mut reading, mut writing) = stream.into_split();
                let dribble = tokio::spawn(async move {
                    while writing.write_all(b"X-A: b\r\n").await.is_ok() {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                });
                let mut said = Vec::new();
                let read = patiently("the connection is not closed", reading.read_to_end(&mut said));
                let _ = read.await;
                dribble.abort();
                String::from_utf8_lossy(&said).into_owned()
            });
        }
    }
    others_are_answered(&server).await;
    while let Some(said) = slow.join_next().await {
        // The slow request is never answered, whatever came before it.
        assert!(!said.unwrap().contains("\"apps\""));
    }
}

#[tokio::test]
async fn a_connection_without_requests_is_closed_and_one_that_waits_for_events_is_not() {
    let server = Server::start_with(&["--idle-timeout-s", "1", "--request-timeout-s", "600"]);
    let mut events = server.stream("/api/events", None).await;
    for asked in [0, 1, 3] {
        let mut stream = connect(&server).await;
        for _ in 0..asked {
            stream
                .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .await
                .unwrap();
        }
        let said = until_closed(stream).await;
        assert_eq!(said.matches("HTTP/1.1 200").count(), asked, "{said}");
    }
    // A request that took longer than a connection may be idle.
    let mut stream = connect(&server).await;
    let head = "POST /api/solve HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    stream.write_all(b"{}").await.unwrap();
    let said = until_closed(stream).await;
    assert!(said.starts_with("HTTP/1.1 4"), "{said}");
    server.put("/api/topology", &topology()).await;
    let mut text = String::new();
    while !text.contains("topology_put") {
        let chunk = patiently("the event is not told", events.chunk()).await;
        let chunk = chunk.unwrap().expect("the stream goes on");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let server = Server::start_with(&["--request-timeout-s", "1"]);
    let mut stream = connect(&server).await;
    let head = "PUT /api/topology HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    others_are_answered(&server).await;
    let said = until_closed(stream).await;
    assert!(
        said.starts_with("HTTP/1.1 408") && said.contains("request_timeout"),
        "{said}"
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answers_is_cut_off() {
    let server = Server::start_with(&["--request-timeout-s", "1"]);
    server.put("/api/topology", &topology()).await;
    let stream = connect(&server).await;
    let (reading, mut writing) = stream.into_split();
    let ask = "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(64);
    // Until the buffers of both sides are full, and then until the connection is closed.
    let closed = async { while writing.write_all(ask.as_bytes()).await.is_ok() {} };
    patiently("the connection is not closed", closed).await;
    drop(reading);
    others_are_answered(&server).await;
}

#[tokio::test]
async fn ten_thousand_idle_connections_keep_nobody_out() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let server = Server::start_with(&[
        "--max-connections",
        "1000",
        "--idle-timeout-s",
        "600",
        "--request-timeout-s",
        "600",
    ]);
    server.put("/api/topology", &topology()).await;
    let mut idle = Vec::new();
    for index in 0..10_000 {
        let mut stream = connect(&server).await;
        if index % 2 == 0 {
            // Some are idle before a request, some in the middle of one; those that were told to
            // close fail.
            let _ = stream.write_all(b"GET / HTTP/1.1\r\n").await;
        }
        idle.push(stream);
        if index % 2_000 == 1_999 {
            others_are_answered(&server).await;
        }
    }
    others_are_answered(&server).await;
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.id()))
        .unwrap()
        .count();
    assert!(open < 3_000, "{open} files are open");
    assert_eq!(server.put("/api/execute", &json!({})).await.status, 200);
}

#[tokio::test]
async fn a_connection_that_serves_a_request_is_never_closed_to_make_room() {
    let server = Server::start_with(&["--max-connections", "20"]);
    let mut stream = server.stream("/api/events", None).await;
    for _ in 0..200 {
        drop(connect(&server).await);
    }
    let kept: Vec<TcpStream> = {
        let mut kept = Vec::new();
        for _ in 0..100 {
            kept.push(connect(&server).await);
        }
        kept
    };
    server.put("/api/topology", &topology()).await;
    let mut text = String::new();
    while !text.contains("topology_put") {
        let chunk = patiently("the event is not told", stream.chunk()).await;
        let chunk = chunk.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    drop(kept);
}

#[tokio::test]
async fn a_hundred_megabytes_are_refused_before_they_have_come() {
    let server = Server::start();
    for head in ["Content-Length: 104857600\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut stream = connect(&server).await;
        let head = format!("PUT /api/topology HTTP/1.1\r\nHost: localhost\r\n{head}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut reading, mut writing) = stream.into_split();
        let send = tokio::spawn(async move {
            let part = format!("100000\r\n{}\r\n", " ".repeat(1 << 20));
            for _ in 0..100 {
                if writing.write_all(part.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
        others_are_answered(&server).await;
        let mut said = vec![0; 4096];
        let read = patiently("no answer", reading.read(&mut said)).await.unwrap();
        let said = String::from_utf8_lossy(&said[..read]).into_owned();
        assert!(
            said.starts_with("HTTP/1.1 413") && said.contains("body_too_large"),
            "{said}"
        );
        let _ = patiently("the rest is waited for", send).await;
    }
}

#[tokio::test]
async fn many_large_bodies_at_once_do_not_fill_the_memory() {
    let server = Server::start();
    let half = format!("\"{}", "x".repeat(15 << 20));
    let head = format!(
        "PUT /api/topology HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        16 << 20
    );
    let mut large = JoinSet::new();
    for _ in 0..16 {
        let (mut stream, text) = (connect(&server).await, head.clone() + half.as_str());
        large.spawn(async move {
            // Those for which there is no room are told so, however much of them has arrived.
            let _ = stream.write_all(text.as_bytes()).await;
            let mut said = vec![0; 512];
            let read = stream.read(&mut said).await.unwrap_or(0);
            String::from_utf8_lossy(&said[..read]).into_owned()
        });
    }
    others_are_answered(&server).await;
    // There is room for four at most. At least one is accepted, and waits for the rest of its body.
    for refused in 0..12 {
        let said = patiently("too many are taken", large.join_next()).await;
        let said = said.unwrap().unwrap();
        let told = said.is_empty() || said.starts_with("HTTP/1.1 503");
        assert!(told, "after {refused}: {said}");
    }
    while large.try_join_next().is_some() {}
    assert!(!large.is_empty(), "not even one is taken");
}

#[tokio::test]
async fn json_a_thousand_levels_deep_is_refused_and_the_service_stands() {
    let server = Server::start();
    for deep in [
        "[".repeat(1000),
        "{\"a\":".repeat(1000),
        "[".repeat(1000) + &*"]".repeat(1000),
    ] {
        for path in ["/api/topology", "/api/translate", "/api/execute"] {
            let answer = server.send(Method::PUT, path, deep.clone()).await;
            assert_eq!(
                (answer.status, &answer.body["code"]),
                (400, &json!("json_unreadable"))
            );
            assert!(
                answer.body["error"].as_str().unwrap().contains("127 levels"),
                "{}",
                answer.body
            );
        }
    }
    others_are_answered(&server).await;
}

#[tokio::test]
async fn more_placements_than_can_wait_are_told_to_come_again() {
    let server = Server::start_with(&["--solves", "1"]);
    let tiers: serde_json::Map<String, Value> = (0..60)
        .map(|index| {
            (
                format!("t{index}"),
                json!({ "docker_image": "x", "max_node": 1 + index % 3 }),
            )
        })
        .collect();
    let demand = |index: usize| json!({ "cpu_cores": 2 + index * 7 % 5, "mem_units": 3 + index * 11 % 13 });
    let plan: serde_json::Map<String, Value> = (0..60)
        .map(|index| (format!("t{index}"), demand(index)))
        .collect();
    let question = json!({
        "topology": {
            "infrastructure": { "cloud_driver": { "autoscaling_groupname": "g" }, "cpu_cores": 8, "mem_units": 16 },
            "apps": [{ "name": "a", "tiers": tiers }]
        },
        "plan": { "a": plan }, "exact": true, "deadline_ms": 3000
    });
    let mut asked = JoinSet::new();
    for _ in 0..14 {
        let (url, text) = (format!("{}/api/solve", server.base()), question.to_string());
        asked.spawn(async move {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let answer = client.post(url).body(text).send().await;
            answer.map(|answer| {
                (
                    answer.status().as_u16(),
                    answer.headers().get("retry-after").cloned(),
                )
            })
        });
    }
    others_are_answered(&server).await;
    // What-ifs do not hold up plans.
    server.put("/api/topology", &topology()).await;
    assert_eq!(server.put("/api/translate", &json!({})).await.status, 200);
    let mut told = 0;
    while told < 5 {
        let answer = patiently("nobody is told", asked.join_next()).await;
        let answer = answer.expect("five at least are told");
        if let Ok((503, retry)) = answer.unwrap() {
            assert_eq!(retry.unwrap(), "1");
            told += 1;
        }
    }
    // The others would wait long; they disconnect.
    drop(asked);
    let answer = server.raw(Method::GET, "/healthz", headers(&[])).await;
    assert_eq!(answer.0, 200);
}
