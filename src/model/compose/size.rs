//! What a service is to hold in all, from its limits and its replicas.

use serde_json::{Map, Value, json};

use super::amounts::{bytes, hundredths};
use super::{Notes, Units};

/// How many containers a service wants, where it says.
pub fn replicas(service: &Map<String, Value>) -> Option<u64> {
    let deploy = service.get("deploy").and_then(|deploy| deploy.get("replicas"));
    deploy.or(service.get("scale")).and_then(Value::as_u64)
}

/// `cpu_cores` and `mem_units` of the whole tier.
pub fn of(notes: &mut Notes, place: &str, service: &Map<String, Value>, units: Units) -> Value {
    deploy(notes, place, service);
    let count = replicas(service).unwrap_or(1);
    if count == 0 {
        return json!({ "cpu_cores": 0, "mem_units": 0 });
    }
    let resources = |kind: &str, what: &str| {
        let value = service.get("deploy")?.get("resources")?.get(kind)?.get(what)?;
        Some((format!("{place}.deploy.resources.{kind}.{what}"), value))
    };
    let own = |key: &str| Some((format!("{place}.{key}"), service.get(key)?));
    let cpu = resources("limits", "cpus")
        .or_else(|| own("cpus"))
        .or_else(|| resources("reservations", "cpus"));
    let mem = resources("limits", "memory")
        .or_else(|| own("mem_limit"))
        .or_else(|| resources("reservations", "memory"))
        .or_else(|| own("mem_reservation"));
    let mut each = match cpu {
        None => {
            notes.warn(place, "has no limit of cpus: it gets 1 core");
            100
        }
        Some((path, value)) => hundredths(value).unwrap_or_else(|| {
            notes.problem(&path, "should be a number of cores, such as 0.5");
            100
        }),
    }
    .max(1);
    if units.whole_cores && !each.is_multiple_of(100) {
        each = each.div_ceil(100) * 100;
        let cores = each / 100;
        notes.warn(
            place,
            &format!("gets {cores} whole cores: cpu_mode is \"cpuset\""),
        );
    }
    let unit = units.mem_unit_mb.max(1) << 20;
    let mem = match mem {
        None => {
            notes.warn(place, "has no limit of memory: it gets 1 mem_unit");
            1
        }
        Some((path, value)) => {
            let amount = bytes(value).unwrap_or_else(|| {
                notes.problem(&path, "should be an amount of memory, such as 512M");
                unit
            });
            let count = amount.div_ceil(unit).max(1);
            if !amount.is_multiple_of(unit) {
                let of = units.mem_unit_mb;
                notes.warn(&path, &format!("is rounded up to {count} mem_units of {of} MiB"));
            }
            count
        }
    };
    // Absurd numbers are told as problems of the plan.
    let cpu = each.saturating_mul(count);
    // Whole numbers stay whole.
    let cpu = if cpu.is_multiple_of(100) {
        json!(cpu / 100)
    } else {
        #[expect(clippy::cast_precision_loss)]
        let cores = cpu as f64 / 100.0;
        json!(cores)
    };
    json!({ "cpu_cores": cpu, "mem_units": mem.saturating_mul(count) })
}

/// What of `deploy` is not taken.
fn deploy(notes: &mut Notes, place: &str, service: &Map<String, Value>) {
    let fields = service.get("deploy").and_then(Value::as_object);
    for (key, value) in fields.into_iter().flatten() {
        match key.as_str() {
            "replicas" => {}
            "mode" if value == "replicated" => {}
            "resources" => {
                for (kind, amounts) in value.as_object().into_iter().flatten() {
                    for what in amounts.as_object().into_iter().flatten().map(|(what, _)| what) {
                        if !["cpus", "memory"].contains(&what.as_str()) {
                            let path = format!("{place}.deploy.resources.{kind}.{what}");
                            notes.ignored(&path, "it has no counterpart");
                        }
                    }
                }
            }
            _ => notes.ignored(&format!("{place}.deploy.{key}"), "it has no counterpart"),
        }
    }
}
