//! The tiers' conditions, in the solver's terms. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::VmId;
use crate::solve::conditions::{Ask, Candidate, Conditions};

use crate::service::requirements::{Asked, Asks, domain};

impl Asked {
    /// The same for the solver. `cordoned` VMs take nothing new.
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
        let fits = |candidate: &&Candidate| {
            !of.refused.contains_key(*candidate) && !of.confined.contains(*candidate)
        };
        let admitted = self.candidates.keys().filter(fits).chain(&of.shapes);
        let anywhere = of.refused.is_empty() && of.confined.is_empty();
        Ask {
            admits: (!anywhere).then(|| admitted.cloned().collect()),
            scores: of.scores.clone(),
            spread: of.spread.clone(),
        }
    }
}
