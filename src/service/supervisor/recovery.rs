//! Recovery: what becomes of an execution that an earlier process left in the middle, and the handles
//! that going on with it needs.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;
use uuid::Uuid;

use crate::cloud::Standing;
use crate::engine::EngineErrorKind;
use crate::execute::{By, Direction, Execution, Halt, Status, View, World, real_name};
use crate::fault::{Code, Fault};
use crate::model::{Topology, VmId};

use crate::service::Service;
use crate::service::admission::{names_hooks, needs_hooks, refuse};
use crate::service::observed::PATIENCE;
use crate::service::supervisor::phase::OnRestart;
use crate::service::supervisor::runner::Pauses;

impl Service {
    /// Takes up the execution that was cut off, if there is one: as a person asked before, or else
    /// as `on_restart` says. What it needs is waited for in the background.
    ///
    /// # Errors
    ///
    /// When the service stops before that can be recorded.
    pub async fn recover(&self, on_restart: OnRestart) -> Result<(), Fault> {
        let mut pauses = Pauses::default();
        loop {
            let service = self.clone();
            let asked = self.ask(move |supervisor| supervisor.recover(&service, on_restart));
            match asked.await {
                Err(fault) if fault.code == Code::JournalUnavailable => {
                    tracing::error!(error = %fault, "waiting until the record can be written");
                    pauses.sleep().await;
                }
                Err(fault) => return Err(fault),
                Ok(()) => break,
            }
        }
        let now = self.snapshot();
        if let Some(id) = now.running.filter(|_| now.held) {
            tracing::warn!(execution = %id, "an execution was cut off; it is held: resume it, roll it back or cancel it");
        }
        Ok(())
    }

    /// Takes up an execution that is held. The request is recorded when this returns.
    ///
    /// # Errors
    ///
    /// When there is no such execution, it has ended, it is already running, or the request can't
    /// be recorded.
    pub async fn take_up(&self, id: Uuid, direction: Direction, by: By) -> Result<(), Fault> {
        let service = self.clone();
        tracing::info!(execution = %id, by = by.name, ?direction, "asked to take it up");
        self.ask(move |supervisor| supervisor.take_up(&service, id, direction, &by))
            .await
    }

    /// Asks that an execution begins no further action, and ends as cancelled. That is recorded
    /// when this returns, and survives restarts.
    ///
    /// # Errors
    ///
    /// When there is no such execution, or it has ended. When it can't be recorded: no further action
    /// is begun all the same, but a restart would forget it.
    pub async fn cancel(&self, id: Uuid, by: By) -> Result<(), Fault> {
        let service = self.clone();
        tracing::info!(execution = %id, by = by.name, "asked to cancel it");
        self.ask(move |supervisor| supervisor.cancel(&service, id, &by))
            .await
    }

    /// Looks at the VMs before anything is done on them: which engines they have and, after an
    /// earlier version, which containers are ours. A VM that can't be asked is waited for later.
    async fn recognise(&self, topology: &Arc<Topology>) -> Result<(), Fault> {
        let snapshot = self.snapshot();
        let known = self.known(topology).await?;
        let made = snapshot.bindings.values().map(|found| &found.name);
        let vms: BTreeSet<&VmId> = snapshot.allocation.vms.keys().chain(made).collect();
        let looks = vms.into_iter().map(|vm| {
            let look = self.look(&snapshot, topology, vm, known.get(vm));
            tokio::time::timeout(PATIENCE, look)
        });
        let changed = |fault: &Fault| fault.code == Code::EngineChanged;
        let looks = join_all(looks).await.into_iter().filter_map(Result::ok);
        let mut faults = looks.filter_map(Result::err);
        faults.find(changed).map_or(Ok(()), Err)
    }

