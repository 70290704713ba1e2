//! What tiers ask of nodes, worked out for the nodes that there are: where each may be, how far apart its
//! containers are kept, which nodes it would rather be on, and why it may not be on the others. Pure.

mod conditions;
mod effort;
mod fresh;
mod rejections;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::fault::Fault;
use crate::model::topology::{Spread, Tier};
use crate::model::{Node, Size, TierId, Topology, VmId};
use crate::require::Facts;
use crate::solve::conditions::Candidate;

use crate::service::nodes::Nodes;

pub use effort::{steps_of, takes_too_long};
pub use fresh::{domain, fresh};

use effort::Spent;

/// Where one request wants things to be, besides what the tiers say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confine {
    /// Everything is to leave these.
    pub leave: BTreeSet<VmId>,
    /// These tiers are to be on so many of these VMs and no others.
    pub only: BTreeMap<TierId, (u32, BTreeSet<VmId>)>,
    /// So many VMs are to be there, used or not; 0 for no more than are used.
    pub vms: Option<u32>,
}

/// Whether expressions that can't be evaluated count as false. They do for nodes that have ever
/// answered; in a what-if, nobody knows the capabilities of the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// They do.
    IsFalse,
    /// They don't.
    IsFine,
}

/// The conditions of one tier.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asks {
    /// Why it may not be on these; it may be on the others.
    pub refused: BTreeMap<Candidate, Vec<String>>,
    /// Where one request wants it not to be, besides.
    pub confined: BTreeSet<Candidate>,
    /// Shapes of VMs to be made that would do: if only a request wants something, all of them would.
    pub shapes: BTreeSet<Candidate>,
    /// How good each is, where it prefers some.
    scores: BTreeMap<Candidate, f64>,
    /// The label by which it is spread.
    spread: Option<String>,
}

/// The conditions of a plan's tiers, for the nodes that exist and those that could be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// By tier; those without conditions are left out. Tiers with the same conditions share them.
    pub tiers: BTreeMap<TierId, Arc<Asks>>,
    /// All that could be used.
    pub candidates: BTreeMap<Candidate, Node>,
}

/// Works out the conditions of a plan's tiers.
///
/// # Errors
///
/// When that takes too long for that many nodes.
pub fn asked(
    topology: &Topology,
    tiers: &BTreeMap<TierId, Size>,
    nodes: &Nodes,
    fresh: Vec<(String, Node)>,
    confine: &Confine,
    unknown: Unknown,
) -> Result<Asked, Fault> {
    let there = nodes
        .iter()
        .map(|(id, node)| (Candidate::Vm(id.clone()), node.clone()));
    let fresh = fresh
        .into_iter()
        .map(|(shape, node)| (Candidate::Shape(shape), node));
    let candidates: BTreeMap<Candidate, Node> = there.chain(fresh).collect();
    let wanted = tiers.iter().filter(|(_, size)| **size != Size::ZERO);
    let wanted = wanted.filter_map(|(id, _)| topology.tiers.get(id));
    // Many tiers may have the same conditions, and asking nodes takes time.
    let mut known: Vec<(&Tier, Arc<Asks>)> = Vec::new();
    let mut facts: Option<BTreeMap<&Candidate, Facts>> = None;
    let mut spent = Spent::default();
    let mut all = BTreeMap::new();
    for tier in wanted {
        let same = |other: &Tier| {
            (&other.requires, &other.prefers, &other.spread) == (&tier.requires, &tier.prefers, &tier.spread)
        };
        let nothing = tier.requires.is_none() && tier.prefers.is_none() && tier.spread == Spread::Node;
        let shared = match known.iter().find(|(other, _)| same(other)) {
            Some((_, asks)) => Arc::clone(asks),
            None => {
                let mut asks = if nothing {
                    Asks::default()
                } else {
                    spent.ask(candidates.len(), steps_of(tier))?;
                    let facts = facts.get_or_insert_with(|| {
                        let each = candidates.iter();
                        each.map(|(candidate, node)| (candidate, node.facts())).collect()
                    });
                    asks_of(tier, &candidates, facts, unknown)
                };
                asks.confined = confine.leave.iter().cloned().map(Candidate::Vm).collect();
                if nothing && !asks.confined.is_empty() {
                    let kinds = topology.infrastructure.kinds();
                    asks.shapes = kinds
                        .into_iter()
                        .map(|kind| Candidate::Shape(kind.name))
                        .collect();
                }
                let asks = Arc::new(asks);
                known.push((tier, Arc::clone(&asks)));
                asks
            }
        };
        let asks = match confine.only.get(&tier.id) {
            None => shared,
            Some((_, only)) => {
                spent.ask(candidates.len(), 0.0)?;
                let mut own = Asks::clone(&shared);
                let elsewhere = |candidate: &&Candidate| match candidate {
                    Candidate::Vm(id) => !only.contains(id),
                    Candidate::Shape(_) => true,
                };
                own.confined.extend(candidates.keys().filter(elsewhere).cloned());
                own.shapes.clear();
                Arc::new(own)
            }
        };
        if *asks != Asks::default() {
            all.insert(tier.id.clone(), asks);
        }
    }
    Ok(Asked {
        tiers: all,
        candidates,
    })
}

