//! `mapek execute` on a terminal, when somebody takes time to say yes.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::cli::{plan, topology};
use crate::server::{Server, program};

const QUESTION: &str = "Carry this out? [y/N]";

/// Runs `mapek execute` on a terminal of its own, does `meanwhile` once it asks, and says yes.
async fn say_yes_after(server: &Server, meanwhile: impl AsyncFnOnce()) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.json");
    std::fs::write(&file, plan().to_string()).unwrap();
    let line = format!(
        "exec '{}' execute '{}'",
        env!("CARGO_BIN_EXE_mapek"),
        file.display()
    );
    let mut command = Command::new("script");
    for (name, value) in program().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut child = command
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("MAPEK_SERVER", server.base())
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut typed, mut shown) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut seen, mut byte) = (Vec::new(), [0]);
    while !seen.ends_with(QUESTION.as_bytes()) {
        let text = String::from_utf8_lossy(&seen);
        assert_eq!(shown.read(&mut byte).unwrap(), 1, "it does not ask: {text}");
        seen.extend(byte);
    }
    meanwhile().await;
    typed.write_all(b"yes\n").unwrap();
    let mut rest = String::new();
    shown.read_to_string(&mut rest).unwrap();
    // The terminal stays until the command has ended.
    drop(typed);
    (child.wait().unwrap().code(), rest)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moved_while_somebody_thought_about_it_breaks_the_seal() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let (code, said) = say_yes_after(&server, async || {
        let mut other = topology();
        other["infrastructure"]["max_vms"] = json!(9);
        server.put("/api/topology", &other).await;
    })
    .await;
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("topology"), "{said}");
    assert_eq!(server.get("/api/executions").await.body["executions"], json!([]));

    // If nothing changes, it begins; since no engine answers, it ends at once.
    let (code, said) = say_yes_after(&server, async || ()).await;
    assert_eq!(code, Some(8), "{said}");
}
