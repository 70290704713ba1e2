//! Amounts for containers whose places are decided.
//!
//! In each resource on its own, this is a transport problem in which every container gets at least
//! what containers must have, solved with augmenting paths in whole numbers. What runs now is the
//! first guess, so that containers which need not be resized are not.

#![allow(clippy::indexing_slicing)] // positions come from enumerating the lists themselves

use super::meter::Meter;
use super::resources::{Amounts, LEAST, NOTHING, RESOURCES};

/// One container that needs an amount: tier and VM by position, and what it holds now.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Position in `demands`.
    pub tier: usize,
    /// Position in `rooms`.
    pub vm: usize,
    /// The amount to come close to; zero if the container is new.
    pub wish: Amounts,
}

/// Amounts for `places` that add up to `demands` within `rooms`; `None` if there are none, or if
/// the meter runs out first.
#[must_use]
pub fn settle(
    demands: &[Amounts],
    rooms: &[Amounts],
    places: &[Place],
    meter: &mut Meter<'_>,
) -> Option<Vec<Amounts>> {
    let mut of_tier = vec![Vec::new(); demands.len()];
    let mut of_vm = vec![Vec::new(); rooms.len()];
    for (ix, place) in places.iter().enumerate() {
        of_tier[place.tier].push(ix);
        of_vm[place.vm].push(ix);
    }
    let mut result = vec![NOTHING; places.len()];
    for dim in 0..RESOURCES {
        // Most questions ask for none of the further resources.
        if LEAST[dim] == 0 && demands.iter().all(|demand| demand[dim] == 0) {
            continue;
        }
        let flow = settle_one(dim, demands, rooms, places, [&of_tier, &of_vm], meter)?;
        for (slot, amount) in result.iter_mut().zip(flow) {
            slot[dim] = amount;
        }
    }
    Some(result)
}

fn settle_one(
    dim: usize,
    demands: &[Amounts],
    rooms: &[Amounts],
    places: &[Place],
    [of_tier, of_vm]: [&[Vec<usize>]; 2],
    meter: &mut Meter<'_>,
) -> Option<Vec<i64>> {
    // What each container must have is set aside; the rest is an ordinary flow.
    let least = LEAST[dim];
    let mut supply: Vec<i64> = demands
        .iter()
        .zip(of_tier)
        .map(|(d, c)| d[dim] - least * c.len() as i64)
        .collect();
    let mut room: Vec<i64> = rooms
        .iter()
        .zip(of_vm)
        .map(|(r, c)| r[dim] - least * c.len() as i64)
        .collect();
    if supply.iter().chain(&room).any(|&x| x < 0) {
        return None;
    }
    let mut flow = vec![0i64; places.len()];
    let push = |ix: usize, want: i64, supply: &mut [i64], room: &mut [i64], flow: &mut [i64]| {
        let place = places[ix];
        let amount = want.min(supply[place.tier]).min(room[place.vm]).max(0);
        flow[ix] += amount;
        supply[place.tier] -= amount;
        room[place.vm] -= amount;
    };
    for (ix, place) in places.iter().enumerate() {
        push(ix, place.wish[dim] - least, &mut supply, &mut room, &mut flow);
    }
    for ix in 0..places.len() {
        push(ix, i64::MAX, &mut supply, &mut room, &mut flow);
    }
    for tier in 0..demands.len() {
        while supply[tier] > 0 {
            // A path may lead through every container.
            if !meter.spend(places.len() as u64)
                || !augment(tier, places, of_tier, of_vm, &mut supply, &mut room, &mut flow)
            {
                return None;
            }
        }
    }
    Some(flow.iter().map(|f| f + least).collect())
}

/// One shortest augmenting path from `start` to a VM with room, pushed as far as it goes.
fn augment(
    start: usize,
    places: &[Place],
    of_tier: &[Vec<usize>],
    of_vm: &[Vec<usize>],
    supply: &mut [i64],
    room: &mut [i64],
    flow: &mut [i64],
) -> bool {
    let mut via_vm: Vec<Option<usize>> = vec![None; room.len()];
    let mut via_tier: Vec<Option<usize>> = vec![None; supply.len()];
    let mut seen_tier = vec![false; supply.len()];
    seen_tier[start] = true;
    let mut queue = std::collections::VecDeque::from([start]);
    let mut end = None;
    'search: while let Some(tier) = queue.pop_front() {
        for &ix in &of_tier[tier] {
            let vm = places[ix].vm;
            if via_vm[vm].is_some() {
                continue;
            }
            via_vm[vm] = Some(ix);
            if room[vm] > 0 {
                end = Some(vm);
                break 'search;
            }
            for &back in &of_vm[vm] {
                let other = places[back].tier;
                if flow[back] > 0 && !seen_tier[other] {
                    seen_tier[other] = true;
                    via_tier[other] = Some(back);
                    queue.push_back(other);
                }
            }
        }
    }
    let Some(end) = end else { return false };
    // Walk the path back twice: once for how much it carries, once to push it.
    let mut amount = supply[start].min(room[end]);
    for commit in [false, true] {
        let mut vm = end;
        while let Some(forward) = via_vm[vm] {
            if commit {
                flow[forward] += amount;
            }
            let tier = places[forward].tier;
            let Some(back) = (tier != start).then(|| via_tier[tier]).flatten() else {
                break;
            };
            if commit {
                flow[back] -= amount;
            } else {
                amount = amount.min(flow[back]);
            }
            vm = places[back].vm;
        }
    }
    supply[start] -= amount;
    room[end] -= amount;
    true
}
