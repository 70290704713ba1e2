//! Nodes that register themselves: what they say is taken here, and here is watched whether they go on saying it.
//!
//! A refresh that says nothing new touches neither the record nor the line of those who change it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::cloud::{Offer, Standing};
use crate::engine::endpoint::Endpoint;
use crate::execute::By;
use crate::fault::{Code, Fault};
use crate::model::node::Standing as Stands;
use crate::model::topology::{Cloud as CloudSpec, SelfHeal};
use crate::model::{Problem, Problems, Refresh, Topology, VmId};
use crate::nodes::{Assessment, Isolation, Lease, Presence, Rules};

use super::nodes::wanted_of;
use super::state::{refuse_elsewhere, taken};
use super::topology::invalid;
use super::{Service, Snapshot};

/// How often it is looked whether a refresh is overdue.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What a node is told when it registers or refreshes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({ "id": "edge-1", "epoch": 1790000000000_u64, "refresh_s": 10, "lost_after_s": 300,
    "standing": "ready", "reason": null, "time": "0.00" }))]
#[serde(deny_unknown_fields)]
pub struct Welcome {
    /// The node.
    #[schema(value_type = String, example = "edge-1")]
    id: VmId,
    /// The start of its agent that holds.
    #[schema(example = 1_790_000_000_000_u64)]
    epoch: u64,
    /// It has to come again within so many seconds, or is `silent`.
    #[schema(example = 10)]
    refresh_s: u32,
    /// So many seconds after that it is `lost`.
    #[schema(example = 300)]
    lost_after_s: u32,
    /// How it stands.
    standing: Stands,
    /// Why it can't be used; null where it can.
    #[schema(example = json!(null))]
    reason: Option<String>,
}

/// That so many nodes are silent at once that it must be this service that is cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({ "silent": 7, "of": 10, "since": "2026-11-21T06:00:00Z" }))]
#[serde(deny_unknown_fields)]
pub struct CutOff {
    /// So many nodes are silent.
    #[schema(example = 7)]
    silent: usize,
    /// Of so many.
    #[schema(example = 10)]
    of: usize,
    /// Since when.
    #[schema(value_type = String, format = "date-time", example = "2026-11-21T06:00:00Z")]
    since: jiff::Timestamp,
}

impl CutOff {
    /// For people.
    fn told(&self) -> String {
        format!(
            "{} of {} nodes do not answer, more than max_lost_share: that is taken for a fault of our own network, so \
             none of them counts as lost",
            self.silent, self.of
        )
    }
}

impl From<Isolation> for CutOff {
    fn from(isolation: Isolation) -> Self {
        Self {
            silent: isolation.away,
            of: isolation.of,
            since: isolation.since.at,
        }
    }
}

impl Service {
    /// Takes what a node says of itself. `own` says that it has no more than a token of its own: then it may not
    /// have this service dial what is on this service's machine.
    ///
    /// # Errors
    ///
    /// When it is not valid, a later start of the node has registered, or the machines come from elsewhere.
    pub async fn register(&self, id: &str, said: &Value, own: bool, by: By) -> Result<Welcome, Fault> {
        let not_valid = |problems: &Problems| invalid(Code::NodeInvalid, "registration", problems);
        let refresh = Refresh::parse(id, said).map_err(|problems| not_valid(&problems))?;
        let engine = refresh.endpoint().and_then(|endpoint| undiallable(endpoint, own));
        // Probes are sent there.
        let address = refresh.ip().filter(|ip| own && is_own(ip));
        let wrong: Vec<Problem> = engine.into_iter().chain(address.map(|_| on_own("ip"))).collect();
        if !wrong.is_empty() {
            return Err(not_valid(&Problems(wrong)));
        }
        let id = VmId::new(id);
        // It was there when it said so, however long the rest takes.
        let came = self.moment();
        let snapshot = self.snapshot();
        refuse_elsewhere(&snapshot)?;
        let known = snapshot.registered.get(&id);
        let node = match known.filter(|known| refresh.repeats(known)) {
            Some(known) => Arc::clone(known),
            None => {
                let node = taken(&snapshot, &id, &refresh)?;
                let (id, refresh) = (id.clone(), refresh.clone());
                self.with_store(move |store| store.register(&id, &refresh, &by))
                    .await?;
                Arc::new(node)
            }
        };
        let every = Duration::from_secs(u64::from(node.refresh_s));
        let (health, refreshed) = (refresh.health, came);
        let lease = Lease {
            refreshed,
            every,
            health,
        };
        let told = wanted_of(&snapshot, &id);
        let stands = self.registry(|registry, now| {
            registry.refreshed(&id, lease, now);
            registry.stands(&id, &told, now)
        });
        let lost_after_s = rules_of(&snapshot).1.lost_after_s;
        Ok(Welcome {
            id,
            epoch: node.epoch,
            refresh_s: node.refresh_s,
            lost_after_s,
            standing: stands.standing,
            reason: stands.reason,
        })
    }

