//! Tiers of the apps.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use utoipa::ToSchema;

use crate::model::ids::TierId;
use crate::model::reader::{At, Fields, Notes, join, nearest};
use crate::require::{Prefers, Requires};

use super::choices::read_choice;
use super::constraints::{self, Spread};
use super::docker_names;
use super::healthcheck::{self, Healthcheck};
use super::image::Pull;
use super::names;
use super::ports::{self, PortBinding};
use super::probe::Probe;
use super::runtime::RuntimeOptions;
use super::variable::Variable;
use super::written::{Environment, OneOrMore, Ports, ProbeGiven, Scalar, Words};

/// One component of an app.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(example = json!({ "docker_image": "nginx:1.27", "ports": ["8080:80"], "depends_on": ["db"], "max_node": 2 }))]
pub struct Tier {
    /// Flat name, `{app}_{tier}`.
    #[schema(ignore)]
    pub id: TierId,
    /// The app that it belongs to.
    #[schema(ignore)]
    pub app: String,
    /// Its key among the app's tiers.
    #[schema(ignore)]
    pub key: String,
    /// The name shown to people; the key unless given.
    #[schema(rename = "name", value_type = Option<String>, pattern = r"\S", example = "Load balancer")]
    pub title: String,
    /// Image.
    #[schema(
        rename = "docker_image",
        pattern = r"^[A-Za-z0-9][A-Za-z0-9._/:@\-]*$",
        max_length = 512,
        example = "nginx:1.27"
    )]
    pub image: String,
    /// When the image is pulled; `missing` unless given.
    #[schema(value_type = Option<Pull>)]
    pub pull: Pull,
    /// Published ports: `[address:]host:container[/tcp|udp|sctp]`, ranges too; a list, or an object
    /// from host to container port.
    #[schema(value_type = Option<Ports>, example = json!(["8080:80"]))]
    pub ports: Vec<PortBinding>,
    /// Arguments of the image's entrypoint: a string, split as a shell would, or a list.
    #[schema(rename = "entrypoint_params", value_type = Option<Words>, example = "--workers 2")]
    pub arguments: Option<Vec<String>>,
    /// Replaces the image's entrypoint: a string, split as a shell would, or a list.
    #[schema(rename = "command", value_type = Option<Words>, example = json!(["/bin/server"]))]
    pub entrypoint: Option<Vec<String>>,
    /// Fewest VMs that the tier may be on; 1 unless given.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100000, example = 1)]
    pub min_node: u32,
    /// Most VMs that the tier may be on.
    #[schema(minimum = 1, maximum = 100000, example = 1)]
    pub max_node: Option<u32>,
    /// How many of its containers a rollout may take down at once; 1 unless given. If there is room
    /// for the new one beside the old one, none goes down.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100000, example = 1)]
    pub max_unavailable: u32,
    /// Tiers of the same app that run before this one starts.
    #[schema(value_type = Option<OneOrMore>, example = json!(["db"]))]
    pub depends_on: Vec<TierId>,
    /// Hooks run in each container that was created or updated.
    #[schema(value_type = Option<OneOrMore>, example = "set_nginx_workers.sh")]
    pub on_node_scale: Vec<HookName>,
    /// Hook run in every container of the tier after a dependency has changed.
    #[schema(value_type = Option<String>, pattern = r"\S", max_length = 255, example = "reload_server_pool.sh")]
    pub on_dependency_scale: Option<HookName>,
    /// Hooks run in a container before it is stopped for good.
    #[schema(value_type = Option<OneOrMore>, example = "drain.sh")]
    pub on_node_stop: Vec<HookName>,
    /// Environment variables: an object, or a list of `NAME=value`. Values that are written out are
    /// answered as `***`.
    #[schema(value_type = Option<Environment>, example = json!({ "MODE": "fast" }))]
    pub environment: BTreeMap<String, Variable>,
    /// Volumes and bind mounts, in Docker's notation `source:/path[:options]`.
    #[schema(value_type = Option<Vec<String>>, example = json!(["data:/var/lib/mysql"]))]
    pub volumes: Vec<String>,
    /// How the engine finds out whether a container is healthy.
    pub healthcheck: Option<Healthcheck>,
    /// A check that mapek itself makes, in place of `healthcheck`.
    #[schema(value_type = Option<ProbeGiven>)]
    pub probe: Option<Probe>,
    /// Seconds that a new container must stay up, and healthy, before it counts as running; 0
    /// unless given.
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 86400, example = 10)]
    pub bake_s: u32,
    /// Seconds between the stop signal and the kill.
    #[schema(maximum = 86400, example = 10)]
    pub stop_grace_s: Option<u32>,
    /// Labels of the containers; those that begin with `mapek.` are mapek's own.
    #[schema(value_type = Option<BTreeMap<String, Scalar>>, example = json!({ "team": "shop" }))]
    pub labels: BTreeMap<String, String>,
    /// User that the containers run as.
    #[schema(pattern = r"\S", example = "nobody")]
    pub user: Option<String>,
    /// What must be true of a node for the tier to be on it: an expression in the Common Expression Language.
    #[schema(value_type = Option<String>, pattern = r"\S", max_length = 2000,
        example = "node.capabilities.arch == 'amd64' && node.mem_units >= 8")]
    pub requires: Option<Requires>,
    /// How good a node is for the tier: an expression that gives a number; more is better.
    #[schema(value_type = Option<String>, pattern = r"\S", max_length = 2000, example = "'ssd' in node.labels ? 1 : 0")]
    pub prefers: Option<Prefers>,
    /// What no two containers of the tier may share: a `node`, or nodes with the same value of the
    /// label of this name.
    #[schema(value_type = Option<String>, pattern = r"\S", max_length = 256, example = "zone")]
    pub spread: Spread,
    /// What its processes may do and use, and how they are stopped.
    #[serde(flatten)]
    pub runtime: RuntimeOptions,
}

