//! What `make run` says at its end: it asks the sample's load balancer through its published port, and fails
//! unless the sample's app answers.

use std::process::{Command, Output};

use serde_json::Value;

use crate::daemons::Vm;
use crate::images::BUSYBOX;
use crate::service::Service;

/// `ask_the_sample`, as `scripts/run` calls it, with the engine of a VM as Docker's.
fn ask(vm: &Vm) -> Output {
    let root = env!("CARGO_MANIFEST_DIR");
    let script = format!(
        "set -euo pipefail; . {root}/scripts/lib/common.sh; LISTEN=127.0.0.1:8000; . {root}/scripts/lib/client.sh; \
         ask_the_sample"
    );
    Command::new("bash")
        .args(["-c", &script])
        .env("HOME", "/run/lab")
        .env("DOCKER_HOST", format!("tcp://{}:2375", vm.ip))
        .output()
        .unwrap()
}

#[test]
fn make_run_tells_what_the_samples_load_balancer_answers_and_fails_when_that_is_not_the_app() {
    in_lab!(1, async |lab| {
        // The sample's one VM is this machine's own engine.
        let vm = &lab.vms[0];
        std::os::unix::fs::symlink(vm.socket(), "/run/docker.sock").unwrap();
        let service = Service::start();
        let read = |file: &str| -> Value {
            let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
        };
        service.put_topology(&read("topology.json")).await;
        service.execute(&read("plan.json")).await;
        let asked = ask(vm);
        let said = String::from_utf8(asked.stdout).unwrap();
        assert!(
            asked.status.success(),
            "{}",
            String::from_utf8_lossy(&asked.stderr)
        );
        assert!(said.trim().starts_with("app server "), "{said}");

        // Something else at the same port, which answers all the same.
        vm.docker(&["rm", "-f", "rubis_loadbalancer"]);
        let other = "mkdir /www; echo 502 >/www/index.html; exec busybox httpd -f -p 80 -h /www";
        vm.docker(&[
            "run", "-d", "--name", "other", "-p", "8080:80", BUSYBOX, "sh", "-c", other,
        ]);
        let asked = ask(vm);
        assert!(!asked.status.success());
        let told = String::from_utf8(asked.stderr).unwrap();
        assert!(
            told.contains("error: the sample's load balancer at http://10.77.1.1:8080/ does not pass on what its app says"),
            "{told}"
        );
        assert!(String::from_utf8(asked.stdout).unwrap().contains("502"));
        // Nor does silence pass.
        vm.docker(&["rm", "-f", "other"]);
        assert!(!ask(vm).status.success());
    });
}
