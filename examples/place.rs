//! Solves placement questions from files, for benchmarks: prints one JSON line for each.
//!
//! `place [--deadline-ms N] [--exact] FILE…` where each file is a body of `POST /api/solve`, or
//! `place --family NAME N SEED` for a generated instance; `--write` prints that body instead.

#![allow(clippy::indexing_slicing)] // JSON objects made here

#[path = "../crates/solve/tests/solver/generate.rs"]
#[allow(dead_code)]
mod generate;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use mapek::model::{Allocation, Plan, Topology};
use mapek::solve::conditions::Conditions;
use mapek::solve::pose::pose;
use mapek::solve::{Amount, Instance, Limits, SolveError, solve};
use serde_json::{Value, json};

fn main() -> anyhow::Result<()> {
    let mut limits = Limits::default();
    let mut questions = Vec::new();
    let mut args = std::env::args().skip(1);
    let mut write = false;
    while let Some(arg) = args.next() {
        let mut next = || args.next().ok_or_else(|| anyhow::anyhow!("{arg} needs a value"));
        match arg.as_str() {
            "--deadline-ms" => limits.deadline = Duration::from_millis(next()?.parse()?),
            "--exact" => limits.exact = true,
            "--write" => write = true,
            "--family" => {
                let (name, n, seed) = (next()?, next()?.parse()?, next()?.parse()?);
                let instance =
                    generate::family(&name, n, seed).ok_or_else(|| anyhow::anyhow!("no family {name}"))?;
                questions.push((format!("{name}-{n:04}-{seed}"), instance));
            }
            file => {
                let body = serde_json::from_str(&std::fs::read_to_string(file)?)?;
                questions.push((file.to_owned(), read(&body)?));
            }
        }
    }
    for (name, instance) in questions {
        if write {
            println!("{}", body(&instance));
            continue;
        }
        let begun = Instant::now();
        let result = solve(&instance, &limits, &|| begun.elapsed(), &AtomicBool::new(false));
        let ms = begun.elapsed().as_secs_f64() * 1e3;
        println!("{}", report(&name, &instance, result, ms));
    }
    Ok(())
}

fn report(
    name: &str,
    instance: &Instance,
    result: Result<mapek::solve::Answer, SolveError>,
    ms: f64,
) -> Value {
    let name = name.rsplit('/').next().unwrap_or(name).trim_end_matches(".json");
    let head = json!({"name": name, "tiers": instance.tiers.len(), "vms": instance.vms.len()});
    let tail = match result {
        Ok(a) => json!({
            "objective": a.objective, "bound": a.bound, "gap": a.gap,
            "ended_by": format!("{:?}", a.ended_by), "solve_ms": (ms * 100.0).round() / 100.0,
            "peak_mb": peak_mb(),
            "used": a.placement.len(), "neighbourhoods": a.counters.neighbourhoods,
            "nodes": a.counters.nodes, "programs": a.counters.programs,
        }),
        Err(e) => json!({"error": e.to_string(), "solve_ms": ms.round()}),
    };
    let mut all = head.as_object().cloned().unwrap_or_default();
    all.extend(tail.as_object().cloned().unwrap_or_default());
    Value::Object(all)
}

/// The most memory that this process has had so far, in MB; nothing where the system does not tell.
fn peak_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kb: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kb.div_ceil(1000))
}

/// The instance of a request body.
fn read(body: &Value) -> anyhow::Result<Instance> {
    let part = |name: &str| body.get(name).cloned().unwrap_or_default();
    let problems = |p: mapek::model::Problems| anyhow::anyhow!("{p}");
    let topology = Topology::parse(&part("topology")).map_err(problems)?.topology;
    let (plan, _) = Plan::parse(&part("plan"), &topology).map_err(problems)?;
    let allocation: Allocation = serde_json::from_value(part("allocation"))?;
    Ok(pose(
        &topology,
        &allocation,
        &BTreeMap::new(),
        &plan,
        None,
        None,
        &Conditions::default(),
    )?
    .instance)
}

/// A request body that asks for `instance` (without ports, which generated ones have none of).
fn body(instance: &Instance) -> Value {
    let size = |a: Amount| json!({"cpu_cores": a.cpu, "mem_units": a.mem});
    let mut apps: BTreeMap<&str, serde_json::Map<String, Value>> = BTreeMap::new();
    let mut plan: BTreeMap<&str, serde_json::Map<String, Value>> = BTreeMap::new();
    for tier in &instance.tiers {
        let (app, name) = tier.name.split_once('_').unwrap_or(("app", &tier.name));
        let mut spec = json!({"docker_image": "busybox"});
        if let Some(max) = tier.max_node {
            spec["max_node"] = max.into();
        }
        apps.entry(app).or_default().insert(name.into(), spec);
        plan.entry(app)
            .or_default()
            .insert(name.into(), size(tier.demand));
    }
    let mut allocation = serde_json::Map::new();
    for vm in &instance.vms {
        let used: serde_json::Map<_, _> = vm
            .held
            .iter()
            .filter_map(|(t, a)| Some((instance.tiers.get(*t)?.name.clone(), size(*a))))
            .collect();
        let mut entry = size(vm.capacity);
        entry["ip"] = "127.0.0.1".into();
        entry["used"] = used.into();
        allocation.insert(vm.name.clone(), entry);
    }
    // Generated instances have one shape.
    let shape = instance
        .shapes
        .first()
        .map_or(Amount::default(), |shape| shape.capacity);
    let mut infrastructure = size(shape);
    infrastructure["cloud_driver"] = json!({"autoscaling_groupname": "what-if"});
    let apps: Vec<Value> = apps
        .into_iter()
        .map(|(name, tiers)| json!({"name": name, "tiers": tiers}))
        .collect();
    json!({
        "topology": {"infrastructure": infrastructure, "apps": apps},
        "allocation": allocation, "plan": plan,
    })
}
