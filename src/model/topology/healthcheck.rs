//! How `mapek` learns whether a container works: from its engine's own check, or a probe.

use utoipa::ToSchema;

use crate::model::reader::{At, Fields, Notes};

use super::ports::PortBinding;
use super::probe::{self, Asker, Probe};
use super::written::Words;

/// A health check, with Docker's defaults for times that are not given.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(example = json!({ "test": "curl -f localhost", "interval_s": 5, "retries": 3 }))]
pub struct Healthcheck {
    /// Command that is run in the container: a string, split as a shell would, or a list.
    #[schema(value_type = Words)]
    pub test: Vec<String>,
    /// Seconds between checks.
    #[schema(minimum = 1, maximum = 86400, example = 5)]
    pub interval_s: Option<u32>,
    /// Seconds until one check counts as failed.
    #[schema(minimum = 1, maximum = 86400, example = 3)]
    pub timeout_s: Option<u32>,
    /// Failures in a row until the container counts as unhealthy.
    #[schema(minimum = 1, maximum = 1000, example = 3)]
    pub retries: Option<u32>,
    /// Seconds at the start in which failures do not count.
    #[schema(maximum = 86400, example = 10)]
    pub start_period_s: Option<u32>,
}

/// `healthcheck` or `probe`: a container has only one.
pub(super) fn read(
    notes: &mut Notes,
    fields: &mut Fields<'_>,
    ports: &[PortBinding],
) -> (Option<Healthcheck>, Option<Probe>) {
    let given = fields.get("healthcheck");
    let both = given.is_some();
    let check = given.and_then(|at| Healthcheck::read(notes, at));
    let Some(at) = fields.get("probe") else {
        return (check, None);
    };
    if both {
        notes.problem(
            &at.path,
            "can't be given together with healthcheck: keep one of them",
        );
    }
    match probe::read(notes, at, ports) {
        Some(Asker::Mapek(probe)) => (None, Some(probe)),
        Some(Asker::Engine(check)) => (Some(check), None),
        None => (None, None),
    }
}

impl Healthcheck {
    fn read(notes: &mut Notes, at: At<'_>) -> Option<Self> {
        let mut fields = at.object(notes)?;
        let test = fields.need(notes, "test").and_then(|at| {
            let words = at.words(notes)?;
            let test = match words.split_first() {
                Some((first, rest)) if first == "CMD" => rest.to_vec(),
                Some((first, rest)) if first == "CMD-SHELL" => ["/bin/sh", "-c"]
                    .into_iter()
                    .map(str::to_owned)
                    .chain([rest.join(" ")])
                    .collect(),
                _ => words,
            };
            if test.is_empty() {
                notes.problem(&at.path, "is empty");
                return None;
            }
            Some(test)
        });
        let seconds = 86_400;
        let healthcheck = Self {
            test: Vec::new(),
            interval_s: fields.whole(notes, "interval_s", 1, seconds),
            timeout_s: fields.whole(notes, "timeout_s", 1, seconds),
            retries: fields.whole(notes, "retries", 1, 1000),
            start_period_s: fields.whole(notes, "start_period_s", 0, seconds),
        };
        fields.finish(notes);
        Some(Self {
            test: test?,
            ..healthcheck
        })
    }
}
