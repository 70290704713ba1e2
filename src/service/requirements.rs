//! What tiers ask of nodes, worked out for the nodes that there are: where each may be, how far apart its
//! containers are kept, which nodes it would rather be on, and why it may not be on the others. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::fault::{Code, Fault};
use crate::model::node::{Source, Standing};
use crate::model::topology::{Shape, Spread, Tier};
use crate::model::{About, Node, Size, TierId, Topology, VmId};
use crate::require::{Facts, Prefers, Requires};
use crate::solve::conditions::{Ask, Candidate, Conditions};

use super::nodes::Nodes;

/// What one request wants of where things are, besides what the tiers say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confine {
    /// Everything is to leave these, for this reason.
    pub leave: BTreeMap<VmId, String>,
    /// These tiers are to be on so many of these VMs and no others.
    pub only: BTreeMap<TierId, (u32, BTreeSet<VmId>)>,
}

/// Whether expressions that can't be evaluated count as false. They do on nodes that ever answered; of those of a
/// what-if nobody knows the capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// They do.
    IsFalse,
    /// They don't.
    IsFine,
}

/// What one tier asks of the nodes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asks {
    /// Why it may not be on these; it may be on the others.
    pub refused: BTreeMap<Candidate, Vec<String>>,
    /// How good each is, where it prefers some.
    scores: BTreeMap<Candidate, f64>,
    /// The label that it is spread by.
    spread: Option<String>,
}

/// What the tiers of a plan ask of the nodes that there are, and of those that could be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// By tier; those that ask for nothing are left out. Tiers that ask the same share it.
    pub tiers: BTreeMap<TierId, Arc<Asks>>,
    /// All that could be used.
    pub candidates: BTreeMap<Candidate, Node>,
}

/// What asking nodes has taken for one plan. It is done before the search, which alone has a deadline, so it needs
/// a bound of its own, in time and in memory.
#[derive(Default)]
struct Spent {
    answers: usize,
    steps: f64,
}

impl Spent {
    /// Answers of nodes, one for each node and each kind of tier.
    const MOST_ANSWERS: usize = 1_000_000;
    /// Steps of expressions; a second or two.
    const MOST_STEPS: f64 = 50_000_000.0;

    /// Counts that so many nodes are asked something that takes so many steps for each.
    fn ask(&mut self, nodes: usize, steps: f64) -> Result<(), Fault> {
        #[expect(clippy::cast_precision_loss)]
        let steps = nodes as f64 * steps;
        self.answers = self.answers.saturating_add(nodes);
        self.steps += steps;
        if self.answers <= Self::MOST_ANSWERS && self.steps <= Self::MOST_STEPS {
            return Ok(());
        }
        let message = format!(
            "it takes too long to find out which of {nodes} nodes the tiers may be on: write simpler \
             expressions, or let more tiers have the same requires, prefers and spread"
        );
        Err(Fault::new(Code::PlanTooLarge, message))
    }
}

/// Whether it takes too long to ask so many nodes something that takes so many steps for each.
#[must_use]
pub fn takes_too_long(nodes: usize, steps: f64) -> bool {
    Spent::default().ask(nodes, steps).is_err()
}

