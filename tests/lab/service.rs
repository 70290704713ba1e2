//! The real `mapek`, started as a user starts it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use serde_json::Value;

use crate::http::{Answer, Api};
use crate::network;
use crate::process::Daemon;

const PORT: u16 = 8000;

/// A running service, and a client of it.
pub struct Service {
    /// Calls on its API.
    pub api: Api,
    /// The process, for signals.
    pub daemon: Daemon,
    data: PathBuf,
    port: u16,
    environment: Vec<(String, String)>,
}

impl Service {
    /// Starts it with an empty state, on the lab's network.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with these variables in its environment.
    pub fn start_with(environment: &[(&str, &str)]) -> Self {
        Self::start_at(Path::new("/run/lab/mapek"), environment)
    }

    /// The same, with its state in this folder.
    pub fn start_at(data: &Path, environment: &[(&str, &str)]) -> Self {
        Self::start_beside(PORT, data, environment)
    }

    /// The same, at this port, beside others.
    pub fn start_beside(port: u16, data: &Path, environment: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment: Vec<_> = environment.iter().map(owned).collect();
        Self {
            api: Api::at(&format!("http://{}:{port}", network::HOST)),
            daemon: launch(port, data, &environment),
            data: data.to_owned(),
            port,
            environment,
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.daemon.terminate()
    }

    /// Starts it again on the state that it left.
    pub fn start_again(&mut self) {
        self.daemon = launch(self.port, &self.data, &self.environment);
    }

    /// The same, with these variables in its environment besides, for this time.
    pub fn start_again_with(&mut self, environment: &[(&str, &str)]) {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let both: Vec<_> = self
            .environment
            .iter()
            .cloned()
            .chain(environment.iter().map(owned))
            .collect();
        self.daemon = launch(self.port, &self.data, &both);
    }

    /// The same, and does not wait until it is ready: it may die before.
    pub fn start_again_to_die(&mut self, environment: &[(&str, &str)]) {
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        self.daemon = spawn(self.port, &self.data, &environment);
    }

    /// Puts a topology, which must be accepted.
    pub async fn put_topology(&self, topology: &Value) -> Value {
        self.api.put("/api/topology", topology).await.expect(200)
    }

    /// The stages of action texts that a plan would take.
    pub async fn translate(&self, plan: &Value) -> Vec<Vec<String>> {
        let answer = self.api.put("/api/translate", plan).await.expect(200);
        serde_json::from_value(answer["actions"].clone()).unwrap()
    }

    /// Carries out a plan, whatever the result.
    pub async fn try_execute(&self, plan: &Value) -> Answer {
        self.api.put("/api/execute", plan).await
    }

    /// Carries out a plan, which must work.
    pub async fn execute(&self, plan: &Value) -> Value {
        self.try_execute(plan).await.expect(200)
    }

    /// The allocation: VMs by name.
    pub async fn allocation(&self) -> Value {
        let mut answer = self.api.get("/api/allocation").await.expect(200);
        answer.as_object_mut().unwrap().remove("time");
        answer
    }

    /// The names of the VMs that hold a container of `tier` (flat name), in order.
    pub async fn vms_of(&self, tier: &str) -> Vec<String> {
        let allocation = self.allocation().await;
        let holds = |vm: &Value| vm["used"].get(tier).is_some();
        let vms = allocation.as_object().unwrap().iter();
        let mut names: Vec<String> = vms
            .filter(|(_, vm)| holds(vm))
            .map(|(name, _)| name.clone())
            .collect();
        names.sort();
        names
    }

    /// The history of executions.
    pub async fn executions(&self) -> Value {
        let mut answer = self.api.get("/api/executions").await.expect(200);
        if let Some(fields) = answer.as_object_mut() {
            fields.remove("time");
        }
        answer
    }
}

fn launch(port: u16, data: &Path, environment: &[(String, String)]) -> Daemon {
    let mut daemon = spawn(port, data, environment);
    let listen = format!("{}:{port}", network::HOST);
    daemon.wait_ready(|| healthy(&listen));
    daemon
}

fn spawn(port: u16, data: &Path, environment: &[(String, String)]) -> Daemon {
    let listen = format!("{}:{port}", network::HOST);
    let mut command = Command::new(env!("CARGO_BIN_EXE_mapek"));
    command
        .args(["serve", "--insecure", "--listen", &listen, "--data-dir"])
        .arg(data)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let log = match port {
        PORT => "/run/lab/mapek.log".to_owned(),
        _ => format!("/run/lab/mapek-{port}.log"),
    };
    Daemon::start("mapek", Path::new(&log), &mut command)
}

/// Whether `GET /healthz` is answered with 200.
fn healthy(address: &str) -> bool {
    use std::io::{Read, Write};
    let Ok(mut stream) = std::net::TcpStream::connect(address) else {
        return false;
    };
    let ask = format!("GET /healthz HTTP/1.0\r\nHost: {address}\r\n\r\n");
    let mut answer = [0; 12];
    stream.write_all(ask.as_bytes()).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer.ends_with(b" 200")
}
