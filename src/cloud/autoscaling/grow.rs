//! Scaling out: takes the steps that `growth` decides on, until a VM can be used or is given up.

use std::time::Duration;

use tokio::time::Instant;

use super::AutoScalingGroup;
use super::errors::{error, refused};
use super::group::{FailedLaunch, Group};
use super::growth::{Growth, Next, Note, Undo};
use super::remarks::too_many;
use crate::cloud::{CloudError, CloudErrorKind, CloudVm, Notebook, Standing, Wish, check_shape};
use crate::engine::{Effect, EngineErrorKind};
use crate::model::VmId;

/// Waits between looks: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// How old a list of failed launches may be.
const LAUNCHES: Duration = Duration::from_secs(5);
/// After a launch has failed, AWS may try in another zone. It gets this long to do so.
const OTHER_ZONES: Duration = Duration::from_secs(60);
/// How long restoring the group is tried.
const RIGHTING: Duration = Duration::from_secs(60);

/// Brings one VM from nothing to being usable.
struct Wait {
    until: Instant,
    pause: Duration,
    /// What was last seen, for the message when the time is up.
    seen: String,
    /// How often the desired capacity was raised.
    raised: u32,
    failed_since: Option<Instant>,
}

/// The result of a step.
enum Step {
    /// The VM can be used.
    Done(CloudVm),
    /// Something was done: look again soon.
    On(String),
    /// There is nothing to do but wait.
    Wait(String),
}

