//! Seals what translate shows, and finds out at execute whether it still holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::execute::{Basis, Pinned, Seal, World, preflight, remarks};
use crate::fault::{Code, Fault};
use crate::model::{Allocation, Foreign, Size, TierId, Topology, VmId};
use crate::translate::check::Subject;
use crate::translate::{Action, Stage};

use crate::service::admission::needs_hooks;
use crate::service::besides::Word;
use crate::service::observed::leftovers::{is_stray, without_strays};
use crate::service::observed::told;
use crate::service::planner::safety;
use crate::service::planner::{Proposal, Seen, Wishes};
use crate::service::topology::invalid;
use crate::service::{Service, Snapshot};

/// How long translate looks at engines and hooks for what would stop an execution.
const LOOK_LIMIT: std::time::Duration = std::time::Duration::from_secs(5);

/// Stages to carry out, with what they start from.
pub(in crate::service) struct Course {
    pub target: Allocation,
    pub stages: Vec<Stage>,
    pub seen: Seen,
}

impl From<Proposal> for Course {
    fn from(proposal: Proposal) -> Self {
        Self {
            target: proposal.target,
            stages: proposal.translation.stages,
            seen: proposal.seen,
        }
    }
}

impl Service {
    /// Shows what execute would do, and seals it. Nothing that runs is changed.
    ///
    /// # Errors
    ///
    /// When the plan is not valid or has no solution, or the cloud can't be asked.
    pub async fn translate(&self, plan: Value) -> Result<Proposal, Fault> {
        let snapshot = self.snapshot();
        let topology = snapshot.topology()?;
        let mut proposal = self.propose(&snapshot, &plan, Wishes::none()).await?;
        let stages = proposal.translation.stages.clone();
        let (service, seen) = (self.clone(), proposal.seen.clone());
        let look = {
            let (snapshot, topology) = (Arc::clone(&snapshot), Arc::clone(&topology));
            async move {
                let world = service
                    .world(&topology, &seen, needs_hooks(&topology, &stages))
                    .await?;
                let view = snapshot.view();
                let obstacles = preflight(&world, &view, &seen.containers, &stages).await;
                let images = images(&world, &snapshot, &stages).await;
                let remarks = remarks(&world, &stages).await;
                Ok((
                    obstacles,
                    remarks,
                    images,
                    world.hooks.map(|hooks| hooks.revision.clone()),
                ))
            }
        };
        // What would stop an execution is no reason not to show the plan.
        let late = || Fault::new(Code::EngineTimeout, "not everything could be looked at in time");
        let (obstacles, remarks, images, hooks) =
            match tokio::time::timeout(LOOK_LIMIT, self.to_the_end(look)).await {
                Ok(Ok(looked)) => looked,
                Ok(Err(fault)) => (vec![fault], Vec::new(), BTreeMap::new(), None),
                Err(_) => (vec![late()], Vec::new(), BTreeMap::new(), None),
            };
        let warn = |fault: Fault| format!("execute would not get far now: {}", fault.message);
        let mut problems: Vec<String> = obstacles.into_iter().map(warn).collect();
        proposal.hooks_revision.clone_from(&hooks);
        let basis = Basis {
            hooks,
            images,
            ..basis(&snapshot, &proposal.plan, &proposal.seen, &proposal.target)
        };
        let seal = Seal::over(
            plan,
            basis,
            &proposal.target,
            &proposal.translation.stages,
            &proposal.translation.interrupts,
            self.inner.settings.outside.now(),
        );
        let id = seal.id.clone();
        match self.with_store(move |store| store.seal(&seal)).await {
            Ok(()) => proposal.plan_id = Some(id),
            Err(fault) => problems.push(format!(
                "the plan could not be sealed, so it has no plan_id: {}",
                fault.message
            )),
        }
        problems.extend(remarks);
        proposal.warnings.extend(problems.into_iter().map(told));
        Ok(proposal)
    }

    /// The sealed plan with that id.
    pub(in crate::service) async fn sealed(&self, id: &str) -> Result<Seal, Fault> {
        let wanted = id.to_owned();
        let found = self.with_store(move |store| store.sealed(&wanted)).await?;
        found.ok_or_else(|| {
            let message = format!(
                "there is no sealed plan {id:?} (any more): translate the plan again, and execute the plan_id of that answer"
            );
            Fault::new(Code::PlanUnknown, message).with([json!({ "plan_id": id })])
        })
    }

    /// What a sealed plan showed, with what it starts from, unless something has changed since.
    /// `plan` is what the client sent with it, if it did.
    pub(in crate::service) async fn unseal(
        &self,
        snapshot: &Arc<Snapshot>,
        seal: Seal,
        plan: Option<&Value>,
    ) -> Result<Course, Fault> {
        let topology = snapshot.topology()?;
        let asked = match plan {
            None => seal.basis.plan.clone(),
            Some(plan) => {
                let whole = snapshot.besides.with(plan, &topology, Word::Plan);
                let invalid = |problems| invalid(Code::PlanInvalid, "plan", &problems);
                whole.map_err(invalid)?.plan.tiers
            }
        };
        let mut seen = self.see(snapshot, &topology, &asked).await?;
        let known: Allocation = seal.basis.from.clone().into();
        keep_digests(&known, &mut seen.allocation);
        let world = self
            .world(&topology, &seen, needs_hooks(&topology, &seal.stages))
            .await?;
        let now = Basis {
            images: images(&world, snapshot, &seal.stages).await,
            hooks: world.hooks.map(|hooks| hooks.revision.clone()),
            ..basis(snapshot, &asked, &seen, &seal.target)
        };
        let moved = seal.basis.moved(&now);
        if moved.is_empty() {
            safe(snapshot, &topology, &seen, &seal)?;
            return Ok(Course {
                target: seal.target,
                stages: seal.stages,
                seen,
            });
        }
        let list: Vec<String> = moved.iter().map(ToString::to_string).collect();
        let message = format!(
            "what this plan was shown on has moved since: {}; translate it again",
            list.join("; ")
        );
        Err(Fault::new(Code::PlanMoved, message).with(moved.iter().map(|one| json!(one))))
    }
}

