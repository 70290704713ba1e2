//! Cleans up after an action that has failed for good: removes what it has half made, and looks up
//! what is really there.

use crate::cloud::Standing;
use crate::engine::{End, Engine};
use crate::translate::Action;

use super::effect::real_name;
use super::event::Left;
use super::page::Page;
use super::reality::held;
use super::world::{View, World};

/// The result of cleaning up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// What is really there, if the action was about a container, or about a VM to be deleted.
    pub left: Option<Left>,
    /// Whether something may be there that the record does not know.
    pub unknown: bool,
    /// What a person should know about it.
    pub remark: Option<String>,
}

impl Settled {
    fn known(left: Left) -> Self {
        Self {
            left: Some(left),
            ..Self::default()
        }
    }

    fn unknown(left: Option<Left>, remark: String) -> Self {
        Self {
            left,
            unknown: true,
            remark: Some(remark),
        }
    }
}

/// After an action has failed for good. `unsure` means that its effect may have happened.
pub async fn clean_up(world: &World, view: &View, action: &Action, page: &Page<'_>, unsure: bool) -> Settled {
    match action {
        Action::CreateVm { vm } => match world.cloud.abandon_vm(vm, page).await {
            Ok(()) => Settled::default(),
            Err(error) => {
                tracing::error!(%error, "what a failed action left behind could not be removed: {action}");
                Settled::unknown(None, format!("something of it may be left over: {error}"))
            }
        },
        Action::DeleteVm { .. } if unsure => vm(world, view, action).await,
        Action::RunScaleHook { .. } | Action::RunTierHook { .. } if unsure => {
            let remark = hook(world, view, action, page).await;
            Settled {
                remark,
                ..Settled::default()
            }
        }
        Action::DeleteVm { .. } | Action::RunScaleHook { .. } | Action::RunTierHook { .. } => {
            Settled::default()
        }
        Action::CreateContainer { container, .. }
        | Action::UpdateContainer { container, .. }
        | Action::ReplaceContainer { container, .. }
        | Action::DeleteContainer { container, .. } => {
            // What was on a VM that is gone is gone, too.
            if !world.knows(view, action.vm()) {
                return Settled::known(Left::Nothing);
            }
            // A hook that was preparing the container for its end must not go on beside the next
            // one.
            let drains = matches!(
                action,
                Action::DeleteContainer { .. } | Action::ReplaceContainer { .. }
            );
            let drained = if unsure && drains {
                hook(world, view, action, page).await
            } else {
                None
            };
            let settled = match world.engine(view, action.vm()) {
                Ok((_, engine)) => self::container(world, engine.as_ref(), action, container.as_str()).await,
                Err(fault) => Settled::unknown(None, not_known(&fault.message)),
            };
            // The outcome of its hook matters if the container stays.
            let stays = matches!(settled.left, Some(Left::Container { .. }));
            Settled {
                remark: settled.remark.or(drained.filter(|_| stays)),
                ..settled
            }
        }
    }
}

fn not_known(why: &str) -> String {
    format!("its outcome is not known: {why}")
}

async fn container(world: &World, engine: &dyn Engine, action: &Action, name: &str) -> Settled {
    let created = matches!(action, Action::CreateContainer { .. });
    if created && let Err(error) = engine.ensure_absent(name).await {
        tracing::warn!(%error, "what a failed action left behind could not be removed: {action}");
    }
    let mut remark = None;
    if matches!(action, Action::ReplaceContainer { .. }) {
        match engine.take_back(name).await {
            Ok(()) => {}
            // It must be found out whether the successor is gone.
            Err(error) if error.may_pass() => {
                tracing::warn!(%error, "a failed replacement could not be taken back: {action}");
                return Settled::unknown(None, not_known(&error.to_string()));
            }
            Err(error) => {
                tracing::error!(%error, "a failed replacement could not be taken back: {action}");
                remark = Some(format!(
                    "the container before it could not be brought back: {error}"
                ));
            }
        }
    }
    let settled = look_at(world, engine, action, name, created).await;
    Settled {
        remark: remark.or(settled.remark),
        ..settled
    }
}

/// What is there under the name of an action's container.
async fn look_at(world: &World, engine: &dyn Engine, action: &Action, name: &str, created: bool) -> Settled {
    match engine.find(name).await {
        // A paused one still holds its part.
        Ok(Some(seen)) if seen.managed && seen.state.holds() => {
            let held = held(&world.topology, &seen);
            Settled::known(Left::Container {
                size: held.size,
                cores: held.cores,
                revision: held.revision,
                addresses: held.addresses,
                digest: held.digest,
            })
        }
        Ok(Some(seen)) if seen.managed && created => {
            let remark = "a container that does not run is left over, and could not be removed";
            Settled::unknown(Some(Left::Nothing), remark.to_owned())
        }
        Ok(_) => Settled::known(Left::Nothing),
        Err(error) => {
            tracing::warn!(%error, "what a failed action left behind could not be looked up: {action}");
            Settled::unknown(None, not_known(&error.to_string()))
        }
    }
}

/// Whether a VM that was to be deleted is still there.
async fn vm(world: &World, view: &View, action: &Action) -> Settled {
    let name = real_name(&view.bindings, action.vm());
    match world.cloud.offer().await {
        Ok(offer) => {
            let stays = |standing: &Standing| !matches!(standing, Standing::Leaving(_));
            let there = offer.vms.iter().any(|vm| vm.name == *name && stays(&vm.standing));
            Settled {
                left: (!there).then_some(Left::Nothing),
                ..Settled::default()
            }
        }
        Err(error) => Settled::unknown(None, not_known(&error.message)),
    }
}

/// Makes sure that a hook which was cut off no longer runs. Returns what a person should know.
async fn hook(world: &World, view: &View, action: &Action, page: &Page<'_>) -> Option<String> {
    let (hook, container) = (page.hook()?, action.container()?);
    let (_, engine) = world.engine(view, action.vm()).ok()?;
    let settled = engine
        .settle(container.as_str(), &hook.run, world.hook_deadline)
        .await;
    match settled {
        Ok(finished) => match finished.end {
            End::Exited(code) => Some(format!("its hook has ended since, with exit code {code}")),
            End::Killed => Some("its hook was killed".to_owned()),
            End::Abandoned => Some("its hook may still run in the container".to_owned()),
            End::Forgotten => None,
        },
        Err(error) => {
            tracing::warn!(%error, "it could not be looked up whether a hook still runs: {action}");
            Some(format!("its hook may still run in the container: {error}"))
        }
    }
}
