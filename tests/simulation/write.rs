//! Writes a story from a seed: a setting that the API accepts, and what happens in it.

use std::time::Duration;

use mapek::service::OnRestart;
use serde_json::{Map, Value, json};

use crate::dice::Dice;
use crate::platform::HOOKS;
use crate::story::{Ask, CloudKind, Setting, Story, Timed, Trouble, UNIT_MB, What};
use crate::write_asks::{ask, execute};

/// Writes the story of a seed.
pub fn write(seed: u64) -> Story {
    let mut dice = Dice::new(seed);
    // From dice of its own, so that all other stories stay what they are.
    let nodes = Dice::new(seed ^ 0x006e_6f64_6573).percent(20);
    let setting = setting(&mut dice, nodes);
    let events = events(&mut dice, &setting);
    Story {
        seed,
        setting,
        events,
    }
}

/// A tier, as far as plans must know it.
struct Tier {
    app: &'static str,
    name: &'static str,
    max_node: Option<u64>,
    min_node: Option<u64>,
    port: Option<u64>,
}

const NAMES: [(&str, &str); 4] = [
    ("shop", "db"),
    ("shop", "web"),
    ("shop", "cache"),
    ("blog", "site"),
];

/// With `nodes`, machines that exist register themselves.
fn setting(dice: &mut Dice, nodes: bool) -> Setting {
    let cores = dice.between(2, 4);
    let mem = dice.between(3, 8);
    let most = dice.between(2, 4);
    let cloud = if dice.percent(60) {
        let count = usize::try_from(most).unwrap();
        if nodes {
            CloudKind::Nodes(count)
        } else {
            CloudKind::Hosts(count)
        }
    } else {
        let min = u32::from(dice.percent(30));
        let start = min.max(u32::try_from(dice.below(2)).unwrap());
        let max = u32::try_from(most).unwrap();
        CloudKind::Group { min, max, start }
    };
    let pinned = dice.percent(60);
    let tiers = tiers(dice);
    let document = topology(dice, &tiers, cloud, (cores, mem, pinned));
    let mut topologies = vec![document.clone()];
    if dice.percent(40) {
        let mut other = document;
        let infrastructure = other["infrastructure"].as_object_mut().unwrap();
        let heals = infrastructure["self_heal"] == json!(true);
        infrastructure.insert("self_heal".to_owned(), json!(!heals));
        topologies.push(other);
    }
    if dice.percent(50) {
        for _ in 0..dice.between(1, 2) {
            let revised = revised(dice, &topologies[0], &tiers);
            topologies.push(revised);
        }
    }
    let count = dice.between(2, 4);
    let mut plans: Vec<Value> = (0..count)
        .map(|_| plan(dice, &tiers, (cores, mem, pinned), most))
        .collect();
    if dice.percent(15) {
        plans.push(json!({}));
    }
    Setting {
        cloud,
        cores: u32::try_from(cores).unwrap(),
        mem,
        topologies,
        plans,
        parallel: *dice.pick(&[1, 2, 16]),
        parallel_on_vm: *dice.pick(&[1, 4]),
        patient: dice.percent(4),
        forgetful: dice.percent(30),
        wishful: dice.percent(15),
        on_restart: *dice.pick(&[
            OnRestart::Resume,
            OnRestart::Resume,
            OnRestart::Rollback,
            OnRestart::Hold,
        ]),
    }
}

/// The same tiers, made from something else: another image, which may be a bad one, or another environment.
fn revised(dice: &mut Dice, topology: &Value, tiers: &[Tier]) -> Value {
    let mut other = topology.clone();
    for app in other["apps"].as_array_mut().unwrap() {
        for tier in tiers {
            let Some(document) = app["tiers"].get_mut(tier.name) else {
                continue;
            };
            match dice.below(10) {
                0..4 => document["docker_image"] = json!(format!("{}:2", tier.name)),
                4 => document["docker_image"] = json!(format!("{}:bad", tier.name)),
                5 => document["docker_image"] = json!(format!("{}:sick", tier.name)),
                6 => document["docker_image"] = json!(format!("{}:gone", tier.name)),
                7 => document["environment"] = json!({ "LEVEL": "2" }),
                _ => {}
            }
            if dice.percent(30) {
                document["max_unavailable"] = json!(2);
            }
        }
    }
    other
}

fn tiers(dice: &mut Dice) -> Vec<Tier> {
    let count = usize::try_from(dice.between(2, 4)).unwrap();
    let mut tiers = Vec::new();
    for (app, name) in NAMES.into_iter().take(count) {
        tiers.push(Tier {
            app,
            name,
            // Half of those with a bound are on one VM, so that others know their address.
            max_node: dice.percent(60).then(|| dice.between(0, 3).max(1)),
            min_node: None,
            port: dice.percent(40).then(|| dice.between(8080, 8081)),
        });
    }
    for tier in &mut tiers {
        if tier.max_node.is_none_or(|most| most >= 2) && dice.percent(15) {
            tier.min_node = Some(2);
        }
    }
    tiers
}

