//! A placement under construction: VMs with what is on them, tiers with where they are.
//!
//! It keeps sums and prices up to date with every change, and decides nothing.

#![allow(clippy::indexing_slicing, clippy::needless_range_loop)] // slot and item indices are those of this packing

use std::collections::BTreeSet;

use super::amounts::{self, Place};
use super::answer::{PlacedVm, VmRef};
use super::meter::Meter;
use super::problem::Problem;
use super::resizes;
use super::resources::{Amounts, NOTHING, minus, narrow, plus};
use super::rules::Origin;

/// A VM, existing or still to be made. Unused while `boxes` is empty.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Which VM.
    pub origin: Origin,
    /// Room left.
    pub free: Amounts,
    /// Containers: item and amount, in no particular order.
    pub boxes: Vec<(usize, Amounts)>,
}

/// A set of slots: the existing VMs by index, then new ones.
#[derive(Debug, Clone)]
pub struct Packing {
    /// All slots.
    pub slots: Vec<Slot>,
    /// Slots of each item.
    pub nodes: Vec<Vec<usize>>,
    /// Price relative to [`Problem::base_cost`], VMs kept without containers included.
    pub cost: i64,
    /// Slots in use.
    pub used: usize,
    /// Those among them that are made or taken into use.
    pub used_fresh: usize,
    /// Those among them that are made.
    pub used_new: usize,
}

impl Packing {
    /// Existing VMs all unused, and no new ones.
    #[must_use]
    pub fn empty(problem: &Problem) -> Self {
        let slots = (0..problem.existing.len())
            .map(|v| Slot {
                origin: Origin::Existing(v),
                free: problem.existing[v],
                boxes: Vec::new(),
            })
            .collect();
        Self {
            slots,
            nodes: vec![Vec::new(); problem.items.len()],
            cost: problem.idle.price(0, 0),
            used: 0,
            used_fresh: 0,
            used_new: 0,
        }
    }

    /// The cost of VMs kept without containers.
    #[must_use]
    pub fn idle_price(&self, problem: &Problem) -> i64 {
        problem.idle.price(self.used - self.used_fresh, self.used_fresh)
    }

    /// Counts a slot as used, or as no longer used.
    fn count(&mut self, problem: &Problem, slot: usize, used: bool) {
        let origin = self.slots[slot].origin;
        let fresh = usize::from(problem.is_fresh(origin));
        let new = usize::from(origin.existing().is_none());
        self.cost -= self.idle_price(problem);
        if used {
            self.used += 1;
            self.used_fresh += fresh;
            self.used_new += new;
            self.cost += problem.vm_cost(origin);
        } else {
            self.used -= 1;
            self.used_fresh -= fresh;
            self.used_new -= new;
            self.cost -= problem.vm_cost(origin);
        }
        self.cost += self.idle_price(problem);
    }

    /// Adds an unused new VM of a kind and returns its slot.
    pub fn add_new(&mut self, problem: &Problem, kind: usize) -> usize {
        self.slots.push(Slot {
            origin: Origin::New(kind),
            free: problem.kinds[kind].capacity,
            boxes: Vec::new(),
        });
        self.slots.len() - 1
    }

    /// Slots of new VMs, used or not, of each kind.
    #[must_use]
    pub fn made(&self, problem: &Problem) -> Vec<usize> {
        let mut made = vec![0; problem.kinds.len()];
        for slot in self.slots.iter().skip(problem.existing.len()) {
            if let Origin::New(kind) = slot.origin {
                made[kind] += 1;
            }
        }
        made
    }

    /// Puts a container of `item` on `slot`. The item must not be there yet.
    pub fn put(&mut self, problem: &Problem, slot: usize, item: usize, amount: Amounts) {
        if self.slots[slot].boxes.is_empty() {
            self.count(problem, slot, true);
        }
        let s = &mut self.slots[slot];
        self.cost += problem.container_cost(item, s.origin);
        s.free = minus(s.free, amount);
        s.boxes.push((item, amount));
        self.nodes[item].push(slot);
    }

    /// Takes every container off `slot`.
    pub fn clear(&mut self, problem: &Problem, slot: usize) {
        let boxes = std::mem::take(&mut self.slots[slot].boxes);
        if !boxes.is_empty() {
            self.count(problem, slot, false);
        }
        let s = &mut self.slots[slot];
        for (item, amount) in boxes {
            s.free = plus(s.free, amount);
            self.cost -= problem.container_cost(item, s.origin);
            let nodes = &mut self.nodes[item];
            if let Some(at) = nodes.iter().position(|&n| n == slot) {
                nodes.swap_remove(at);
            }
        }
    }

