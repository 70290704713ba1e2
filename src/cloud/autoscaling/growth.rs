//! Scaling out, as decisions: which of the group's members are new, and which VM each one is. Pure.
//!
//! What is going to be done is recorded before it begins (see [`Note`]): which members there were,
//! and how many there should be. Everything else follows from that and from the present members,
//! whichever process looks, even after a crash between any two steps.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::group::{Group, Life, Member};
use crate::model::VmId;

/// What a driver keeps in an execution's notebook. An execution grows a group at most twice: on the
/// way out and on the way back, each time in one go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    growths: Vec<Growth>,
}

impl Note {
    /// From the notebook; empty if there is none, or none of this driver's.
    #[must_use]
    pub fn read(value: Option<Value>) -> Self {
        value
            .and_then(|value| serde_json::from_value(value).ok())
            .unwrap_or_default()
    }

    /// For the notebook.
    #[must_use]
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The growth that makes the VM of this name.
    #[must_use]
    pub fn of(&self, name: &VmId) -> Option<&Growth> {
        self.growths.iter().find(|growth| growth.names.contains(name))
    }

    /// Replaces the growth that makes the same VMs.
    pub fn put(&mut self, growth: Growth) {
        match self.growths.iter_mut().find(|other| other.names == growth.names) {
            Some(other) => *other = growth,
            None => self.growths.push(growth),
        }
    }
}

/// VMs that are made in one go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Growth {
    /// The plan's names for them.
    pub names: Vec<VmId>,
    /// The group's members before; they are never counted as new.
    pub before: BTreeSet<String>,
    /// The desired capacity before.
    pub desired: u32,
    /// MaxSize before.
    pub max: u32,
    /// When the newest failed launch from before began; None if that can't be looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_before: Option<i64>,
    /// Which instance belongs to which VM.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<VmId, String>,
    /// Instances that never became ready and are replaced, by VM: at most one for each VM.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub replaced: BTreeMap<VmId, String>,
    /// VMs that are given up.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub given_up: BTreeSet<VmId>,
}

/// What to do next for one VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The VM is given up.
    Never,
    /// Terminate this instance, and let the group start another one in its place.
    Replace(String),
    /// Terminate this instance, and lower the desired capacity with it. Another instance is already
    /// there for the VM, since the VM that it was meant for was given up.
    Spare(String),
    /// Set the desired capacity to this, and MaxSize before that if it is lower.
    Raise(u32),
    /// Record that this instance is the VM's.
    Claim(String),
    /// Record that the VM's instance is lost: somebody else took it away.
    Forget,
    /// The VM's instance is in service.
    Look(String),
    /// The VM's instance is being started, and is in this state of AWS's.
    Await(String, String),
    /// There is no instance for it yet.
    Wait,
}

/// What gives back the capacity of a VM that is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo {
    /// Terminate its instance, and lower the desired capacity with it.
    Terminate(String),
    /// Lower the desired capacity to this: no instance has come.
    Lower(u32),
    /// Set MaxSize to what it was.
    LowerMax(u32),
    /// Nothing is left to be done.
    Done,
}

impl Growth {
    /// What is about to begin.
    #[must_use]
    pub fn begin(names: Vec<VmId>, group: &Group, failed_before: Option<i64>) -> Self {
        Self {
            names,
            before: group.members.keys().cloned().collect(),
            desired: group.desired,
            max: group.max,
            failed_before,
            ..Self::default()
        }
    }

    /// The desired capacity for all VMs that are not given up.
    #[must_use]
    pub fn wanted(&self) -> u32 {
        let wanted = self.names.len().saturating_sub(self.given_up.len());
        self.desired
            .saturating_add(u32::try_from(wanted).unwrap_or(u32::MAX))
    }

    /// Members that have come since and belong to no VM yet: those in service first.
    fn free<'g>(&self, group: &'g Group) -> Vec<(&'g String, &'g Member)> {
        let taken = |id: &String| {
            self.before.contains(id)
                || self.claims.values().any(|claimed| claimed == id)
                || self.replaced.values().any(|replaced| replaced == id)
        };
        let mut free: Vec<_> = group
            .members
            .iter()
            .filter(|(id, member)| member.stays() && !matches!(member.life, Life::Aside(_)) && !taken(id))
            .collect();
        free.sort_by_key(|(id, member)| (!member.serves(), (*id).clone()));
        free
    }

    /// What to do next for the VM `name`.
    #[must_use]
    pub fn next(&self, group: &Group, name: &VmId) -> Next {
        if self.given_up.contains(name) {
            return Next::Never;
        }
        if let Some(id) = self.replaced.get(name)
            && there(group, id)
        {
            let spare = group.desired > self.wanted() && !self.free(group).is_empty();
            return if spare {
                Next::Spare(id.clone())
            } else {
                Next::Replace(id.clone())
            };
        }
        if let Some(id) = self.claims.get(name) {
            return match group.members.get(id).filter(|member| member.stays()) {
                None => Next::Forget,
                Some(member) => match &member.life {
                    Life::InService => Next::Look(id.clone()),
                    Life::Coming(state) | Life::Aside(state) | Life::Leaving(state) => {
                        Next::Await(id.clone(), state.clone())
                    }
                },
            };
        }
        match self.free(group).first() {
            Some((id, _)) => Next::Claim((*id).clone()),
            None if group.desired < self.wanted() => Next::Raise(self.wanted()),
            None => Next::Wait,
        }
    }

    /// What is left to be undone for the VM `name`, which was given up.
    #[must_use]
    pub fn undo(&self, group: &Group, name: &VmId) -> Undo {
        // An instance that was being replaced may still be there, if that was interrupted.
        let own = self.claims.get(name).into_iter().chain(self.replaced.get(name));
        if let Some(id) = own.into_iter().find(|id| there(group, id)) {
            return Undo::Terminate(id.clone());
        }
        let there = group.members.keys().filter(|id| there(group, id)).count();
        let there = u32::try_from(there).unwrap_or(u32::MAX);
        // An instance may have come that no VM has been given yet.
        let free = self.free(group);
        let open = self
            .names
            .iter()
            .filter(|name| !self.given_up.contains(*name) && !self.claims.contains_key(*name))
            .count();
        if there > self.wanted()
            && free.len() > open
            && let Some((id, _)) = free.last()
        {
            return Undo::Terminate((*id).clone());
        }
        // Never below the number of members, or AWS would choose an instance to terminate.
        let right = self.wanted().max(there).max(group.min);
        // If there are several growths, or somebody else changes it, a lower value is not ours to
        // restore.
        if group.desired > right && group.desired <= self.ever_wanted() {
            return Undo::Lower(right);
        }
        let last = self.names.len() == self.given_up.len();
        if last && group.max > self.max && group.desired <= self.max {
            return Undo::LowerMax(self.max);
        }
        Undo::Done
    }

    /// The highest that was ever set.
    fn ever_wanted(&self) -> u32 {
        self.desired
            .saturating_add(u32::try_from(self.names.len()).unwrap_or(u32::MAX))
    }
}

/// Whether an instance is a member that is not on its way out.
fn there(group: &Group, id: &str) -> bool {
    group
        .members
        .get(id)
        .is_some_and(|member| !matches!(member.life, Life::Leaving(_)))
}
