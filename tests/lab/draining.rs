//! What is done before containers are removed: their own hooks run, and those who use them are
//! told.

use serde_json::json;

use crate::git::Repository;
use crate::images::BUSYBOX;
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

#[test]
fn those_who_use_a_server_are_told_that_it_goes_while_it_still_answers() {
    in_lab!(2, async |lab| {
        let service = Service::start();
        let repository = Repository::new("hooks");
        // How many servers it is told of, and how many answer.
        let ips: Vec<&str> = lab.vms.iter().map(|vm| vm.ip.as_str()).collect();
        let tell = format!(
            "#!/bin/sh\ntold=$(printf %s \"$2\" | grep -o '\"rubis_web\"' | wc -l)\nup=0\nfor ip in {}; do\n  \
             wget -q -O- http://$ip:8081/ >/tmp/got 2>>/tmp/err && up=$((up + 1))\ndone\necho \"$told of $up\" >>/tmp/log\n",
            ips.join(" ")
        );
        repository.write("tier_hooks/tell.sh", &tell);
        repository.commit("Tell");
        let serve = "mkdir -p /www; echo hi >/www/index.html; exec busybox httpd -f -p 80 -h /www";
        let tiers = json!({
            "web": {"docker_image": BUSYBOX, "command": ["sh", "-c", serve], "ports": ["8081:80"],
                "stop_grace_s": 0, "probe": {"http": {"port": 80}, "interval_s": 1}},
            "lb": with(idle(), json!({"depends_on": ["web"], "on_dependency_scale": "tell.sh", "stop_grace_s": 0})),
        });
        let mut topology = on_hosts(lab.hosts(2), tiers);
        topology["infrastructure"]["hooks_git_repo"] = json!(repository.path());
        service.put_topology(&topology).await;
        // Five memory units do not fit on one VM of four.
        service.execute(&plan(&[("lb", 1.0, 1), ("web", 2.0, 5)])).await;
        assert_eq!(service.vms_of("rubis_web").await.len(), 2);
        let vm = lab.vm(&service.vms_of("rubis_lb").await[0]);
        let log = || vm.docker(&["exec", "rubis_lb", "cat", "/tmp/log"]);
        assert_eq!(
            log(),
            "2 of 2\n",
            "{}",
            vm.docker(&["exec", "rubis_lb", "cat", "/tmp/err"])
        );

        let small = plan(&[("lb", 1.0, 1), ("web", 1.0, 1)]);
        let hook = [format!(
            "run tier hook for container 'rubis_lb' on vm '{}'",
            vm.name
        )];
        let stages = service.translate(&small).await;
        let deleted = |stage: &Vec<String>| stage.iter().any(|text| text.starts_with("delete container"));
        let at = stages.iter().position(deleted).unwrap();
        assert_eq!(stages[at - 1], hook, "{stages:#?}");
        assert_eq!(stages[at + 1], hook, "{stages:#?}");
        service.execute(&small).await;
        assert_eq!(log(), "2 of 2\n1 of 2\n1 of 1\n");
        assert_eq!(service.translate(&small).await, Vec::<Vec<String>>::new());
    });
}

#[test]
fn a_container_whose_hook_fails_before_it_is_stopped_goes_all_the_same() {
    in_lab!(1, async |lab| {
        let service = Service::start_with(&[("MAPEK_HOOK_DEADLINE_S", "2")]);
        let repository = Repository::new("hooks");
        repository.write("scale_hooks/fine.sh", "#!/bin/sh\necho 'handing over'\n");
        repository.write(
            "scale_hooks/ill.sh",
            "#!/bin/sh\necho 'nobody to hand over to'\nexit 3\n",
        );
        repository.write("scale_hooks/hang.sh", "#!/bin/sh\nsleep 4242\n");
        repository.commit("Drain");
        let tier = |hooks| with(idle(), json!({"on_node_stop": hooks, "stop_grace_s": 0}));
        let tiers = json!({
            "ill": tier(json!(["fine.sh", "ill.sh", "fine.sh"])), "slow": tier(json!("hang.sh")), "down": tier(json!("ill.sh")),
        });
        let mut topology = on_hosts(lab.hosts(1), tiers);
        topology["infrastructure"]["cpu_mode"] = json!("quota");
        topology["infrastructure"]["hooks_git_repo"] = json!(repository.path());
        service.put_topology(&topology).await;
        service
            .execute(&plan(&[("ill", 0.5, 1), ("slow", 0.5, 1), ("down", 0.5, 1)]))
            .await;
        lab.vms[0].docker(&["stop", "-t", "0", "rubis_down"]);
        let ended = service.execute(&json!({})).await;
        assert_eq!(lab.vms[0].containers(), Vec::<String>::new());

        let path = format!("/api/executions/{}", ended["execution"].as_str().unwrap());
        let record = service.api.get(&path).await.expect(200);
        let output = |container: &str| {
            let actions = record["stages"].as_array().unwrap().iter();
            let mut actions = actions.flat_map(|stage| stage.as_array().unwrap());
            let action = actions.find(|action| action["action"]["container"] == container);
            action
                .map_or("", |action| action["output"].as_str().unwrap_or_default())
                .to_owned()
        };
        let ill = output("rubis_ill");
        assert!(
            ill.starts_with("handing over\nthe container is removed all the same"),
            "{ill}"
        );
        assert!(
            ill.contains("exit code 3") && ill.contains("nobody to hand over to"),
            "{ill}"
        );
        assert!(
            output("rubis_slow").contains("did not end within 2 s"),
            "{record:#}"
        );
        assert_eq!(output("rubis_down"), "", "{record:#}");
    });
}
