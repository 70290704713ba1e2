//! AWS is short of instances: if `replan` is given, the plan is placed once more, on those that
//! came; AWS is not asked again.

use futures_util::future::{FutureExt, join_all};
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::aws_crash::{dies, recovers};
use crate::aws_proxy::AwsProxy;
use crate::cli::{command, plan_file};
use crate::http::Answer;
use crate::service::Service;
use crate::topologies::{idle, nothing, plan, with};

const REPLAN: &str = "/api/execute?on_shortage=replan";

/// A group with two instances, each with a tier that fills it.
struct Short<'a> {
    aws: &'a Aws,
    proxy: AwsProxy,
    service: Service,
    group: &'static str,
    two: Vec<String>,
}

impl<'a> Short<'a> {
    /// There can be `most` instances.
    async fn of(aws: &'a Aws, port: u16, group: &'static str, most: u32) -> Self {
        aws.make_group(group, 0, 4, 0).await;
        let proxy = AwsProxy::before(&aws.endpoint).await;
        let service = Aws::service(port, &[("MAPEK_OBSERVE_EVERY_S", "0")]);
        let tier = || with(idle(), json!({"stop_grace_s": 0, "max_node": 1}));
        let tiers = json!({"db": tier(), "web": tier(), "app": tier(), "cache": tier()});
        let mut topology = Aws::topology(&proxy.endpoint, group, tiers);
        topology["infrastructure"]["cloud_driver"]["ready_timeout_s"] = json!(32);
        service.put_topology(&topology).await;
        service.execute(&filled()).await;
        proxy.at_most(most);
        let two = aws.members(group).await;
        assert_eq!(two.len(), 2, "{group}");
        Self {
            aws,
            proxy,
            service,
            group,
            two,
        }
    }

    async fn record(&self, answer: &Value) -> Value {
        let id = match answer["execution"].as_str() {
            Some(id) => id.to_owned(),
            None => self.service.executions().await["executions"][0]["id"]
                .as_str()
                .unwrap()
                .to_owned(),
        };
        let path = format!("/api/executions/{id}");
        self.service.api.get(&path).await.expect(200)
    }

    /// Every event until one of this kind, as the stream tells them.
    async fn events_until(&self, kind: &str) -> String {
        let url = self.service.api.url("/api/events?last_event_id=0");
        let mut stream = crate::http::client().get(url).send().await.unwrap();
        let mut told = String::new();
        let kind = format!("\"event\":\"{kind}\"");
        // To the event's own end, which may be in a later chunk than its beginning.
        while !told
            .split_once(&kind)
            .is_some_and(|(_, rest)| rest.contains("\n\n"))
        {
            let chunk = stream.chunk().await.unwrap().expect("the stream goes on");
            told.push_str(&String::from_utf8_lossy(&chunk));
        }
        told
    }

    /// Three instances hold all four tiers, and AWS was asked for more once.
    async fn is_placed_on_three(&self) {
        let group = self.group;
        let members = self.aws.members(group).await;
        assert_eq!(members.len(), 3, "{group}: what came is kept");
        assert!(self.two.iter().all(|id| members.contains(id)), "{group}");
        assert_eq!(self.aws.group(group).await.desired_capacity, Some(3), "{group}");
        assert_eq!(self.aws.protected(group).await, members, "{group}");
        let mut containers: Vec<String> = members.iter().flat_map(|id| self.aws.containers(id)).collect();
        containers.sort();
        assert_eq!(containers, ["rubis_app", "rubis_cache", "rubis_db", "rubis_web"]);
        let allocation = self.service.allocation().await;
        let known: Vec<&String> = allocation.as_object().unwrap().keys().collect();
        assert_eq!(known, members.iter().collect::<Vec<_>>(), "{group}");
        // For the first two, for two more, and one given back.
        assert_eq!(self.proxy.calls("SetDesiredCapacity"), 3, "{group}");
    }

    /// Nothing has changed.
    async fn is_as_it_was(&self, what: &str) {
        assert_eq!(self.aws.members(self.group).await, self.two, "{what}");
        assert_eq!(
            self.aws.group(self.group).await.desired_capacity,
            Some(2),
            "{what}"
        );
        let allocation = self.service.allocation().await;
        for tier in ["rubis_db", "rubis_web"] {
            let vm = self.service.vms_of(tier).await.remove(0);
            assert_eq!(
                allocation[&vm]["used"][tier]["cpu_cores"], 2.0,
                "{what}: {allocation:#}"
            );
        }
        assert!(self.service.vms_of("rubis_app").await.is_empty(), "{what}");
    }
}

/// Two VMs, each full.
fn filled() -> Value {
    plan(&[("db", 2.0, 1), ("web", 2.0, 1)])
}

/// Four VMs, so that neither tier has to move; or three full ones, where one moves.
fn wanted() -> Value {
    plan(&[
        ("db", 1.0, 1),
        ("web", 1.0, 1),
        ("app", 2.0, 1),
        ("cache", 2.0, 1),
    ])
}

