//! Executions that are cut off at any action, and what the same plan must then make up for.

use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::engine::RunId;
use crate::execute::{
    Bindings, By, Event, Execution, Finding, Frozen, HookRun, Left, Outcome, Pinned, Progress, Stamped,
    Status, confirmed,
};
use crate::model::topology::{OnFailure, OnShortage};
use crate::model::{Allocation, CoreSet, RevisionId, Since, Size, TierId, Topology, Vm, VmId};
use crate::translate::{Action, Stage, check, translate};

/// `web` is told of changes of `db`; both have scale hooks.
fn topology() -> Topology {
    let document = json!({
        "infrastructure": {"cpu_cores": 8, "mem_units": 8, "hooks_git_repo": "/hooks",
                           "cloud_driver": {"autoscaling_groupname": "g"}},
        "apps": [{"name": "app", "tiers": {
            "db": {"docker_image": "i", "on_node_scale": "grow"},
            "web": {"docker_image": "i", "on_node_scale": "grow", "depends_on": ["db"],
                    "on_dependency_scale": "tell"},
        }}],
    });
    Topology::parse(&document).unwrap().topology
}

/// This many cores for each of these, by VM.
fn holding(places: &[(&str, &str, u32)]) -> Allocation {
    let mut allocation = Allocation::default();
    for (vm, tier, cores) in places {
        let entry = allocation.vms.entry(VmId::new(vm));
        let vm = entry.or_insert_with(|| Vm::empty(None, Size::new(8, 8)));
        let taken = u32::try_from(vm.used.len()).unwrap() * 4;
        let mut container: crate::model::Container = Size::new(*cores, 1).into();
        container.cores = CoreSet((taken..taken + cores).collect());
        vm.used.insert(TierId::of("app", tier), container);
    }
    allocation
}

/// An execution to which events are applied as the service does it.
struct Course {
    topology: Topology,
    execution: Execution,
    now: Allocation,
    names: Bindings,
}

impl Course {
    fn begin(from: &Allocation, to: &Allocation) -> Self {
        let topology = topology();
        let translation = translate(&topology, from, to);
        assert_eq!(
            check::breaches(&topology, from, to, &translation),
            Vec::<String>::new()
        );
        let frozen = Frozen {
            id: Uuid::now_v7(),
            created_at: Timestamp::UNIX_EPOCH,
            generation: 1,
            plan: json!({}),
            from: Pinned::from(from),
            target: to.clone(),
            stages: translation.stages,
            hooks_revision: None,
            on_failure: OnFailure::default(),
            on_shortage: OnShortage::default(),
            idempotency_key: None,
            fingerprint: None,
            plan_id: None,
            requested_by: By::default(),
            reconcile: None,
            intent: None,
        };
        // As it is read back from the record.
        let now = Allocation::from(frozen.from.clone());
        let progress = Progress::new(frozen.actions().count());
        Self {
            topology,
            execution: Execution { frozen, progress },
            now,
            names: Bindings::new(),
        }
    }

    fn record(&mut self, event: Event) {
        let at = Timestamp::UNIX_EPOCH;
        let event = Stamped { at, event };
        self.execution.progress.apply(&event).unwrap();
        let confirmed = confirmed(
            &self.topology,
            &self.execution,
            &event.event,
            &self.now,
            &self.names,
        );
        for change in &confirmed.changes {
            self.now.apply(change);
        }
        self.names.extend(confirmed.bound);
    }

    fn succeed(&mut self, action: usize) {
        self.record(Event::ActionStarted { action, attempt: 1 });
        let finding = Finding::default();
        self.record(Event::ActionSucceeded { action, finding });
    }

    fn fail(&mut self, action: usize, left: Option<Left>, unknown: bool) {
        self.record(Event::ActionStarted { action, attempt: 1 });
        self.record(Event::ActionFailed {
            action,
            error: String::new(),
            code: "hook_failed".to_owned(),
            output: None,
            left,
            unknown,
        });
    }

