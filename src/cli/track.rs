//! The progress of an execution, from its record and the events after it. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

/// One action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Its stage, from 0. Stages after a replan follow the first ones; those of a rollback come
    /// last.
    pub stage: usize,
    /// The VM that it concerns.
    pub vm: String,
    /// Its text.
    pub text: String,
    /// Its state.
    pub state: State,
    began: Option<jiff::Timestamp>,
    /// The beginning of a line that its hook has not ended so far.
    pub unended: String,
}

impl Step {
    /// The lines that are whole by now, with what came last.
    fn said(&mut self, piece: &str) -> Option<Vec<String>> {
        let text = std::mem::take(&mut self.unended) + piece;
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        let (whole, rest) = text.split_at_checked(whole)?;
        rest.clone_into(&mut self.unended);
        let lines: Vec<String> = whole.lines().map(str::to_owned).collect();
        (!lines.is_empty()).then_some(lines)
    }
}

/// The state of an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Not begun.
    #[default]
    Pending,
    /// Begun.
    Running,
    /// Done.
    Succeeded,
    /// Failed for good.
    Failed,
    /// Not begun, because of another one that failed.
    Skipped,
}

impl State {
    /// Whether it is over.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Skipped)
    }

    fn parse(name: &str) -> Self {
        match name {
            "running" => Self::Running,
            "succeeded" => Self::Succeeded,
            "failed" => Self::Failed,
            "skipped" => Self::Skipped,
            _ => Self::Pending,
        }
    }
}

/// What an event changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// An action was begun.
    Began(usize),
    /// An action is over: the seconds that it took, if known, and why it failed.
    Over(usize, Option<f64>, Option<String>),
    /// An attempt failed, and another follows.
    Again(usize, String),
    /// What an action's hook says, in whole lines. Its last one may have no end: see [`Step::unended`].
    Said(usize, Vec<String>),
    /// Too few VMs came, and the plan was placed on those that did: there are now other stages.
    Anew,
    /// Too few VMs came, and the plan can't be placed on those that did, for this reason.
    Unplaced(String),
    /// What was done is being undone: there are now more stages.
    Back,
    /// The service was started again and goes on.
    Resumed,
    /// A VM pulls an image: which VM, which image, and how far it is.
    Pulling(String),
    /// A container that ran no longer runs, and this is why it could not be started again.
    Lost(String),
    /// It has ended.
    Ended(String),
}

/// A direction of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// To its target.
    Out,
    /// To its target, once more, on the VMs that came.
    Anew,
    /// Back to what was there before.
    Back,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::Out => "stage",
            Self::Anew => "anew",
            Self::Back => "back",
        }
    }
}

/// An execution.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Track {
    /// Its actions, by number.
    pub steps: Vec<Step>,
    /// Its directions, each with the number of its first stage.
    ways: Vec<(Way, usize)>,
    /// How it ended, if it has.
    pub outcome: Option<String>,
}

impl Track {
    /// From the answer of `GET /api/executions/{id}`.
    #[must_use]
    pub fn new(record: &Value) -> Self {
        let mut track = Self::default();
        for (key, way) in [
            ("stages", Way::Out),
            ("replanned_stages", Way::Anew),
            ("rollback_stages", Way::Back),
        ] {
            if let Some(stages) = record.get(key) {
                track.add(way, Some(stages), |entry| entry.get("action"));
            }
        }
        let state = text(record, "state");
        track.outcome = (!matches!(state, "running" | "held" | "")).then(|| state.to_owned());
        track
    }

    fn add(&mut self, way: Way, stages: Option<&Value>, action: impl Fn(&Value) -> Option<&Value>) {
        let first = self.stages();
        self.ways.push((way, first));
        for (index, stage) in stages.and_then(Value::as_array).into_iter().flatten().enumerate() {
            for entry in stage.as_array().into_iter().flatten() {
                let action = action(entry).unwrap_or(&Value::Null);
                let said = match text(entry, "text") {
                    "" => described(action),
                    text => text.to_owned(),
                };
                self.steps.push(Step {
                    stage: first + index,
                    vm: text(action, "vm").to_owned(),
                    text: said,
                    state: State::parse(text(entry, "state")),
                    began: time(entry, "started_at"),
                    unended: String::new(),
                });
            }
        }
    }

