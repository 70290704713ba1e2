//! What new VMs of one kind can do for a tier by themselves.

#![allow(clippy::indexing_slicing)] // items and kinds are those of the problem

use crate::problem::Problem;
use crate::resources::RESOURCES;

/// What new VMs of one kind can do for an item on their own.
pub struct Alone {
    /// More of them would be of no use.
    pub most: usize,
    /// Whether that many hold all of it.
    pub enough: bool,
}

impl Alone {
    /// Nothing.
    pub const NONE: Self = Self {
        most: 0,
        enough: false,
    };
}

/// Whether new VMs of a kind have some of everything that an item asks for.
pub fn has_all(problem: &Problem, item: usize, kind: usize) -> bool {
    let (demand, has) = (problem.items[item].demand, problem.kinds[kind].capacity);
    (0..RESOURCES).all(|r| demand[r] == 0 || has[r] > 0)
}

/// How many new VMs of a kind an item needs by itself, for what such VMs have.
pub fn news_needed(problem: &Problem, item: usize, kind: usize) -> usize {
    let it = &problem.items[item];
    let mut need = it.min_nodes.max(1);
    for r in 0..RESOURCES {
        let each = problem.kinds[kind].capacity[r];
        if each == 0 {
            continue;
        }
        let count = (it.demand[r] + each - 1) / each;
        need = need.max(usize::try_from(count).unwrap_or(usize::MAX));
    }
    need
}

/// What a kind can do for an item.
pub fn alone(problem: &Problem, item: usize, kind: usize) -> Alone {
    let it = &problem.items[item];
    let need = news_needed(problem, item, kind);
    // All VMs of a kind are in one failure domain, if there are domains.
    let domain = if it.rule.spreads() { 1 } else { usize::MAX };
    let most = need
        .min(it.max_nodes)
        .min(problem.max_new)
        .min(problem.kinds[kind].max)
        .min(domain);
    Alone {
        most,
        enough: most == need && it.min_nodes <= most && has_all(problem, item, kind),
    }
}
