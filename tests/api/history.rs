//! The history: in pages, kept for a time, backed up and restored.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bad_input::topology;
use crate::server::{Server, program};

/// Begins this many executions that change nothing; returns their ids, oldest first.
async fn executions(server: &Server, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let answer = server.put("/api/execute", &json!({})).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        ids.push(answer.body["execution"].as_str().unwrap().to_owned());
    }
    ids
}

fn ids(body: &Value) -> Vec<String> {
    let list = body["executions"].as_array().unwrap().iter();
    list.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn executions_are_told_in_pages_and_none_is_cut_off_silently() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let mut begun = executions(&server, 5).await;
    begun.reverse();
    let mut path = "/api/executions?limit=2".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = server.get(&path).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let page_ids = ids(&page.body);
        assert!(page_ids.len() <= 2);
        seen.extend(page_ids);
        match page.body["next"].as_str() {
            Some(next) => path = format!("/api/executions?limit=2&before={next}"),
            None => break,
        }
    }
    assert_eq!(seen, begun);
    let all = server.get("/api/executions").await.body;
    assert_eq!((ids(&all), &all["next"]), (begun.clone(), &Value::Null));
    assert_eq!(
        all["executions"][0],
        {
            let mut whole = server.get(&format!("/api/executions/{}", begun[0])).await.body;
            let fields = whole.as_object_mut().unwrap();
            let names = [
                "id",
                "state",
                "reconcile",
                "created_at",
                "finished_at",
                "actions",
                "actions_done",
                "requested_by",
            ];
            fields.retain(|name, _| names.contains(&name.as_str()));
            whole
        },
        "a line says what the record says"
    );
    let count = async |query: &str| ids(&server.get(&format!("/api/executions?{query}")).await.body).len();
    assert_eq!(count("state=succeeded").await, 5);
    assert_eq!(count("state=running").await, 0);
    let third = all["executions"][2]["created_at"].as_str().unwrap();
    assert_eq!(count(&format!("since={third}")).await, 3);
    assert_eq!(count(&format!("since={third}&limit=1&state=succeeded")).await, 1);
}

#[tokio::test]
async fn a_page_that_makes_no_sense_is_told() {
    let server = Server::start();
    for (query, words) in [
        ("limit=0", "limit should be a whole number from 1 to 1000"),
        ("limit=1001", "from 1 to 1000"),
        ("limit=ten", "is \"ten\""),
        ("limit=-1", "is \"-1\""),
        ("before=x", "before should be the id of an execution"),
        ("before=0197f3a0-0000-7000-8000-000000000000", "no longer kept"),
        (
            "state=done",
            "one of running, held, succeeded, failed, cancelled, rolled_back, rollback_failed",
        ),
        ("since=yesterday", "since should be a time"),
        ("since=2026-11-21T16:00:00", "since should be a time"),
        ("limits=1", "limits"),
        ("limit=1&limit=2", "limit"),
    ] {
        let answer = server.get(&format!("/api/executions?{query}")).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (400, &json!("request_invalid")),
            "{query}"
        );
        let said = answer.body["error"].as_str().unwrap();
        assert!(said.contains(words), "{query}: {said}");
    }
}

/// The kind and data of the first event after that number, in that journal.
async fn first(server: &Server, last: &str, journal: Option<&str>) -> (String, Value) {
    let query = journal.map(|id| format!("&journal={id}")).unwrap_or_default();
    let path = format!("/api/events?last_event_id={last}{query}");
    let events = crate::events::first(server.stream(&path, None).await, 1).await;
    let (_, kind, told) = events[0].clone();
    (kind, told)
}

