//! The tiers' conditions on VMs, in the search's terms: where each may be, and how much it prefers
//! to be there.
//!
//! Most questions have no rules at all. Then nothing here is looked at.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::instance::{PerVm, Rules};

/// A VM: one that exists, or one still to be made, by its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Index into the existing VMs.
    Existing(usize),
    /// Index into the kinds of new ones.
    New(usize),
}

impl Origin {
    /// The existing VM, if it is one.
    #[must_use]
    pub const fn existing(self) -> Option<usize> {
        match self {
            Self::Existing(vm) => Some(vm),
            Self::New(_) => None,
        }
    }
}

/// The rules of one tier, in which kinds stand for shapes.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    allowed: Option<Arc<PerVm<bool>>>,
    domains: Option<Arc<PerVm<Option<u32>>>>,
    dislikes: Option<Arc<PerVm<u32>>>,
}

impl Rule {
    /// From the question's rules; `shapes` are the shapes of the kinds.
    #[must_use]
    pub fn new(rules: &Rules, shapes: &[usize]) -> Self {
        Self {
            allowed: rules.allowed.as_ref().map(|all| pick(all, shapes)),
            domains: rules.domains.as_ref().map(|all| pick(all, shapes)),
            dislikes: rules.dislikes.as_ref().map(|all| pick(all, shapes)),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.allowed.is_none() && self.domains.is_none() && self.dislikes.is_none()
    }

    /// An id that rules share if they allow a tier the same places, valid for as long as they
    /// exist.
    #[must_use]
    pub fn key(&self) -> (usize, usize) {
        let allowed = self.allowed.as_ref().map_or(0, |all| Arc::as_ptr(all).addr());
        (
            allowed,
            self.domains.as_ref().map_or(0, |all| Arc::as_ptr(all).addr()),
        )
    }

    /// Whether it restricts which VMs the tier may be on.
    #[must_use]
    pub const fn restricts(&self) -> bool {
        self.allowed.is_some() || self.domains.is_some()
    }

    /// Whether some VMs are preferred to others.
    #[must_use]
    pub const fn prefers(&self) -> bool {
        self.dislikes.is_some()
    }

    /// Whether the tier may be there.
    #[must_use]
    pub fn allows(&self, vm: Origin) -> bool {
        let allowed = self.allowed.as_ref();
        allowed.is_none_or(|all| of(all, vm).is_some_and(|&allowed| allowed))
            && (self.domains.is_none() || self.domain(vm).is_some())
    }

    /// The domain in which it may have one container, if there are domains.
    #[must_use]
    pub fn domain(&self, vm: Origin) -> Option<u32> {
        self.domains
            .as_ref()
            .and_then(|all| of(all, vm).copied().flatten())
    }

    /// Whether containers must be in different domains.
    #[must_use]
    pub const fn spreads(&self) -> bool {
        self.domains.is_some()
    }

    /// Whether no two of these VMs are in one domain.
    #[must_use]
    pub fn keeps_apart(&self, mut vms: impl Iterator<Item = Origin>) -> bool {
        let mut seen = BTreeSet::new();
        !self.spreads() || vms.all(|vm| seen.insert(self.domain(vm)))
    }

    /// How much the VM is disliked.
    #[must_use]
    pub fn dislike(&self, vm: Origin) -> i64 {
        let all = self.dislikes.as_ref();
        all.and_then(|all| of(all, vm))
            .map_or(0, |&dislike| i64::from(dislike))
    }

    /// The same for some of the VMs, by their order, followed by `more` on which anything is allowed.
    #[must_use]
    pub fn part(&self, vms: &[usize], more: usize) -> Self {
        // Domains that no VM of the whole has.
        let free = (0..).map(|n| Some(u32::MAX - n));
        Self {
            allowed: self
                .allowed
                .as_ref()
                .map(|all| extended(all, vms, std::iter::repeat_n(true, more))),
            domains: self
                .domains
                .as_ref()
                .map(|all| extended(all, vms, free.take(more))),
            dislikes: self
                .dislikes
                .as_ref()
                .map(|all| extended(all, vms, std::iter::repeat_n(0, more))),
        }
    }
}

fn of<T>(all: &PerVm<T>, vm: Origin) -> Option<&T> {
    match vm {
        Origin::Existing(vm) => all.vms.get(vm),
        Origin::New(kind) => all.shapes.get(kind),
    }
}

/// What is said of kinds, which are the shapes that are of any use.
fn pick<T: Copy>(all: &Arc<PerVm<T>>, shapes: &[usize]) -> Arc<PerVm<T>> {
    if shapes.iter().copied().eq(0..all.shapes.len()) {
        return Arc::clone(all);
    }
    let kinds = shapes.iter().filter_map(|&s| all.shapes.get(s).copied());
    Arc::new(PerVm {
        vms: all.vms.clone(),
        shapes: kinds.collect(),
    })
}

fn extended<T: Copy>(all: &Arc<PerVm<T>>, vms: &[usize], more: impl Iterator<Item = T>) -> Arc<PerVm<T>> {
    let own = vms.iter().filter_map(|&v| all.vms.get(v).copied());
    Arc::new(PerVm {
        vms: own.chain(more).collect(),
        shapes: all.shapes.clone(),
    })
}
