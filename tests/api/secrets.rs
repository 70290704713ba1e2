//! Secrets are planted wherever a topology can contain one, and then looked for in everything that
//! the service says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::openapi::description;
use crate::requests::headers;
use crate::server::Server;

/// Part of every secret.
const PLANTED: &str = "planted-4711";
/// `me:planted-hooks-4711` as in Basic authorization.
const HOOKS_USER: &str = "bWU6cGxhbnRlZC1ob29rcy00NzEx";

fn topology(secret_file: &str, hooks: &str) -> Value {
    json!({
        "infrastructure": {
            "cloud_driver": { "hosts": {
                "vm1": { "docker": "unix:///nonexistent/1.sock", "ip": "127.0.0.1" },
                "vm2": { "docker": format!("https://me:{PLANTED}-docker@127.0.0.1:1"), "ip": "127.0.0.2" }
            } },
            "hooks_git_repo": hooks,
            "cpu_cores": 2, "mem_units": 8, "cpu_mode": "cpuset",
            "wiki": format!("https://{PLANTED}-wiki@wiki.test/page?token={PLANTED}-query")
        },
        "apps": [{ "name": "shop", "tiers": {
            "web": {
                "docker_image": "nginx", "on_node_scale": "hook.sh",
                "environment": [format!("PASSWORD={PLANTED}-list"), "MODE=fast"]
            },
            "db": {
                "docker_image": "mysql", "max_node": 1, "ports": ["3306:3306"],
                "environment": {
                    "PASSWORD": format!("{PLANTED}-map"), "PIN": 4711,
                    "URL": format!("postgres://me:{PLANTED}-url@db.test/shop"),
                    "FILE": { "from_file": secret_file }, "HOME_OF_MINE": { "from_env": "HOME" }
                }
            }
        } }]
    })
}

/// A git server that wants a password, and counts the clients that know it.
async fn git() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let knew = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&knew);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let mut head = vec![0; 8192];
                while let Ok(read) = stream.read(&mut head).await {
                    let said = String::from_utf8_lossy(&head[..read]).into_owned();
                    count.fetch_add(usize::from(said.contains(HOOKS_USER)), Ordering::SeqCst);
                    let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\n\
                                  Content-Length: 0\r\n\r\n";
                    if read == 0 || stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (place, knew)
}

