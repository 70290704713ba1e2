//! Two plans, each reached from the other by every kind of action, and hooks that leave a trace.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::crash_truth::{self as truth, actions};
use crate::daemons::Lab;
use crate::http;
use crate::patience::Patience;
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

const FOLDER: &str = "/run/lab/scene";

/// Notes which hook was run, what it was told, and what limits the kernel had for the container at
/// that moment. Fails if the file `fail` says so: for that tier, and either only towards the second
/// plan, or always.
const HOOK: &str = r#"#!/bin/sh
kind=${0%_hooks/*}
limit=$(cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max)
printf '%s\n' "${kind##*/} $MAPEK_CONTAINER $MAPEK_VM $MAPEK_CPU_CORES $MAPEK_MEM_UNITS $limit $1 $2" >>/notes/told
fail=$(cat /notes/fail 2>/dev/null)
case "$fail $2" in
    "always $MAPEK_TIER "*|"second $MAPEK_TIER "*rubis_worker*) echo 'as it was told to' >&2; exit 1 ;;
esac
exit 0
"#;

/// Everything that was there when nothing was under way.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    allocation: Value,
    containers: BTreeMap<(String, String), Value>,
}

/// The service in the lab, and what was observed of it.
pub struct Scene {
    /// The service.
    pub service: Service,
}

/// `store` and `watch` stay on the first VM and change sizes; `old` goes, and its VM with it.
pub fn second() -> Value {
    plan(&[("store", 1.0, 1), ("watch", 1.0, 3), ("worker", 2.0, 2)])
}

/// The way back from [`second`].
pub fn first() -> Value {
    plan(&[("store", 1.0, 3), ("watch", 1.0, 1), ("old", 2.0, 1)])
}

impl Scene {
    /// A service that has carried out the first plan, on a lab of three VMs.
    pub async fn set_up(lab: &Lab) -> Self {
        for folder in ["scale_hooks", "tier_hooks"] {
            let folder = PathBuf::from(FOLDER).join("hooks").join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            let file = folder.join("note.sh");
            std::fs::write(&file, HOOK).unwrap();
            let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&file, all).unwrap();
        }
        std::fs::create_dir_all(format!("{FOLDER}/notes")).unwrap();
        let tier = |fields: Value| {
            let common = json!({
                "stop_grace_s": 0, "max_node": 1, "volumes": [format!("{FOLDER}/notes:/notes")],
            });
            with(with(idle(), common), fields)
        };
        let tiers = json!({
            "store": tier(json!({"on_node_scale": "note.sh"})),
            "worker": tier(json!({"on_node_scale": "note.sh"})),
            "watch": tier(json!({"depends_on": ["store", "worker"], "on_dependency_scale": "note.sh"})),
            "old": tier(json!({})),
        });
        let mut topology = on_hosts(lab.hosts(3), tiers);
        topology["infrastructure"]["hooks_git_repo"] = json!(format!("{FOLDER}/hooks"));
        // A VM whose containers are all removed counts less than a new one, so that each plan needs
        // both.
        topology["infrastructure"]["weights"] = json!({"vm_create": 5, "vm_use": 6, "vm_delete": 0});
        let scene = Self {
            service: Service::start(),
        };
        scene.service.put_topology(&topology).await;
        scene.service.execute(&first()).await;
        scene.service.execute(&second()).await;
        scene.service.execute(&first()).await;
        scene
    }

    /// What is there now; the allocation must be true.
    pub async fn state(&self, lab: &Lab, what: &str) -> State {
        truth::at_rest(lab, &self.service, what).await;
        State {
            allocation: self.service.allocation().await,
            containers: truth::containers(lab).await,
        }
    }

    /// Makes hooks of that tier fail: with `second` towards the second plan, with `always` in any
    /// case.
    pub fn fail(when: &str, tier: &str) {
        std::fs::write(format!("{FOLDER}/notes/fail"), format!("{when} {tier}")).unwrap();
    }

    /// Makes hooks work again.
    pub fn fail_no_more() {
        std::fs::write(format!("{FOLDER}/notes/fail"), "").unwrap();
    }

    /// What hooks said since the last call, each line once for each run.
    pub fn told() -> Vec<String> {
        let file = format!("{FOLDER}/notes/told");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let _ = std::fs::remove_file(&file);
        text.lines().map(without_passing_things).collect()
    }

    /// Starts the service again so that it kills itself, `moment` being `after` or `before` that
    /// record.
    pub fn start_to_die(&mut self, moment: &str, record: usize) {
        self.service.terminate();
        self.service
            .start_again_with(&[("MAPEK_TEST_KILL", &format!("{moment}:{record}"))]);
    }

    /// Sends a plan, and returns when the execution has ended or the service has died: the
    /// execution's record, or None if it died.
    pub async fn execute_or_die(&mut self, plan: &Value, query: &str) -> Option<Value> {
        let url = self.service.api.url(&format!("/api/execute{query}"));
        let answer = http::client().put(url).body(plan.to_string()).send().await;
        if answer.is_err() {
            self.wait_for_death().await;
            return None;
        }
        let id = truth::newest(&self.service).await.unwrap();
        let record = self.service.api.get(&format!("/api/executions/{id}")).await;
        Some(record.expect(200))
    }

    /// Waits until the service's process is gone.
    pub async fn wait_for_death(&mut self) {
        let mut patience = Patience::every(Duration::from_millis(5));
        while self.service.daemon.ended().is_none() {
            patience
                .wait(|| format!("it lives on\n{}", self.service.daemon.log_end()))
                .await;
        }
    }

    /// Waits until the newest execution has ended, or the service has died. Returns whether it
    /// lives.
    pub async fn arrives(&mut self) -> bool {
        let mut patience = Patience::every(Duration::from_millis(5));
        let (client, url) = (http::client(), self.service.api.url("/api/executions"));
        while self.service.daemon.ended().is_none() {
            let ask = async || -> Option<Value> {
                let answer = client.get(&url).send().await.ok()?.text().await.ok()?;
                serde_json::from_str(&answer).ok()
            };
            let state = ask().await.map(|seen| seen["executions"][0]["state"].clone());
            if state.is_some_and(|state| state != "running") {
                return true;
            }
            patience.wait(|| "it neither dies nor arrives".to_owned()).await;
        }
        false
    }

    /// Begins to carry out a plan and does not wait.
    pub async fn begin(&self, plan: &Value, query: &str) -> String {
        let url = self.service.api.url(&format!("/api/execute{query}"));
        let request = http::client().put(url).header("prefer", "respond-async");
        let answer = request.body(plan.to_string()).send().await.unwrap();
        let (status, body) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!(status, 202, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        body["execution"].as_str().unwrap().to_owned()
    }

    /// `POST /api/executions/{id}/{what}`; answers with the status.
    pub async fn post(&self, id: &str, what: &str) -> u16 {
        let url = self.service.api.url(&format!("/api/executions/{id}/{what}"));
        let answer = http::client().post(url).send().await.unwrap();
        answer.status().as_u16()
    }

    /// Watches the newest execution to its end.
    pub async fn watch(&self, lab: &Lab, what: &str) -> Value {
        let id = truth::newest(&self.service).await.unwrap();
        truth::watch_to_the_end(lab, &self.service, &id, what).await
    }
}

