//! A few hundred random plans in a row, some cancelled, some cut off by a kill of the service:
//! after each one the engines run what the allocation says, and the service does not grow.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::daemons::{Lab, Vm};
use crate::http;
use crate::patience::Patience;
use crate::service::Service;
use crate::topologies::{idle, on_hosts, with};

const PLANS: usize = 300;
const SEED: u64 = 0x0dd_ba11;
/// The service is killed only during the first plans: a new process starts small.
const KILLS_UNTIL: usize = 120;
/// By then caches and pools are full; growth is measured from there to the end.
const WARM: usize = 150;
/// The most that memory may grow after that, in KiB: the history of executions lives on disk, and
/// allocators keep some slack.
const GROWTH_KIB: u64 = 10 * 1024;
/// How many more files may be open: connections come and go.
const GROWTH_FILES: usize = 16;

/// xorshift64*: the same plans in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }
}

/// Changes one tier at a time, mostly, as planners do.
fn next(random: &mut Random, plan: &mut Value) {
    for _ in 0..=random.below(2) {
        let tier = ["a", "b", "c", "d"][usize::try_from(random.below(4)).unwrap()];
        let fields = plan["rubis"].as_object_mut().unwrap();
        if random.below(6) == 0 {
            fields.remove(tier);
        } else {
            let size = json!({"cpu_cores": 1 + random.below(2), "mem_units": 2 + random.below(3)});
            fields.insert(tier.to_owned(), size);
        }
    }
}

async fn ended(service: &Service) {
    let mut patience = Patience::every(Duration::from_millis(10));
    loop {
        let executions = service.executions().await;
        if executions["executions"][0]["state"] != "running" {
            return;
        }
        patience
            .wait(|| format!("{executions:#}\n{}", service.daemon.log_end()))
            .await;
    }
}

/// Names of all containers on a VM, running or not, in order; from the engine itself.
async fn containers(vm: &Vm) -> Vec<String> {
    let url = format!("http://{}:2375/containers/json?all=true", vm.ip);
    let (status, body) = http::get(&url).await;
    assert_eq!(status, 200, "{body}");
    let listed: Vec<Value> = serde_json::from_str(&body).unwrap();
    let name = |seen: &Value| {
        let name = seen["Names"][0].as_str().unwrap();
        name.trim_start_matches('/').to_owned()
    };
    let mut names: Vec<String> = listed.iter().map(name).collect();
    names.sort();
    names
}

/// The engines run exactly what the allocation says, with the limits that it says.
async fn check(lab: &Lab, service: &Service, what: &str) {
    let allocation = service.allocation().await;
    let seen = service.api.get("/api/inspect").await.expect(200);
    for vm in &lab.vms {
        let mut wanted: Vec<&String> = allocation[&vm.name]["used"]
            .as_object()
            .map(|used| used.keys().collect())
            .unwrap_or_default();
        wanted.sort();
        assert_eq!(
            containers(vm).await.iter().collect::<Vec<_>>(),
            wanted,
            "{what}: {}\n{}",
            vm.name,
            service.daemon.log_end()
        );
        for name in wanted {
            assert_eq!(
                seen[&vm.name][name]["drift"],
                json!([]),
                "{what}: {name}\n{seen:#}"
            );
        }
    }
}

fn resident_kib(service: &Service) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", service.daemon.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn open_files(service: &Service) -> usize {
    fs::read_dir(format!("/proc/{}/fd", service.daemon.pid()))
        .unwrap()
        .count()
}

/// Sends a plan and does not wait for its end; returns the execution's id if one began.
async fn begin(service: &Service, plan: &Value) -> Option<String> {
    let request = http::client()
        .put(service.api.url("/api/execute"))
        .header("prefer", "respond-async");
    let answer = request.body(plan.to_string()).send().await.unwrap();
    let accepted = answer.status().as_u16() == 202;
    let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    accepted.then(|| body["execution"].as_str().unwrap().to_owned())
}

#[test]
fn hundreds_of_plans_leave_the_engines_as_the_allocation_says() {
    in_lab!(4, async |lab| {
        eprintln!("seed {SEED:#x}");
        let mut random = Random(SEED);
        let mut service = Service::start();
        let tier = |fields: Value| with(with(idle(), json!({"stop_grace_s": 0})), fields);
        let tiers = json!({
            "a": tier(json!({"max_node": 1})),
            "b": tier(json!({"depends_on": ["a"]})),
            "c": tier(json!({"ports": ["8080:80"]})),
            "d": tier(json!({"ports": ["8080:80"]})),
        });
        service.put_topology(&on_hosts(lab.hosts(4), tiers)).await;
        let mut plan = json!({"rubis": {}});
        let (mut cancelled, mut killed, mut carried) = (0, 0, 0);
        let mut warm = (0, 0);
        for count in 1..=PLANS {
            next(&mut random, &mut plan);
            let what = format!("plan {count}: {plan}");
            if random.below(20) == 0 {
                if let Some(id) = begin(&service, &plan).await {
                    tokio::time::sleep(Duration::from_millis(random.below(100))).await;
                    let cancel = service.api.url(&format!("/api/executions/{id}/cancel"));
                    let status = http::client()
                        .post(cancel)
                        .send()
                        .await
                        .unwrap()
                        .status()
                        .as_u16();
                    assert!(
                        [202, 409].contains(&status),
                        "{what}: cancel was answered with {status}"
                    );
                    cancelled += usize::from(status == 202);
                    ended(&service).await;
                }
            } else if count <= KILLS_UNTIL && count % 15 == 0 {
                begin(&service, &plan).await;
                tokio::time::sleep(Duration::from_millis(random.below(150))).await;
                service.kill();
                service.start_again();
                killed += 1;
                ended(&service).await;
            } else {
                let answer = service.try_execute(&plan).await;
                assert!([200, 422].contains(&answer.status), "{what}: {:#}", answer.body);
                carried += usize::from(answer.status == 200);
            }
            check(lab, &service, &what).await;
            if count == WARM {
                warm = (resident_kib(&service), open_files(&service));
            }
        }
        let (resident, files) = (resident_kib(&service), open_files(&service));
        eprintln!(
            "{carried} carried out, {cancelled} cancelled, {killed} killed; {warm:?} grew to ({resident}, {files})"
        );
        assert!(carried > PLANS / 2 && cancelled > 5 && killed > 5);
        assert!(
            resident < warm.0 + GROWTH_KIB,
            "{} KiB grew to {resident}",
            warm.0
        );
        assert!(
            files < warm.1 + GROWTH_FILES,
            "{} open files grew to {files}",
            warm.1
        );
    });
}