    fn end(&mut self, outcome: Outcome) {
        self.record(Event::Finished { outcome });
    }

    fn turn_back(&mut self) -> usize {
        let was = self.execution.frozen.from.clone().into();
        let stages = translate(&self.topology, &self.now, &was).stages;
        let first = self.execution.progress.actions.len();
        self.record(Event::RollbackBegun { stages });
        first
    }

    fn actions(&self) -> Vec<Action> {
        self.execution
            .actions()
            .map(|(_, action)| action.clone())
            .collect()
    }
}

fn hooks(stages: &[Stage]) -> Vec<String> {
    let texts = stages.iter().flatten().map(ToString::to_string);
    texts.filter(|text| text.starts_with("run ")).collect()
}

/// Plans that need hooks: one that grows, one that moves and shrinks, one that starts from nothing.
fn plans() -> Vec<(Allocation, Allocation)> {
    let both = holding(&[("v", "db", 1), ("v", "web", 1)]);
    vec![
        (both.clone(), holding(&[("v", "db", 2), ("v", "web", 1)])),
        (
            both.clone(),
            holding(&[("v", "db", 1), ("v", "web", 1), ("w", "db", 1), ("w", "web", 1)]),
        ),
        (holding(&[("v", "db", 2), ("v", "web", 1), ("w", "db", 1)]), {
            let mut to = both;
            to.vms.insert(VmId::new("w"), Vm::empty(None, Size::new(8, 8)));
            to
        }),
        (
            Allocation {
                vms: [(VmId::new("v"), Vm::empty(None, Size::new(8, 8)))].into(),
            },
            holding(&[("v", "db", 1), ("v", "web", 1)]),
        ),
    ]
    .into_iter()
    .map(|(mut from, to)| {
        for (id, vm) in &to.vms {
            from.vms.entry(id.clone()).or_insert_with(|| vm.emptied());
        }
        (from, to)
    })
    .collect()
}

#[test]
fn wherever_an_execution_is_cut_off_the_same_plan_runs_the_hooks_that_it_did_not() {
    for (from, to) in plans() {
        let whole = translate(&topology(), &from, &to).stages;
        let count = whole.iter().flatten().count();
        for cut in 0..=count {
            let mut first = Course::begin(&from, &to);
            (0..cut).for_each(|action| first.succeed(action));
            let ran = first
                .actions()
                .into_iter()
                .take(cut)
                .map(|action| action.to_string());
            let ran: Vec<String> = ran.collect();
            first.end(Outcome::Cancelled);
            let mut again = Course::begin(&first.now, &to);
            let left = hooks(&again.execution.frozen.stages);
            for action in whole.iter().flatten() {
                let hook = action.to_string();
                // What starts after the change already finds it made.
                let there = action
                    .container()
                    .and_then(|tier| first.now.container(action.vm(), tier));
                let late = there.is_none() && matches!(action, Action::RunTierHook { .. });
                if !hook.starts_with("run ") || late {
                    continue;
                }
                assert!(
                    ran.contains(&hook) || left.contains(&hook),
                    "{cut}: {hook} in {left:#?}"
                );
            }
            (0..again.actions().len()).for_each(|action| again.succeed(action));
            again.end(Outcome::Succeeded);
            let more = translate(&topology(), &again.now, &to).stages;
            assert!(more.is_empty(), "{cut}: {more:?}");
            assert_eq!(again.now, again.now.clone().owing_nothing());
        }
    }
}

#[test]
fn a_way_back_that_is_cut_off_owes_its_hooks_too() {
    for (from, to) in plans() {
        let count = translate(&topology(), &from, &to).stages.iter().flatten().count();
        for cut in 1..=count {
            for undone in 0.. {
                let mut course = Course::begin(&from, &to);
                (0..cut).for_each(|action| course.succeed(action));
                let first = course.turn_back();
                let back = course.actions().len() - first;
                if undone > back {
                    break;
                }
                let planned: Vec<String> = course
                    .actions()
                    .iter()
                    .skip(first)
                    .map(ToString::to_string)
                    .collect();
                (0..undone).for_each(|action| course.succeed(first + action));
                let (ran, missed) = planned.split_at(undone);
                let again = translate(&topology(), &course.now, &from).stages;
                let again = hooks(&again);
                for hook in missed.iter().filter(|text| text.starts_with("run ")) {
                    assert!(
                        again.contains(hook),
                        "{cut} {undone}: {hook} in {again:#?} after {ran:#?}"
                    );
                }
                if undone == back {
                    assert_eq!(again, Vec::<String>::new(), "{cut}");
                }
            }
        }
    }
}

