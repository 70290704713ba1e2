//! A request body, read for the checker: by the contract's text, with none of the crate's code.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::further::NAMES;
use crate::rules::{self, Requires};

/// Cpu in hundredths of a core, and memory units.
pub type Pair = [i64; 2];

/// Of every resource: cpu in hundredths of a core, memory units, gigabytes of disk, GPUs.
pub type Amounts = [i64; 4];

/// What a container has at least, in steps.
pub const LEAST: Amounts = [1, 1, 0, 0];

/// Both together.
pub fn plus(a: Amounts, b: Amounts) -> Amounts {
    std::array::from_fn(|r| a[r] + b[r])
}

/// A range of host ports that a tier publishes.
#[derive(Debug, Clone, PartialEq)]
pub struct Ports {
    pub address: Option<String>,
    pub protocol: String,
    pub first: u16,
    pub last: u16,
}

#[derive(Debug, Clone)]
pub struct Tier {
    pub name: String,
    pub demand: Amounts,
    pub min: usize,
    pub max: usize,
    pub ports: Vec<Ports>,
    pub requires: Requires,
    /// Whether no two of its containers may be in one zone.
    pub spread: bool,
}

#[derive(Debug, Clone)]
pub struct Vm {
    pub name: String,
    pub room: Amounts,
    /// What it holds, of tiers in the plan.
    pub held: BTreeMap<usize, Amounts>,
    /// How many containers it holds of tiers that the plan does not have.
    pub others: usize,
    pub zone: Option<String>,
}

