//! The answer key: every placement of a tiny instance is looked at.
//!
//! Shares nothing with the solver. For each tier it tries each set of VMs; whether amounts
//! exist is decided by enumerating them, smallest case first, not by a flow argument.

use mapek_solve::{HostPort, Instance, PerVm, Resource};

fn clash(a: &HostPort, b: &HostPort) -> bool {
    a.port == b.port
        && a.protocol == b.protocol
        && (a.address.is_none() || b.address.is_none() || a.address == b.address)
}

struct Brute<'a> {
    instance: &'a Instance,
    caps: Vec<[i64; 4]>,
    /// Of which shape each VM is that does not exist yet; those come last.
    shapes: Vec<usize>,
    /// For each tier the set of VMs chosen so far.
    sets: Vec<u32>,
    best: Option<u64>,
}

/// The least cost of any placement; `None` if there is none. Extra VMs beyond `news` new ones
/// must be useless for the caller's instances.
pub fn optimum(instance: &Instance, news: usize) -> Option<u64> {
    let each = |a: mapek_solve::Amount| Resource::ALL.map(|r| i64::from(a.of(r)));
    let mut caps: Vec<[i64; 4]> = instance.vms.iter().map(|v| each(v.capacity)).collect();
    let mut shapes = Vec::new();
    for (at, shape) in instance.shapes.iter().enumerate() {
        let limits = [instance.max_new, shape.max].into_iter().flatten();
        let most = limits.fold(news, |n, max| n.min(max as usize));
        shapes.extend(vec![at; most]);
        caps.extend(vec![each(shape.capacity); most]);
    }
    let mut brute = Brute {
        instance,
        sets: vec![0; instance.tiers.len()],
        caps,
        shapes,
        best: None,
    };
    brute.choose(0);
    brute.best
}

