//! Revisions: what a container of a tier was made from.
//!
//! A revision is a fingerprint of everything in the topology that goes into a tier's containers:
//! image, command, environment, ports, volumes, health check and so on. Left out are its size,
//! which changes in place, how many VMs it may be on, its hooks, and the addresses of its
//! dependencies. A container whose revision is not its tier's is outdated, and is replaced.
//!
//! A secret counts by its reference, or by its value if that is written out. The fingerprint is
//! shown to people and is in a label, so it is keyed: without the data directory, nobody can try
//! values against it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::ids::{RevisionId, TierId};
use super::topology::{Healthcheck, PortBinding, Tier, Topology};

/// The key of the fingerprints: made once for each data directory, and told to nobody.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RevisionKey(pub String);

impl std::fmt::Debug for RevisionKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("***")
    }
}

/// The revisions that a topology knows. There are none if no service has taken the topology, as in
/// a what-if: then nothing is outdated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Revisions {
    /// The present revision of each tier.
    current: BTreeMap<TierId, RevisionId>,
    /// Tiers as they were at earlier revisions that may still run.
    earlier: BTreeMap<RevisionId, Tier>,
}

/// How a container makes way for its successor on the same VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(example = "start_first")]
pub enum Handover {
    /// The successor runs, and is healthy, before the old one is stopped. For a while, both hold
    /// their part.
    StartFirst,
    /// The old one is stopped first, since there is no room or no port for both. It is kept until
    /// the successor runs and is healthy, and started again if the successor does not get that far.
    StopFirst,
}

impl Revisions {
    /// With these.
    #[must_use]
    pub const fn new(current: BTreeMap<TierId, RevisionId>, earlier: BTreeMap<RevisionId, Tier>) -> Self {
        Self { current, earlier }
    }

    /// The tier's present revision.
    #[must_use]
    pub fn current(&self, tier: &TierId) -> Option<&RevisionId> {
        self.current.get(tier)
    }
}

impl Topology {
    /// Works out each tier's present revision. Earlier ones that `before` knows are kept if
    /// `needed` says so.
    #[must_use]
    pub fn keyed(
        mut self,
        key: &RevisionKey,
        before: Option<&Self>,
        needed: impl Fn(&RevisionId) -> bool,
    ) -> Self {
        let current: BTreeMap<TierId, RevisionId> = self
            .tiers
            .values()
            .map(|tier| (tier.id.clone(), fingerprint(&self, tier, key)))
            .collect();
        self.revisions = Revisions {
            current,
            earlier: BTreeMap::new(),
        };
        if let Some(before) = before {
            self.remember(before, needed);
        }
        self
    }

    /// Adds revisions from another topology with the same key that this one does not have.
    pub fn remember(&mut self, other: &Self, needed: impl Fn(&RevisionId) -> bool) {
        let tiers = other.tiers.values().filter_map(|tier| {
            let revision = other.revisions.current(&tier.id)?;
            Some((revision, tier))
        });
        for (revision, tier) in tiers.chain(&other.revisions.earlier) {
            if self.revisions.current(&tier.id) != Some(revision) && needed(revision) {
                self.revisions.earlier.insert(revision.clone(), tier.clone());
            }
        }
    }

    /// The tier as it was at a revision; as it is now if that is the present revision or none is
    /// given. None if the revision is no longer known.
    #[must_use]
    pub fn tier_at(&self, tier: &TierId, revision: Option<&RevisionId>) -> Option<&Tier> {
        let now = self.tiers.get(tier);
        match revision {
            Some(revision) if self.revisions.current(tier) != Some(revision) => {
                self.revisions.earlier.get(revision)
            }
            _ => now,
        }
    }

    /// Whether an earlier revision is known.
    #[must_use]
    pub fn knows(&self, revision: &RevisionId) -> bool {
        self.revisions.earlier.contains_key(revision)
    }

