//! `/api/vm/capacity`, `/api/tier`: what is set by hand, as the predecessor's branch for hierarchical control has it.

use actix_web::HttpResponse;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::fault::{Code, Fault};
use crate::model::intent::Wanted;
use crate::model::units::hundredths_of;
use crate::model::{Cpu, Size, TierId, VmId};

use super::Handle;
use super::answer::Timer;
use super::body::JsonBody;
use super::by::Asked;
use super::intents::IntentShown;

/// How many VMs are kept.
#[derive(ToSchema)]
#[schema(as = Capacity, example = json!({ "capacity": 3 }))]
#[expect(dead_code, reason = "only its shape is of interest")]
pub struct Capacity {
    /// So many, used or not; 0 to keep no more than are used.
    #[schema(minimum = 0, maximum = 100000, example = 3)]
    capacity: u32,
}

/// One container of a tier.
#[derive(ToSchema)]
#[schema(as = ContainerSet, example = json!({ "vm": "vm1", "app": "rubis", "name": "db", "cpu_cores": 1, "mem_units": 2 }))]
#[expect(dead_code, reason = "only its shape is of interest")]
pub struct ContainerSet {
    /// The VM that it is on.
    #[schema(example = "vm1")]
    vm: String,
    /// The app.
    #[schema(example = "rubis")]
    app: String,
    /// The tier of the app.
    #[schema(example = "db")]
    name: String,
    /// Cores that it has; 0, with 0 memory units, to remove it.
    #[schema(minimum = 0, maximum = 1000000, example = 1)]
    cpu_cores: f64,
    /// Memory units that it has.
    #[schema(minimum = 0, maximum = 1000000, example = 2)]
    mem_units: u64,
    /// Gigabytes of disk that it has; none unless given.
    #[schema(minimum = 0, maximum = 1000000, example = 20)]
    disk_gb: Option<u64>,
    /// Graphics processors that it has; none unless given.
    #[schema(minimum = 0, maximum = 1000000, example = 1)]
    gpus: Option<u64>,
}

/// Keeps so many VMs, used or not, and answers when that is so.
///
/// VMs are made, or idle ones are given back; containers move where fewer VMs than are in use are wanted. From then on,
/// at least so many are kept, until another number is set.
#[utoipa::path(put, path = "/api/vm/capacity", operation_id = "set_capacity", tag = "intents",
    request_body(content = Capacity, content_type = "application/json"),
    responses((status = 200, description = "It is so.", body = IntentShown)))]
pub async fn capacity(
    service: Handle,
    timer: Timer,
    Asked(by): Asked,
    JsonBody(body): JsonBody,
) -> HttpResponse {
    let done = match body.and_then(|body| read_capacity(&body)) {
        Ok(wanted) => service.by_hand(wanted, by).await,
        Err(fault) => Err(fault),
    };
    timer.give(done.map(IntentShown::of))
}

/// Gives the container of a tier on a VM a size, and answers when it has it.
///
/// It is made, resized or removed there; everything else stays as it is. What is set by hand stays until a plan or an intent
/// names the tier.
#[utoipa::path(put, path = "/api/tier", operation_id = "set_tier", tag = "intents",
    request_body(content = ContainerSet, content_type = "application/json"),
    responses((status = 200, description = "It is so.", body = IntentShown)))]
pub async fn tier(service: Handle, timer: Timer, Asked(by): Asked, JsonBody(body): JsonBody) -> HttpResponse {
    let done = match body.and_then(|body| read_tier(&body)) {
        Ok(wanted) => service.by_hand(wanted, by).await,
        Err(fault) => Err(fault),
    };
    timer.give(done.map(IntentShown::of))
}

/// Puts problems together, so that all are told at once.
#[derive(Default)]
struct Reading {
    problems: Vec<String>,
}

