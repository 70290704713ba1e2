//! What AWS does and moto does not, imitated by a proxy: each fault ends in the right state, with
//! an error that says what to do.
//!
//! The cases share a sandbox, and run side by side: each has a group, a proxy and a `mapek` of its
//! own.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all};
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::aws_proxy::{AwsProxy, Fault};
use crate::http::Answer;
use crate::service::Service;
use crate::topologies::{idle, nothing, plan, with};

/// One case's world.
struct Case<'a> {
    aws: &'a Aws,
    proxy: AwsProxy,
    service: Service,
    group: &'static str,
}

impl<'a> Case<'a> {
    /// A group of at most four, with nothing in it.
    async fn new(aws: &'a Aws, port: u16, group: &'static str) -> Self {
        Self::with(aws, port, group, json!({})).await
    }

    /// The same, with these fields in the cloud driver.
    async fn with(aws: &'a Aws, port: u16, group: &'static str, driver: Value) -> Self {
        aws.make_group(group, 0, 4, 0).await;
        let proxy = AwsProxy::before(&aws.endpoint).await;
        let service = Aws::service(port, &[]);
        let tiers = json!({"one": with(idle(), json!({"stop_grace_s": 0}))});
        let mut topology = Aws::topology(&proxy.endpoint, group, tiers);
        let fields = topology["infrastructure"]["cloud_driver"]
            .as_object_mut()
            .unwrap();
        fields.extend(driver.as_object().unwrap().clone());
        service.put_topology(&topology).await;
        Self {
            aws,
            proxy,
            service,
            group,
        }
    }

    async fn members(&self) -> Vec<String> {
        self.aws.members(self.group).await
    }

    async fn desired(&self) -> i32 {
        self.aws.group(self.group).await.desired_capacity.unwrap()
    }

    async fn max(&self) -> i32 {
        self.aws.group(self.group).await.max_size.unwrap()
    }

    async fn set_max(&self, max: i32) {
        let request = self.aws.autoscaling.update_auto_scaling_group();
        let request = request.auto_scaling_group_name(self.group).max_size(max);
        request.send().await.unwrap();
    }

    async fn try_vms(&self, count: u32) -> Answer {
        self.service.try_execute(&vms(count)).await
    }

    /// The plan is carried out, and so is the empty one after it.
    async fn works(&self, what: &str) {
        let executed = self.try_vms(1).await;
        assert_eq!(
            executed.status,
            200,
            "{what}: {executed:?}\n{}",
            self.service.daemon.log_end()
        );
        self.is_right(what, 1).await;
        let emptied = self.service.try_execute(&nothing()).await;
        assert_eq!(emptied.status, 200, "{what}: {emptied:?}");
        self.is_right(what, 0).await;
    }

    /// The group, the allocation and the engines agree that this many VMs are in use.
    async fn is_right(&self, what: &str, count: usize) {
        let members = self.members().await;
        assert_eq!(members.len(), count, "{what}");
        assert_eq!(self.desired().await, i32::try_from(count).unwrap(), "{what}");
        let allocation = self.service.allocation().await;
        let known: Vec<&String> = allocation.as_object().unwrap().keys().collect();
        assert_eq!(known, members.iter().collect::<Vec<_>>(), "{what}");
        for id in &members {
            assert_eq!(self.aws.containers(id), ["rubis_one"], "{what}");
        }
        assert_eq!(self.aws.protected(self.group).await, members, "{what}");
    }

    /// The plan fails with this status and code, the error says all of this, and the group is as
    /// before.
    async fn fails(&self, what: &str, status: u16, code: &str, says: &[&str]) {
        let answer = self.try_vms(1).await;
        assert_eq!(
            answer.status,
            status,
            "{what}: {answer:?}\n{}",
            self.service.daemon.log_end()
        );
        assert_eq!(answer.body["code"], code, "{what}: {answer:?}");
        let said = answer.body["error"].as_str().unwrap();
        for part in says {
            assert!(said.contains(part), "{what}: {part:?} is not in {said}");
        }
        assert_eq!(self.desired().await, 0, "{what}");
        assert!(self.members().await.is_empty(), "{what}");
        assert_eq!(self.service.allocation().await, json!({}), "{what}");
    }
}

/// A plan that needs this many VMs.
fn vms(count: u32) -> Value {
    plan(&[("one", f64::from(count) * 2.0, count)])
}

const THROTTLED: Fault = Fault::Refuse(400, "Throttling", "Rate exceeded");
const BUSY: Fault = Fault::Refuse(400, "ScalingActivityInProgress", "Activity a1 is in progress.");

