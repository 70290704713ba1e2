//! Which VMs there can be at all, and how few of them hold an amount of one resource.

use std::collections::BTreeSet;

use crate::instance::{Amount, Instance, PerVm, Resource, Tier};

/// The VMs that could be used.
pub struct Fleet {
    /// Most that can be in use at once.
    pub count: u64,
    /// By resource, in the order of [`Resource::ALL`].
    sizes: [Sizes; Resource::ALL.len()],
}

/// VMs by their size in one resource, the largest first: those that exist one by one, those to be made by
/// shape. With sums over the first ones, so that a question is answered without going through all.
struct Sizes {
    /// Size, and how many are as large.
    classes: Vec<(u64, u64)>,
    /// Number and size of all before each class, and of all.
    before: Vec<(u64, u64)>,
}

impl Sizes {
    fn new(mut classes: Vec<(u64, u64)>) -> Self {
        classes.sort_unstable_by(|a, b| b.cmp(a));
        let mut before = vec![(0u64, 0u64)];
        let (mut count, mut sum) = (0u64, 0u64);
        for &(size, many) in &classes {
            count = count.saturating_add(many);
            sum = sum.saturating_add(size.saturating_mul(many));
            before.push((count, sum));
        }
        Self { classes, before }
    }

    /// What the first `n` have.
    fn first(&self, n: u64) -> u64 {
        let at = self.before.partition_point(|b| b.0 <= n).saturating_sub(1);
        let (count, sum) = self.before.get(at).copied().unwrap_or_default();
        let size = self.classes.get(at).map_or(0, |class| class.0);
        sum.saturating_add(size.saturating_mul(n - count))
    }

    /// Fewest that have `demand`; `None` if all together do not.
    fn fewest(&self, demand: u64) -> Option<u64> {
        let at = self.before.partition_point(|b| b.1 < demand);
        let (count, sum) = self.before.get(at.checked_sub(1)?).copied()?;
        let &(size, _) = self.classes.get(at - 1)?;
        Some(count + (demand - sum).div_ceil(size.max(1)))
    }
}

impl Fleet {
    /// For a question.
    #[must_use]
    pub fn of(instance: &Instance) -> Self {
        Self::among(instance, |_, _| Some(None))
    }

    /// The VMs that a tier may be on by its rules: of each failure domain, the largest.
    #[must_use]
    pub fn of_tier(instance: &Instance, tier: &Tier) -> Self {
        let (allowed, domains) = (tier.rules.allowed.as_deref(), tier.rules.domains.as_deref());
        Self::among(instance, |existing, at| {
            let may = allowed.is_none_or(|all| said(all, existing, at).unwrap_or(false));
            match domains.map(|all| said(all, existing, at).flatten()) {
                None => may.then_some(None),
                Some(None) => None,
                Some(domain) => may.then_some(domain),
            }
        })
    }

    /// `counts` says whether an existing VM, or a shape, counts, and in which domain it is.
    fn among(instance: &Instance, counts: impl Fn(bool, usize) -> Option<Option<u32>>) -> Self {
        let usable = |a: &Amount| a.most_parts() > 0;
        let limit = match instance.new_vm_limit() {
            Some(n) => u64::from(n),
            None => u64::MAX / 4,
        };
        let mut classes: Vec<(Amount, u64, Option<u32>)> = Vec::new();
        for (at, vm) in instance.vms.iter().enumerate() {
            if let (room, Some(domain)) = (instance.room(vm), counts(true, at)) {
                classes.push((room, 1, domain));
            }
        }
        let mut news = 0u64;
        for (at, shape) in instance.shapes.iter().enumerate() {
            let most = shape.max.map_or(limit, |max| limit.min(u64::from(max)));
            if let Some(domain) = counts(false, at).filter(|_| usable(&shape.capacity) && most > 0) {
                news = news.saturating_add(if domain.is_some() { 1 } else { most });
                classes.push((shape.capacity, most, domain));
            }
        }
        let news = news.min(limit);
        classes.retain(|class| usable(&class.0));
        let sizes = |resource: Resource| {
            let mut seen = BTreeSet::new();
            let mut list: Vec<(u64, u64, Option<u32>)> = classes
                .iter()
                .map(|&(a, many, domain)| (u64::from(a.of(resource)), many, domain))
                .collect();
            list.sort_by_key(|class| std::cmp::Reverse(class.0));
            let one_each = list.into_iter().filter_map(|(size, many, domain)| match domain {
                None => Some((size, many)),
                Some(domain) => seen.insert(domain).then_some((size, 1)),
            });
            Sizes::new(one_each.collect())
        };
        let sizes = Resource::ALL.map(sizes);
        let existing = instance.vms.len() as u64;
        // All VMs are counted, whichever resource they are counted by.
        let [cpu, ..] = &sizes;
        let all = cpu
            .before
            .last()
            .map_or(0, |b| b.0)
            .min(news.saturating_add(existing));
        Self {
            count: instance.max_vms.map_or(all, |m| all.min(u64::from(m))),
            sizes,
        }
    }

    const fn sizes(&self, resource: Resource) -> &Sizes {
        let [cpu, mem, disk, gpus] = &self.sizes;
        match resource {
            Resource::Cpu => cpu,
            Resource::Mem => mem,
            Resource::Disk => disk,
            Resource::Gpus => gpus,
        }
    }

    /// Fewest VMs that hold `demand` of one resource; `None` if all together do not.
    #[must_use]
    pub fn fewest(&self, demand: u32, resource: Resource) -> Option<u64> {
        if demand == 0 {
            return Some(0);
        }
        let count = self.sizes(resource).fewest(u64::from(demand))?;
        (count <= self.count).then_some(count)
    }

    /// The most of one resource that the VMs in use can have together.
    #[must_use]
    pub fn most(&self, resource: Resource) -> u64 {
        self.sizes(resource).first(self.count)
    }

    /// The most of one resource that one VM has.
    #[must_use]
    pub fn largest(&self, resource: Resource) -> u32 {
        u32::try_from(self.sizes(resource).first(1)).unwrap_or(u32::MAX)
    }
}

fn said<T: Copy>(all: &PerVm<T>, existing: bool, at: usize) -> Option<T> {
    let list = if existing { &all.vms } else { &all.shapes };
    list.get(at).copied()
}
