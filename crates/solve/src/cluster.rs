//! Exact placement on a handful of VMs, by depth-first search over the sets of VMs each tier is on.
//!
//! [`super::loads`] says whether amounts exist for the sets chosen so far, so no flow is computed
//! during the search. This is used on whole small instances and on neighbourhoods.
//!
//! The tree has a stack of its own instead of recursion, since a question may have tens of
//! thousands of tiers. The size of a search is limited in nodes, and its work is counted on the
//! meter.

#![allow(clippy::indexing_slicing, clippy::needless_range_loop)] // masks and ranks are made here and bounded by the array sizes

use super::amounts::{self, Place};
use super::idle::Idle;
use super::loads::bits;
use super::meter::Meter;
use super::resizes;
use super::resources::Amounts;
use super::watch::Watch;

mod floors;
mod walk;

pub use super::loads::Set;
pub use walk::search;

/// Most VMs in a cluster: one table has 2^MAX_VMS rows.
pub const MAX_VMS: usize = 18;
/// How many sets of VMs all tiers together may choose from.
const MAX_OPTIONS: usize = 2_000_000;

/// A VM of the cluster.
#[derive(Debug, Clone)]
pub struct ClusterVm {
    /// What it offers to the tiers of the cluster.
    pub capacity: Amounts,
    /// Price of having any container on it.
    pub cost: i64,
    /// VMs of the same class (and no existing container) are interchangeable; `None`: like no
    /// other.
    pub class: Option<u32>,
}

/// A tier of the cluster.
#[derive(Debug, Clone)]
pub struct ClusterTier {
    /// Amount to be placed on the cluster's VMs.
    pub demand: Amounts,
    /// Fewest containers in the cluster.
    pub min: usize,
    /// Most containers in the cluster.
    pub max: usize,
    /// Price of a container on each VM.
    pub cost: Vec<i64>,
    /// The VMs that it may be on.
    pub may: Set,
    /// For each VM, the others that it must not be on as well; empty if there are none.
    pub apart: Vec<Set>,
    /// Positions of the tiers it must not share a VM with.
    pub conflicts: Vec<usize>,
    /// What each VM holds of it now, or zeros.
    pub now: Vec<Amounts>,
}

impl ClusterTier {
    /// Whether the tier's rules treat two VMs the same.
    #[must_use]
    pub fn alike(&self, a: usize, b: usize) -> bool {
        let apart = |v: usize| self.apart.get(v).map_or(0, |others| others | 1 << v);
        self.may >> a & 1 == self.may >> b & 1 && (self.apart.is_empty() || apart(a) == apart(b))
    }
}

/// A question: place all tiers on the VMs at a price below `ceiling`.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// At most [`MAX_VMS`].
    pub vms: Vec<ClusterVm>,
    /// Any number.
    pub tiers: Vec<ClusterTier>,
    /// Most VMs used.
    pub max_used: usize,
    /// Which of the VMs exist already; the others are made or taken into use.
    pub standing: Set,
    /// Which of the VMs are made.
    pub new: Set,
    /// Most of those used.
    pub max_new: usize,
    /// What VMs kept without containers cost.
    pub idle: Idle,
    /// VMs in use outside of the cluster: standing and fresh ones.
    pub outside: [usize; 2],
    /// Price of each container that is kept at another size.
    pub resize_cost: i64,
}

impl Cluster {
    /// Whether this many VMs may be used.
    #[must_use]
    pub fn few_enough(&self, used: Set) -> bool {
        used.count_ones() as usize <= self.max_used && (used & self.new).count_ones() as usize <= self.max_new
    }

    /// The cost of the VMs in `used`, and of those that must be kept in addition.
    #[must_use]
    pub fn vm_price(&self, used: Set) -> i64 {
        let vms: i64 = bits(used).map(|v| self.vms[v].cost).sum();
        if self.idle.least == 0 {
            return vms;
        }
        let standing = (used & self.standing).count_ones() as usize;
        let fresh = (used & !self.standing).count_ones() as usize;
        vms + self
            .idle
            .price(self.outside[0] + standing, self.outside[1] + fresh)
    }

