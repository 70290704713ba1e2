//! How images are obtained: when they are pulled, and with which name and password.

use std::collections::BTreeMap;

use serde::Serialize;
use strum::{EnumString, VariantNames};
use utoipa::ToSchema;

use crate::model::reader::{At, Fields, Notes};

use super::docker_names;
use super::variable::Reference;
use super::written::Reference as Where;

/// When an image is pulled: if a VM does not have it; for every plan that makes a container of it;
/// if it is missing, and the same one on all VMs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, EnumString, VariantNames, ToSchema)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[schema(example = "digest")]
pub enum Pull {
    /// If a VM does not have it.
    #[default]
    Missing,
    /// For every plan that makes a container of the tier: a tag may have moved.
    Always,
    /// As [`Pull::Missing`], and it is the same on all VMs: the one that the tier's running
    /// containers have, or else what the registry has when the plan is carried out.
    Digest,
}

/// Name and password for a registry (`registries`).
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(example = json!({ "username": "puller", "password": { "from_env": "REGISTRY_PASSWORD" } }))]
pub struct Login {
    /// User name.
    #[schema(pattern = r"\S", example = "puller")]
    pub username: String,
    /// Where the password or token is.
    #[schema(value_type = Where)]
    pub password: Reference,
}

/// Reads `registries`, by the registries' names.
pub(super) fn logins(notes: &mut Notes, fields: &mut Fields<'_>) -> BTreeMap<String, Login> {
    let mut logins = BTreeMap::new();
    let Some(all) = fields.get("registries").and_then(|at| at.object(notes)) else {
        return logins;
    };
    for (registry, at) in all.entries() {
        if !docker_names::is_registry(registry) {
            let problem =
                "is not a registry as images' names begin with: \"registry.test:5000\", or \"docker.io\"";
            notes.problem(&at.path, problem);
            continue;
        }
        let Some(mut fields) = at.object(notes) else {
            continue;
        };
        let username = fields
            .need(notes, "username")
            .and_then(|at| at.text(notes).map(str::to_owned));
        let password = fields.need(notes, "password").and_then(|at| password(notes, at));
        fields.finish(notes);
        if let (Some(username), Some(password)) = (username, password) {
            let login = Login { username, password };
            logins.insert(registry.to_owned(), login);
        }
    }
    logins
}

/// Only a reference: a topology is shown to many.
fn password(notes: &mut Notes, at: At<'_>) -> Option<Reference> {
    if at.value.is_object() {
        return Reference::read(notes, at);
    }
    let problem = "should say where it is: {\"from_file\": \"/path\"} or {\"from_env\": \"NAME\"}";
    notes.problem(&at.path, problem);
    None
}

/// The registry that an image comes from; Docker Hub is `docker.io`.
#[must_use]
pub fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => "docker.io",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::topology::Parsed;
    use crate::model::{Problems, Topology};

    fn parse(registries: Value, pull: Value) -> Result<Parsed, Problems> {
        Topology::parse(&json!({
            "infrastructure": { "cpu_cores": 2, "mem_units": 8, "registries": registries },
            "apps": [{ "name": "shop", "tiers": { "web": { "docker_image": "x", "pull": pull } } }]
        }))
    }

    #[test]
    fn registries_are_known_by_the_beginning_of_images_names() {
        for (image, registry) in [
            ("nginx", "docker.io"),
            ("library/nginx:1", "docker.io"),
            ("docker.io/library/nginx", "docker.io"),
            ("registry.test:5000/a/b:2", "registry.test:5000"),
            ("localhost/x", "localhost"),
            ("[::1]:5000/x", "[::1]:5000"),
        ] {
            assert_eq!(registry_of(image), registry, "{image}");
        }
    }

    #[test]
    fn passwords_are_said_by_reference_alone() {
        let login = json!({ "username": "me", "password": { "from_env": "REGISTRY_PASSWORD" } });
        let parsed = parse(json!({ "registry.test:5000": login }), json!("digest")).unwrap();
        let logins = &parsed.topology.infrastructure.registries;
        assert_eq!(logins["registry.test:5000"].username, "me");
        assert_eq!(parsed.topology.tiers["shop_web"].pull, Pull::Digest);
        for (registries, pull, path, words) in [
            (
                json!({ "r.test": { "username": "me", "password": "s3cret" } }),
                json!("always"),
                "infrastructure.registries[\"r.test\"].password",
                "say where it is",
            ),
            (
                json!({ "r.test": { "username": "me" } }),
                json!("always"),
                "infrastructure.registries[\"r.test\"].password",
                "is missing",
            ),
            (
                json!({ "https://r.test/": login }),
                json!("always"),
                "infrastructure.registries[\"https://r.test/\"]",
                "is not a registry",
            ),
            (json!({}), json!("never"), "apps[0].tiers.web.pull", "\"never\""),
        ] {
            let Problems(problems) = parse(registries, pull).unwrap_err();
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].path, path);
            assert!(problems[0].problem.contains(words), "{problems:?}");
            assert!(!problems[0].problem.contains("s3cret"), "{problems:?}");
        }
    }
}
