//! The answer key of tiny questions: every choice of VMs for every tier is looked at.
//!
//! Written from the contract's text. Whether amounts exist for a choice is Hall's condition: in each
//! resource, no group of tiers may ask for more than the VMs they are on have, once each container
//! has what it must have.

use std::collections::BTreeMap;

use crate::question::{Amounts, LEAST, Question};

/// Most choices looked at.
const CHOICES: f64 = 6_000.0;
/// Most tiers: the groups of Hall's condition.
const TIERS: usize = 6;
/// Most kept containers for which the number of resized ones is worked out.
const KEPT: usize = 10;

/// What is known of a question by brute force.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The least objective of the placements looked at; `None` if there is none.
    pub objective: Option<i64>,
    /// Fewest actions of those with that objective, where known.
    pub actions: Option<usize>,
    /// Whether all placements have been looked at: else a larger number of new VMs might be cheaper.
    pub complete: bool,
}

struct Brute<'a> {
    question: &'a Question,
    rooms: Vec<Amounts>,
    /// Of which kind each VM is that does not exist yet; those come last.
    kinds: Vec<usize>,
    sets: Vec<u32>,
    best: Option<i64>,
    actions: Option<usize>,
}

/// The key, where the question is small enough.
pub fn key(question: &Question) -> Option<Key> {
    let tiers = question.tiers.len();
    if tiers > TIERS || question.vms.len() > 8 {
        return None;
    }
    let choices = |vms: usize| ((1u64 << vms) as f64 - 1.0).powi(tiers as i32);
    let wanted = question.most_news();
    let several = question.kinds.len() > 1;
    let mut news = 0;
    // Names of new VMs do not matter, so the real number of choices is smaller.
    let of_each = |news: usize| question.kinds.iter().map(move |kind| kind.max.min(news));
    let all = |news: usize| question.vms.len() + of_each(news).sum::<usize>();
    while news < wanted && news < 8 && choices(all(news + 1)) <= CHOICES * 2.0 {
        news += 1;
    }
    // Of several kinds, there may be too many even of one each.
    if choices(all(news)) > CHOICES * 2.0 || several && news == 0 && wanted > 0 {
        return None;
    }
    let mut rooms: Vec<Amounts> = question.vms.iter().map(|vm| question.steps(vm.room)).collect();
    let mut kinds = Vec::new();
    for (at, count) in of_each(news).enumerate() {
        rooms.extend(std::iter::repeat_n(
            question.steps(question.kinds[at].room),
            count,
        ));
        kinds.extend(std::iter::repeat_n(at, count));
    }
    let mut brute = Brute {
        question,
        rooms,
        kinds,
        sets: Vec::new(),
        best: None,
        actions: None,
    };
    brute.choose();
    Some(Key {
        objective: brute.best,
        actions: brute.actions,
        complete: news >= wanted,
    })
}

fn widest(question: &Question, demand: Amounts, max: usize) -> i64 {
    let steps = (demand[0] / question.step).min(demand[1]);
    steps.min(i64::try_from(max).unwrap_or(i64::MAX))
}

