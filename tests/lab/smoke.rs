//! The lab itself: what the other tests take for granted.

use crate::http;
use crate::images::{BUSYBOX, NGINX};

lab_test!(vms_publish_ports_that_containers_of_other_vms_reach, vms = 3, async |lab| {
    for vm in &lab.vms {
        vm.docker(&["run", "--detach", "--name", "app", "--publish", "8081:80", NGINX]);
    }
    for vm in &lab.vms {
        let (status, body) = http::get(&format!("http://{}:8081/", vm.ip)).await;
        let id = vm.inspect("app").unwrap()["Id"].as_str().unwrap()[..12].to_owned();
        assert_eq!((status, body), (200, format!("app server {id}\n")));

        // From a container on the first VM, to this one: its own included.
        let url = format!("http://{}:8081/", vm.ip);
        let seen = lab.vms[0].docker(&["run", "--rm", BUSYBOX, "wget", "-q", "-O-", &url]);
        assert_eq!(seen, format!("app server {id}\n"));
    }
});
