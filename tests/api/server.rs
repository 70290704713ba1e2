//! The real program with a data folder of its own, on a free port.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

/// A running service.
pub struct Server {
    child: Child,
    base: String,
    client: reqwest::Client,
    /// Its data folder.
    pub data: TempDir,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub headers: reqwest::header::HeaderMap,
}

impl Server {
    pub fn start() -> Self {
        Self::start_in(TempDir::new().unwrap())
    }

    pub fn start_in(data: TempDir) -> Self {
        let (child, base) = launch(data.path());
        Self {
            child,
            base,
            client: reqwest::Client::new(),
            data,
        }
    }

    /// Its address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a body as `curl -d` does: with a form type.
    pub async fn send(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        answer(request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        answer(self.client.get(format!("{}{path}", self.base))).await
    }

    /// A stream of events, after the one with that number where it is given.
    pub async fn stream(&self, path: &str, after: Option<u64>) -> reqwest::Response {
        let mut request = self.client.get(format!("{}{path}", self.base));
        if let Some(after) = after {
            request = request.header("last-event-id", after.to_string());
        }
        request.send().await.unwrap()
    }

    /// A body that is no JSON.
    pub async fn text(&self, path: &str) -> String {
        let response = self
            .client
            .get(format!("{}{path}", self.base))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), 200);
        response.text().await.unwrap()
    }

    /// Status and body.
    pub async fn head(&self, path: &str) -> (u16, String) {
        let response = self
            .client
            .head(format!("{}{path}", self.base))
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub async fn put_with(&self, path: &str, body: &Value, headers: reqwest::header::HeaderMap) -> Answer {
        let request = self.client.put(format!("{}{path}", self.base));
        answer(request.headers(headers).body(body.to_string())).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, body.to_string()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, body.to_string()).await
    }

    /// Ends the service without warning, and starts it again on the same data.
    pub fn kill_and_restart(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let (child, base) = launch(self.data.path());
        self.child = child;
        self.base = base;
        self
    }

    /// Asks the service to end, and answers with whether it ended well.
    pub fn terminate(&mut self) -> bool {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the service did not end within 30 s of SIGTERM");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, with nothing of the surroundings that could reach it.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mapek"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MAPEK_")) {
        command.env_remove(name);
    }
    command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    command
}

fn launch(data: &Path) -> (Child, String) {
    let mut child = program()
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut seen = Vec::new();
    let base = loop {
        let Some(Ok(line)) = lines.next() else {
            panic!("the service did not start:\n{}", seen.join("\n"))
        };
        if let Some((_, rest)) = line.split_once("listening on ") {
            break rest
                .split_whitespace()
                .next()
                .unwrap()
                .trim_end_matches('"')
                .to_owned();
        }
        seen.push(line);
    };
    // Reads on, so that the service never waits for a full pipe.
    std::thread::spawn(move || for _ in lines.map_while(Result::ok) {});
    (child, base)
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"));
    Answer {
        status,
        body,
        headers,
    }
}
