//! Who carries an execution out, if anybody, and what a request makes of that. Pure: the supervisor
//! asks here what to record and what to do, records it, and only then does it.

use uuid::Uuid;

use crate::execute::{Direction, Halt};

/// Where the one execution that has not ended stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// There is none.
    #[default]
    Idle,
    /// An earlier process left it in the middle, and nothing has been decided about it yet.
    CutOff(Uuid),
    /// It waits for a person.
    Held(Uuid),
    /// A runner carries it out.
    Running {
        /// Which.
        id: Uuid,
        /// What the runner was last told.
        halt: Halt,
    },
}

/// The phase, and whether the service is on its way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Where the execution stands.
    pub phase: Phase,
    /// Nothing new is begun any more.
    pub stopping: bool,
}

/// What is on record of the execution that has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Somebody asked that it is cancelled.
    pub cancelled: bool,
    /// The way that a person chose for it last.
    pub chosen: Option<Direction>,
    /// That it waits for a person is on record, and nothing has been done about it since.
    pub held: bool,
}

/// What becomes of an execution that was cut off, where nothing on its record says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRestart {
    /// It is carried to its end.
    #[default]
    Resume,
    /// What was done is undone.
    Rollback,
    /// It waits for somebody to say.
    Hold,
}

/// What is asked of the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A new execution of this id is to be begun.
    Begin(Uuid),
    /// The service has started.
    Recover(OnRestart),
    /// Begin no further action of it.
    Cancel(Uuid),
    /// Carry on with it, or undo it.
    TakeUp(Uuid, Direction),
    /// Let the running actions end, and begin nothing more.
    Stop,
    /// Its end is on record.
    Finished(Uuid),
}

/// What is recorded before anything is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// That it is to be cancelled.
    Cancel,
    /// The way that was chosen.
    Chosen(Direction),
    /// That it waits for a person.
    Held,
}

/// What is done once the fact is on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A runner is started. There is no other one.
    Launch {
        /// For which execution.
        id: Uuid,
        /// Where to.
        direction: Direction,
        /// What it is told from the start.
        halt: Halt,
    },
    /// The runner is told.
    Halt(Halt),
}

/// What a request comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// To be recorded first.
    pub record: Option<Fact>,
    /// Where things stand then.
    pub then: State,
    /// What is done then.
    pub effect: Option<Effect>,
}

impl Decision {
    /// What is done even though the fact could not be recorded: a full disk is no reason to go on with
    /// what nobody wants.
    #[must_use]
    pub fn unrecorded(self) -> Option<(State, Effect)> {
        match (self.record, self.effect) {
            (Some(Fact::Cancel), Some(effect @ Effect::Halt(_))) => Some((self.then, effect)),
            _ => None,
        }
    }
}

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This execution is being carried out, or waits; there is one at a time.
    Unfinished(Uuid),
    /// This execution is being cancelled.
    Cancelled(Uuid),
    /// The execution is none that has not ended.
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

    /// What a request comes to.
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
        // What a person asked for weighs more than how the service was started.
        if facts.cancelled {
            return self.launch(None, id, Direction::Forward, Halt::Cancel);
        }
        match (facts.chosen, on_restart) {
            (Some(direction), _) => self.launch(None, id, direction, Halt::No),
            (None, OnRestart::Resume) => self.launch(None, id, Direction::Forward, Halt::No),
            (None, OnRestart::Rollback) => self.launch(None, id, Direction::Back, Halt::No),
            (None, OnRestart::Hold) => {
                // Each start finds it so; it is worth one line in the record.
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
