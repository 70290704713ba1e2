//! Why there is no placement, in the words of whoever wrote the plan.
//!
//! Each reason named here is proven on its own, from one tier, one port or the sums; nothing is
//! guessed and nothing is searched for. Where only the search can tell, [`together`] says so.

use super::instance::{Amount, Instance, Tier};
use super::repair::Repair;

/// Kinds of reasons, stable for clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReasonCode {
    /// A tier asks for one resource and none of the other.
    OneResourceMissing,
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
    /// Position of the tier it is about, if it is about one.
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

/// What VMs there can be at all.
struct Fleet {
    /// Most that can be in use at once.
    count: u64,
    /// Sizes, largest first, of each resource: existing ones and, as `u64::MAX` many as fit
    /// under `count`, new ones.
    existing: Vec<Amount>,
    new_vm: Amount,
    news: u64,
}

impl Fleet {
    fn of(instance: &Instance) -> Self {
        let usable = |a: Amount| a.cpu > 0 && a.mem > 0;
        let existing: Vec<Amount> = instance
            .vms
            .iter()
            .map(|v| v.capacity)
            .filter(|a| usable(*a))
            .collect();
        let news = match instance.new_vm_limit() {
            _ if !usable(instance.new_vm) => 0,
            Some(n) => u64::from(n),
            None => u64::MAX / 4,
        };
        let all = news + existing.len() as u64;
        let count = instance.max_vms.map_or(all, |m| all.min(u64::from(m)));
        Self {
            count,
            existing,
            new_vm: instance.new_vm,
            news,
        }
    }

    /// Fewest VMs that hold `demand` of one resource; `None` if all together do not.
    fn fewest(&self, demand: u32, part: fn(Amount) -> u32) -> Option<u64> {
        let mut left = u64::from(demand);
        let mut sizes: Vec<u64> = self.existing.iter().map(|&a| u64::from(part(a))).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let new = u64::from(part(self.new_vm));
        let mut count = 0u64;
        let mut existing = sizes.into_iter().peekable();
        let mut news = self.news;
        while left > 0 {
            if count == self.count {
                return None;
            }
            match existing.peek() {
                Some(&size) if size >= new || news == 0 => {
                    existing.next();
                    left = left.saturating_sub(size);
                    count += 1;
                }
                _ if news > 0 && new > 0 => {
                    let take = left.div_ceil(new).min(news).min(self.count - count);
                    left = left.saturating_sub(take.saturating_mul(new));
                    count += take;
                    news -= take;
                }
                _ => return None,
            }
        }
        Some(count)
    }

    /// The most of one resource that the VMs in use can have together.
    fn most(&self, part: fn(Amount) -> u32) -> u64 {
        let mut sizes: Vec<u64> = self.existing.iter().map(|&a| u64::from(part(a))).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let new = u64::from(part(self.new_vm));
        let larger = sizes.iter().filter(|&&s| s >= new).count() as u64;
        let first = larger.min(self.count);
        let news = self.news.min(self.count - first);
        let rest = self.count - first - news;
        let sum = |n: u64| {
            sizes
                .iter()
                .take(usize::try_from(n).unwrap_or(usize::MAX))
                .sum::<u64>()
        };
        let last: u64 = sizes
            .iter()
            .skip(usize::try_from(larger).unwrap_or(usize::MAX))
            .take(usize::try_from(rest).unwrap_or(usize::MAX))
            .sum();
        sum(first)
            .saturating_add(news.saturating_mul(new))
            .saturating_add(last)
    }

    fn largest(&self, part: fn(Amount) -> u32) -> u32 {
        let new = if self.news > 0 { part(self.new_vm) } else { 0 };
        self.existing.iter().map(|&a| part(a)).max().unwrap_or(0).max(new)
    }
}

const CPU: fn(Amount) -> u32 = |a| a.cpu;
const MEM: fn(Amount) -> u32 = |a| a.mem;

/// Reasons that can be seen without a search.
#[must_use]
pub fn certain(instance: &Instance) -> Vec<Reason> {
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
        let found = of_tier(tier, &fleet, &words);
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
    reasons.extend(of_ports(instance, &fleet).into_iter().map(one));
    reasons
}