    /// How many stages there are.
    #[must_use]
    pub fn stages(&self) -> usize {
        self.steps.last().map_or(0, |step| step.stage + 1)
    }

    /// How many actions of a stage are over, and how many there are.
    #[must_use]
    pub fn done(&self, stage: usize) -> (usize, usize) {
        let steps = || self.steps.iter().filter(|step| step.stage == stage);
        (
            steps().filter(|step| step.state.is_over()).count(),
            steps().count(),
        )
    }

    /// What runs on each VM.
    #[must_use]
    pub fn running(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut running: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for step in self.steps.iter().filter(|step| step.state == State::Running) {
            running.entry(&step.vm).or_default().push(&step.text);
        }
        running
    }

    /// The name of a stage: `stage 2/6`, `anew 1/4`, `back 1/3`.
    #[must_use]
    pub fn stage_name(&self, stage: usize) -> String {
        let ends = self.ways.iter().skip(1).map(|(_, first)| *first);
        let ways = self.ways.iter().zip(ends.chain([self.stages()]));
        for ((way, first), end) in ways {
            if (*first..end).contains(&stage) {
                return format!("{} {}/{}", way.name(), stage - first + 1, end - first);
            }
        }
        format!("stage {}", stage + 1)
    }

    fn goes(&self, way: Way) -> bool {
        self.ways.iter().any(|(known, _)| *known == way)
    }

    /// Applies an event. An event that the record already contained changes nothing.
    pub fn take(&mut self, event: &Value) -> Option<Change> {
        let at = time(event, "at");
        let index = event
            .get("action")
            .and_then(Value::as_u64)
            .and_then(|index| usize::try_from(index).ok());
        match text(event, "event") {
            "replanned" if !self.goes(Way::Anew) => {
                for step in self.steps.iter_mut().filter(|step| step.state == State::Pending) {
                    step.state = State::Skipped;
                }
                self.add(Way::Anew, event.get("stages"), |entry| Some(entry));
                Some(Change::Anew)
            }
            "replan_failed" => Some(Change::Unplaced(text(event, "error").to_owned())),
            "rollback_begun" if !self.goes(Way::Back) => {
                self.add(Way::Back, event.get("stages"), |entry| Some(entry));
                Some(Change::Back)
            }
            "resumed" => Some(Change::Resumed),
            "pulling" => Some(Change::Pulling(format!(
                "'{}' on '{}': {}",
                text(event, "image"),
                text(event, "vm"),
                text(event, "progress")
            ))),
            "lost" => Some(Change::Lost(format!(
                "'{}' on '{}': {}",
                text(event, "container"),
                text(event, "vm"),
                text(event, "error")
            ))),
            "finished" => {
                let outcome = text(event, "outcome").to_owned();
                self.outcome = Some(outcome.clone());
                Some(Change::Ended(outcome))
            }
            kind => {
                let index = index?;
                let step = self.steps.get_mut(index).filter(|step| !step.state.is_over())?;
                match kind {
                    "action_started" => {
                        let first = step.state == State::Pending;
                        step.state = State::Running;
                        step.began = step.began.or(at);
                        first.then_some(Change::Began(index))
                    }
                    "attempt_failed" => Some(Change::Again(index, text(event, "error").to_owned())),
                    "action_progressed" => step
                        .said(text(event, "output"))
                        .map(|lines| Change::Said(index, lines)),
                    "action_succeeded" => {
                        step.state = State::Succeeded;
                        Some(Change::Over(index, took(step.began, at), None))
                    }
                    "action_failed" => {
                        step.state = State::Failed;
                        let why = text(event, "error").to_owned();
                        Some(Change::Over(index, took(step.began, at), Some(why)))
                    }
                    "action_skipped" => {
                        step.state = State::Skipped;
                        Some(Change::Over(index, None, Some("skipped".to_owned())))
                    }
                    _ => None,
                }
            }
        }
    }
}

/// The text of an action that comes without one, in a rollback.
fn described(action: &Value) -> String {
    let container = match text(action, "container") {
        "" => String::new(),
        name => format!(" '{name}' on"),
    };
    format!(
        "{}{container} '{}'",
        text(action, "kind").replace('_', " "),
        text(action, "vm")
    )
}

fn took(began: Option<jiff::Timestamp>, ended: Option<jiff::Timestamp>) -> Option<f64> {
    Some(ended?.duration_since(began?).as_secs_f64())
}

