//! Why a tier can't be kept running, in words that a person can act on.

use crate::model::{Size, TierId, Topology};

use super::progress::{Progress, Step};
use super::table::{OpNo, TierNo};
use super::work::{Kind, Work};
use super::{Interrupt, Stage, action::Action};

/// The tiers that `stages` leave with no running container, in the worst interleaving, each with
/// the reason.
pub(super) fn interrupts(
    topology: &Topology,
    work: &Work,
    steps: &[Step],
    stages: &[Stage],
    truncated: bool,
) -> Vec<Interrupt> {
    let mut interrupts: Vec<Interrupt> = Vec::new();
    let mut suspects: Vec<TierNo> = steps
        .iter()
        .filter_map(|step| step.interrupts.then_some(work.ops[step.op].tier))
        .collect();
    if suspects.is_empty() {
        return interrupts;
    }
    suspects.retain(|tier| drops(work, stages, *tier));
    let mut progress = Progress::start(work);
    for step in steps {
        let tier = work.ops[step.op].tier;
        if step.interrupts
            && let Some(id) = work.tier_id(tier)
            && suspects.contains(&tier)
            && !interrupts.iter().any(|known| known.tier == *id)
        {
            let mut reason = reason(topology, &progress, tier, step.op, id);
            if truncated {
                reason.push_str(" (no order without an interruption was found within the search's bounds)");
            }
            interrupts.push(Interrupt {
                tier: id.clone(),
                reason,
            });
        }
        progress.repeat(*step);
    }
    interrupts.sort_by(|a, b| a.tier.cmp(&b.tier));
    interrupts
}

/// Whether the tier has no container at some moment. The stages may do better than the sequence
/// that they were folded from.
fn drops(work: &Work, stages: &[Stage], tier: TierNo) -> bool {
    let id = work.tier_id(tier);
    let mut running = work.tiers[tier].running;
    stages.iter().any(|stage| {
        let own = || stage.iter().filter(|action| action.container() == id);
        let gone = own().filter(|action| matches!(action, Action::DeleteContainer { .. }));
        running = running.saturating_sub(gone.count());
        let down = running == 0;
        let come = own().filter(|action| matches!(action, Action::CreateContainer { .. }));
        running += come.count();
        down
    })
}

fn reason(topology: &Topology, progress: &Progress, tier: TierNo, delete: OpNo, id: &TierId) -> String {
    let work = progress.work;
    let here = name(work.vm_id(work.ops[delete].vm));
    let creates = || {
        let ops = work.tiers[tier].ops.iter().copied();
        ops.filter(|op| work.ops[*op].kind == Kind::Create)
    };
    if creates().any(|create| work.ops[create].vm == work.ops[delete].vm) {
        return format!(
            "the one on '{here}' has to go before the new one can be made there: its disk or GPUs change, it holds a \
             port that another tier needs, or it does not run"
        );
    }
    let obstacles: Vec<String> = creates()
        .filter_map(|create| obstacle(topology, progress, create))
        .collect();
    let sizes = creates().map(|create| work.ops[create].after);
    let size = sizes
        .min()
        .map_or_else(String::new, |size| format!(" ({})", size.in_words(", ")));
    if obstacles.len() < creates().count() || obstacles.is_empty() {
        return format!(
            "the one on '{here}' has to go before the new one of {id} can start: other tiers need its place \
             to make room for each other"
        );
    }
    format!(
        "no VM has room for a second {id}{size} before the one on '{here}' is stopped: {}",
        obstacles.join("; ")
    )
}

/// What keeps `create` from being done, even if all that may go or shrink on its VM does.
fn obstacle(topology: &Topology, progress: &Progress, create: OpNo) -> Option<String> {
    let work = progress.work;
    let op = &work.ops[create];
    let vm = name(work.vm_id(op.vm));
    let holds = |other: &OpNo| !progress.is_done(*other) && !progress.may_delete(*other);
    if let Some(holder) = op.blockers.iter().find(|other| holds(other)) {
        let holder = work.tier_id(work.ops[*holder].tier);
        return Some(format!(
            "on '{vm}' {}",
            port(topology, holder, work.tier_id(op.tier))
        ));
    }
    let others = work.vms[op.vm].ops.iter().copied();
    let releases = others.filter(|other| {
        progress.is_untouched(*other)
            && (work.ops[*other].kind != Kind::Delete || progress.may_delete(*other))
    });
    let freed: Size = releases.map(|other| work.ops[other].give()).sum();
    let lack = progress.lack(create, freed);
    if lack != Size::ZERO {
        return Some(format!("'{vm}' lacks {}", lack.in_words(" and ")));
    }
    let needs = &work.tiers[op.tier].needs;
    let missing = needs.iter().find(|other| progress.running(**other) == 0)?;
    Some(format!(
        "on '{vm}' it can't start before {}, which it depends on",
        name(work.tier_id(*missing))
    ))
}

/// Which port the two tiers have in common.
fn port(topology: &Topology, holder: Option<&TierId>, tier: Option<&TierId>) -> String {
    let ports = |id: Option<&TierId>| {
        let spec = id.and_then(|id| topology.tiers.get(id));
        spec.map(|spec| spec.ports.clone()).unwrap_or_default()
    };
    let own = ports(tier);
    let held = ports(holder)
        .into_iter()
        .find(|held| own.iter().any(|port| port.conflicts(held)));
    // One that the holder published in an earlier revision only has no number here.
    held.map_or_else(
        || format!("{} holds a port that it needs", name(holder)),
        |port| format!("port {} is held by {}", port.host, name(holder)),
    )
}

fn name<T: std::fmt::Display>(id: Option<&T>) -> String {
    id.map_or_else(String::new, ToString::to_string)
}
