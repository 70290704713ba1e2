//! What is wanted besides plans: apps that are put by requests, and what is set by hand. A plan that does not name them
//! leaves them alone; one that names them changes them. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::model::app::{App, Apps, Spec, Step};
use crate::model::by_hand::ByHand;
use crate::model::{Plan, Problems, Size, TierId, Topology, Warning};

/// The member of a topology as it is kept that names the apps in it that were put by requests.
pub const REQUESTED: &str = "requested_apps";

/// What is wanted besides plans.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Besides {
    /// Apps that are put by requests.
    pub apps: Arc<Apps>,
    /// What is set by hand.
    pub by_hand: Arc<ByHand>,
}

/// Whose word counts where a plan and what is wanted besides both name a tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Word {
    /// The plan's, which somebody sends now.
    #[default]
    Plan,
    /// What is wanted besides, since the plan is an earlier one.
    Besides,
}

/// A plan with what is wanted besides it.
#[derive(Clone, Debug, PartialEq)]
pub struct Whole {
    /// All that is wanted.
    pub plan: Plan,
    /// Tiers that stay as they were set by hand.
    pub by_hand: BTreeSet<TierId>,
    /// What the plan's author should know.
    pub warnings: Vec<Warning>,
}

impl Besides {
    /// A plan with what is wanted besides it.
    ///
    /// # Errors
    ///
    /// All problems of the plan.
    pub fn with(&self, plan: &Value, topology: &Topology, word: Word) -> Result<Whole, Problems> {
        let (mut whole, warnings) = match word {
            Word::Plan => Plan::parse(plan, topology)?,
            // It may name apps that are no more.
            Word::Besides => Plan::parse(&self.without_apps(plan, topology), topology)?,
        };
        let named = named(plan, topology);
        for (name, app) in self.apps.iter().filter(|(_, app)| app.part().is_some()) {
            let of_app = |tier: &TierId| topology.tiers.get(tier).is_some_and(|tier| tier.app == *name);
            if word == Word::Plan && names_app(plan, name, &named, of_app) {
                continue;
            }
            whole.tiers.retain(|tier, _| !of_app(tier));
            let sizes = app.sizes().into_iter();
            whole
                .tiers
                .extend(sizes.filter(|(tier, size)| of_app(tier) && *size != Size::ZERO));
        }
        let mut by_hand = BTreeSet::new();
        let set = self.by_hand.tiers.keys();
        for tier in set.filter(|tier| topology.tiers.contains_key(*tier)) {
            if (word == Word::Plan && named.contains(tier)) || self.is_asked_for(tier, topology) {
                continue;
            }
            match self.by_hand.total(tier).filter(|size| *size != Size::ZERO) {
                Some(size) => {
                    whole.tiers.insert(tier.clone(), size);
                    by_hand.insert(tier.clone());
                }
                None => drop(whole.tiers.remove(tier)),
            }
        }
        Ok(Whole {
            plan: whole,
            by_hand,
            warnings,
        })
    }

    /// Whether a request for the app of a tier is being carried out: it names all tiers of its app.
    fn is_asked_for(&self, tier: &TierId, topology: &Topology) -> bool {
        let app = topology.tiers.get(tier).and_then(|tier| self.apps.get(&tier.app));
        app.is_some_and(|app| app.dispatched.is_some())
    }

    /// Whether the same is wanted. How far requests are is another matter.
    pub fn wants_the_same_as(&self, other: &Self) -> bool {
        let held = |besides: &Self| -> Vec<(String, Option<Spec>, Option<Step>)> {
            let apps = besides.apps.iter();
            let held = apps.filter(|(_, app)| app.holds.is_some() || app.dispatched.is_some());
            held.map(|(name, app)| (name.clone(), app.holds.clone(), app.dispatched.clone()))
                .collect()
        };
        self.by_hand == other.by_hand && held(self) == held(other)
    }

    /// A plan without what it says of apps that are put by requests.
    fn without_apps(&self, plan: &Value, topology: &Topology) -> Value {
        let holds = |app: &str| self.apps.get(app).is_some_and(|app| app.part().is_some());
        let of_request = |key: &str| match topology.tiers.get(key) {
            Some(tier) => holds(&tier.app),
            None if topology.apps.iter().any(|app| app == key) => holds(key),
            // One that is no more.
            None => {
                let flat = |app: &String| key == app || key.starts_with(&format!("{app}_"));
                self.apps.keys().any(flat)
            }
        };
        match plan {
            Value::Object(entries) => {
                let kept = entries.iter().filter(|(key, _)| !of_request(key));
                Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
            }
            other => other.clone(),
        }
    }
}

