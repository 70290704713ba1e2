//! `mapek agent`: the machine that it runs on registers itself at a service.

use std::net::{IpAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use hyper::{Method, Uri};
use serde_json::{Map, Value};
use tokio::signal::unix::{SignalKind, signal};

use crate::agent::{self, Answered, Kernel, Link, Settings};
use crate::config::agent::AgentOptions;
use crate::config::client::ClientOptions;
use crate::engine::docker::{DockerEngine, DockerEngines, Settings as DockerSettings};
use crate::engine::endpoint::Endpoint;
use crate::engine::{Engine, Owners};
use crate::model::About;
use crate::outside::{Outside, System};

use super::http::Client;
use super::problem::{Exit, Problem};
use super::progress::say;

/// The service and the engine of one node.
struct Ways {
    client: Client,
    path: String,
    engine: std::sync::Arc<DockerEngine>,
    /// How long the service is waited for.
    patience: Duration,
}

impl Ways {
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Answered {
        match tokio::time::timeout(self.patience, self.client.ask(method, path, body)).await {
            Ok(Ok(answer)) => taken(&answer),
            Ok(Err(problem)) => refused(&problem),
            Err(_) => {
                let seconds = self.patience.as_secs();
                Answered::Away(format!("the service does not answer within {seconds} s"))
            }
        }
    }
}

impl Link for Ways {
    async fn put(&self, said: &Value) -> Answered {
        self.ask(Method::PUT, &self.path, Some(said)).await
    }

    async fn leave(&self, epoch: u64) -> Answered {
        let path = format!("{}?epoch={epoch}", self.path);
        self.ask(Method::DELETE, &path, None).await
    }

    async fn engine(&self) -> Result<About, String> {
        let machine = self.engine.machine().await;
        machine
            .map(|machine| machine.about)
            .map_err(|error| error.to_string())
    }
}

fn taken(answer: &Value) -> Answered {
    let seconds = |name: &str| answer.get(name)?.as_u64().map(Duration::from_secs);
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    let standing = text("standing").map(|standing| match text("reason") {
        Some(reason) => format!("{standing} ({reason})"),
        None => standing.to_owned(),
    });
    Answered::Taken {
        refresh: seconds("refresh_s"),
        lost_after: seconds("lost_after_s"),
        standing,
    }
}

fn refused(problem: &Problem) -> Answered {
    let why = problem.message.clone();
    let Some(answer) = &problem.answer else {
        return Answered::Away(why);
    };
    match answer.get("code").and_then(Value::as_str) {
        Some("epoch_stale") => {
            let epoch = answer.pointer("/details/0/epoch").and_then(Value::as_u64);
            epoch.map_or(Answered::Refused(why), Answered::Stale)
        }
        Some("not_found") => Answered::Unknown(why),
        _ if problem.exit == Exit::Broken => Answered::Away(why),
        _ => Answered::Refused(why),
    }
}

/// Runs until SIGTERM or Ctrl-C.
///
/// # Errors
///
/// When the options make no sense, or another agent of this node has taken over.
pub async fn agent(options: &AgentOptions, service: &ClientOptions) -> Result<(), Problem> {
    let wrong = |why: String| Problem::new(Exit::Usage, why);
    let client = Client::new(service)?;
    let id = match &options.id {
        Some(id) => id.clone(),
        None => hostname().ok_or_else(|| wrong("the machine has no name: give --id".to_owned()))?,
    };
    let host = host_of(&service.server);
    let ip = options.ip.or_else(|| own_address(&host));
    let endpoint = endpoint(options, &host).map_err(wrong)?;
    let engines = DockerEngines::new(DockerSettings::default(), Owners::default());
    let engine = engines
        .engine(&options.docker, None)
        .map_err(|error| wrong(format!("--docker: {}", error.message)))?;
    let refresh = Duration::from_secs(u64::from(options.refresh_s));
    let settings = Settings {
        endpoint,
        ip: ip.map(|ip| ip.to_string()),
        epoch: u64::try_from(System.now().as_millisecond()).unwrap_or_default(),
        refresh,
        cpu_cores: options.cpu_cores,
        mem_units: options.mem_units,
        labels: options.labels.iter().cloned().collect(),
        capabilities: capabilities(&options.capabilities),
    };
    let ways = Ways {
        client,
        path: format!("/api/nodes/{id}"),
        engine,
        patience: refresh.max(Duration::from_secs(3)),
    };
    say(&format!(
        "mapek: agent of node '{id}', engine {}, at {}",
        settings.endpoint, service.server
    ));
    let tell = |what: &str| say(&format!("mapek: {what}"));
    let kernel = Kernel::at(Path::new("/"));
    let chance = || System.chance();
    agent::run(&settings, &ways, &kernel, stopped()?, (tell, chance))
        .await
        .map_err(|why| Problem::new(Exit::Conflict, why))
}

/// Waits until the agent is told to stop.
fn stopped() -> Result<impl Future<Output = ()>, Problem> {
    let failed =
        |error: std::io::Error| Problem::new(Exit::Failed, format!("can't wait for SIGTERM: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn hostname() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// Host and port of the service.
fn host_of(server: &str) -> (String, u16) {
    let text = if server.contains("://") {
        server.to_owned()
    } else {
        format!("http://{server}")
    };
    let uri = text.parse::<Uri>().unwrap_or_default();
    let host = uri
        .host()
        .unwrap_or("localhost")
        .trim_matches(['[', ']'])
        .to_owned();
    let usual = if uri.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    (host, uri.port_u16().unwrap_or(usual))
}

/// The address of this machine from which the service is reached. Nothing is sent for that.
fn own_address((host, port): &(String, u16)) -> Option<IpAddr> {
    let reach = |any: &str| {
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect((host.as_str(), *port)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    reach("0.0.0.0").or_else(|| reach("::"))
}

/// The engine's endpoint as the service is to dial it.
fn endpoint(options: &AgentOptions, (host, _): &(String, u16)) -> Result<String, String> {
    if let Some(endpoint) = &options.endpoint {
        Endpoint::parse(endpoint).map_err(|why| format!("--endpoint {why}"))?;
        return Ok(endpoint.clone());
    }
    let engine = Endpoint::parse(&options.docker).map_err(|why| format!("--docker {why}"))?;
    let is_loopback = |host: &str| {
        let address = host.parse::<IpAddr>();
        host.eq_ignore_ascii_case("localhost")
            || address.is_ok_and(|address| address.to_canonical().is_loopback())
    };
    let only_here = engine.host().is_none_or(is_loopback);
    if only_here && !is_loopback(host) {
        return Err(format!(
            "the service can't reach {} on this machine from where it is: let the engine listen on the network, with TLS, \
             and give its address with --endpoint, such as https://10.0.0.7:2376",
            options.docker
        ));
    }
    Ok(options.docker.clone())
}

/// Values that read as JSON are what they read as; all others are text.
fn capabilities(given: &[(String, String)]) -> Map<String, Value> {
    let value = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()));
    given
        .iter()
        .map(|(name, text)| (name.clone(), value(text)))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn options(docker: &str, endpoint: Option<&str>) -> AgentOptions {
        AgentOptions {
            id: None,
            docker: docker.to_owned(),
            endpoint: endpoint.map(str::to_owned),
            ip: None,
            refresh_s: 10,
            cpu_cores: None,
            mem_units: None,
            labels: Vec::new(),
            capabilities: Vec::new(),
        }
    }

    #[test]
    fn an_engine_that_only_this_machine_reaches_serves_only_a_service_on_it() {
        let (here, there) = (("127.0.0.1".to_owned(), 8000), ("10.0.0.1".to_owned(), 8000));
        let socket = "unix:///var/run/docker.sock";
        assert_eq!(endpoint(&options(socket, None), &here).unwrap(), socket);
        for only_here in [socket, "tcp://127.0.0.1:2375", "tcp://localhost:2375"] {
            let why = endpoint(&options(only_here, None), &there).unwrap_err();
            assert!(why.contains("--endpoint"), "{why}");
        }
        let named = endpoint(&options(socket, Some("https://10.0.0.7:2376")), &there);
        assert_eq!(named.unwrap(), "https://10.0.0.7:2376");
        assert!(endpoint(&options(socket, Some("nonsense")), &there).is_err());
        assert_eq!(
            endpoint(&options("tcp://10.0.0.7:2375", None), &there).unwrap(),
            "tcp://10.0.0.7:2375"
        );
    }

    #[test]
    fn the_service_is_found_by_its_url_with_and_without_a_port() {
        assert_eq!(host_of("http://10.0.0.1:8000"), ("10.0.0.1".to_owned(), 8000));
        assert_eq!(host_of("https://mapek.test"), ("mapek.test".to_owned(), 443));
        assert_eq!(host_of("[fd00::1]:99"), ("fd00::1".to_owned(), 99));
    }

    #[test]
    fn answers_say_what_is_to_be_done() {
        let answer = json!({ "refresh_s": 2, "lost_after_s": 9, "standing": "cordoned", "reason": "by ops" });
        assert_eq!(
            taken(&answer),
            Answered::Taken {
                refresh: Some(Duration::from_secs(2)),
                lost_after: Some(Duration::from_secs(9)),
                standing: Some("cordoned (by ops)".to_owned()),
            }
        );
        let stale = json!({ "error": "over", "code": "epoch_stale", "details": [{ "epoch": 9 }] });
        assert_eq!(refused(&Problem::answered(409, stale)), Answered::Stale(9));
        let unknown = json!({ "error": "no such node", "code": "not_found", "details": [] });
        assert!(matches!(
            refused(&Problem::answered(404, unknown)),
            Answered::Unknown(_)
        ));
        let failing = json!({ "error": "x", "code": "internal", "details": [] });
        assert!(matches!(
            refused(&Problem::answered(500, failing)),
            Answered::Away(_)
        ));
        let denied = json!({ "error": "x", "code": "forbidden", "details": [] });
        assert!(matches!(
            refused(&Problem::answered(403, denied)),
            Answered::Refused(_)
        ));
    }

    #[test]
    fn a_capability_is_a_number_where_it_reads_as_one() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let given = [pair("racks", "2"), pair("site", "Milan"), pair("cams", "[\"a\"]")];
        assert_eq!(
            json!(capabilities(&given)),
            json!({ "racks": 2, "site": "Milan", "cams": ["a"] })
        );
    }
}