fn time(value: &Value, key: &str) -> Option<jiff::Timestamp> {
    text(value, key).parse().ok()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record() -> Value {
        let entry = |vm: &str, text: &str, state: &str| {
            json!({ "action": { "kind": "create_container", "vm": vm }, "text": text, "state": state,
                    "started_at": (state != "pending").then_some("2026-01-01T00:00:00Z") })
        };
        json!({ "state": "running", "stages": [
            [entry("vm1", "one", "succeeded"), entry("vm2", "two", "running")],
            [entry("vm1", "three", "pending")],
        ] })
    }

    #[test]
    fn events_move_an_execution_on_from_where_its_record_stands() {
        let mut track = Track::new(&record());
        assert_eq!(track.done(0), (1, 2));
        // Already contained in the record.
        let old = json!({ "event": "action_succeeded", "action": 0, "at": "2026-01-01T00:00:01Z" });
        assert_eq!(track.take(&old), None);
        let new = json!({ "event": "action_succeeded", "action": 1, "at": "2026-01-01T00:00:02.5Z" });
        assert_eq!(track.take(&new), Some(Change::Over(1, Some(2.5), None)));
        assert_eq!(track.done(0), (2, 2));
        let began =
            json!({ "event": "action_started", "action": 2, "attempt": 1, "at": "2026-01-01T00:00:03Z" });
        assert_eq!(track.take(&began), Some(Change::Began(2)));
        assert_eq!(track.running(), [("vm1", vec!["three"])].into());
        let again =
            json!({ "event": "action_started", "action": 2, "attempt": 2, "at": "2026-01-01T00:00:04Z" });
        assert_eq!(track.take(&again), None);
        let said = |output: &str| json!({ "event": "action_progressed", "action": 2, "output": output, "progress": "running x" });
        assert_eq!(
            track.take(&said("one\ntw")),
            Some(Change::Said(2, vec!["one".to_owned()]))
        );
        assert_eq!(track.take(&said("")), None);
        assert_eq!(
            track.take(&said("o\nthree")),
            Some(Change::Said(2, vec!["two".to_owned()]))
        );
        assert_eq!(track.steps[2].unended, "three");
        let end = json!({ "event": "finished", "outcome": "succeeded" });
        assert_eq!(track.take(&end), Some(Change::Ended("succeeded".to_owned())));
        assert_eq!(track.outcome.as_deref(), Some("succeeded"));
    }

    #[test]
    fn the_way_back_adds_stages_of_its_own_once() {
        let mut track = Track::new(&record());
        let back = json!({ "event": "rollback_begun",
            "stages": [[{ "kind": "delete_container", "vm": "vm1", "container": "a_b" }]] });
        assert_eq!(track.take(&back), Some(Change::Back));
        assert_eq!(track.take(&back), None);
        assert_eq!((track.stages(), track.stage_name(2)), (3, "back 1/1".to_owned()));
        assert_eq!(track.steps[3].text, "delete container 'a_b' on 'vm1'");
    }

    #[test]
    fn a_plan_that_is_placed_anew_goes_on_with_other_stages() {
        let mut track = Track::new(&record());
        let anew = json!({ "event": "replanned",
            "stages": [[{ "kind": "create_container", "vm": "vm1", "container": "a_b" }]] });
        assert_eq!(track.take(&anew), Some(Change::Anew));
        assert_eq!(track.take(&anew), None);
        assert_eq!(
            track.steps[2].state,
            State::Skipped,
            "what was not begun is not done"
        );
        let back = json!({ "event": "rollback_begun", "stages": [[{ "kind": "delete_vm", "vm": "vm1" }]] });
        assert_eq!(track.take(&back), Some(Change::Back));
        let names: Vec<String> = (0..4).map(|stage| track.stage_name(stage)).collect();
        assert_eq!(names, ["stage 1/2", "stage 2/2", "anew 1/1", "back 1/1"]);
    }

    #[test]
    fn an_event_about_no_known_action_changes_nothing() {
        let mut track = Track::new(&record());
        assert_eq!(
            track.take(&json!({ "event": "action_failed", "action": 99 })),
            None
        );
        assert_eq!(track.take(&json!({ "event": "drift" })), None);
        assert_eq!(track, Track::new(&record()));
    }
}