/// VMs that can be made, or taken into use.
#[derive(Debug, Clone, PartialEq)]
pub struct Kind {
    pub room: Amounts,
    pub price: i64,
    pub max: usize,
    /// Whether one without a `max` of its own.
    pub lasting: bool,
    /// The machine, where it has a name from the start.
    pub name: Option<String>,
    pub zone: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Weights {
    pub vm_create: i64,
    pub vm_use: i64,
    pub vm_delete: i64,
    pub create: i64,
    pub set: i64,
    pub delete: i64,
    pub delete_pinned: i64,
}

#[derive(Debug, Clone)]
pub struct Question {
    /// Hundredths of a core that amounts are multiples of.
    pub step: i64,
    pub tiers: Vec<Tier>,
    pub vms: Vec<Vm>,
    /// What can be made, or taken into use.
    pub kinds: Vec<Kind>,
    /// So many steps of all prices are one of the body's: prices of shapes may have decimals.
    pub unit: i64,
    /// Names of the VMs that can be taken into use; `None` where any number can be made.
    pub spare: Option<Vec<String>>,
    pub max_vms: usize,
    pub min_vms: usize,
    pub weights: Weights,
    pub deadline_ms: f64,
    pub exact: bool,
}

fn hundredths(value: &Value) -> i64 {
    (value.as_f64().unwrap() * 100.0).round() as i64
}

/// `cpu_cores`, `mem_units`, `disk_gb` and `gpus` of a part of a body or of an answer.
pub fn size(value: &Value) -> Amounts {
    [
        hundredths(&value["cpu_cores"]),
        value["mem_units"].as_f64().unwrap() as i64,
        further(value, 0).unwrap_or(0),
        further(value, 1).unwrap_or(0),
    ]
}

/// One of the optional resources, where it is said.
fn further(value: &Value, which: usize) -> Option<i64> {
    value[NAMES[which]].as_f64().map(|amount| amount as i64)
}

fn count(value: &Value) -> Option<usize> {
    value.as_f64().map(|number| number as usize)
}

fn range(text: &str) -> (u16, u16) {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    (first.parse().unwrap(), last.parse().unwrap())
}

fn ports(value: &Value) -> Vec<Ports> {
    let texts: Vec<String> = match value {
        Value::Array(list) => list.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
        Value::Object(map) => map.keys().map(|host| format!("{host}:1")).collect(),
        _ => Vec::new(),
    };
    let read = |text: &String| {
        let (rest, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (rest, _) = rest.rsplit_once(':').unwrap();
        let (address, host) = match rest.rsplit_once(':') {
            Some((address, host)) => (Some(address.trim_matches(['[', ']'])), host),
            None => (None, rest),
        };
        let (first, last) = range(host);
        Ports {
            // These two stand for every address.
            address: address
                .filter(|a| !["0.0.0.0", "::"].contains(a))
                .map(str::to_owned),
            protocol: protocol.to_owned(),
            first,
            last,
        }
    };
    texts.iter().map(read).collect()
}

impl Ports {
    fn clash(&self, other: &Self) -> bool {
        let apart = matches!((&self.address, &other.address), (Some(a), Some(b)) if a != b);
        self.protocol == other.protocol && !apart && self.first <= other.last && other.first <= self.last
    }
}

impl Tier {
    pub fn clash(&self, other: &Self) -> bool {
        self.ports.iter().any(|a| other.ports.iter().any(|b| a.clash(b)))
    }

    pub fn pinned(&self) -> bool {
        self.max == 1
    }
}

/// The kinds of VM that are not in use yet.
fn kinds(infrastructure: &Value, spare: Option<&[String]>, usual: Amounts, vm_create: i64) -> Vec<Kind> {
    if let Some(shapes) = infrastructure["shapes"].as_array() {
        let kind = |shape: &Value| Kind {
            room: size(shape),
            price: (shape["price"].as_f64().unwrap_or(1.0) * vm_create as f64).round() as i64,
            max: count(&shape["max"]).unwrap_or(usize::MAX),
            lasting: shape["max"].is_null(),
            name: None,
            zone: None,
        };
        return shapes.iter().map(kind).collect();
    }
    let hosts = &infrastructure["cloud_driver"]["hosts"];
    let own = |name: &String| {
        let said = |part: &str| &hosts[name][part];
        [
            said("cpu_cores"),
            said("mem_units"),
            said(NAMES[0]),
            said(NAMES[1]),
        ]
    };
    let differ = |name: &String| {
        own(name).iter().any(|part| part.is_number()) || rules::zone(infrastructure, name).is_some()
    };
    let kind = |room: Amounts, max: usize, name: Option<String>| Kind {
        room,
        price: vm_create,
        max,
        lasting: true,
        zone: name.as_ref().and_then(|name| rules::zone(infrastructure, name)),
        name,
    };
    match spare {
        None => vec![kind(usual, usize::MAX, None)],
        Some(spare) if spare.iter().any(differ) => spare
            .iter()
            .map(|name| {
                let [cores, mem, ..] = own(name);
                let room = [
                    if cores.is_null() {
                        usual[0]
                    } else {
                        hundredths(cores)
                    },
                    mem.as_f64().map_or(usual[1], |mem| mem as i64),
                    further(&hosts[name], 0).unwrap_or(usual[2]),
                    further(&hosts[name], 1).unwrap_or(usual[3]),
                ];
                kind(room, 1, Some(name.clone()))
            })
            .collect(),
        Some(spare) => vec![kind(usual, spare.len(), None)],
    }
}

impl Question {
    pub fn read(body: &Value) -> Self {
        let infrastructure = &body["topology"]["infrastructure"];
        let quota = infrastructure["cpu_mode"] == "quota";
        let mut tiers = Vec::new();
        let mut index = BTreeMap::new();
        let none = serde_json::Map::new();
        for app in body["topology"]["apps"].as_array().unwrap() {
            let app_name = app["name"].as_str().unwrap();
            for (key, spec) in app["tiers"].as_object().unwrap() {
                let name = format!("{app_name}_{key}");
                let nested = &body["plan"][app_name][key];
                let asked = if nested.is_object() {
                    nested
                } else {
                    &body["plan"][&name]
                };
                if !asked.is_object() || size(asked) == [0; 4] {
                    continue;
                }
                index.insert(name.clone(), tiers.len());
                let most = count(&spec["max_node"]).or(count(&spec["max_nodes"]));
                let published = if spec["ports"].is_null() {
                    &spec["port_bindings"]
                } else {
                    &spec["ports"]
                };
                tiers.push(Tier {
                    name,
                    demand: size(asked),
                    min: count(&spec["min_node"]).unwrap_or(1),
                    max: most.unwrap_or(usize::MAX),
                    ports: ports(published),
                    requires: Requires::read(spec),
                    spread: rules::is_spread(spec),
                });
            }
        }
        let mut vms = Vec::new();
        for (name, vm) in body["allocation"].as_object().unwrap_or(&none) {
            let mut held = BTreeMap::new();
            let mut others = 0;
            for (tier, amount) in vm["used"].as_object().unwrap_or(&none) {
                match index.get(tier) {
                    Some(&tier) => drop(held.insert(tier, size(amount))),
                    None => others += 1,
                }
            }
            vms.push(Vm {
                name: name.clone(),
                room: size(vm),
                held,
                others,
                zone: rules::zone(infrastructure, name),
            });
        }
        let driver = &infrastructure["cloud_driver"];
        let known = |name: &String| !vms.iter().any(|vm: &Vm| vm.name == *name);
        let spare = if driver["autoscaling_groupname"].is_string() {
            None
        } else if let Some(hosts) = driver["hosts"].as_object() {
            Some(hosts.keys().filter(|name| known(name)).cloned().collect())
        } else {
            Some(vec!["localhost".to_owned()].into_iter().filter(known).collect())
        };
        let weights = &infrastructure["weights"];
        let shapes = infrastructure["shapes"].as_array();
        let unit = if shapes.is_some() { 1_000 } else { 1 };
        let weight = |name: &str, default: i64| weights[name].as_f64().map_or(default, |w| w as i64) * unit;
        let cores = &infrastructure["cpu_cores"];
        let usual = [
            if cores.is_null() { 200 } else { hundredths(cores) },
            infrastructure["mem_units"].as_f64().map_or(8, |mem| mem as i64),
            further(infrastructure, 0).unwrap_or(0),
            further(infrastructure, 1).unwrap_or(0),
        ];
        let spare = spare.filter(|_| shapes.is_none());
        let kinds = kinds(infrastructure, spare.as_deref(), usual, weight("vm_create", 20));
        Self {
            step: if quota { 1 } else { 100 },
            tiers,
            vms,
            kinds,
            unit,
            spare,
            max_vms: count(&infrastructure["max_vms"]).unwrap_or(usize::MAX),
            min_vms: count(&infrastructure["min_vms"]).unwrap_or(0),
            weights: Weights {
                vm_create: weight("vm_create", 20),
                vm_use: weight("vm_use", 11),
                vm_delete: weight("vm_delete", 2),
                create: weight("container_create", 4),
                set: weight("container_set", 3),
                delete: weight("container_delete", 1),
                delete_pinned: weight("container_delete_pinned", 100),
            },
            deadline_ms: body["deadline_ms"].as_f64().unwrap_or(2000.0),
            exact: body["exact"] == true,
        }
    }

    /// An amount in steps, of which a VM has only whole ones.
    pub fn steps(&self, amount: Amounts) -> Amounts {
        let [cores, rest @ ..] = amount;
        let [mem, disk, gpus] = rest;
        [cores / self.step, mem, disk, gpus]
    }

    /// More new VMs than this no placement has: no more than containers.
    pub fn most_news(&self) -> usize {
        let widest = |tier: &Tier| {
            let [cores, mem, ..] = self.steps(tier.demand);
            let steps = usize::try_from(cores.min(mem)).unwrap_or(0);
            steps.min(tier.max)
        };
        let containers = self.tiers.iter().map(widest).fold(0, usize::saturating_add);
        let spare = self.spare.as_ref().map_or(usize::MAX, Vec::len);
        containers.min(spare).min(self.max_vms)
    }

    /// Weight of removing a container of `tier` that runs.
    pub fn removal(&self, tier: usize) -> i64 {
        if self.tiers[tier].pinned() {
            self.weights.delete_pinned
        } else {
            self.weights.delete
        }
    }

    /// Whether a tier may be on machines in these zones, one container on each.
    pub fn may_be(&self, tier: usize, zones: &[Option<&String>]) -> bool {
        let spec = &self.tiers[tier];
        let apart = |(at, zone): (usize, &Option<&String>)| zone.is_some() && !zones[..at].contains(zone);
        zones.iter().all(|zone| spec.requires.admits(*zone))
            && (!spec.spread || zones.iter().enumerate().all(apart))
    }

    /// Whether any tier asks something of the machines that it is on.
    pub fn has_rules(&self) -> bool {
        self.tiers
            .iter()
            .any(|tier| tier.spread || tier.requires != Requires::Nothing)
    }

    /// Whether nothing that the placement decides needs to change: the plan asks for the very totals
    /// that run, and what runs keeps all rules.
    pub fn is_reached(&self) -> bool {
        let mut totals = vec![[0i64; 4]; self.tiers.len()];
        let mut nodes = vec![0usize; self.tiers.len()];
        let mut used = 0;
        for vm in &self.vms {
            if vm.others > 0 {
                return false;
            }
            used += usize::from(!vm.held.is_empty());
            for (&tier, amount) in &vm.held {
                totals[tier] = plus(totals[tier], *amount);
                nodes[tier] += 1;
                if vm
                    .held
                    .keys()
                    .any(|&other| other != tier && self.tiers[tier].clash(&self.tiers[other]))
                {
                    return false;
                }
            }
        }
        let zones = |tier: usize| -> Vec<Option<&String>> {
            let vms = self.vms.iter().filter(|vm| vm.held.contains_key(&tier));
            vms.map(|vm| vm.zone.as_ref()).collect()
        };
        let tier_holds = |(ix, tier): (usize, &Tier)| {
            self.may_be(ix, &zones(ix))
                && tier.demand == totals[ix]
                && (tier.min..=tier.max).contains(&nodes[ix])
        };
        used <= self.max_vms && self.tiers.iter().enumerate().all(tier_holds)
    }
}
