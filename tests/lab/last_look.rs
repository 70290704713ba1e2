//! What was confirmed on the way still runs when an execution succeeds, whatever others did to it
//! meanwhile.

use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::http::Answer;
use crate::images::BUSYBOX;
use crate::process::wait_until;
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

const FOLDER: &str = "/run/lab/last_look";
/// Waits for permission to go on, so that there is time to do something to the other container.
const HOOK: &str = "#!/bin/sh\n: >/notes/waits\nuntil [ -e /notes/go ]; do sleep 0.05; done\n";

fn note(name: &str) -> PathBuf {
    PathBuf::from(FOLDER).join("notes").join(name)
}

/// `one` first, then `two`, whose hook waits. Returns when it does.
async fn until_the_hook_waits(service: &Service, query: &str) -> JoinHandle<Answer> {
    for name in ["waits", "go"] {
        let _ = std::fs::remove_file(note(name));
    }
    let api = service.api.clone();
    let path = format!("/api/execute{query}");
    let wanted = plan(&[("one", 1.0, 1), ("two", 1.0, 1)]);
    let answer = tokio::spawn(async move { api.put(&path, &wanted).await });
    let tell = || format!("the hook is not run\n{}", service.daemon.log_end());
    wait_until(tell, || note("waits").exists());
    answer
}

async fn go_on(answer: JoinHandle<Answer>) -> Answer {
    std::fs::write(note("go"), "").unwrap();
    answer.await.unwrap()
}

fn topology(lab: &crate::daemons::Lab) -> Value {
    let hooks = PathBuf::from(FOLDER).join("hooks/scale_hooks");
    std::fs::create_dir_all(&hooks).unwrap();
    std::fs::create_dir_all(PathBuf::from(FOLDER).join("hooks/tier_hooks")).unwrap();
    std::fs::create_dir_all(PathBuf::from(FOLDER).join("notes")).unwrap();
    let file = hooks.join("wait.sh");
    std::fs::write(&file, HOOK).unwrap();
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&file, all).unwrap();
    let brief = |fields: Value| with(with(idle(), json!({"stop_grace_s": 0})), fields);
    let two = json!({
        "depends_on": ["one"], "on_node_scale": "wait.sh", "volumes": [format!("{FOLDER}/notes:/notes")],
    });
    let mut topology = on_hosts(lab.hosts(1), json!({"one": brief(json!({})), "two": brief(two)}));
    topology["infrastructure"]["hooks_git_repo"] = json!(format!("{FOLDER}/hooks"));
    topology
}

#[test]
fn a_container_that_went_down_on_the_way_is_up_again_when_the_execution_succeeds() {
    in_lab!(1, async |lab| {
        let (service, vm) = (Service::start(), &lab.vms[0]);
        service.put_topology(&topology(lab)).await;
        let answer = until_the_hook_waits(&service, "").await;
        vm.docker(&["kill", "rubis_one"]);
        go_on(answer).await.expect(200);
        assert_eq!(vm.inspect("rubis_one").unwrap()["State"]["Running"], true);
    });
}

#[test]
fn a_container_that_can_not_be_had_again_is_told_and_is_not_in_the_allocation() {
    in_lab!(1, async |lab| {
        let (service, vm) = (Service::start(), &lab.vms[0]);
        service.put_topology(&topology(lab)).await;
        let mut taken = Vec::new();
        for policy in ["stop", "rollback"] {
            let answer = until_the_hook_waits(&service, &format!("?on_failure={policy}")).await;
            vm.docker(&["rm", "--force", "rubis_one"]);
            // Somebody else's container has its name now.
            vm.docker(&["create", "--name", "rubis_one", BUSYBOX, "true"]);
            let answer = go_on(answer).await;
            let error = answer.error(&[502]);
            assert!(error.contains("rubis_one") && error.contains("vm1"), "{error}");
            let executions = service.executions().await;
            let id = executions["executions"][0]["id"].as_str().unwrap();
            let path = format!("/api/executions/{id}");
            let details = service.api.get(&path).await.expect(200);
            assert_eq!(details["lost"][0]["container"], "rubis_one", "{details:#}");
            taken.push((details["state"].clone(), service.allocation().await));
            vm.docker(&["rm", "--force", "rubis_one"]);
            service.execute(&plan(&[])).await;
        }
        let [(stopped, left), (back, nothing)] = taken.as_slice() else {
            panic!("{taken:#?}");
        };
        assert_eq!(stopped, "failed");
        let used = left["vm1"]["used"].as_object().unwrap();
        assert_eq!(used.keys().collect::<Vec<_>>(), ["rubis_two"], "{left:#}");
        assert_eq!(back, "rolled_back");
        assert_eq!(*nothing, json!({}));
    });
}
