//! Whose a container is, and what it is limited to, in words and numbers.

use super::{LABEL_DIGEST, LABEL_OWNER, LABEL_REVISION, Observed, owners};
use crate::model::{Cpu, RevisionId};

impl Observed {
    /// The id of the data directory whose `mapek` made it, where it says so.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        let owner = self.labels.get(LABEL_OWNER).filter(|_| self.by_mapek());
        owner.map(String::as_str)
    }

    /// Whether any `mapek` made it, this one or another.
    #[must_use]
    pub fn by_mapek(&self) -> bool {
        owners::is_labelled(&self.labels)
    }

    /// What it was made from, where it says so and this data directory wrote that.
    #[must_use]
    pub fn revision(&self) -> Option<RevisionId> {
        let revision = self.labels.get(LABEL_REVISION);
        revision.map(|revision| RevisionId::new(revision))
    }

    /// The digest of the image that it was made from, where it says so.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.labels.get(LABEL_DIGEST).map(String::as_str)
    }

    /// Whose it is, for people; only of use where it is not ours.
    #[must_use]
    pub fn whose(&self) -> String {
        match self.owner() {
            Some(owner) => format!("another mapek made (owner {owner})"),
            None if self.by_mapek() => {
                "an earlier version of mapek made for another data directory".to_owned()
            }
            None => "mapek did not make".to_owned(),
        }
    }

    /// What to do where it is in the way of one of ours; only of use where it is not ours itself.
    #[must_use]
    pub fn way_out(&self) -> String {
        match self.owner() {
            Some(owner) => format!(
                "name the app or tier differently; or, if the data directory of that mapek is lost, take its \
                 containers over with `mapek adopt {owner}`"
            ),
            None => "rename or remove that one, or name the app or tier differently".to_owned(),
        }
    }

    /// The share of all cores that it is limited to, where it is; rounded up.
    #[must_use]
    pub fn quota(&self) -> Option<Cpu> {
        let step = Cpu::hundredths(1).nanos();
        (self.nano_cpus > 0).then(|| Cpu::hundredths(self.nano_cpus.div_ceil(step)))
    }
}
