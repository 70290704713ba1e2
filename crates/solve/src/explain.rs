//! Why there is no placement, in the terms of the plan's author.
//!
//! Each reason is proven on its own, from one tier, one port or the sums; nothing is guessed and
//! nothing is searched for. If only a search can tell, [`together`] says so.

use super::instance::{Amount, Instance, Resource, Tier};
use super::meter::Meter;
use super::repair::Repair;

mod fleet;
mod ports;

use fleet::Fleet;

/// Kinds of reasons, stable for clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReasonCode {
    /// A tier asks for something, but not for both cpu and memory.
    OneResourceMissing,
    /// There is no VM that a tier may be on.
    NowhereAllowed,
    /// A tier needs more VMs, or more failure domains, than those it may be on.
    TooFewAllowed,
    /// A tier needs more VMs than its `max_node`.
    MaxNodeTooSmall,
    /// A tier has fewer steps of a resource than VMs it must be on.
    TooThin,
    /// `min_node` is above `max_node`.
    MinAboveMax,
    /// More VMs are needed than there can be.
    TooFewVms,
    /// Tiers that publish the same port need more VMs than there can be.
    PortsExhausted,
    /// No single constraint is to blame: all together leave no placement.
    Together,
}

impl ReasonCode {
    /// The code as clients see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneResourceMissing => "one_resource_missing",
            Self::NowhereAllowed => "nowhere_allowed",
            Self::TooFewAllowed => "too_few_allowed",
            Self::MaxNodeTooSmall => "max_node_too_small",
            Self::TooThin => "too_thin",
            Self::MinAboveMax => "min_above_max",
            Self::TooFewVms => "too_few_vms",
            Self::PortsExhausted => "ports_exhausted",
            Self::Together => "together",
        }
    }
}

/// One proven reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Kind.
    pub code: ReasonCode,
    /// Position of the tier that it concerns, if there is one.
    pub tier: Option<usize>,
    /// A sentence with names and numbers.
    pub text: String,
}

/// There is no placement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no placement exists: {}", self.sentences())]
pub struct Infeasible {
    /// Every reason that could be named; never empty.
    pub reasons: Vec<Reason>,
    /// The smallest change found that makes a placement possible; checked by solving.
    pub repair: Option<Repair>,
}

impl Infeasible {
    fn sentences(&self) -> String {
        let mut all: Vec<&str> = self.reasons.iter().map(|r| r.text.as_str()).collect();
        if let Some(repair) = &self.repair {
            all.push(&repair.text);
        }
        all.join("; ")
    }
}

/// Reasons that can be seen without a search; those found until the meter runs out.
#[must_use]
pub fn certain(instance: &Instance, meter: &mut Meter<'_>) -> Vec<Reason> {
    let fleet = Fleet::of(instance);
    let words = Words {
        hundredths: instance.cpu_step,
    };
    let mut reasons = Vec::new();
    for (ix, tier) in instance
        .tiers
        .iter()
        .enumerate()
        .filter(|(_, t)| !t.demand.is_zero())
    {
        if !meter.spend(8) {
            break;
        }
        let mut found = of_tier(tier, &fleet, &words);
        if found.is_empty() && (tier.rules.allowed.is_some() || tier.rules.domains.is_some()) {
            if !meter.spend(instance.vms.len() as u64) {
                break;
            }
            found.extend(of_rules(instance, tier, &words));
        }
        reasons.extend(found.into_iter().map(|(code, text)| Reason {
            code,
            tier: Some(ix),
            text,
        }));
    }
    let one = |(code, text)| Reason {
        code,
        tier: None,
        text,
    };
    reasons.extend(of_sums(instance, &fleet, &words).into_iter().map(one));
    reasons.extend(ports::exhausted(instance, &fleet, meter).into_iter().map(one));
    reasons
}

fn of_tier(tier: &Tier, fleet: &Fleet, words: &Words) -> Vec<(ReasonCode, String)> {
    let (name, d) = (&tier.name, tier.demand);
    let mut found = Vec::new();
    let lacks: Vec<&str> = [(Resource::Cpu, "cpu"), (Resource::Mem, "memory")]
        .into_iter()
        .filter_map(|(resource, word)| (d.of(resource) == 0).then_some(word))
        .collect();
    if !lacks.is_empty() {
        let has = Resource::ALL.into_iter().filter(|&resource| d.of(resource) > 0);
        let has: Vec<String> = has.map(|resource| words.of(d, resource)).collect();
        let text = format!(
            "{name} asks for {} but no {}; a container needs both",
            has.join(" and "),
            if lacks.len() == 2 {
                "cpu and memory"
            } else {
                lacks.first().copied().unwrap_or_default()
            }
        );
        found.push((ReasonCode::OneResourceMissing, text));
        return found;
    }
    let min = tier.min_node.max(1);
    for resource in Resource::ALL.into_iter().filter(|resource| resource.least() > 0) {
        if d.of(resource) < min {
            let has = words.of(d, resource);
            let text = format!("{name} has min_node {min}, but {has} cannot be spread over {min} VMs");
            found.push((ReasonCode::TooThin, text));
        }
    }
    if let Some(max) = tier.max_node.filter(|&max| max < min) {
        let text = format!("{name} has min_node {min} above its max_node {max}");
        found.push((ReasonCode::MinAboveMax, text));
    }
    if u64::from(min) > fleet.count {
        // A tier that does not say how many VMs it needs still needs one.
        let text = match (min, fleet.count) {
            (1, _) => format!("{name} needs a VM, but there can be none with room for a container"),
            (_, 1) => format!("{name} has min_node {min}, but there can be only 1 VM"),
            (_, count) => format!("{name} has min_node {min}, but there can be only {count} VMs"),
        };
        found.push((ReasonCode::TooFewVms, text));
    }
    for resource in Resource::ALL {
        let Some(need) = fleet.fewest(d.of(resource), resource) else {
            continue;
        };
        if let Some(max) = tier.max_node.filter(|&max| u64::from(max) < need) {
            let size = words.number(fleet.largest(resource).into(), resource);
            let vm = if max == 1 { "a VM has" } else { "a VM has at most" };
            let text = format!(
                "{name} needs {} and has max_node {max}, but {vm} {size}",
                words.of(d, resource)
            );
            found.push((ReasonCode::MaxNodeTooSmall, text));
        }
        let spread = Resource::ALL
            .into_iter()
            .filter(|&other| other != resource && other.least() > 0);
        for other in spread.filter(|&other| u64::from(d.of(other)) < need) {
            let text = format!(
                "{name}: {} can't be spread over the {need} VMs that {} need",
                words.of(d, other),
                words.of(d, resource)
            );
            found.push((ReasonCode::TooThin, text));
        }
    }
    found
}

