//! The service is killed (-9) before and after every kind of call to AWS, during an execution and
//! its rollback: no instance is left over, none is lost.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use futures_util::stream;
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::http;
use crate::patience::Patience;
use crate::service::Service;
use crate::topologies::{idle, nothing, plan, with};

/// This many rows at the same time.
const AT_ONCE: usize = 3;
const EXECUTE: &str = "/api/execute";

/// Calls of a scale-out, and of a scale-in: each with its number since the start of the process.
/// Before the scale-in a look is taken already when the process starts.
const OUT: [&str; 7] = [
    "group:1",
    "group:2",
    "group:3",
    "failed_launches:1",
    "set_desired:1",
    "addresses:1",
    "protect:1",
];
const IN: [&str; 3] = ["group:2", "unprotect:1", "terminate:1"];

fn one() -> Value {
    plan(&[("one", 1.0, 1)])
}

/// Sends a plan to a service that is killed by it.
pub async fn dies(service: &mut Service, path: &str, plan: &Value, row: &str) {
    let url = service.api.url(path);
    let answer = http::client().put(url).body(plan.to_string()).send().await;
    assert!(answer.is_err(), "{row}: it lived, and answered {answer:?}");
    let mut patience = Patience::every(Duration::from_millis(10));
    let how = loop {
        if let Some(how) = service.daemon.ended() {
            break how;
        }
        let lives = format!("{row}: the connection was cut, and the service lives");
        patience.wait(|| lives.clone()).await;
    };
    assert_eq!(how.signal(), Some(9), "{row}: {how}");
}

/// Starts the service again, waits for the execution that was cut off, and sends the plan again if
/// none was begun.
pub async fn recovers(service: &mut Service, plan: &Value, before: usize, row: &str) {
    service.start_again();
    let mut patience = Patience::every(Duration::from_millis(50));
    loop {
        let all = service.executions().await;
        let all = all["executions"].as_array().unwrap();
        match all
            .first()
            .map(|newest| newest["state"].as_str().unwrap_or_default())
        {
            Some("running") => {}
            Some("succeeded") if all.len() > before => return,
            None | Some("succeeded") => {
                let answer = service.try_execute(plan).await;
                assert_eq!(
                    answer.status,
                    200,
                    "{row}: {answer:?}\n{}",
                    service.daemon.log_end()
                );
                return;
            }
            Some(state) => panic!("{row}: it ended as {state}\n{}", service.daemon.log_end()),
        }
        patience
            .wait(|| format!("{row}: still running\n{}", service.daemon.log_end()))
            .await;
    }
}

async fn row(aws: &Aws, number: u16, moment: &str, out: &str, back: &str) {
    let group = format!("crash{number}");
    aws.make_group(&group, 0, 4, 0).await;
    let mut service = Aws::service(8200 + number, &[]);
    let tiers = json!({"one": with(idle(), json!({"stop_grace_s": 0}))});
    service
        .put_topology(&Aws::topology(&aws.endpoint, &group, tiers))
        .await;
    service.terminate();

    let row = format!("killed {moment} {out} on the way out");
    service.start_again_with(&[("MAPEK_TEST_KILL_AWS", &format!("{moment}:{out}"))]);
    dies(&mut service, EXECUTE, &one(), &row).await;
    recovers(&mut service, &one(), 0, &row).await;
    let members = aws.members(&group).await;
    assert_eq!(members.len(), 1, "{row}");
    assert_eq!(aws.group(&group).await.desired_capacity, Some(1), "{row}");
    assert_eq!(aws.protected(&group).await, members, "{row}");
    assert_eq!(aws.containers(&members[0]), ["rubis_one"], "{row}");
    assert!(service.allocation().await[&members[0]].is_object(), "{row}");
    assert!(
        service.translate(&one()).await.is_empty(),
        "{row}: nothing is left to be done"
    );
    service.terminate();

    let row = format!("killed {moment} {back} on the way back");
    service.start_again_with(&[
        ("MAPEK_TEST_KILL_AWS", &format!("{moment}:{back}")),
        // Its looks would be counted, too.
        ("MAPEK_OBSERVE_EVERY_S", "0"),
    ]);
    let before = service.executions().await["executions"].as_array().unwrap().len();
    dies(&mut service, EXECUTE, &nothing(), &row).await;
    recovers(&mut service, &nothing(), before, &row).await;
    assert!(aws.members(&group).await.is_empty(), "{row}");
    assert_eq!(aws.group(&group).await.desired_capacity, Some(0), "{row}");
    assert_eq!(service.allocation().await, json!({}), "{row}");
}

async fn at_every_call(aws: &Aws, moment: &str) {
    let rows = OUT.iter().zip(IN.iter().cycle()).zip(0..);
    let rows = rows.map(|((out, back), number)| row(aws, number, moment, out, back));
    stream::iter(rows.collect::<Vec<_>>())
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
}