/// How many records an execution that ran in one go has left in the journal.
pub fn records(details: &Value) -> usize {
    let of_action = |entry: &Value| 2 * usize::try_from(entry["attempts"].as_u64().unwrap()).unwrap();
    let turn = usize::from(details.get("rollback_stages").is_some());
    2 + turn + actions(details).map(of_action).sum::<usize>()
}

/// Every hook of the execution reported what it reports in an undisturbed run, at most as often as
/// it was begun: only one that was running when the service died may have been run twice.
pub fn hooks_ran(undisturbed: &[String], told: &[String], details: &Value, what: &str) {
    let runs = |lines: &[String], of: &str| lines.iter().filter(|line| *line == of).count();
    for line in undisturbed {
        assert!(
            told.contains(line),
            "{what}: a hook was left out: {line}\n{told:#?}"
        );
    }
    for line in told {
        let mut fields = line.split(' ');
        let (kind, container, vm) = (fields.next(), fields.next(), fields.next());
        let action = actions(details).find(|entry| {
            let action = &entry["action"];
            Some(action["kind"].as_str().unwrap()) == kind.map(|kind| format!("run_{kind}_hook")).as_deref()
                && action["container"].as_str() == container
                && action["vm"].as_str() == vm
        });
        let action = action.unwrap_or_else(|| panic!("{what}: nobody asked for {line}\n{details:#}"));
        let begun = usize::try_from(action["attempts"].as_u64().unwrap()).unwrap();
        assert!(
            undisturbed.contains(line) && runs(told, line) <= begun,
            "{what}: {line} came {} times, begun {begun} times\n{told:#?}",
            runs(told, line)
        );
    }
}

/// A hook's line with only those parts of the allocations that it is called for: the dependencies.
/// Whatever else happens at the same moment may be in it or not.
fn without_passing_things(line: &str) -> String {
    let fields: Vec<&str> = line.trim_end().split(' ').collect();
    let [head @ .., old, new] = fields.as_slice() else {
        panic!("a hook said {line:?}");
    };
    match (
        serde_json::from_str::<Value>(old),
        serde_json::from_str::<Value>(new),
    ) {
        (Ok(old), Ok(new)) if old.is_object() => {
            format!("{} {} {}", head.join(" "), dependencies(&old), dependencies(&new))
        }
        _ => line.trim_end().to_owned(),
    }
}

fn dependencies(allocation: &Value) -> String {
    let mut seen = Vec::new();
    for (vm, entry) in allocation.as_object().unwrap() {
        for tier in ["rubis_store", "rubis_worker"] {
            if let Some(size) = entry["used"].get(tier) {
                seen.push(format!("{tier}@{vm}={size}"));
            }
        }
    }
    seen.sort();
    format!("[{}]", seen.join(","))
}
