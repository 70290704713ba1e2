//! Lower bounds that cost almost nothing: what follows from volume and spreading alone.
//!
//! A bound here must hold for every placement of the instance, whatever the weights.

#![allow(clippy::indexing_slicing, clippy::needless_range_loop)] // prefix sums are built to the length they are read at

use super::meter::Meter;
use super::problem::{Kind, Problem, VM_CAP};
use super::resources::{Amounts, NOTHING, RESOURCES, minus, plus, within};

mod cover;

use cover::Cover;

/// Least price of all containers, each tier on its own: as many as its demand or `min_node`
/// requires; kept ones first if those are cheaper.
#[must_use]
pub fn containers(problem: &Problem) -> i64 {
    (0..problem.items.len())
        .map(|item| item_floor(problem, item))
        .sum()
}

/// Least price of the containers of one tier.
#[must_use]
pub fn item_floor(problem: &Problem, item: usize) -> i64 {
    let it = &problem.items[item];
    let held = it.held_on.len();
    let price = |n: usize| {
        let kept = n.min(held) as i64;
        let cheap = it.keep_cost.min(problem.create_cost);
        kept * cheap + (n as i64 - kept) * problem.create_cost
    };
    // Keeping more than needed is only worth it if removing costs more than keeping.
    price(it.min_nodes).min(price(held.clamp(it.min_nodes, it.max_nodes.max(it.min_nodes))))
}

/// The VMs with which the volume bound is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fleet {
    /// Price of the VMs, and of the containers beyond [`containers`]: enough of the largest
    /// existing VMs and new ones for all demand and all waste. Each tier that wastes room may be
    /// spread over one more VM instead.
    pub price: i64,
    /// Existing VMs used.
    pub used: usize,
    /// New VMs used; not counted if there are several kinds.
    pub news: usize,
    /// Tiers spread against waste of each resource, the most wasteful ones.
    pub spreads: [usize; RESOURCES],
}

impl Fleet {
    /// Tiers spread against waste of the resource of which the most would go to waste.
    fn most_spread(&self) -> usize {
        self.spreads.into_iter().max().unwrap_or(0)
    }
}

/// The cheapest combination of VMs and spreading that volume allows. `None` if no number of VMs is
/// enough, or if the meter runs out first.
#[must_use]
pub fn fleet(problem: &Problem, meter: &mut Meter<'_>) -> Option<Fleet> {
    let Some(kind) = problem.only_kind() else {
        return mixed(problem, meter);
    };
    let volume = Volume::new(problem, kind);
    let mut best: Option<Fleet> = None;
    for used in 0..=volume.most_used() {
        let Some(least) = news_needed(kind, volume.left(used)) else {
            continue;
        };
        let most = problem.max_new.min(problem.max_vms.saturating_sub(used));
        // More VMs than volume needs save spreading. If they cost nothing, take as many as save
        // most.
        let free = kind.cost == 0 && problem.idle.least == 0;
        let first = if free {
            volume.as_good_as(used, least, most.max(least))
        } else {
            least
        };
        for news in first..=most {
            if !meter.spend(8) {
                return None;
            }
            let Some(fleet) = volume.fleet(used, news) else {
                break;
            };
            if best.is_none_or(|b| fleet.price < b.price) {
                best = Some(fleet);
            }
            if fleet.most_spread() == 0 || volume.extra == 0 {
                break;
            }
            let vms_alone = fleet.price - fleet.most_spread() as i64 * volume.extra;
            if best.is_some_and(|b| vms_alone >= b.price && problem.idle.least == 0) {
                break;
            }
        }
    }
    best
}

