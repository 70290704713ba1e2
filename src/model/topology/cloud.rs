//! Where VMs come from: the `cloud_driver` of a topology's infrastructure.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use utoipa::ToSchema;

use crate::model::ids::VmId;
use crate::model::reader::{At, Fields, Notes, join};
use crate::model::registration::Registrations;
use crate::model::units::{Cpu, MOST, Size};

use super::choices::read_switch;
use super::constraints::read_labels;
use super::infrastructure::{MOST_CORES, MOST_MEM_UNITS};
use super::names;
use super::written::Scalar;

/// Where VMs come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// This machine's own Docker engine is the one VM.
    Embedded,
    /// Machines that already exist, in the order of the document.
    Hosts(Vec<Host>),
    /// An AWS Auto Scaling group.
    AutoScaling(AutoScaling),
    /// Machines that register themselves.
    Nodes(Registered),
}

/// Machines that register themselves. The document names none: whoever keeps the registrations fills them in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// Those that have, by name.
    pub members: Arc<Registrations>,
}

/// A machine that exists.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(example = json!({ "docker": "tcp://10.0.0.1:2375", "ip": "10.0.0.1" }))]
pub struct Host {
    /// Its name.
    #[schema(ignore)]
    pub name: VmId,
    /// Its engine: `unix:///…`, `tcp://IP:2375`, `https://IP:2376` or `ssh://user@IP`.
    #[schema(
        pattern = r"^(unix:///|tcp://|http://|https://|ssh://)\S+$",
        example = "tcp://10.0.0.1:2375"
    )]
    pub docker: String,
    /// The address at which its published ports are reached.
    #[schema(format = "ipv4", example = "10.0.0.1")]
    pub ip: Option<String>,
    /// Labels, for `requires`, `prefers` and `spread`.
    #[schema(value_type = Option<BTreeMap<String, Scalar>>, example = json!({ "zone": "a" }))]
    pub labels: BTreeMap<String, String>,
    /// Cores that it has; those of the infrastructure unless given.
    #[schema(rename = "cpu_cores", value_type = Option<f64>, minimum = 0, maximum = 10000, example = 8)]
    pub cpu: Option<Cpu>,
    /// Memory units that it has; those of the infrastructure unless given.
    #[schema(rename = "mem_units", value_type = Option<u32>, minimum = 1, maximum = 1000000, example = 32)]
    pub mem: Option<u64>,
    /// Gigabytes of disk that it has; those of the infrastructure unless given.
    #[schema(minimum = 0, maximum = 1000000, example = 200)]
    pub disk_gb: Option<u64>,
    /// Graphics processors that it has; those of the infrastructure unless given.
    #[schema(minimum = 0, maximum = 1000000, example = 1)]
    pub gpus: Option<u64>,
}

impl Host {
    /// What it has, where `usual` is what the infrastructure says.
    #[must_use]
    pub fn size(&self, usual: Size) -> Size {
        Size {
            cpu: self.cpu.unwrap_or(usual.cpu),
            mem: self.mem.unwrap_or(usual.mem),
            disk_gb: self.disk_gb.unwrap_or(usual.disk_gb),
            gpus: self.gpus.unwrap_or(usual.gpus),
        }
    }
}

/// An AWS Auto Scaling group.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(example = json!({ "autoscaling_groupname": "workers", "region": "eu-west-1" }))]
pub struct AutoScaling {
    /// Name of the group.
    #[schema(rename = "autoscaling_groupname", pattern = r"\S", example = "workers")]
    pub group: String,
    /// A file with lines `AWS_ACCESS_KEY_ID=…`, `AWS_SECRET_ACCESS_KEY=…`; without it, the SDK's own chain.
    #[schema(value_type = Option<String>, pattern = r"\S", example = "/etc/mapek/aws")]
    pub credentials: Option<PathBuf>,
    /// Region; without it, the SDK's own chain.
    #[schema(pattern = r"\S", example = "eu-west-1")]
    pub region: Option<String>,
    /// Another endpoint for the AWS API.
    #[schema(pattern = r"^https?://", example = "http://127.0.0.1:5000")]
    pub endpoint_url: Option<String>,
    /// Seconds to wait for a new instance to be usable; 600 unless given.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 86400, example = 600)]
    pub ready_timeout_s: u64,
    /// Whether the group's MaxSize may be raised; false unless given.
    #[schema(value_type = Option<bool>, example = false)]
    pub manage_max_size: bool,
}

/// The most hosts that may be listed.
const MOST_HOSTS: usize = 10_000;

