//! An imitation of AWS on the lab's network: moto, with a VPC whose subnet is the lab's addresses,
//! and a Docker engine started for each instance that appears.
//!
//! Nothing here, and no `mapek` that is started for it, speaks to anything but the loopback
//! address: see [`only_loopback`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_autoscaling::config::{BehaviorVersion, Region};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_xml::decode::{Document, try_data};
use serde_json::{Value, json};

use crate::daemons::{Lab, Launcher, Vm};
use crate::images;
use crate::process::Daemon;
use crate::service::Service;

pub const REGION: &str = "eu-west-1";
const PORT: u16 = 5001;
/// The credentials file that topologies name.
pub const CREDENTIALS: &str = "/run/lab/credentials";
/// Its content must never be seen anywhere else.
pub const SECRET: &str = "open-sesame-0123456789";
/// The same for the session token.
pub const TOKEN: &str = "session-token-9876543210";
/// How often moto is asked which instances there are.
const LOOK: Duration = Duration::from_millis(100);

/// Refuses every endpoint of AWS that is not on the loopback address, and also a missing one:
/// without an endpoint, the SDK would speak to AWS itself.
pub fn only_loopback(endpoint: Option<&str>) -> Result<&str, String> {
    let endpoint = endpoint.ok_or("without an endpoint on the loopback address the lab does not run")?;
    let host = endpoint
        .strip_prefix("http://")
        .and_then(|rest| rest.split('/').next())
        .and_then(|authority| authority.rsplit_once(':'))
        .map_or("", |(host, _)| host);
    let loopback = host
        .parse::<std::net::Ipv4Addr>()
        .is_ok_and(|ip| ip.is_loopback());
    if loopback {
        Ok(endpoint)
    } else {
        Err(format!(
            "{endpoint} is not on the loopback address: the lab does not run"
        ))
    }
}

/// The imitation.
pub struct Aws {
    /// Where it answers.
    pub endpoint: String,
    /// Auto Scaling, for setting up and looking.
    pub autoscaling: aws_sdk_autoscaling::Client,
    ec2: Ec2,
    subnet: String,
    fleet: Arc<Fleet>,
    watcher: tokio::task::JoinHandle<()>,
    _moto: Daemon,
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

/// Instances with an engine.
#[derive(Default)]
struct Fleet {
    up: Mutex<BTreeMap<String, Vm>>,
    begun: Mutex<BTreeSet<String>>,
    /// This many further instances of a group get no engine.
    dead: Mutex<BTreeMap<String, usize>>,
}

impl Aws {
    /// Starts it, with an empty VPC.
    pub async fn start(lab: &Lab) -> Self {
        Self::start_with(lab.launcher()).await
    }

    /// The same, with engines that this starts.
    pub async fn start_with(launcher: Launcher) -> Self {
        let endpoint = format!("http://127.0.0.1:{PORT}");
        let endpoint = only_loopback(Some(&endpoint)).unwrap().to_owned();
        let mut command = Command::new(images::moto_server());
        command.args(["-H", "127.0.0.1", "-p", &PORT.to_string()]);
        let mut moto = Daemon::start("moto", Path::new("/run/lab/moto.log"), &mut command);
        let answers = || std::net::TcpStream::connect(("127.0.0.1", PORT)).is_ok();
        moto.wait_ready(answers);
        std::fs::write(
            CREDENTIALS,
            format!("AWS_ACCESS_KEY_ID=AKIALAB\nAWS_SECRET_ACCESS_KEY={SECRET}\nAWS_SESSION_TOKEN={TOKEN}\n"),
        )
        .unwrap();

        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let keys = Credentials::new("lab", "lab", None, None, "lab");
        let autoscaling = aws_sdk_autoscaling::Client::from_conf(
            aws_sdk_autoscaling::Config::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .http_client(http)
                .region(Region::new(REGION))
                .endpoint_url(&endpoint)
                .credentials_provider(keys)
                .build(),
        );
        let ec2 = Ec2 {
            client: crate::http::client(),
            endpoint: endpoint.clone(),
        };
        let vpc = ec2.call("CreateVpc", &[("CidrBlock", "10.77.0.0/16")]).await;
        let vpc = texts(&vpc, "vpcId").remove(0);
        let subnet = [("VpcId", vpc.as_str()), ("CidrBlock", "10.77.1.0/24")];
        let subnet = texts(&ec2.call("CreateSubnet", &subnet).await, "subnetId").remove(0);
        autoscaling
            .create_launch_configuration()
            .launch_configuration_name("lab")
            .image_id("ami-12c6146b")
            .instance_type("t3.small")
            .send()
            .await
            .unwrap();

        let fleet = Arc::new(Fleet::default());
        let watcher = tokio::spawn(watch(ec2.clone(), launcher, Arc::clone(&fleet)));
        Self {
            endpoint,
            autoscaling,
            ec2,
            subnet,
            fleet,
            watcher,
            _moto: moto,
        }
    }