/// The tiers that a plan names, those that it removes too.
pub fn named(plan: &Value, topology: &Topology) -> BTreeSet<TierId> {
    let mut named = BTreeSet::new();
    for (key, value) in plan.as_object().into_iter().flatten() {
        if topology.tiers.contains_key(key.as_str()) {
            named.insert(TierId::new(key));
        } else if let Some(tiers) = value.as_object() {
            named.extend(tiers.keys().map(|tier| TierId::of(key, tier)));
        }
    }
    named
}

/// Whether a plan says anything of an app.
pub fn names_app(
    plan: &Value,
    app: &str,
    named: &BTreeSet<TierId>,
    of_app: impl Fn(&TierId) -> bool,
) -> bool {
    plan.get(app).is_some_and(Value::is_object) || named.iter().any(of_app)
}

/// A topology as it was put, with the apps that are put by requests: what is kept, and what holds.
pub fn merged(own: &Value, apps: &Apps) -> Value {
    let mut whole = own_part(own);
    let requested: Vec<(&String, Value)> = apps
        .iter()
        .filter_map(|(name, app)| Some((name, app.part()?)))
        .collect();
    if requested.is_empty() {
        return whole;
    }
    if let Some(fields) = whole.as_object_mut() {
        let names: Vec<&String> = requested.iter().map(|(name, _)| *name).collect();
        fields.insert(REQUESTED.to_owned(), json!(names));
        if let Some(all) = fields.get_mut("apps").and_then(Value::as_array_mut) {
            all.extend(requested.iter().map(|(_, part)| part.clone()));
        }
    }
    whole
}

/// A topology as it was put, without the apps that are put by requests.
pub fn own_part(whole: &Value) -> Value {
    let mut own = whole.clone();
    let Some(fields) = own.as_object_mut() else {
        return own;
    };
    // The order of the members is the author's.
    let Some(Value::Array(names)) = fields.shift_remove(REQUESTED) else {
        return own;
    };
    if let Some(apps) = fields.get_mut("apps").and_then(Value::as_array_mut) {
        apps.retain(|app| app.get("name").is_none_or(|name| !names.contains(name)));
    }
    own
}

/// Whether a document has a member that only topologies as they are kept have.
pub fn is_marked(document: &Value) -> bool {
    document
        .as_object()
        .is_some_and(|fields: &Map<String, Value>| fields.contains_key(REQUESTED))
}