/// What the tiers of a plan ask of nodes.
///
/// # Errors
///
/// When they ask too much of too many nodes.
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
    // Many tiers may ask the same, and asking nodes takes time.
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
                for (vm, why) in &confine.leave {
                    let refused = asks.refused.entry(Candidate::Vm(vm.clone()));
                    refused.or_default().push(why.clone());
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
                for candidate in candidates.keys().filter(elsewhere) {
                    let why = format!("it is not where {} is to be", tier.id);
                    own.refused.entry(candidate.clone()).or_default().push(why);
                }
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

/// The most steps that what a tier asks takes for one node.
#[must_use]
pub fn steps_of(tier: &Tier) -> f64 {
    let requires = tier.requires.as_ref().map_or(0.0, Requires::steps);
    requires + tier.prefers.as_ref().map_or(0.0, Prefers::steps)
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
            // One that never answered may be what is required; nothing is begun on it before it is seen.
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

/// The failure domain of a node by a label; where it has no label of that name, by a capability, such as the zone
/// that a cloud tells of.
#[must_use]
pub fn domain(node: &Node, label: &str) -> Option<String> {
    let told = || node.capabilities.get(label).and_then(Value::as_str);
    let label = node.labels.get(label).map(String::as_str).or_else(told)?;
    Some(label.to_owned())
}

/// What VMs are like that are still to be made, one for each shape: what all that there are have in common, and
/// the labels of the shape.
#[must_use]
pub fn fresh(nodes: &Nodes, source: Source, shapes: &[Shape]) -> Vec<(String, Node)> {
    let mut common: Option<About> = None;
    let told = nodes.values().filter(|node| !node.capabilities.is_empty());
    for node in told {
        let about = About {
            labels: node.labels.clone(),
            capabilities: node.capabilities.clone(),
        };
        common = Some(match common {
            None => about,
            Some(common) => common.alike(&about),
        });
    }
    let common = common.unwrap_or_default();
    let node = |shape: &Shape| {
        let mut labels = common.labels.clone();
        labels.extend(
            shape
                .labels
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        let node = Node {
            id: VmId::new_vm(0),
            source,
            standing: Standing::Ready,
            reason: None,
            since: jiff::Timestamp::UNIX_EPOCH,
            ip: None,
            size: shape.size,
            used: None,
            labels,
            capabilities: common.capabilities.clone(),
            health: serde_json::Map::new(),
            epoch: None,
        };
        (shape.name.clone(), node)
    };
    shapes.iter().map(node).collect()
}

impl Asked {
    /// The same for the solver. `cordoned` take nothing new.
    #[must_use]
    pub fn conditions(&self, cordoned: BTreeSet<VmId>) -> Conditions {
        let mut shared: Vec<(&Arc<Asks>, Arc<Ask>)> = Vec::new();
        let mut asks = BTreeMap::new();
        let mut by_label: BTreeSet<&String> = BTreeSet::new();
        for (tier, of) in &self.tiers {
            by_label.extend(&of.spread);
            let itself = shared.iter().find(|(other, _)| Arc::ptr_eq(other, of));
            let ask = match itself.or_else(|| shared.iter().find(|(other, _)| *other == of)) {
                Some((_, ask)) => Arc::clone(ask),
                None => {
                    let ask = Arc::new(self.ask(of));
                    shared.push((of, Arc::clone(&ask)));
                    ask
                }
            };
            asks.insert(tier.clone(), ask);
        }
        let mut labels: BTreeMap<VmId, BTreeMap<String, String>> = BTreeMap::new();
        let mut shapes: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for (candidate, node) in &self.candidates {
            let domains = by_label
                .iter()
                .filter_map(|label| Some(((*label).clone(), domain(node, label)?)));
            match candidate {
                Candidate::Vm(id) => labels.insert(id.clone(), domains.collect()),
                Candidate::Shape(name) => shapes.insert(name.clone(), domains.collect()),
            };
        }
        Conditions {
            cordoned,
            labels,
            shapes,
            asks,
        }
    }

    fn ask(&self, of: &Asks) -> Ask {
        let admitted = self
            .candidates
            .keys()
            .filter(|candidate| !of.refused.contains_key(*candidate));
        Ask {
            admits: (!of.refused.is_empty()).then(|| admitted.cloned().collect()),
            scores: of.scores.clone(),
            spread: of.spread.clone(),
        }
    }

    /// What a plan's author should know: tiers that hang on one node, or have none.
    #[must_use]
    pub fn lonely(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut known: BTreeMap<*const Asks, Vec<&Candidate>> = BTreeMap::new();
        for (tier, asks) in self.tiers.iter().filter(|(_, asks)| !asks.refused.is_empty()) {
            // The first two say all that is told of them.
            let left = known.entry(Arc::as_ptr(asks)).or_insert_with(|| {
                let left = self.candidates.keys();
                left.filter(|candidate| !asks.refused.contains_key(*candidate))
                    .take(2)
                    .collect()
            });
            match left.as_slice() {
                [] => {
                    let why = self.few(asks);
                    warnings.push(format!("there is no node that {tier} may be on: {why}"));
                }
                [Candidate::Vm(only)] if self.candidates.len() > 1 => warnings.push(format!(
                    "{tier} may be on one node only, '{only}': where that is lost, it can't be placed"
                )),
                _ => {}
            }
        }
        warnings
    }

    /// Why a few of the nodes are none for a tier.
    fn few(&self, asks: &Asks) -> String {
        /// So many are told of.
        const FEW: usize = 3;
        let told: Vec<String> = asks
            .refused
            .iter()
            .take(FEW)
            .map(|(candidate, reasons)| format!("{}: {}", named(candidate), reasons.join(", ")))
            .collect();
        match asks.refused.len().saturating_sub(FEW) {
            0 => told.join("; "),
            more => format!("{}; and {more} more", told.join("; ")),
        }
    }

    /// The reasons of nodes that are none for a tier, as details of an answer that there is no placement.
    #[must_use]
    pub fn rejections(&self) -> Vec<Value> {
        /// So many are told of for a tier.
        const MOST: usize = 30;
        let of = |(tier, asks): (&TierId, &Arc<Asks>)| {
            let refused = asks.refused.iter().take(MOST);
            let told = refused.map(|(candidate, reasons)| {
                let node = match candidate {
                    Candidate::Vm(id) => Some(id),
                    Candidate::Shape(_) => None,
                };
                json!({ "code": "rejected", "tier": tier, "node": node, "reasons": reasons })
            });
            told.collect::<Vec<Value>>()
        };
        self.tiers.iter().flat_map(of).collect()
    }
}

fn named(candidate: &Candidate) -> String {
    match candidate {
        Candidate::Vm(id) => format!("'{id}'"),
        Candidate::Shape(name) if name.is_empty() => "a new VM".to_owned(),
        Candidate::Shape(name) => format!("a new VM of shape {name}"),
    }
}

/// The topology with the numbers of nodes that a request wants of its tiers.
#[must_use]
pub fn confined(topology: &Topology, confine: &Confine) -> Topology {
    let mut topology = topology.clone();
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
