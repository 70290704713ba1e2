//! The end of every story: nothing goes wrong any more, time passes, a last plan is sent, and then
//! everything must be as that plan says, with nothing left over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mapek::engine::{CpuLimit, LABEL_OWNER, LABEL_REVISION, State as Doing};
use mapek::execute::Direction;
use mapek::fault::Code;
use mapek::model::intent::{State as IntentState, Wanted};
use mapek::model::{Plan, RevisionId, TierId, VmId};
use mapek::service::{Request, Service};

use crate::clients::{adopt, client};
use crate::compare::overfull;
use crate::ending_apps::{apps, naming};
use crate::hooks::Hook;
use crate::story::{Story, UNIT_MB};
use crate::world::{State, World};

/// How often the last plan is sent at most. Each time sees to what is left then.
pub const ATTEMPTS: u32 = 5;
/// Between two, at most.
const PAUSE: Duration = Duration::from_secs(600);
/// What a plan that came to its end says.
const CARRIED_OUT: &str = "it was carried out";
/// The pause between two looks at the progress.
const STEP: Duration = Duration::from_secs(60);

/// How far the end came.
pub enum Ending {
    /// All is told.
    Told,
    /// No placement was found for the last plan so quickly: it takes more patience.
    Undecided,
}

/// Brings the story to its end. A broken promise is reported to the world.
pub async fn converge(world: &World, service: &Service, story: &Story) -> Ending {
    heal(world);
    rest(world, None).await;
    let bad = |document: &str| {
        [":bad", ":sick", ":gone"]
            .iter()
            .any(|tag| document.contains(tag))
    };
    let present = service.snapshot().topology.clone();
    if present.is_none_or(|topology| bad(&topology.document.to_string())) {
        // Nothing else may run while a topology is put.
        finish(world, service).await;
        let document = story.setting.topologies[0].clone();
        let _ = service.put_topology(document, None, client()).await;
    }
    finish(world, service).await;
    let lost = !world.lock().lost_owners.is_empty();
    if lost && let Err(fault) = adopt(service, world).await {
        world.note(&format!("what was lost is not adopted: {}", fault.message));
    }
    let over = match intents(world, service).await {
        Ok(()) => apps(world, service).await,
        waits => waits,
    };
    match over {
        Ok(()) => {}
        Err(Waits::Undecided) => return Ending::Undecided,
        Err(Waits::Wrong(wrong)) => {
            world.broken(wrong);
            return Ending::Told;
        }
    }
    let mut said = "it was never sent".to_owned();
    let mut moved = false;
    let index = story.setting.plans.len() - 1;
    let plan = &naming(&story.setting.plans[index], service);
    for _ in 0..ATTEMPTS {
        let request = Request {
            plan: Some(plan.clone()),
            by: client(),
            ..Request::default()
        };
        let answer = match service.begin(request).await {
            Ok(begun) => begun.ended().await.success().map(drop),
            Err(fault) => Err(fault),
        };
        said = match answer {
            Ok(()) => CARRIED_OUT.to_owned(),
            Err(fault) if fault.code == Code::Undecided => return Ending::Undecided,
            Err(fault) => format!("{} {}", fault.code, fault.message),
        };
        world.note(&format!("the last plan: {said}"));
        if said == CARRIED_OUT
            && let Some(owed) = owed(world, service)
        {
            world.broken(format!("the last plan was carried out, and {owed}"));
        }
        rest(world, Some((service, plan))).await;
        let Some(wrong) = left_over(world, service, plan) else {
            return Ending::Told;
        };
        if let Wrong::Idle(_) = wrong {
            // A plan that asks for what is there changes nothing, so a VM that nobody needs stays;
            // another plan lets it go.
            for other in story.setting.plans.iter().filter(|other| **other != *plan) {
                let request = Request {
                    plan: Some(other.clone()),
                    by: client(),
                    ..Request::default()
                };
                if let Ok(begun) = service.begin(request).await {
                    moved |= begun.ended().await.fault.is_none();
                    break;
                }
            }
        }
    }
    let wrong = match left_over(world, service, plan) {
        Some(Wrong::Idle(_)) if !moved => None,
        Some(Wrong::Idle(wrong) | Wrong::Else(wrong)) => Some(wrong),
        None => None,
    };
    if let Some(wrong) = wrong {
        world.broken(format!(
            "nothing goes wrong any more, the last plan was sent ({said}), and still {wrong}"
        ));
    }
    Ending::Told
}

/// Why the intents did not come to an end.
pub enum Waits {
    /// No placement was found for one so quickly: it takes more patience.
    Undecided,
    /// A promise is broken.
    Wrong(String),
}

