//! What a plan asks for is what the kernel enforces.

use serde_json::{Value, json};

use crate::git::Repository;
use crate::images::BUSYBOX;
use crate::kernel;
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

const MIB: u64 = 1 << 20;

#[test]
fn containers_hold_cores_and_memory_of_their_own() {
    in_lab!(1, async |lab| {
        let service = Service::start();
        let vm = &lab.vms[0];
        service
            .put_topology(&on_hosts(lab.hosts(1), json!({"one": idle(), "two": idle()})))
            .await;
        service.execute(&plan(&[("one", 1.0, 1), ("two", 1.0, 3)])).await;

        let cores = [kernel::cores(vm, "rubis_one"), kernel::cores(vm, "rubis_two")];
        assert!(cores == ["0", "1"] || cores == ["1", "0"], "{cores:?}");
        assert_eq!(kernel::memory(vm, "rubis_one"), 64 * MIB);
        assert_eq!(kernel::memory(vm, "rubis_two"), 192 * MIB);
        assert_eq!(kernel::swap(vm, "rubis_two"), 0, "swap is off");

        // Docker and the service agree with the kernel.
        let docker = vm.inspect("rubis_two").unwrap();
        assert_eq!(docker["HostConfig"]["CpusetCpus"], cores[1]);
        assert_eq!(docker["HostConfig"]["Memory"], 192 * MIB);
        let seen = service.api.get("/api/inspect").await.expect(200);
        let seen = &seen["vm1"]["rubis_two"];
        assert_eq!(seen["CpusetCpus"], cores[1]);
        assert_eq!(seen["Memory"], 192 * MIB);
        assert_eq!(seen["MemUnits"], 3);
        assert_eq!(seen["drift"], json!([]));
    });
}

#[test]
fn a_change_of_size_does_not_restart_the_container() {
    in_lab!(1, async |lab| {
        let service = Service::start();
        let vm = &lab.vms[0];
        service
            .put_topology(&on_hosts(lab.hosts(1), json!({"one": idle(), "two": idle()})))
            .await;
        service.execute(&plan(&[("one", 1.0, 1), ("two", 1.0, 1)])).await;
        let identity = |seen: Value| (seen["Id"].clone(), seen["State"]["StartedAt"].clone());
        let before = identity(vm.inspect("rubis_one").unwrap());

        // The second core is another container's; it is free only once that one is gone.
        service.execute(&plan(&[("one", 2.0, 4)])).await;
        assert_eq!(kernel::cores(vm, "rubis_one"), "0-1");
        assert_eq!(kernel::memory(vm, "rubis_one"), 256 * MIB);
        service.execute(&plan(&[("one", 1.0, 2)])).await;
        assert_eq!(kernel::memory(vm, "rubis_one"), 128 * MIB);
        assert_eq!(kernel::swap(vm, "rubis_one"), 0);
        assert_eq!(kernel::cores(vm, "rubis_one").len(), 1);
        assert_eq!(identity(vm.inspect("rubis_one").unwrap()), before);
    });
}

#[test]
fn memory_that_is_in_use_is_not_taken_away() {
    in_lab!(1, async |lab| {
        let service = Service::start();
        let vm = &lab.vms[0];
        let hungry = "x=$(head -c 100000000 /dev/zero | tr '\\0' x); touch /full; while :; do sleep 1; done";
        let tier = json!({"docker_image": BUSYBOX, "command": ["sh", "-c", hungry], "stop_grace_s": 0,
            "probe": {"command": ["test", "-e", "/full"], "interval_s": 1}});
        service
            .put_topology(&on_hosts(lab.hosts(1), json!({"one": tier})))
            .await;
        service.execute(&plan(&[("one", 1.0, 4)])).await;

        let refused = service.try_execute(&plan(&[("one", 1.0, 1)])).await;
        assert_eq!(refused.body["code"], "memory_in_use", "{}", refused.body);
        let used = refused.body["details"][0]["memory_used"].as_u64().unwrap();
        assert!((100_000_000..256 * MIB).contains(&used), "{}", refused.body);
        assert_eq!(refused.body["details"][0]["memory_limit"], 64 * MIB);
        let error = refused.error(&[409]);
        assert!(
            error.contains("rubis_one") && error.contains("leave it 64 MiB"),
            "{error}"
        );
        assert_eq!(kernel::memory(vm, "rubis_one"), 256 * MIB);
        assert_eq!(
            service.executions().await["executions"].as_array().unwrap().len(),
            1
        );
        // As much as it uses is accepted.
        service.execute(&plan(&[("one", 1.0, 3)])).await;
        assert_eq!(kernel::memory(vm, "rubis_one"), 192 * MIB);
    });
}

#[test]
fn a_hardened_container_runs_its_hooks() {
    in_lab!(1, async |lab| {
        let service = Service::start();
        let vm = &lab.vms[0];
        let tier = with(
            idle(),
            json!({"read_only": true, "tmpfs": "/tmp", "cap_drop": ["ALL"], "pids_limit": 50,
                "init": false, "stop_signal": "KILL", "ulimits": {"nofile": 512},
                "on_node_scale": "tell.sh"}),
        );
        let mut topology = on_hosts(lab.hosts(1), json!({"one": tier}));
        let repository = Repository::new("hooks");
        repository.write(
            "scale_hooks/tell.sh",
            "#!/bin/sh\nulimit -n; grep NoNewPrivs /proc/1/status; touch /x\n",
        );
        repository.commit("Tell");
        topology["infrastructure"]["hooks_git_repo"] = json!(repository.path());
        let warnings = service.put_topology(&topology).await["warnings"].clone();
        assert_eq!(warnings, json!([]));
        let failed = service.try_execute(&plan(&[("one", 1.0, 1)])).await;
        let text = failed.body.to_string();
        failed.error(&[502]);
        for told in ["512", "NoNewPrivs:\\t1", "Read-only file system"] {
            assert!(text.contains(told), "{told}: {text}");
        }
        let host = &vm.inspect("rubis_one").unwrap()["HostConfig"];
        assert_eq!(host["PidsLimit"], 50);
        assert_eq!(host["ReadonlyRootfs"], true);
    });
}

#[test]
fn in_quota_mode_containers_share_cores_by_decimals() {
    in_lab!(1, async |lab| {
        let service = Service::start();
        let vm = &lab.vms[0];
        let tiers = json!({"one": idle(), "two": idle(), "three": idle()});
        let mut topology = on_hosts(lab.hosts(1), tiers);
        topology["infrastructure"]["cpu_mode"] = json!("quota");
        service.put_topology(&topology).await;
        service
            .execute(&plan(&[("one", 1.25, 1), ("two", 0.5, 1), ("three", 0.25, 1)]))
            .await;
        assert_eq!(kernel::cpu_hundredths(vm, "rubis_one"), 125);
        assert_eq!(kernel::cpu_hundredths(vm, "rubis_two"), 50);
        assert_eq!(
            vm.inspect("rubis_two").unwrap()["HostConfig"]["NanoCpus"],
            500_000_000
        );

        service
            .execute(&plan(&[("one", 1.0, 1), ("two", 0.75, 1), ("three", 0.25, 1)]))
            .await;
        assert_eq!(kernel::cpu_hundredths(vm, "rubis_one"), 100);
        assert_eq!(kernel::cpu_hundredths(vm, "rubis_two"), 75);
    });
}
