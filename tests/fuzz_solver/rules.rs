//! The tiers' conditions on machines, drawn and read again: `requires`, `spread`, `prefers`.
//!
//! Only about labels of hosts, which the question contains.

use serde_json::{Value, json};

use crate::dice::Dice;

/// The label that is used.
const LABEL: &str = "zone";

/// Which machines a tier may be on, by their label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requires {
    /// All.
    Nothing,
    /// Those that have it.
    Some,
    /// Those that have one of these values.
    OneOf(Vec<String>),
    /// Those that have another value.
    Not(String),
}

/// Gives labels to hosts and conditions to tiers.
pub fn draw(body: &mut Value, dice: &mut Dice) {
    if !dice.chance(40) {
        return;
    }
    let hosts = body.pointer_mut("/topology/infrastructure/cloud_driver/hosts");
    let Some(hosts) = hosts.and_then(Value::as_object_mut) else {
        return;
    };
    for (at, host) in hosts.values_mut().enumerate() {
        // A label that nobody has would be looked for among capabilities.
        if at == 0 || dice.chance(85) {
            host["labels"] = json!({ LABEL: dice.pick(&["a", "b", "c"]) });
        }
    }
    let apps = body["topology"]["apps"].as_array_mut().into_iter().flatten();
    let tiers = apps.filter_map(|app| app["tiers"].as_object_mut());
    for tier in tiers.flat_map(|tiers| tiers.values_mut()) {
        if dice.chance(40) {
            tier["requires"] = json!(dice.pick(&[
                "'zone' in node.labels",
                "node.labels.zone == 'a'",
                "node.labels.zone in ['a', 'b']",
                "node.labels['zone'] != 'b'",
            ]));
        }
        if dice.chance(25) {
            tier["spread"] = json!(dice.pick(&[LABEL, LABEL, "node"]));
        }
        if dice.chance(20) {
            tier["prefers"] = json!(dice.pick(&["node.cpu_cores", "node.labels.zone == 'a' ? 5 : 1"]));
        }
    }
}

impl Requires {
    /// What a tier's expression requires: one of those above.
    pub fn read(tier: &Value) -> Self {
        match tier["requires"].as_str() {
            None => Self::Nothing,
            Some("'zone' in node.labels") => Self::Some,
            Some("node.labels.zone == 'a'") => Self::OneOf(vec!["a".to_owned()]),
            Some("node.labels.zone in ['a', 'b']") => Self::OneOf(vec!["a".to_owned(), "b".to_owned()]),
            Some("node.labels['zone'] != 'b'") => Self::Not("b".to_owned()),
            Some(other) => panic!("{other} is never drawn"),
        }
    }

    /// Whether a machine is suitable. An expression that fails is false.
    pub fn admits(&self, zone: Option<&String>) -> bool {
        match (self, zone) {
            (Self::Nothing, _) => true,
            (_, None) => false,
            (Self::Some, Some(_)) => true,
            (Self::OneOf(values), Some(zone)) => values.contains(zone),
            (Self::Not(value), Some(zone)) => zone != value,
        }
    }
}

/// The label of a host of the question.
pub fn zone(infrastructure: &Value, name: &str) -> Option<String> {
    let label = &infrastructure["cloud_driver"]["hosts"][name]["labels"][LABEL];
    label.as_str().map(str::to_owned)
}

/// Whether a tier's containers are kept apart by the label.
pub fn is_spread(tier: &Value) -> bool {
    tier["spread"] == LABEL
}