    /// Takes an item off every slot.
    pub fn take(&mut self, problem: &Problem, item: usize) {
        for slot in std::mem::take(&mut self.nodes[item]) {
            let s = &mut self.slots[slot];
            if let Some(at) = s.boxes.iter().position(|b| b.0 == item) {
                let (_, amount) = s.boxes.swap_remove(at);
                s.free = plus(s.free, amount);
                self.cost -= problem.container_cost(item, s.origin);
                if s.boxes.is_empty() {
                    self.count(problem, slot, false);
                }
            }
        }
    }

    /// Price of what is on `slot` now, its own price included.
    #[must_use]
    pub fn slot_cost(&self, problem: &Problem, slot: usize) -> i64 {
        let s = &self.slots[slot];
        if s.boxes.is_empty() {
            return 0;
        }
        let boxes: i64 = s
            .boxes
            .iter()
            .map(|b| problem.container_cost(b.0, s.origin))
            .sum();
        problem.vm_cost(s.origin) + boxes
    }

    /// Whether a container of `item` may join `slot`: it may be there at all, is not there yet, and no port
    /// and no failure domain is taken.
    #[must_use]
    pub fn welcomes(&self, problem: &Problem, slot: usize, item: usize) -> bool {
        let (nodes, boxes) = (&self.nodes[item], &self.slots[slot].boxes);
        let there = if nodes.len() < boxes.len() {
            nodes.contains(&slot)
        } else {
            boxes.iter().any(|b| b.0 == item)
        };
        let publishes = problem.items[item].port.is_some();
        let clashes = publishes && boxes.iter().any(|&(b, _)| problem.conflict(b, item));
        let origin = self.slots[slot].origin;
        !(there || clashes)
            && problem.allows(item, origin)
            && !self.in_domain(problem, item, origin, |node| node != slot)
    }

    /// Whether one of the containers of `item` on slots that are `counted` is in the failure domain
    /// of a VM.
    #[must_use]
    pub fn in_domain(
        &self,
        problem: &Problem,
        item: usize,
        vm: Origin,
        counted: impl Fn(usize) -> bool,
    ) -> bool {
        let rule = &problem.items[item].rule;
        let Some(domain) = rule.domain(vm) else {
            return false;
        };
        let mut nodes = self.nodes[item].iter().filter(|&&node| counted(node));
        nodes.any(|&node| rule.domain(self.slots[node].origin) == Some(domain))
    }

    /// The first of `slots` that a container of `item` could be on together: one of each failure domain.
    #[must_use]
    pub fn apart(&self, problem: &Problem, item: usize, slots: Vec<usize>) -> Vec<usize> {
        let rule = &problem.items[item].rule;
        if !rule.spreads() {
            return slots;
        }
        let mut seen = BTreeSet::new();
        let mut slots = slots;
        slots.retain(|&slot| seen.insert(rule.domain(self.slots[slot].origin)));
        slots
    }

    /// How much all containers are disliked where they are.
    #[must_use]
    pub fn dislike(&self, problem: &Problem) -> i64 {
        self.slots.iter().map(|slot| dislike_of(problem, slot)).sum()
    }

    /// The same for one slot.
    #[must_use]
    pub fn dislike_on(&self, problem: &Problem, slot: usize) -> i64 {
        dislike_of(problem, &self.slots[slot])
    }

    /// Actions compared with what runs now: VMs made, taken into use or deleted, containers made,
    /// removed or resized.
    #[must_use]
    pub fn actions(&self, problem: &Problem) -> usize {
        let slots: usize = (0..self.slots.len())
            .map(|slot| self.actions_on(problem, slot))
            .sum();
        // Existing VMs that stay without containers are counted as deleted there.
        let [standing, fresh] = problem.idle.vms(self.used - self.used_fresh, self.used_fresh);
        (slots + fresh).saturating_sub(standing)
    }

    /// The same on one slot.
    #[must_use]
    pub fn actions_on(&self, problem: &Problem, slot: usize) -> usize {
        let slot = &self.slots[slot];
        let held = problem.held_by(slot.origin);
        let fresh = problem.is_fresh(slot.origin);
        let mut count = usize::from(slot.boxes.is_empty() != fresh);
        let mut kept = 0;
        for (item, amount) in &slot.boxes {
            match held.binary_search_by_key(item, |h| h.0) {
                Ok(at) => {
                    kept += 1;
                    count += usize::from(held[at].1 != *amount);
                }
                Err(_) => count += 1,
            }
        }
        count + held.len() - kept
    }

