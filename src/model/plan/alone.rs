//! What can be said about a plan without its topology: whether its amounts are valid.

use serde_json::Value;

use crate::model::problem::Problems;
use crate::model::reader::{At, Notes};
use crate::model::topology::CpuMode;

use super::{Plan, is_amount, read_size};

impl Plan {
    /// Checks the amounts of a plan. Only the topology can say whether its apps and tiers exist,
    /// and whether cores may be decimal; here they may.
    ///
    /// # Errors
    ///
    /// All problems of the document, each with its JSON path.
    pub fn check_alone(document: &Value) -> Result<(), Problems> {
        let mut notes = Notes::default();
        if let Some(root) = At::root(document).object(&mut notes) {
            let entries = root
                .entries()
                .filter(|(key, at)| *key != "$schema" || !at.value.is_string());
            for (_, at) in entries {
                if is_amount(at.value) {
                    amount(&mut notes, at);
                } else if let Some(tiers) = at.object(&mut notes) {
                    tiers.entries().for_each(|(_, at)| amount(&mut notes, at));
                }
            }
        }
        if notes.is_clean() {
            Ok(())
        } else {
            Err(notes.into_problems())
        }
    }
}

fn amount(notes: &mut Notes, at: At<'_>) {
    if let Some(fields) = at.object(notes) {
        read_size(notes, fields, CpuMode::Quota.step());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_checked_whatever_the_names_are() {
        let good = json!({ "$schema": "x", "a": { "b": { "cpu_cores": 0.5, "mem_units": 2.0 } },
            "a_c": { "cpu_cores": 1, "mem_units": 1 } });
        assert_eq!(Plan::check_alone(&good), Ok(()));
        let bad = json!({ "a": { "b": { "cpu_cores": "1", "mem_units": 1 }, "c": 5, "d": { "cpu_cores": 1 } },
            "e_f": { "cpu_cores": 0, "mem_units": 1 }, "g": [] });
        let problems = Plan::check_alone(&bad).unwrap_err().0;
        let paths: Vec<&str> = problems.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(paths, ["a.b.cpu_cores", "a.c", "a.d.mem_units", "e_f", "g"]);
    }
}
