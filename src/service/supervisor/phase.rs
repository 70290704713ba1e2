//! Who carries an execution out, if anybody, and what a request makes of that. Pure: the supervisor
//! asks here what to record and what to do, records it, and only then does it.

use uuid::Uuid;

use crate::execute::{Direction, Halt};

/// The state of the one execution that has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// There is none.
    #[default]
    Idle,
    /// An earlier process left it in the middle, and nothing has been decided about it yet.
    CutOff(Uuid),
    /// It waits for a person to decide.
    Held(Uuid),
    /// A runner carries it out.
    Running {
        /// Its id.
        id: Uuid,
        /// What the runner was last told.
        halt: Halt,
    },
}

/// The phase, and whether the service is stopping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The state of the execution.
    pub phase: Phase,
    /// Nothing new is begun any more.
    pub stopping: bool,
}

/// What is recorded about the execution that has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Somebody asked for it to be cancelled.
    pub cancelled: bool,
    /// The direction that a person chose last.
    pub chosen: Option<Direction>,
    /// That it waits for a person is recorded, and nothing has been done about it since.
    pub held: bool,
}

/// What happens to an execution that was cut off, unless its record says something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRestart {
    /// It is finished.
    #[default]
    Resume,
    /// What was done is undone.
    Rollback,
    /// It waits for somebody to decide.
    Hold,
}

/// A request to the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A new execution with this id is to begin.
    Begin(Uuid),
    /// The service has started.
    Recover(OnRestart),
    /// Begin no further action of it.
    Cancel(Uuid),
    /// Continue it, or undo it.
    TakeUp(Uuid, Direction),
    /// Let the running actions end, and begin nothing more.
    Stop,
    /// Its end is recorded.
    Finished(Uuid),
}

/// What is recorded before anything is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// That it is to be cancelled.
    Cancel,
    /// The chosen direction.
    Chosen(Direction),
    /// That it waits for a person.
    Held,
}

/// What is done once the fact is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A runner is started. There is no other one.
    Launch {
        /// For this execution.
        id: Uuid,
        /// In this direction.
        direction: Direction,
        /// What it is told from the start.
        halt: Halt,
    },
    /// The runner is told.
    Halt(Halt),
}

/// What a request leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// To be recorded first.
    pub record: Option<Fact>,
    /// The state after that.
    pub then: State,
    /// What is then done.
    pub effect: Option<Effect>,
}

impl Decision {
    /// What is done even if the fact could not be recorded: a full disk is no reason to go on with
    /// what nobody wants.
    #[must_use]
    pub fn unrecorded(self) -> Option<(State, Effect)> {
        match (self.record, self.effect) {
            (Some(Fact::Cancel), Some(effect @ Effect::Halt(_))) => Some((self.then, effect)),
            _ => None,
        }
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This execution is being carried out, or waits; there is one at a time.
    Unfinished(Uuid),
    /// This execution is being cancelled.
    Cancelled(Uuid),
    /// The execution is not the one that has not ended.
    NotThisOne,
    /// The service is stopping.
    Stopping,
}

impl State {
    /// For a record with an execution that has not ended, or without.
    #[must_use]
    pub fn found(unfinished: Option<Uuid>) -> Self {
        Self {
            phase: unfinished.map_or(Phase::Idle, Phase::CutOff),
            stopping: false,
        }
    }

    /// The execution that has not ended.
    #[must_use]
    pub const fn unfinished(&self) -> Option<Uuid> {
        match self.phase {
            Phase::Idle => None,
            Phase::CutOff(id) | Phase::Held(id) | Phase::Running { id, .. } => Some(id),
        }
    }

    /// What a request leads to.
    ///
    /// # Errors
    ///
    /// When it can't be taken now; nothing changes then.
    pub fn decide(self, facts: Facts, ask: Ask) -> Result<Decision, Refusal> {
        match ask {
            Ask::Begin(id) => self.begin(id),
            Ask::Recover(on_restart) => Ok(self.recover(facts, on_restart)),
            Ask::Cancel(id) => self.cancel(facts, id),
            Ask::TakeUp(id, direction) => self.take_up(facts, id, direction),
            Ask::Stop => Ok(self.stop()),
            Ask::Finished(id) if self.unfinished() == Some(id) => Ok(self.step(None, Phase::Idle, None)),
            Ask::Finished(_) => Err(Refusal::NotThisOne),
        }
    }

