//! `/api/candidates`

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use serde_json::Value;
use utoipa::ToSchema;

use crate::fault::{Code, Fault};
use crate::model::units::hundredths_of;
use crate::model::{Cpu, TierId, VmId};
use crate::require::Requires;
use crate::service::{Candidates, CandidatesWanted};

use super::Handle;
use super::answer::Timer;
use super::body::JsonBody;

/// What is to be placed: a tier of the topology, or any container.
#[derive(ToSchema)]
#[schema(example = json!({ "tier": "rubis_db", "cpu_cores": 2, "mem_units": 4 }))]
#[expect(dead_code, reason = "only its shape is of interest")]
pub struct Question {
    /// A tier of the topology, by its flat name.
    #[schema(example = "rubis_db")]
    tier: Option<String>,
    /// What must be true of a node, besides what the tier requires.
    #[schema(max_length = 2000, example = "node.mem_units >= 8")]
    requires: Option<String>,
    /// Cores that it needs; the smallest container's unless given.
    #[schema(minimum = 0, maximum = 10000, example = 2)]
    cpu_cores: Option<f64>,
    /// Memory units that it needs; the smallest container's unless given.
    #[schema(minimum = 0, maximum = 1000000, example = 4)]
    mem_units: Option<u32>,
    /// Gigabytes of disk that it needs; none unless given.
    #[schema(minimum = 0, maximum = 1000000, example = 20)]
    disk_gb: Option<u32>,
    /// Graphics processors that it needs; none unless given.
    #[schema(minimum = 0, maximum = 1000000, example = 1)]
    gpus: Option<u32>,
    /// Nodes to leave out.
    #[schema(example = json!(["vm1"]))]
    exclude: Option<Vec<String>>,
}

/// Which nodes could take a tier, and why the others could not.
///
/// The engines are asked at that moment; nothing is changed.
#[utoipa::path(post, path = "/api/candidates", operation_id = "candidates", tag = "plans",
    request_body(content = Question, content_type = "application/json"),
    responses((status = 200, description = "The nodes that could, best first, and those that could not.", body = Candidates)))]
pub async fn post(service: Handle, timer: Timer, JsonBody(body): JsonBody) -> HttpResponse {
    let found = match body.and_then(|body| read(&body)) {
        Ok(wanted) => service.candidates(wanted).await,
        Err(fault) => Err(fault),
    };
    timer.give(found)
}

fn read(body: &Value) -> Result<CandidatesWanted, Fault> {
    const MEMBERS: [&str; 7] = [
        "tier",
        "requires",
        "cpu_cores",
        "mem_units",
        "disk_gb",
        "gpus",
        "exclude",
    ];
    let bad = |message: &str| Fault::new(Code::RequestInvalid, message);
    let members = body
        .as_object()
        .ok_or_else(|| bad("should be an object with tier, or with requires, cpu_cores and mem_units"))?;
    if let Some(stray) = members.keys().find(|member| !MEMBERS.contains(&member.as_str())) {
        return Err(Fault::unknown("member of the question", stray, &MEMBERS));
    }
    let part = |name: &str| members.get(name).filter(|value| !value.is_null());
    let text = |name: &str| match part(name) {
        None => Ok(None),
        Some(value) => value
            .as_str()
            .map(Some)
            .ok_or_else(|| bad(&format!("{name} should be a string"))),
    };
    let requires = text("requires")?.map(|source| {
        Requires::compile(source).map_err(|mistakes| {
            let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            bad(&format!("requires: {}", told.join("; ")))
        })
    });
    let cpu = part("cpu_cores").map(|value| {
        let hundredths = value.as_number().and_then(hundredths_of);
        let hundredths = hundredths.filter(|hundredths| *hundredths <= 1_000_000);
        hundredths
            .map(Cpu::hundredths)
            .ok_or_else(|| bad("cpu_cores should be a number of cores from 0 to 10000"))
    });
    let whole = |name: &str| {
        let value = part(name)?;
        // `6.0` counts as 6, as in plans.
        let whole = value.as_f64().filter(|value| value.fract() == 0.0);
        let whole = whole.filter(|value| (0.0..=1e6).contains(value));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let whole = whole.map(|value| value as u64);
        Some(whole.ok_or_else(|| bad(&format!("{name} should be a whole number from 0 to 1000000"))))
    };
    let [mem, disk_gb, gpus] = ["mem_units", "disk_gb", "gpus"].map(whole);
    let exclude = match part("exclude") {
        None => BTreeSet::new(),
        Some(value) => {
            let wrong = || bad("exclude should be a list of nodes' names");
            let names = value.as_array().ok_or_else(wrong)?.iter();
            let names = names.map(|name| name.as_str().map(VmId::new).ok_or_else(wrong));
            names.collect::<Result<_, _>>()?
        }
    };
    let tier = text("tier")?.map(TierId::new);
    let said = ["requires", "cpu_cores", "mem_units", "disk_gb", "gpus"];
    if tier.is_none() && said.iter().all(|name| part(name).is_none()) {
        return Err(bad(
            "does not say what is to be placed: give tier, or requires, cpu_cores and mem_units",
        ));
    }
    Ok(CandidatesWanted {
        tier,
        requires: requires.transpose()?,
        cpu: cpu.transpose()?,
        mem: mem.transpose()?,
        disk_gb: disk_gb.transpose()?.unwrap_or(0),
        gpus: gpus.transpose()?.unwrap_or(0),
        exclude,
        leaves: None,
    })
}
