//! Probes: how `mapek` itself checks whether a container works, for images that have no health
//! check of their own.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::reader::{At, Fields, Notes, join};

use super::healthcheck::Healthcheck;
use super::ports::{PortBinding, Protocol};

/// Longest time, in seconds, that a probe's settings may have.
const MOST_SECONDS: u32 = 86_400;

/// A check of a container, made at a published port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What is checked.
    #[serde(flatten)]
    pub ask: Ask,
    /// The VM's address that the port is published on; None for all of them.
    pub address: Option<IpAddr>,
    /// The port on the VM.
    pub port: u16,
    /// Seconds between two checks.
    pub interval_s: u32,
    /// Seconds that an answer may take.
    pub timeout_s: u32,
    /// Failures in a row until the container counts as unhealthy.
    pub retries: u32,
    /// Seconds from the start in which failures do not count.
    pub start_period_s: u32,
}

/// What is checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// `GET path`.
    Http {
        /// Path, and query if there is one.
        path: String,
        /// The status that counts as healthy; None for anything from 200 to 399.
        status: Option<u16>,
    },
    /// Whether a connection is accepted.
    Tcp {},
}

/// Who makes the check.
pub enum Asker {
    /// `mapek`, from where it runs.
    Mapek(Probe),
    /// The engine, inside the container: nothing else can run a command there at any time.
    Engine(Healthcheck),
}

/// Reads `probe` of a tier that publishes these ports.
pub(super) fn read(notes: &mut Notes, at: At<'_>, ports: &[PortBinding]) -> Option<Asker> {
    let mut fields = at.object(notes)?;
    let path = fields.path.clone();
    let asked = [fields.get("http"), fields.get("tcp"), fields.get("command")];
    if asked.iter().flatten().count() != 1 {
        notes.problem(&path, "should have exactly one of http, tcp and command");
    }
    let [http, tcp, command] = asked;
    let [interval_s, timeout_s] =
        ["interval_s", "timeout_s"].map(|key| fields.whole(notes, key, 1, MOST_SECONDS));
    let retries = fields.whole(notes, "retries", 1, 1000);
    let start_period_s = fields.whole(notes, "start_period_s", 0, MOST_SECONDS);
    fields.finish(notes);
    // These fields are the same for both kinds.
    let (interval, timeout) = (interval_s.unwrap_or(5), timeout_s.unwrap_or(5));
    let (retries, start_period) = (retries.unwrap_or(3), start_period_s.unwrap_or(30));
    let by_mapek = |(ask, port): (Ask, PortBinding)| {
        Asker::Mapek(Probe {
            ask,
            address: port.address,
            port: port.host,
            interval_s: interval,
            timeout_s: timeout,
            retries,
            start_period_s: start_period,
        })
    };
    // All of them are read, whichever counts.
    let http = http.and_then(|at| read_http(notes, at, ports));
    let tcp = tcp.and_then(|at| read_tcp(notes, at, ports));
    let command = command.and_then(|at| {
        let test = at.words(notes)?;
        if test.is_empty() {
            notes.problem(&at.path, "is empty");
        }
        (!test.is_empty()).then_some(test)
    });
    let by_engine = |test| {
        Asker::Engine(Healthcheck {
            test,
            interval_s: Some(interval),
            timeout_s: Some(timeout),
            retries: Some(retries),
            start_period_s: Some(start_period),
        })
    };
    http.or(tcp).map(by_mapek).or_else(|| command.map(by_engine))
}

fn read_tcp(notes: &mut Notes, at: At<'_>, ports: &[PortBinding]) -> Option<(Ask, PortBinding)> {
    let mut fields = at.object(notes)?;
    let port = read_port(notes, &mut fields, ports);
    fields.finish(notes);
    Some((Ask::Tcp {}, port?))
}

fn read_http(notes: &mut Notes, at: At<'_>, ports: &[PortBinding]) -> Option<(Ask, PortBinding)> {
    let mut fields = at.object(notes)?;
    let port = read_port(notes, &mut fields, ports);
    let path = fields.text(notes, "path").unwrap_or_else(|| "/".to_owned());
    let plain = path.starts_with('/') && path.chars().all(|c| c.is_ascii_graphic());
    if !plain {
        notes.problem(
            &join(&fields.path, "path"),
            "should begin with / and have no spaces: \"/health?full=1\"",
        );
    }
    let status = fields.whole(notes, "status", 100, 599);
    fields.finish(notes);
    let status = status.and_then(|status| u16::try_from(status).ok());
    Some((Ask::Http { path, status }, port?))
}

/// The container's port, which must be published: that is how `mapek` reaches it.
fn read_port(notes: &mut Notes, fields: &mut Fields<'_>, ports: &[PortBinding]) -> Option<PortBinding> {
    let at = fields.need(notes, "port")?;
    let port = at.whole(notes, 1, 65_535)?;
    let tcp = |binding: &&PortBinding| binding.protocol == Protocol::Tcp;
    let found = ports
        .iter()
        .filter(tcp)
        .find(|binding| u64::from(binding.container) == port);
    let Some(found) = found else {
        let mut published: Vec<String> = ports
            .iter()
            .filter(tcp)
            .map(|binding| binding.container.to_string())
            .collect();
        published.dedup();
        let which = if published.is_empty() {
            "none".to_owned()
        } else {
            published.join(", ")
        };
        notes.problem(
            &at.path,
            format!(
                "is a port of the container that the tier does not publish, so mapek can't reach it (published: {which})"
            ),
        );
        return None;
    };
    if found.address.is_some_and(|address| address.is_loopback()) {
        notes.warn(
            &at.path,
            "is published on a loopback address: mapek reaches it only where it runs on the same machine",
        );
    }
    Some(*found)
}

#[cfg(test)]
mod tests;
