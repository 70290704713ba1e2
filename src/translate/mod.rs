//! From what runs to what should run: the actions, in stages that are safe at every instant.
//!
//! Pure: allocations in, stages out. The way there:
//!
//! | module | what it finds |
//! |---|---|
//! | `work` | what differs: operations, and what they depend on |
//! | `order` | one safe sequence of them, by greed (`progress` says what is allowed at each moment) |
//! | `search`, `field`, `groups` | where greed ends in a corner: in which order tiers make room for each other |
//! | `stages` | the sequence folded into as few stages as the rules allow |
//! | `emit`, `cores` | actions with names, sizes and core numbers |
//! | `addresses` | what looks for a dependency where it is no more |
//! | `rollout` | what is outdated replaced, in batches, before or after the rest |
//! | `hooks` | hooks, after the changes that they are about |
//! | `reasons` | why a tier can't be kept running |
//! | [`check`] | whether a translation keeps all the rules; shares nothing with the rest |

mod action;
mod addresses;
pub mod check;
mod cores;
mod emit;
mod farewell;
mod field;
mod groups;
mod hooks;
mod order;
mod progress;
mod reasons;
mod rollout;
mod search;
mod stages;
mod table;
#[cfg(test)]
mod tests;
mod work;

pub use action::{Action, Place};

use serde::Serialize;

use crate::model::{Allocation, TierId, Topology};

/// Actions that may run at the same time.
pub type Stage = Vec<Action>;

/// The way from one allocation to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Translation {
    /// Stages, to be run one after the other.
    pub stages: Vec<Stage>,
    /// Tiers that run before and after, but cannot be kept running on the way; by name.
    pub interrupts: Vec<Interrupt>,
    /// What is there at the end: the target, with the cores that each container is pinned to.
    #[serde(skip)]
    pub target: Allocation,
}

/// A tier that is down for a moment on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(example = json!({ "tier": "rubis_db", "reason": "max_node 1, and it moves to another VM" }))]
#[serde(deny_unknown_fields)]
pub struct Interrupt {
    /// The tier.
    #[schema(value_type = String, example = "rubis_db")]
    pub tier: TierId,
    /// Why no order of the actions avoids it.
    #[schema(example = "max_node 1, and it moves to another VM")]
    pub reason: String,
}

/// Finds the way from `from`, what runs, to `to`.
///
/// Of `to` only the sizes, the revisions and the addresses of the VMs matter: cores are chosen here, so that each container keeps as many of
/// its own as it can. VMs only in `to` are made, VMs only in `from` are deleted, and VMs of both
/// with nothing on them stay. `to` has to fit its VMs, as every answer of the solver does. `from`
/// may be anything that was found running.
///
/// The same input gives the same answer, and `translate(t, a, a)` has no stages where `a` is in
/// order. Where `a` has containers that share cores, or are pinned to another number of cores than
/// their size, they are pinned anew.
#[must_use]
pub fn translate(topology: &Topology, from: &Allocation, to: &Allocation) -> Translation {
    let to = &addresses::wanted(topology, from, to);
    let way = rollout::way(topology, from, to);
    let (mut stages, interrupts, target) = (way.stages, way.interrupts, way.target);
    farewell::add(topology, from, &mut stages);
    hooks::add(topology, from, to, &mut stages);
    for stage in &mut stages {
        stage.sort_by_cached_key(|action| (turn(action), action.vm().clone(), action.container().cloned()));
    }

    // A stage of its own at either end: if a VM can't be had, nothing has been touched yet, and a
    // VM is deleted only when everything else has ended.
    let created = emit::only_in(to, from).map(|vm| Action::CreateVm { vm: vm.clone() });
    let deleted = emit::only_in(from, to).map(|vm| Action::DeleteVm { vm: vm.clone() });
    let (created, deleted): (Stage, Stage) = (created.collect(), deleted.collect());
    if !created.is_empty() {
        stages.insert(0, created);
    }
    if !deleted.is_empty() {
        stages.push(deleted);
    }
    Translation {
        stages,
        interrupts,
        target,
    }
}

/// A way, without its hooks and without VMs that come and go.
#[derive(Clone, Debug, Default)]
struct Way {
    stages: Vec<Stage>,
    interrupts: Vec<Interrupt>,
    /// Where it leads.
    target: Allocation,
}

/// The way for sizes and places only. Outdated containers that stay in place stay outdated.
fn moves(topology: &Topology, from: &Allocation, to: &Allocation) -> Way {
    let work = work::Work::between(topology, from, to);
    let mut truncated = false;
    let steps = order::freely(&work).unwrap_or_else(|| {
        let route = search::route(&work);
        truncated = route.truncated;
        order::along(&work, &route)
    });
    let staged = stages::fold(&work, &steps);
    let (stages, target) = emit::emit(topology, from, to, &work, &staged);
    let interrupts = reasons::interrupts(topology, &work, &steps, &stages, truncated);
    Way {
        stages,
        interrupts,
        target,
    }
}

/// The order of actions within a stage. It means nothing, but helps readers.
fn turn(action: &Action) -> u8 {
    match action {
        Action::CreateVm { .. } => 0,
        Action::CreateContainer { .. } => 1,
        Action::UpdateContainer { .. } => 2,
        Action::ReplaceContainer { .. } => 3,
        Action::DeleteContainer { .. } => 4,
        Action::RunScaleHook { .. } => 5,
        Action::RunTierHook { .. } => 6,
        Action::DeleteVm { .. } => 7,
    }
}
