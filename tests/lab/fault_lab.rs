//! The setting for tests with faults: two VMs behind proxies, an app whose plans go up and down
//! with every kind of action, and what must be true whenever an execution has ended.
//!
//! Going up from [`small`] to [`large`] takes `vm2` into use, grows `shop_a`, makes `shop_v` beside
//! it and `shop_d`, which depends on `shop_v`, on `vm2`, and runs both hooks of `shop_d`. Going
//! down undoes all of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::daemons::Lab;
use crate::fault_proxy::{Proxies, Rule};
use crate::git::Repository;
use crate::http::Answer;
use crate::service::Service;
use crate::topologies::{idle, on_hosts, with};

/// Where hooks note that they ran.
const TOLD: &str = "/run/lab/told";

/// `mapek` before two VMs, with a proxy before each.
pub struct Stage {
    pub service: Service,
    pub proxies: Proxies,
}

/// One action of a record.
#[derive(Clone, Debug)]
pub struct Done {
    pub text: String,
    pub state: String,
    pub attempts: u64,
    pub error: String,
    /// The action for which it was skipped.
    pub because: Option<String>,
}

/// A record of an execution.
pub struct Record {
    pub whole: Value,
    pub outcome: String,
    pub out: Vec<Done>,
    pub back: Vec<Done>,
}

/// The plan under which only `shop_a` runs.
pub fn small() -> Value {
    json!({"shop": {"a": {"cpu_cores": 1, "mem_units": 1}}})
}

/// The plan under which everything runs.
pub fn large() -> Value {
    let one = json!({"cpu_cores": 1, "mem_units": 1});
    json!({"shop": {"a": {"cpu_cores": 1, "mem_units": 2}, "v": one, "d": one}})
}

impl Stage {
    /// Starts the service with these variables, and carries both plans out once, so that everything
    /// that is asked of an engine only once has been asked.
    pub async fn set_up(lab: &Lab, environment: &[(&str, &str)]) -> Self {
        // Nothing else should ask the engines anything.
        let mut environment = environment.to_vec();
        environment.push(("MAPEK_OBSERVE_EVERY_S", "0"));
        let service = Service::start_with(&environment);
        let proxies = Proxies::default();
        let hooks = Repository::new("fault-hooks");
        for (folder, word) in [("scale_hooks", "scale"), ("tier_hooks", "tier")] {
            let script = format!("#!/bin/sh\necho {word} >>/told/log\necho told {word}\n");
            hooks.write(&format!("{folder}/tell.sh"), &script);
        }
        hooks.commit("Tell");
        std::fs::create_dir_all(TOLD).unwrap();

        let mut hosts = json!({});
        for vm in &lab.vms[..2] {
            let endpoint = proxies.before(&vm.endpoint()).await;
            hosts[&vm.name] = json!({"docker": endpoint, "ip": vm.ip});
        }
        // The ports keep `d` from sharing a VM with either of the others.
        let tiers = json!({
            "a": with(idle(), json!({"ports": ["9001:1"]})),
            "v": with(idle(), json!({"ports": ["9002:1"]})),
            "d": with(idle(), json!({
                "ports": ["9001:1", "9002:2"], "depends_on": ["v"], "volumes": [format!("{TOLD}:/told")],
                "on_node_scale": "tell.sh", "on_dependency_scale": "tell.sh",
            })),
        });
        let mut topology = on_hosts(hosts, tiers);
        topology["infrastructure"]["hooks_git_repo"] = json!(hooks.path());
        topology["apps"][0]["name"] = json!("shop");
        service.put_topology(&topology).await;
        let stage = Self { service, proxies };
        for plan in [small(), large(), small()] {
            stage.undisturbed(lab, &plan).await;
        }
        stage
    }

    /// Carries a plan out with nothing broken.
    pub async fn undisturbed(&self, lab: &Lab, plan: &Value) {
        let (_, record) = self.carry_out(plan, "stop", &[]).await;
        assert_eq!(record.outcome, "succeeded", "{:#}", record.whole);
        self.is_true(lab, &record).await;
    }

    /// Carries a plan out with this fault; returns the answer and the record.
    pub async fn carry_out(&self, plan: &Value, on_failure: &str, rules: &[Rule]) -> (Answer, Record) {
        let _ = std::fs::remove_file(format!("{TOLD}/log"));
        self.proxies.set(rules);
        let path = format!("/api/execute?on_failure={on_failure}");
        let answer = self.service.api.put(&path, plan).await;
        let id = answer.body["execution"]
            .as_str()
            .or_else(|| {
                let details = answer.body["details"].as_array()?;
                details.iter().find_map(|detail| detail["execution"].as_str())
            })
            .unwrap_or_else(|| panic!("the answer names no execution: {:#}", answer.body))
            .to_owned();
        let record = Record::read(&self.service, &id).await;
        (answer, record)
    }

    /// How often each hook ran in the last execution.
    pub fn told(&self) -> BTreeMap<String, usize> {
        let log = std::fs::read_to_string(format!("{TOLD}/log")).unwrap_or_default();
        let mut told = BTreeMap::new();
        for word in log.lines() {
            *told.entry(word.to_owned()).or_default() += 1;
        }
        told
    }

