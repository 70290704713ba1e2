//! The service is killed (-9) at the records of an execution that fails: a failed action that was
//! recorded stays failed, and a rollback is finished.

use serde_json::{Value, json};

use crate::crash_scene::{Scene, first, records, second};
use crate::crash_truth::newest;

/// The new allocation in a hook's line.
fn new_of(line: &str) -> &str {
    line.rsplit(' ').next().unwrap()
}

/// The actions of the stages behind the one of the first failure.
fn later(details: &Value) -> Vec<&Value> {
    let stages = details["stages"].as_array().unwrap();
    let failed = |stage: &Value| {
        let actions = stage.as_array().unwrap();
        actions.iter().any(|entry| entry["state"] == "failed")
    };
    let first = stages.iter().position(failed).unwrap();
    let behind = stages.iter().skip(first + 1);
    behind.flat_map(|stage| stage.as_array().unwrap()).collect()
}

#[test]
fn killed_on_the_way_back_from_a_failure_it_goes_back_to_the_end() {
    in_lab!(3, async |lab| {
        let mut scene = Scene::set_up(lab).await;
        let at_first = scene.state(lab, "at first").await;
        Scene::told();
        // The last action fails, so that everything has to be undone.
        Scene::fail("second", "watch");
        let query = "?on_failure=rollback";
        let undisturbed = scene.execute_or_die(&second(), query).await.unwrap();
        assert_eq!(undisturbed["state"], "rolled_back", "{undisturbed:#}");
        assert_eq!(scene.state(lab, "rolled back").await, at_first);
        let told = Scene::told();
        let last = told.last().unwrap();
        assert!(
            !new_of(last).contains("worker"),
            "hooks are told of the way back: {told:#?}"
        );

        let mut rows = 0;
        for record in 1.. {
            // After an action's begin, before its effect; and after its effect, before its end.
            let moment = if record % 2 == 0 { "after" } else { "before" };
            let row = format!("killed {moment} record {record}");
            Scene::told();
            scene.start_to_die(moment, record);
            if let Some(lived) = scene.execute_or_die(&second(), query).await {
                assert_eq!(lived["state"], "rolled_back", "{row}");
                break;
            }
            rows += 1;
            scene.service.start_again();
            let seen = scene.watch(lab, &row).await;
            assert_eq!(seen["state"], "rolled_back", "{row}: {seen:#}");
            assert_eq!(scene.state(lab, &row).await, at_first, "{row}");
            let told = Scene::told();
            if let Some(last) = told.iter().rfind(|line| line.starts_with("tier ")) {
                assert!(
                    !new_of(last).contains("worker"),
                    "{row}: the last hook was told {last}"
                );
            }
        }
        assert!(rows + 1 >= records(&undisturbed), "{rows} rows");
    });
}

#[test]
fn killed_after_a_failure_it_begins_nothing_more() {
    in_lab!(3, async |lab| {
        let mut scene = Scene::set_up(lab).await;
        let at_first = scene.state(lab, "at first").await;
        // It has others of its stage beside it, and more behind it.
        Scene::fail("always", "store");
        let undisturbed = scene.execute_or_die(&second(), "").await.unwrap();
        assert_eq!(undisturbed["state"], "failed", "{undisturbed:#}");
        assert!(!later(&undisturbed).is_empty(), "{undisturbed:#}");
        let reset = async |scene: &mut Scene, row: &str| {
            Scene::fail_no_more();
            scene.service.execute(&first()).await;
            assert_eq!(scene.state(lab, row).await, at_first, "{row}");
            Scene::fail("always", "store");
        };
        reset(&mut scene, "undisturbed").await;

        // Which of the failure's neighbours had been begun differs from run to run, and with it the
        // number of records.
        let mut rows = 0;
        let last = records(&undisturbed);
        for record in last - 4..=last + 1 {
            let moment = if record % 2 == 0 { "after" } else { "before" };
            let row = format!("killed {moment} record {record} of about {last}");
            scene.start_to_die(moment, record);
            if scene.execute_or_die(&second(), "").await.is_none() {
                rows += 1;
            } else {
                scene.service.terminate();
            }
            scene.service.start_again();
            let seen = scene.watch(lab, &row).await;
            assert_eq!(seen["state"], "failed", "{row}: {seen:#}");
            for entry in later(&seen) {
                assert_eq!(entry["state"], "pending", "{row}: {seen:#}");
            }
            scene.state(lab, &row).await;
            reset(&mut scene, &row).await;
        }
        assert!(rows > 2, "{rows} rows");
    });
}