    /// Takes that a node leaves. What is on it is moved away, where `self_heal` says so, as long as it answers, and
    /// placed anew where it does not.
    ///
    /// # Errors
    ///
    /// When no such node has registered, or one of a later start has.
    pub async fn leave_node(&self, id: &VmId, epoch: Option<u64>, by: By) -> Result<(), Fault> {
        let node = id.clone();
        self.with_store(move |store| store.leave(&node, epoch, &by))
            .await?;
        self.registry(|registry, _| registry.left(id));
        self.inner.wake.notify_one();
        Ok(())
    }

    /// That so many nodes are silent at once that it must be this service that is cut off, where that is so.
    #[must_use]
    pub fn cut_off(&self) -> Option<CutOff> {
        self.registry(|registry, _| registry.isolation().copied())
            .map(CutOff::from)
    }

    /// The same in words.
    pub(super) fn cut_off_told(&self) -> Option<String> {
        self.cut_off().map(|cut_off| cut_off.told())
    }

    /// Nodes that registered before this process began have a full period from now on, and from now on it is
    /// watched whether refreshes are overdue, for as long as the service lives. While the machines come from
    /// elsewhere, nobody refreshes: then nothing is watched, and all have a full period again afterwards.
    pub fn watch_leases(&self) {
        self.renew_leases();
        let service = self.clone();
        self.inner.runtime.spawn(async move {
            let mut changes = service.changes();
            let mut watched = registers(&service.snapshot());
            loop {
                let registering = registers(&service.snapshot());
                if !registering || service.snapshot().registered.is_empty() {
                    watched = registering;
                    if changes.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
                if !std::mem::replace(&mut watched, true) {
                    service.renew_leases();
                }
                tokio::time::sleep(LOOK_EVERY).await;
                let snapshot = service.snapshot();
                if !registers(&snapshot) {
                    continue;
                }
                let there = snapshot.registered.iter().filter(|(_, node)| !node.left);
                let fleet: BTreeSet<VmId> = there.map(|(id, _)| id.clone()).collect();
                service.assess(&fleet).await;
                if snapshot.registered.len() > fleet.len()
                    && let Err(error) = service.with_store(super::state::Store::forget_departed).await
                {
                    tracing::warn!(%error, "could not forget nodes that have left");
                }
            }
        });
    }

    /// Every node that has registered, and has not left, has a full period from now on.
    fn renew_leases(&self) {
        let snapshot = self.snapshot();
        self.registry(|registry, now| {
            for (id, node) in snapshot.registered.iter().filter(|(_, node)| !node.left) {
                let lease = Lease {
                    refreshed: now,
                    every: Duration::from_secs(u64::from(node.refresh_s)),
                    health: registry.health(id).cloned().unwrap_or_default(),
                };
                registry.refreshed(id, lease, now);
            }
        });
    }

    /// Looks which of these nodes are lost, and which are back, and tells of it once.
    pub(super) async fn assess(&self, fleet: &BTreeSet<VmId>) {
        let snapshot = self.snapshot();
        let (heals, heal) = rules_of(&snapshot);
        let rules = Rules {
            lost_after: Duration::from_secs(u64::from(heal.lost_after_s)),
            max_lost: heal.max_lost_share,
            longest_pause: Duration::from_secs(u64::from(heal.backoff_max_s)),
        };
        let (found, isolated) = self.registry(|registry, now| {
            let found = registry.assess(fleet, rules, now);
            (found, registry.isolation().is_some())
        });
        let Assessment {
            turns,
            cut_off,
            over,
            counts,
        } = found;
        let counts = counts.map(|(standing, count)| (standing.as_str(), count));
        self.inner.metrics.nodes(&counts, isolated);
        if !turns.is_empty() {
            for turn in &turns {
                let (node, standing) = (&turn.node, turn.standing.as_str());
                tracing::info!(%node, standing, reason = turn.reason, "a node stands otherwise");
            }
            let told: Vec<Value> = turns
                .iter()
                .map(|turn| json!({ "node": turn.node, "standing": turn.standing, "reason": turn.reason }))
                .collect();
            self.note("nodes_turned", json!({ "nodes": told })).await;
            if turns.iter().any(|turn| turn.standing == Stands::Lost) {
                self.inner.wake.notify_one();
            }
        }
        if let Some(isolation) = cut_off {
            let cut_off = CutOff::from(isolation);
            let message = cut_off.told();
            tracing::error!("{message}");
            self.note("cut_off", json!({ "silent": cut_off.silent, "of": cut_off.of }))
                .await;
            if heals {
                let reasons = vec![message];
                self.tell_refused(
                    reasons.clone(),
                    &Fault::new(Code::EngineUnreachable, reasons.concat()),
                )
                .await;
            }
        }
        if over {
            tracing::info!("enough nodes answer again");
            self.note("cut_off_over", json!({})).await;
        }
    }

    /// What the source offers, with what is known of who can't be relied on at the moment.
    pub(super) async fn offer(&self, topology: &Topology) -> Result<Offer, Fault> {
        let cloud = self.inner.platform.cloud(topology)?;
        let mut offer = self.to_the_end(async move { Ok(cloud.offer().await?) }).await?;
        let registers = matches!(topology.infrastructure.cloud, CloudSpec::Nodes(_));
        self.registry(|registry, now| {
            for vm in offer.vms.iter_mut().filter(|vm| vm.standing == Standing::Ready) {
                match registry.presence(&vm.name, now) {
                    Presence::Unsteady(why) => vm.standing = Standing::Silent(why),
                    // An engine alone that does not answer is seen when it is looked at.
                    Presence::Silent(why) | Presence::Lost(why)
                        if registers && registry.is_overdue(&vm.name, now) =>
                    {
                        vm.standing = Standing::Silent(why);
                    }
                    Presence::Silent(_) | Presence::Lost(_) | Presence::Here => {}
                }
            }
        });
        Ok(offer)
    }
}

/// Whether the machines are those that register themselves, which before the first topology nobody knows.
fn registers(snapshot: &Snapshot) -> bool {
    let topology = snapshot.topology.as_ref();
    topology.is_none_or(|topology| matches!(topology.infrastructure.cloud, CloudSpec::Nodes(_)))
}

/// Whether drift is repaired, and the times that hold.
fn rules_of(snapshot: &Snapshot) -> (bool, SelfHeal) {
    let heal = snapshot
        .topology
        .as_ref()
        .and_then(|topology| topology.infrastructure.self_heal);
    (heal.is_some(), heal.unwrap_or_default())
}

/// Why an endpoint can't be one: it is none, or a node points at what is on this service's own machine.
fn undiallable(endpoint: &str, own: bool) -> Option<Problem> {
    let problem = |problem: String| {
        Some(Problem {
            path: "endpoint".to_owned(),
            problem,
        })
    };
    let endpoint = match Endpoint::parse(endpoint) {
        Ok(endpoint) => endpoint,
        Err(why) => return problem(why),
    };
    let here = is_own(endpoint.host().unwrap_or("localhost"));
    (own && here).then(|| on_own("endpoint"))
}

/// That a node names what is on this service's own machine.
fn on_own(path: &str) -> Problem {
    let why = "is on the machine of the service itself, which a node with a token of its own may not name; a token with \
               the role write may";
    Problem {
        path: path.to_owned(),
        problem: why.to_owned(),
    }
}

/// Whether a host is the machine that dials it, or may be: by name, by a loopback or link-local address, or by an
/// address in one of the short forms that resolvers take, such as `127.1`.
fn is_own(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let Ok(address) = host.parse::<IpAddr>() else {
        let last = host.rsplit('.').next().unwrap_or_default();
        let number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
        let local = ["localhost", "ip6-localhost", "ip6-loopback"];
        return number || local.contains(&host.as_str()) || host.ends_with(".localhost");
    };
    let address = address.to_canonical();
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    address.is_loopback() || address.is_unspecified() || link_local
}