#[test]
fn a_hook_that_failed_is_owed_since_the_first_change_that_it_missed() {
    let from = holding(&[("v", "db", 1), ("v", "web", 1)]);
    let to = holding(&[("v", "db", 2), ("v", "web", 1)]);
    let mut first = Course::begin(&from, &to);
    let fails = |course: &mut Course| {
        for (index, action) in course.actions().into_iter().enumerate() {
            match action {
                Action::RunTierHook { .. } => course.fail(index, None, false),
                _ => course.succeed(index),
            }
        }
        course.end(Outcome::Failed);
    };
    fails(&mut first);
    let mut second = Course::begin(&first.now, &holding(&[("v", "db", 3), ("v", "web", 1)]));
    fails(&mut second);
    let held = second
        .now
        .container(&VmId::new("v"), &TierId::of("app", "web"))
        .unwrap();
    let since = Since {
        execution: first.execution.frozen.id,
        back: false,
    };
    assert_eq!(held.owed.tier, Some(since));
    assert_eq!(first.execution.before(false), from);
    // The scale hook of the one that grew has run.
    let db = second
        .now
        .container(&VmId::new("v"), &TierId::of("app", "db"))
        .unwrap();
    assert!(db.owed.is_nothing());
}

#[test]
fn an_update_of_which_nobody_knows_what_became_owes_its_hooks() {
    let from = holding(&[("v", "db", 1), ("v", "web", 1)]);
    let to = holding(&[("v", "db", 2), ("v", "web", 1)]);
    let mut course = Course::begin(&from, &to);
    course.fail(0, None, true);
    course.end(Outcome::Failed);
    // Found to be done when the engine answers again.
    let mut seen = course.now.clone();
    let db = seen.vms.get_mut("v").unwrap().used.get_mut("app_db").unwrap();
    (db.size, db.cores) = (Size::new(2, 1), CoreSet([0, 1].into()));
    assert_eq!(
        hooks(&translate(&topology(), &seen, &to).stages),
        [
            "run scale hook for container 'app_db' on vm 'v'",
            "run tier hook for container 'app_web' on vm 'v'",
        ]
    );
}

#[test]
fn a_container_that_goes_is_owed_nothing() {
    let from = holding(&[("v", "db", 1)]);
    let to = holding(&[("v", "db", 2)]);
    let mut course = Course::begin(&from, &to);
    course.succeed(0);
    course.end(Outcome::Cancelled);
    let mut none = to;
    none.vms.get_mut("v").unwrap().used.clear();
    let stages = translate(&topology(), &course.now, &none).stages;
    assert_eq!(hooks(&stages), Vec::<String>::new());
}

#[test]
fn what_was_drained_and_stays_is_owed_its_scale_hooks() {
    let from = holding(&[("v", "db", 1), ("w", "db", 1)]);
    let mut to = holding(&[("v", "db", 1)]);
    to.vms.insert(VmId::new("w"), Vm::empty(None, Size::new(8, 8)));
    for begun in [false, true] {
        let mut course = Course::begin(&from, &to);
        let removal = |action: &Action| matches!(action, Action::DeleteContainer { .. });
        let action = course.actions().iter().position(removal).unwrap();
        course.record(Event::ActionStarted { action, attempt: 1 });
        if begun {
            course.record(Event::ActionProgressed {
                action,
                progress: "running drain".to_owned(),
                hook: Some(HookRun {
                    number: 0,
                    run: RunId("run".to_owned()),
                }),
                starts: None,
                output: None,
            });
        }
        // It is still there as it was.
        course.record(Event::ActionFailed {
            action,
            error: String::new(),
            code: "engine_refused".to_owned(),
            output: None,
            left: Some(Left::Container {
                size: Size::new(1, 1),
                cores: CoreSet([0].into()),
                revision: None,
                addresses: None,
                digest: None,
            }),
            unknown: false,
        });
        let held = course.now.container(&VmId::new("w"), &TierId::of("app", "db"));
        assert_eq!(held.unwrap().owed.scale, begun);
    }
}