/// Every intent that was accepted is on record and comes to an end. Then all nodes may be used
/// again.
async fn intents(world: &World, service: &Service) -> Result<(), Waits> {
    for _ in 0..ATTEMPTS {
        if service.snapshot().intents.is_empty() {
            break;
        }
        rest(world, None).await;
    }
    let wrong = |wrong: String| Err(Waits::Wrong(wrong));
    let taken = world.lock().checks.all_intended();
    for id in taken {
        match service.intent(id).await {
            Ok(intent)
                if world.lock().checks.is_taken_back(id)
                    && (intent.state != IntentState::Cancelled || intent.execution.is_some()) =>
            {
                return wrong(format!(
                    "an intent was taken back, and something came of it: {intent:?}"
                ));
            }
            Ok(intent) if intent.state.is_over() => {}
            // Without a topology nothing can be carried out, and an execution that is held is in the way.
            Ok(_) if service.snapshot().topology.is_none() || service.snapshot().running.is_some() => {}
            Ok(intent)
                if intent
                    .reasons
                    .iter()
                    .any(|why| why.contains("no placement was found")) =>
            {
                return Err(Waits::Undecided);
            }
            Ok(intent) => {
                return wrong(format!(
                    "nothing goes wrong any more, and an intent waits: {intent:?}"
                ));
            }
            Err(fault) => return wrong(format!("an intent was taken, and is gone: {}", fault.message)),
        }
    }
    let cordoned: Vec<VmId> = service.snapshot().cordons.keys().cloned().collect();
    for node in cordoned {
        world.lock().checks.uncordoned(&node);
        if let Err(fault) = service.intend(Wanted::Uncordon { node }, client()).await {
            return wrong(format!("a cordon can't be lifted: {}", fault.message));
        }
    }
    Ok(())
}

/// A held execution waits for somebody to decide.
async fn finish(world: &World, service: &Service) {
    for _ in 0..ATTEMPTS {
        let unfinished = world.lock().checks.unfinished();
        let Some(id) = unfinished else { break };
        let _ = service.take_up(id, Direction::Forward, client()).await;
        rest(world, None).await;
    }
}

/// Time passes: an hour's sixth, or until what should be is there, which says enough in most stories.
pub async fn rest(world: &World, until: Option<(&Service, &serde_json::Value)>) {
    let steps = PAUSE.as_secs() / STEP.as_secs();
    let to_the_end = world.lock().dice.percent(10);
    for _ in 0..steps {
        tokio::time::sleep(STEP).await;
        let quiet = match until {
            Some((service, plan)) => left_over(world, service, plan).is_none(),
            None => world.lock().checks.unfinished().is_none(),
        };
        if quiet && !to_the_end {
            return;
        }
    }
}

/// From now on nothing goes wrong.
fn heal(world: &World) {
    let state = &mut *world.lock();
    state.note("from now on nothing goes wrong");
    let now = state.now();
    for machine in state.machines.values_mut() {
        machine.armed.clear();
        for until in [
            &mut machine.frozen_until,
            &mut machine.down_until,
            &mut machine.off_until,
            &mut machine.sick_until,
            &mut machine.crash_until,
            &mut machine.hooks_fail_until,
            &mut machine.hooks_slow.0,
        ] {
            *until = (*until).min(now);
        }
        machine.others_leave();
    }
    for agent in state.agents.values_mut() {
        agent.heal(now);
    }
    if let Some(group) = &mut state.group {
        group.launches_fail_until = now;
        group.throttled_until = now;
        group.loses_answers_until = now;
        group.breaks_until = now;
        group.slow.0 = now;
    }
    state.disk_full_until = now;
    state.hooks_away_until = now;
}

/// What differs from what should be there.
enum Wrong {
    /// A VM that nothing is on.
    Idle(String),
    Else(String),
}

/// A container that is owed a hook although an execution has just succeeded and none runs.
fn owed(world: &World, service: &Service) -> Option<String> {
    let snapshot = service.snapshot();
    let topology = snapshot.topology.as_ref()?;
    if world.lock().checks.unfinished().is_some() {
        return None;
    }
    let held = snapshot.allocation.vms.iter().flat_map(|(vm, on)| {
        let on = on.used.iter();
        on.map(move |(tier, held)| (vm, tier, held.owed))
    });
    for (vm, tier, owed) in held {
        let Some(spec) = topology.tiers.get(tier) else {
            continue;
        };
        let due = |hook| world.lock().checks.due.is_due(hook, vm, tier);
        if !spec.on_node_scale.is_empty() && due(Hook::Scale) {
            return Some(format!(
                "no scale hook has run in {tier} on {vm} since it was changed"
            ));
        }
        if spec.on_dependency_scale.is_some() && due(Hook::Dependency) {
            return Some(format!("{tier} on {vm} was replaced, and told nothing since"));
        }
        if owed.scale && !spec.on_node_scale.is_empty() {
            return Some(format!("{tier} on {vm} is still owed its scale hooks"));
        }
        if owed.tier.is_some() && spec.on_dependency_scale.is_some() {
            return Some(format!("{tier} on {vm} is still owed its dependency hook"));
        }
    }
    None
}