fn of_tier(tier: &Tier, fleet: &Fleet, words: &Words) -> Vec<(ReasonCode, String)> {
    let (name, d) = (&tier.name, tier.demand);
    let mut found = Vec::new();
    if d.cpu == 0 || d.mem == 0 {
        let (has, lacks) = if d.mem == 0 {
            (words.cpu(d.cpu), "memory")
        } else {
            (words.mem(d.mem), "cpu")
        };
        let text = format!("{name} asks for {has} but no {lacks}; a container needs both");
        found.push((ReasonCode::OneResourceMissing, text));
        return found;
    }
    let min = tier.min_node.max(1);
    for (part, has) in [(CPU, words.cpu(d.cpu)), (MEM, words.mem(d.mem))] {
        if part(d) < min {
            let text = format!("{name} has min_node {min}, but {has} cannot be spread over {min} VMs");
            found.push((ReasonCode::TooThin, text));
        }
    }
    if let Some(max) = tier.max_node.filter(|&max| max < min) {
        let text = format!("{name} has min_node {min} above its max_node {max}");
        found.push((ReasonCode::MinAboveMax, text));
    }
    if u64::from(min) > fleet.count {
        let text = format!(
            "{name} has min_node {min}, but there can be only {} VMs",
            fleet.count
        );
        found.push((ReasonCode::TooFewVms, text));
    }
    let of = |part: fn(Amount) -> u32| {
        if part(Amount::new(1, 0)) == 1 {
            words.cpu(part(d))
        } else {
            words.mem(part(d))
        }
    };
    for (part, other) in [(CPU, MEM), (MEM, CPU)] {
        let Some(need) = fleet.fewest(part(d), part) else {
            continue;
        };
        if let Some(max) = tier.max_node.filter(|&max| u64::from(max) < need) {
            let size = fleet.largest(part);
            let vm = if max == 1 { "a VM has" } else { "a VM has at most" };
            let size = if part(Amount::new(1, 0)) == 1 {
                words.cpu_number(size)
            } else {
                size.to_string()
            };
            let text = format!(
                "{name} needs {} and has max_node {max}, but {vm} {size}",
                of(part)
            );
            found.push((ReasonCode::MaxNodeTooSmall, text));
        }
        if u64::from(other(d)) < need {
            let text = format!(
                "{name}: {} can't be spread over the {need} VMs that {} need",
                of(other),
                of(part)
            );
            found.push((ReasonCode::TooThin, text));
        }
    }
    found
}

fn of_sums(instance: &Instance, fleet: &Fleet, words: &Words) -> Vec<(ReasonCode, String)> {
    let mut found = Vec::new();
    for (part, is_cpu) in [(CPU, true), (MEM, false)] {
        let total: u64 = instance.tiers.iter().map(|t| u64::from(part(t.demand))).sum();
        let most = fleet.most(part);
        if total > most {
            let say = |n: u64| {
                if is_cpu {
                    words.cores(n)
                } else {
                    format!("{n} mem_units")
                }
            };
            let text = format!(
                "the plan needs {} in all, but the {} VMs there can be have {}",
                say(total),
                fleet.count,
                say(most)
            );
            found.push((ReasonCode::TooFewVms, text));
        }
    }
    found
}

/// Tiers that all publish one port exclude each other from VMs.
fn of_ports(instance: &Instance, fleet: &Fleet) -> Vec<(ReasonCode, String)> {
    use std::collections::{BTreeMap, BTreeSet};
    let mut by_port: BTreeMap<_, BTreeMap<_, BTreeSet<usize>>> = BTreeMap::new();
    for (ix, tier) in instance
        .tiers
        .iter()
        .enumerate()
        .filter(|(_, t)| !t.demand.is_zero())
    {
        for p in &tier.ports {
            let addresses = by_port.entry((p.port, p.protocol)).or_default();
            addresses.entry(p.address).or_default().insert(ix);
        }
    }
    let mut found = Vec::new();
    for ((port, _), mut addresses) in by_port {
        let every = addresses.remove(&None).unwrap_or_default();
        if addresses.is_empty() {
            addresses.insert(None, BTreeSet::new());
        }
        for mut tiers in addresses.into_values() {
            tiers.extend(&every);
            let tiers: Vec<&Tier> = tiers.iter().filter_map(|&ix| instance.tiers.get(ix)).collect();
            let need: u64 = tiers
                .iter()
                .map(|t| {
                    let by = |part: fn(Amount) -> u32| fleet.fewest(part(t.demand), part).unwrap_or(1);
                    u64::from(t.min_node.max(1)).max(by(CPU)).max(by(MEM))
                })
                .sum();
            if tiers.len() > 1 && need > fleet.count {
                let names: Vec<&str> = tiers.iter().map(|t| t.name.as_str()).collect();
                let text = format!(
                    "{} all publish port {port} and so need {need} VMs of their own, but there can be only {}",
                    names.join(", "),
                    fleet.count
                );
                found.push((ReasonCode::PortsExhausted, text));
            }
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
    /// "1 core", "7 cores", "0.5 cores".
    #[must_use]
    pub fn cpu(&self, steps: u32) -> String {
        self.cores(u64::from(steps))
    }

    fn cores(&self, steps: u64) -> String {
        let text = self.decimal(steps);
        let noun = if text == "1" { "core" } else { "cores" };
        format!("{text} {noun}")
    }

    fn cpu_number(&self, steps: u32) -> String {
        self.decimal(u64::from(steps))
    }

    fn decimal(&self, steps: u64) -> String {
        let all = steps.saturating_mul(u64::from(self.hundredths));
        match (all / 100, all % 100) {
            (whole, 0) => whole.to_string(),
            (whole, part) => format!("{whole}.{part:02}").trim_end_matches('0').to_owned(),
        }
    }

    /// "1 mem_unit", "6 mem_units".
    #[must_use]
    #[allow(clippy::unused_self)] // beside `cpu`, so that callers treat both alike
    pub fn mem(&self, units: u32) -> String {
        format!("{units} mem_unit{}", if units == 1 { "" } else { "s" })
    }
}
