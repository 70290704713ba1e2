//! Bounds checked from their certificates, without the methods that made them.
//!
//! Like the rest of the checker it shares no code with the search: everything is counted again, from
//! the question. What HiGHS states within its tolerances can't be counted again; of that only the
//! rounding is checked.

use super::Violation;
use crate::evidence::{Bound, Certificate};
use crate::instance::{Amount, Instance, Tier, Vm, Weights};

mod mixture;
mod values;

/// More VMs than there can be: a tier that is not held by all of them is on no fewer.
const NEVER: u64 = 1_000_000;

/// Counting more than this is left out: it would take longer than some tenths of a second.
const MOST_STEPS: u64 = 2_000_000;

/// Checks that `bound`, relative to the cost of deleting everything, follows from its certificate.
pub fn certified(instance: &Instance, bound: &Bound) -> Result<(), Violation> {
    let question = Question::new(instance);
    let value = bound.value.saturating_add(question.delete_all());
    let refused = || Violation::BoundUnfounded { by: bound.by };
    let founded = match &bound.certificate {
        Certificate::Counted => question.least(0).is_none_or(|least| value <= least),
        Certificate::Exhausted { news } => question.covers(news, value),
        Certificate::Values { scale, values, news } => {
            question.covers(news, value)
                && values::founded(&question, (*scale, values.as_slice()), news, bound.value)
        }
        // Rounded up to a whole price, by less than one.
        Certificate::Stated { raw } => (bound.value as f64) < raw + 1.0,
    };
    founded.then_some(()).ok_or_else(refused)
}

/// A question with what all its bounds need.
struct Question<'a> {
    instance: &'a Instance,
    weights: &'a Weights,
    /// Tiers with demand: position, tier, containers that exist.
    tiers: Vec<(usize, &'a Tier, u64)>,
    /// What can be made: shapes on which a container fits.
    shapes: Vec<Made>,
    /// Existing VMs by size in each resource, the largest first, summed up.
    sums: [Vec<u64>; 2],
    /// What each existing VM has to give.
    rooms: Vec<Amount>,
    /// All VMs there can be by size in each resource, the largest first: size and number.
    sizes: [Vec<(u64, u64)>; 2],
    /// Most new VMs.
    news: u64,
}

/// A shape of which VMs can be made.
#[derive(Debug, Clone, Copy)]
struct Made {
    /// Its position among all shapes.
    at: usize,
    capacity: Amount,
    price: i64,
    most: u64,
}