async fn throttled(aws: &Aws) {
    let case = Case::new(aws, 8101, "throttled").await;
    case.proxy.set(&[
        ("SetDesiredCapacity", THROTTLED, Some(2)),
        (
            "DescribeInstances",
            Fault::Refuse(503, "RequestLimitExceeded", "Slow down"),
            Some(1),
        ),
        ("TerminateInstanceInAutoScalingGroup", THROTTLED, Some(1)),
    ]);
    case.works("throttled").await;
    assert_eq!(case.proxy.calls("SetDesiredCapacity"), 3);
}

async fn another_activity(aws: &Aws) {
    let case = Case::new(aws, 8102, "busy").await;
    case.proxy.set(&[
        ("SetDesiredCapacity", BUSY, Some(2)),
        ("TerminateInstanceInAutoScalingGroup", BUSY, Some(2)),
    ]);
    case.works("another activity in progress").await;
}

async fn above_max_size(aws: &Aws) {
    let case = Case::new(aws, 8103, "full").await;
    let said = "New SetDesiredCapacity value 1 is above max value 0 for the AutoScalingGroup.";
    case.proxy.set(&[(
        "SetDesiredCapacity",
        Fault::Refuse(400, "ValidationError", said),
        None,
    )]);
    let remedy = [
        "SetDesiredCapacity",
        "raise the group's MaxSize",
        "manage_max_size",
    ];
    case.fails("above MaxSize", 502, "cloud_refused", &remedy).await;

    // What is known beforehand is said beforehand.
    case.proxy.set(&[]);
    let answer = case.service.api.put("/api/translate", &vms(5)).await;
    let said = answer.error(&[422]);
    assert!(
        said.contains("MaxSize 4") && said.contains("manage_max_size"),
        "{said}"
    );
}

async fn managed_max_size(aws: &Aws) {
    let case = Case::with(
        aws,
        8113,
        "managed",
        json!({"manage_max_size": true, "ready_timeout_s": 30}),
    )
    .await;
    case.set_max(0).await;
    // No instance comes: MaxSize is put back.
    case.proxy.at_most(0);
    case.fails("no capacity above MaxSize", 502, "cloud_capacity", &["capacity"])
        .await;
    assert_eq!(case.max().await, 0, "MaxSize is put back");
    assert_eq!(case.proxy.calls("UpdateAutoScalingGroup"), 2);
    // It works: MaxSize is as high as needed, and stays so, even when instances are terminated.
    case.proxy.at_most(10);
    case.works("above MaxSize, which is managed").await;
    assert_eq!(case.max().await, 1, "MaxSize is raised to what is needed");
    case.works("below MaxSize").await;
    assert_eq!(case.proxy.calls("UpdateAutoScalingGroup"), 3);
}

async fn left_max_size(aws: &Aws) {
    let case = Case::new(aws, 8114, "unmanaged").await;
    case.set_max(1).await;
    let answer = case.try_vms(2).await;
    let said = answer.error(&[422]);
    assert!(
        said.contains("MaxSize 1") && said.contains("manage_max_size"),
        "{said}"
    );
    case.works("within MaxSize").await;
    assert_eq!(case.max().await, 1);
    assert_eq!(case.proxy.calls("UpdateAutoScalingGroup"), 0);
}