async fn fits(aws: &Aws) {
    let case = Short::of(aws, 8401, "fits", 3).await;
    let shown = case
        .service
        .api
        .put("/api/translate", &wanted())
        .await
        .expect(200);
    assert_eq!(
        shown["actions"][0],
        json!(["create vm 'new_vm0'", "create vm 'new_vm1'"])
    );
    let sealed = format!("{REPLAN}&plan_id={}", shown["plan_id"].as_str().unwrap());
    let answer = case.service.api.put(&sealed, &wanted()).await.expect(200);
    assert_eq!(answer["outcome"], "succeeded", "{answer:#}");
    case.is_placed_on_three().await;

    let record = case.record(&answer).await;
    assert_eq!(record["on_shortage"], "replan", "{record:#}");
    assert_eq!(record["target"], shown["allocation"], "what was shown is kept");
    let placed = record["replanned_target"].as_object().unwrap();
    assert_eq!(placed.len(), 3, "{record:#}");
    let states = |stages: &str| -> Vec<String> {
        let stages = record[stages].as_array().unwrap().iter();
        stages
            .flat_map(|stage| stage.as_array().unwrap())
            .map(|action| action["state"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = states("stages");
    assert_eq!(
        first.iter().filter(|state| *state == "failed").count(),
        1,
        "{record:#}"
    );
    assert!(first[2..].iter().all(|state| state == "skipped"), "{record:#}");
    assert!(
        states("replanned_stages")
            .iter()
            .all(|state| state == "succeeded")
    );
    let events = case.events_until("replanned").await;
    assert!(events.contains("\"target\":{\"i-"), "{events}");
    let told = case.service.api.get("/metrics").await.body.to_string();
    assert!(
        told.contains("mapek_replans_total{result=\\\"placed\\\"} 1"),
        "{told}"
    );
    assert!(
        case.service.translate(&wanted()).await.is_empty(),
        "nothing is left to be done"
    );
    case.service.execute(&nothing()).await;
    assert!(aws.members("fits").await.is_empty());
}

/// A plan that can't do without the instances that did not come.
async fn does_not_fit(aws: &Aws) {
    let case = Short::of(aws, 8402, "toofew", 2).await;
    let failed = |answer: Answer| {
        let body = answer.expect(502);
        assert_eq!(body["code"], "cloud_capacity", "{body:#}");
        let said = body["error"].as_str().unwrap();
        for part in [
            "sufficient t3.small capacity",
            "nor can the plan be carried out on the VMs that are there",
            "2 VMs are there, and no more are asked for",
        ] {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
        let reasons = body["details"].to_string();
        assert!(reasons.contains("too_few_vms"), "{body:#}");
        body
    };
    let body = failed(case.service.api.put(REPLAN, &wanted()).await);
    case.is_as_it_was("stopped").await;
    let record = case.record(&body).await;
    assert_eq!(record["state"], "failed", "{record:#}");
    let why = record["replan_error"].as_str().unwrap();
    assert!(why.contains("no more are asked for"), "{record:#}");
    case.events_until("replan_failed").await;

    let path = format!("{REPLAN}&on_failure=rollback");
    let body = failed(case.service.api.put(&path, &wanted()).await);
    case.is_as_it_was("rolled back").await;
    assert_eq!(case.record(&body).await["state"], "rolled_back");
    let asked = case.service.daemon.log().matches("'toofew' set to 4").count();
    assert_eq!(asked, 2, "AWS is asked once in an execution");

    // The command line asks for it as well, and says what came of it.
    let file = plan_file("short", &wanted());
    let arguments = ["execute", "--yes", "--on-shortage", "replan", &file];
    let mut command = command(&case.service, &arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{said}");
    for part in [
        "the plan can't be placed on the VMs that are there",
        "it can't be carried out on the VMs that are there: ",
        "no more are asked for",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    case.is_as_it_was("by the command line").await;

    // Without `replan`, nothing is placed again.
    let answer = case.service.try_execute(&wanted()).await;
    let said = answer.error(&[502]);
    assert!(!said.contains("nor can the plan"), "{said}");
    case.is_as_it_was("failed").await;
}

/// Killed before or after the record of one event, it goes on from there.
async fn killed(aws: &Aws, port: u16, group: &'static str, moment: &str) {
    let mut case = Short::of(aws, port, group, 3).await;
    let before = case.service.executions().await["executions"]
        .as_array()
        .unwrap()
        .len();
    case.service.terminate();
    case.service.start_again_with(&[("MAPEK_TEST_KILL", moment)]);
    dies(&mut case.service, REPLAN, &wanted(), group).await;
    recovers(&mut case.service, &wanted(), before, group).await;
    case.is_placed_on_three().await;
    let record = case.record(&Value::Null).await;
    assert_eq!(record["resumed"], 1, "{group}: {record:#}");
    assert!(record["replanned_stages"].is_array(), "{group}: {record:#}");
}

#[test]
fn short_of_instances_a_plan_is_placed_on_those_that_came_where_that_is_wished_for() {
    in_lab!(0, async |lab| {
        let aws = &Aws::start(lab).await;
        join_all([fits(aws).boxed(), does_not_fit(aws).boxed()]).await;
    });
}

#[test]
fn killed_while_a_plan_is_placed_anew_it_is_placed_once() {
    in_lab!(0, async |lab| {
        let aws = &Aws::start(lab).await;
        join_all([
            killed(aws, 8411, "kill0", "before:action_failed").boxed(),
            killed(aws, 8412, "kill1", "before:replanned").boxed(),
            killed(aws, 8413, "kill2", "after:replanned").boxed(),
        ])
        .await;
    });
}