fn topology(
    dice: &mut Dice,
    tiers: &[Tier],
    cloud: CloudKind,
    (cores, mem, pinned): (u64, u64, bool),
) -> Value {
    let mut apps: Vec<Value> = Vec::new();
    let mut hooked = false;
    for app in ["shop", "blog"] {
        let mut before: Vec<&str> = Vec::new();
        let mut documents = Map::new();
        for tier in tiers.iter().filter(|tier| tier.app == app) {
            let mut document = json!({ "docker_image": format!("{}:1", tier.name) });
            let fields = document.as_object_mut().unwrap();
            let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
            if let Some(most) = tier.max_node {
                put("max_node", json!(most));
            }
            if let Some(least) = tier.min_node {
                put("min_node", json!(least));
            }
            if let Some(port) = tier.port {
                put("ports", json!([format!("{port}:80")]));
            }
            if dice.percent(40) {
                put("healthcheck", json!({ "test": ["true"], "interval_s": 1 }));
            }
            let dependencies: Vec<&str> = before.iter().filter(|_| dice.percent(60)).copied().collect();
            if !dependencies.is_empty() {
                if dice.percent(50) {
                    put("on_dependency_scale", json!(HOOKS[1]));
                    hooked = true;
                }
                put("depends_on", json!(dependencies));
            }
            if dice.percent(40) {
                put("on_node_scale", json!([HOOKS[0]]));
                hooked = true;
            }
            if dice.percent(20) {
                put("on_node_stop", json!(HOOKS[0]));
                hooked = true;
            }
            documents.insert(tier.name.to_owned(), document);
            before.push(tier.name);
        }
        if !documents.is_empty() {
            apps.push(json!({ "name": app, "tiers": documents }));
        }
    }
    let driver = match cloud {
        CloudKind::Hosts(count) => {
            let host = |number: usize| {
                (
                    format!("vm{number}"),
                    json!({ "docker": format!("tcp://10.0.0.{number}:2375") }),
                )
            };
            json!({ "hosts": (1..=count).map(host).collect::<Map<String, Value>>() })
        }
        CloudKind::Nodes(_) => json!({ "nodes": {} }),
        CloudKind::Group { .. } => json!({
            "autoscaling_groupname": "group", "region": "eu-west-1", "ready_timeout_s": dice.between(60, 300)
        }),
    };
    let mut infrastructure = json!({
        "cloud_driver": driver, "cpu_cores": cores, "mem_units": mem, "mem_unit_mb": UNIT_MB,
        "cpu_mode": if pinned { "cpuset" } else { "quota" },
        "self_heal": dice.percent(40),
        "on_failure": dice.pick(&["stop", "stop", "rollback", "continue"]),
        "on_shortage": dice.pick(&["fail", "replan"]),
    });
    if let CloudKind::Nodes(_) = cloud {
        infrastructure["self_heal"] = json!({ "grace_s": 5, "lost_after_s": 30, "backoff_max_s": 120 });
    }
    if hooked {
        infrastructure["hooks_git_repo"] = json!("hooks");
    }
    json!({ "infrastructure": infrastructure, "apps": apps })
}

/// A plan that can be placed on so many VMs: it is made from a placement.
fn plan(dice: &mut Dice, tiers: &[Tier], (cores, mem, pinned): (u64, u64, bool), most: u64) -> Value {
    let step = if pinned { 100 } else { 25 };
    let mut room: Vec<(u64, u64, Vec<u64>)> = (0..most).map(|_| (cores * 100, mem, Vec::new())).collect();
    let mut plan = Map::new();
    for tier in tiers {
        if dice.percent(15) {
            continue;
        }
        let places = dice.between(tier.min_node.unwrap_or(1), tier.max_node.unwrap_or(3).min(most));
        let first = dice.below(most);
        let (mut cpu, mut units, mut on) = (0, 0, 0);
        for offset in 0..most {
            let vm = &mut room[usize::try_from((first + offset) % most).unwrap()];
            let free = vm.0 >= step && vm.1 >= 1 && tier.port.is_none_or(|port| !vm.2.contains(&port));
            if on == places || !free {
                continue;
            }
            let (took, held) = (
                step * dice.between(1, 2.min(vm.0 / step)),
                dice.between(1, 2.min(vm.1)),
            );
            vm.0 -= took;
            vm.1 -= held;
            vm.2.extend(tier.port);
            (cpu, units, on) = (cpu + took, units + held, on + 1);
        }
        if on < tier.min_node.unwrap_or(1) {
            continue;
        }
        #[expect(clippy::cast_precision_loss)]
        let cpu = cpu as f64 / 100.0;
        let amounts = json!({ "cpu_cores": cpu, "mem_units": units });
        if dice.percent(20) {
            plan.insert(format!("{}_{}", tier.app, tier.name), amounts);
        } else {
            let app = plan.entry(tier.app).or_insert_with(|| json!({}));
            app[tier.name] = amounts;
        }
    }
    Value::Object(plan)
}