/// Each service at the endpoint that the environment gives it; `/metrics` shows which calls go
/// there.
async fn endpoints_apart(aws: &Aws) {
    aws.make_group("apart", 0, 4, 0).await;
    let (autoscaling, ec2) = (
        AwsProxy::before(&aws.endpoint).await,
        AwsProxy::before(&aws.endpoint).await,
    );
    let service = Aws::service(
        8115,
        &[
            ("AWS_ENDPOINT_URL_AUTO_SCALING", &autoscaling.endpoint),
            ("AWS_ENDPOINT_URL_EC2", &ec2.endpoint),
        ],
    );
    let tiers = json!({"one": with(idle(), json!({"stop_grace_s": 0}))});
    let mut topology = Aws::topology(&aws.endpoint, "apart", tiers);
    let driver = topology["infrastructure"]["cloud_driver"]
        .as_object_mut()
        .unwrap();
    driver.remove("endpoint_url");
    service.put_topology(&topology).await;
    autoscaling.set(&[("SetDesiredCapacity", THROTTLED, Some(1))]);
    service.translate(&vms(1)).await;
    service.execute(&vms(1)).await;
    service.execute(&nothing()).await;
    assert!(aws.members("apart").await.is_empty());
    assert_eq!(ec2.names(), ["DescribeInstances"], "only EC2's calls go to EC2");
    let all = [
        "DescribeAutoScalingGroups",
        "DescribeLifecycleHooks",
        "DescribePolicies",
        "DescribeScalingActivities",
        "DescribeScheduledActions",
        "SetDesiredCapacity",
        "SetInstanceProtection",
        "TerminateInstanceInAutoScalingGroup",
    ];
    assert_eq!(autoscaling.names(), all);

    let told = crate::http::get(&service.api.url("/metrics")).await.1;
    let count = |service: &str, call: &str, outcome: &str| {
        let line = format!(
            "mapek_remote_calls_total{{service=\"{service}\",call=\"{call}\",outcome=\"{outcome}\"}} "
        );
        let count = told.lines().find_map(|told| told.strip_prefix(&line));
        count.map_or(0, |count| count.parse::<usize>().unwrap())
    };
    for call in all {
        let refused = count("autoscaling", call, "refused");
        assert_eq!(
            refused,
            usize::from(call == "SetDesiredCapacity"),
            "{call}: {told}"
        );
        let answered = count("autoscaling", call, "answered");
        assert_eq!(answered + refused, autoscaling.calls(call), "{call}: {told}");
        let seconds = format!(
            "mapek_remote_call_duration_seconds_count{{service=\"autoscaling\",call=\"{call}\"}} {}\n",
            answered + refused
        );
        assert!(told.contains(&seconds), "{seconds} is not in {told}");
    }
    let answered = count("ec2", "DescribeInstances", "answered");
    assert_eq!(answered, ec2.calls("DescribeInstances"), "{told}");
    assert!(!told.contains("service=\"aws\""), "a call without a name: {told}");

    // If one of them is elsewhere, that is one too many.
    let elsewhere = Aws::service(
        8116,
        &[
            ("AWS_ENDPOINT_URL", &autoscaling.endpoint),
            ("AWS_ENDPOINT_URL_EC2", "http://10.77.1.254:9"),
        ],
    );
    elsewhere.put_topology(&topology).await;
    let said = elsewhere.api.put("/api/translate", &vms(1)).await.error(&[422]);
    assert!(said.contains("loopback"), "{said}");
}

async fn slow(aws: &Aws) {
    let case = Case::new(aws, 8104, "slow").await;
    case.proxy.pending_for(Duration::from_secs(2));
    case.works("in service only after a while").await;
    let events = case.service.api.get("/api/executions").await.expect(200);
    let id = events["executions"][1]["id"].as_str().unwrap().to_owned();
    let execution = case
        .service
        .api
        .get(&format!("/api/executions/{id}"))
        .await
        .expect(200);
    let progress = execution["stages"][0][0]["progress"].as_str();
    assert!(progress.is_some_and(|said| said.contains("i-")), "{execution:#}");
    assert!(
        case.service.daemon.log().contains("is Pending"),
        "{}",
        case.service.daemon.log_end()
    );
}

async fn never_in_service(aws: &Aws) {
    let case = Case::with(aws, 8105, "never", json!({"ready_timeout_s": 6})).await;
    case.proxy.pending_for(Duration::from_secs(3600));
    let says = ["within 6 s", "nor was i-", "Pending", "ready_timeout_s"];
    case.fails("never in service", 504, "cloud_timeout", &says).await;
    let ended = case.proxy.calls("TerminateInstanceInAutoScalingGroup");
    assert_eq!(ended, 2, "the first is replaced, the second given back");
}

async fn docker_down_once(aws: &Aws) {
    let case = Case::with(aws, 8106, "downonce", json!({"ready_timeout_s": 40})).await;
    aws.without_engine("downonce", 1);
    case.works("Docker down on the first").await;
}

async fn docker_never_up(aws: &Aws) {
    let case = Case::with(aws, 8107, "down", json!({"ready_timeout_s": 6})).await;
    aws.without_engine("down", 100);
    let says = ["its engine does not answer", "security group", "user data"];
    case.fails("Docker never up", 504, "cloud_timeout", &says).await;
}

async fn answers_lost(aws: &Aws) {
    let case = Case::new(aws, 8108, "lost").await;
    case.proxy.set(&[
        ("SetDesiredCapacity", Fault::CutAfter, Some(1)),
        ("SetInstanceProtection", Fault::ErrorAfter, Some(1)),
        ("TerminateInstanceInAutoScalingGroup", Fault::CutAfter, Some(1)),
    ]);
    case.works("answers cut off after the effect").await;
    case.proxy.set(&[
        (
            "SetDesiredCapacity",
            Fault::LateAnswer(Duration::from_secs(11)),
            Some(1),
        ),
        ("TerminateInstanceInAutoScalingGroup", Fault::ErrorAfter, Some(1)),
    ]);
    case.works("answers that come too late").await;
}