fn asks_of(
    tier: &Tier,
    candidates: &BTreeMap<Candidate, Node>,
    facts: &BTreeMap<&Candidate, Facts>,
    unknown: Unknown,
) -> Asks {
    let mut asks = Asks::default();
    if let Some(requires) = &tier.requires {
        for (candidate, facts) in facts {
            // One that has never answered may have what is required; nothing is begun on it before
            // it has answered.
            let unheard = candidates
                .get(*candidate)
                .is_none_or(|node| node.capabilities.is_empty());
            let reasons = if unheard || unknown == Unknown::IsFine {
                requires.refuted(facts)
            } else {
                requires.unmet(facts)
            };
            if !reasons.is_empty() {
                asks.refused.insert((*candidate).clone(), reasons);
            }
        }
    }
    if let Some(prefers) = &tier.prefers {
        let score = |facts: &Facts| prefers.score(facts).unwrap_or_default();
        let scores = facts
            .iter()
            .map(|(candidate, facts)| ((*candidate).clone(), score(facts)));
        asks.scores = scores.collect();
    }
    if let Spread::Label(label) = &tier.spread {
        asks.spread = Some(label.clone());
        for (candidate, node) in candidates {
            if domain(node, label).is_none() {
                let refused = asks.refused.entry(candidate.clone()).or_default();
                refused.push(format!("spread: it has no label {label}"));
            }
        }
    }
    asks
}

impl Asked {
    /// The same, where a tier can't be on some VMs for another reason besides.
    #[must_use]
    pub fn barred(&self, barred: &BTreeMap<TierId, BTreeMap<VmId, String>>) -> Self {
        let mut asked = self.clone();
        for (tier, vms) in barred {
            // Tiers that ask the same share it.
            let asks = Arc::make_mut(asked.tiers.entry(tier.clone()).or_default());
            for (vm, why) in vms {
                let refused = asks.refused.entry(Candidate::Vm(vm.clone()));
                refused.or_default().push(why.clone());
            }
        }
        asked
    }
}

/// The topology with the numbers of nodes that a request wants of its tiers, and with the number of VMs that it wants, or
/// that are kept by hand.
#[must_use]
pub fn confined(topology: &Topology, confine: &Confine, capacity: Option<u32>) -> Topology {
    let mut topology = topology.clone();
    let infrastructure = &mut topology.infrastructure;
    match (confine.vms, capacity) {
        // No more than are used are kept, then.
        (Some(0), _) | (None, None) => {}
        (Some(exactly), _) => {
            infrastructure.min_vms = exactly;
            infrastructure.max_vms = Some(exactly);
        }
        (None, Some(least)) => {
            // A limit that was lowered since counts for more.
            let most = infrastructure.max_vms.unwrap_or(u32::MAX);
            infrastructure.min_vms = infrastructure.min_vms.max(least.min(most));
        }
    }
    for (tier, (count, _)) in &confine.only {
        if let Some(tier) = topology.tiers.get_mut(tier) {
            tier.min_node = *count;
            tier.max_node = Some(*count);
        }
    }
    topology
}

#[cfg(test)]
mod tests;