    /// What a container of a tier is to be made from, and the revision of that: the one that is
    /// asked for, or the present one if none is, or if that one is no longer known.
    #[must_use]
    pub fn made_as<'a>(
        &'a self,
        tier: &TierId,
        revision: Option<&'a RevisionId>,
    ) -> Option<(&'a Tier, Option<&'a RevisionId>)> {
        if let (Some(revision), Some(tier)) = (revision, self.tier_at(tier, revision)) {
            return Some((tier, Some(revision)));
        }
        Some((self.tiers.get(tier)?, self.revisions.current(tier)))
    }

    /// The ports that a container of a tier publishes if it is made from this revision.
    #[must_use]
    pub fn ports_at(&self, tier: &TierId, revision: Option<&RevisionId>) -> &[PortBinding] {
        let tier = self.tier_at(tier, revision).or_else(|| self.tiers.get(tier));
        tier.map_or(&[], |tier| &tier.ports)
    }

    /// Whether a container of a tier was made from something else than the topology says now. If
    /// that is not known, the container counts as up to date: it is left alone.
    #[must_use]
    pub fn is_outdated(&self, tier: &TierId, revision: Option<&RevisionId>) -> bool {
        match (revision, self.revisions.current(tier)) {
            (Some(made), Some(now)) => made != now,
            _ => false,
        }
    }
}