/// The same with several kinds of new VM: the least cost of a mixture with enough room. Spreading
/// is not counted.
fn mixed(problem: &Problem, meter: &mut Meter<'_>) -> Option<Fleet> {
    let rooms = rooms(problem);
    let cover = Cover::new(problem);
    let total = problem.total();
    let mut best: Option<Fleet> = None;
    for (used, room) in rooms.iter().enumerate() {
        if used > problem.max_vms || !meter.spend(8) {
            break;
        }
        let left = minus(total, *room);
        let price = cover.with_existing(problem, used, left);
        if best.is_none_or(|b| price < b.price) {
            best = Some(Fleet {
                price,
                used,
                news: 0,
                spreads: [0; RESOURCES],
            });
        }
    }
    best
}

/// Room of the largest existing VMs, by their number; each resource on its own.
fn rooms(problem: &Problem) -> Vec<Amounts> {
    let sorted = |r: usize| {
        let mut sizes: Vec<i64> = problem.existing.iter().map(|c| c[r]).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        sizes
    };
    let sorted: Vec<Vec<i64>> = (0..RESOURCES).map(sorted).collect();
    let mut room = vec![NOTHING];
    let mut sum = NOTHING;
    for nth in 0..problem.existing.len() {
        sum = plus(sum, std::array::from_fn(|r| sorted[r][nth]));
        room.push(sum);
    }
    room
}

/// What volume says about numbers of VMs.
struct Volume<'a> {
    problem: &'a Problem,
    kind: Kind,
    /// Room of the largest existing VMs, by their number; each resource on its own.
    room: Vec<Amounts>,
    spread: [Spreading; RESOURCES],
    /// Least price of one more container.
    extra: i64,
    total: Amounts,
}

impl<'a> Volume<'a> {
    fn new(problem: &'a Problem, kind: Kind) -> Self {
        Self {
            problem,
            kind,
            room: rooms(problem),
            spread: std::array::from_fn(|r| Spreading::new(problem, r)),
            // If keeping a container is cheaper than removing it, that is already counted.
            extra: problem.create_cost.min(problem.least_keep()).max(0),
            total: problem.total(),
        }
    }

    fn most_used(&self) -> usize {
        self.problem.existing.len().min(self.problem.max_vms)
    }

    /// Demand for which this many existing VMs have no room.
    fn left(&self, used: usize) -> Amounts {
        minus(self.total, self.room[used])
    }

    /// The least cost of these numbers of VMs, if they are allowed and enough.
    fn fleet(&self, used: usize, news: usize) -> Option<Fleet> {
        let problem = self.problem;
        if used.saturating_add(news) > problem.max_vms || news > problem.max_new {
            return None;
        }
        let left = self.left(used);
        let new = self.kind.capacity.map(|has| has.saturating_mul(news as i64));
        let room = minus(new, left);
        if !within(NOTHING, room) {
            return None;
        }
        let spreads: [usize; RESOURCES] = std::array::from_fn(|r| self.spread[r].least(room[r]));
        let most = spreads.into_iter().max().unwrap_or(0) as i64;
        let vms = used as i64 * problem.use_cost + news as i64 * self.kind.cost;
        let price = vms + problem.idle.least_price(used, news) + most * self.extra;
        Some(Fleet {
            price,
            used,
            news,
            spreads,
        })
    }

