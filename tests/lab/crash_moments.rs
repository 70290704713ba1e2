//! The service is killed from outside at random moments, and again while it takes an execution up:
//! the allocation is true whenever it is asked afterwards, and the result is as it should be.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::crash_scene::{Scene, State, first, hooks_ran, second};
use crate::crash_truth::{actions, identity};
use crate::daemons::Lab;

const SEED: u64 = 0x5ca1_ab1e;
/// Kills in each direction.
const KILLS: u64 = 7;

/// One direction: the plan, the state that it leads to, what its hooks report, how long it takes.
struct Way {
    plan: Value,
    end: State,
    told: Vec<String>,
    takes: Duration,
}

/// Carries out both plans undisturbed, the second one first.
async fn ways(lab: &Lab, scene: &mut Scene) -> [Way; 2] {
    let mut ways = Vec::new();
    for plan in [second(), first()] {
        Scene::told();
        let begun = Instant::now();
        let details = scene.execute_or_die(&plan, "").await.unwrap();
        let takes = begun.elapsed();
        has_every_kind(&details);
        let (end, told) = (scene.state(lab, "undisturbed").await, Scene::told());
        hooks_ran(&told, &told, &details, "undisturbed");
        ways.push(Way {
            plan,
            end,
            told,
            takes,
        });
    }
    ways.try_into().ok().unwrap()
}

fn has_every_kind(details: &Value) {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in actions(details) {
        *kinds
            .entry(entry["action"]["kind"].as_str().unwrap())
            .or_default() += 1;
    }
    let names: Vec<&str> = kinds.keys().copied().collect();
    let every = [
        "create_container",
        "create_vm",
        "delete_container",
        "delete_vm",
        "run_scale_hook",
        "run_tier_hook",
        "update_container",
    ];
    assert_eq!(names, every, "{details:#}");
}

/// What stays is never made again.
async fn kept(lab: &Lab) -> [Value; 2] {
    [
        identity(lab, "rubis_store").await,
        identity(lab, "rubis_watch").await,
    ]
}

#[test]
fn killed_at_any_moment_it_ends_as_if_it_had_not_been() {
    in_lab!(3, async |lab| {
        println!("seed {SEED:#x}");
        let mut scene = Scene::set_up(lab).await;
        let same = kept(lab).await;
        let ways = ways(lab, &mut scene).await;
        let mut chance = SEED;
        for count in 0..KILLS {
            for way in &ways {
                // A step of a linear congruential generator; each kill in a slice of its own.
                chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let part = (count as f64 + (chance >> 40) as f64 / f64::from(1 << 24)) / KILLS as f64;
                let moment = way.takes.mul_f64(part);
                let row = format!("killed {} ms after the begin", moment.as_millis());
                Scene::told();
                scene.begin(&way.plan, "").await;
                tokio::time::sleep(moment).await;
                scene.service.kill();
                scene.service.start_again();
                let seen = scene.watch(lab, &row).await;
                assert_eq!(seen["state"], "succeeded", "{row}: {seen:#}");
                assert_eq!(scene.state(lab, &row).await, way.end, "{row}");
                hooks_ran(&way.told, &Scene::told(), &seen, &row);
                assert_eq!(kept(lab).await, same, "{row}");
            }
        }
    });
}

#[test]
fn killed_again_and_again_while_taking_up_it_still_arrives() {
    in_lab!(3, async |lab| {
        let mut scene = Scene::set_up(lab).await;
        let same = kept(lab).await;
        let ways = ways(lab, &mut scene).await;
        for (way, moment) in ways.iter().zip(["after", "before"]) {
            Scene::told();
            scene.start_to_die(moment, 3);
            assert!(scene.execute_or_die(&way.plan, "").await.is_none());
            // Each new run of the service lasts for six records: taking the execution up, and
            // hardly two actions.
            let mut lives = 1;
            loop {
                let kill = format!("{moment}:6");
                scene.service.start_again_to_die(&[("MAPEK_TEST_KILL", &kill)]);
                if scene.arrives().await {
                    break;
                }
                lives += 1;
                assert!(lives < 40, "it does not come any further");
            }
            let row = format!("killed {lives} times {moment} its sixth record");
            assert!(lives > 3, "{row}");
            scene.service.terminate();
            scene.service.start_again();
            let seen = scene.watch(lab, &row).await;
            assert_eq!(seen["state"], "succeeded", "{row}: {seen:#}");
            assert_eq!(scene.state(lab, &row).await, way.end, "{row}");
            hooks_ran(&way.told, &Scene::told(), &seen, &row);
            assert_eq!(kept(lab).await, same, "{row}");
        }
    });
}