    /// Makes a group with this many members.
    pub async fn make_group(&self, name: &str, min: i32, max: i32, desired: i32) {
        self.autoscaling
            .create_auto_scaling_group()
            .auto_scaling_group_name(name)
            .launch_configuration_name("lab")
            .min_size(min)
            .max_size(max)
            .desired_capacity(desired)
            .vpc_zone_identifier(&self.subnet)
            .send()
            .await
            .unwrap();
    }

    /// The group as AWS describes it.
    pub async fn group(&self, name: &str) -> aws_sdk_autoscaling::types::AutoScalingGroup {
        let groups = self
            .autoscaling
            .describe_auto_scaling_groups()
            .auto_scaling_group_names(name)
            .send()
            .await
            .unwrap();
        groups.auto_scaling_groups.unwrap().remove(0)
    }

    /// Ids of a group's members, in order.
    pub async fn members(&self, name: &str) -> Vec<String> {
        let instances = self.group(name).await.instances.unwrap_or_default();
        let mut ids: Vec<String> = instances
            .into_iter()
            .filter_map(|instance| instance.instance_id)
            .collect();
        ids.sort();
        ids
    }

    /// Ids of the members that are protected from scale-in, in order.
    pub async fn protected(&self, name: &str) -> Vec<String> {
        let instances = self.group(name).await.instances.unwrap_or_default();
        let mut ids: Vec<String> = instances
            .into_iter()
            .filter(|instance| instance.protected_from_scale_in == Some(true))
            .filter_map(|instance| instance.instance_id)
            .collect();
        ids.sort();
        ids
    }

    /// Terminates an instance as a person, or a spot market, does.
    pub async fn steal(&self, instance: &str) {
        self.ec2
            .call("TerminateInstances", &[("InstanceId.1", instance)])
            .await;
    }

    /// From now on, this many further instances of the group get no engine.
    pub fn without_engine(&self, group: &str, count: usize) {
        self.fleet.dead.lock().unwrap().insert(group.to_owned(), count);
    }

    /// Does something with the engine of an instance, which must be up.
    pub fn on<T>(&self, instance: &str, what: impl FnOnce(&Vm) -> T) -> T {
        let up = self.fleet.up.lock().unwrap();
        what(
            up.get(instance)
                .unwrap_or_else(|| panic!("{instance} has no engine")),
        )
    }

    /// Names of the containers on an instance.
    pub fn containers(&self, instance: &str) -> Vec<String> {
        self.on(instance, Vm::containers)
    }