/// The fingerprint of a tier. A field that is not set leaves no trace in it, so that fields added
/// by later versions change no revision by themselves.
fn fingerprint(topology: &Topology, tier: &Tier, key: &RevisionKey) -> RevisionId {
    let mut parts = Map::new();
    let mut add = |name: &str, value: Value| {
        let nothing = match &value {
            Value::Null => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        };
        if !nothing {
            parts.insert(name.to_owned(), value);
        }
    };
    // Every field by name: whoever adds one must decide whether it goes into a container.
    let Tier {
        id,
        app,
        key: tier_key,
        title: _,
        image,
        // When the image is pulled does not change what is made from it.
        pull: _,
        ports,
        arguments,
        entrypoint,
        min_node: _,
        max_node: _,
        max_unavailable: _,
        depends_on,
        on_node_scale: _,
        on_dependency_scale: _,
        on_node_stop: _,
        environment,
        volumes,
        healthcheck,
        probe,
        bake_s: _,
        stop_grace_s,
        labels,
        user,
        runtime,
        // Where the container may be does not change what is made.
        requires: _,
        prefers: _,
        spread: _,
    } = tier;
    add("name", json!(id));
    add("app", json!(app));
    add("tier", json!(tier_key));
    add("image", json!(image));
    let mut published = ports.clone();
    published.sort_unstable();
    add("ports", json!(published));
    // An empty list is not the same as the image's own.
    add(
        "arguments",
        json!(arguments.as_ref().map(|words| json!({ "are": words }))),
    );
    add(
        "entrypoint",
        json!(entrypoint.as_ref().map(|words| json!({ "is": words }))),
    );
    let single = |id: &&TierId| {
        topology
            .tiers
            .get(*id)
            .is_some_and(|other| other.max_node == Some(1))
    };
    let mut hosts: Vec<&TierId> = depends_on.iter().filter(single).collect();
    hosts.sort_unstable();
    add("hosts", json!(hosts));
    add("environment", json!(environment));
    add("volumes", json!(volumes));
    if let Some(Healthcheck {
        test,
        interval_s,
        timeout_s,
        retries,
        start_period_s,
    }) = healthcheck
    {
        let times = [interval_s, timeout_s, retries, start_period_s];
        add("healthcheck", json!([test, times]));
    }
    add("stop_grace_s", json!(stop_grace_s));
    add("labels", json!(labels));
    add("user", json!(user));
    add("probe", json!(probe));
    add("runtime", json!(runtime));
    parts.sort_keys();
    let mut hash = Sha256::new();
    hash.update(key.0.as_bytes());
    hash.update([0]);
    hash.update(Value::Object(parts).to_string().as_bytes());
    let mut text = String::new();
    for byte in hash.finalize().iter().take(8) {
        // Writing to a string can't fail.
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
    }
    RevisionId::new(&text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn topology(web: Value) -> Topology {
        let mut tier = json!({ "docker_image": "x:1", "depends_on": ["db"], "environment": { "A": "1" } });
        for (name, value) in web.as_object().unwrap() {
            tier[name] = value.clone();
        }
        let document = json!({
            "infrastructure": { "cpu_cores": 2, "mem_units": 4, "hooks_git_repo": "/hooks" },
            "apps": [{ "name": "a", "tiers": { "web": tier, "db": { "docker_image": "d", "max_node": 1 } } }]
        });
        Topology::parse(&document).unwrap().topology
    }

    fn key(text: &str) -> RevisionKey {
        RevisionKey(text.to_owned())
    }

    fn of(web: Value) -> RevisionId {
        let keyed = topology(web).keyed(&key("k"), None, |_| true);
        keyed.revisions.current(&TierId::new("a_web")).unwrap().clone()
    }

    #[test]
    fn all_that_makes_a_container_makes_a_revision_and_nothing_else_does() {
        let base = of(json!({}));
        for same in [
            json!({ "name": "The web" }),
            json!({ "min_node": 1 }),
            json!({ "max_node": 3 }),
            json!({ "max_unavailable": 2 }),
            json!({ "on_node_scale": "h" }),
            json!({ "on_dependency_scale": "h" }),
            json!({ "max_rt": 3 }),
            json!({ "ports": [] }),
            json!({ "labels": {} }),
        ] {
            assert_eq!(of(same.clone()), base, "{same}");
        }
        let mut seen = vec![base];
        for other in [
            json!({ "docker_image": "x:2" }),
            json!({ "environment": { "A": "2" } }),
            json!({ "environment": { "A": { "from_env": "1" } } }),
            json!({ "environment": { "A": { "from_file": "/1" } } }),
            json!({ "ports": ["80:80"] }),
            json!({ "ports": ["81:80"] }),
            json!({ "volumes": ["/a:/a"] }),
            json!({ "entrypoint_params": "" }),
            json!({ "entrypoint_params": "a" }),
            json!({ "command": "a" }),
            json!({ "healthcheck": { "test": "a" } }),
            json!({ "healthcheck": { "test": "a", "retries": 2 } }),
            json!({ "user": "a" }),
            json!({ "labels": { "a": "b" } }),
            json!({ "stop_grace_s": 3 }),
            json!({ "depends_on": [] }),
        ] {
            let revision = of(other.clone());
            assert!(!seen.contains(&revision), "{other}");
            seen.push(revision);
        }
        assert_eq!(
            of(json!({ "ports": ["1:1", "2:2"] })),
            of(json!({ "ports": ["2:2", "1:1"] }))
        );
    }

    #[test]
    fn a_revision_tells_nothing_to_those_without_the_key() {
        let revision = |key: &RevisionKey| {
            let keyed = topology(json!({})).keyed(key, None, |_| true);
            keyed.revisions.current(&TierId::new("a_web")).unwrap().clone()
        };
        assert_eq!(revision(&key("k")), revision(&key("k")));
        assert_ne!(revision(&key("k")), revision(&key("l")));
        assert_eq!(format!("{:?}", key("k")), "***");
    }

    #[test]
    fn earlier_revisions_are_known_as_long_as_they_are_needed() {
        let web = TierId::new("a_web");
        let first = topology(json!({})).keyed(&key("k"), None, |_| true);
        let made = first.revisions.current(&web).unwrap().clone();
        assert!(!first.is_outdated(&web, Some(&made)) && !first.is_outdated(&web, None));
        let second = topology(json!({ "docker_image": "x:2" })).keyed(&key("k"), Some(&first), |_| true);
        let third =
            topology(json!({ "docker_image": "x:3" })).keyed(&key("k"), Some(&second), |one| *one == made);
        assert!(third.is_outdated(&web, Some(&made)) && !third.is_outdated(&web, None));
        let at = |revision| third.tier_at(&web, revision).map(|tier| tier.image.as_str());
        assert_eq!(at(Some(&made)), Some("x:1"));
        assert_eq!(at(None), Some("x:3"));
        assert_eq!(at(second.revisions.current(&web)), None);
        let back = topology(json!({})).keyed(&key("k"), Some(&third), |_| true);
        assert!(!back.is_outdated(&web, Some(&made)));
    }
}