/// What an existing VM has to give: where it is cordoned, no more than what it holds of the plan's tiers.
fn room_of(instance: &Instance, vm: &Vm) -> Amount {
    if !vm.cordoned {
        return vm.capacity;
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut sum = Amount::default();
    for (tier, amount) in &vm.held {
        if instance.tiers.get(*tier).is_some_and(|t| !t.demand.is_zero()) && seen.insert(*tier) {
            sum = Amount::new(
                sum.cpu.saturating_add(amount.cpu),
                sum.mem.saturating_add(amount.mem),
            );
        }
    }
    Amount::new(sum.cpu.min(vm.capacity.cpu), sum.mem.min(vm.capacity.mem))
}

/// VMs by size in one resource, the largest first, and how many there are of each. `at` says whether an existing
/// VM, or a shape, counts, and in which failure domain it is: of each domain, only the largest counts, once.
fn sizes_of(
    rooms: &[Amount],
    shapes: &[Made],
    r: usize,
    at: impl Fn(bool, usize) -> Option<Option<u32>>,
) -> Vec<(u64, u64)> {
    let existing = rooms.iter().enumerate();
    let existing = existing.filter_map(|(v, room)| Some((part(*room, r), 1, at(true, v)?)));
    let new = shapes.iter();
    let new = new.filter_map(|shape| Some((part(shape.capacity, r), shape.most, at(false, shape.at)?)));
    let mut sizes: Vec<(u64, u64, Option<u32>)> = existing.chain(new).filter(|s| s.0 > 0).collect();
    sizes.sort_by_key(|size| std::cmp::Reverse(size.0));
    let mut seen = std::collections::BTreeSet::new();
    sizes
        .into_iter()
        .filter_map(|(size, many, domain)| match domain {
            None => Some((size, many)),
            Some(domain) => seen.insert(domain).then_some((size, 1)),
        })
        .collect()
}

const fn part(amount: Amount, r: usize) -> u64 {
    if r == 0 {
        amount.cpu as u64
    } else {
        amount.mem as u64
    }
}

impl<'a> Question<'a> {
    fn new(instance: &'a Instance) -> Self {
        let mut held = vec![0u64; instance.tiers.len()];
        for vm in &instance.vms {
            let mut tiers: Vec<usize> = vm.held.iter().map(|h| h.0).collect();
            tiers.sort_unstable();
            tiers.dedup();
            for tier in tiers {
                if let Some(count) = held.get_mut(tier) {
                    *count += 1;
                }
            }
        }
        let rooms: Vec<Amount> = instance.vms.iter().map(|vm| room_of(instance, vm)).collect();
        let with_demand = instance.tiers.iter().zip(held).enumerate();
        let sums = [0, 1].map(|r| {
            let mut sizes: Vec<u64> = rooms.iter().map(|room| part(*room, r)).collect();
            sizes.sort_unstable_by(|a, b| b.cmp(a));
            let mut sums = vec![0];
            for size in sizes {
                sums.push(sums.last().copied().unwrap_or(0) + size);
            }
            sums
        });
        let limit = instance.new_vm_limit().map_or(u64::from(u32::MAX), u64::from);
        let shapes: Vec<Made> = instance
            .shapes
            .iter()
            .enumerate()
            .map(|(at, shape)| Made {
                at,
                capacity: shape.capacity,
                price: i64::from(shape.price.unwrap_or(instance.weights.vm_create)),
                most: shape.max.map_or(limit, |max| limit.min(u64::from(max))),
            })
            .filter(|shape| shape.capacity.cpu > 0 && shape.capacity.mem > 0 && shape.most > 0)
            .collect();
        let sizes = [0, 1].map(|r| sizes_of(&rooms, &shapes, r, |_, _| Some(None)));
        let news = shapes.iter().map(|shape| shape.most).sum::<u64>().min(limit);
        Self {
            shapes,
            sizes,
            rooms,
            instance,
            weights: &instance.weights,
            tiers: with_demand
                .filter(|(_, (tier, _))| !tier.demand.is_zero())
                .map(|(ix, (tier, held))| (ix, tier, held))
                .collect(),
            sums,
            news,
        }
    }

    fn vms(&self) -> u64 {
        self.instance.vms.len() as u64
    }

    const fn removal(&self, tier: &Tier) -> i64 {
        match tier.max_node {
            Some(1) => self.weights.container_delete_pinned as i64,
            _ => self.weights.container_delete as i64,
        }
    }

    /// What it costs to delete every VM and every container.
    fn delete_all(&self) -> i64 {
        let containers: i64 = self
            .tiers
            .iter()
            .map(|(_, t, held)| self.removal(t) * *held as i64)
            .sum();
        containers + self.left_alone()
    }

    /// What it costs to use none of the VMs.
    fn left_alone(&self) -> i64 {
        let vms = self
            .instance
            .vms
            .iter()
            .map(|vm| i64::from(vm.prices(self.weights).1));
        vms.sum()
    }

    /// What it costs to use each existing VM, relative to leaving it alone.
    fn use_prices(&self) -> impl Iterator<Item = i64> {
        let prices = self.instance.vms.iter().map(|vm| vm.prices(self.weights));
        prices.map(|(used, left)| i64::from(used) - i64::from(left))
    }

    /// The largest VM there can be, in one resource.
    fn largest(&self, r: usize) -> u64 {
        let sizes = self.sizes.get(r).and_then(|sizes| sizes.first());
        sizes.map_or(0, |size| size.0)
    }

    /// The VMs that a tier may be on, by size in one resource, of each failure domain the largest. `None`: any.
    fn sizes_for(&self, tier: &Tier, r: usize) -> Option<Vec<(u64, u64)>> {
        let (allowed, domains) = (tier.rules.allowed.as_deref(), tier.rules.domains.as_deref());
        if allowed.is_none() && domains.is_none() {
            return None;
        }
        let sizes = sizes_of(&self.rooms, &self.shapes, r, |existing, at| {
            let may = allowed.is_none_or(|all| {
                let list = if existing { &all.vms } else { &all.shapes };
                list.get(at).copied().unwrap_or(false)
            });
            let domain = domains.map(|all| {
                let list = if existing { &all.vms } else { &all.shapes };
                list.get(at).copied().flatten()
            });
            match domain {
                None => may.then_some(None),
                Some(None) => None,
                Some(known) => may.then_some(known),
            }
        });
        Some(sizes)
    }

    /// Fewest VMs that a tier can be on: as many of the largest ones as its demand fills.
    fn fewest(&self, tier: &Tier) -> u64 {
        (0..2).fold(u64::from(tier.min_node.max(1)), |most, r| {
            let mut left = part(tier.demand, r);
            let mut count = 0u64;
            let own = self.sizes_for(tier, r);
            let sizes = own.as_deref().or_else(|| self.sizes.get(r).map(Vec::as_slice));
            for &(size, many) in sizes.unwrap_or_default() {
                if left == 0 {
                    break;
                }
                let taken = left.div_ceil(size).min(many);
                left = left.saturating_sub(size.saturating_mul(taken));
                count += taken;
            }
            most.max(if left > 0 { NEVER } else { count })
        })
    }

    /// The least that the containers of one tier cost, those removed included.
    fn containers(&self, tier: &Tier, held: u64) -> i64 {
        let fewest = self.fewest(tier);
        let price = |count: u64, kept: u64| {
            kept as i64 * i64::from(self.weights.container_set)
                + (count - kept) as i64 * i64::from(self.weights.container_create)
                + (held - kept) as i64 * self.removal(tier)
        };
        let steps = tier.demand.cpu.min(tier.demand.mem);
        let most = u64::from(tier.max_node.unwrap_or(u32::MAX).min(steps));
        [fewest, held.min(most).max(fewest)]
            .into_iter()
            .flat_map(|count| [price(count, 0), price(count, count.min(held))])
            .min()
            .unwrap_or(0)
    }

    /// What goes to waste in resource `r` of VMs that a tier fills in the other one, where it is on as
    /// few as it can be; the largest first.
    fn wastes(&self, r: usize) -> Vec<u64> {
        let full = 1 - r;
        let largest = self.largest(full);
        let new = self.shapes.iter().map(|shape| shape.capacity);
        let shapes = self.rooms.iter().copied().chain(new);
        let least = shapes
            .filter(|c| part(*c, full) == largest)
            .map(|c| part(c, r))
            .min();
        let mut wastes: Vec<u64> = self
            .tiers
            .iter()
            .map(|(_, tier, _)| {
                let count = self.fewest(tier);
                let fills = count.checked_mul(largest) == Some(part(tier.demand, full));
                let room = if fills { count * least.unwrap_or(0) } else { 0 };
                room.saturating_sub(part(tier.demand, r))
            })
            .filter(|&waste| waste > 0)
            .collect();
        wastes.sort_unstable_by(|a, b| b.cmp(a));
        wastes
    }

    /// The least that all containers cost.
    fn all_containers(&self) -> i64 {
        let tiers = self.tiers.iter();
        tiers.map(|(_, t, held)| self.containers(t, *held)).sum()
    }

    /// The least price of a placement with `from` new VMs or more, by what must be and what there is
    /// room for. `None` if there is none, or if counting takes too long.
    fn least(&self, from: u64) -> Option<i64> {
        let w = self.weights;
        let containers = self.all_containers();
        let new = match self.shapes.as_slice() {
            [] => None,
            [shape] => Some(*shape),
            // Which of them are made is not said: with all of them, it costs no less.
            _ => return mixture::least(self, None).map(|vms| vms + containers),
        };
        let capacity = new.map_or(Amount::default(), |shape| shape.capacity);
        let one_more = self
            .tiers
            .iter()
            .filter(|t| t.2 > 0)
            .map(|(_, t, _)| i64::from(w.container_set) - self.removal(t));
        let one_more = one_more.fold(i64::from(w.container_create), i64::min).max(0);
        let demand = [0, 1].map(|r| self.tiers.iter().map(|(_, t, _)| part(t.demand, r)).sum::<u64>());
        let wastes = [0, 1].map(|r| self.wastes(r));
        let left = wastes.each_ref().map(|wastes| {
            let mut left = vec![wastes.iter().sum::<u64>()];
            for waste in wastes {
                left.push(left.last().copied().unwrap_or(0) - waste);
            }
            left
        });
        let most_vms = self.instance.max_vms.map_or(u64::MAX, u64::from);
        let cheapest = self.use_prices().min().unwrap_or(0);
        let mut best: Option<i64> = None;
        let mut steps = 0u64;
        for used in 0..=self.vms().min(most_vms) {
            let most = if from == 0 { self.news } else { self.most_news() };
            let most = most.min(most_vms - used);
            let mut news = from;
            while news <= most {
                steps += 1;
                if steps > MOST_STEPS {
                    return None;
                }
                let vms = self.vm_price(used, news, cheapest);
                let spread = [0, 1].map(|r| {
                    let sums = self.sums.get(r)?;
                    let has = sums.get(usize::try_from(used).ok()?)? + part(capacity, r).saturating_mul(news);
                    let room = has.checked_sub(*demand.get(r)?)?;
                    left.get(r)
                        .map(|left| left.partition_point(|&waste| waste > room))
                });
                let [Some(a), Some(b)] = spread else {
                    // Not enough room yet: at least as many more as the demand needs.
                    news += self.missing(used, news, demand, capacity).max(1);
                    continue;
                };
                let price = vms + a.max(b) as i64 * one_more;
                best = Some(best.map_or(price, |best| best.min(price)));
                let idle = u64::from(self.instance.min_vms) > used + news;
                if (a, b) == (0, 0) && !idle || self.make_price() > 0 && !idle && Some(vms) >= best {
                    break;
                }
                news += 1;
            }
        }
        best.map(|vms| vms + containers)
    }

    /// How many new VMs more the demand needs.
    fn missing(&self, used: u64, news: u64, demand: [u64; 2], new: Amount) -> u64 {
        (0..2)
            .zip(demand)
            .map(|(r, demand)| {
                let new = part(new, r);
                let used = usize::try_from(used).unwrap_or(usize::MAX);
                let has = self.sums.get(r).and_then(|s| s.get(used)).copied().unwrap_or(0);
                let lacks = demand.saturating_sub(has.saturating_add(new.saturating_mul(news)));
                if new > 0 { lacks.div_ceil(new) } else { self.news }
            })
            .max()
            .unwrap_or(0)
    }

    /// The least that so many VMs cost, those left alone and idle ones kept included. `cheapest` is the
    /// least price of using an existing one.
    fn vm_price(&self, used: u64, news: u64, cheapest: i64) -> i64 {
        let w = self.weights;
        let spares = self.instance.vms.iter().filter(|vm| vm.spare).count() as u64;
        let standing = self.vms() - spares;
        let make = self.make_price();
        let usual = make == i64::from(w.vm_create);
        // Where VMs are made at another price, spares are not kept for nothing.
        let spares = if usual { spares } else { 0 };
        let most = self.instance.max_vms.map_or(u64::MAX, u64::from);
        let missing = u64::from(self.instance.min_vms)
            .min(most)
            .saturating_sub(used + news);
        let keep = i64::from(w.vm_use) - i64::from(w.vm_delete);
        // Of those used, some are spares: few or many of them, as leaves the cheaper kind for the idle.
        let idle = |used_spares: u64| {
            let old = standing.saturating_sub(used - used_spares);
            let fresh = (spares + self.news).saturating_sub(news + used_spares);
            let (kept, made) = if keep <= make {
                (missing.min(old), missing.saturating_sub(old).min(fresh))
            } else {
                (missing.saturating_sub(fresh).min(old), missing.min(fresh))
            };
            kept as i64 * keep + made as i64 * make
        };
        let idle = idle(used.saturating_sub(standing)).min(idle(used.min(spares)));
        self.left_alone() + used as i64 * cheapest + news as i64 * make + idle
    }

    /// What it costs to make the one kind of VM there is.
    fn make_price(&self) -> i64 {
        let usual = i64::from(self.weights.vm_create);
        self.shapes.first().map_or(usual, |shape| shape.price)
    }

    /// Whether whoever looked at up to `news` new VMs of each shape has seen every placement below `value`.
    fn covers(&self, news: &[usize], value: i64) -> bool {
        let most = self.most_news();
        if self.shapes.is_empty() {
            return true;
        }
        if self.shapes.len() == 1 {
            let news = news.first().map_or(0, |&n| n as u64);
            return news >= most || self.least(news + 1).is_none_or(|least| least >= value);
        }
        let containers = self.all_containers();
        let mut all = self.shapes.iter().zip(news).enumerate();
        news.len() == self.shapes.len()
            && all.all(|(at, (shape, &news))| {
                let more = news as u64 + 1;
                let least = || mixture::least(self, Some((at, more))).map(|vms| vms + containers);
                more > most.min(shape.most) || least().is_none_or(|least| least >= value)
            })
    }

    /// The most new VMs that a placement can use: each has a container.
    fn most_news(&self) -> u64 {
        let containers = self.tiers.iter().map(|(_, t, _)| {
            let steps = t.demand.cpu.min(t.demand.mem);
            u64::from(t.max_node.unwrap_or(u32::MAX).min(steps))
        });
        self.news.min(containers.sum())
    }
}
