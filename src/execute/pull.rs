//! Pulls images on all VMs of a plan before anything is done: if an image can't be had, that is
//! known while nothing has been touched, and nothing waits for a pull between an old container's
//! end and a new one's start.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;

use crate::engine::{Engine, EngineError, EngineErrorKind, Wanted};
use crate::fault::Fault;
use crate::model::VmId;
use crate::model::topology::{Pull, Tier};
use crate::translate::{Action, Stage};

use super::effect::real_name;
use super::event::Event;
use super::failure::told;
use super::record::Execution;
use super::runner::{Halt, Run};
use super::spec;
use super::status::Status;
use super::world::{View, World};

/// An image that an action needs on a VM.
struct Need<'s> {
    action: usize,
    what: &'s Action,
    vm: VmId,
    engine: Arc<dyn Engine>,
    tier: &'s Tier,
}

/// Progress of an image, and which need it is for.
struct News {
    vm: VmId,
    image: String,
    progress: String,
}

impl Run {
    /// Brings the images of the containers that these stages make, the first action of which has the number
    /// `first`, to the VMs that are there. What can't be had fails the action that needs it; answers with the first
    /// such failure. Once any of the actions has been begun in its turn, nothing is done here: then it was done before.
    pub(super) async fn pull(&self, first: usize, stages: &[Stage]) -> Result<Option<Fault>, Fault> {
        let execution = self.recorder.execution(self.id).await?;
        let count: usize = stages.iter().map(Vec::len).sum();
        let numbers = first..first + count;
        if is_begun(&execution, numbers.clone()) || self.halted() != Halt::No {
            return Ok(None);
        }
        // An earlier run was cut off when it had found that, and nothing more is begun by this one either.
        if let Some(missing) = execution.failed_among(numbers) {
            return Ok(Some(missing));
        }
        let view = self.recorder.view();
        let needs = self.needs(&view, first, stages);
        let digests = digests(&self.world, &view, &needs).await;
        let (news, mut heard) = mpsc::unbounded_channel();
        let mut pulls = FuturesUnordered::new();
        for need in &needs {
            let shown = digest_in(need.what);
            let wanted = self.wanted(need.tier, shown, digests.get(&need.tier.image));
            pulls.push(self.bring(need, wanted, news.clone()).boxed());
        }
        let mut failures = Vec::new();
        loop {
            tokio::select! {
                Some(News { vm, image, progress }) = heard.recv() => {
                    self.record(Event::Pulling { vm, image, progress }).await?;
                }
                next = pulls.next() => match next {
                    Some((need, Err(error))) => failures.push((need, error)),
                    Some((_, Ok(()))) => {}
                    None => break,
                },
            }
        }
        drop(pulls);
        let mut failed = None;
        for (need, error) in failures {
            if !matches!(error.kind, EngineErrorKind::Image | EngineErrorKind::Secret) {
                // A failure that may pass is tried again by the action itself.
                tracing::warn!(vm = %need.vm, %error, "an image could not be pulled beforehand");
                continue;
            }
            let fault = Fault::from(error);
            tracing::error!(execution = %self.id, action = need.action, error = %fault, "an image can't be had");
            // One event, so that no kill leaves an action begun out of its turn.
            self.record(Event::ActionFailed {
                action: need.action,
                error: fault.message.clone(),
                code: fault.code.as_str().to_owned(),
                output: None,
                // Nothing was touched. A container of that name may still be there, to be removed first.
                left: None,
                unknown: false,
            })
            .await?;
            failed.get_or_insert(told(need.what, need.action, fault, None));
        }
        Ok(failed)
    }