fn events(dice: &mut Dice, setting: &Setting) -> Vec<Timed> {
    let mut at = Duration::from_millis(10);
    let mut events = vec![Timed {
        at,
        what: What::Ask(Ask::Put { topology: 0 }),
    }];
    at += Duration::from_millis(dice.between(100, 1000));
    events.push(Timed {
        at,
        what: What::Ask(execute(dice, setting)),
    });
    for _ in 0..dice.between(3, 18) {
        at += dice.spread(Duration::from_millis(5), Duration::from_secs(60));
        let what = if dice.percent(45) {
            What::Ask(ask(dice, setting))
        } else {
            What::Trouble(trouble(dice, setting))
        };
        // What a VM comes back with was there at some time before.
        if let What::Trouble(Trouble::Restore { vm, .. }) = what {
            let place = usize::try_from(dice.between(2, events.len() as u64)).unwrap();
            let before = events[place - 1].at + Duration::from_millis(1);
            events.insert(
                place,
                Timed {
                    at: before.min(at),
                    what: What::Trouble(Trouble::Backup { vm }),
                },
            );
        }
        events.push(Timed { at, what });
    }
    events.sort_by_key(|timed| timed.at);
    events
}

fn trouble(dice: &mut Dice, setting: &Setting) -> Trouble {
    let vm = usize::try_from(dice.below(4)).unwrap();
    let container = usize::try_from(dice.below(4)).unwrap();
    let nth = u32::try_from(dice.between(1, 12)).unwrap();
    let done = dice.percent(60);
    let seconds = |dice: &mut Dice, most| dice.spread(Duration::from_millis(200), Duration::from_secs(most));
    if matches!(setting.cloud, CloudKind::Group { .. }) && dice.percent(25) {
        return match dice.below(6) {
            0 => Trouble::LaunchesFail {
                length: seconds(dice, 300),
            },
            1 => Trouble::Throttle {
                length: seconds(dice, 100),
            },
            2 => Trouble::CloudLosesAnswers {
                length: seconds(dice, 20),
            },
            3 => Trouble::CloudBreaks {
                length: seconds(dice, 20),
            },
            4 => Trouble::CloudSlow {
                length: seconds(dice, 100),
                by: seconds(dice, 25),
            },
            _ => Trouble::Reclaim { vm },
        };
    }
    if matches!(setting.cloud, CloudKind::Nodes(_)) && dice.percent(40) {
        let length = seconds(dice, 200);
        return match dice.below(6) {
            0 => Trouble::AgentDies { vm, length },
            1 => Trouble::AgentFreezes { vm, length },
            2 => Trouble::BadLine { vm, length },
            3 => Trouble::AgentLeaves { vm, length },
            _ => Trouble::Partition { vm, length },
        };
    }
    match dice.below(100) {
        0..14 => Trouble::LoseAnswer { vm, nth, done },
        14..24 => Trouble::Fail { vm, nth, done },
        24..28 => Trouble::Slow {
            vm,
            nth,
            by: seconds(dice, 25),
        },
        28..34 => Trouble::Freeze {
            vm,
            length: seconds(dice, 200),
        },
        34..38 => Trouble::Restart {
            vm,
            length: seconds(dice, 60),
        },
        38..41 => Trouble::Away {
            vm,
            length: seconds(dice, 120),
        },
        41 => Trouble::Restore {
            vm,
            length: seconds(dice, 100),
        },
        42..44 => Trouble::PowerOff {
            vm,
            length: seconds(dice, 300),
        },
        44..47 => Trouble::Die { vm, container },
        47..49 => Trouble::Stop { vm, container },
        49..50 => Trouble::Remove { vm, container },
        50..51 => Trouble::Rename { vm, container },
        51..54 => Trouble::Unhealthy {
            vm,
            length: seconds(dice, 200),
        },
        54..57 => Trouble::Crash {
            vm,
            length: seconds(dice, 60),
        },
        57..60 => Trouble::Step {
            seconds: *dice.pick(&[-86_400, -3600, -5, 5, 3600, 86_400]),
        },
        60 => Trouble::LoseRecord {
            restart_after: seconds(dice, 30),
        },
        61..82 => Trouble::Kill {
            steps: dice.between(1, 250),
            restart_after: seconds(dice, 30),
        },
        82..84 => Trouble::Pause { vm, container },
        84..88 => Trouble::Foreign {
            vm,
            cores: dice.between(1, 2),
            mem: dice.between(1, 2),
            named: dice.percent(40).then_some("shop_db"),
            of_another: dice.percent(50),
        },
        88 => Trouble::ForeignLeave { vm },
        89..91 => Trouble::Terminate {
            restart_after: seconds(dice, 30),
        },
        91..94 => Trouble::DiskFull {
            length: seconds(dice, 60),
        },
        94..96 => Trouble::HooksAway {
            length: seconds(dice, 60),
        },
        96..98 => Trouble::HooksFail {
            length: seconds(dice, 60),
        },
        _ => Trouble::HooksSlow {
            length: seconds(dice, 100),
            each: seconds(dice, 90),
        },
    }
}
