//! What is wrong with a document of any kind. Pure.

use serde_json::Value;

use crate::config::offline::Kind;
use crate::model::topology::CpuMode;
use crate::model::{Allocation, Plan, Problem, Problems, Topology, Warning};
use crate::service::check_what_if;

/// What was found in one document.
#[derive(Debug, Default)]
pub struct Findings {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What its author should know.
    pub warnings: Vec<Warning>,
}

impl Findings {
    fn take<T>(&mut self, read: Result<(T, Vec<Warning>), Problems>, below: &str) -> Option<T> {
        match read {
            Ok((value, warnings)) => {
                self.warnings
                    .extend(warnings.into_iter().map(|one| moved(one, below)));
                Some(value)
            }
            Err(Problems(problems)) => {
                self.problems
                    .extend(problems.into_iter().map(|one| moved(one, below)));
                None
            }
        }
    }
}

/// The same, for a document that is part of another.
fn moved(told: Problem, below: &str) -> Problem {
    let path = match (below, told.path.as_str()) {
        ("", _) => told.path,
        (below, "") => below.to_owned(),
        (below, path) if path.starts_with('[') => format!("{below}{path}"),
        (below, path) => format!("{below}.{path}"),
    };
    Problem { path, ..told }
}

/// What kind of document it is, by its fields; None if it is not an object.
pub fn kind_of(document: &Value) -> Option<Kind> {
    let has = |key: &str| document.get(key).is_some();
    if has("infrastructure") || has("apps") {
        return Some(Kind::Topology);
    }
    if has("topology") && has("plan") {
        return Some(Kind::WhatIf);
    }
    document.is_object().then_some(Kind::Plan)
}

/// Everything that is wrong with a document. A plan is checked against its topology, if that is
/// known.
pub fn check(kind: Kind, document: &Value, topology: Option<&Topology>) -> Findings {
    let mut found = Findings::default();
    match (kind, topology) {
        (Kind::Topology, _) => {
            found.take(parsed(document), "");
        }
        (Kind::Plan, Some(topology)) => {
            found.take(Plan::parse(document, topology), "");
        }
        (Kind::Plan, None) => {
            let alone = Plan::check_alone(document).map(|()| ((), Vec::new()));
            if found.take(alone, "").is_some() {
                found.warnings.push(Problem {
                    path: String::new(),
                    problem: "only the amounts were checked: give the topology as well, or --topology, to check the \
                              names of apps and tiers"
                        .to_owned(),
                });
            }
        }
        (Kind::WhatIf, _) => what_if(document, &mut found),
    }
    found
}

fn parsed(document: &Value) -> Result<(Topology, Vec<Warning>), Problems> {
    Topology::parse(document).map(|parsed| (parsed.topology, parsed.warnings))
}

/// Each part of a what-if by itself, so that all problems are reported; then the whole question.
fn what_if(document: &Value, found: &mut Findings) {
    let part = |key: &str| document.get(key).filter(|value| !value.is_null());
    let topology = part("topology").and_then(|part| found.take(parsed(part), "topology"));
    let mode = topology.as_ref().map(|topology| topology.infrastructure.cpu_mode);
    if let Some(part) = part("allocation") {
        let step = mode.unwrap_or(CpuMode::Quota).step();
        found.take(Allocation::parse(part, "allocation", step), "");
    }
    if let Some(part) = part("plan") {
        match &topology {
            Some(topology) => {
                found.take(Plan::parse(part, topology), "plan");
            }
            None => {
                found.take(Plan::check_alone(part).map(|()| ((), Vec::new())), "plan");
            }
        }
    }
    if !found.problems.is_empty() {
        return;
    }
    if let Err(fault) = check_what_if(document) {
        found.problems.push(Problem {
            path: String::new(),
            problem: fault.message,
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_known_by_what_it_has() {
        for (document, kind) in [
            (json!({ "apps": [] }), Some(Kind::Topology)),
            (json!({ "infrastructure": {} }), Some(Kind::Topology)),
            (json!({ "topology": {}, "plan": {} }), Some(Kind::WhatIf)),
            (json!({ "shop": {} }), Some(Kind::Plan)),
            (json!({}), Some(Kind::Plan)),
            (json!([]), None),
        ] {
            assert_eq!(kind_of(&document), kind, "{document}");
        }
    }

    #[test]
    fn all_parts_of_a_what_if_are_told_at_once_with_whole_paths() {
        let question = json!({
            "topology": { "infrastructure": { "cpu_cores": 0 }, "apps": [{ "name": "a", "tiers": { "b": {} } }] },
            "allocation": { "vm1": { "cpu_cores": 1 } },
            "plan": { "a": { "b": { "cpu_cores": -1, "mem_units": 1 } } },
        });
        let found = check(Kind::WhatIf, &question, None);
        let paths: Vec<&str> = found.problems.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "topology.infrastructure.cpu_cores",
                "topology.apps[0].tiers.b.docker_image",
                "allocation.vm1.mem_units",
                "plan.a.b.cpu_cores"
            ]
        );
    }

    #[test]
    fn a_what_if_with_a_wrong_option_is_not_valid() {
        let question = json!({ "topology": { "infrastructure": {}, "apps": [] }, "plan": {}, "deadline": 5 });
        let found = check(Kind::WhatIf, &question, None);
        assert!(
            found.problems.len() == 1 && found.problems[0].problem.contains("deadline_ms"),
            "{found:?}"
        );
    }
}
