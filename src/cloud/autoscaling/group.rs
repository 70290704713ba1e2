//! A group and its members, from AWS's descriptions into our own terms. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::cloud::Standing;
use crate::model::{About, VmId};

/// A group at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Fewest members.
    pub min: u32,
    /// Most members.
    pub max: u32,
    /// The desired number.
    pub desired: u32,
    /// The members, by instance id.
    pub members: BTreeMap<String, Member>,
    /// Processes that somebody suspended, such as `Launch`.
    pub suspended: BTreeSet<String>,
    /// What is special about it.
    pub traits: Traits,
}

/// What a group's owner has chosen that matters to those who rely on its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// AWS's word for it if it is being deleted.
    pub status: Option<String>,
    /// What its capacity is counted in, if not in instances.
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
    /// It is protected from scale-in.
    pub protected: bool,
}

/// Where an instance is in its life, as far as that matters here.
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
            // Warm pools are not listed among a group's instances. A state that AWS adds later is
            // not relied on.
            _ => Self::Aside(named),
        }
    }
}

impl Member {
    /// Whether it is there to stay, as far as AWS says.
    #[must_use]
    pub fn stays(&self) -> bool {
        self.healthy && !matches!(self.life, Life::Leaving(_))
    }

    /// In service and healthy.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.healthy && self.life == Life::InService
    }

    /// Whether it can be used, as a [`Standing`].
    #[must_use]
    pub fn standing(&self) -> Standing {
        match &self.life {
            Life::Leaving(state) => Standing::Leaving(format!("it is {state} in its group")),
            _ if !self.healthy => Standing::Leaving("AWS considers it unhealthy and replaces it".to_owned()),
            Life::InService => Standing::Ready,
            Life::Coming(state) | Life::Aside(state) => {
                Standing::Aside(format!("it is {state} in its group"))
            }
        }
    }
}

impl Group {
    /// How many instances may still be added. A MaxSize that is managed does not count.
    #[must_use]
    pub fn room(&self, managed: bool) -> Option<u32> {
        (!managed).then(|| self.max.saturating_sub(self.desired))
    }

    /// How many instances may be removed.
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

/// The addresses of an instance, and its labels.
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
    /// The endpoint of the instance's engine, by the topology's template; None if an address that
    /// the template names is not known yet.
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

    /// The address at which others reach the instance's published ports.
    #[must_use]
    pub fn ip(&self) -> Option<&str> {
        self.private_ip.as_deref().or(self.public_ip.as_deref())
    }
}

/// A failed attempt by AWS to start an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedLaunch {
    /// When it began, in seconds of the Unix epoch.
    pub at: i64,
    /// Why, as AWS says it.
    pub reason: String,
}

/// A lifecycle hook, which delays instances when they come or go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifecycleHook {
    /// Its name.
    pub name: String,
    /// Whether it delays instances that come; otherwise those that go.
    pub launching: bool,
    /// For how many seconds at most.
    pub timeout_s: u32,
    /// What happens to an instance after that: `CONTINUE` or `ABANDON`.
    pub then: String,
}
