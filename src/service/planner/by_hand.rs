//! One container of a given size on a given VM: nothing is searched for, and everything is checked as for a plan.

use serde_json::json;

use crate::cloud::Standing;
use crate::fault::{Code, Fault};
use crate::model::{Allocation, Container, Size, Topology, Vm};
use crate::service::candidates::{Wanted, candidates};
use crate::service::intents::SetTier;
use crate::service::planner::Seen;
use crate::service::planner::safety;
use crate::service::planner::sealed::Course;
use crate::service::planner::untold::tell;
use crate::service::{Service, Snapshot};
use crate::translate::check::Subject;
use crate::translate::translate;

impl Service {
    /// The way to it.
    pub(in crate::service) async fn set_by_hand(
        &self,
        snapshot: &Snapshot,
        set: &SetTier,
    ) -> Result<Course, Fault> {
        let topology = snapshot.topology()?;
        let mut totals = snapshot.allocation.totals();
        totals.entry(set.tier.clone()).or_insert(set.size);
        let seen = self.see(snapshot, &topology, &totals).await?;
        let there = seen.allocation.vms.get(&set.vm);
        let holds = there.and_then(|vm| vm.used.get(&set.tier)).map(|held| held.size);
        let mut reasons = Vec::new();
        match (holds, set.size) {
            (None, Size::ZERO) => {}
            (Some(_), Size::ZERO) => reasons.extend(too_few(&topology, &seen.allocation, set)),
            (Some(now), size) => reasons.extend(grown(there, now, size)),
            (None, size) => {
                let (nodes, ports) = self.nodes_with_ports().await?;
                let spec = topology.tiers.get(&set.tier);
                let wanted = Wanted {
                    tier: Some(set.tier.clone()),
                    cpu: Some(size.cpu),
                    mem: Some(size.mem),
                    disk_gb: size.disk_gb,
                    gpus: size.gpus,
                    ..Wanted::default()
                };
                let rejected = candidates(&topology, (&nodes, &ports), spec, &wanted).rejected;
                let why = rejected.into_iter().find(|one| one.node == set.vm);
                reasons.extend(why.into_iter().flat_map(|why| why.reasons));
            }
        }
        if !reasons.is_empty() {
            let message = format!("{} on '{}': {}", set.tier, set.vm, reasons.join(", "));
            let details = json!({ "code": "rejected", "tier": set.tier, "node": set.vm, "reasons": reasons });
            return Err(Fault::new(Code::Infeasible, message).with([details]));
        }
        let target = target(&topology, &seen, set)?;
        let mut translation = translate(&topology, &seen.allocation, &target);
        tell(&topology, &snapshot.untold, &mut translation.stages);
        safety::check(&Subject {
            topology: &topology,
            from: &seen.allocation,
            to: &target,
            stages: &translation.stages,
            interrupts: Some(&translation.interrupts),
            target: Some(&translation.target),
            untold: &snapshot.untold,
            leftovers: &safety::Leftovers::new(),
        })?;
        Ok(Course {
            target: translation.target,
            stages: translation.stages,
            seen,
        })
    }
}

/// The allocation with the container.
fn target(topology: &Topology, seen: &Seen, set: &SetTier) -> Result<Allocation, Fault> {
    let mut target = seen.allocation.clone().owing_nothing();
    if set.size != Size::ZERO && !target.vms.contains_key(&set.vm) {
        if let Some(fault) = seen.unseen.get(&set.vm) {
            return Err(fault.clone());
        }
        let offered = seen
            .vms
            .iter()
            .find(|vm| vm.name == set.vm && vm.standing == Standing::Ready);
        let fresh = offered.map(|vm| Vm::empty(vm.ip.clone(), topology.infrastructure.size_of(&set.vm)));
        let Some(vm) = seen.occupied.get(&set.vm).cloned().or(fresh) else {
            let message = format!("VM '{}' can't be taken into use", set.vm);
            return Err(Fault::new(Code::Infeasible, message));
        };
        target.vms.insert(set.vm.clone(), vm);
    }
    let Some(vm) = target.vms.get_mut(&set.vm) else {
        return Ok(target);
    };
    if set.size == Size::ZERO {
        vm.used.remove(&set.tier);
        return Ok(target);
    }
    // One that keeps its size keeps its cores.
    let before = vm.used.get(&set.tier);
    if before.is_none_or(|held| held.size != set.size) {
        let mut held: Container = set.size.into();
        // One that is outdated is only resized: a changed topology is rolled out when somebody sends a plan.
        let made = before.and_then(|before| before.revision.clone());
        held.revision = made.or_else(|| topology.revisions.current(&set.tier).cloned());
        vm.used.insert(set.tier.clone(), held);
    }
    // What depends on it is to find it where it is then; the others keep the addresses that they have.
    for (tier, held) in target.vms.values_mut().flat_map(|vm| &mut vm.used) {
        let spec = topology.tiers.get(tier);
        if spec.is_some_and(|spec| spec.depends_on.contains(&set.tier)) {
            held.addresses = None;
        }
    }
    Ok(target)
}

/// Why a container can't go.
fn too_few(topology: &Topology, allocation: &Allocation, set: &SetTier) -> Option<String> {
    let least = topology.tiers.get(&set.tier)?.min_node;
    let left = allocation.places(&set.tier).count().saturating_sub(1);
    // None at all is what a plan without the tier asks for, too.
    let few = left > 0 && u32::try_from(left).is_ok_and(|left| left < least);
    few.then(|| format!("min_node: it would be on {left} of at least {least} nodes"))
}

/// Why a container can't have another size.
fn grown(vm: Option<&Vm>, now: Size, size: Size) -> Vec<String> {
    let Some(vm) = vm else { return Vec::new() };
    let (room, others) = (vm.room(), vm.held() - now);
    let mut reasons = Vec::new();
    let is = |count: &str| if count == "1" { "is" } else { "are" };
    if size.cpu > now.cpu && (others + size).cpu > room.cpu {
        let need = size.cpu.to_string();
        reasons.push(format!(
            "others hold {} of {} cores, and {need} {} needed",
            others.cpu,
            room.cpu,
            is(&need)
        ));
    }
    let all = others + size;
    for (size, now, all, others, room, what) in [
        (size.mem, now.mem, all.mem, others.mem, room.mem, "mem_units"),
        (
            size.disk_gb,
            now.disk_gb,
            all.disk_gb,
            others.disk_gb,
            room.disk_gb,
            "GB of disk",
        ),
        (size.gpus, now.gpus, all.gpus, others.gpus, room.gpus, "GPUs"),
    ] {
        if size > now && all > room {
            let need = size.to_string();
            let verb = is(&need);
            reasons.push(format!(
                "others hold {others} of {room} {what}, and {need} {verb} needed"
            ));
        }
    }
    reasons
}
