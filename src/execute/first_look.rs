//! The look at a VM that has just been made, before anything is put on it: its image may start
//! containers of its own.

use crate::engine::Observed;
use crate::fault::{Code, Fault};
use crate::model::topology::OnForeign;
use crate::model::{Topology, Vm, VmId};

use super::event::FoundVm;
use super::perform::Failure;
use super::preflight::clashes;
use super::reality::{as_seen, lacking, no_limits, others};
use super::record::Execution;
use super::world::World;

/// Looks at a new VM for `planned`, and fails if the planned containers do not fit beside what
/// others run there.
pub async fn first_look(
    world: &World,
    execution: &Execution,
    planned: &VmId,
    found: &FoundVm,
) -> Result<(), Failure> {
    let target = match &execution.progress.back {
        // In a rollback, what was there before counts.
        Some(_) => &world.from,
        None => execution.target(),
    };
    let Some(wanted) = target.vms.get(planned) else {
        return Ok(());
    };
    let tls = world.topology.infrastructure.docker.tls.as_ref();
    let engine = world.engines.at(&found.endpoint, tls)?;
    let seen = engine.observe().await?;
    match in_the_way(&world.topology, &found.name, wanted, &seen) {
        None => Ok(()),
        Some(fault) => Err(fault.into()),
    }
}

/// Why a VM can't take what is planned for it. Pure.
fn in_the_way(topology: &Topology, name: &VmId, wanted: &Vm, seen: &[Observed]) -> Option<Fault> {
    let theirs = as_seen(topology, &wanted.emptied(), seen).foreign;
    let mut problems = Vec::new();
    let mut code = Code::ShapeTooLarge;
    let holds = |problem: String| format!("containers of others on VM '{name}' {problem}");
    let (has, comes) = (wanted.capacity, wanted.held());
    if comes.mem + theirs.size.mem > has.mem {
        let (theirs, has, comes) = (theirs.size.mem, has.mem, comes.mem);
        problems.push(holds(format!(
            "hold {theirs} of its {has} memory units, and {comes} more are needed"
        )));
    }
    if comes.cpu + theirs.size.cpu > has.cpu {
        let (theirs, has, comes) = (theirs.size.cpu, has.cpu, comes.cpu);
        problems.push(holds(format!(
            "hold {theirs} of its {has} cores, and {comes} more are needed"
        )));
    }
    let lacks = (comes + theirs.size) - has;
    for (lacks, theirs, has, comes, what) in [
        (
            lacks.disk_gb,
            theirs.size.disk_gb,
            has.disk_gb,
            comes.disk_gb,
            "GB of disk",
        ),
        (lacks.gpus, theirs.size.gpus, has.gpus, comes.gpus, "GPUs"),
    ] {
        if lacks > 0 && comes > 0 {
            problems.push(holds(format!(
                "hold {theirs} of its {has} {what}, and {comes} are to come"
            )));
        }
    }
    for (tier, container) in &wanted.used {
        for core in container.cores.0.intersection(&theirs.cores.0) {
            problems.push(holds(format!("hold core {core}, which is for {tier}")));
        }
    }
    let names = wanted.used.keys().collect();
    for foreign in seen.iter().filter(|one| !one.managed) {
        let clashes = clashes(topology, name, foreign, &names);
        problems.extend(clashes.into_iter().map(|fault| {
            code = fault.code;
            fault.message
        }));
    }
    for one in others(topology, seen) {
        let Some(lacks) = lacking(one) else { continue };
        let message = no_limits(name, &one.name, lacks);
        if topology.infrastructure.foreign == OnForeign::Refuse {
            problems.push(message);
        } else {
            tracing::warn!("{message}");
        }
    }
    if problems.is_empty() {
        return None;
    }
    let message = format!(
        "{}; take them out of what VMs are made from, or leave their part out of the VMs' shape",
        problems.join("; ")
    );
    Some(Fault::new(code, message))
}
