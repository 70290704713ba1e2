//! What VMs there can be at all, and how few of them hold an amount of one resource.

use crate::instance::{Amount, Instance};

/// The VMs that could be used.
pub struct Fleet {
    /// Most that can be in use at once.
    pub count: u64,
    /// New ones among them, at most.
    news: u64,
    cpu: Sizes,
    mem: Sizes,
}

/// VMs by their size in one resource.
struct Sizes {
    /// Of a new VM.
    new: u64,
    /// Existing ones that are at least as large as a new one, the largest first; and the others.
    larger: Sums,
    smaller: Sums,
}

/// What the first VMs of a list have together, by their number.
struct Sums(Vec<u64>);

impl Sums {
    fn of(sizes: &[u64]) -> Self {
        let mut sums = vec![0u64];
        let mut sum = 0u64;
        for size in sizes {
            sum = sum.saturating_add(*size);
            sums.push(sum);
        }
        Self(sums)
    }

    fn count(&self) -> u64 {
        self.0.len() as u64 - 1
    }

    /// What the first `n` have.
    fn first(&self, n: u64) -> u64 {
        let n = usize::try_from(n).unwrap_or(usize::MAX).min(self.0.len() - 1);
        self.0.get(n).copied().unwrap_or(0)
    }

    /// Fewest that have `demand`.
    fn fewest(&self, demand: u64) -> u64 {
        self.0.partition_point(|&sum| sum < demand) as u64
    }
}

impl Sizes {
    fn new(mut sizes: Vec<u64>, new: u64, news: u64) -> Self {
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let split = if news == 0 {
            sizes.len()
        } else {
            sizes.partition_point(|&size| size >= new)
        };
        let (larger, smaller) = sizes.split_at(split);
        Self {
            new,
            larger: Sums::of(larger),
            smaller: Sums::of(smaller),
        }
    }
}

impl Fleet {
    /// Of a question.
    #[must_use]
    pub fn of(instance: &Instance) -> Self {
        let usable = |a: Amount| a.cpu > 0 && a.mem > 0;
        let existing = || instance.vms.iter().map(|v| v.capacity).filter(|a| usable(*a));
        let news = match instance.new_vm_limit() {
            _ if !usable(instance.new_vm) => 0,
            Some(n) => u64::from(n),
            None => u64::MAX / 4,
        };
        let all = news + existing().count() as u64;
        let count = instance.max_vms.map_or(all, |m| all.min(u64::from(m)));
        let sizes = |part: fn(Amount) -> u32| {
            let sizes = existing().map(|a| u64::from(part(a))).collect();
            Sizes::new(sizes, u64::from(part(instance.new_vm)), news)
        };
        Self {
            count,
            news,
            cpu: sizes(CPU),
            mem: sizes(MEM),
        }
    }

    const fn sizes(&self, cpu: bool) -> &Sizes {
        if cpu { &self.cpu } else { &self.mem }
    }

    /// Fewest VMs that hold `demand` of one resource; `None` if all together do not.
    #[must_use]
    pub fn fewest(&self, demand: u32, cpu: bool) -> Option<u64> {
        let sizes = self.sizes(cpu);
        let demand = u64::from(demand);
        let first = sizes.larger.fewest(demand).min(sizes.larger.count());
        let mut count = first;
        let mut left = demand.saturating_sub(sizes.larger.first(first));
        if left > 0 && self.news > 0 && sizes.new > 0 {
            let take = left.div_ceil(sizes.new).min(self.news);
            left = left.saturating_sub(take.saturating_mul(sizes.new));
            count += take;
        }
        if left > 0 {
            if left > sizes.smaller.first(sizes.smaller.count()) {
                return None;
            }
            count += sizes.smaller.fewest(left);
        }
        (count <= self.count).then_some(count)
    }

    /// The most of one resource that the VMs in use can have together.
    #[must_use]
    pub fn most(&self, cpu: bool) -> u64 {
        let sizes = self.sizes(cpu);
        let first = sizes.larger.count().min(self.count);
        let news = self.news.min(self.count - first);
        let rest = self.count - first - news;
        sizes
            .larger
            .first(first)
            .saturating_add(news.saturating_mul(sizes.new))
            .saturating_add(sizes.smaller.first(rest))
    }

    /// The most of one resource that one VM has.
    #[must_use]
    pub fn largest(&self, cpu: bool) -> u32 {
        let sizes = self.sizes(cpu);
        let new = if self.news > 0 { sizes.new } else { 0 };
        let largest = sizes.larger.first(1).max(sizes.smaller.first(1)).max(new);
        u32::try_from(largest).unwrap_or(u32::MAX)
    }
}

/// The cpu part of an amount.
pub const CPU: fn(Amount) -> u32 = |a| a.cpu;
/// The memory part of an amount.
pub const MEM: fn(Amount) -> u32 = |a| a.mem;