impl Brute<'_> {
    fn choose(&mut self, tier: usize) {
        if tier == self.sets.len() {
            let cost = self.cost();
            if self.best.is_none_or(|b| cost < b) && self.allowed() {
                self.best = Some(cost);
            }
            return;
        }
        let spec = &self.instance.tiers[tier];
        if spec.demand.is_zero() {
            self.choose(tier + 1);
            return;
        }
        for set in 1u32..1 << self.caps.len() {
            let n = set.count_ones();
            if n < spec.min_node
                || spec.max_node.is_some_and(|m| n > m)
                || n > spec.demand.cpu
                || n > spec.demand.mem
            {
                continue;
            }
            if !self.by_rules(tier, set) {
                continue;
            }
            self.sets[tier] = set;
            self.choose(tier + 1);
        }
        self.sets[tier] = 0;
    }

    /// What is said of a VM.
    fn said<T: Copy>(&self, all: &PerVm<T>, vm: usize) -> T {
        match vm.checked_sub(self.instance.vms.len()) {
            None => all.vms[vm],
            Some(new) => all.shapes[self.shapes[new]],
        }
    }

    /// Whether a tier may be on these VMs.
    fn by_rules(&self, tier: usize, set: u32) -> bool {
        let rules = &self.instance.tiers[tier].rules;
        let vms: Vec<usize> = (0..self.caps.len()).filter(|v| set >> v & 1 == 1).collect();
        let mut domains = Vec::new();
        for &vm in &vms {
            if rules.allowed.as_ref().is_some_and(|all| !self.said(all, vm)) {
                return false;
            }
            if let Some(all) = &rules.domains {
                let Some(domain) = self.said(all, vm) else {
                    return false;
                };
                if domains.contains(&domain) {
                    return false;
                }
                domains.push(domain);
            }
            let shut = |v: &mapek_solve::Vm| v.cordoned && v.held.iter().all(|h| h.0 != tier);
            if self.instance.vms.get(vm).is_some_and(shut) {
                return false;
            }
        }
        true
    }

    fn allowed(&self) -> bool {
        let used = self.sets.iter().fold(0, |a, s| a | s);
        let new = used >> self.instance.vms.len();
        if self.instance.max_new.is_some_and(|m| new.count_ones() > m) {
            return false;
        }
        if self.instance.max_vms.is_some_and(|m| used.count_ones() > m) {
            return false;
        }
        for (a, ta) in self.instance.tiers.iter().enumerate() {
            for (b, tb) in self.instance.tiers.iter().enumerate().skip(a + 1) {
                if self.sets[a] & self.sets[b] != 0
                    && ta.ports.iter().any(|x| tb.ports.iter().any(|y| clash(x, y)))
                {
                    return false;
                }
            }
        }
        Resource::ALL.into_iter().all(|r| {
            let mut free: Vec<i64> = self.caps.iter().map(|c| c[r as usize]).collect();
            for (vm, spec) in self.instance.vms.iter().enumerate().filter(|(_, v)| v.cordoned) {
                let placed = spec
                    .held
                    .iter()
                    .filter(|h| !self.instance.tiers[h.0].demand.is_zero());
                let held: u32 = placed.map(|h| h.1.of(r)).sum();
                free[vm] = free[vm].min(i64::from(held));
            }
            self.amounts(r, 0, &mut free)
        })
    }

    /// Whether resource `r` of tiers from `tier` on can be given out: tries every division.
    fn amounts(&self, r: Resource, tier: usize, free: &mut Vec<i64>) -> bool {
        if tier == self.sets.len() {
            return true;
        }
        let d = self.instance.tiers[tier].demand;
        let left = i64::from(d.of(r));
        let vms: Vec<usize> = (0..self.caps.len())
            .filter(|v| self.sets[tier] >> v & 1 == 1)
            .collect();
        self.divide(r, tier, &vms, left, free)
    }

    fn divide(&self, r: Resource, tier: usize, vms: &[usize], left: i64, free: &mut Vec<i64>) -> bool {
        let Some((&vm, rest)) = vms.split_first() else {
            return left == 0 && self.amounts(r, tier + 1, free);
        };
        // A container has at least one step of cpu and of memory; of the others it may have none.
        let must = i64::from(matches!(r, Resource::Cpu | Resource::Mem));
        let least = if rest.is_empty() { left.max(must) } else { must };
        let most = (left - must * rest.len() as i64).min(free[vm]);
        for amount in least..=most {
            free[vm] -= amount;
            let fits = self.divide(r, tier, rest, left - amount, free);
            free[vm] += amount;
            if fits {
                return true;
            }
        }
        false
    }

    fn cost(&self) -> u64 {
        let w = &self.instance.weights;
        let mut cost = 0u64;
        for vm in 0..self.caps.len() {
            let here = |t: usize| self.sets[t] >> vm & 1 == 1;
            let used = (0..self.sets.len()).any(here);
            let Some(existing) = self.instance.vms.get(vm) else {
                if used {
                    let shape = &self.instance.shapes[self.shapes[vm - self.instance.vms.len()]];
                    cost += u64::from(shape.price.unwrap_or(w.vm_create));
                    let n = (0..self.sets.len()).filter(|&t| here(t)).count() as u64;
                    cost += n * u64::from(w.container_create);
                }
                continue;
            };
            cost += u64::from(match (existing.spare, used) {
                (false, true) => w.vm_use,
                (false, false) => w.vm_delete,
                (true, true) => w.vm_create,
                (true, false) => 0,
            });
            for (t, spec) in self.instance.tiers.iter().enumerate() {
                let held = existing.held.iter().any(|h| h.0 == t);
                cost += u64::from(match (held, here(t)) {
                    (true, true) => w.container_set,
                    (false, true) => w.container_create,
                    (true, false) if spec.demand.is_zero() => 0,
                    (true, false) if spec.max_node == Some(1) => w.container_delete_pinned,
                    (true, false) => w.container_delete,
                    (false, false) => 0,
                });
            }
        }
        cost.checked_add_signed(self.idle()).unwrap()
    }

    /// The cheapest VMs to keep with nothing on them, where more have to be there than are used. A VM
    /// that exists was counted as deleted above.
    fn idle(&self) -> i64 {
        let w = &self.instance.weights;
        let used = |vm: usize| self.sets.iter().any(|set| set >> vm & 1 == 1);
        let existing = self.instance.vms.len();
        let limit = self.instance.max_new.unwrap_or(u32::MAX);
        let all = existing as u32 + limit.min(self.shapes.len() as u32);
        let several = self.instance.shapes.len() > 1;
        let lasting = self.instance.shapes.iter().filter(|s| s.max.is_none());
        let make = match several {
            true => lasting.map(|s| s.price.unwrap_or(w.vm_create)).min().unwrap_or(0),
            false => w.vm_create,
        };
        let least = self
            .instance
            .min_vms
            .min(all)
            .min(self.instance.max_vms.unwrap_or(all));
        let count = (0..self.caps.len()).filter(|&vm| used(vm)).count() as u32;
        let missing = least.saturating_sub(count);
        let spare = |vm: usize| vm >= existing || self.instance.vms[vm].spare;
        let unused = |kind: bool| {
            (0..self.caps.len())
                .filter(|&vm| !used(vm) && spare(vm) == kind)
                .count() as u32
        };
        let made = (existing..self.caps.len()).filter(|&vm| used(vm)).count() as u32;
        let spares = self.instance.vms.iter().filter(|vm| vm.spare).count() as u32;
        let new = unused(true).min(limit.saturating_sub(made).saturating_add(spares));
        let old = unused(false);
        (0..=missing.min(old))
            .filter(|kept| missing - kept <= new)
            .map(|kept| {
                let old = i64::from(kept) * (i64::from(w.vm_use) - i64::from(w.vm_delete));
                old + i64::from(missing - kept) * i64::from(make)
            })
            .min()
            .unwrap_or(0)
    }
}
