//! Labels and names of containers that `mapek` makes.

/// Label of every container that `mapek` made, with the value `true`.
pub const LABEL_MANAGED: &str = "mapek.managed";

/// Label with the id of the data directory whose `mapek` made the container.
pub const LABEL_OWNER: &str = "mapek.owner";

/// Label with the app's name.
pub const LABEL_APP: &str = "mapek.app";

/// Label with the tier's key.
pub const LABEL_TIER: &str = "mapek.tier";

/// Label with a fingerprint of what was requested, except the limits, which can change in place.
pub const LABEL_SPEC: &str = "mapek.spec";

/// Label with what the container was made from: a [`RevisionId`](crate::model::RevisionId).
pub const LABEL_REVISION: &str = "mapek.revision";

/// Label with the digest of the image that the container was made from, if the image's tag was looked
/// up.
pub const LABEL_DIGEST: &str = "mapek.digest";

/// Label with the gigabytes of disk that the container was given.
pub const LABEL_DISK: &str = "mapek.disk_gb";

/// Label with the probe of the container's health, as JSON.
pub const LABEL_PROBE: &str = "mapek.probe";

/// The name of a container's successor as long as the old one is there.
#[must_use]
pub fn successor(name: &str) -> String {
    format!("{name}.next")
}
