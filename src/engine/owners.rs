//! Whose containers are ours.
//!
//! Each data directory has an owner id, and every container carries the id of the data directory
//! that made it. A container of another owner is foreign, however much it looks like one of ours:
//! another `mapek` may be looking after it at this moment.
//!
//! The first versions made containers without an owner. Such a container is ours only once it is
//! taken over, which the service does for those that its record knows; it goes by the engine's id of
//! the container then, since labels can't be changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use super::{LABEL_MANAGED, LABEL_OWNER, LABEL_REVISION};

/// Whose containers are ours. Clones share what is learnt.
#[derive(Clone, Debug)]
pub struct Owners {
    own: Arc<str>,
    known: Arc<RwLock<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// Ids of other data directories, lost by now, whose containers were adopted.
    adopted: BTreeSet<String>,
    /// Engines' ids of containers without an owner that were taken over.
    taken_over: BTreeSet<String>,
}

impl Default for Owners {
    fn default() -> Self {
        Self::new("", [])
    }
}

impl Owners {
    /// The owner with this id, who has adopted these others.
    #[must_use]
    pub fn new(own: &str, adopted: impl IntoIterator<Item = String>) -> Self {
        let known = Known {
            adopted: adopted.into_iter().collect(),
            taken_over: BTreeSet::new(),
        };
        Self {
            own: Arc::from(own),
            known: Arc::new(RwLock::new(known)),
        }
    }

    /// The id that new containers are labelled with.
    #[must_use]
    pub fn own(&self) -> &str {
        &self.own
    }

    /// Whether containers with this owner's id are ours.
    #[must_use]
    pub fn has(&self, owner: &str) -> bool {
        *owner == *self.own || self.read(|known| known.adopted.contains(owner))
    }

    /// From now on, containers of this owner are ours too.
    pub fn adopt(&self, owner: &str) {
        self.write(|known| known.adopted.insert(owner.to_owned()));
    }

    /// From now on, the container with this id is ours, if it has no owner.
    pub fn take_over(&self, container: &str) {
        self.write(|known| known.taken_over.insert(container.to_owned()));
    }

    /// Whether a container with this id and these labels is ours.
    #[must_use]
    pub fn own_container(&self, id: &str, labels: &BTreeMap<String, String>) -> bool {
        if !is_labelled(labels) {
            return false;
        }
        match labels.get(LABEL_OWNER) {
            Some(owner) => self.has(owner),
            None => self.read(|known| known.taken_over.contains(id)),
        }
    }

    /// Takes out of a container's labels what only the data directory that wrote them can make sense of: revisions
    /// have a key.
    pub fn tidy(&self, labels: &mut BTreeMap<String, String>) {
        if labels.get(LABEL_OWNER).is_none_or(|owner| **owner != *self.own) {
            labels.remove(LABEL_REVISION);
        }
    }

    fn read<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether any `mapek` made a container with these labels.
pub(super) fn is_labelled(labels: &BTreeMap<String, String>) -> bool {
    labels.get(LABEL_MANAGED).is_some_and(|value| value == "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(owner: Option<&str>) -> BTreeMap<String, String> {
        let managed = (LABEL_MANAGED.to_owned(), "true".to_owned());
        let owner = owner.map(|owner| (LABEL_OWNER.to_owned(), owner.to_owned()));
        [managed].into_iter().chain(owner).collect()
    }

    #[test]
    fn containers_of_the_own_id_and_of_adopted_ones_are_ours() {
        let owners = Owners::new("us", ["lost".to_owned()]);
        let ours = |owner| owners.own_container("c1", &labels(owner));
        assert!(ours(Some("us")) && ours(Some("lost")));
        assert!(!ours(Some("them")));
        owners.clone().adopt("them");
        assert!(ours(Some("them")), "clones share what is learnt");
    }

    #[test]
    fn a_container_without_an_owner_is_ours_once_it_is_taken_over() {
        let owners = Owners::new("us", []);
        assert!(!owners.own_container("c1", &labels(None)));
        owners.take_over("c1");
        assert!(owners.own_container("c1", &labels(None)));
        assert!(!owners.own_container("c2", &labels(None)));
        assert!(
            !owners.own_container("c1", &labels(Some("them"))),
            "it says whose it is"
        );
    }

    #[test]
    fn a_container_that_no_mapek_made_is_not_ours_whatever_it_claims() {
        let owners = Owners::new("us", []);
        owners.take_over("c1");
        let only = [(LABEL_OWNER.to_owned(), "us".to_owned())].into();
        assert!(!owners.own_container("c1", &only));
    }
}
