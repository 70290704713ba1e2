//! One action, as calls to drivers.

use crate::cloud::CloudError;
use crate::engine::EngineError;
use crate::fault::{Code, Fault};
use crate::hooks::{self, HookCall, HookError};
use crate::model::topology::HookName;
use crate::model::{Allocation, Size, TierId, VmId};
use crate::translate::Action;

use super::event::{Finding, FoundVm};
use super::spec;
use super::world::{View, World};

/// Why an action failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What a person is told.
    pub fault: Fault,
    /// Output of the hook that failed.
    pub output: Option<String>,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { fault, output: None }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Fault::from(error).into()
    }
}

impl From<CloudError> for Failure {
    fn from(error: CloudError) -> Self {
        Fault::from(error).into()
    }
}

impl From<HookError> for Failure {
    fn from(error: HookError) -> Self {
        let output = error.output().map(str::to_owned);
        Self {
            fault: error.into(),
            output,
        }
    }
}

/// Has the action's effect, or finds that it is there already.
pub async fn perform(world: &World, view: &View, action: &Action) -> Result<Finding, Failure> {
    match action {
        Action::CreateVm { vm } => {
            let made = world.cloud.ensure_vm(vm).await?;
            let found = FoundVm {
                name: made.name,
                ip: made.ip,
                endpoint: made.endpoint,
            };
            Ok(Finding {
                vm: Some(found),
                output: None,
            })
        }
        Action::DeleteVm { vm } => {
            let (name, _) = world.engine(view, vm)?;
            world.cloud.ensure_vm_absent(&name).await?;
            Ok(Finding::default())
        }
        Action::CreateContainer {
            vm,
            container,
            size,
            cores,
        } => {
            let (_, engine) = world.engine(view, vm)?;
            let tier = world
                .topology
                .tiers
                .get(container)
                .ok_or_else(|| unknown(container))?;
            let spec = spec::container(&world.topology, tier, *size, cores, &view.allocation);
            engine.ensure_image(&spec.image).await?;
            engine.ensure_running(&spec).await?;
            Ok(Finding::default())
        }
        Action::UpdateContainer {
            vm,
            container,
            size,
            cores,
            ..
        } => {
            let (_, engine) = world.engine(view, vm)?;
            let limits = spec::limits(&world.topology, *size, cores);
            engine.ensure_limits(container.as_str(), &limits).await?;
            Ok(Finding::default())
        }
        Action::DeleteContainer { vm, container, .. } => {
            let (_, engine) = world.engine(view, vm)?;
            engine.ensure_absent(container.as_str()).await?;
            Ok(Finding::default())
        }
        Action::RunScaleHook { vm, container, hooks } => {
            let mut output = String::new();
            for hook in hooks {
                let said = run_hook(world, view, vm, container, hook, None).await?;
                output.push_str(&said);
            }
            Ok(Finding {
                vm: None,
                output: Some(output),
            })
        }
        Action::RunTierHook { vm, container, hook } => {
            let change = Some((&world.from, &view.allocation));
            let output = run_hook(world, view, vm, container, hook, change).await?;
            Ok(Finding {
                vm: None,
                output: Some(output),
            })
        }
    }
}

fn unknown(container: &TierId) -> Fault {
    Fault::new(
        Code::Internal,
        format!("{container} is not a tier of the topology"),
    )
}

async fn run_hook(
    world: &World,
    view: &View,
    vm: &VmId,
    container: &TierId,
    hook: &HookName,
    change: Option<(&Allocation, &Allocation)>,
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
    Ok(hooks::run(engine.as_ref(), set, &call).await?)
}