    /// The containers that these sets stand for.
    #[must_use]
    pub fn places(&self, sets: &[Set]) -> Vec<Place> {
        let tiers = self.tiers.iter().zip(sets).enumerate();
        tiers
            .flat_map(|(tier, (spec, &set))| {
                bits(set).map(move |vm| Place {
                    tier,
                    vm,
                    wish: spec.now[vm],
                })
            })
            .collect()
    }

    /// Amounts for these places, as close to what runs now as prices make worthwhile. `None` if
    /// there are none, or if the meter runs out first.
    #[must_use]
    pub fn amounts(&self, places: &[Place], meter: &mut Meter<'_>) -> Option<Vec<Amounts>> {
        let demands: Vec<Amounts> = self.tiers.iter().map(|t| t.demand).collect();
        let rooms: Vec<Amounts> = self.vms.iter().map(|v| v.capacity).collect();
        if self.resize_cost == 0 {
            return amounts::settle(&demands, &rooms, places, meter);
        }
        let most = places.len();
        resizes::fewest(&demands, &rooms, places, most, meter)?.amounts
    }

    /// Whether amounts exist for these sets.
    fn has_amounts(&self, sets: &[Set], meter: &mut Meter<'_>) -> bool {
        let demands: Vec<Amounts> = self.tiers.iter().map(|t| t.demand).collect();
        let rooms: Vec<Amounts> = self.vms.iter().map(|v| v.capacity).collect();
        amounts::settle(&demands, &rooms, &self.places(sets), meter).is_some()
    }
}

/// What the search found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Price of the best placement below the ceiling, and the set of VMs for each tier.
    pub best: Option<(i64, Vec<Set>)>,
    /// Placements at exactly the tie price asked for, met on the way.
    pub ties: Vec<Vec<Set>>,
    /// Whether the search was complete: nothing below the ceiling was missed.
    pub complete: bool,
    /// Nodes visited.
    pub nodes: u64,
}

/// How far to search.
#[derive(Clone, Copy)]
pub struct Reach<'a> {
    /// Only placements below this price count.
    pub ceiling: i64,
    /// Placements at exactly this price are remembered, but not improved on.
    pub tie_at: Option<i64>,
    /// How many of them.
    pub ties: usize,
    /// Nodes to visit.
    pub nodes: u64,
    /// Says when to give up.
    pub watch: Watch<'a>,
    /// Which half of the tree is searched; `None`: all of it.
    pub half: Option<Half>,
}

/// Half of a tree. Which half a branch belongs to depends only on the branch, so that together the
/// two leave nothing out, whatever else each worker knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// One half.
    Even,
    /// The other.
    Odd,
}

/// Searches both halves at once, and joins what they found. The answer does not depend on which is
/// faster.
#[must_use]
pub fn search_by_two(cluster: &Cluster, reach: Reach<'_>) -> Found {
    let half = |half| {
        search(
            cluster,
            Reach {
                half: Some(half),
                ..reach
            },
        )
    };
    std::thread::scope(|scope| {
        let odd = scope.spawn(|| half(Half::Odd));
        let mut found = half(Half::Even);
        // A search that panicked has found nothing, and proven nothing.
        let Ok(odd) = odd.join() else {
            found.complete = false;
            return found;
        };
        let price = |found: &Found| found.best.as_ref().map_or(i64::MAX, |b| b.0);
        Found {
            complete: found.complete && odd.complete,
            nodes: found.nodes + odd.nodes,
            best: if price(&odd) < price(&found) {
                odd.best
            } else {
                found.best
            },
            ties: found.ties.into_iter().chain(odd.ties).collect(),
        }
    })
}
