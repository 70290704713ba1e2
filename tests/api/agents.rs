//! `mapek agent` and a service, as far as no engine is needed; the rest is in tests/lab/agents.rs.

use serde_json::{Value, json};

use crate::registration::{registering, until};
use crate::server::{Server, program};

#[tokio::test]
async fn an_agent_registers_the_machine_waits_for_its_service_and_leaves_on_sigterm() {
    let mut server = Server::start();
    server.put("/api/topology", &registering()).await;
    let mut agent = program()
        .args([
            "agent",
            "--id",
            "here",
            "--refresh-s",
            "1",
            "--label",
            "zone=b",
            "--capability",
            "racks=2",
        ])
        .args([
            "--docker",
            "unix:///nonexistent/docker.sock",
            "--server",
            server.base(),
        ])
        .spawn()
        .unwrap();
    // A connection of its own each time: the service goes away in between.
    let shown = async |server: &Server| {
        let answer = reqwest::get(format!("{}/api/nodes/here", server.base()))
            .await
            .ok()?;
        let there = answer.status() == 200;
        let body: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
        there.then_some(body)
    };
    let node = until("it does not register", async || shown(&server).await).await;
    assert_eq!(
        (&node["labels"]["zone"], &node["capabilities"]["racks"]),
        (&json!("b"), &json!(2))
    );
    assert!(
        node["capabilities"]["cores"].is_u64() && node["capabilities"]["memory_mb"].is_u64(),
        "{node}"
    );
    let epoch = node["epoch"].as_u64().unwrap();
    // The service is away for a while, and forgets nothing.
    assert!(server.terminate());
    server.start_again();
    until("it does not come again", async || {
        let node = shown(&server).await?;
        (node["health"]["load_1m"].is_number() && node["epoch"] == epoch).then_some(())
    })
    .await;
    let id = agent.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    assert!(
        tokio::task::spawn_blocking(move || agent.wait().unwrap().success())
            .await
            .unwrap()
    );
    assert!(shown(&server).await.is_none(), "it has left");
}