#[tokio::test]
async fn planted_secrets_are_in_no_answer_no_log_line_no_error_and_no_event() {
    let server = Server::start_with(&["--log", "trace"]);
    let (place, knew) = git().await;
    let file = server.data.path().join("secret");
    std::fs::write(&file, format!("{PLANTED}-file\n")).unwrap();
    let hooks = format!("http://me:planted-hooks-4711@{place}/hooks.git");
    let document = topology(file.to_str().unwrap(), &hooks);
    let mut heard = Vec::new();
    let mut hear = async |method: Method, path: &str, body: &Value| {
        let (status, got, text) = server
            .raw_with(method.clone(), path, headers(&[]), body.to_string())
            .await;
        heard.push((format!("{method} {path}"), format!("{got:?} {text}")));
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    };
    let (status, answer) = hear(Method::PUT, "/api/topology", &document).await;
    assert_eq!(status, 200, "{answer}");
    let plan = json!({ "shop": {
        "web": { "cpu_cores": 1, "mem_units": 1 }, "db": { "cpu_cores": 1, "mem_units": 1 }
    } });
    hear(Method::PUT, "/api/translate", &plan).await;
    hear(Method::PUT, "/api/execute", &plan).await;
    assert!(
        knew.load(Ordering::SeqCst) > 0,
        "the hooks are fetched with the password"
    );
    let question = json!({ "topology": document, "plan": plan });
    assert_eq!(hear(Method::POST, "/api/solve", &question).await.0, 200);
    // Wrong in every place whose value is repeated in an error.
    for (pointer, value) in [
        (
            "/infrastructure/cloud_driver/hosts/vm1/docker",
            json!(format!("ftp://me:{PLANTED}@h")),
        ),
        (
            "/infrastructure/cloud_driver",
            json!({ "autoscaling_groupname": "g", "endpoint_url": format!("ftp://me:{PLANTED}@h") }),
        ),
        (
            "/infrastructure/cpu_mode",
            json!(format!("https://me:{PLANTED}@h")),
        ),
        ("/apps/0/name", json!(format!("https://me:{PLANTED}@h"))),
        ("/apps/0/tiers/db/environment", json!([format!("{PLANTED}")])),
        (
            "/apps/0/tiers/db/environment",
            json!({ "A": [format!("{PLANTED}")] }),
        ),
        (
            "/apps/0/tiers/db/environment",
            json!({ "A": format!("{PLANTED}\0") }),
        ),
        (
            "/apps/0/tiers/db/docker_image",
            json!(format!("an image of https://me:{PLANTED}@h")),
        ),
        (
            "/apps/0/tiers/db/ports",
            json!([format!("https://me:{PLANTED}@h")]),
        ),
    ] {
        let mut bad = document.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        for (path, body) in [
            ("/api/topology", bad.clone()),
            ("/api/solve", json!({ "topology": bad, "plan": {} })),
        ] {
            let method = if path == "/api/topology" {
                Method::PUT
            } else {
                Method::POST
            };
            let (status, answer) = hear(method, path, &body).await;
            assert_eq!(status, 422, "{pointer}: {answer}");
        }
    }
    // Read, and put back, twice: what is put is what was shown.
    let mut fetched = 0;
    for _ in 0..2 {
        let (_, mut shown) = hear(Method::GET, "/api/topology", &Value::Null).await;
        shown.as_object_mut().unwrap().remove("time");
        assert_eq!(
            shown["apps"][0]["tiers"]["db"]["environment"]["FILE"],
            json!({ "from_file": file })
        );
        assert_eq!(shown["apps"][0]["tiers"]["db"]["environment"]["PIN"], "***");
        let (status, answer) = hear(Method::PUT, "/api/topology", &shown).await;
        assert_eq!(status, 200, "{answer}");
        let before = knew.load(Ordering::SeqCst);
        hear(Method::PUT, "/api/translate", &plan).await;
        fetched += usize::from(knew.load(Ordering::SeqCst) > before);
    }
    assert_eq!(fetched, 2, "the password was kept");
    // Stars that stand for nothing are not a password.
    let (_, mut shown) = hear(Method::GET, "/api/topology", &Value::Null).await;
    shown["infrastructure"]["hooks_git_repo"] = json!("http://***@127.0.0.1:1/hooks.git");
    let (status, answer) = hear(Method::PUT, "/api/topology", &shown).await;
    assert_eq!(
        (status, &answer["details"][0]["path"]),
        (422, &json!("infrastructure.hooks_git_repo"))
    );
    let executions = hear(Method::GET, "/api/executions", &Value::Null).await.1;
    let mut looked = 0;
    for (path, operations) in description()["paths"].as_object().unwrap() {
        if operations.get("get").is_none() || path == "/api/events" {
            continue;
        }
        let ids = executions["executions"].as_array().unwrap();
        let ids: Vec<&str> = ids.iter().map(|one| one["id"].as_str().unwrap()).collect();
        for id in if path.contains("{id}") { ids } else { vec![""] } {
            hear(Method::GET, &path.replace("{id}", id), &Value::Null).await;
            looked += 1;
        }
    }
    assert!(looked >= 8, "{looked}");
    let events = server.events(headers(&[("last-event-id", "0")]), 2).await;
    heard.push(("events".to_owned(), format!("{events:?}")));
    heard.push(("log".to_owned(), server.log()));
    for (what, text) in heard {
        for secret in [PLANTED, "planted-hooks", HOOKS_USER] {
            assert!(!text.contains(secret), "{secret} is in {what}:\n{text}");
        }
    }
}

#[tokio::test]
async fn a_tag_follows_a_secret_that_is_not_shown() {
    let server = Server::start();
    let tag = async |password: &str| {
        let mut document = crate::bad_input::topology();
        document["apps"][0]["tiers"]["db"]["environment"] = json!({ "PASSWORD": password });
        server.put("/api/topology", &document).await.headers["etag"].clone()
    };
    assert_ne!(tag("one").await, tag("other").await);
}

#[tokio::test]
async fn a_reference_that_can_not_be_read_is_told_at_once_and_its_own_variables_are_not_given_away() {
    let server = Server::start();
    let put = async |environment: Value| {
        let mut document = crate::bad_input::topology();
        document["apps"][0]["tiers"]["db"]["environment"] = environment;
        server.put("/api/topology", &document).await
    };
    let answer =
        put(json!({ "A": { "from_file": "/nonexistent/a" }, "B": { "from_env": "NO_SUCH_VARIABLE" } })).await;
    let warnings = answer.body["warnings"].as_array().unwrap();
    let paths: Vec<&Value> = warnings.iter().map(|warning| &warning["path"]).collect();
    assert_eq!(
        (answer.status, paths),
        (
            200,
            vec![
                &json!("apps[0].tiers.db.environment.A"),
                &json!("apps[0].tiers.db.environment.B")
            ]
        )
    );
    for (bad, words) in [
        (json!({ "from_env": "MAPEK_TOKENS" }), "mapek's own"),
        (json!({ "from_file": "relative" }), "absolute"),
        (json!({ "from_flie": "/a" }), "from_file"),
        (json!({ "from_file": "/a", "from_env": "B" }), "from_file"),
        (json!({ "from_file": 5 }), "a string"),
        (json!({}), "from_file"),
    ] {
        let answer = put(json!({ "A": bad })).await;
        let error = answer.body["error"].as_str().unwrap();
        assert!(answer.status == 422 && error.contains(words), "{bad}: {error}");
    }
}