impl Reading {
    fn members<'b>(&mut self, body: &'b Value, known: &[&str]) -> Result<&'b Map<String, Value>, Fault> {
        let members = body.as_object().ok_or_else(|| {
            let message = format!("should be an object with {}", known.join(", "));
            Fault::new(Code::RequestInvalid, message)
        })?;
        match members.keys().find(|member| !known.contains(&member.as_str())) {
            Some(stray) => Err(Fault::unknown("member of this request", stray, known)),
            None => Ok(members),
        }
    }

    fn text(&mut self, members: &Map<String, Value>, name: &str) -> String {
        match members.get(name) {
            Some(Value::String(text)) if !text.is_empty() => text.clone(),
            None => self.problem(format!("{name} is missing")),
            Some(other) => self.problem(format!("{name} should be a name, is {other}")),
        }
    }

    /// `6.0` counts as 6, as in plans.
    fn whole(&mut self, members: &Map<String, Value>, name: &str, most: u32) -> u64 {
        let value = members.get(name);
        let whole = value.and_then(Value::as_f64).filter(|value| value.fract() == 0.0);
        let whole = whole.filter(|value| (0.0..=f64::from(most)).contains(value));
        let should = format!("{name} should be a whole number from 0 to {most}");
        match (whole, value) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            (Some(whole), _) => whole as u64,
            (None, Some(value)) => self.problem(format!("{should}, is {value}")),
            (None, None) => self.problem(format!("{name} is missing")),
        }
    }

    fn problem<T: Default>(&mut self, problem: String) -> T {
        self.problems.push(problem);
        T::default()
    }

    fn finish<T>(self, read: T) -> Result<T, Fault> {
        if self.problems.is_empty() {
            return Ok(read);
        }
        let details = self.problems.iter().map(|problem| json!({ "problem": problem }));
        Err(Fault::new(Code::RequestInvalid, self.problems.join("; ")).with(details.collect::<Vec<_>>()))
    }
}

fn read_capacity(body: &Value) -> Result<Wanted, Fault> {
    let mut reading = Reading::default();
    let members = reading.members(body, &["capacity"])?;
    let capacity = reading.whole(members, "capacity", 100_000);
    let capacity = u32::try_from(capacity).unwrap_or(u32::MAX);
    reading.finish(Wanted::SetCapacity { capacity })
}

fn read_tier(body: &Value) -> Result<Wanted, Fault> {
    const MEMBERS: [&str; 7] = ["vm", "app", "name", "cpu_cores", "mem_units", "disk_gb", "gpus"];
    let mut reading = Reading::default();
    let members = reading.members(body, &MEMBERS)?;
    let (vm, app, name) = (
        reading.text(members, "vm"),
        reading.text(members, "app"),
        reading.text(members, "name"),
    );
    let cpu = match members.get("cpu_cores") {
        None => reading.problem("cpu_cores is missing".to_owned()),
        Some(value) => {
            let read = value.as_number().and_then(hundredths_of);
            match read.filter(|hundredths| *hundredths <= 100_000_000) {
                Some(hundredths) => hundredths,
                None => reading.problem(format!("cpu_cores should be a number of cores, is {value}")),
            }
        }
    };
    let optional = |name: &'static str, reading: &mut Reading| match members.get(name) {
        None => 0,
        Some(_) => reading.whole(members, name, 1_000_000),
    };
    let size = Size {
        cpu: Cpu::hundredths(cpu),
        mem: reading.whole(members, "mem_units", 1_000_000),
        disk_gb: optional("disk_gb", &mut reading),
        gpus: optional("gpus", &mut reading),
    };
    if reading.problems.is_empty() && (size.cpu == Cpu::ZERO) != (size.mem == 0) {
        reading.problems.push(format!(
            "a container has some of both, or none of both to be removed; this is {size}"
        ));
    }
    if reading.problems.is_empty() && size.cpu == Cpu::ZERO && size != Size::ZERO {
        let problem = format!("a container that is removed holds no disk and no GPUs; this is {size}");
        reading.problems.push(problem);
    }
    reading.finish(Wanted::SetTier {
        tier: TierId::of(&app, &name),
        node: VmId::new(&vm),
        size,
    })
}