/// What a tier's own rules make impossible, although its size and limits do not.
fn of_rules(instance: &Instance, tier: &Tier, words: &Words) -> Option<(ReasonCode, String)> {
    let fleet = Fleet::of_tier(instance, tier);
    let (name, d) = (&tier.name, tier.demand);
    if fleet.count == 0 {
        let text = format!("{name} may be on none of the VMs there can be");
        return Some((ReasonCode::NowhereAllowed, text));
    }
    let ones = match (&tier.rules.domains, fleet.count) {
        (None, 1) => "VM that it may be on",
        (None, _) => "VMs that it may be on",
        (Some(_), 1) => "failure domain that it may be in",
        (Some(_), _) => "failure domains that it may be in, one VM in each,",
    };
    let count = fleet.count;
    if u64::from(tier.min_node) > count {
        let text = format!(
            "{name} has min_node {}, but there is only {count} {ones}",
            tier.min_node
        );
        return Some((ReasonCode::TooFewAllowed, text));
    }
    for resource in Resource::ALL {
        let (most, needs) = (fleet.most(resource), words.of(d, resource));
        if u64::from(d.of(resource)) > most {
            let has = words.amount(most, resource);
            let text = format!("{name} needs {needs}, but the {count} {ones} can give it only {has}");
            return Some((ReasonCode::TooFewAllowed, text));
        }
        let need = fleet.fewest(d.of(resource), resource);
        if let (Some(need), Some(max)) = (need, tier.max_node)
            && u64::from(max) < need
        {
            let text =
                format!("{name} needs {needs} and has max_node {max}, but would need {need} of the {ones}");
            return Some((ReasonCode::MaxNodeTooSmall, text));
        }
    }
    None
}

fn of_sums(instance: &Instance, fleet: &Fleet, words: &Words) -> Vec<(ReasonCode, String)> {
    let mut found = Vec::new();
    for resource in Resource::ALL {
        let total: u64 = instance
            .tiers
            .iter()
            .map(|t| u64::from(t.demand.of(resource)))
            .sum();
        let most = fleet.most(resource);
        if total > most {
            let text = format!(
                "the plan needs {} in all, but the {} VMs there can be have {}",
                words.amount(total, resource),
                fleet.count,
                words.amount(most, resource)
            );
            found.push((ReasonCode::TooFewVms, text));
        }
    }
    found
}

/// The reason of last resort, when a complete search found nothing.
#[must_use]
pub fn together(instance: &Instance) -> Reason {
    let fleet = Fleet::of(instance);
    let vms = if fleet.count > 1_000_000 {
        String::new()
    } else {
        format!(" on the {} VMs there can be", fleet.count)
    };
    Reason {
        code: ReasonCode::Together,
        tier: None,
        text: format!(
            "the limits on nodes, ports and sizes, each possible alone, leave no placement together{vms}"
        ),
    }
}

/// Amounts in the units of the plan.
pub struct Words {
    /// Hundredths of a core in one cpu step.
    pub hundredths: u32,
}

impl Words {
    /// An amount of one resource: "1 core", "0.5 cores", "6 mem_units", "20 GB of disk", "2 GPUs".
    #[must_use]
    pub fn of(&self, amount: Amount, resource: Resource) -> String {
        self.amount(amount.of(resource).into(), resource)
    }

    /// The same for this many steps.
    #[must_use]
    pub fn amount(&self, steps: u64, resource: Resource) -> String {
        let number = self.number(steps, resource);
        let plural = if number == "1" { "" } else { "s" };
        match resource {
            Resource::Cpu => format!("{number} core{plural}"),
            Resource::Mem => format!("{number} mem_unit{plural}"),
            Resource::Disk => format!("{number} GB of disk"),
            Resource::Gpus => format!("{number} GPU{plural}"),
        }
    }

    /// The number alone.
    fn number(&self, steps: u64, resource: Resource) -> String {
        if resource != Resource::Cpu {
            return steps.to_string();
        }
        let all = steps.saturating_mul(u64::from(self.hundredths));
        match (all / 100, all % 100) {
            (whole, 0) => whole.to_string(),
            (whole, part) => format!("{whole}.{part:02}").trim_end_matches('0').to_owned(),
        }
    }
}
