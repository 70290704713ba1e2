//! What is known of VMs besides their sizes, and what tiers ask of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{MOST_DISLIKED, PerVm, Rules};
use crate::model::topology::Shape;
use crate::model::{TierId, VmId};

/// What a placement must respect besides sizes, limits and ports. The default has no conditions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conditions {
    /// VMs that take nothing new: containers on them may stay, be resized within what they now hold
    /// together, or go.
    pub cordoned: BTreeSet<VmId>,
    /// Labels of VMs in use and of VMs that could be taken into use, for `spread`.
    pub labels: BTreeMap<VmId, BTreeMap<String, String>>,
    /// Labels of VMs that are still to be made, by shape, in addition to those that the topology
    /// gives it.
    pub shapes: BTreeMap<String, BTreeMap<String, String>>,
    /// Conditions of tiers. Tiers with the same conditions should share one.
    pub asks: BTreeMap<TierId, Arc<Ask>>,
}

/// A tier's conditions on VMs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ask {
    /// Where it may be. `None`: anywhere.
    pub admits: Option<BTreeSet<Candidate>>,
    /// How much it prefers the VM; more is better; 0 if nothing is said.
    pub scores: BTreeMap<Candidate, f64>,
    /// The label by which its containers are spread: no two are on VMs with the same value, and
    /// none is on a VM without the label. `None`: each VM has a value of its own.
    pub spread: Option<String>,
}

/// A VM, or a kind of VM that is still to be made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Candidate {
    /// A VM that exists.
    Vm(VmId),
    /// The topology's shape of this name; the empty name if the topology has only one, without a
    /// name.
    Shape(String),
}

impl Conditions {
    /// Whether VMs of the same size that are not in use yet may differ for some tier.
    #[must_use]
    pub fn tell_apart(&self) -> bool {
        !self.asks.is_empty() || !self.cordoned.is_empty()
    }

    /// The rules of every tier in `tiers`, in the solver's terms, on these VMs and shapes.
    pub(super) fn rules<'t>(
        &self,
        tiers: impl Iterator<Item = &'t TierId>,
        vms: &[VmId],
        shapes: &[Shape],
    ) -> Vec<Rules> {
        let mut known: BTreeMap<*const Ask, Rules> = BTreeMap::new();
        tiers
            .map(|tier| {
                let Some(ask) = self.asks.get(tier) else {
                    return Rules::default();
                };
                let rules = known.entry(Arc::as_ptr(ask));
                rules.or_insert_with(|| self.rules_of(ask, vms, shapes)).clone()
            })
            .collect()
    }

    fn rules_of(&self, ask: &Ask, vms: &[VmId], shapes: &[Shape]) -> Rules {
        let candidates = PerVm {
            vms: vms.iter().cloned().map(Candidate::Vm).collect(),
            shapes: shapes.iter().map(|s| Candidate::Shape(s.name.clone())).collect(),
        };
        let allowed = ask
            .admits
            .as_ref()
            .map(|admits| each(&candidates, |candidate| admits.contains(candidate)));
        Rules {
            allowed: allowed.map(Arc::new),
            domains: ask
                .spread
                .as_ref()
                .map(|label| Arc::new(self.domains(label, vms, shapes))),
            dislikes: dislikes(ask, &candidates).map(Arc::new),
        }
    }

    /// The failure domains of one label: its values, numbered.
    fn domains(&self, label: &str, vms: &[VmId], shapes: &[Shape]) -> PerVm<Option<u32>> {
        let of_vms = vms
            .iter()
            .map(|vm| self.labels.get(vm).and_then(|labels| labels.get(label)));
        let of_shapes = shapes.iter().map(|shape| {
            let besides = || self.shapes.get(&shape.name)?.get(label);
            shape.labels.get(label).or_else(besides)
        });
        let values: BTreeSet<&String> = of_vms.clone().chain(of_shapes.clone()).flatten().collect();
        let numbers: BTreeMap<&String, u32> = values.into_iter().zip(0..).collect();
        let number = |value: Option<&String>| value.and_then(|value| numbers.get(value)).copied();
        PerVm {
            vms: of_vms.map(number).collect(),
            shapes: of_shapes.map(number).collect(),
        }
    }
}

/// Scores as dislikes: the best VM has dislike zero. Their order is kept as far as the solver
/// distinguishes dislikes.
fn dislikes(ask: &Ask, candidates: &PerVm<Candidate>) -> Option<PerVm<u32>> {
    let score = |candidate: &Candidate| ask.scores.get(candidate).copied().unwrap_or(0.0);
    let all = candidates.vms.iter().chain(&candidates.shapes);
    let mut ranks: Vec<f64> = all.map(score).collect();
    ranks.sort_by(|a, b| b.total_cmp(a));
    ranks.dedup();
    let worst = ranks.len().saturating_sub(1);
    if worst == 0 {
        return None;
    }
    let most = usize::try_from(MOST_DISLIKED).unwrap_or(usize::MAX);
    Some(each(candidates, |candidate| {
        let rank = ranks.partition_point(|&better| better.total_cmp(&score(candidate)).is_gt());
        let dislike = if worst <= most { rank } else { rank * most / worst };
        u32::try_from(dislike).unwrap_or(MOST_DISLIKED)
    }))
}

fn each<T>(candidates: &PerVm<Candidate>, said: impl Fn(&Candidate) -> T) -> PerVm<T> {
    PerVm {
        vms: candidates.vms.iter().map(&said).collect(),
        shapes: candidates.shapes.iter().map(&said).collect(),
    }
}
