//! Copies hooks into a container and runs them there.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use super::error::{At, HookError};
use super::listen::to_its_end;
use super::set::{HookSet, Kind, ROOT};
use crate::engine::{Command, End, Engine, RunId};
use crate::model::topology::{HookName, Tier};
use crate::model::{Allocation, Size, VmId};

/// Most bytes of one argument: what Linux accepts (`MAX_ARG_STRLEN`), minus the closing zero.
const MOST_OF_ARGUMENT: usize = 128 * 1024 - 1;

/// One run of one hook: in which container, with what information.
#[derive(Clone, Copy, Debug)]
pub struct HookCall<'a> {
    /// The hook.
    pub hook: &'a HookName,
    /// The tier whose container the hook runs in.
    pub tier: &'a Tier,
    /// The VM that the container is on.
    pub vm: &'a VmId,
    /// What the container holds.
    pub size: Size,
    /// MiB in one memory unit.
    pub mem_unit_mb: u64,
    /// The old and the new allocation for a dependency hook; None for a scale hook, which has no
    /// arguments.
    pub change: Option<(&'a Allocation, &'a Allocation)>,
    /// How long it may take.
    pub deadline: Duration,
}

/// The recorded runs of one hook, so that a run that was cut off is found again.
#[async_trait]
pub trait Runs: Send + Sync {
    /// The run that was recorded before, if there was one.
    fn earlier(&self) -> Option<RunId>;

    /// Records a run that is about to begin. It is on disk when this returns; otherwise the result
    /// says what is wrong.
    async fn begin(&self, run: &RunId) -> Result<(), String>;

    /// Takes note of what a run says while it goes on: news, which may be lost. Its secrets are masked.
    async fn said(&self, _text: String) {}
}

/// Copies all hooks, with the files beside them, into the container, and runs the one that is
/// wanted. Returns its output.
///
/// A run that was recorded before and cut off is continued instead: it is waited for, and its
/// outcome is the hook's. Only if it has certainly ended, and nobody knows how, is the hook run
/// again.
///
/// A dependency hook gets both allocations as JSON, in the shape of `GET /api/allocation`. If one
/// of the two is longer than Linux accepts as an argument, both are cut down to the VMs with
/// containers of the tier's app, and to these containers; `MAPEK_ALLOCATION` is then `app` instead
/// of `full`.
///
/// # Errors
///
/// When the hook can't be copied or run, does not end in time, or ends with an exit code other than
/// 0; and when even the app's part of the allocation is too long.
pub async fn run(
    engine: &dyn Engine,
    hooks: &HookSet,
    call: &HookCall<'_>,
    runs: &dyn Runs,
) -> Result<String, HookError> {
    let at = At {
        hook: call.hook.to_string(),
        container: call.tier.id.to_string(),
        vm: call.vm.to_string(),
    };
    let command = match command(call) {
        Ok(command) => command,
        Err(bytes) => {
            let most = MOST_OF_ARGUMENT;
            return Err(HookError::TooLong { at, bytes, most });
        }
    };
    let archive = match hooks.archive() {
        Ok(archive) => archive,
        Err(source) => return Err(HookError::Archive { at, source }),
    };
    let mut taken_up = None;
    if let Some(earlier) = runs.earlier() {
        match engine.complete(&at.container, &earlier, call.deadline).await {
            Ok(finished) if finished.end == End::Forgotten => {
                tracing::warn!(%at, "it was cut off and has ended, and nobody knows how: it is run again");
            }
            Ok(finished) => taken_up = Some(finished),
            Err(source) => return Err(HookError::Engine { at, source }),
        }
    }
    let finished = match taken_up {
        Some(finished) => finished,
        None => {
            if let Err(source) = engine.unpack(&at.container, archive, ROOT).await {
                return Err(HookError::Deliver { at, source });
            }
            let run = match engine.prepare(&at.container, &command).await {
                Ok(run) => run,
                Err(source) => return Err(HookError::Engine { at, source }),
            };
            if let Err(problem) = runs.begin(&run).await {
                return Err(HookError::Unrecorded { at, problem });
            }
            match to_its_end(engine, &at.container, &run, call.deadline, runs).await {
                Ok(finished) => finished,
                Err(source) => return Err(HookError::Engine { at, source }),
            }
        }
    };
    let output = finished.output;
    match finished.end {
        End::Exited(0) => Ok(output),
        End::Exited(exit_code) => Err(HookError::Failed {
            at,
            exit_code,
            output,
        }),
        End::Forgotten => Err(HookError::Lost { at }),
        End::Killed | End::Abandoned => Err(HookError::TimedOut {
            at,
            deadline: call.deadline,
            killed: finished.end == End::Killed,
            output,
        }),
    }
}