    fn begin(self, id: Uuid) -> Result<Decision, Refusal> {
        match self.unfinished() {
            Some(other) => Err(Refusal::Unfinished(other)),
            None if self.stopping => Err(Refusal::Stopping),
            None => Ok(self.launch(None, id, Direction::Forward, Halt::No)),
        }
    }

    fn recover(self, facts: Facts, on_restart: OnRestart) -> Decision {
        let Phase::CutOff(id) = self.phase else {
            return self.step(None, self.phase, None);
        };
        if self.stopping {
            return self.step(None, self.phase, None);
        }
        // What a person asked for goes before how the service was started.
        if facts.cancelled {
            return self.launch(None, id, Direction::Forward, Halt::Cancel);
        }
        match (facts.chosen, on_restart) {
            (Some(direction), _) => self.launch(None, id, direction, Halt::No),
            (None, OnRestart::Resume) => self.launch(None, id, Direction::Forward, Halt::No),
            (None, OnRestart::Rollback) => self.launch(None, id, Direction::Back, Halt::No),
            (None, OnRestart::Hold) => {
                // Each start finds it like this; it is worth one line in the record.
                let record = (!facts.held).then_some(Fact::Held);
                self.step(record, Phase::Held(id), None)
            }
        }
    }

    fn cancel(self, facts: Facts, id: Uuid) -> Result<Decision, Refusal> {
        let record = (!facts.cancelled).then_some(Fact::Cancel);
        match self.phase {
            // A runner that is to stop leaves the rest to the next start, which finds the fact.
            Phase::Running { id: running, halt } if running == id => Ok(match halt {
                Halt::No => {
                    let halt = Halt::Cancel;
                    self.step(record, Phase::Running { id, halt }, Some(Effect::Halt(halt)))
                }
                Halt::Cancel | Halt::Stop => self.step(record, self.phase, None),
            }),
            Phase::CutOff(waiting) | Phase::Held(waiting) if waiting == id => Ok(if self.stopping {
                self.step(record, self.phase, None)
            } else {
                self.launch(record, id, Direction::Forward, Halt::Cancel)
            }),
            Phase::Idle | Phase::CutOff(_) | Phase::Held(_) | Phase::Running { .. } => {
                Err(Refusal::NotThisOne)
            }
        }
    }

    fn take_up(self, facts: Facts, id: Uuid, direction: Direction) -> Result<Decision, Refusal> {
        if self.unfinished() != Some(id) {
            return Err(Refusal::NotThisOne);
        }
        if facts.cancelled {
            return Err(Refusal::Cancelled(id));
        }
        match self.phase {
            Phase::CutOff(_) | Phase::Held(_) if self.stopping => Err(Refusal::Stopping),
            Phase::CutOff(_) | Phase::Held(_) => {
                Ok(self.launch(Some(Fact::Chosen(direction)), id, direction, Halt::No))
            }
            Phase::Idle | Phase::Running { .. } => Err(Refusal::Unfinished(id)),
        }
    }

    fn stop(self) -> Decision {
        let then = Self {
            stopping: true,
            ..self
        };
        match self.phase {
            Phase::Running { id, .. } => {
                let halt = Halt::Stop;
                then.step(None, Phase::Running { id, halt }, Some(Effect::Halt(halt)))
            }
            Phase::Idle | Phase::CutOff(_) | Phase::Held(_) => then.step(None, self.phase, None),
        }
    }

    const fn launch(self, record: Option<Fact>, id: Uuid, direction: Direction, halt: Halt) -> Decision {
        let effect = Effect::Launch { id, direction, halt };
        self.step(record, Phase::Running { id, halt }, Some(effect))
    }

    const fn step(self, record: Option<Fact>, phase: Phase, effect: Option<Effect>) -> Decision {
        Decision {
            record,
            then: Self {
                phase,
                stopping: self.stopping,
            },
            effect,
        }
    }
}

#[cfg(test)]
mod tests;
