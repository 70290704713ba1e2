//! Refusals of intents, in words. Pure.

use serde_json::Value;

use crate::fault::Fault;
use crate::service::candidates::Rejected;

/// A refusal as reasons, each once.
pub(super) fn reasons_of(fault: &Fault) -> Vec<String> {
    let mut reasons = vec![fault.message.clone()];
    for detail in &fault.details {
        let text = |key: &str| detail.get(key).and_then(Value::as_str);
        let told = match (text("code"), text("node")) {
            (Some("rejected"), node) => {
                let why = detail.get("reasons").and_then(Value::as_array);
                let why: Vec<&str> = why.into_iter().flatten().filter_map(Value::as_str).collect();
                let tier = text("tier").unwrap_or_default();
                let node = node.map_or_else(|| "a new VM".to_owned(), |node| format!("'{node}'"));
                Some(format!("{tier} on {node}: {}", why.join(", ")))
            }
            _ => text("repair").map(str::to_owned),
        };
        // The message already contains some of them.
        if let Some(told) = told
            && !reasons.iter().any(|known| known.contains(&told))
        {
            reasons.push(told);
        }
    }
    reasons
}

/// Why a node is impossible, in one line.
pub(super) fn line_of(rejected: &Rejected) -> String {
    format!("'{}': {}", rejected.node, rejected.reasons.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fault::Code;

    #[test]
    fn each_reason_is_told_once_and_what_would_help_too() {
        let fault = Fault::new(
            Code::Infeasible,
            "no placement exists: a_t needs 2 cores; it would be possible with one more VM",
        )
        .with([
            json!({ "code": "together", "reason": "a_t needs 2 cores" }),
            json!({ "repair": "it would be possible with one more VM" }),
            json!({ "code": "rejected", "tier": "a_t", "node": "vm1", "reasons": ["spread: it has no label zone"] }),
            json!({ "repair": "it would be possible with max_node 2 for a_t" }),
        ]);
        assert_eq!(
            reasons_of(&fault),
            [
                fault.message.as_str(),
                "a_t on 'vm1': spread: it has no label zone",
                "it would be possible with max_node 2 for a_t",
            ]
        );
    }
}