#[test]
fn killed_after_a_failed_undo_it_says_so_and_is_free_for_the_next_plan() {
    in_lab!(3, async |lab| {
        let mut scene = Scene::set_up(lab).await;
        Scene::fail("always", "watch");
        let query = "?on_failure=rollback";
        let undisturbed = scene.execute_or_die(&second(), query).await.unwrap();
        assert_eq!(undisturbed["state"], "rollback_failed", "{undisturbed:#}");
        let last = records(&undisturbed);
        let mut rows = 0;
        for record in last - 3..=last + 1 {
            let moment = if record % 2 == 0 { "after" } else { "before" };
            let row = format!("killed {moment} record {record} of about {last}");
            Scene::fail_no_more();
            scene.service.execute(&first()).await;
            Scene::fail("always", "watch");
            scene.start_to_die(moment, record);
            if scene.execute_or_die(&second(), query).await.is_none() {
                rows += 1;
            } else {
                scene.service.terminate();
            }
            scene.service.start_again();
            let seen = scene.watch(lab, &row).await;
            assert_eq!(seen["state"], "rollback_failed", "{row}: {seen:#}");
            scene.state(lab, &row).await;
        }
        assert!(rows > 1, "{rows} rows");
        Scene::fail_no_more();
        scene.service.execute(&first()).await;
        scene.state(lab, "and it goes on").await;
    });
}

#[test]
fn a_way_back_can_be_cancelled_whether_it_is_being_gone_or_held() {
    in_lab!(3, async |lab| {
        let mut scene = Scene::set_up(lab).await;
        let query = "?on_failure=rollback";
        Scene::fail("second", "watch");
        let undisturbed = scene.execute_or_die(&second(), query).await.unwrap();
        let back = undisturbed["stages"].as_array().unwrap();
        let forward: usize = back.iter().map(|stage| stage.as_array().unwrap().len()).sum();
        // The first action of the way back has begun.
        let record = 1 + 2 * forward + 2;
        scene.start_to_die("after", record);
        assert!(scene.execute_or_die(&second(), query).await.is_none(), "it lives");
        scene.service.start_again_with(&[("MAPEK_ON_RESTART", "hold")]);
        let id = newest(&scene.service).await.unwrap();
        assert_eq!(scene.post(&id, "cancel").await, 202);
        let seen = scene.watch(lab, "held").await;
        assert_eq!(seen["state"], "cancelled", "{seen:#}");
        scene.state(lab, "cancelled while held").await;

        Scene::fail_no_more();
        scene.service.execute(&first()).await;
        Scene::fail("second", "watch");
        let id = scene.begin(&second(), query).await;
        let turned = async || {
            let details = scene.service.api.get(&format!("/api/executions/{id}")).await;
            details.expect(200).get("rollback_stages").is_some()
        };
        for _ in 0..2000 {
            if turned().await {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(scene.post(&id, "cancel").await, 202);
        let seen = scene.watch(lab, "under way").await;
        assert_eq!(seen["state"], "cancelled", "{seen:#}");
        assert_ne!(seen["rollback_stages"], json!(null));
        scene.state(lab, "cancelled under way").await;

        Scene::fail_no_more();
        scene.service.execute(&second()).await;
        scene.state(lab, "and it goes on").await;
    });
}
