//! A group and its members as AWS describes them, in words of our own. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::cloud::Standing;
use crate::model::{About, VmId};

/// A group, as it was at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Fewest members.
    pub min: u32,
    /// Most members.
    pub max: u32,
    /// How many there should be.
    pub desired: u32,
    /// Those there are, by instance id.
    pub members: BTreeMap<String, Member>,
    /// Processes that somebody suspended, such as `Launch`.
    pub suspended: BTreeSet<String>,
    /// What is peculiar about it.
    pub traits: Traits,
}

/// What a group's owner has chosen, and matters to whoever relies on its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// It is being deleted: what AWS says of that.
    pub status: Option<String>,
    /// Its capacity is not counted in instances: what it is counted in.
    pub counted_in: Option<String>,
    /// Spot instances at risk are replaced beforehand.
    pub capacity_rebalance: bool,
    /// Seconds after which every instance is replaced.
    pub max_instance_lifetime: Option<u32>,
}

/// An instance of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where it is in its life.
    pub life: Life,
    /// AWS takes it for healthy.
    pub healthy: bool,
    /// It is not taken when the group shrinks on its own.
    pub protected: bool,
}

/// Where an instance is in its life, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    /// It is being started, in this state of AWS's.
    Coming(String),
    /// It is in service.
    InService,
    /// It was put aside, in this state of AWS's.
    Aside(String),
    /// It is on its way out, in this state of AWS's.
    Leaving(String),
}

impl Life {
    /// From the state's name.
    #[must_use]
    pub fn of(state: &str) -> Self {
        let named = state.to_owned();
        match state {
            "InService" => Self::InService,
            _ if state.starts_with("Pending") => Self::Coming(named),
            _ if state.starts_with("Terminat") || state.starts_with("Detach") || state == "Quarantined" => {
                Self::Leaving(named)
            }
            // Warm pools are not listed among a group's instances; a state of the future is none
            // to build on.
            _ => Self::Aside(named),
        }
    }
}

impl Member {
    /// Whether it is there to stay, as far as AWS is concerned.
    #[must_use]
    pub fn stays(&self) -> bool {
        self.healthy && !matches!(self.life, Life::Leaving(_))
    }

    /// In service and healthy.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.healthy && self.life == Life::InService
    }

    /// Whether it can be used, in the words of [`Standing`].
    #[must_use]
    pub fn standing(&self) -> Standing {
        match &self.life {
            Life::Leaving(state) => Standing::Leaving(format!("it is {state} in its group")),
            _ if !self.healthy => Standing::Leaving("AWS takes it for unhealthy, and replaces it".to_owned()),
            Life::InService => Standing::Ready,
            Life::Coming(state) | Life::Aside(state) => {
                Standing::Aside(format!("it is {state} in its group"))
            }
        }
    }
}

impl Group {
    /// How many instances may still be added; MaxSize does not bound it where it is managed.
    #[must_use]
    pub fn room(&self, managed: bool) -> Option<u32> {
        (!managed).then(|| self.max.saturating_sub(self.desired))
    }

    /// How many instances may go.
    #[must_use]
    pub const fn removable(&self) -> u32 {
        self.desired.saturating_sub(self.min)
    }

    /// Members of these that are in service and not protected.
    #[must_use]
    pub fn unprotected(&self, of: &BTreeSet<VmId>) -> Vec<String> {
        self.members
            .iter()
            .filter(|(id, member)| member.serves() && !member.protected && of.contains(id.as_str()))
            .map(|(id, _)| id.clone())
            .collect()
    }
}

/// Where an instance is reached, and what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// In its VPC.
    pub private_ip: Option<String>,
    /// From anywhere.
    pub public_ip: Option<String>,
    /// Name in its VPC.
    pub private_dns: Option<String>,
    /// Its tags as labels, its type and zone.
    pub about: About,
}

impl Addresses {
    /// The endpoint of the instance's engine by the topology's template; None while an address
    /// that the template names is not known.
    #[must_use]
    pub fn fill(&self, template: &str, instance: &str) -> Option<String> {
        let mut endpoint = template.replace("{instance_id}", instance);
        for (name, value) in [
            ("{private_ip}", &self.private_ip),
            ("{public_ip}", &self.public_ip),
            ("{private_dns}", &self.private_dns),
        ] {
            if endpoint.contains(name) {
                endpoint = endpoint.replace(name, value.as_deref().filter(|value| !value.is_empty())?);
            }
        }
        Some(endpoint)
    }

    /// Where the instance's published ports are reached by the others.
    #[must_use]
    pub fn ip(&self) -> Option<&str> {
        self.private_ip.as_deref().or(self.public_ip.as_deref())
    }
}

/// An attempt of AWS's to start an instance that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedLaunch {
    /// When it was begun, in seconds of the Unix epoch.
    pub at: i64,
    /// Why, as AWS says it.
    pub reason: String,
}

/// A hook of a group's that holds instances up when they come or go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifecycleHook {
    /// Its name.
    pub name: String,
    /// It holds up those that come; otherwise those that go.
    pub launching: bool,
    /// Seconds for which it does, at most.
    pub timeout_s: u32,
    /// What becomes of an instance after that: `CONTINUE` or `ABANDON`.
    pub then: String,
}