/// Killed while an instance is on its way, and told to undo that: the instance is terminated.
async fn taken_back(aws: &Aws, number: u16, out: &str) {
    let row = format!("killed after {out}, and rolled back");
    let group = format!("back{number}");
    aws.make_group(&group, 0, 4, 0).await;
    let mut service = Aws::service(8300 + number, &[]);
    let tiers = json!({"one": with(idle(), json!({"stop_grace_s": 0}))});
    service
        .put_topology(&Aws::topology(&aws.endpoint, &group, tiers))
        .await;
    service.terminate();
    service.start_again_with(&[("MAPEK_TEST_KILL_AWS", &format!("after:{out}"))]);
    dies(&mut service, EXECUTE, &one(), &row).await;
    service.start_again_with(&[("MAPEK_ON_RESTART", "rollback")]);
    let mut patience = Patience::every(Duration::from_millis(50));
    loop {
        let newest = service.executions().await["executions"][0]["state"].clone();
        if newest != "running" {
            assert_eq!(newest, "rolled_back", "{row}\n{}", service.daemon.log_end());
            break;
        }
        patience
            .wait(|| format!("{row}\n{}", service.daemon.log_end()))
            .await;
    }
    assert!(aws.members(&group).await.is_empty(), "{row}");
    assert_eq!(aws.group(&group).await.desired_capacity, Some(0), "{row}");
    assert_eq!(service.allocation().await, json!({}), "{row}");
}

/// Killed around the end of an instance that never becomes ready: another one takes its place,
/// once.
async fn replaced_row(aws: &Aws, number: u16, moment: &str) {
    let row = format!("killed {moment} the first instance was terminated");
    let (group, mut service) = never_ready(aws, number, 40, 1).await;
    service.start_again_with(&[("MAPEK_TEST_KILL_AWS", &format!("{moment}:terminate:1"))]);
    dies(&mut service, EXECUTE, &one(), &row).await;
    recovers(&mut service, &one(), 0, &row).await;
    let members = aws.members(&group).await;
    assert_eq!(members.len(), 1, "{row}");
    assert_eq!(aws.group(&group).await.desired_capacity, Some(1), "{row}");
    assert_eq!(aws.containers(&members[0]), ["rubis_one"], "{row}");
}

/// Killed around the end of the second instance, when the VM is given up: the group is as it was.
async fn given_up_row(aws: &Aws, number: u16, moment: &str) {
    let row = format!("killed {moment} the second instance was terminated");
    let (group, mut service) = never_ready(aws, number, 2, 100).await;
    service.start_again_with(&[("MAPEK_TEST_KILL_AWS", &format!("{moment}:terminate:2"))]);
    dies(&mut service, EXECUTE, &one(), &row).await;
    service.start_again();
    let mut patience = Patience::every(Duration::from_millis(50));
    let ended = loop {
        let newest = service.executions().await["executions"][0].clone();
        if newest["state"] != "running" {
            break newest;
        }
        patience
            .wait(|| format!("{row}\n{}", service.daemon.log_end()))
            .await;
    };
    assert_eq!(ended["state"], "failed", "{row}\n{}", service.daemon.log_end());
    let path = format!("/api/executions/{}", ended["id"].as_str().unwrap());
    let record = service.api.get(&path).await.expect(200);
    let made = &record["stages"][0][0];
    assert!(
        made["error"].as_str().unwrap().contains("given up"),
        "{row}: {made:#}"
    );
    assert!(aws.members(&group).await.is_empty(), "{row}");
    assert_eq!(aws.group(&group).await.desired_capacity, Some(0), "{row}");
    assert_eq!(service.allocation().await, json!({}), "{row}");
}

/// A group whose first `dead` instances get no engine, and a service that has ended.
async fn never_ready(aws: &Aws, number: u16, ready_timeout_s: u64, dead: usize) -> (String, Service) {
    let group = format!("dead{number}");
    aws.make_group(&group, 0, 4, 0).await;
    aws.without_engine(&group, dead);
    let mut service = Aws::service(8350 + number, &[]);
    let tiers = json!({"one": with(idle(), json!({"stop_grace_s": 0}))});
    let mut topology = Aws::topology(&aws.endpoint, &group, tiers);
    topology["infrastructure"]["cloud_driver"]["ready_timeout_s"] = json!(ready_timeout_s);
    service.put_topology(&topology).await;
    service.terminate();
    (group, service)
}

#[test]
fn killed_while_an_instance_is_replaced_or_given_up_none_is_lost_or_left_over() {
    in_lab!(0, async |lab| {
        let aws = &Aws::start(lab).await;
        let replaced = ["before", "after"].into_iter().zip(0..);
        let replaced = replaced.map(|(moment, number)| replaced_row(aws, number, moment).boxed());
        let given_up = ["before", "after"].into_iter().zip(2..);
        let given_up = given_up.map(|(moment, number)| given_up_row(aws, number, moment).boxed());
        futures_util::future::join_all(replaced.chain(given_up)).await;
    });
}

#[test]
fn killed_and_rolled_back_the_group_is_as_it_was() {
    in_lab!(0, async |lab| {
        let aws = &Aws::start(lab).await;
        let rows = ["set_desired:1", "group:3", "protect:1"].into_iter().zip(0..);
        let rows = rows.map(|(out, number)| taken_back(aws, number, out));
        futures_util::future::join_all(rows).await;
    });
}

#[test]
fn killed_before_any_call_of_aws_no_instance_is_lost_or_left_over() {
    in_lab!(0, async |lab| at_every_call(&Aws::start(lab).await, "before")
        .await);
}

#[test]
fn killed_after_any_call_of_aws_no_instance_is_lost_or_left_over() {
    in_lab!(0, async |lab| at_every_call(&Aws::start(lab).await, "after")
        .await);
}
