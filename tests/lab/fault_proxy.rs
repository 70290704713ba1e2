//! A proxy between `mapek` and a Docker engine that breaks what it is told to break.
//!
//! It understands as much HTTP/1.1 as it takes to know where a request and its answer end
//! ([`crate::fault_http`]), several requests on a connection, and connections that a running command takes
//! over. Requests are told apart by what they do to which container; the proxy learns from the
//! engine's answers which ids belong to which names.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::fault_http::{Answered, Head, read_head};

/// What a request does, as far as faults depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// What the machine has.
    Info,
    /// The list of containers.
    List,
    /// Whether the image is there.
    Image,
    /// The state of a container.
    Inspect,
    /// A container is made.
    Create,
    /// It is started.
    Start,
    /// Its limits are changed.
    Update,
    /// Files are put into it.
    Unpack,
    /// A command is prepared in it.
    ExecCreate,
    /// The command is run.
    ExecStart,
    /// How the command ended.
    ExecInspect,
    /// It is stopped.
    Stop,
    /// It is removed.
    Remove,
    /// Anything else.
    Other,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends; the engine never gets the request.
    CutBefore,
    /// The engine does it; the connection ends instead of the answer.
    CutAfter,
    /// The engine does it at once; the answer comes this much later.
    LateAnswer(Duration),
    /// The engine gets it only this much later.
    LateRequest(Duration),
    /// This status, and the engine never gets the request.
    Refuse(u16),
    /// The engine does it, and the answer is 500 all the same.
    ErrorAfter,
    /// The engine never gets the request, and the answer is not HTTP.
    Garbage,
    /// The engine does it, and the answer is not HTTP.
    GarbageAfter,
}

/// A fault for the next requests of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The container; empty for calls that concern none.
    pub container: &'static str,
    /// The request.
    pub call: Call,
    /// What happens.
    pub fault: Fault,
    /// For how many requests; None for all from now on.
    pub times: Option<u32>,
    /// Only once this has been done to this container.
    pub after: Option<(&'static str, Call)>,
}

impl Rule {
    /// For the next such request.
    pub const fn once(container: &'static str, call: Call, fault: Fault) -> Self {
        let (times, after) = (Some(1), None);
        Self {
            container,
            call,
            fault,
            times,
            after,
        }
    }

    /// For every such request.
    pub const fn always(container: &'static str, call: Call, fault: Fault) -> Self {
        let (times, after) = (None, None);
        Self {
            container,
            call,
            fault,
            times,
            after,
        }
    }

    /// Only once `call` has been done to `container`.
    pub const fn once_after(mut self, container: &'static str, call: Call) -> Self {
        self.after = Some((container, call));
        self
    }
}

/// What has been seen and is to be broken, for all engines together.
#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    /// Names of containers by id, and by the id of a command in them.
    names: HashMap<String, String>,
    /// Requests that reached an engine and succeeded.
    done: HashMap<(String, Call), u32>,
    /// Faults that happened.
    broken: Vec<(String, Call, Fault)>,
}

/// Proxies in front of engines, which share their rules.
#[derive(Clone, Default)]
pub struct Proxies {
    state: Arc<Mutex<State>>,
}

