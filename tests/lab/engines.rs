//! Engines that are killed, stay away, or freeze in the middle of an execution.

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::fault_lab::{Record, Stage, held, large, small};
use crate::fault_proxy::{Call, Rule};
use crate::http::Answer;
use crate::process::wait_until;

/// Sends a plan, and returns when `call` has been done to `container`.
fn until(stage: &Stage, plan: &Value, container: &str, call: Call) -> JoinHandle<Answer> {
    stage.proxies.set(&[] as &[Rule]);
    let (api, plan) = (stage.service.api.clone(), plan.clone());
    let answer = tokio::spawn(async move { api.put("/api/execute", &plan).await });
    let tell = || format!("{call:?} of {container} was never seen");
    wait_until(tell, || stage.proxies.done(container, call) > 0);
    answer
}

/// The newest execution.
async fn newest(stage: &Stage) -> Record {
    let executions = stage.service.executions().await;
    let id = executions["executions"][0]["id"].as_str().unwrap();
    Record::read(&stage.service, id).await
}

#[test]
fn an_engine_that_is_killed_in_the_middle_and_comes_back_is_waited_for() {
    in_lab!(2, async |lab| {
        // An engine that is killed while it runs a command may take half a minute to come back.
        let stage = Stage::set_up(lab, &[("MAPEK_RETRY_FOR_S", "120")]).await;
        for (plan, call) in [
            (large(), Call::Create),
            (small(), Call::Stop),
            (large(), Call::Start),
            (small(), Call::Remove),
            (large(), Call::ExecCreate),
        ] {
            let answer = until(&stage, &plan, "shop_d", call);
            lab.vms[1].kill_engine();
            lab.vms[1].restart_engine();
            let answer = answer.await.unwrap();
            let record = newest(&stage).await;
            assert_eq!(answer.status, 200, "after {call:?}: {:#}", record.whole);
            assert_eq!(record.outcome, "succeeded");
            stage.is_true(lab, &record).await;
        }
    });
}

#[test]
fn an_engine_that_never_comes_back_fails_the_execution_and_nothing_else() {
    in_lab!(2, async |lab| {
        let stage = Stage::set_up(lab, &[("MAPEK_RETRY_FOR_S", "2")]).await;
        let answer = until(&stage, &large(), "shop_d", Call::Create);
        lab.vms[1].kill_engine();
        let error = answer.await.unwrap().error(&[502, 504]);
        assert!(error.contains("vm2") && error.contains("shop_d"), "{error}");
        let record = newest(&stage).await;
        assert_eq!(record.outcome, "failed", "{:#}", record.whole);
        assert_eq!(record.texts("failed"), ["create shop_d"], "{:#}", record.whole);
        let on_vm1 = json!({"vm1": {"used": {
            "shop_a": {"cpu_cores": 1, "mem_units": 2},
            "shop_v": {"cpu_cores": 1, "mem_units": 1},
        }}});
        assert_eq!(held(&stage.service.allocation().await), held(&on_vm1));

        // The other VM is still looked after; what needs the dead one is refused, by name.
        let mut plan = small();
        plan["shop"]["v"] = json!({"cpu_cores": 1, "mem_units": 2});
        let shown = stage.service.translate(&plan).await.concat();
        assert!(!shown.is_empty());
        let before = stage.service.allocation().await;
        let refused = stage.service.try_execute(&large()).await.error(&[502, 504]);
        assert!(refused.contains("vm2"), "{refused}");
        assert_eq!(stage.service.allocation().await, before);

        lab.vms[1].restart_engine();
        stage.undisturbed(lab, &large()).await;
    });
}

#[test]
fn an_engine_that_is_frozen_is_given_up_in_time_and_used_again_when_it_thaws() {
    in_lab!(2, async |lab| {
        let environment = [("MAPEK_ENGINE_TIMEOUT_S", "5"), ("MAPEK_RETRY_FOR_S", "2")];
        let stage = Stage::set_up(lab, &environment).await;

        // In the middle of an execution.
        let answer = until(&stage, &large(), "shop_d", Call::Create);
        lab.vms[1].daemon.signal("STOP");
        let error = answer.await.unwrap().error(&[504]);
        assert!(error.contains("vm2"), "{error}");
        let record = newest(&stage).await;
        assert_eq!(record.outcome, "failed", "{:#}", record.whole);
        let allocation = stage.service.allocation().await;
        assert_eq!(held(&allocation)["vm1"]["shop_v"], [1, 1], "{allocation:#}");

        // Before one.
        let error = stage.service.try_execute(&large()).await.error(&[504]);
        assert!(error.contains("vm2"), "{error}");
        assert_eq!(stage.service.allocation().await, allocation);

        // It now does what it was sent while it was frozen; that is accepted as it is.
        lab.vms[1].daemon.signal("CONT");
        stage.undisturbed(lab, &large()).await;
        stage.undisturbed(lab, &small()).await;
    });
}

#[test]
fn a_vm_that_is_gone_for_good_can_be_given_up_and_one_that_answers_can_not() {
    in_lab!(2, async |lab| {
        let environment = [("MAPEK_ENGINE_TIMEOUT_S", "5"), ("MAPEK_RETRY_FOR_S", "1")];
        let stage = Stage::set_up(lab, &environment).await;
        stage.undisturbed(lab, &large()).await;
        let api = &stage.service.api;
        let refused = api.delete("/api/allocation/vm2").await.error(&[409]);
        assert!(refused.contains("vm2") && refused.contains("plan"), "{refused}");
        api.delete("/api/allocation/vm3").await.error(&[404]);

        let (left, seen) = (lab.vms[1].containers(), stage.service.allocation().await);
        lab.vms[1].kill_engine();
        let refused = stage.service.try_execute(&small()).await.error(&[502, 504]);
        assert!(refused.contains("vm2"), "{refused}");
        assert_eq!(stage.service.allocation().await, seen);

        let given_up = api.delete("/api/allocation/vm2").await.expect(200);
        assert_eq!(given_up["given_up"], json!(left), "{given_up:#}");
        let allocation = stage.service.allocation().await;
        assert_eq!(
            allocation.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["vm1"]
        );
        stage.service.execute(&small()).await;

        // It comes back after all, with what it ran: that is in nobody's way.
        lab.vms[1].restart_engine();
        stage.undisturbed(lab, &large()).await;
        stage.undisturbed(lab, &small()).await;
    });
}
