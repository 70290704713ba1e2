//! A scale-out that is cancelled while most of its VMs have not begun yet: what was asked of AWS
//! for all of them at once is given back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::aws::Aws;
use crate::aws_proxy::AwsProxy;
use crate::http;
use crate::patience::Patience;
use crate::service::Service;
use crate::topologies::{idle, plan, with};

async fn wait_for(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let mut patience = Patience::every(Duration::from_millis(50));
    while !holds().await {
        patience.wait(|| what.to_owned()).await;
    }
}

/// Three VMs are asked for, one is waited for at a time, and none comes. Then the service is killed
/// if `killed` says so, and the execution is cancelled.
async fn cancelled(aws: &Aws, port: u16, group: &str, killed: bool) {
    aws.make_group(group, 0, 4, 0).await;
    let proxy = AwsProxy::before(&aws.endpoint).await;
    proxy.pending_for(Duration::from_secs(24 * 3600));
    let mut service: Service = Aws::service(port, &[("MAPEK_PARALLEL", "1"), ("MAPEK_ON_RESTART", "hold")]);
    let tiers = json!({"one": with(idle(), json!({"stop_grace_s": 0}))});
    let mut topology = Aws::topology(&proxy.endpoint, group, tiers);
    topology["infrastructure"]["cloud_driver"]["ready_timeout_s"] = json!(3600);
    service.put_topology(&topology).await;

    let request = http::client()
        .put(service.api.url("/api/execute"))
        .header("Prefer", "respond-async")
        .body(plan(&[("one", 6.0, 3)]).to_string());
    let begun: Value = request.send().await.unwrap().json().await.unwrap();
    let path = format!("/api/executions/{}", begun["execution"].as_str().unwrap());
    wait_for("three instances are never asked for", async || {
        aws.group(group).await.desired_capacity == Some(3) && aws.members(group).await.len() == 3
    })
    .await;
    if killed {
        service.kill();
        service.start_again();
    }
    let cancel = service.api.url(&format!("{path}/cancel"));
    let answer = http::client().post(cancel).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 202, "{answer:?}");
    wait_for("it never ends", async || {
        let record = service.api.get(&path).await.expect(200);
        !["running", "held"].iter().any(|state| record["state"] == *state)
    })
    .await;
    let record = service.api.get(&path).await.expect(200);
    assert_eq!(record["state"], "cancelled", "{record:#}");
    assert_eq!(aws.group(group).await.desired_capacity, Some(0), "{record:#}");
    assert!(aws.members(group).await.is_empty(), "{group}");
    assert_eq!(service.allocation().await, json!({}));
}

#[test]
fn a_cancelled_scale_out_gives_back_what_nobody_will_take() {
    in_lab!(0, async |lab| {
        let aws = Aws::start(lab).await;
        cancelled(&aws, 8500, "given", false).await;
        cancelled(&aws, 8501, "killed", true).await;
    });
}