    /// Waits until every member of a group has an engine.
    pub async fn wait_for_engines(&self, group: &str) {
        for _ in 0..600 {
            let members = self.members(group).await;
            if members
                .iter()
                .all(|id| self.fleet.up.lock().unwrap().contains_key(id))
            {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
        panic!("not every member of {group} got an engine");
    }

    /// A topology on a group, through `endpoint`; see [`crate::topologies::on_hosts`].
    pub fn topology(endpoint: &str, group: &str, tiers: Value) -> Value {
        let endpoint = only_loopback(Some(endpoint)).unwrap();
        let mut topology = crate::topologies::on_hosts(json!({}), tiers);
        topology["infrastructure"]["cloud_driver"] = json!({
            "autoscaling_groupname": group, "credentials": CREDENTIALS, "region": REGION,
            "endpoint_url": endpoint, "ready_timeout_s": 60,
        });
        topology
    }

    /// A `mapek` at this port, with a state of its own.
    pub fn service(port: u16, environment: &[(&str, &str)]) -> Service {
        let data = format!("/run/lab/mapek-{port}");
        let safe = [("AWS_EC2_METADATA_DISABLED", "true")];
        Service::start_beside(port, Path::new(&data), &[&safe[..], environment].concat())
    }
}

/// As much of EC2 as the lab needs.
#[derive(Clone)]
struct Ec2 {
    client: reqwest::Client,
    endpoint: String,
}

impl Ec2 {
    async fn call(&self, action: &str, fields: &[(&str, &str)]) -> String {
        // moto tells services apart by the signed service name, and checks no signature.
        let signed = "AWS4-HMAC-SHA256 Credential=lab/20260101/eu-west-1/ec2/aws4_request, \
                      SignedHeaders=host, Signature=none";
        let form = [&[("Action", action), ("Version", "2016-11-15")], fields].concat();
        let mut tries = 0;
        loop {
            let request = self.client.post(&self.endpoint).header("Authorization", signed);
            let answer = request.form(&form).send().await.unwrap();
            let status = answer.status();
            let text = answer.text().await.unwrap();
            if status.is_success() {
                return text;
            }
            // moto breaks off a list when it changes meanwhile; calls that only read can be made
            // again.
            tries += 1;
            assert!(action.starts_with("Describe") && tries < 20, "{action}: {text}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

/// The texts of all elements of this name.
pub fn texts(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open)
        .skip(1)
        .filter_map(|rest| rest.split_once(&close))
        .map(|(text, _)| text.to_owned())
        .collect()
}

/// Id, private address and group of each instance in EC2's answer.
fn instances(xml: &str) -> Vec<(String, String, String)> {
    let mut document = Document::new(xml);
    let mut root = document.root_element().unwrap();
    let mut found = Vec::new();
    while let Some(mut reservations) = root.next_tag() {
        while let Some(mut reservation) = reservations.next_tag() {
            while let Some(mut instances) = reservation.next_tag() {
                if !instances.start_el().matches("instancesSet") {
                    continue;
                }
                while let Some(mut instance) = instances.next_tag() {
                    let (mut id, mut ip, mut group) = (String::new(), String::new(), String::new());
                    while let Some(mut field) = instance.next_tag() {
                        match field.start_el().local() {
                            "instanceId" => id = try_data(&mut field).unwrap().into_owned(),
                            "privateIpAddress" => ip = try_data(&mut field).unwrap().into_owned(),
                            "tagSet" => {
                                while let Some(mut tag) = field.next_tag() {
                                    let mut of_group = false;
                                    while let Some(mut part) = tag.next_tag() {
                                        let key = part.start_el().matches("key");
                                        let text = try_data(&mut part).unwrap().into_owned();
                                        if key {
                                            of_group = text == "aws:autoscaling:groupName";
                                        } else if of_group {
                                            group = text;
                                        }
                                    }
                                }
                            }
                            _ => {}
                        }
                    }
                    found.push((id, ip, group));
                }
            }
        }
    }
    found
}

/// Starts and ends engines as instances come and go.
async fn watch(ec2: Ec2, launcher: Launcher, fleet: Arc<Fleet>) {
    let running = [
        ("Filter.1.Name", "instance-state-name"),
        ("Filter.1.Value.1", "running"),
    ];
    loop {
        let answer = ec2.call("DescribeInstances", &running).await;
        let mut there = BTreeSet::new();
        for (id, ip, group) in instances(&answer) {
            there.insert(id.clone());
            if !fleet.begun.lock().unwrap().insert(id.clone()) {
                continue;
            }
            if let Some(left) = fleet.dead.lock().unwrap().get_mut(&group)
                && *left > 0
            {
                *left -= 1;
                continue;
            }
            let number = ip.rsplit('.').next().unwrap().parse().unwrap();
            let (launcher, fleet) = (launcher.clone(), Arc::clone(&fleet));
            tokio::task::spawn_blocking(move || {
                let vm = launcher.start(number);
                fleet.up.lock().unwrap().insert(id, vm);
            });
        }
        let gone: Vec<Vm> = {
            let mut up = fleet.up.lock().unwrap();
            let ids: Vec<String> = up.keys().filter(|id| !there.contains(*id)).cloned().collect();
            ids.iter().filter_map(|id| up.remove(id)).collect()
        };
        gone.into_iter().for_each(Vm::terminate);
        tokio::time::sleep(LOOK).await;
    }
}
