#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

const IDS: [Uuid; 3] = [Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3)];

/// The surroundings of the state machine: a record that may be unwritable, runners, and kills.
#[derive(Debug, Default)]
struct World {
    state: State,
    facts: Facts,
    /// Runners that were started and have not ended, with what they were last told.
    runners: Vec<(Uuid, Direction, Halt)>,
    /// Whether a cancel of the execution that has not ended was accepted.
    promised: bool,
    ended: Vec<Uuid>,
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    Ask(Ask, bool),
    /// The runner, if any, ends its execution.
    RunnerEnds,
    /// `kill -9`, and a start.
    Kill,
}

impl World {
    fn ask(&mut self, ask: Ask, writable: bool) -> Result<Decision, Refusal> {
        let decision = self.state.decide(self.facts, ask)?;
        let (then, effect) = if decision.record.is_some() && !writable {
            let Some((then, effect)) = decision.unrecorded() else {
                return Ok(decision);
            };
            (then, Some(effect))
        } else {
            (decision.then, decision.effect)
        };
        match decision.record.filter(|_| writable) {
            Some(Fact::Cancel) => self.facts.cancelled = true,
            Some(Fact::Chosen(direction)) => self.facts.chosen = Some(direction),
            Some(Fact::Held) => {
                assert!(!self.facts.held, "it is on record already");
                self.facts.held = true;
            }
            None => {}
        }
        if matches!(decision.record, Some(Fact::Cancel | Fact::Chosen(_))) && writable {
            self.facts.held = false;
        }
        self.state = then;
        match effect {
            Some(Effect::Launch { id, direction, halt }) => {
                assert!(self.runners.is_empty(), "a second runner");
                assert!(!self.ended.contains(&id), "a runner for what has ended");
                self.runners.push((id, direction, halt));
            }
            Some(Effect::Halt(halt)) => self.runners.iter_mut().for_each(|runner| runner.2 = halt),
            None => {}
        }
        Ok(decision)
    }

    fn happen(&mut self, happening: Happening) {
        let before = (self.state, self.facts);
        match happening {
            Happening::Ask(Ask::Finished(_), _) => {}
            Happening::Ask(Ask::Begin(id), _) if self.ended.contains(&id) => {}
            Happening::Ask(ask, writable) => {
                let answer = self.ask(ask, writable);
                if answer.is_err() {
                    assert_eq!(before, (self.state, self.facts), "a refusal changed something");
                }
                let taken = answer.is_ok_and(|decision| decision.record.is_none() || writable);
                if matches!(ask, Ask::Cancel(_)) && taken {
                    self.promised = true;
                    assert!(self.facts.cancelled, "answered before it was recorded");
                }
            }
            Happening::RunnerEnds => {
                if let Some((id, _, halt)) = self.runners.pop()
                    && halt != Halt::Stop
                {
                    self.ask(Ask::Finished(id), true).unwrap();
                    self.ended.push(id);
                    (self.facts, self.promised) = (Facts::default(), false);
                }
            }
            Happening::Kill => {
                self.runners.clear();
                self.state = State::found(self.state.unfinished());
            }
        }
        if self.promised {
            for (id, _, halt) in &self.runners {
                assert_ne!(*halt, Halt::No, "{id} goes on although it was cancelled");
            }
        }
        let running = matches!(self.state.phase, Phase::Running { .. });
        // One that was stopped is gone, and so is the service.
        assert!(running || self.runners.is_empty());
        assert!(self.state.stopping || running != self.runners.is_empty());
    }
}

fn happenings() -> impl Strategy<Value = Happening> {
    let id = || prop::sample::select(&IDS[..]);
    let direction = || prop::sample::select(&[Direction::Forward, Direction::Back][..]);
    let on_restart = prop::sample::select(&[OnRestart::Resume, OnRestart::Rollback, OnRestart::Hold][..]);
    let ask = prop_oneof![
        3 => id().prop_map(Ask::Begin),
        3 => on_restart.prop_map(Ask::Recover),
        3 => id().prop_map(Ask::Cancel),
        4 => (id(), direction()).prop_map(|(id, direction)| Ask::TakeUp(id, direction)),
        1 => Just(Ask::Stop),
    ];
    prop_oneof![
        12 => (ask, prop::bool::weighted(0.9)).prop_map(|(ask, writable)| Happening::Ask(ask, writable)),
        3 => Just(Happening::RunnerEnds),
        3 => Just(Happening::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn there_is_one_runner_at_most_and_a_cancel_is_kept(story in prop::collection::vec(happenings(), 1..60)) {
        let mut world = World::default();
        for happening in story {
            world.happen(happening);
        }
        // Whatever happened: with a start, and room on the disk, a cancelled execution ends.
        world.happen(Happening::Kill);
        world.happen(Happening::Ask(Ask::Recover(OnRestart::Hold), true));
        if world.promised {
            prop_assert!(world.runners.iter().all(|(_, _, halt)| *halt == Halt::Cancel));
            prop_assert_eq!(world.runners.len(), 1);
        }
    }

    #[test]
    fn of_any_number_of_people_who_take_it_up_one_is_let(
        directions in prop::collection::vec(prop::sample::select(&[Direction::Forward, Direction::Back][..]), 1..20)
    ) {
        let mut world = World { state: State::found(Some(IDS[0])), ..World::default() };
        world.ask(Ask::Recover(OnRestart::Hold), true).unwrap();
        let taken = directions
            .iter()
            .filter(|direction| world.ask(Ask::TakeUp(IDS[0], **direction), true).is_ok())
            .count();
        prop_assert_eq!(taken, 1);
        prop_assert_eq!(world.facts.chosen, directions.first().copied());
    }
}