impl Cloud {
    /// `step` is the step of the cpu mode.
    pub(super) fn read(notes: &mut Notes, at: Option<At<'_>>, step: u64) -> Option<Self> {
        let Some(at) = at else { return Some(Self::Embedded) };
        let mut fields = at.object(notes)?;
        let path = fields.path.clone();
        let (group, hosts) = (fields.text(notes, "autoscaling_groupname"), fields.get("hosts"));
        if let Some(nodes) = fields.get("nodes") {
            for beside in ["autoscaling_groupname", "hosts"] {
                if fields.get(beside).is_some() {
                    notes.problem(
                        &nodes.path,
                        format!("can't stand beside {beside}: keep one of them"),
                    );
                }
            }
            nodes.object(notes)?.finish(notes);
            fields.finish(notes);
            return Some(Self::Nodes(Registered::default()));
        }
        let cloud = match (group, hosts) {
            (Some(_), Some(hosts)) => {
                notes.problem(
                    &hosts.path,
                    "can't be given together with autoscaling_groupname: keep one of them",
                );
                None
            }
            (Some(group), None) => AutoScaling::read(notes, &mut fields, group).map(Self::AutoScaling),
            (None, Some(hosts)) => read_hosts(notes, hosts, step).map(Self::Hosts),
            (None, None) if fields.get("autoscaling_groupname").is_some() => None,
            (None, None) => {
                if fields.entries().next().is_some() {
                    notes.problem(
                        &path,
                        "names no driver: give autoscaling_groupname, hosts or nodes, or leave cloud_driver out",
                    );
                    None
                } else {
                    Some(Self::Embedded)
                }
            }
        };
        if cloud.is_some() {
            fields.finish(notes);
        }
        cloud
    }
}

impl AutoScaling {
    fn read(notes: &mut Notes, fields: &mut Fields<'_>, group: String) -> Option<Self> {
        Some(Self {
            group,
            credentials: fields.text(notes, "credentials").map(PathBuf::from),
            region: fields.text(notes, "region"),
            endpoint_url: read_url(notes, fields),
            ready_timeout_s: fields
                .whole(notes, "ready_timeout_s", 1, 86_400)
                .unwrap_or(600)
                .into(),
            manage_max_size: read_switch(notes, fields, "manage_max_size"),
        })
    }
}

fn read_url(notes: &mut Notes, fields: &mut Fields<'_>) -> Option<String> {
    let url = fields.text(notes, "endpoint_url")?;
    if !["http://", "https://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
    {
        let path = join(&fields.path, "endpoint_url");
        notes.problem(&path, format!("should be an http:// or https:// URL, is {url:?}"));
        return None;
    }
    Some(url)
}

fn read_hosts(notes: &mut Notes, at: At<'_>, step: u64) -> Option<Vec<Host>> {
    let path = at.path.clone();
    let fields = at.object(notes)?;
    let mut hosts = Vec::new();
    let mut count = 0;
    for (name, at) in fields.entries() {
        count += 1;
        let named = names::check_machine(notes, &at.path, name);
        let Some(mut host) = at.object(notes) else {
            continue;
        };
        let docker = host
            .need(notes, "docker")
            .and_then(|at| read_endpoint(notes, &at));
        let ip = host.text(notes, "ip");
        if let Some(ip) = &ip
            && ip.parse::<std::net::IpAddr>().is_err()
        {
            notes.problem(&join(&host.path, "ip"), format!("{ip:?} is not an IP address"));
        }
        let labels = read_labels(notes, &mut host);
        let cpu = host.get("cpu_cores").and_then(|at| {
            let read = at.cores(notes, step, MOST_CORES)?;
            if read == Cpu::ZERO {
                notes.problem(&at.path, "is zero: a VM needs cores");
            }
            Some(read)
        });
        let mem = host
            .get("mem_units")
            .and_then(|at| at.whole(notes, 1, MOST_MEM_UNITS));
        let mut whole = |name| host.get(name).and_then(|at| at.whole(notes, 0, MOST.into()));
        let (disk_gb, gpus) = (whole("disk_gb"), whole("gpus"));
        host.finish(notes);
        if let (true, Some(docker)) = (named, docker) {
            hosts.push(Host {
                name: VmId::new(name),
                docker,
                ip,
                labels,
                cpu,
                mem,
                disk_gb,
                gpus,
            });
        }
    }
    if count == 0 {
        notes.problem(&path, "names no host");
    }
    if count > MOST_HOSTS {
        notes.problem(&path, format!("names {count} hosts; {MOST_HOSTS} is the most"));
    }
    Some(hosts)
}

/// An engine's endpoint.
pub fn read_endpoint(notes: &mut Notes, at: &At<'_>) -> Option<String> {
    let text = at.text(notes)?;
    let known = ["unix:///", "tcp://", "http://", "https://", "ssh://"];
    let rest = known
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .filter(|rest| !rest.is_empty());
    if rest.is_none() || text.chars().any(char::is_whitespace) {
        let form =
            "should be an engine's endpoint: unix:///path, tcp://IP:2375, https://IP:2376 or ssh://user@IP";
        notes.problem(&at.path, form);
        return None;
    }
    Some(text.to_owned())
}
