//! Hooks put into a container and run there.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::HookError;
use super::set::{HookSet, Kind};
use crate::engine::{Command, End, Engine};
use crate::model::topology::{HookName, Tier};
use crate::model::{Allocation, Size, VmId};

/// Most bytes of one argument: what Linux takes (`MAX_ARG_STRLEN`), less the closing zero.
const MOST_OF_ARGUMENT: usize = 128 * 1024 - 1;

/// The container that hooks are run in, and what they are told of it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The VM.
    pub vm: &'a VmId,
    /// The tier.
    pub tier: &'a Tier,
    /// What the container holds.
    pub size: Size,
    /// MiB in one memory unit.
    pub mem_unit_mb: u64,
}

/// A hook that ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// What it said.
    pub output: String,
}

/// Runs the hooks of one revision through one engine.
pub struct Runner<'a> {
    /// The engine.
    pub engine: &'a dyn Engine,
    /// The hooks.
    pub hooks: &'a HookSet,
    /// How long one hook may take.
    pub deadline: Duration,
}

impl Runner<'_> {
    /// Puts all hooks, and the files beside them, into the container.
    ///
    /// # Errors
    ///
    /// What the engine says.
    pub async fn deliver(&self, place: Place<'_>) -> Result<(), HookError> {
        let failed = |source| HookError::Deliver {
            container: place.tier.id.to_string(),
            vm: place.vm.to_string(),
            source,
        };
        let archive = self.hooks.archive().map_err(|error| {
            failed(crate::engine::EngineError {
                endpoint: "hooks".to_owned(),
                message: format!("can't make an archive of them: {error}"),
                kind: crate::engine::EngineErrorKind::Misconfigured,
                effect: crate::engine::Effect::None,
            })
        })?;
        self.engine
            .unpack(place.tier.id.as_str(), archive, "/")
            .await
            .map_err(failed)
    }

    /// Runs a scale hook, without arguments.
    ///
    /// # Errors
    ///
    /// When it can't be run, does not end in time, or ends with another exit code than 0.
    pub async fn scale(&self, place: Place<'_>, hook: &HookName) -> Result<Ran, HookError> {
        let argv = vec![Kind::Scale.path(hook)];
        self.run(place, hook, argv, environment(place)).await
    }

    /// Runs a dependency hook with the old and the new allocation as JSON.
    ///
    /// Where one of the two is longer than Linux takes as an argument, both are cut down to the
    /// VMs that hold containers of the tier's app, and to these containers; then
    /// `MAPEK_ALLOCATION` is `app` instead of `full`.
    ///
    /// # Errors
    ///
    /// As [`Runner::scale`], and when the app's part alone is too long.
    pub async fn tier(
        &self,
        place: Place<'_>,
        hook: &HookName,
        old: &Allocation,
        new: &Allocation,
    ) -> Result<Ran, HookError> {
        let (told, old, new) = arguments(&place.tier.app, old, new).map_err(|bytes| HookError::TooLong {
            hook: hook.to_string(),
            container: place.tier.id.to_string(),
            vm: place.vm.to_string(),
            bytes,
            most: MOST_OF_ARGUMENT,
        })?;
        let mut environment = environment(place);
        environment.insert("MAPEK_ALLOCATION".to_owned(), told.to_owned());
        self.run(place, hook, vec![Kind::Tier.path(hook), old, new], environment)
            .await
    }

    async fn run(
        &self,
        place: Place<'_>,
        hook: &HookName,
        argv: Vec<String>,
        environment: BTreeMap<String, String>,
    ) -> Result<Ran, HookError> {
        let (hook, container, vm) = (hook.to_string(), place.tier.id.to_string(), place.vm.to_string());
        let command = Command {
            argv,
            environment,
            deadline: self.deadline,
        };
        let finished = match self.engine.run(&container, &command).await {
            Ok(finished) => finished,
            Err(source) => {
                return Err(HookError::Engine {
                    hook,
                    container,
                    vm,
                    source,
                });
            }
        };
        let output = finished.output;
        match finished.end {
            End::Exited(0) => Ok(Ran { output }),
            End::Exited(exit_code) => Err(HookError::Failed {
                hook,
                container,
                vm,
                exit_code,
                output,
            }),
            End::Killed | End::Abandoned => Err(HookError::TimedOut {
                hook,
                container,
                vm,
                deadline: self.deadline,
                killed: finished.end == End::Killed,
                output,
            }),
        }
    }
}

/// What every hook finds in its environment.
fn environment(place: Place<'_>) -> BTreeMap<String, String> {
    let dependencies: Vec<&str> = place.tier.depends_on.iter().map(|tier| tier.as_str()).collect();
    [
        ("MAPEK_APP", place.tier.app.clone()),
        ("MAPEK_TIER", place.tier.key.clone()),
        ("MAPEK_CONTAINER", place.tier.id.to_string()),
        ("MAPEK_VM", place.vm.to_string()),
        ("MAPEK_CPU_CORES", place.size.cpu.to_string()),
        ("MAPEK_MEM_UNITS", place.size.mem.to_string()),
        ("MAPEK_MEM_UNIT_MB", place.mem_unit_mb.to_string()),
        ("MAPEK_DEPENDENCIES", dependencies.join(" ")),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Both allocations as JSON that fits into arguments, and how much of them is told; else the
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
    // Names and numbers only: there is nothing in it that JSON could not hold.
    serde_json::to_string(allocation).unwrap_or_else(|_| "{}".to_owned())
}

/// The VMs that hold containers of the app, with these containers alone. Of an app whose name
/// goes on after an underscore (`shop` and `shop_eu`) some may be told too much, never too little.
fn of_app(app: &str, allocation: &Allocation) -> Allocation {
    let prefix = format!("{app}_");
    let mut part = allocation.clone();
    for vm in part.vms.values_mut() {
        vm.used.retain(|tier, _| tier.as_str().starts_with(&prefix));
    }
    part.vms.retain(|_, vm| !vm.used.is_empty());
    part
}