impl Brute<'_> {
    fn demand(&self, tier: usize) -> Amounts {
        self.question.steps(self.question.tiers[tier].demand)
    }

    fn choose(&mut self) {
        let tier = self.sets.len();
        if tier == self.question.tiers.len() {
            self.judge();
            return;
        }
        let spec = &self.question.tiers[tier];
        let existing = self.question.vms.len();
        let touched = self.sets.iter().fold(0u32, |all, set| all | set) >> existing;
        for set in 1u32..1 << self.rooms.len() {
            let nodes = set.count_ones() as usize;
            if nodes < spec.min
                || nodes > spec.max
                || nodes as i64 > widest(self.question, spec.demand, spec.max)
            {
                continue;
            }
            // New VMs of a kind are alike: they are taken in order.
            let news = touched | set >> existing;
            let skipped = |at: &usize| {
                news >> at & 1 == 1 && news >> (at - 1) & 1 == 0 && self.kinds[at - 1] == self.kinds[*at]
            };
            if (1..self.kinds.len()).any(|at| skipped(&at)) {
                continue;
            }
            let zones: Vec<Option<&String>> = (0..self.rooms.len())
                .filter(|vm| set >> vm & 1 == 1)
                .map(|vm| self.zone(vm))
                .collect();
            if !self.question.may_be(tier, &zones) {
                continue;
            }
            let clash =
                (0..tier).any(|other| self.sets[other] & set != 0 && self.question.tiers[other].clash(spec));
            if clash {
                continue;
            }
            self.sets.push(set);
            self.choose();
            self.sets.pop();
        }
    }

    fn zone(&self, vm: usize) -> Option<&String> {
        let zone = match self.question.vms.get(vm) {
            Some(vm) => &vm.zone,
            None => &self.question.kinds[self.kinds[vm - self.question.vms.len()]].zone,
        };
        zone.as_ref()
    }

    fn judge(&mut self) {
        let used = self.sets.iter().fold(0u32, |all, set| all | set);
        if used.count_ones() as usize > self.question.max_vms {
            return;
        }
        let (idle_price, idle_actions) = self.idle(used);
        let cost = self.cost() + idle_price;
        if self.best.is_some_and(|best| cost > best) || !self.amounts(&BTreeMap::new()) {
            return;
        }
        let actions = self
            .fewest_actions()
            .and_then(|actions| actions.checked_add_signed(idle_actions));
        if self.best.is_none_or(|best| cost < best) {
            self.actions = actions;
        } else {
            self.actions = self.actions.zip(actions).map(|(a, b)| a.min(b));
        }
        self.best = Some(cost);
    }

    fn on(&self, tier: usize, vm: usize) -> bool {
        self.sets[tier] >> vm & 1 == 1
    }

    fn cost(&self) -> i64 {
        let w = &self.question.weights;
        let mut cost = 0;
        for vm in 0..self.rooms.len() {
            let here = (0..self.sets.len()).filter(|&tier| self.on(tier, vm)).count() as i64;
            let Some(existing) = self.question.vms.get(vm) else {
                if here > 0 {
                    let kind = self.kinds[vm - self.question.vms.len()];
                    cost += self.question.kinds[kind].price + here * w.create;
                }
                continue;
            };
            cost += if here > 0 { w.vm_use } else { w.vm_delete };
            let kept = existing.held.keys().filter(|&&tier| self.on(tier, vm)).count() as i64;
            cost += kept * w.set + (here - kept) * w.create;
            let gone = existing.held.keys().filter(|&&tier| !self.on(tier, vm));
            cost += gone.map(|&tier| self.question.removal(tier)).sum::<i64>();
        }
        cost
    }

    /// What VMs kept or made without containers cost, and how many actions more or less they mean.
    fn idle(&self, used: u32) -> (i64, isize) {
        let question = self.question;
        let existing = question.vms.len();
        let fresh = (used >> existing).count_ones() as usize;
        let standing = used.count_ones() as usize - fresh;
        let most_fresh = question.spare.as_ref().map_or(usize::MAX, Vec::len);
        let there_can_be = existing.saturating_add(most_fresh).min(question.max_vms);
        let missing = question
            .min_vms
            .min(there_can_be)
            .saturating_sub(standing + fresh);
        let w = &question.weights;
        let lasting = question.kinds.iter().filter(|kind| kind.lasting);
        let make = lasting.map(|kind| kind.price).min().unwrap_or(w.vm_create);
        // So many stay, and the others are made.
        let ways = (0..=missing.min(existing - standing)).filter(|kept| missing - kept <= most_fresh - fresh);
        ways.map(|kept| {
            let made = missing - kept;
            let price = kept as i64 * (w.vm_use - w.vm_delete) + made as i64 * make;
            (price, made as isize - kept as isize)
        })
        .min()
        .unwrap_or_default()
    }

    /// Whether amounts exist, with those of some containers given.
    fn amounts(&self, given: &BTreeMap<(usize, usize), Amounts>) -> bool {
        let tiers = self.sets.len();
        let free = |tier: usize, vm: usize| self.on(tier, vm) && !given.contains_key(&(tier, vm));
        for r in 0..4 {
            let mut room: Vec<i64> = self.rooms.iter().map(|room| room[r]).collect();
            let mut left: Vec<i64> = (0..tiers).map(|tier| self.demand(tier)[r]).collect();
            for (&(tier, vm), amount) in given {
                room[vm] -= amount[r];
                left[tier] -= amount[r];
            }
            for tier in 0..tiers {
                let mut any = false;
                for vm in (0..room.len()).filter(|&vm| free(tier, vm)) {
                    any = true;
                    room[vm] -= LEAST[r];
                    left[tier] -= LEAST[r];
                }
                if left[tier] < 0 || (!any && left[tier] != 0) {
                    return false;
                }
            }
            if room.iter().any(|&room| room < 0) {
                return false;
            }
            for group in 1u32..1 << tiers {
                let members = || (0..tiers).filter(|tier| group >> tier & 1 == 1);
                let asked: i64 = members().map(|tier| left[tier]).sum();
                let there: i64 = (0..room.len())
                    .filter(|&vm| members().any(|tier| free(tier, vm)))
                    .map(|vm| room[vm])
                    .sum();
                if asked > there {
                    return false;
                }
            }
        }
        true
    }

    /// Fewest VMs and containers made, removed or resized with this choice.
    fn fewest_actions(&self) -> Option<usize> {
        let mut count = 0;
        let mut kept = Vec::new();
        for vm in 0..self.rooms.len() {
            let here = (0..self.sets.len()).filter(|&tier| self.on(tier, vm)).count();
            let Some(existing) = self.question.vms.get(vm) else {
                count += usize::from(here > 0) + here;
                continue;
            };
            count += usize::from(here == 0) + existing.others;
            let stay = existing.held.iter().filter(|(tier, _)| self.on(**tier, vm));
            kept.extend(
                stay.clone()
                    .map(|(&tier, &now)| ((tier, vm), self.question.steps(now))),
            );
            count += here - stay.clone().count() + (existing.held.len() - stay.count());
        }
        if kept.len() > KEPT {
            return None;
        }
        let mut most = 0;
        for group in 0u32..1 << kept.len() {
            let size = group.count_ones() as usize;
            if size > most || (size == 0 && most == 0) {
                let given = (0..kept.len())
                    .filter(|at| group >> at & 1 == 1)
                    .map(|at| kept[at])
                    .collect();
                if self.amounts(&given) {
                    most = size;
                }
            }
        }
        Some(count + kept.len() - most)
    }
}