/// The file name of a hook: one path component, so that it can't leave its folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct HookName(pub(crate) String);

impl HookName {
    /// The file name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HookName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The highest `max_node` that may be given.
const MOST_NODES: u32 = 100_000;

impl Tier {
    /// Its hooks about its own containers, which a repository has in `scale_hooks`.
    pub fn scale_hooks(&self) -> impl Iterator<Item = &HookName> {
        self.on_node_scale.iter().chain(&self.on_node_stop)
    }

    /// All hooks that it names.
    pub fn hooks(&self) -> impl Iterator<Item = &HookName> {
        self.scale_hooks().chain(&self.on_dependency_scale)
    }

    /// Reads the tier `key` of `app`; `siblings` are the keys of all tiers of the app.
    pub(super) fn read(
        notes: &mut Notes,
        app: &str,
        key: &str,
        siblings: &[&str],
        at: At<'_>,
    ) -> Option<Self> {
        let mut fields = at.object(notes)?;
        let title = fields.text(notes, "name").unwrap_or_else(|| key.to_owned());
        let image = fields
            .need(notes, "docker_image")
            .and_then(|at| docker_names::image(notes, &at));
        let pull = read_choice(notes, &mut fields, "pull");
        let ports = fields
            .get_or(notes, "ports", "port_bindings")
            .map_or_else(Vec::new, |at| ports::read(notes, &at));
        let arguments = fields
            .get_or(notes, "entrypoint_params", "run_parameters")
            .and_then(|at| at.words(notes));
        let entrypoint = fields.get("command").and_then(|at| at.words(notes));
        let (min_node, max_node) = read_nodes(notes, &mut fields);
        let max_unavailable = fields.whole(notes, "max_unavailable", 1, MOST_NODES);
        let depends_on = read_dependencies(notes, &mut fields, app, key, siblings);
        let on_node_scale = fields
            .get("on_node_scale")
            .map_or_else(Vec::new, |at| names::hooks(notes, &at));
        let on_dependency_scale = fields
            .get("on_dependency_scale")
            .and_then(|at| names::hook(notes, &at));
        if on_dependency_scale.is_some() && depends_on.is_empty() {
            notes.warn(
                &join(&fields.path, "on_dependency_scale"),
                "never runs: the tier depends on none",
            );
        }
        let on_node_stop = fields
            .get("on_node_stop")
            .map_or_else(Vec::new, |at| names::hooks(notes, &at));
        let environment = fields
            .get("environment")
            .map_or_else(BTreeMap::new, |at| read_environment(notes, &at));
        let volumes = fields
            .get("volumes")
            .map_or_else(Vec::new, |at| docker_names::volumes(notes, &at));
        let (healthcheck, probe) = healthcheck::read(notes, &mut fields, &ports);
        let bake_s = fields.whole(notes, "bake_s", 0, 86_400).unwrap_or(0);
        let stop_grace_s = fields.whole(notes, "stop_grace_s", 0, 86_400);
        let labels = fields
            .get("labels")
            .map_or_else(BTreeMap::new, |at| read_labels(notes, at));
        let user = fields.text(notes, "user");
        let requires = constraints::compiled(notes, &mut fields, "requires", Requires::compile);
        let prefers = constraints::compiled(notes, &mut fields, "prefers", Prefers::compile);
        let spread = Spread::read(notes, &mut fields);
        let runtime = RuntimeOptions::read(notes, &mut fields, &volumes);
        fields.finish(notes);
        Some(Self {
            id: TierId::of(app, key),
            app: app.to_owned(),
            key: key.to_owned(),
            title,
            image: image?,
            pull,
            ports,
            arguments,
            entrypoint,
            min_node,
            max_node,
            max_unavailable: max_unavailable.unwrap_or(1),
            depends_on,
            on_node_scale,
            on_dependency_scale,
            on_node_stop,
            environment,
            volumes,
            healthcheck,
            probe,
            bake_s,
            stop_grace_s,
            labels,
            user,
            requires,
            prefers,
            spread,
            runtime,
        })
    }
}

fn read_nodes(notes: &mut Notes, fields: &mut Fields<'_>) -> (u32, Option<u32>) {
    let max = fields
        .get_or(notes, "max_node", "max_nodes")
        .and_then(|at| at.whole(notes, 1, MOST_NODES.into()))
        .and_then(|most| u32::try_from(most).ok());
    let min = fields.whole(notes, "min_node", 1, MOST_NODES).unwrap_or(1);
    if let Some(max) = max
        && min > max
    {
        notes.problem(
            &join(&fields.path, "min_node"),
            format!("is {min}, more than max_node {max}"),
        );
    }
    (min, max)
}

fn read_dependencies(
    notes: &mut Notes,
    fields: &mut Fields<'_>,
    app: &str,
    key: &str,
    siblings: &[&str],
) -> Vec<TierId> {
    let Some(at) = fields.get("depends_on") else {
        return Vec::new();
    };
    let entries = if at.value.is_string() {
        vec![at]
    } else {
        at.list(notes)
    };
    let mut ids = Vec::new();
    for entry in entries {
        let Some(name) = entry.text(notes) else { continue };
        if name == key {
            notes.problem(&entry.path, format!("{key} depends on itself"));
        } else if siblings.contains(&name) {
            let id = TierId::of(app, name);
            if !ids.contains(&id) {
                ids.push(id);
            }
        } else {
            let hint = nearest(name, siblings.iter().copied()).map(|near| format!("; did you mean {near}?"));
            let hint = hint.unwrap_or_default();
            notes.problem(
                &entry.path,
                format!("{name:?} is not a tier of app {app:?}{hint}"),
            );
        }
    }
    ids
}

/// `{"NAME": "value"}`, where values may be references, or `["NAME=value"]`.
fn read_environment(notes: &mut Notes, at: &At<'_>) -> BTreeMap<String, Variable> {
    let mut environment = BTreeMap::new();
    let mut put = |notes: &mut Notes, path: &str, name: &str, value: Variable| {
        if name.is_empty() || name.contains(['=', '\0']) {
            notes.problem(
                path,
                format!("{name:?} can't be the name of an environment variable"),
            );
        } else if matches!(&value, Variable::Literal(text) if text.contains('\0')) {
            notes.problem(path, "has a NUL character");
        } else {
            environment.insert(name.to_owned(), value);
        }
    };
    match at.value {
        Value::Object(map) => {
            for (name, value) in map {
                let path = join(&at.path, name);
                let at = At {
                    path: path.clone(),
                    value,
                };
                if let Some(value) = Variable::read(notes, at) {
                    put(notes, &path, name, value);
                }
            }
        }
        _ => {
            for entry in at.list(notes) {
                match entry.value.as_str().and_then(|text| text.split_once('=')) {
                    Some((name, value)) => put(notes, &entry.path, name, value.into()),
                    None => notes.problem(&entry.path, "should be NAME=value"),
                }
            }
        }
    }
    environment
}

pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn read_labels(notes: &mut Notes, at: At<'_>) -> BTreeMap<String, String> {
    let Some(fields) = at.object(notes) else {
        return BTreeMap::new();
    };
    let mut labels = BTreeMap::new();
    for (name, at) in fields.entries() {
        if name.is_empty() || name.starts_with("mapek.") {
            notes.problem(&at.path, "labels that begin with mapek. are mapek's own");
        } else if let Some(value) = scalar(at.value) {
            labels.insert(name.to_owned(), value);
        } else {
            at.wrong(notes, "a string");
        }
    }
    labels
}