/// The command to run in the container; or the length of an argument that is too long.
fn command(call: &HookCall<'_>) -> Result<Command, usize> {
    let mut environment = environment(call);
    let (kind, argv) = match call.change {
        None => (Kind::Scale, vec![Kind::Scale.path(call.hook)]),
        Some((old, new)) => {
            let (told, old, new) = arguments(&call.tier.app, old, new)?;
            environment.insert("MAPEK_ALLOCATION".to_owned(), told.to_owned());
            (Kind::Tier, vec![Kind::Tier.path(call.hook), old, new])
        }
    };
    Ok(Command {
        argv,
        environment,
        folder: Some(kind.place()),
        deadline: call.deadline,
    })
}

/// The environment of every hook.
fn environment(call: &HookCall<'_>) -> BTreeMap<String, String> {
    let dependencies: Vec<&str> = call.tier.depends_on.iter().map(|tier| tier.as_str()).collect();
    [
        ("MAPEK_APP", call.tier.app.clone()),
        ("MAPEK_TIER", call.tier.key.clone()),
        ("MAPEK_CONTAINER", call.tier.id.to_string()),
        ("MAPEK_VM", call.vm.to_string()),
        ("MAPEK_CPU_CORES", call.size.cpu.to_string()),
        ("MAPEK_MEM_UNITS", call.size.mem.to_string()),
        ("MAPEK_DISK_GB", call.size.disk_gb.to_string()),
        ("MAPEK_GPUS", call.size.gpus.to_string()),
        ("MAPEK_MEM_UNIT_MB", call.mem_unit_mb.to_string()),
        ("MAPEK_DEPENDENCIES", dependencies.join(" ")),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Both allocations as JSON that fits into arguments, and how much of them that is; otherwise the
/// length of the longer one.
fn arguments(app: &str, old: &Allocation, new: &Allocation) -> Result<(&'static str, String, String), usize> {
    let both = [old, new].map(json);
    let [old_app, new_app] = [old, new].map(|allocation| of_app(app, allocation));
    let [first, second] = both;
    if fits(&first) && fits(&second) {
        return Ok(("full", first, second));
    }
    let (first, second) = (json(&old_app), json(&new_app));
    if fits(&first) && fits(&second) {
        return Ok(("app", first, second));
    }
    Err(first.len().max(second.len()))
}

fn fits(text: &str) -> bool {
    text.len() <= MOST_OF_ARGUMENT
}

/// The shape of GET /api/allocation: VMs by name.
fn json(allocation: &Allocation) -> String {
    // Only names and numbers: nothing that JSON could not express.
    serde_json::to_string(allocation).unwrap_or_else(|_| "{}".to_owned())
}

/// The VMs that have containers of the app, with only these containers. If an app's name continues
/// after an underscore (`shop` and `shop_eu`), there may be too many, never too few.
fn of_app(app: &str, allocation: &Allocation) -> Allocation {
    let prefix = format!("{app}_");
    let mut part = allocation.clone();
    for vm in part.vms.values_mut() {
        vm.used.retain(|tier, _| tier.as_str().starts_with(&prefix));
    }
    part.vms.retain(|_, vm| !vm.used.is_empty());
    part
}
