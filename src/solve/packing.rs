//! A placement under construction: VMs with what is on them, tiers with where they are.
//!
//! It keeps sums and prices in step with every change and decides nothing.

#![allow(clippy::indexing_slicing, clippy::needless_range_loop)] // slot and item indices are those of this packing

use super::amounts::{self, Place};
use super::answer::{PlacedVm, VmRef};
use super::instance::Amount;
use super::problem::{Pair, Problem};

/// A VM, existing or still to be made. Unused while `boxes` is empty.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Index of the existing VM.
    pub origin: Option<usize>,
    /// Room left.
    pub free: Pair,
    /// Containers: item and amount, in no particular order.
    pub boxes: Vec<(usize, Pair)>,
}

/// A set of slots: the existing VMs by index, then new ones.
#[derive(Debug, Clone)]
pub struct Packing {
    /// All slots.
    pub slots: Vec<Slot>,
    /// Slots of each item.
    pub nodes: Vec<Vec<usize>>,
    /// Price relative to [`Problem::base_cost`].
    pub cost: i64,
    /// Slots in use.
    pub used: usize,
}

impl Packing {
    /// Existing VMs all unused, and no new ones.
    #[must_use]
    pub fn empty(problem: &Problem) -> Self {
        let slots = (0..problem.existing.len())
            .map(|v| Slot {
                origin: Some(v),
                free: problem.existing[v],
                boxes: Vec::new(),
            })
            .collect();
        Self {
            slots,
            nodes: vec![Vec::new(); problem.items.len()],
            cost: 0,
            used: 0,
        }
    }

    /// Adds an unused new VM and returns its slot.
    pub fn add_new(&mut self, problem: &Problem) -> usize {
        self.slots.push(Slot {
            origin: None,
            free: problem.new_vm,
            boxes: Vec::new(),
        });
        self.slots.len() - 1
    }

    /// Puts a container of `item` on `slot`. The item must not be there yet.
    pub fn put(&mut self, problem: &Problem, slot: usize, item: usize, amount: Pair) {
        let s = &mut self.slots[slot];
        if s.boxes.is_empty() {
            self.used += 1;
            self.cost += problem.vm_cost(s.origin);
        }
        self.cost += problem.container_cost(item, s.origin);
        s.free[0] -= amount[0];
        s.free[1] -= amount[1];
        s.boxes.push((item, amount));
        self.nodes[item].push(slot);
    }

    /// Takes every container off `slot`.
    pub fn clear(&mut self, problem: &Problem, slot: usize) {
        let boxes = std::mem::take(&mut self.slots[slot].boxes);
        let s = &mut self.slots[slot];
        if !boxes.is_empty() {
            self.used -= 1;
            self.cost -= problem.vm_cost(s.origin);
        }
        for (item, amount) in boxes {
            s.free[0] += amount[0];
            s.free[1] += amount[1];
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
                s.free = [s.free[0] + amount[0], s.free[1] + amount[1]];
                self.cost -= problem.container_cost(item, s.origin);
                if s.boxes.is_empty() {
                    self.used -= 1;
                    self.cost -= problem.vm_cost(s.origin);
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

    /// Whether a container of `item` may join `slot`: not there yet, and no port is taken.
    #[must_use]
    pub fn welcomes(&self, problem: &Problem, slot: usize, item: usize) -> bool {
        self.slots[slot]
            .boxes
            .iter()
            .all(|&(b, _)| b != item && !problem.conflict(b, item))
    }

    /// Actions against what runs now: VMs and containers made, removed or resized.
    #[must_use]
    pub fn actions(&self, problem: &Problem) -> usize {
        let mut count = 0;
        for slot in &self.slots {
            let held = slot
                .origin
                .map(|v| problem.held[v].as_slice())
                .unwrap_or_default();
            count += usize::from(slot.boxes.is_empty() != slot.origin.is_none());
            let mut kept = 0;
            for (item, amount) in &slot.boxes {
                match held.iter().find(|h| h.0 == *item) {
                    Some((_, now)) => {
                        kept += 1;
                        count += usize::from(now != amount);
                    }
                    None => count += 1,
                }
            }
            count += held.len() - kept;
        }
        count
    }

    /// Chooses all amounts anew for the places as they are, close to what runs now.
    pub fn resettle(&mut self, problem: &Problem) -> bool {
        let demands: Vec<Pair> = problem.items.iter().map(|i| i.demand).collect();
        let rooms: Vec<Pair> = self.slots.iter().map(|s| problem.capacity(s.origin)).collect();
        let mut places = Vec::new();
        for (vm, slot) in self.slots.iter().enumerate() {
            let held = slot
                .origin
                .map(|v| problem.held[v].as_slice())
                .unwrap_or_default();
            for &(tier, _) in &slot.boxes {
                let wish = held.iter().find(|h| h.0 == tier).map_or([0, 0], |h| h.1);
                places.push(Place { tier, vm, wish });
            }
        }
        let Some(amounts) = amounts::settle(&demands, &rooms, &places) else {
            return false;
        };
        let mut next = amounts.into_iter();
        for (slot, room) in self.slots.iter_mut().zip(rooms) {
            slot.free = room;
            for (b, amount) in slot.boxes.iter_mut().zip(&mut next) {
                b.1 = amount;
                slot.free[0] -= amount[0];
                slot.free[1] -= amount[1];
            }
        }
        true
    }

    /// The placement in the caller's terms, new VMs numbered in slot order.
    #[must_use]
    pub fn placement(&self, problem: &Problem) -> Vec<PlacedVm> {
        let mut result = Vec::new();
        let mut new = 0;
        for slot in self.slots.iter().filter(|s| !s.boxes.is_empty()) {
            let vm = slot.origin.map_or_else(
                || {
                    new += 1;
                    VmRef::New(new - 1)
                },
                VmRef::Existing,
            );
            let mut containers: Vec<_> = slot
                .boxes
                .iter()
                .map(|&(item, [cpu, mem])| {
                    // Amounts never exceed the tier's own u32 demand.
                    let narrow = |x: i64| u32::try_from(x).unwrap_or(u32::MAX);
                    (problem.items[item].tier, Amount::new(narrow(cpu), narrow(mem)))
                })
                .collect();
            containers.sort_unstable();
            result.push(PlacedVm { vm, containers });
        }
        result
    }
}
