//! Tests of whole executions in a world where things go wrong.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::fake::{Engineering, Fake, holding};
use super::*;
use crate::engine::{Health, State};
use crate::model::topology::OnFailure;

/// How long attempts go on when they should succeed in the end: longer than any machine takes.
const LONG: Duration = Duration::from_secs(600);
/// How long when they should fail: the first attempt is the last.
const SHORT: Duration = Duration::from_millis(10);

fn unhalted() -> watch::Receiver<Halt> {
    watch::channel(Halt::No).1
}

fn nothing(_: &Event, _: &mut Engineering) {}

#[tokio::test]
async fn a_vm_with_much_to_do_keeps_the_others_from_nothing() {
    let names: Vec<String> = (0..16).map(|number| format!("t{number}")).collect();
    let mut places: Vec<(&str, &str)> = names.iter().map(|name| ("a", name.as_str())).collect();
    places.extend([("b", "t0"), ("c", "t0"), ("d", "t0")]);
    let from = holding(&[("a", ""), ("b", ""), ("c", ""), ("d", "")]);
    let world = Fake::new((from, holding(&places)), OnFailure::Stop, nothing);
    let gate = Arc::new(Semaphore::new(0));
    world.engines().gates.insert("a".to_owned(), Arc::clone(&gate));

    let running = Arc::clone(&world);
    let run = tokio::spawn(async move { running.run(LONG, 4, unhalted()).await });
    // While nothing happens on one VM, everything is done on the others.
    let mut looks = 0;
    while ["b", "c", "d"].iter().any(|vm| world.running_on(vm).is_empty()) {
        looks += 1;
        assert!(looks < 10_000, "the others wait for their turn");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(world.running_on("a").is_empty());
    gate.add_permits(1);
    assert_eq!(run.await.unwrap().0, Some(Outcome::Succeeded));
    assert_eq!(world.running_on("a").len(), 16);
}

/// The engine of `b` does the last thing that it is asked, but does not answer. It answers again
/// once `wakes` says so.
async fn falls_silent(
    (from, to): Move<'_>,
    on_failure: OnFailure,
    wakes: impl Fn(&Event) -> bool + Send + Sync + 'static,
) -> (Arc<Fake>, Ending) {
    let world = Fake::new((holding(from), holding(to)), on_failure, move |event, engines| {
        if wakes(event) {
            engines.silent.clear();
        }
    });
    world.engines().doomed.insert("b".to_owned());
    let ending = world.run(SHORT, 4, unhalted()).await;
    (world, ending)
}

/// Which container is on which VM, before and after.
type Move<'a> = (&'a [(&'a str, &'a str)], &'a [(&'a str, &'a str)]);

const GROWS: Move<'_> = (&[("a", ""), ("b", "")], &[("a", "one"), ("b", "two")]);
const SHRINKS: Move<'_> = (
    &[("a", "one"), ("b", "two"), ("b", "three")],
    &[("a", "one"), ("b", "three")],
);

#[tokio::test]
async fn what_may_have_stayed_on_a_silent_engine_is_not_undone() {
    let (world, (outcome, fault)) = falls_silent(GROWS, OnFailure::Rollback, |_| false).await;
    assert_eq!(outcome, Some(Outcome::RollbackFailed));
    let told = fault.unwrap().message;
    assert!(
        told.contains("'app_two' on vm 'b'") && told.contains("not known"),
        "{told}"
    );
    assert_eq!(world.running_on("b"), ["app_two"]);
    assert_eq!(world.running_on("a"), [""; 0], "what can be undone is");
    let record = world.record();
    assert_eq!(record.unknown().count(), 1);

    let (world, (outcome, fault)) = falls_silent(GROWS, OnFailure::Stop, |_| false).await;
    assert_eq!(outcome, Some(Outcome::Failed));
    assert!(fault.unwrap().message.contains("its outcome is not known"));
    assert_eq!(world.record().unknown().count(), 1);
}

#[tokio::test]
async fn what_became_of_an_action_is_looked_up_again_before_the_end() {
    // As soon as it is recorded as unknown; and only in the rollback.
    let moments: [fn(&Event) -> bool; 2] = [
        |event| matches!(event, Event::ActionFailed { unknown: true, .. }),
        |event| matches!(event, Event::RollbackBegun { .. }),
    ];
    for moment in moments {
        let (world, (outcome, fault)) = falls_silent(GROWS, OnFailure::Rollback, moment).await;
        assert_eq!(outcome, Some(Outcome::RolledBack), "{fault:?}");
        assert_eq!([world.running_on("a"), world.running_on("b")], [[""; 0]; 2]);
        assert_eq!(world.record().unknown().count(), 0);
    }
    // A deletion whose outcome is learnt in time is undone; if it is too late, the execution does
    // not claim so.
    let (world, (outcome, _)) = falls_silent(SHRINKS, OnFailure::Rollback, moments[0]).await;
    assert_eq!(outcome, Some(Outcome::RolledBack));
    assert_eq!(world.running_on("b"), ["app_three", "app_two"]);
    let (world, (outcome, fault)) = falls_silent(SHRINKS, OnFailure::Rollback, moments[1]).await;
    assert_eq!(world.running_on("b"), ["app_three"]);
    assert_eq!(outcome, Some(Outcome::RollbackFailed));
    let told = fault.unwrap().message;
    assert!(told.contains("'app_two' from vm 'b'"), "{told}");
}