/// What differs from the plan.
fn left_over(world: &World, service: &Service, plan: &serde_json::Value) -> Option<Wrong> {
    let snapshot = service.snapshot();
    let Some(topology) = &snapshot.topology else {
        return None;
    };
    let Ok((plan, _)) = Plan::parse(plan, topology) else {
        return Some(Wrong::Else("the plan can't be read".to_owned()));
    };
    let state = &mut *world.lock();
    state.settle();
    if let Some(id) = state.checks.unfinished() {
        return Some(Wrong::Else(format!("{} has not ended", state.checks.name(id))));
    }
    for (vm, machine) in &state.machines {
        for one in machine.containers.values().filter(|one| one.ours()) {
            let made = one.labels.get(LABEL_REVISION).map(|made| RevisionId::new(made));
            let own = one
                .labels
                .get(LABEL_OWNER)
                .is_some_and(|owner| state.owner.is_some_and(|us| us.to_string() == *owner));
            if own && topology.is_outdated(&TierId::new(&one.name), made.as_ref()) {
                return Some(Wrong::Else(format!("{} on {vm} is outdated", one.name)));
            }
            let spec = topology.tiers.get(one.name.as_str()).filter(|_| own);
            for dependency in spec.into_iter().flat_map(|spec| topology.addressed(spec)) {
                let Some((at, _)) = snapshot.allocation.places(&dependency.id).next() else {
                    continue;
                };
                let wanted = state.machines.get(at.as_str()).map(|at| &at.ip);
                let is = one.addresses.get(&dependency.key);
                if wanted.is_some() && is != wanted {
                    let wrong = format!(
                        "{} on {vm} looks for {} at {is:?}, and it is at {wanted:?}",
                        one.name, dependency.id
                    );
                    return Some(Wrong::Else(wrong));
                }
            }
        }
    }
    let (wrong, totals, used) = look(state);
    if let Some(wrong) = wrong {
        return Some(Wrong::Else(wrong));
    }
    for tier in plan.tiers.keys().chain(totals.keys()) {
        let wanted = plan
            .tiers
            .get(tier)
            .map_or((0, 0), |size| (size.cpu.in_hundredths(), size.mem));
        let there = totals.get(tier).copied().unwrap_or_default();
        if wanted != there {
            let wrong = format!("{tier} has {there:?} hundredths and units, and should have {wanted:?}");
            return Some(Wrong::Else(wrong));
        }
    }
    let known: BTreeMap<&str, BTreeSet<&str>> = snapshot
        .allocation
        .vms
        .iter()
        .map(|(vm, held)| (vm.as_str(), held.used.keys().map(TierId::as_str).collect()))
        .collect();
    for (vm, held) in &known {
        if used.get(*vm).cloned().unwrap_or_default() != held.iter().map(ToString::to_string).collect() {
            let wrong = format!(
                "the allocation has {held:?} on {vm}, where {:?} run",
                used.get(*vm)
            );
            return Some(Wrong::Else(wrong));
        }
    }
    if let Some(vm) = used.keys().find(|vm| !known.contains_key(vm.as_str())) {
        return Some(Wrong::Else(format!(
            "the allocation does not know {vm}, which is in use"
        )));
    }
    let Some(group) = &state.group else {
        let idle = known.iter().find(|(_, held)| held.is_empty());
        return idle.map(|(vm, _)| Wrong::Idle(format!("{vm} is empty, and was not released")));
    };
    let wanted = group.min.max(u32::try_from(used.len()).unwrap());
    if group.desired != wanted || !group.settled() {
        let there: Vec<&String> = group.staying().collect();
        let wrong = format!(
            "the group should have {wanted} instances: it has {there:?}, desired {}",
            group.desired
        );
        return Some(Wrong::Idle(wrong));
    }
    None
}

/// What is wrong on a machine; hundredths of a core and memory units of each tier; who is where.
#[expect(clippy::type_complexity)]
fn look(
    state: &State,
) -> (
    Option<String>,
    BTreeMap<TierId, (u64, u64)>,
    BTreeMap<String, BTreeSet<String>>,
) {
    let mut totals: BTreeMap<TierId, (u64, u64)> = BTreeMap::new();
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut wrong = None;
    for (vm, machine) in &state.machines {
        wrong = wrong.or_else(|| overfull(machine, state.now(), None));
        for container in machine.containers.values().filter(|container| container.ours()) {
            if container.state != Doing::Running {
                wrong =
                    wrong.or_else(|| Some(format!("{} on {vm} is {:?}", container.name, container.state)));
            }
            let total = totals.entry(TierId::new(&container.name)).or_default();
            total.0 += match &container.limits.cpu {
                CpuLimit::Cores(cores) => 100 * cores.0.len() as u64,
                CpuLimit::Quota(cpu) => cpu.in_hundredths(),
            };
            total.1 += container.limits.memory / (UNIT_MB << 20);
            used.entry(vm.clone()).or_default().insert(container.name.clone());
        }
    }
    (wrong, totals, used)
}