#[test]
fn a_successor_is_owed_its_dependency_hook_where_it_depends_on_anything() {
    let made = |revision: &str| {
        let mut side = holding(&[("v", "db", 1), ("v", "web", 1)]);
        let web = side.vms.get_mut("v").unwrap().used.get_mut("app_web").unwrap();
        web.revision = Some(RevisionId::new(revision));
        side
    };
    for depends in [true, false] {
        let mut course = Course::begin(&made("old"), &made("new"));
        if !depends {
            course
                .topology
                .tiers
                .get_mut("app_web")
                .unwrap()
                .depends_on
                .clear();
        }
        let replaces = |action: &Action| matches!(action, Action::ReplaceContainer { .. });
        let action = course.actions().iter().position(replaces).unwrap();
        course.succeed(action);
        let held = course.now.container(&VmId::new("v"), &TierId::of("app", "web"));
        assert_eq!(held.unwrap().owed.tier.is_some(), depends);
    }
}

#[test]
fn what_is_made_late_is_owed_what_it_was_to_be_told_until_it_is() {
    let before = holding(&[("v", "db", 1)]);
    let (hook, container) = {
        let topology = topology();
        let web = TierId::of("app", "web");
        (
            topology
                .tiers
                .get(&web)
                .unwrap()
                .on_dependency_scale
                .clone()
                .unwrap(),
            web,
        )
    };
    // The first ends when `db` has grown, and before `web` is there.
    let mut first = Course::begin(&before, &holding(&[("v", "db", 2), ("v", "web", 1)]));
    let of = |course: &Course, is: fn(&Action) -> bool| course.actions().iter().position(is).unwrap();
    let grown = of(&first, |action| matches!(action, Action::UpdateContainer { .. }));
    first.succeed(grown);
    first.end(Outcome::Failed);
    assert_eq!(
        crate::execute::untold(&first.execution),
        [container.clone()].into()
    );

    // The next one makes it, and is to tell it although no dependency changes any more.
    let mut next = Course::begin(&first.now, &holding(&[("v", "db", 2), ("v", "web", 1)]));
    let tells = |action: &Action| matches!(action, Action::RunTierHook { .. });
    assert!(
        !next.actions().iter().any(tells),
        "nothing changes in number, size or place"
    );
    let tell = Action::RunTierHook {
        vm: VmId::new("v"),
        container: container.clone(),
        hook,
        leaving: Vec::new(),
    };
    next.execution.frozen.stages.push(vec![tell]);
    next.execution.progress = Progress::new(next.execution.actions().count());
    let owed = |course: &Course| {
        course
            .now
            .container(&VmId::new("v"), &container)
            .unwrap()
            .owed
            .tier
    };
    let made = of(&next, |action| matches!(action, Action::CreateContainer { .. }));
    next.succeed(made);
    assert!(owed(&next).is_some(), "it may end before it is told");
    let told = of(&next, |action| matches!(action, Action::RunTierHook { .. }));
    next.succeed(told);
    assert_eq!(owed(&next), None);
    let states = next.execution.progress.actions.iter().enumerate();
    let left = states.filter(|(_, action)| action.state == Status::Pending);
    let left: Vec<usize> = left.map(|(action, _)| action).collect();
    left.into_iter().for_each(|action| next.succeed(action));
    next.end(Outcome::Succeeded);
    assert!(crate::execute::untold(&next.execution).is_empty());
}