    /// Containers on one slot that are kept, and resized.
    #[must_use]
    pub fn resized_on(&self, problem: &Problem, slot: usize) -> usize {
        let slot = &self.slots[slot];
        let held = problem.held_by(slot.origin);
        let boxes = slot.boxes.iter();
        let kept = boxes.filter_map(|(item, amount)| {
            let at = held.binary_search_by_key(item, |h| h.0).ok()?;
            Some(held[at].1 != *amount)
        });
        kept.filter(|&resized| resized).count()
    }

    /// The price at another problem's prices, including resizing; that problem has the same tiers
    /// and VMs.
    #[must_use]
    pub fn price_at(&self, problem: &Problem) -> i64 {
        let slots = 0..self.slots.len();
        let resized: usize = slots.clone().map(|slot| self.resized_on(problem, slot)).sum();
        let slots: i64 = slots.map(|slot| self.slot_cost(problem, slot)).sum();
        slots + self.idle_price(problem) + resized as i64 * problem.resize_cost
    }

    /// The same placement at this problem's prices, at which resizing costs nothing.
    #[must_use]
    pub fn at_prices_of(mut self, problem: &Problem) -> Self {
        let slots = 0..self.slots.len();
        let price: i64 = slots.map(|slot| self.slot_cost(problem, slot)).sum();
        self.cost = price + self.idle_price(problem);
        self
    }

    /// The VMs kept without containers: existing ones by index, then new ones.
    #[must_use]
    pub fn idle(&self, problem: &Problem) -> Vec<VmRef> {
        let [standing, fresh] = problem.idle.vms(self.used - self.used_fresh, self.used_fresh);
        let empty = |spare: bool| {
            let existing = 0..problem.existing.len();
            existing.filter(move |&v| self.slots[v].boxes.is_empty() && problem.spare[v] == spare)
        };
        let spares = empty(true).take(problem.idle.spares).map(VmRef::Existing);
        let new = (self.used_new..).map(|number| problem.idle.new_vm(problem, number));
        let fresh = spares.chain(new).take(fresh);
        empty(false)
            .take(standing)
            .map(VmRef::Existing)
            .chain(fresh)
            .collect()
    }

    /// Chooses all amounts again for the present places, close to what runs now. Returns false, and
    /// changes nothing, if there are none, or if the meter runs out first.
    pub fn resettle(&mut self, problem: &Problem, meter: &mut Meter<'_>) -> bool {
        let demands: Vec<Amounts> = problem.items.iter().map(|i| i.demand).collect();
        let rooms: Vec<Amounts> = self.slots.iter().map(|s| problem.capacity(s.origin)).collect();
        let mut places = Vec::new();
        for (vm, slot) in self.slots.iter().enumerate() {
            let held = problem.held_by(slot.origin);
            for &(tier, _) in &slot.boxes {
                let wish = held.iter().find(|h| h.0 == tier).map_or(NOTHING, |h| h.1);
                places.push(Place { tier, vm, wish });
            }
        }
        let amounts = if problem.resize_cost > 0 {
            resizes::fewest(&demands, &rooms, &places, places.len(), meter).and_then(|found| found.amounts)
        } else {
            amounts::settle(&demands, &rooms, &places, meter)
        };
        let Some(amounts) = amounts else {
            return false;
        };
        let mut next = amounts.into_iter();
        for (slot, room) in self.slots.iter_mut().zip(rooms) {
            slot.free = room;
            for (b, amount) in slot.boxes.iter_mut().zip(&mut next) {
                b.1 = amount;
                slot.free = minus(slot.free, amount);
            }
        }
        true
    }

    /// The placement in the caller's terms, with new VMs numbered in slot order.
    #[must_use]
    pub fn placement(&self, problem: &Problem) -> Vec<PlacedVm> {
        let mut result = Vec::new();
        let mut new = 0;
        for slot in self.slots.iter().filter(|s| !s.boxes.is_empty()) {
            let vm = match slot.origin {
                Origin::Existing(vm) => VmRef::Existing(vm),
                Origin::New(kind) => {
                    new += 1;
                    VmRef::New {
                        number: new - 1,
                        shape: problem.kinds[kind].shape,
                    }
                }
            };
            let mut containers: Vec<_> = slot
                .boxes
                .iter()
                // Amounts never exceed the tier's own demand.
                .map(|&(item, amounts)| (problem.items[item].tier, narrow(amounts)))
                .collect();
            containers.sort_unstable();
            result.push(PlacedVm { vm, containers });
        }
        result
    }
}

fn dislike_of(problem: &Problem, slot: &Slot) -> i64 {
    let boxes = slot.boxes.iter();
    boxes.map(|b| problem.dislike(b.0, slot.origin)).sum()
}