    /// The fewest new VMs, from `least` on, that save as much spreading as `most` do.
    fn as_good_as(&self, used: usize, least: usize, most: usize) -> usize {
        let spreads = |news: usize| self.fleet(used, news).map(|fleet| fleet.spreads);
        let best = spreads(most);
        let (mut low, mut high) = (least, most);
        while low < high {
            let middle = low + (high - low) / 2;
            if spreads(middle) == best {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    /// The least cost of this many new VMs, together with as many existing ones as they need.
    fn with_news(&self, news: usize) -> Option<i64> {
        (0..=self.most_used())
            .filter_map(|used| self.fleet(used, news))
            .map(|fleet| fleet.price)
            .min()
    }
}

/// Fewest tiers that must be spread so that what the others waste of one resource fits into some
/// room.
struct Spreading {
    /// Waste left when the k most wasteful tiers are spread.
    left: Vec<i64>,
}

impl Spreading {
    fn new(problem: &Problem, r: usize) -> Self {
        let mut wastes: Vec<i64> = problem
            .items
            .iter()
            .map(|it| it.waste[r])
            .filter(|&w| w > 0)
            .collect();
        wastes.sort_unstable();
        let mut left = vec![0];
        let mut sum = 0;
        for waste in wastes {
            sum += waste;
            left.push(sum);
        }
        left.reverse();
        Self { left }
    }

    fn least(&self, room: i64) -> usize {
        self.left.partition_point(|&waste| waste > room)
    }
}

/// How many new VMs hold `rest`, if that many may be made.
fn news_needed(kind: Kind, rest: Amounts) -> Option<usize> {
    let mut need = 0usize;
    for r in 0..RESOURCES {
        if rest[r] > 0 {
            if kind.capacity[r] == 0 {
                return None;
            }
            let n = (rest[r] + kind.capacity[r] - 1) / kind.capacity[r];
            need = need.max(usize::try_from(n).unwrap_or(usize::MAX));
        }
    }
    (need <= kind.max).then_some(need)
}

/// How many new VMs the demand needs at least, if that is more than [`VM_CAP`].
#[must_use]
pub fn too_many(problem: &Problem) -> Option<u64> {
    let total = problem.total();
    let mut most = 0u64;
    // If no new VM has any of it, their number does not matter.
    for r in (0..RESOURCES).filter(|&r| problem.largest_new()[r] > 0) {
        let existing: i64 = problem.existing.iter().map(|c| c[r]).sum();
        let left = (total[r] - existing).max(0) as u64;
        most = most.max(left.div_ceil(problem.largest_new()[r] as u64));
    }
    (problem.max_new > 0 && most > VM_CAP as u64).then_some(most)
}

/// Up to this many VMs, each number of new ones is looked at.
const CLOSELY: usize = 1_000;

/// Most new VMs of each kind that a placement cheaper than `below` (relative price) can use.
#[must_use]
pub fn most_news(problem: &Problem, below: Option<i64>) -> Vec<usize> {
    let spread = problem
        .items
        .iter()
        .fold(0usize, |sum, it| sum.saturating_add(it.max_nodes))
        .min(problem.max_new)
        .min(problem.max_vms)
        .min(VM_CAP);
    let of = |kind: Kind| match below {
        Some(below) if kind.cost > 0 => most_of(problem, kind, below, spread.min(kind.max)),
        _ => spread.min(kind.max),
    };
    problem.kinds.iter().map(|&kind| of(kind)).collect()
}

/// The same of one kind, where no more than `spread` can be.
fn most_of(problem: &Problem, kind: Kind, below: i64, spread: usize) -> usize {
    let free = problem.use_cost.min(0) * problem.existing.len() as i64;
    let left = below - 1 - containers(problem) - free;
    let most = usize::try_from(left.max(0) / kind.cost)
        .unwrap_or(spread)
        .min(spread);
    if problem.existing.len().max(most) > CLOSELY {
        return most;
    }
    let rest = below - containers(problem);
    if problem.only_kind().is_some() {
        let volume = Volume::new(problem, kind);
        return (0..=most)
            .rev()
            .find(|&news| volume.with_news(news).is_some_and(|price| price < rest))
            .unwrap_or(0);
    }
    let rooms = rooms(problem);
    let cover = Cover::new(problem);
    let total = problem.total();
    let with_news = |news: usize| {
        let prices = rooms.iter().enumerate().take(problem.max_vms.saturating_add(1));
        let prices = prices.map(|(used, room)| {
            let has = |r: usize| room[r] + kind.capacity[r].saturating_mul(news as i64);
            let left = std::array::from_fn(|r| total[r] - has(r));
            cover.beside(problem, used, news, kind.cost, left)
        });
        prices.min()
    };
    // The more of them there are, the more everything costs.
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if with_news(middle).is_some_and(|price| price < rest) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}
