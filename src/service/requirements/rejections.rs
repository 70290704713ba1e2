//! Why nodes are impossible for a tier, in words. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::model::TierId;
use crate::solve::conditions::Candidate;

use crate::service::requirements::{Asked, Asks};

impl Asked {
    /// What a plan's author should know: tiers that depend on a single node, or have none.
    #[must_use]
    pub fn lonely(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut known: BTreeMap<*const Asks, Vec<&Candidate>> = BTreeMap::new();
        for (tier, asks) in self.tiers.iter().filter(|(_, asks)| !asks.refused.is_empty()) {
            // Only the first two are mentioned.
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

    /// Why a few of the nodes are impossible for a tier.
    fn few(&self, asks: &Asks) -> String {
        /// This many are mentioned.
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

    /// The reasons of nodes that are impossible for a tier, as details of an answer without a
    /// placement.
    #[must_use]
    pub fn rejections(&self) -> Vec<Value> {
        /// This many are mentioned for a tier.
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