/// The sizes that a plan which was carried out gives an app that it names.
pub fn resized(app: &App, plan: &Plan, of_app: impl Fn(&TierId) -> bool) -> App {
    let mut app = app.clone();
    if let Some(holds) = &mut app.holds {
        let sizes = plan.tiers.iter().filter(|(tier, _)| of_app(tier));
        holds.plan = sizes.map(|(tier, size)| (tier.clone(), *size)).collect();
    }
    app
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::model::VmId;
    use crate::model::app::Request;

    fn own() -> Value {
        json!({
            "infrastructure": { "cpu_cores": 4, "mem_units": 8 },
            "apps": [{ "name": "shop", "tiers": { "db": { "docker_image": "x" }, "web": { "docker_image": "x" } } }]
        })
    }

    fn app(name: &str, cores: u32) -> App {
        let request = Request::new(Uuid::nil(), Step::Remove, "client", Timestamp::UNIX_EPOCH);
        App {
            holds: Some(Spec {
                part: json!({ "name": name, "tiers": { "site": { "docker_image": "x" } } }),
                plan: [(TierId::of(name, "site"), Size::new(cores, 1))].into(),
            }),
            dispatched: None,
            request,
        }
    }

    fn besides(by_hand: ByHand) -> (Besides, Topology) {
        let mut gone = app("gone", 1);
        gone.holds = None;
        let apps: Apps = [("blog".to_owned(), app("blog", 2)), ("gone".to_owned(), gone)].into();
        let whole = merged(&own(), &apps);
        let topology = Topology::parse(&whole).unwrap().topology;
        assert_eq!(topology.apps, ["shop", "blog"]);
        assert_eq!(own_part(&whole), own());
        let besides = Besides {
            apps: Arc::new(apps),
            by_hand: Arc::new(by_hand),
        };
        (besides, topology)
    }

    fn size(cores: u32) -> Value {
        json!({ "cpu_cores": cores, "mem_units": 1 })
    }

    fn totals(whole: &Whole) -> Vec<(&str, u64)> {
        let tiers = whole.plan.tiers.iter();
        tiers
            .map(|(tier, size)| (tier.as_str(), size.cpu.in_hundredths() / 100))
            .collect()
    }

    #[test]
    fn a_plan_leaves_apps_alone_that_it_does_not_name_and_changes_those_that_it_names() {
        let (besides, topology) = besides(ByHand::default());
        let with = |plan: &Value, word| besides.with(plan, &topology, word).unwrap();
        let unnamed = json!({ "shop": { "db": size(1) } });
        assert_eq!(
            totals(&with(&unnamed, Word::Plan)),
            [("blog_site", 2), ("shop_db", 1)]
        );
        for named in [
            json!({ "blog": { "site": size(3) } }),
            json!({ "blog_site": size(3) }),
        ] {
            assert_eq!(totals(&with(&named, Word::Plan)), [("blog_site", 3)]);
            // It was reached before the app was put.
            assert_eq!(totals(&with(&named, Word::Besides)), [("blog_site", 2)]);
        }
        assert_eq!(totals(&with(&json!({ "blog": {} }), Word::Plan)), [("", 0); 0]);
        let gone = json!({ "gone": { "site": size(1) }, "gone_site": size(1), "shop_db": size(1) });
        assert_eq!(
            totals(&with(&gone, Word::Besides)),
            [("blog_site", 2), ("shop_db", 1)]
        );
        assert!(besides.with(&gone, &topology, Word::Plan).is_err());
    }

    #[test]
    fn what_is_set_by_hand_stays_until_a_plan_names_it() {
        let (db, web) = (TierId::of("shop", "db"), TierId::of("shop", "web"));
        let mut by_hand = ByHand::default();
        let places = [("vm1", 1), ("vm2", 3)].map(|(vm, cores)| (VmId::new(vm), Size::new(cores, 1)));
        by_hand.tiers.insert(db.clone(), places.into());
        by_hand.tiers.insert(web, [].into());
        let (besides, topology) = besides(by_hand);
        let reached = json!({ "shop": { "db": size(1), "web": size(1) } });
        let back = besides.with(&reached, &topology, Word::Besides).unwrap();
        assert_eq!(totals(&back), [("blog_site", 2), ("shop_db", 4)]);
        assert_eq!(back.by_hand, [db].into());
        let named = besides.with(&reached, &topology, Word::Plan).unwrap();
        assert_eq!(
            totals(&named),
            [("blog_site", 2), ("shop_db", 1), ("shop_web", 1)]
        );
        assert_eq!(named.by_hand, [].into());
    }

    #[test]
    fn a_request_for_an_app_has_its_way_with_what_was_set_by_hand() {
        let site = TierId::of("blog", "site");
        let mut by_hand = ByHand::default();
        by_hand
            .tiers
            .insert(site.clone(), [(VmId::new("vm1"), Size::new(3, 1))].into());
        let (mut besides, topology) = besides(by_hand);
        let nothing = json!({});
        let with = |besides: &Besides| besides.with(&nothing, &topology, Word::Besides).unwrap();
        let stays = with(&besides);
        assert_eq!(totals(&stays), [("blog_site", 3)]);
        assert_eq!(stays.by_hand, [site].into());
        let holds = besides.apps.get("blog").unwrap().holds.clone().unwrap();
        for (step, sizes) in [
            (Step::Deploy(holds), vec![("blog_site", 2)]),
            (Step::Remove, Vec::new()),
        ] {
            let apps = Arc::make_mut(&mut besides.apps);
            apps.get_mut("blog").unwrap().dispatched = Some(step);
            let asked = with(&besides);
            assert_eq!(totals(&asked), sizes);
            assert_eq!(asked.by_hand, [].into());
        }
    }
}
