//! Alerts: somebody who watches says that a tier, or a node, does badly. The tier is moved away from the node that it is on.

use std::time::Duration;

use crate::execute::By;
use crate::fault::{Code, Fault};
use crate::journal::IntentPage;
use crate::model::intent::{Destination, Intent, Wanted};
use crate::model::{TierId, VmId};

use crate::service::{Service, Snapshot};

/// What somebody who watches has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The tier that does badly; of a node, the one that holds most of it unless given.
    pub tier: Option<TierId>,
    /// The node that it does badly on; needed where the tier is on several.
    pub node: Option<VmId>,
    /// What was seen, in a word, such as `overload`.
    pub event: String,
    /// So long after a container of the tier was moved, or was to be moved, nothing more is done about it.
    pub cool_down: Duration,
}

/// What comes of an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Alerted {
    /// The intent that moves the tier.
    pub intent: Intent,
    /// Whether it is one that was wanted before: the alert was told already, or the tier has just been moved.
    pub repeated: bool,
}

/// Intents that are looked through for one that was wanted before.
const LOOKED_THROUGH: u32 = 1000;

impl Service {
    /// Takes an alert.
    ///
    /// # Errors
    ///
    /// When there is nothing to move, or it can't be recorded.
    pub async fn alert(&self, alert: Alert, by: By) -> Result<Alerted, Fault> {
        let service = self.clone();
        self.to_the_end(async move {
            let snapshot = service.snapshot();
            let (tier, node) = about(&snapshot, &alert)?;
            if let Some(intent) = service.moved_lately(&tier, alert.cool_down).await? {
                return Ok(Alerted {
                    intent,
                    repeated: true,
                });
            }
            tracing::info!(%tier, %node, event = alert.event, by = by.name, "an alert was taken");
            let wanted = Wanted::Migrate {
                tier,
                to: Destination::Expression(elsewhere(&node)),
                from: Some(node),
            };
            let intent = service.take_intent(wanted, by).await?;
            Ok(Alerted {
                intent,
                repeated: false,
            })
        })
        .await
    }

    /// The newest intent that moves a tier, where it is not over, or was not for so long.
    async fn moved_lately(&self, tier: &TierId, cool_down: Duration) -> Result<Option<Intent>, Fault> {
        let (intents, _) = self.intents(IntentPage::newest(LOOKED_THROUGH)).await?;
        let moves =
            |intent: &Intent| matches!(&intent.wanted, Wanted::Migrate { tier: moved, .. } if moved == tier);
        let now = self.inner.settings.outside.now();
        let newest = intents.into_iter().find(moves);
        Ok(newest.filter(|intent| {
            let since = now.duration_since(intent.changed_at);
            // A clock that was set back makes it no older.
            !intent.state.is_over() || Duration::try_from(since).is_ok_and(|since| since < cool_down)
        }))
    }
}

/// An expression that is true of every other node.
fn elsewhere(node: &VmId) -> String {
    let quoted = node.as_str().replace('\\', "\\\\").replace('\'', "\\'");
    format!("node.id != '{quoted}'")
}

