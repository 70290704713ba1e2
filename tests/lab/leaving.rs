//! Clients that disconnect in the middle.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::git::Repository;
use crate::network;
use crate::patience::Patience;
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

#[test]
fn a_client_that_leaves_in_the_middle_takes_nothing_with_it() {
    in_lab!(1, async |lab| {
        let (service, vm) = (Service::start(), &lab.vms[0]);
        let repository = Repository::new("hooks");
        // Ends when it is told to.
        let wait = "#!/bin/sh\ntouch /tmp/begun\nuntil [ -e /tmp/go ]; do sleep 0.1; done\necho went on\n";
        repository.write("scale_hooks/wait.sh", wait);
        repository.commit("Wait");
        let tiers = json!({"one": with(idle(), json!({"on_node_scale": "wait.sh"})), "two": idle()});
        let mut topology = on_hosts(lab.hosts(1), tiers);
        topology["infrastructure"]["hooks_git_repo"] = json!(repository.path());
        service.put_topology(&topology).await;

        let body = plan(&[("one", 1.0, 1), ("two", 1.0, 1)]).to_string();
        let mut stream = TcpStream::connect((network::HOST, 8000)).unwrap();
        let head = format!(
            "PUT /api/execute HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + body.as_str()).as_bytes()).unwrap();
        let mut patience = Patience::every(Duration::from_millis(50));
        let waits = || {
            let look = ["exec", "rubis_one", "test", "-e", "/tmp/begun"];
            vm.try_docker(&look).status.success()
        };
        while !waits() {
            patience.wait_blocking(|| "the hook was not begun".to_owned());
        }
        drop(stream);

        // Others are answered, and see it running.
        let list = service.executions().await;
        assert_eq!(list["executions"][0]["state"], "running");
        let id = list["executions"][0]["id"].as_str().unwrap().to_owned();
        let second = service.try_execute(&plan(&[])).await.expect(409);
        assert_eq!(second["details"][0]["execution"], json!(id));
        vm.docker(&["exec", "rubis_one", "touch", "/tmp/go"]);
        let path = format!("/api/executions/{id}");
        let mut patience = Patience::every(Duration::from_millis(50));
        let ended = loop {
            let execution = service.api.get(&path).await.expect(200);
            if execution["state"] != "running" {
                break execution;
            }
            patience.wait(|| format!("{execution:#}")).await;
        };
        assert_eq!(ended["state"], "succeeded", "{ended:#}");
        assert_eq!(ended["actions"], ended["actions_done"]);
        assert!(ended.to_string().contains("went on"), "{ended:#}");
        assert_eq!(vm.containers(), ["rubis_one", "rubis_two"]);
        assert_eq!(service.vms_of("rubis_two").await, ["vm1"]);
    });
}