    async fn bring<'n>(
        &self,
        need: &'n Need<'n>,
        wanted: Wanted,
        news: mpsc::UnboundedSender<News>,
    ) -> (&'n Need<'n>, Result<(), EngineError>) {
        let _overall = self.slots.acquire().await;
        let tell = |progress: &str| {
            // Nobody listens once it is all over.
            let _ = news.send(News {
                vm: need.vm.clone(),
                image: wanted.image.clone(),
                progress: progress.to_owned(),
            });
        };
        (need, need.engine.ensure_image(&wanted, &tell).await)
    }

    fn needs<'s>(&'s self, view: &View, first: usize, stages: &'s [Stage]) -> Vec<Need<'s>> {
        let actions = stages.iter().flatten().zip(first..);
        actions
            .filter_map(|(what, action)| {
                let (vm, container, revision) = match what {
                    Action::CreateContainer {
                        vm,
                        container,
                        revision,
                        ..
                    } => (vm, container, revision.as_ref()),
                    Action::ReplaceContainer {
                        vm,
                        container,
                        revision,
                        ..
                    } => (vm, container, Some(revision)),
                    _ => return None,
                };
                let (tier, _) = self.world.topology.made_as(container, revision)?;
                // A VM that is still to be made pulls what it needs once it is there.
                let (vm, engine) = self.world.engine(view, vm).ok()?;
                Some(Need {
                    action,
                    what,
                    vm,
                    engine,
                    tier,
                })
            })
            .collect()
    }

    /// What the plan has shown counts; where it has shown nothing, what the tier says.
    fn wanted(&self, tier: &Tier, shown: Option<&String>, digest: Option<&String>) -> Wanted {
        let digest = digest.filter(|_| tier.pull == Pull::Digest);
        Wanted {
            renew: tier.pull == Pull::Always && shown.is_none(),
            digest: shown.or(digest).cloned(),
            ..Wanted::named(&tier.image, spec::login(&self.world.topology, &tier.image))
        }
    }
}

/// The digest of the image that an action is to make its container from, if the plan has shown one.
const fn digest_in(action: &Action) -> Option<&String> {
    match action {
        Action::CreateContainer { digest, .. } | Action::ReplaceContainer { digest, .. } => digest.as_ref(),
        _ => None,
    }
}

/// Whether any of the actions with these numbers has begun in its turn. Those that have failed
/// because of a missing image do not count, as long as no other has begun.
fn is_begun(execution: &Execution, numbers: Range<usize>) -> bool {
    let actions = execution.actions().zip(&execution.progress.actions);
    let mut actions = actions.skip(numbers.start).take(numbers.len());
    actions.any(|((_, action), state)| match state.state {
        Status::Pending => false,
        Status::Failed => !matches!(
            action,
            Action::CreateContainer { .. } | Action::ReplaceContainer { .. }
        ),
        Status::Running | Status::Succeeded | Status::Skipped => true,
    })
}

/// By image, the digest that it must have on all VMs.
async fn digests(world: &World, view: &View, needs: &[Need<'_>]) -> BTreeMap<String, String> {
    let mut digests = BTreeMap::new();
    let open = |need: &&Need<'_>| need.tier.pull == Pull::Digest && digest_in(need.what).is_none();
    for need in needs.iter().filter(open) {
        if digests.contains_key(&need.tier.image) {
            continue;
        }
        let digest = match running(world, view, need.tier, None).await {
            Some(digest) => Some(digest),
            None => {
                let login = spec::login(&world.topology, &need.tier.image);
                let asked = need.engine.digest(&Wanted::named(&need.tier.image, login)).await;
                // Whatever is wrong with it, the pull says so.
                asked.ok().flatten()
            }
        };
        if let Some(digest) = digest {
            tracing::info!(image = need.tier.image, digest, "the same image for all VMs");
            digests.insert(need.tier.image.clone(), digest);
        }
    }
    digests
}

/// The digest that the tier's running containers have on VMs other than this one.
async fn running(world: &World, view: &View, tier: &Tier, but: Option<&VmId>) -> Option<String> {
    for (vm, _) in view.allocation.places(&tier.id) {
        if Some(vm) == but {
            continue;
        }
        let Ok((_, engine)) = world.engine(view, vm) else {
            continue;
        };
        if let Ok(Some(digest)) = engine.digest_of(tier.id.as_str(), &tier.image).await {
            return Some(digest);
        }
    }
    None
}

/// Pulls the image on a VM that the execution made. If it must be the same on all VMs, what the
/// others run decides.
///
/// # Errors
///
/// When it can't be had.
pub(super) async fn as_others(world: &World, view: &View, vm: &VmId, tier: &Tier) -> Result<(), EngineError> {
    if tier.pull != Pull::Digest || world.vms.contains_key(real_name(&view.bindings, vm)) {
        return Ok(());
    }
    let Ok((name, engine)) = world.engine(view, vm) else {
        return Ok(());
    };
    let digest = running(world, view, tier, Some(&name)).await;
    let wanted = Wanted {
        digest,
        ..Wanted::named(&tier.image, spec::login(&world.topology, &tier.image))
    };
    engine.ensure_image(&wanted, &|_| {}).await
}