    /// What must hold after any end: the allocation is what the engines run, nothing is left
    /// behind, and the record says the same.
    pub async fn is_true(&self, lab: &Lab, record: &Record) {
        let allocation = self.service.allocation().await;
        let told = held(&allocation);
        assert_eq!(
            told,
            on_engines(lab),
            "allocation and engines differ: {:#}",
            record.whole
        );
        let names: BTreeSet<_> = lab.vms[..2].iter().flat_map(|vm| vm.containers()).collect();
        let total: usize = lab.vms[..2].iter().map(|vm| vm.containers().len()).sum();
        assert_eq!(names.len(), total, "a container is doubled");
        // What could not be removed is stopped at least, and the next execution removes it.
        if record.outcome == "succeeded" {
            let count = told.values().map(BTreeMap::len).sum::<usize>();
            assert_eq!(names.len(), count, "something is left behind: {names:?}");
        }
        assert!(
            !record.all().any(|done| done.state == "running"),
            "an action of an ended execution still runs: {:#}",
            record.whole
        );
        if record.outcome == "succeeded" {
            assert_eq!(told, held(&record.whole["target"]), "{:#}", record.whole);
        }
    }
}

impl Record {
    pub async fn read(service: &Service, id: &str) -> Self {
        let whole = service
            .api
            .get(&format!("/api/executions/{id}"))
            .await
            .expect(200);
        let actions = |key: &str| -> Vec<Value> {
            let stages = whole[key].as_array().cloned().unwrap_or_default();
            stages
                .iter()
                .flat_map(|stage| stage.as_array().unwrap().clone())
                .collect()
        };
        let (out, back) = (actions("stages"), actions("rollback_stages"));
        let texts: Vec<String> = out
            .iter()
            .chain(&back)
            .map(|action| action["text"].as_str().unwrap().to_owned())
            .collect();
        let read = |action: &Value| Done {
            text: action["text"].as_str().unwrap().to_owned(),
            state: action["state"].as_str().unwrap().to_owned(),
            attempts: action["attempts"].as_u64().unwrap(),
            error: action["error"].as_str().unwrap_or_default().to_owned(),
            because: action["because"]
                .as_u64()
                .map(|index| texts[usize::try_from(index).unwrap()].clone()),
        };
        Self {
            outcome: whole["state"].as_str().unwrap().to_owned(),
            out: out.iter().map(read).collect(),
            back: back.iter().map(read).collect(),
            whole,
        }
    }

    /// Every action, those of the way back last.
    pub fn all(&self) -> impl Iterator<Item = &Done> {
        self.out.iter().chain(&self.back)
    }

    /// The texts of the actions in that state, shortened to what distinguishes them.
    pub fn texts(&self, state: &str) -> Vec<String> {
        let mut texts: Vec<String> = self
            .out
            .iter()
            .filter(|done| done.state == state)
            .map(|done| short(&done.text))
            .collect();
        texts.sort();
        texts
    }
}

/// `create container 'shop_v' on …` as `create shop_v`.
pub fn short(text: &str) -> String {
    let name = text.split('\'').nth(1).unwrap_or_default();
    let kind = ["scale hook", "tier hook", "create", "update", "delete"]
        .into_iter()
        .find(|kind| text.contains(kind));
    format!("{} {name}", kind.unwrap_or_default())
}

/// What each VM holds according to an allocation: `[cores, memory units]` by container.
pub fn held(allocation: &Value) -> BTreeMap<String, BTreeMap<String, [u64; 2]>> {
    let size = |held: &Value| {
        let cores = held["cpu_cores"].as_f64().unwrap();
        assert!(cores.fract() == 0.0, "{held}");
        [cores as u64, held["mem_units"].as_u64().unwrap()]
    };
    let vms = allocation.as_object().unwrap().iter();
    vms.filter_map(|(vm, seen)| {
        let used = seen["used"].as_object().unwrap().iter();
        let used: BTreeMap<_, _> = used.map(|(name, held)| (name.clone(), size(held))).collect();
        (!used.is_empty()).then(|| (vm.clone(), used))
    })
    .collect()
}

/// What each VM holds according to its engine, running containers only.
fn on_engines(lab: &Lab) -> BTreeMap<String, BTreeMap<String, [u64; 2]>> {
    let mut held = BTreeMap::new();
    for vm in &lab.vms[..2] {
        for name in vm.containers() {
            let seen = vm.inspect(&name).expect("the container is there");
            if seen["State"]["Running"] != true {
                continue;
            }
            let cpuset = seen["HostConfig"]["CpusetCpus"].as_str().unwrap();
            let cores: u64 = cpuset
                .split(',')
                .map(|range| match range.split_once('-') {
                    Some((from, to)) => to.parse::<u64>().unwrap() - from.parse::<u64>().unwrap() + 1,
                    None => 1,
                })
                .sum();
            let memory = seen["HostConfig"]["Memory"].as_u64().unwrap();
            let of_vm: &mut BTreeMap<_, _> = held.entry(vm.name.clone()).or_default();
            of_vm.insert(name, [cores, memory / (64 << 20)]);
        }
    }
    held
}
