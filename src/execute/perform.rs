//! One action, as calls to drivers.

use crate::cloud::{CloudError, CloudErrorKind};
use crate::engine::{Effect, EngineError, EngineErrorKind, Health};
use crate::fault::{Code, Fault};
use crate::hooks::{self, HookCall, HookError};
use crate::model::topology::HookName;
use crate::model::{Allocation, Container, RevisionId, Size, TierId, VmId};
use crate::translate::{Action, Place};

use super::beside::start_again;
use super::drain::drain;
use super::effect::real_name;
use super::event::{Finding, FoundVm};
use super::page::{HookLine, Page};
use super::pull::as_others;
use super::spec;
use super::world::{View, World};

/// Why an action failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The error for people.
    pub fault: Fault,
    /// Output of the hook that failed.
    pub output: Option<String>,
    /// Whether trying again may help: the reason may pass, or the effect is unknown. Every action
    /// is safe to repeat.
    pub again: bool,
    /// Whether the only problem is that the container does not run.
    pub down: bool,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            output: None,
            again: false,
            down: false,
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let again = error.may_pass();
        let down = error.kind == EngineErrorKind::Down;
        Self {
            fault: error.into(),
            output: None,
            again,
            down,
        }
    }
}

impl From<CloudError> for Failure {
    fn from(error: CloudError) -> Self {
        let again = error.effect == Effect::Unknown
            || matches!(
                error.kind,
                CloudErrorKind::Unreachable | CloudErrorKind::TimedOut | CloudErrorKind::Failing
            );
        Self {
            fault: error.into(),
            output: None,
            again,
            down: false,
        }
    }
}

impl From<HookError> for Failure {
    fn from(error: HookError) -> Self {
        let output = error.output().map(str::to_owned);
        let (again, down) = match &error {
            HookError::Deliver { source, .. } | HookError::Engine { source, .. } => {
                (source.may_pass(), source.kind == EngineErrorKind::Down)
            }
            HookError::Unrecorded { .. } | HookError::Lost { .. } => (true, false),
            HookError::Archive { .. }
            | HookError::Failed { .. }
            | HookError::TimedOut { .. }
            | HookError::TooLong { .. } => (false, false),
        };
        Self {
            fault: error.into(),
            output,
            again,
            down,
        }
    }
}

/// Has the action's effect, or finds that it is there already.
///
/// `old` is the allocation that dependency hooks are given as the one before; `whereabouts` says where what starts finds its
/// dependencies. A container that is
/// confirmed to run and does not any more is started first: an engine that was killed and came back
/// leaves those down that it had only just started.
pub async fn perform(
    world: &World,
    view: &View,
    (old, whereabouts): (&Allocation, &Allocation),
    action: &Action,
    page: &Page<'_>,
) -> Result<Finding, Failure> {
    match attempt(world, view, (old, whereabouts), action, page).await {
        Err(failure) if failure.down => {
            tracing::warn!(error = %failure.fault, "starting the container again, for: {action}");
            revive(world, view, action).await?;
            attempt(world, view, (old, whereabouts), action, page).await
        }
        result => result,
    }
}

/// Starts the container that an action is about, as it is confirmed; one that is to be resized, with what
/// it is to have: what it had may be somebody else's by now.
async fn revive(world: &World, view: &View, action: &Action) -> Result<(), Failure> {
    let (name, engine) = world.engine(view, action.vm())?;
    let Some(tier) = action.container() else {
        return Ok(());
    };
    let confirmed = view.allocation.container(&name, tier);
    let held = match action {
        Action::UpdateContainer { size, cores, .. } => Some(Container {
            size: *size,
            cores: cores.clone(),
            ..confirmed.cloned().unwrap_or_default()
        }),
        _ => confirmed.cloned(),
    };
    match held {
        Some(held) => start_again(world, view, &name, engine.as_ref(), (tier, &held)).await,
        None => Ok(()),
    }
}