/// Takes over what was found out, when a plan was shown, of the images that containers were made from.
fn keep_digests(known: &Allocation, seen: &mut Allocation) {
    for (id, vm) in &mut seen.vms {
        for (tier, held) in &mut vm.used {
            if held.digest.is_none() {
                held.digest = known.container(id, tier).and_then(|known| known.digest.clone());
            }
        }
    }
}

/// Refuses a plan that breaks a rule. It was checked when it was sealed, so something has changed that could not be
/// seen then: a VM that did not answer may run what nobody knew of. Or an earlier version sealed it.
fn safe(snapshot: &Snapshot, topology: &Topology, seen: &Seen, seal: &Seal) -> Result<(), Fault> {
    let check = |from: &Allocation| {
        safety::check(&Subject {
            topology,
            from,
            to: &seal.target,
            stages: &seal.stages,
            interrupts: None,
            target: None,
            untold: &snapshot.untold,
            leftovers: &safety::removed_besides(from, &seal.stages),
        })
    };
    // Where what nobody asks for goes first, its room counts as free.
    let mut from = match without_strays(topology, &seen.allocation, &seen.containers) {
        Some(without) if strays_go_first(topology, seen, &seal.stages) => without,
        _ => seen.allocation.clone(),
    };
    // Of what could not be looked at when the plan was shown, nobody knew the addresses: they are put right later.
    let unseen = |vm: &VmId| !seal.basis.containers.contains_key(vm);
    let there = from.vms.iter_mut().filter(|(vm, _)| unseen(vm));
    for held in there.flat_map(|(_, vm)| vm.used.values_mut()) {
        held.addresses = None;
    }
    check(&from).map_err(|unsafe_now| {
        let breaches = unsafe_now.details.iter();
        let breaches = breaches.filter_map(|one| one.get("breach").and_then(Value::as_str));
        let breaches: Vec<&str> = breaches.collect();
        let message = format!(
            "what this plan was shown on has changed, and on what runs now it would break a rule: {}; translate it again",
            breaches.join("; ")
        );
        Fault::new(Code::PlanMoved, message).with(unsafe_now.details.iter().cloned())
    })
}

/// Whether a plan removes everything that is of no tier before it makes or changes anything.
fn strays_go_first(topology: &Topology, seen: &Seen, stages: &[Stage]) -> bool {
    let removed = |stage: &Stage, vm: &VmId, name: &str| {
        stage.iter().any(|action| {
            matches!(action, Action::DeleteContainer { vm: on, container, .. }
                if on == vm && container.as_str() == name)
        })
    };
    let makes = |action: &Action| {
        matches!(
            action,
            Action::CreateContainer { .. } | Action::UpdateContainer { .. } | Action::ReplaceContainer { .. }
        )
    };
    let before: Vec<&Stage> = stages
        .iter()
        .take_while(|stage| !stage.iter().any(makes))
        .collect();
    let strays = seen
        .containers
        .iter()
        .flat_map(|(vm, containers)| containers.iter().map(move |one| (vm, one)));
    strays
        .filter(|(_, one)| is_stray(topology, one))
        .all(|(vm, one)| before.iter().any(|stage| removed(stage, vm, &one.name)))
}

/// All but hooks and images, which take longer to look up.
fn basis(snapshot: &Snapshot, plan: &BTreeMap<TierId, Size>, seen: &Seen, target: &Allocation) -> Basis {
    let vms: BTreeSet<&VmId> = seen.allocation.vms.keys().chain(target.vms.keys()).collect();
    let foreign = vms.into_iter().filter_map(|vm| {
        let seen = seen.allocation.vms.get(vm).or(seen.occupied.get(vm))?;
        (seen.foreign != Foreign::default()).then(|| (vm.clone(), seen.foreign.clone()))
    });
    let basis = Basis {
        generation: snapshot.generation,
        plan: plan.clone(),
        foreign: foreign.collect(),
        from: Pinned::from(&seen.allocation),
        ..Basis::default()
    };
    basis.seen(&seen.containers)
}

/// The ids of the images of containers to be created, if the engines have them. An engine that
/// can't be asked is left out.
async fn images(
    world: &World,
    snapshot: &Snapshot,
    stages: &[Stage],
) -> BTreeMap<VmId, BTreeMap<String, Option<String>>> {
    let view = snapshot.view();
    let wanted: BTreeSet<(&VmId, &str)> = Seal::creations(stages)
        .filter(|(vm, _)| world.vms.contains_key(*vm))
        .filter_map(|(vm, tier)| Some((vm, world.topology.tiers.get(tier)?.image.as_str())))
        .collect();
    let looks = wanted.into_iter().map(|(vm, image)| {
        let view = &view;
        async move {
            let (_, engine) = world.engine(view, vm).ok()?;
            let id = engine.image(image).await.ok()?;
            Some((vm.clone(), image.to_owned(), id))
        }
    });
    let mut images: BTreeMap<VmId, BTreeMap<String, Option<String>>> = BTreeMap::new();
    for (vm, image, id) in join_all(looks).await.into_iter().flatten() {
        images.entry(vm).or_default().insert(image, id);
    }
    images
}
