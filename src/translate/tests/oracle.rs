//! Every order of the operations, for instances small enough: the fewest interruptions possible.
//!
//! It knows only operations one after the other, and only sizes; nothing of how translations are
//! made.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// One operation; a mixed update comes as two.
#[derive(Clone, Debug)]
struct Op {
    vm: VmId,
    tier: TierId,
    /// The size after it, where it is known beforehand; None after a delete.
    after: Option<Size>,
    /// Comes after this one.
    follows: Option<usize>,
}

fn operations(scene: &Scene) -> Vec<Op> {
    let mut ops: Vec<Op> = Vec::new();
    let vms: BTreeSet<&VmId> = scene.from.vms.keys().chain(scene.to.vms.keys()).collect();
    for vm in vms {
        for tier in scene.topology.tiers.keys() {
            let size = |side: &Allocation| side.container(vm, tier).map(|container| container.size);
            let (old, new) = (size(&scene.from), size(&scene.to));
            let mut add = |after, follows| {
                ops.push(Op {
                    vm: vm.clone(),
                    tier: tier.clone(),
                    after,
                    follows,
                });
                Some(ops.len() - 1)
            };
            match (old, new) {
                (Some(old), Some(new)) if old != new => {
                    let low = old.min(new);
                    let down = if low == old { None } else { add(Some(low), None) };
                    if low != new {
                        add(Some(new), down);
                    }
                }
                (None, Some(new)) => {
                    add(Some(new), None);
                }
                (Some(_), None) => {
                    add(None, None);
                }
                _ => {}
            }
        }
    }
    ops
}

/// The fewest interruptions that any order of all operations has. None where there are more
/// operations than can be tried.
pub(super) fn fewest_interruptions(scene: &Scene) -> Option<usize> {
    let ops = operations(scene);
    if ops.len() > 14 {
        return None;
    }
    let full = (1_u32 << ops.len()) - 1;
    let mut best: BTreeMap<u32, usize> = BTreeMap::from([(0, 0)]);
    // By cost, so that each set of done operations is left with its lowest.
    let mut open: BTreeSet<(usize, u32)> = BTreeSet::from([(0, 0)]);
    while let Some((cost, done)) = open.pop_first() {
        if done == full {
            return Some(cost);
        }
        let state = state(scene, &ops, done);
        for (index, op) in ops.iter().enumerate() {
            let bit = 1_u32 << index;
            if done & bit != 0 || op.follows.is_some_and(|other| done & (1 << other) == 0) {
                continue;
            }
            let Some(price) = price(scene, &state, op) else {
                continue;
            };
            let (next, total) = (done | bit, cost + price);
            if best.get(&next).is_none_or(|known| *known > total) {
                best.insert(next, total);
                open.insert((total, next));
            }
        }
    }
    panic!("no order at all reaches the target: {scene:#?}");
}

type State = BTreeMap<(VmId, TierId), Size>;

fn state(scene: &Scene, ops: &[Op], done: u32) -> State {
    let mut state = State::new();
    for (id, vm) in &scene.from.vms {
        for (tier, container) in &vm.used {
            state.insert((id.clone(), tier.clone()), container.size);
        }
    }
    // The second half of a mixed update has a higher number than the first.
    for (index, op) in ops.iter().enumerate() {
        if done & (1 << index) != 0 {
            let key = (op.vm.clone(), op.tier.clone());
            match op.after {
                Some(size) => state.insert(key, size),
                None => state.remove(&key),
            };
        }
    }
    state
}

/// The interruptions that an operation costs now; None if it breaks a rule.
fn price(scene: &Scene, state: &State, op: &Op) -> Option<usize> {
    let key = (op.vm.clone(), op.tier.clone());
    let spec = &scene.topology.tiers[&op.tier];
    let count = |tier: &TierId| state.keys().filter(|(_, other)| other == tier).count();
    let wanted = |tier: &TierId| scene.to.places(tier).count() > 0;
    let Some(after) = op.after else {
        let last = count(&op.tier) == 1;
        if !wanted(&op.tier) {
            let mut users = scene.topology.tiers.values();
            let used = users
                .any(|user| user.depends_on.contains(&op.tier) && !wanted(&user.id) && count(&user.id) > 0);
            return (!last || !used).then_some(0);
        }
        return Some(usize::from(last));
    };
    let before = state.get(&key).copied();
    let capacity = scene
        .to
        .vms
        .get(&op.vm)
        .or(scene.from.vms.get(&op.vm))
        .unwrap()
        .capacity;
    let here = || state.iter().filter(|((vm, _), _)| *vm == op.vm);
    let others: Size = here()
        .filter(|((_, tier), _)| *tier != op.tier)
        .map(|(_, size)| *size)
        .sum();
    let was = before.unwrap_or_default();
    if (after.cpu > was.cpu && (others + after).cpu > capacity.cpu)
        || (after.mem > was.mem && (others + after).mem > capacity.mem)
        || (after.gpus > was.gpus && (others + after).gpus > capacity.gpus)
        || (after.disk_gb > was.disk_gb && (others + after).disk_gb > capacity.disk_gb)
    {
        return None;
    }
    if before.is_none() {
        let runs = spec
            .depends_on
            .iter()
            .all(|other| !wanted(other) || count(other) > 0);
        let clash = here().any(|((_, tier), _)| {
            let theirs = &scene.topology.tiers[tier].ports;
            theirs
                .iter()
                .any(|port| spec.ports.iter().any(|own| own.conflicts(port)))
        });
        return (runs && !clash).then_some(0);
    }
    Some(0)
}