async fn attempt(
    world: &World,
    view: &View,
    (old, whereabouts): (&Allocation, &Allocation),
    action: &Action,
    page: &Page<'_>,
) -> Result<Finding, Failure> {
    match action {
        Action::CreateVm { vm } => {
            let made = world.cloud.ensure_vm(vm, page).await?;
            let found = FoundVm {
                name: made.name,
                ip: made.ip,
                endpoint: made.endpoint,
            };
            Ok(Finding {
                vm: Some(found),
                ..Finding::default()
            })
        }
        Action::DeleteVm { vm } => {
            // A VM that the cloud no longer knows is already gone.
            let name = real_name(&view.bindings, vm);
            world.cloud.ensure_vm_absent(name).await?;
            Ok(Finding::default())
        }
        Action::CreateContainer {
            vm,
            container,
            size,
            cores,
            revision,
            digest,
        } => {
            let (name, engine) = world.engine(view, vm)?;
            let spec = spec::container(
                &world.topology,
                container,
                (revision.as_ref(), digest.as_deref()),
                &name,
                (*size, cores),
                whereabouts,
            )
            .ok_or_else(|| unknown(container))?;
            let (tier, _) = world
                .topology
                .made_as(container, revision.as_ref())
                .ok_or_else(|| unknown(container))?;
            world.cloud.ensure_kept(&[name].into()).await?;
            if digest.is_none() {
                as_others(world, view, vm, tier).await?;
            }
            let seen = engine.ensure_running(&spec).await?;
            Ok(Finding {
                addresses: seen.addresses,
                ..Finding::default()
            })
        }
        Action::UpdateContainer {
            vm,
            container,
            size,
            cores,
            was,
            was_cores,
        } => {
            let (name, engine) = world.engine(view, vm)?;
            let limits = spec::limits(&world.topology, *size, cores);
            let seen = engine.ensure_limits(container.as_str(), &limits).await?;
            // An update to what it has already is there to set it going.
            let same = (size, cores) == (was, was_cores);
            if same && seen.health == Some(Health::Unhealthy) {
                tracing::warn!(vm = %name, %container, "restarting a container that stays unhealthy");
                engine.restart(container.as_str()).await?;
            }
            Ok(Finding::default())
        }
        Action::ReplaceContainer {
            vm,
            container,
            size,
            cores,
            handover,
            revision,
            digest,
            hooks,
            ..
        } => {
            let (name, engine) = world.engine(view, vm)?;
            let spec = spec::container(
                &world.topology,
                container,
                (Some(revision), digest.as_deref()),
                &name,
                (*size, cores),
                whereabouts,
            )
            .ok_or_else(|| unknown(container))?;
            if spec.revision.as_ref() != Some(revision) {
                return Err(forgotten(container, revision).into());
            }
            // The old one goes as one that is removed does, once it is known that it does.
            let goes = engine.prepare_replacement(&spec, *handover).await?;
            let hooks = if goes { hooks.as_slice() } else { &[] };
            let output = drain(world, view, vm, container, hooks, page).await?;
            let seen = engine.replace(&spec, *handover).await?;
            Ok(Finding {
                output,
                addresses: seen.addresses,
                ..Finding::default()
            })
        }
        Action::DeleteContainer {
            vm, container, hooks, ..
        } => {
            // What was on a VM that is gone is gone, too.
            if !world.knows(view, vm) {
                return Ok(Finding::default());
            }
            let (_, engine) = world.engine(view, vm)?;
            let output = drain(world, view, vm, container, hooks, page).await?;
            engine.ensure_absent(container.as_str()).await?;
            Ok(Finding {
                output,
                ..Finding::default()
            })
        }
        Action::RunScaleHook { vm, container, hooks } => {
            let mut output = String::new();
            // Those before the one that was begun last have succeeded.
            let begun = page.hook().map_or(0, |hook| hook.number);
            for (number, hook) in hooks.iter().enumerate().skip(begun) {
                let line = page.line(number, hook);
                let said = run_hook(world, view, vm, container, hook, None, &line).await?;
                output.push_str(&said);
            }
            Ok(Finding {
                output: Some(output),
                ..Finding::default()
            })
        }
        Action::RunTierHook {
            vm,
            container,
            hook,
            leaving,
        } => {
            let new = without(view, leaving);
            let change = Some((old, &new));
            let line = page.line(0, hook);
            let output = run_hook(world, view, vm, container, hook, change, &line).await?;
            Ok(Finding {
                output: Some(output),
                ..Finding::default()
            })
        }
    }
}

/// What a dependency hook is told that is there: what is confirmed, less what is about to go.
fn without(view: &View, leaving: &[Place]) -> Allocation {
    let mut new = Allocation::clone(&view.allocation);
    for place in leaving {
        if let Some(vm) = new.vms.get_mut(real_name(&view.bindings, &place.vm)) {
            vm.used.remove(&place.container);
        }
    }
    new
}

pub(super) fn unknown(container: &TierId) -> Fault {
    Fault::new(
        Code::Internal,
        format!("{container} is not a tier of the topology"),
    )
}

/// Earlier revisions are not kept for ever.
fn forgotten(container: &TierId, revision: &RevisionId) -> Fault {
    let message = format!(
        "what revision {revision} of {container} was made from is not known any more; put a topology that has it again, \
         and send the plan again"
    );
    Fault::new(Code::Conflict, message)
}

pub(super) async fn run_hook(
    world: &World,
    view: &View,
    vm: &VmId,
    container: &TierId,
    hook: &HookName,
    change: Option<(&Allocation, &Allocation)>,
    line: &HookLine<'_>,
) -> Result<String, Failure> {
    let (name, engine) = world.engine(view, vm)?;
    let tier = world
        .topology
        .tiers
        .get(container)
        .ok_or_else(|| unknown(container))?;
    let missing = || {
        Fault::new(
            Code::HookMissing,
            format!("there are no hooks, and {container} needs {hook}"),
        )
    };
    let set = world.hooks.as_ref().ok_or_else(missing)?;
    let size = view
        .allocation
        .container(&name, container)
        .map_or(Size::ZERO, |held| held.size);
    let call = HookCall {
        hook,
        tier,
        vm: &name,
        size,
        mem_unit_mb: world.topology.infrastructure.mem_unit_mb,
        change,
        deadline: world.hook_deadline,
    };
    Ok(hooks::run(engine.as_ref(), set, &call, line).await?)
}