    /// The handles for a recorded execution that is to go on as `halt` says.
    pub(in crate::service) async fn world_again(&self, id: Uuid, halt: Halt) -> Result<World, Fault> {
        let execution = self.execution(id).await?;
        let topology = self.snapshot().topology()?;
        let cloud = self.inner.platform.cloud(&topology)?;
        let offer = self.offer(&topology).await?;
        // On the way out, a cancelled execution begins no hook; in a rollback, one may be running.
        let hooks_may_run = halt != Halt::Cancel || execution.progress.back.is_some();
        let wanted = needs_hooks(&topology, &execution.frozen.stages) || names_hooks(&topology);
        let hooks = if hooks_may_run && wanted {
            let pinned = at_commit(&topology, execution.frozen.hooks_revision.as_deref());
            let topology = pinned.as_ref().unwrap_or(&topology);
            self.inner.platform.hooks(topology).await?
        } else {
            None
        };
        let revision = hooks.as_ref().map(|hooks| &hooks.revision);
        if revision.is_some() && revision != execution.frozen.hooks_revision.as_ref() {
            tracing::warn!(execution = %id, "the hooks have changed since the execution began");
        }
        self.recognise(&topology).await?;
        let settings = &self.inner.settings;
        let world = World {
            cloud,
            engines: self.inner.platform.engines(),
            vms: offer.vms.into_iter().map(|vm| (vm.name.clone(), vm)).collect(),
            hooks,
            hook_deadline: settings.hook_deadline,
            from: execution.frozen.from.clone().into(),
            parallel: settings.parallel,
            parallel_on_vm: settings.parallel_on_vm,
            retry_for: settings.retry_for,
            outside: Arc::clone(&settings.outside),
            topology: Arc::clone(&topology),
        };
        if halt == Halt::No {
            engines_answer(&world, &self.snapshot().view(), &execution).await?;
        }
        Ok(world)
    }

    /// Reports as an event what an execution waits for.
    pub(in crate::service) async fn tell_waiting(&self, id: Uuid, fault: &Fault) {
        let event = json!({ "execution": id, "error": fault.message, "code": fault.code.as_str() });
        let noted = self
            .with_store(move |store| store.note("recovery_waits", event))
            .await;
        if let Err(error) = noted {
            tracing::warn!(%error, "could not note among the events what the execution waits for");
        }
    }
}

/// Whether the engines answer that the remaining actions need. An execution that was cut off is not
/// given up because an engine comes up later than the service.
async fn engines_answer(world: &World, view: &View, execution: &Execution) -> Result<(), Fault> {
    let states = &execution.progress.actions;
    let left = execution.actions().skip(execution.progress.leg());
    let left = left.filter(|(index, action)| {
        let state = states.get(*index).map(|action| action.state);
        action.container().is_some() && matches!(state, Some(Status::Pending | Status::Running))
    });
    let known = |vm: &VmId| {
        let known = world.vms.get(vm);
        known.is_some_and(|vm| vm.standing == Standing::Ready)
    };
    let vms: BTreeSet<&VmId> = left
        .map(|(_, action)| real_name(&view.bindings, action.vm()))
        .filter(|vm| known(vm))
        .collect();
    let looks = vms.into_iter().map(|vm| async move {
        let (_, engine) = world.engine(view, vm).ok()?;
        let error = engine.machine().await.err()?;
        let away = matches!(
            error.kind,
            EngineErrorKind::Unreachable | EngineErrorKind::TimedOut
        );
        let fault = Fault::from(error);
        let message = format!("VM '{vm}': {}", fault.message);
        away.then_some(Fault { message, ..fault })
    });
    refuse(join_all(looks).await.into_iter().flatten().collect())
}

/// The topology with its hooks at the commit that an execution began with, whatever has been committed since. None where it
/// began with none, or with those of a plain folder: they can't be asked for again.
fn at_commit(topology: &Topology, revision: Option<&str>) -> Option<Topology> {
    let is_commit =
        |revision: &&str| revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    let commit = revision.filter(is_commit)?;
    let mut pinned = topology.clone();
    pinned.infrastructure.hooks.as_mut()?.reference = Some(commit.to_owned());
    Some(pinned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_goes_on_with_the_hooks_that_it_began_with() {
        let document = json!({
            "infrastructure": { "cpu_cores": 1, "mem_units": 1, "hooks_git_repo": "/hooks", "hooks_ref": "main" },
            "apps": [{ "name": "a", "tiers": { "web": { "docker_image": "x" } } }]
        });
        let topology = Topology::parse(&document).unwrap().topology;
        let reference = |revision: Option<&str>| {
            let pinned = at_commit(&topology, revision)?;
            pinned.infrastructure.hooks.and_then(|hooks| hooks.reference)
        };
        let commit = "9a7a2870c9a0f2f6f0d1e1b4a3c2d1e0f9a8b7c6";
        assert_eq!(reference(Some(commit)).as_deref(), Some(commit));
        // A plain folder has no history.
        assert_eq!(
            reference(Some("folder:9a7a2870c9a0f2f6f0d1e1b4a3c2d1e0f9a8b7c6")),
            None
        );
        assert_eq!(reference(None), None);
    }
}