async fn journal_of(server: &Server) -> String {
    let response = server.stream("/api/events", None).await;
    response.headers()["mapek-journal"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_client_that_can_not_be_told_everything_is_told_so() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let (kind, _) = first(&server, "0", None).await;
    assert_eq!(kind, "topology_put");
    let (kind, told) = first(&server, "999", None).await;
    assert_eq!((kind.as_str(), &told["reason"]), ("reset", &json!("ahead")));
    assert_eq!(told["last_event_id"], 999);
    assert!(told["at"].is_string() && told["event"] == "reset", "{told}");
    let own = journal_of(&server).await;
    assert_eq!(told["journal"], own);
    assert_eq!(first(&server, "0", Some(&own)).await.0, "topology_put");
    let other = "0197f3a0-0000-7000-8000-000000000000";
    let (kind, told) = first(&server, "0", Some(other)).await;
    assert_eq!(
        (kind.as_str(), &told["reason"]),
        ("reset", &json!("other_journal"))
    );
    let bad = server.get("/api/events?last_event_id=0&journal=x").await;
    assert_eq!((bad.status, &bad.body["code"]), (400, &json!("request_invalid")));
}

#[tokio::test]
async fn the_history_is_kept_as_long_as_was_said() {
    let server = Server::start_with(&["--keep-executions", "2"]);
    server.put("/api/topology", &topology()).await;
    let begun = executions(&server, 30).await;
    server
        .logged("dropped what is kept of the history no longer", 1)
        .await;
    let mut left = Vec::new();
    for _ in 0..600 {
        left = ids(&server.get("/api/executions").await.body);
        if left.len() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(left, [begun[29].clone(), begun[28].clone()]);
    let gone = server.get(&format!("/api/executions/{}", begun[0])).await;
    assert_eq!(gone.status, 404);
    let (kind, told) = first(&server, "1", None).await;
    assert_eq!((kind.as_str(), &told["reason"]), ("reset", &json!("dropped")));
    let server = server.kill_and_restart();
    assert_eq!(ids(&server.get("/api/executions").await.body), left);
    let (kind, _) = first(&server, "1", None).await;
    assert_eq!(kind, "reset");
}

#[test]
fn limits_of_the_history_are_at_least_one() {
    for option in ["--keep-executions", "--keep-days"] {
        let output = program().args(["serve", option, "0"]).output().unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("should be at least 1"), "{said}");
    }
}

fn command(arguments: &[&str], data: &Path) -> Output {
    program()
        .args(arguments)
        .arg("--data-dir")
        .arg(data)
        .output()
        .unwrap()
}

fn refused(arguments: &[&str], data: &Path, words: &str) {
    let output = command(arguments, data);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(words), "{said}");
}

#[tokio::test]
async fn a_backup_of_a_running_service_can_be_put_back() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let begun = executions(&server, 1).await;
    let files = TempDir::new().unwrap();
    let file = files.path().join("backup");
    let name = file.to_str().unwrap();
    refused(
        &["backup", name],
        files.path(),
        "no journal in the data directory",
    );
    let made = command(&["backup", name], server.data.path());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    refused(&["backup", name], server.data.path(), "is there already");
    let lost = executions(&server, 2).await;
    let seen = crate::events::newest(&server).await.to_string();
    refused(
        &["restore", name, "--force"],
        server.data.path(),
        "in use by another mapek",
    );

    // On a machine of its own, and on the same one.
    let other = TempDir::new().unwrap();
    assert!(command(&["restore", name], other.path()).status.success());
    let there = Server::start_in(other);
    assert_eq!(ids(&there.get("/api/executions").await.body), begun);
    let mut server = server;
    assert!(server.terminate());
    refused(&["restore", name], server.data.path(), "has a journal already");
    let restored = command(&["restore", name, "--force"], server.data.path());
    assert!(
        restored.status.success(),
        "{}",
        String::from_utf8_lossy(&restored.stderr)
    );
    let server = server.kill_and_restart();
    assert_eq!(ids(&server.get("/api/executions").await.body), begun);
    assert_eq!(
        server.get(&format!("/api/executions/{}", lost[0])).await.status,
        404
    );
    let (kind, told) = first(&server, &seen, None).await;
    assert_eq!((kind.as_str(), &told["reason"]), ("reset", &json!("replaced")));
}

#[tokio::test]
async fn the_data_directory_is_its_owners_alone() {
    let data = TempDir::new().unwrap();
    let folder = data.path().to_owned();
    fs::write(folder.join("lock"), "").unwrap();
    for path in [folder.clone(), folder.join("lock")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let server = Server::start_in(data);
    server.put("/api/topology", &topology()).await;
    server.logged("now only their owner can", 1).await;
    let mut paths = vec![folder.clone()];
    paths.extend(fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()));
    assert!(paths.len() >= 4, "{paths:?}");
    for path in paths {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
}

#[tokio::test]
async fn the_command_line_pages_too() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let begun = executions(&server, 3).await;
    let ask = |arguments: &[&str]| {
        let output = program()
            .args(["--server", server.base()])
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let page = ask(&["executions", "--limit", "2"]);
    assert!(page.contains(&begun[2]) && page.contains(&begun[1]), "{page}");
    assert!(
        page.contains(&format!("There are more: --before {} shows them.", begun[1])),
        "{page}"
    );
    let rest = ask(&["executions", "--before", &begun[1]]);
    assert!(
        rest.contains(&begun[0]) && !rest.contains("There are more"),
        "{rest}"
    );
    let none = ask(&["executions", "--state", "failed"]);
    assert_eq!(none, "There is no such execution.\n");
}