impl AutoScalingGroup {
    pub(super) async fn grow(&self, name: &VmId, notebook: &dyn Notebook) -> Result<CloudVm, CloudError> {
        let mut wait = Wait {
            until: self.deadline(),
            pause: PAUSES.0,
            seen: "nothing yet".to_owned(),
            raised: 0,
            failed_since: None,
        };
        loop {
            match notebook.wish() {
                Wish::Go => {}
                Wish::GiveUp => {
                    let message =
                        "it was cancelled before the instance was ready; the instance is given back";
                    return Err(error(CloudErrorKind::Cancelled, Effect::None, message.to_owned()));
                }
                Wish::Pause => {
                    let message =
                        "mapek is stopping; it goes on waiting for the instance when it starts again";
                    return Err(error(
                        CloudErrorKind::Failing,
                        Effect::Unknown,
                        message.to_owned(),
                    ));
                }
            }
            match self.step(name, notebook, &mut wait).await {
                Ok(Step::Done(vm)) => return Ok(vm),
                Ok(Step::On(seen)) => {
                    notebook.tell(&seen).await;
                    (wait.seen, wait.pause) = (seen, PAUSES.0);
                }
                Ok(Step::Wait(seen)) => {
                    notebook.tell(&seen).await;
                    wait.seen = seen;
                }
                Err(error) if may_pass(error.kind) => {
                    notebook.tell(&error.message).await;
                    wait.seen = error.message;
                }
                Err(error) => return Err(error),
            }
            if Instant::now() >= wait.until {
                self.late(name, notebook, &wait.seen).await?;
                wait.until = self.deadline();
            }
            tokio::time::sleep(wait.pause).await;
            wait.pause = (wait.pause * 3 / 2).min(PAUSES.1);
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_secs(self.spec.ready_timeout_s)
    }

    async fn step(&self, name: &VmId, notebook: &dyn Notebook, wait: &mut Wait) -> Result<Step, CloudError> {
        let resizing = self.resizing.lock().await;
        let group = self.look(wait.pause / 2).await?;
        // A rollback may ask for a VM that was never deleted.
        if let Some(member) = group.members.get(name.as_str())
            && member.stays()
        {
            drop(resizing);
            return self.usable(name.as_str()).await;
        }
        let mut note = Note::read(notebook.read().await?);
        let mut growth = match note.of(name) {
            Some(growth) => growth.clone(),
            None => {
                // Launches that failed earlier do not concern us. If they can't be looked up, only
                // the deadline ends the wait.
                let newest = |launches: Vec<FailedLaunch>| launches.first().map_or(0, |launch| launch.at);
                let failed = self.api.failed_launches().await.ok().map(newest);
                let growth = Growth::begin(notebook.fellows(), &group, failed);
                note.put(growth.clone());
                notebook.write(note.to_value()).await?;
                growth
            }
        };
        match growth.next(&group, name) {
            Next::Never => Err(refused(
                "it was given up before mapek was started again; the events of its progress say why"
                    .to_owned(),
            )),
            Next::Replace(id) => {
                self.api.terminate(&id, false).await?;
                self.forget().await;
                Ok(Step::On(format!(
                    "{id} never became ready: terminated, and another one is started"
                )))
            }
            Next::Spare(id) => {
                self.api.terminate(&id, true).await?;
                self.forget().await;
                Ok(Step::On(format!(
                    "{id} never became ready: terminated, and another one is used"
                )))
            }
            Next::Raise(wanted) => {
                self.raise(&group, wanted, wait).await?;
                Ok(Step::On(format!(
                    "desired capacity of group '{}' set to {wanted}",
                    self.spec.group
                )))
            }
            Next::Claim(id) => {
                growth.claims.insert(name.clone(), id.clone());
                note.put(growth);
                notebook.write(note.to_value()).await?;
                // Each instance gets the whole time, whatever was waited for before.
                wait.until = self.deadline();
                Ok(Step::On(format!("instance {id} has come")))
            }
            Next::Forget => {
                let id = growth.claims.remove(name).unwrap_or_default();
                note.put(growth);
                notebook.write(note.to_value()).await?;
                Ok(Step::On(format!(
                    "instance {id} was taken away before it was ready: waiting for another one"
                )))
            }
            Next::Look(id) => {
                drop(resizing);
                self.usable(&id).await
            }
            Next::Await(id, state) => Ok(Step::Wait(format!("instance {id} is {state}"))),
            Next::Wait => {
                drop(resizing);
                self.refused_launches(growth.failed_before, wait).await?;
                Ok(Step::Wait(format!(
                    "waiting for AWS to start an instance in group '{}', desired capacity {}",
                    self.spec.group, group.desired
                )))
            }
        }
    }

    async fn raise(&self, group: &Group, wanted: u32, wait: &mut Wait) -> Result<(), CloudError> {
        let name = &self.spec.group;
        if group.suspended.contains("Launch") {
            return Err(refused(format!(
                "the process Launch of group '{name}' is suspended: resume it to let instances be made"
            )));
        }
        if wait.raised > 1 {
            return Err(refused(format!(
                "the desired capacity of group '{name}' was lowered to {} again while an instance was waited for: \
                 find out who does that (scaling policies, scheduled actions, other programs), and stop it",
                group.desired
            )));
        }
        if wanted > group.max {
            if !self.spec.manage_max_size {
                return Err(refused(too_many(name, group, wanted)));
            }
            self.api.set_max(wanted).await?;
        }
        let set = self.api.set_desired(wanted).await;
        self.forget().await;
        set?;
        wait.raised += 1;
        Ok(())
    }

    /// Fails if AWS can't start instances, and has had the time to try elsewhere.
    async fn refused_launches(&self, before: Option<i64>, wait: &mut Wait) -> Result<(), CloudError> {
        let Some(before) = before else {
            return Ok(());
        };
        let mut kept = self.launches.lock().await;
        if kept.as_ref().is_none_or(|(at, _)| at.elapsed() > LAUNCHES) {
            *kept = Some((Instant::now(), self.api.failed_launches().await?));
        }
        let newest = kept
            .as_ref()
            .and_then(|(_, launches)| launches.first())
            .filter(|launch| launch.at > before);
        let Some(launch) = newest else { return Ok(()) };
        let since = *wait.failed_since.get_or_insert_with(Instant::now);
        let patience = OTHER_ZONES.min(Duration::from_secs(self.spec.ready_timeout_s) / 2);
        if since.elapsed() < patience {
            return Ok(());
        }
        Err(refused_launch(&self.spec.group, &launch.reason))
    }

    /// The VM, if its engine answers and it has what the topology says.
    async fn usable(&self, id: &str) -> Result<Step, CloudError> {
        let places = self.places(&[id.to_owned()]).await?;
        let vm = places
            .get(id)
            .and_then(|addresses| self.vm_at(id, addresses, Standing::Ready));
        let Some(vm) = vm else {
            return Ok(Step::Wait(format!(
                "instance {id} is in service, and has no address yet for {}",
                self.template
            )));
        };
        let machine = match self.engines.at(&vm.endpoint, self.tls.as_ref()) {
            Ok(engine) => engine.machine().await,
            Err(error) => Err(error),
        };
        let machine = match machine {
            Ok(machine) => machine,
            Err(error) if error.kind == EngineErrorKind::Misconfigured => {
                let message = format!("the engine of instance {id}: {error}");
                return Err(super::errors::misconfigured(message));
            }
            Err(error) => {
                return Ok(Step::Wait(format!(
                    "instance {id} is in service, and its engine does not answer yet: {error}"
                )));
            }
        };
        check_shape(&machine, self.vm, self.mem_unit_mb).map_err(|problem| {
            super::errors::misconfigured(format!(
                "instance {id} is too small: {problem}; give the group larger instances, or the topology smaller VMs"
            ))
        })?;
        let bare = self
            .look(Duration::from_secs(2))
            .await?
            .unprotected(&[VmId::new(id)].into());
        if !bare.is_empty() {
            let protected = self.api.protect(&bare, true).await;
            self.forget().await;
            protected?;
        }
        self.lock_kept().insert(id.to_owned());
        Ok(Step::Done(vm))
    }

    /// When the time is up: the first instance is replaced; after the second, the VM is given up.
    async fn late(&self, name: &VmId, notebook: &dyn Notebook, seen: &str) -> Result<(), CloudError> {
        let _resizing = self.resizing.lock().await;
        let mut note = Note::read(notebook.read().await?);
        let seconds = self.spec.ready_timeout_s;
        if let Some(growth) = note.of(name)
            && !growth.replaced.contains_key(name)
            && let Some(id) = growth.claims.get(name)
        {
            let (id, mut growth) = (id.clone(), growth.clone());
            growth.claims.remove(name);
            growth.replaced.insert(name.clone(), id.clone());
            note.put(growth);
            notebook.write(note.to_value()).await?;
            notebook
                .tell(&format!(
                    "instance {id} was not ready within {seconds} s ({seen}): it is replaced"
                ))
                .await;
            return Ok(());
        }
        let replaced = note
            .of(name)
            .and_then(|growth| growth.replaced.get(name))
            .map(|id| format!(", nor was {id} before it"))
            .unwrap_or_default();
        Err(error(
            CloudErrorKind::NeverReady,
            Effect::None,
            format!(
                "no instance was ready within {seconds} s{replaced}; last seen: {seen}; look at the instance's console \
                 output and user data, the security group and the subnet's routes, or raise cloud_driver.ready_timeout_s"
            ),
        ))
    }

    /// Restores the group after a VM was given up: its instance is terminated, its capacity given
    /// back.
    pub(super) async fn abandon(&self, name: &VmId, notebook: &dyn Notebook) -> Result<(), CloudError> {
        let _resizing = self.resizing.lock().await;
        let mut note = Note::read(notebook.read().await?);
        let Some(mut growth) = note.of(name).cloned() else {
            return Ok(());
        };
        if growth.given_up.insert(name.clone()) {
            note.put(growth.clone());
            notebook.write(note.to_value()).await?;
        }
        let until = Instant::now() + RIGHTING;
        let mut pause = PAUSES.0;
        loop {
            match self.undo(&growth, name).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if may_pass(error.kind) && Instant::now() < until => {
                    tracing::warn!(vm = %name, %error, "restoring the group, and trying again");
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// One step back; returns whether nothing is left to be done.
    async fn undo(&self, growth: &Growth, name: &VmId) -> Result<bool, CloudError> {
        let group = self.look(Duration::ZERO).await?;
        let undone = match growth.undo(&group, name) {
            Undo::Done => return Ok(true),
            Undo::Terminate(id) => {
                tracing::info!(instance = id, "terminating an instance that was given up");
                self.api.terminate(&id, true).await
            }
            Undo::Lower(capacity) => self.api.set_desired(capacity).await,
            Undo::LowerMax(max) => self.api.set_max(max).await,
        };
        self.forget().await;
        undone.map(|()| false)
    }
}

/// Whether a failure is worth waiting for, while there is time.
const fn may_pass(kind: CloudErrorKind) -> bool {
    matches!(
        kind,
        CloudErrorKind::Failing | CloudErrorKind::Unreachable | CloudErrorKind::TimedOut
    )
}

fn refused_launch(group: &str, reason: &str) -> CloudError {
    let said = reason.to_ascii_lowercase();
    let short = ["capacity", "limit", "quota", "insufficient"]
        .iter()
        .any(|word| said.contains(word));
    let (kind, remedy) = if short {
        (
            CloudErrorKind::Exhausted,
            "add instance types or zones to the group, ask AWS for a higher quota, or try later",
        )
    } else {
        (CloudErrorKind::Refused, "put the group's launch template right")
    };
    let message = format!("AWS could not start an instance in group '{group}': {reason}; {remedy}");
    error(kind, Effect::None, message)
}
