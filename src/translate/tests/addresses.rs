//! Containers that would look for a dependency where it is no more.

use super::rollouts::told;
use super::*;
use crate::translate::Action;

impl Scene {
    /// Every VM has an address: `at-` and its name. A VM that is still to be made has none yet.
    fn addressed(mut self) -> Self {
        for (id, vm) in &mut self.from.vms {
            vm.ip = Some(format!("at-{id}"));
        }
        for (id, vm) in &mut self.to.vms {
            vm.ip = self.from.vms.get(id).and_then(|vm| vm.ip.clone());
        }
        self
    }

    fn single(mut self, tier: &str) -> Self {
        self.spec(tier).max_node = Some(1);
        self
    }

    /// What runs of a tier was made when its dependency was on that VM.
    fn finds(mut self, tier: &str, dependency: &str, vm: &str) -> Self {
        for (_, held) in self
            .from
            .vms
            .values_mut()
            .flat_map(|vm| &mut vm.used)
            .filter(|(id, _)| id.as_str() == tier)
        {
            let known = held.addresses.get_or_insert_with(BTreeMap::new);
            known.insert(dependency.into(), format!("at-{vm}"));
        }
        self
    }
}

/// A database that goes from `v1` to `v2`, and a tier on `v3` that uses it.
fn moving() -> Scene {
    let scene = Scene::new().vm("v1", 2, 2).vm("v2", 2, 2).vm("v3", 2, 2);
    let scene = scene.single("db").needs("web", "db");
    let scene = scene.runs("db", "v1", 1, 1).wants("db", "v2", 1, 1);
    scene.keeps("web", "v3", 1, 1)
}

/// Everything is at its current revision.
fn revised(scene: Scene) -> Scene {
    let names: Vec<String> = scene.topology.tiers.keys().map(ToString::to_string).collect();
    let scene = scene.outdated(&[]);
    names.iter().fold(scene, |scene, name| scene.current(name))
}

#[test]
fn a_dependent_is_replaced_while_its_dependency_runs_in_both_places() {
    let scene = revised(moving().addressed().finds("web", "db", "v1"));
    let (stages, interrupts) = told(&scene);
    assert_eq!(
        stages,
        [["create db v2"], ["StartFirst web v3"], ["delete db v1"]]
    );
    assert_eq!(interrupts, []);
    let translation = scene.translation();
    let Action::ReplaceContainer {
        moved,
        revision,
        was_revision,
        ..
    } = &translation.stages[1][0]
    else {
        panic!("{translation:?}");
    };
    assert_eq!(
        (moved.as_slice(), revision),
        (&["db".to_owned()][..], was_revision)
    );
    let web = translation
        .target
        .container(&vm_id("v3"), &tier_id("web"))
        .unwrap();
    assert_eq!(
        web.addresses,
        Some([("db".to_owned(), "at-v2".to_owned())].into())
    );
}

#[test]
fn where_a_dependency_can_be_in_one_place_only_its_dependent_is_replaced_after_it_has_moved() {
    // Another tier takes its room.
    let scene = moving().runs("job", "v2", 2, 2).wants("job", "v1", 2, 2);
    let scene = revised(scene.addressed().finds("web", "db", "v1"));
    let (stages, _) = told(&scene);
    assert_eq!(stages.last().unwrap(), &["StartFirst web v3"]);
}

#[test]
fn what_is_interrupted_for_it_is_told_with_the_reason() {
    let scene = moving().port("web", 80).addressed().finds("web", "db", "v1");
    let (stages, interrupts) = told(&revised(scene));
    assert!(
        stages.concat().contains(&"StopFirst web v3".to_owned()),
        "{stages:?}"
    );
    let reason = &interrupts[0].reason;
    assert!(
        reason.contains("is replaced since db moves") && reason.contains("both publish port 80"),
        "{reason}"
    );
}

#[test]
fn a_stale_address_counts_like_an_older_revision() {
    let scene = || {
        Scene::new()
            .vm("v1", 2, 2)
            .vm("v2", 2, 2)
            .single("db")
            .needs("web", "db")
    };
    let scene = || {
        scene()
            .keeps("db", "v1", 1, 1)
            .keeps("web", "v2", 1, 1)
            .addressed()
    };
    let fresh = revised(scene().finds("web", "db", "v1"));
    assert_eq!(told(&fresh).0, Vec::<Vec<String>>::new());
    let stale = revised(scene().finds("web", "db", "v2"));
    assert_eq!(told(&stale).0, [["StartFirst web v2"]]);
    // What it was made with is not known: an earlier version has made it.
    assert_eq!(told(&revised(scene())).0, Vec::<Vec<String>>::new());
    // On the way back it is left as it was.
    let mut back = stale.clone();
    back.to = back.from.clone();
    assert_eq!(told(&back).0, Vec::<Vec<String>>::new());
    // Its VM has another address by now.
    let mut renumbered = fresh;
    renumbered.from.vms.get_mut("v1").unwrap().ip = Some("at-v9".into());
    renumbered.to.vms.get_mut("v1").unwrap().ip = Some("at-v9".into());
    assert_eq!(told(&renumbered).0, [["StartFirst web v2"]]);
}

#[test]
fn only_direct_dependents_are_replaced_and_a_vm_still_to_be_made_is_elsewhere() {
    let scene = Scene::new().vm("v1", 4, 4).new_vm("new", 2, 2);
    let scene = scene
        .single("db")
        .single("app")
        .needs("app", "db")
        .needs("web", "app");
    let scene = scene.runs("db", "v1", 1, 1).wants("db", "new", 1, 1);
    let scene = scene
        .keeps("app", "v1", 1, 1)
        .keeps("web", "v1", 1, 1)
        .addressed();
    let scene = revised(scene.finds("app", "db", "v1").finds("web", "app", "v1"));
    let (stages, interrupts) = told(&scene);
    assert_eq!(
        stages.concat(),
        [
            "create vm 'new'",
            "create db new",
            "StartFirst app v1",
            "delete db v1"
        ]
        .map(|text| text.to_owned())
    );
    assert_eq!(interrupts, []);
}

#[test]
fn what_is_made_in_the_same_execution_is_not_replaced() {
    let scene = moving().wants("api", "v1", 1, 1).needs("api", "db").addressed();
    let (stages, _) = told(&revised(scene.finds("web", "db", "v1")));
    let api: Vec<String> = stages
        .concat()
        .into_iter()
        .filter(|text| text.contains("api"))
        .collect();
    assert_eq!(api, ["create api v1"]);
}

#[test]
fn what_crashes_for_want_of_its_dependency_is_replaced_and_not_set_going() {
    let mut scene = revised(moving().addressed().finds("web", "db", "v1"));
    scene.from.vms.get_mut("v3").unwrap().stalled.insert("web".into());
    assert_eq!(
        told(&scene).0,
        [["create db v2"], ["StartFirst web v3"], ["delete db v1"]]
    );
}