/// Once the last container runs, its engine is restarted: everything is down, and for the next
/// calls it does not answer, or starts nothing.
async fn restarted_at_the_end(silent: usize, stubborn: usize) -> (Arc<Fake>, Ending) {
    let plan = (holding(&[("a", "")]), holding(&[("a", "one")]));
    let world = Fake::new(plan, OnFailure::Stop, move |event, engines| {
        if matches!(event, Event::ActionSucceeded { .. }) {
            for seen in engines
                .running
                .values_mut()
                .flat_map(|running| running.values_mut())
            {
                seen.state = State::Exited;
            }
            engines.silent.insert("a".to_owned(), silent);
            engines.stubborn.insert("a".to_owned(), stubborn);
        }
    });
    let ending = world.run(LONG, 4, unhalted()).await;
    (world, ending)
}

#[tokio::test]
async fn an_engine_that_is_restarted_at_the_end_has_lost_nothing() {
    for (silent, stubborn) in [(0, 0), (2, 0), (0, 2), (1, 1)] {
        let (world, (outcome, fault)) = restarted_at_the_end(silent, stubborn).await;
        assert_eq!(
            outcome,
            Some(Outcome::Succeeded),
            "{silent} {stubborn}: {fault:?}"
        );
        assert_eq!(world.running_on("a"), ["app_one"], "{silent} {stubborn}");
        assert!(world.record().progress.lost.is_empty());
    }
}

#[tokio::test]
async fn what_nobody_will_take_is_given_back_when_an_execution_is_cancelled() {
    let to = holding(&[("new_vm0", "one"), ("new_vm1", "one"), ("new_vm2", "one")]);
    let world = Fake::new((holding(&[]), to), OnFailure::Stop, nothing);
    let (halt, halted) = watch::channel(Halt::No);
    let running = Arc::clone(&world);
    let run = tokio::spawn(async move { running.run(LONG, 1, halted).await });
    // The first one asks for all three.
    let begun = || {
        world
            .record()
            .progress
            .actions
            .iter()
            .any(|action| action.attempts > 0)
    };
    while !begun() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    halt.send_replace(Halt::Cancel);
    assert_eq!(run.await.unwrap().0, Some(Outcome::Cancelled));
    let mut abandoned = world.engines().abandoned.clone();
    abandoned.sort();
    abandoned.dedup();
    assert_eq!(abandoned.len(), 3, "{abandoned:?}");
}

/// An execution that makes a VM on which this is found. Returns how it ended, and what runs there
/// then.
async fn made_with(theirs: &[(&str, &str, u64)]) -> (Arc<Fake>, Ending) {
    let places = [("new_vm0", "one"), ("new_vm0", "two")];
    let world = Fake::new((holding(&[]), holding(&places)), OnFailure::Stop, nothing);
    let found = theirs.iter().map(|(name, cores, units)| {
        let limits = crate::engine::Limits {
            cpu: crate::engine::CpuLimit::Cores(crate::model::CoreSet::parse(cores).unwrap()),
            memory: units * 512 * 1024 * 1024,
        };
        let seen = crate::engine::Observed {
            managed: false,
            ..super::fake::container(name, &limits)
        };
        ((*name).to_owned(), seen)
    });
    let found = found.collect();
    world.engines().running.insert("new_vm0".to_owned(), found);
    let ending = world.run(SHORT, 4, unhalted()).await;
    (world, ending)
}

#[tokio::test]
async fn a_vm_that_was_made_is_looked_at_before_anything_is_put_on_it() {
    // The plan wants cores 0 and 1, and two units of memory.
    let (world, (outcome, _)) = made_with(&[("agent", "5", 30)]).await;
    assert_eq!(outcome, Some(Outcome::Succeeded));
    assert_eq!(world.running_on("new_vm0").len(), 3);
    for (theirs, said) in [
        (("agent", "5", 31), "31 of its 32 memory units"),
        (("agent", "1", 1), "core 1"),
        (("app_two", "5", 1), "named app_two"),
    ] {
        let (world, (outcome, fault)) = made_with(&[theirs]).await;
        assert_eq!(outcome, Some(Outcome::Failed), "{theirs:?}");
        assert_eq!(world.running_on("new_vm0"), [theirs.0], "{theirs:?}");
        let message = fault.unwrap().message;
        assert!(message.contains(said), "{theirs:?}: {message}");
        assert_eq!(world.engines().abandoned, [crate::model::VmId::new("new_vm0")]);
    }
}

