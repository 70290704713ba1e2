//! What VMs that are still to be made will be like, and failure domains. Pure.

use serde_json::Value;

use crate::model::node::{Source, Standing};
use crate::model::topology::Shape;
use crate::model::{About, Node, VmId};

use crate::service::nodes::Nodes;

/// The failure domain of a node by a label; if it has no label of that name, by a capability, such
/// as the zone that a cloud reports.
#[must_use]
pub fn domain(node: &Node, label: &str) -> Option<String> {
    let told = || node.capabilities.get(label).and_then(Value::as_str);
    let label = node.labels.get(label).map(String::as_str).or_else(told)?;
    Some(label.to_owned())
}

/// What VMs that are still to be made will be like, for each shape: what all existing ones have in
/// common, and the labels of the shape.
#[must_use]
pub fn fresh(nodes: &Nodes, source: Source, shapes: &[Shape]) -> Vec<(String, Node)> {
    let mut common: Option<About> = None;
    let told = nodes.values().filter(|node| !node.capabilities.is_empty());
    for node in told {
        let about = About {
            labels: node.labels.clone(),
            capabilities: node.capabilities.clone(),
        };
        common = Some(match common {
            None => about,
            Some(common) => common.alike(&about),
        });
    }
    let common = common.unwrap_or_default();
    let node = |shape: &Shape| {
        let mut labels = common.labels.clone();
        labels.extend(
            shape
                .labels
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        let node = Node {
            id: VmId::new_vm(0),
            source,
            standing: Standing::Ready,
            reason: None,
            since: jiff::Timestamp::UNIX_EPOCH,
            ip: None,
            size: shape.size,
            used: None,
            labels,
            capabilities: common.capabilities.clone(),
            health: serde_json::Map::new(),
            epoch: None,
        };
        (shape.name.clone(), node)
    };
    shapes.iter().map(node).collect()
}