async fn stolen(aws: &Aws) {
    let case = Case::new(aws, 8109, "stolen").await;
    aws.without_engine("stolen", 1);
    let thief = async {
        loop {
            if let Some(first) = case.members().await.first() {
                // Once it is taken for the new VM.
                if case
                    .service
                    .daemon
                    .log()
                    .contains(&format!("{first} is in service"))
                {
                    aws.steal(first).await;
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    futures_util::future::join(thief, case.works("stolen by a rebalance")).await;
}

async fn expired(aws: &Aws) {
    let case = Case::new(aws, 8110, "expired").await;
    let expired = Fault::Refuse(
        403,
        "ExpiredToken",
        "The security token included in the request is expired",
    );
    case.proxy.set(&[("*", expired, None)]);
    let answer = case.service.api.put("/api/translate", &vms(1)).await;
    let said = answer.error(&[422]);
    assert!(said.contains("expired: renew them"), "{said}");
    case.fails("expired credentials", 422, "cloud_misconfigured", &["renew"])
        .await;
    // Also in between; and once they are renewed, all is well.
    case.proxy.set(&[("SetDesiredCapacity", expired, None)]);
    case.fails("expired in the middle", 422, "cloud_misconfigured", &["renew"])
        .await;
    case.proxy.set(&[]);
    case.works("renewed credentials").await;
}

async fn forbidden(aws: &Aws) {
    let case = Case::new(aws, 8111, "forbidden").await;
    let said = "User: arn:aws:iam::1:user/lab is not authorized";
    let forbidden = Fault::Refuse(403, "AccessDenied", said);
    case.proxy.set(&[("SetDesiredCapacity", forbidden, None)]);
    let says = ["autoscaling:SetDesiredCapacity", "IAM policy", "docs/aws.md"];
    case.fails("forbidden", 422, "cloud_misconfigured", &says).await;
    case.proxy.set(&[("DescribeLifecycleHooks", forbidden, None)]);
    let answer = case.service.api.put("/api/translate", &vms(1)).await.expect(200);
    let warnings = answer["warnings"].to_string();
    assert!(warnings.contains("DescribeLifecycleHooks"), "{warnings}");
}

async fn short_of_capacity(aws: &Aws) {
    let case = Case::with(aws, 8112, "short", json!({"ready_timeout_s": 40})).await;
    case.proxy.at_most(1);
    let answer = case.try_vms(2).await;
    let body = answer.expect(502);
    assert_eq!(body["code"], "cloud_capacity", "{body:#}");
    assert!(
        body["error"]
            .as_str()
            .unwrap()
            .contains("sufficient t3.small capacity"),
        "{body:#}"
    );
    // The instances that came are kept, idle, and no more are asked for; the next plan uses them.
    assert_eq!((case.members().await.len(), case.desired().await), (1, 1));
    assert_eq!(case.service.translate(&vms(1)).await.len(), 1, "no VM is made");
    case.works("what came").await;
}

async fn side_by_side(cases: Vec<BoxFuture<'_, ()>>) {
    join_all(cases).await;
}

#[test]
fn refusals_of_aws_end_well_or_say_what_to_do() {
    in_lab!(0, async |lab| {
        let aws = &Aws::start(lab).await;
        side_by_side(vec![
            throttled(aws).boxed(),
            another_activity(aws).boxed(),
            above_max_size(aws).boxed(),
            expired(aws).boxed(),
            forbidden(aws).boxed(),
            short_of_capacity(aws).boxed(),
            managed_max_size(aws).boxed(),
            left_max_size(aws).boxed(),
            endpoints_apart(aws).boxed(),
        ])
        .await;
    });
}

#[test]
fn instances_that_come_late_or_never_and_answers_that_are_lost_leave_the_right_group() {
    in_lab!(0, async |lab| {
        let aws = &Aws::start(lab).await;
        side_by_side(vec![
            slow(aws).boxed(),
            never_in_service(aws).boxed(),
            docker_down_once(aws).boxed(),
            docker_never_up(aws).boxed(),
            answers_lost(aws).boxed(),
            stolen(aws).boxed(),
        ])
        .await;
    });
}