/// `web` is to start where `db` ran before, with this health.
fn beside_a_sick_one(on: impl Fn(&Event, &mut Engineering) + Send + Sync + 'static) -> Arc<Fake> {
    let from = holding(&[("a", "db"), ("b", "")]);
    let world = Fake::new((from, holding(&[("a", "db"), ("b", "web")])), OnFailure::Stop, on);
    health(&mut world.engines(), Health::Unhealthy);
    world
}

fn health(engines: &mut Engineering, health: Health) {
    let running = engines.running.get_mut("a").unwrap();
    running.get_mut("app_db").unwrap().health = Some(health);
}

#[tokio::test]
async fn nothing_starts_beside_a_dependency_that_is_unhealthy() {
    let world = beside_a_sick_one(nothing);
    let (outcome, fault) = world.run(SHORT, 4, unhalted()).await;
    assert_eq!(outcome, Some(Outcome::Failed));
    let told = fault.unwrap().message;
    assert!(
        told.contains("'app_db' on vm 'a'") && told.contains("health check"),
        "{told}"
    );
    assert_eq!(world.running_on("b"), [""; 0]);
}

#[tokio::test]
async fn what_depends_on_an_unhealthy_one_starts_once_that_is_healthy() {
    let world = beside_a_sick_one(|event, engines| {
        if matches!(event, Event::AttemptFailed { .. }) {
            health(engines, Health::Healthy);
        }
    });
    let (outcome, fault) = world.run(LONG, 4, unhalted()).await;
    assert_eq!(outcome, Some(Outcome::Succeeded), "{fault:?}");
    assert_eq!(world.running_on("b"), ["app_web"]);
}

#[tokio::test]
async fn an_image_that_can_not_be_had_stops_everything_after_a_kill_too() {
    let from = holding(&[("a", ""), ("b", "")]);
    let to = holding(&[("a", "db"), ("b", "web")]);
    let world = Fake::new((from, to), OnFailure::Stop, nothing);
    let record = world.record();
    let (action, last) = record.actions().last().unwrap();
    assert_eq!(
        last.to_string().split(" on ").next(),
        Some("create container 'app_web'")
    );
    // The pull failed before anything was done, and then the service was killed.
    world.happened(Event::ActionFailed {
        action,
        error: "there is no such image".to_owned(),
        code: "image_unavailable".to_owned(),
        output: None,
        left: None,
        unknown: false,
    });
    let (outcome, fault) = world.run(SHORT, 4, unhalted()).await;
    assert_eq!(outcome, Some(Outcome::Failed));
    let told = fault.unwrap().message;
    assert!(told.contains("there is no such image"), "{told}");
    assert_eq!(
        world.running_on("a"),
        [""; 0],
        "what comes before it is not begun"
    );
}

#[tokio::test]
async fn a_hook_that_drained_what_is_not_replaced_after_all_is_seen_to_its_end() {
    let made = |revision: &str| {
        let mut side = holding(&[("a", "one")]);
        for held in side.vms.values_mut().flat_map(|vm| vm.used.values_mut()) {
            held.revision = Some(crate::model::RevisionId::new(revision));
        }
        side
    };
    let world = Fake::new((made("old"), made("new")), OnFailure::Stop, nothing);
    let texts: Vec<String> = world
        .record()
        .actions()
        .map(|(_, action)| action.to_string())
        .collect();
    assert!(
        texts.len() == 1 && texts[0].starts_with("replace container 'app_one'"),
        "{texts:?}"
    );
    // The service was killed while the old container's hook ran, and the execution was then
    // cancelled.
    world.happened(Event::ActionStarted {
        action: 0,
        attempt: 1,
    });
    world.happened(Event::ActionProgressed {
        action: 0,
        progress: "running drain".to_owned(),
        hook: Some(HookRun {
            number: 0,
            run: crate::engine::RunId("run".to_owned()),
        }),
        starts: None,
        output: None,
    });
    let (outcome, _) = world.run(SHORT, 4, watch::channel(Halt::Cancel).1).await;
    assert_eq!(outcome, Some(Outcome::Cancelled));
    assert_eq!(world.running_on("a"), ["app_one"]);
    // This engine can't say how the hook ended.
    let told = world.record().progress.actions[0].error.clone().unwrap();
    assert!(told.contains("its hook may still run in the container"), "{told}");
}