/// The tier that is to be moved, and from which node.
fn about(snapshot: &Snapshot, alert: &Alert) -> Result<(TierId, VmId), Fault> {
    let topology = snapshot.topology()?;
    let nothing = |message: String| Err(Fault::new(Code::NotFound, message));
    let allocation = &snapshot.allocation;
    match (&alert.tier, &alert.node) {
        (None, None) => Err(Fault::new(
            Code::RequestInvalid,
            "says nothing of what does badly: give tier or node",
        )),
        (Some(tier), node) => {
            if !topology.tiers.contains_key(tier) {
                let names = topology.tiers.keys().map(TierId::as_str);
                let near = crate::model::nearest(tier.as_str(), names);
                let hint = near
                    .map(|near| format!("; did you mean {near}?"))
                    .unwrap_or_default();
                return nothing(format!("there is no tier {tier} in the topology{hint}"));
            }
            let places: Vec<&VmId> = allocation.places(tier).map(|(vm, _)| vm).collect();
            let named = || places.iter().map(|vm| vm.as_str()).collect::<Vec<_>>().join(", ");
            match (node, places.as_slice()) {
                (_, []) => nothing(format!("{tier} runs nowhere")),
                (Some(node), places) if places.contains(&node) => Ok((tier.clone(), node.clone())),
                (Some(node), _) => nothing(format!(
                    "{tier} has no container on '{node}'; it is on {}",
                    named()
                )),
                (None, [only]) => Ok((tier.clone(), (*only).clone())),
                (None, _) => Err(Fault::new(
                    Code::RequestInvalid,
                    format!("{tier} is on {}: say on which node it does badly", named()),
                )),
            }
        }
        (None, Some(node)) => {
            let holds = allocation.vms.get(node);
            // The largest, so that it helps; the first by name among equals.
            let largest = holds
                .into_iter()
                .flat_map(|vm| &vm.used)
                .max_by(|(a, held), (b, other)| held.size.cmp(&other.size).then_with(|| b.cmp(a)));
            match largest {
                Some((tier, _)) => Ok((tier.clone(), node.clone())),
                None => nothing(format!("there is nothing on node '{node}' that could be moved")),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::model::{Allocation, Size, Topology, Vm};

    fn snapshot() -> Snapshot {
        let document = json!({
            "infrastructure": { "cpu_cores": 4, "mem_units": 8 },
            "apps": [{ "name": "a", "tiers": { "small": { "docker_image": "x" }, "large": { "docker_image": "x" } } }]
        });
        let mut allocation = Allocation::default();
        for vm in ["vm1", "vm2"] {
            let mut one = Vm::empty(None, Size::new(4, 8));
            one.used.insert(TierId::of("a", "small"), Size::new(1, 1).into());
            allocation.vms.insert(VmId::new(vm), one);
        }
        let first = allocation.vms.get_mut("vm1").unwrap();
        first
            .used
            .insert(TierId::of("a", "large"), Size::new(2, 1).into());
        Snapshot {
            topology: Some(Arc::new(Topology::parse(&document).unwrap().topology)),
            allocation: Arc::new(allocation),
            ..Snapshot::default()
        }
    }

    fn moved(tier: Option<&str>, node: Option<&str>) -> Result<(String, String), String> {
        let alert = Alert {
            tier: tier.map(TierId::new),
            node: node.map(VmId::new),
            event: "overload".to_owned(),
            cool_down: Duration::ZERO,
        };
        let found = about(&snapshot(), &alert).map_err(|fault| fault.message)?;
        Ok((found.0.to_string(), found.1.to_string()))
    }

    #[test]
    fn an_alert_is_about_one_container() {
        let is = |tier: &str, node: &str| Ok((tier.to_owned(), node.to_owned()));
        assert_eq!(moved(Some("a_large"), None), is("a_large", "vm1"));
        assert_eq!(moved(Some("a_small"), Some("vm2")), is("a_small", "vm2"));
        assert_eq!(moved(None, Some("vm1")), is("a_large", "vm1"));
        for (tier, node, words) in [
            (None, None, "give tier or node"),
            (Some("a_small"), None, "is on vm1, vm2: say on which node"),
            (Some("a_large"), Some("vm2"), "no container on 'vm2'"),
            (Some("a_largo"), None, "did you mean a_large?"),
            (None, Some("vm3"), "nothing on node 'vm3'"),
        ] {
            let refused = moved(tier, node).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn elsewhere_is_every_other_node_whatever_its_name() {
        assert_eq!(elsewhere(&VmId::new("vm1")), "node.id != 'vm1'");
        assert_eq!(elsewhere(&VmId::new("a'b\\")), "node.id != 'a\\'b\\\\'");
    }
}