impl Proxies {
    /// Puts a proxy in front of the engine at `upstream` and returns the endpoint to use instead.
    pub async fn before(&self, upstream: &str) -> String {
        let listener = TcpListener::bind((crate::network::HOST, 0)).await.unwrap();
        let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
        let (proxies, upstream) = (self.clone(), upstream.trim_start_matches("tcp://").to_owned());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (proxies, upstream) = (proxies.clone(), upstream.clone());
                // An error means that the connection has ended, for whatever reason.
                tokio::spawn(async move { drop(proxies.serve(client, &upstream).await) });
            }
        });
        endpoint
    }

    /// Breaks this, and nothing else, from now on; forgets what was counted.
    pub fn set(&self, rules: &[Rule]) {
        let mut state = self.state.lock().unwrap();
        state.rules = rules.to_vec();
        state.done.clear();
        state.broken.clear();
    }

    /// How often an engine was asked for this and did it, since the rules were set.
    pub fn done(&self, container: &str, call: Call) -> u32 {
        let state = self.state.lock().unwrap();
        state
            .done
            .get(&(container.to_owned(), call))
            .copied()
            .unwrap_or_default()
    }

    /// The faults that happened since the rules were set.
    pub fn broken(&self) -> Vec<(String, Call, Fault)> {
        self.state.lock().unwrap().broken.clone()
    }

    async fn serve(&self, client: TcpStream, upstream: &str) -> std::io::Result<()> {
        client.set_nodelay(true)?;
        let engine = TcpStream::connect(upstream).await?;
        engine.set_nodelay(true)?;
        let (mut client, mut engine) = (BufReader::new(client), BufReader::new(engine));
        while let Some(head) = read_head(&mut client).await? {
            let body = head.body(&mut client).await?;
            let (container, call) = self.meaning(&head);
            let fault = self.fault(&container, call);
            match fault {
                Some(Fault::CutBefore) => return Ok(()),
                Some(Fault::Refuse(status)) => {
                    let said = r#"{"message":"broken on purpose"}"#;
                    client.write_all(error(status, said).as_bytes()).await?;
                    continue;
                }
                Some(Fault::Garbage) => return client.write_all(GARBAGE).await,
                Some(Fault::LateRequest(delay)) => tokio::time::sleep(delay).await,
                Some(_) | None => {}
            }
            engine.write_all(head.text.as_bytes()).await?;
            engine.write_all(&body.sent).await?;
            let Some(answer) = Answered::read_head(&mut engine, &head).await? else {
                return Ok(());
            };
            if fault.is_none() && answer.takes_over() {
                self.count(&container, call);
                client.write_all(answer.text().as_bytes()).await?;
                copy_bidirectional(&mut client, &mut engine).await?;
                return Ok(());
            }
            let body = answer.body(&mut engine).await?;
            self.learn(&head, &body.content);
            if answer.status() < 400 {
                self.count(&container, call);
            }
            match fault {
                Some(Fault::CutAfter) => return Ok(()),
                Some(Fault::GarbageAfter) => return client.write_all(GARBAGE).await,
                Some(Fault::ErrorAfter) => {
                    let said = r#"{"message":"broken on purpose, after the deed"}"#;
                    client.write_all(error(500, said).as_bytes()).await?;
                    continue;
                }
                Some(Fault::LateAnswer(delay)) => tokio::time::sleep(delay).await,
                Some(_) | None => {}
            }
            client.write_all(answer.text().as_bytes()).await?;
            client.write_all(&body.sent).await?;
            if answer.takes_over() || answer.ends_with_connection() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The container that a request concerns, by name, and what it does.
    fn meaning(&self, head: &Head) -> (String, Call) {
        let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
        let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        if parts
            .first()
            .is_some_and(|part| part.starts_with("v1.") || part.starts_with("v2."))
        {
            parts.remove(0);
        }
        let state = self.state.lock().unwrap();
        let named = |id: &str| state.names.get(id).map_or(id, String::as_str).to_owned();
        match (head.method.as_str(), parts.as_slice()) {
            ("GET", ["info"]) => (String::new(), Call::Info),
            ("GET", ["containers", "json"]) => (String::new(), Call::List),
            ("GET", ["images", .., "json"]) => (String::new(), Call::Image),
            ("POST", ["containers", "create"]) => {
                let name = query.split('&').find_map(|pair| pair.strip_prefix("name="));
                (name.unwrap_or_default().to_owned(), Call::Create)
            }
            ("GET", ["containers", id, "json"]) => (named(id), Call::Inspect),
            ("POST", ["containers", id, "start"]) => (named(id), Call::Start),
            ("POST", ["containers", id, "update"]) => (named(id), Call::Update),
            ("PUT", ["containers", id, "archive"]) => (named(id), Call::Unpack),
            ("POST", ["containers", id, "exec"]) => (named(id), Call::ExecCreate),
            ("POST", ["containers", id, "stop"]) => (named(id), Call::Stop),
            ("DELETE", ["containers", id]) => (named(id), Call::Remove),
            ("POST", ["exec", id, "start"]) => (named(id), Call::ExecStart),
            ("GET", ["exec", id, "json"]) => (named(id), Call::ExecInspect),
            _ => (String::new(), Call::Other),
        }
    }

    /// Remembers the ids in an answer.
    fn learn(&self, head: &Head, body: &[u8]) {
        let (container, call) = self.meaning(head);
        let Ok(answer) = serde_json::from_slice::<serde_json::Value>(body) else {
            return;
        };
        let name = match call {
            Call::Inspect => answer["Name"]
                .as_str()
                .map(|name| name.trim_start_matches('/').to_owned()),
            Call::Create | Call::ExecCreate => Some(container),
            _ => None,
        };
        if let (Some(name), Some(id)) = (name, answer["Id"].as_str()) {
            self.state.lock().unwrap().names.insert(id.to_owned(), name);
        }
    }

    fn count(&self, container: &str, call: Call) {
        let mut state = self.state.lock().unwrap();
        *state.done.entry((container.to_owned(), call)).or_default() += 1;
    }

    /// The fault for a request, if there is one.
    fn fault(&self, container: &str, call: Call) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        let State {
            rules, done, broken, ..
        } = &mut *state;
        let rule = rules.iter_mut().find(|rule| {
            let (same, left) = (
                rule.container == container && rule.call == call,
                rule.times != Some(0),
            );
            let armed = |(name, call): (&str, Call)| done.contains_key(&(name.to_owned(), call));
            same && left && rule.after.is_none_or(armed)
        })?;
        if let Some(times) = &mut rule.times {
            *times -= 1;
        }
        broken.push((container.to_owned(), call, rule.fault));
        Some(rule.fault)
    }
}

/// Something that is no answer.
const GARBAGE: &[u8] = b"\x16\x03\x01\x00 what is this?\r\n\r\n";

fn error(status: u16, said: &str) -> String {
    let length = said.len();
    format!(
        "HTTP/1.1 {status} Broken\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{said}"
    )
}
