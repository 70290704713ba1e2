//! The real program with a data folder of its own, on a free port.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::patience::Patience;

/// A running service.
pub struct Server {
    child: Child,
    base: String,
    client: reqwest::Client,
    arguments: Vec<String>,
    log: Arc<Mutex<String>>,
    /// Its data directory.
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
        Self::start_in_with(data, &[])
    }

    /// With these additional arguments.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_in_with(TempDir::new().unwrap(), arguments)
    }

    pub fn start_in_with(data: TempDir, arguments: &[&str]) -> Self {
        let log = Arc::default();
        let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
        let (child, base) = launch(data.path(), &arguments, &log);
        Self {
            child,
            base,
            client: reqwest::Client::new(),
            arguments,
            log,
            data,
        }
    }

    /// Where it listens: scheme, address and port.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Address and port.
    pub fn address(&self) -> String {
        self.base
            .split_once("://")
            .unwrap()
            .1
            .replace("0.0.0.0", "127.0.0.1")
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it has logged these words this many times.
    pub async fn logged(&self, words: &str, times: usize) {
        let mut patience = Patience::every(Duration::from_millis(20));
        while self.log().matches(words).count() < times {
            patience
                .wait(|| format!("{words:?} was not logged:\n{}", self.log()))
                .await;
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
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

    /// Whether no VM is in the allocation: its only field is the time.
    pub async fn holds_nothing(&self) -> bool {
        let allocation = self.get("/api/allocation").await.body;
        allocation.as_object().unwrap().keys().eq(["time"])
    }

    /// A stream of events, after the one with that number if it is given.
    pub async fn stream(&self, path: &str, after: Option<u64>) -> reqwest::Response {
        let mut request = self.client.get(format!("{}{path}", self.base));
        if let Some(after) = after {
            request = request.header("last-event-id", after.to_string());
        }
        request.send().await.unwrap()
    }

    /// The first events of a stream: kind and data of each.
    pub async fn events(&self, headers: reqwest::header::HeaderMap, count: usize) -> Vec<(String, Value)> {
        let request = self
            .client
            .get(format!("{}/api/events", self.base))
            .headers(headers);
        let events = crate::events::first(request.send().await.unwrap(), count).await;
        events.into_iter().map(|(_, kind, data)| (kind, data)).collect()
    }

    /// A body that is not JSON.
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

    /// Status, headers and body of a request without one.
    pub async fn raw(
        &self,
        method: Method,
        path: &str,
        headers: reqwest::header::HeaderMap,
    ) -> (u16, reqwest::header::HeaderMap, String) {
        self.raw_with(method, path, headers, String::new()).await
    }

    /// The status alone, without waiting for the body.
    pub async fn status(&self, method: Method, path: &str, headers: reqwest::header::HeaderMap) -> u16 {
        let request = self.client.request(method, format!("{}{path}", self.base));
        request.headers(headers).send().await.unwrap().status().as_u16()
    }

    /// The same with a body.
    pub async fn raw_with(
        &self,
        method: Method,
        path: &str,
        headers: reqwest::header::HeaderMap,
        body: String,
    ) -> (u16, reqwest::header::HeaderMap, String) {
        let request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .body(body);
        let response = request.headers(headers).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        (status, headers, response.text().await.unwrap())
    }

    pub async fn put_with(&self, path: &str, body: &Value, headers: reqwest::header::HeaderMap) -> Answer {
        let request = self.client.put(format!("{}{path}", self.base));
        answer(request.headers(headers).body(body.to_string())).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, body.to_string()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        answer(self.client.delete(format!("{}{path}", self.base))).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, body.to_string()).await
    }

    /// Ends the service without warning, and starts it again on the same data.
    pub fn kill_and_restart(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let (child, base) = launch(self.data.path(), &self.arguments, &self.log);
        self.child = child;
        self.base = base;
        self
    }

    /// Starts the service again where it was, after it has ended.
    pub fn start_again(&mut self) {
        let mut arguments = self.arguments.clone();
        arguments.extend(["--listen".to_owned(), self.address()]);
        (self.child, self.base) = launch(self.data.path(), &arguments, &self.log);
    }

    /// Tells the service to end, and returns whether it ended well.
    pub fn terminate(&mut self) -> bool {
        self.signal("-TERM");
        let mut patience = Patience::every(Duration::from_millis(20));
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            patience.wait_blocking(|| "the service ignores SIGTERM".to_owned());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, with nothing from the surroundings that could influence it.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mapek"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MAPEK_")) {
        command.env_remove(name);
    }
    command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    command
}

fn launch(data: &Path, arguments: &[String], log: &Arc<Mutex<String>>) -> (Child, String) {
    let mut child = program()
        .args(if arguments.iter().any(|one| one == "--listen") {
            &[][..]
        } else {
            &["--listen", "127.0.0.1:0"]
        })
        .arg("--data-dir")
        .arg(data)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let base = loop {
        let Some(Ok(line)) = lines.next() else {
            panic!("the service did not start:\n{}", log.lock().unwrap())
        };
        keep(log, &line);
        if let Some((_, rest)) = line.split_once("listening on ") {
            break rest
                .split_whitespace()
                .next()
                .unwrap()
                .trim_end_matches('"')
                .to_owned();
        }
    };
    // Keeps reading, so that the service never waits for a full pipe.
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            keep(&log, &line);
        }
    });
    (child, base)
}

fn keep(log: &Mutex<String>, line: &str) {
    let mut log = log.lock().unwrap();
    log.push_str(line);
    log.push('\n');
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
