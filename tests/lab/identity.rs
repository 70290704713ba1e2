//! Which containers belong to which service, which engine is which, and what others leave of a
//! machine.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::daemons::{Lab, Vm};
use crate::images::BUSYBOX;
use crate::service::Service;
use crate::topologies::{idle, nothing, on_hosts, plan, with};

const UNIT: u64 = 64 << 20;

/// A second service, with a state of its own, beside the first.
fn second(environment: &[(&str, &str)]) -> Service {
    Service::start_beside(8001, Path::new("/run/lab/second"), environment)
}

/// What must not change in a container that must not be touched.
fn identity(vm: &Vm, name: &str) -> Value {
    let seen = vm.inspect(name).expect("the container is there");
    json!([
        seen["Id"],
        seen["State"]["StartedAt"],
        seen["HostConfig"],
        seen["State"]["Running"]
    ])
}

/// The cores that each running container is pinned to, and the memory of all, by what the engine says.
fn holds(vm: &Vm) -> (Vec<BTreeSet<u32>>, u64) {
    let seen: Vec<Value> = vm
        .containers()
        .iter()
        .filter_map(|name| vm.inspect(name))
        .filter(|seen| seen["State"]["Running"] == true)
        .collect();
    let cores = |seen: &Value| {
        let text = seen["HostConfig"]["CpusetCpus"].as_str().unwrap().to_owned();
        text.split(',').filter_map(|core| core.parse().ok()).collect()
    };
    let memory = |seen: &Value| seen["HostConfig"]["Memory"].as_u64().unwrap();
    (seen.iter().map(cores).collect(), seen.iter().map(memory).sum())
}

/// No core twice, and no more memory than there is, according to what really runs.
fn nothing_is_given_out_twice(lab: &Lab) {
    for vm in &lab.vms {
        let (cores, memory) = holds(vm);
        let all: BTreeSet<u32> = cores.iter().flatten().copied().collect();
        assert_eq!(
            all.len(),
            cores.iter().map(BTreeSet::len).sum::<usize>(),
            "a core of {} is in two containers: {cores:?}",
            vm.name
        );
        assert!(memory <= 4 * UNIT, "{} holds {memory} bytes", vm.name);
    }
}

fn owner(vm: &Vm, container: &str) -> String {
    let seen = vm.inspect(container).unwrap();
    seen["Config"]["Labels"]["mapek.owner"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_second_mapek_with_tiers_of_the_same_names_leaves_the_firsts_containers_alone() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let first = Service::start();
        let tiers = || json!({"one": idle(), "two": idle()});
        first.put_topology(&on_hosts(lab.hosts(1), tiers())).await;
        first.execute(&plan(&[("one", 1.0, 1)])).await;
        let before = identity(vm, "rubis_one");

        let other = second(&[]);
        other.put_topology(&on_hosts(lab.hosts(1), tiers())).await;
        let refused = other.try_execute(&plan(&[("one", 1.0, 1)])).await;
        assert_eq!(refused.status, 409, "{:#}", refused.body);
        assert_eq!(refused.body["code"], "name_taken");
        let told = refused.body["error"].as_str().unwrap();
        let whose = owner(vm, "rubis_one");
        assert!(
            told.contains("rubis_one") && told.contains(&whose) && told.contains("mapek adopt"),
            "{told}"
        );
        assert_eq!(other.allocation().await, json!({}));

        // Beside it, and gone again, as if the other one were not there.
        other.execute(&plan(&[("two", 1.0, 3)])).await;
        nothing_is_given_out_twice(lab);
        assert_ne!(owner(vm, "rubis_two"), whose);
        let seen = other.api.get("/api/inspect").await.expect(200);
        let told = &seen["vm1"]["rubis_one"];
        assert_eq!(
            (&told["foreign"], &told["managed"], &told["owner"], &told["drift"]),
            (&json!(true), &json!(true), &json!(whose), &json!([])),
        );
        assert_eq!(seen["vm1"]["rubis_two"]["foreign"], false);
        let full = other.try_execute(&plan(&[("two", 2.0, 3)])).await;
        assert_eq!(full.status, 422, "{:#}", full.body);
        other.execute(&nothing()).await;
        assert_eq!(identity(vm, "rubis_one"), before);
        assert_eq!(vm.containers(), ["rubis_one"]);
    });
}

#[test]
fn a_fresh_data_directory_counts_what_runs_and_adopts_it_when_it_is_told_to() {
    in_lab!(2, async |lab| {
        let mut first = Service::start();
        let tiers = || json!({"one": idle(), "two": idle()});
        first.put_topology(&on_hosts(lab.hosts(2), tiers())).await;
        first.execute(&plan(&[("one", 1.0, 1)])).await;
        first.terminate();
        let vm = lab.vms.iter().find(|vm| !vm.containers().is_empty()).unwrap();
        let before = identity(vm, "rubis_one");
        let id = owner(vm, "rubis_one");

        let service = second(&[]);
        service.put_topology(&on_hosts(lab.hosts(2), tiers())).await;
        // Three of the four cores are left, and no more.
        let full = service.try_execute(&plan(&[("two", 4.0, 4)])).await;
        assert_eq!(full.status, 422, "{:#}", full.body);
        service.execute(&plan(&[("two", 3.0, 7)])).await;
        nothing_is_given_out_twice(lab);
        assert_eq!(identity(vm, "rubis_one"), before);

        let api = &service.api;
        let stranger = json!({"owner": "01234567-89ab-7def-8123-456789abcdef"});
        api.post("/api/adopt", &stranger).await.error(&[404]);
        api.post("/api/adopt", &json!({"owner": "me"}))
            .await
            .error(&[400]);
        api.post("/api/adopt", &json!({"owner": id, "force": true}))
            .await
            .error(&[400]);
        let other = lab.vms.iter().find(|one| one.name != vm.name).unwrap();
        let own = json!({"owner": owner(other, "rubis_two")});
        api.post("/api/adopt", &own).await.error(&[409]);
        let adopted = api.post("/api/adopt", &json!({"owner": id})).await.expect(200);
        assert_eq!(adopted["adopted"], json!({vm.name.as_str(): ["rubis_one"]}));
        assert_eq!(service.vms_of("rubis_one").await, std::slice::from_ref(&vm.name));
        // It belongs to this service now, after a restart too: it is kept where it fits, and
        // removed when it is not wanted.
        drop(service);
        let service = second(&[]);
        let shown = service
            .translate(&plan(&[("one", 1.0, 1), ("two", 3.0, 7)]))
            .await;
        assert_eq!(shown, Vec::<Vec<String>>::new());
        assert_eq!(identity(vm, "rubis_one"), before);
        service.execute(&nothing()).await;
        assert!(lab.vms.iter().all(|vm| vm.containers().is_empty()));
    });
}

#[test]
fn containers_of_others_count_by_their_limits_and_are_told_of_without() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        vm.docker(&[
            "run",
            "-d",
            "--name",
            "theirs",
            "--cpuset-cpus",
            "0",
            "-m",
            "128m",
            BUSYBOX,
            "sleep",
            "9999",
        ]);
        vm.docker(&["pause", "theirs"]);
        let service = Service::start();
        let tiers = json!({"one": idle(), "two": idle()});
        let mut topology = on_hosts(lab.hosts(1), tiers);
        service.put_topology(&topology).await;
        let full = service.try_execute(&plan(&[("one", 2.0, 2)])).await;
        assert_eq!(full.status, 422, "{:#}", full.body);
        let full = service.try_execute(&plan(&[("one", 1.0, 3)])).await;
        assert_eq!(full.status, 422, "{:#}", full.body);

        // What is frozen can't be killed, so that the sandbox could not end.
        vm.docker(&["unpause", "theirs"]);

        // What appears between translate and execute breaks the seal.
        let wanted = plan(&[("one", 1.0, 1)]);
        let sealed = service.api.put("/api/translate", &wanted).await.expect(200);
        vm.docker(&[
            "run", "-d", "--name", "late", "--cpus", "0.5", "-m", "64m", BUSYBOX, "sleep", "9999",
        ]);
        let path = format!("/api/execute?plan_id={}", sealed["plan_id"].as_str().unwrap());
        let moved = service.api.put(&path, &wanted).await;
        assert_eq!((moved.status, &moved.body["code"]), (409, &json!("plan_moved")));
        assert_eq!(vm.containers(), ["late", "theirs"]);
        vm.docker(&["rm", "-f", "late"]);
        // A container without limits holds nothing that could be counted, and is named.
        vm.docker(&["run", "-d", "--name", "open", BUSYBOX, "sleep", "9999"]);
        let shown = service.api.put(&path, &wanted).await.expect(200);
        assert_eq!(shown["outcome"], "succeeded");
        assert_eq!(vm.inspect("rubis_one").unwrap()["HostConfig"]["CpusetCpus"], "1");
        let shown = service.api.put("/api/translate", &wanted).await.expect(200);
        let told = shown["warnings"].to_string();
        assert!(
            told.contains("'open' on VM 'vm1'") && !told.contains("'theirs'"),
            "{told}"
        );

        // The error names what crowds a VM. What runs there continues: asking for it is no other
        // plan.
        vm.docker(&[
            "run", "-d", "--name", "late", "--cpus", "1.5", "-m", "64m", BUSYBOX, "sleep", "9999",
        ]);
        let shown = service.api.put("/api/translate", &wanted).await.expect(200);
        assert_eq!(shown["actions"], json!([]), "{shown:#}");
        let told = shown["warnings"].to_string();
        assert!(told.contains("overfull") && told.contains("'late'"), "{told}");
        service.execute(&wanted).await;
        let more = service.try_execute(&plan(&[("one", 1.0, 2)])).await;
        assert!(more.error(&[422]).contains("'late', not of this installation"));
        vm.docker(&["rm", "-f", "late"]);

        topology["infrastructure"]["foreign"] = json!("refuse");
        service.put_topology(&topology).await;
        let more = plan(&[("one", 1.0, 2)]);
        let refused = service.api.put("/api/translate", &more).await;
        assert_eq!(
            (refused.status, &refused.body["code"]),
            (409, &json!("foreign_unlimited"))
        );
        service.try_execute(&more).await.error(&[409]);
        // A plan that only removes puts nothing beside it.
        service.execute(&nothing()).await;
        assert_eq!(vm.containers(), ["open", "theirs"]);
        service.try_execute(&wanted).await.error(&[409]);
        vm.docker(&["rm", "-f", "open"]);
        service.execute(&wanted).await;
    });
}

#[test]
fn a_paused_container_holds_what_it_has_until_it_is_gone() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let service = Service::start();
        let tiers = json!({"one": idle(), "two": with(idle(), json!({"stop_grace_s": 1}))});
        service.put_topology(&on_hosts(lab.hosts(1), tiers)).await;
        service.execute(&plan(&[("one", 1.0, 3)])).await;
        let id = vm.inspect("rubis_one").unwrap()["Id"].clone();
        vm.docker(&["pause", "rubis_one"]);

        let seen = service.api.get("/api/inspect").await.expect(200);
        assert_eq!(
            seen["vm1"]["rubis_one"]["differences"],
            json!([{"kind": "paused"}])
        );
        // What replaces it starts once it is gone, and no stage earlier.
        let stages = service.translate(&plan(&[("two", 2.0, 4)])).await;
        let of = |what: &str| {
            let found = stages
                .iter()
                .position(|stage| stage.iter().any(|text| text.starts_with(what)));
            found.unwrap_or_else(|| panic!("{what}: {stages:?}"))
        };
        assert!(
            of("delete container 'rubis_one'") < of("create container 'rubis_two'"),
            "{stages:?}"
        );
        // Beside it, there is no more than it leaves.
        let shown = service
            .translate(&plan(&[("one", 1.0, 3), ("two", 1.0, 1)]))
            .await;
        assert_eq!(
            shown,
            [vec![
                "create container 'rubis_two' on vm 'vm1' with cpu cores=1 and mem_units=1",
                "update container 'rubis_one' on vm 'vm1' with cpu cores=1 and mem_units=3",
            ]]
        );
        // The same plan wakes it: the same container, with the same limits.
        service.execute(&plan(&[("one", 1.0, 3)])).await;
        let now = vm.inspect("rubis_one").unwrap();
        assert_eq!((&now["Id"], &now["State"]["Paused"]), (&id, &json!(false)));
        let seen = service.api.get("/api/inspect").await.expect(200);
        assert_eq!(seen["vm1"]["rubis_one"]["drift"], json!([]));

        vm.docker(&["pause", "rubis_one"]);
        service.execute(&plan(&[("two", 2.0, 4)])).await;
        assert_eq!(vm.containers(), ["rubis_two"]);
        nothing_is_given_out_twice(lab);
    });
}

#[test]
fn two_names_for_one_engine_and_an_engine_in_anothers_place_are_noticed() {
    in_lab!(2, async |lab| {
        let service = Service::start();
        let hosts = lab.hosts(2);
        let with_hosts = |hosts: Value| on_hosts(hosts, json!({"one": idle()}));
        let socket = format!("unix://{}", lab.vms[0].socket().display());
        let twice = json!({"a": hosts["vm1"], "b": {"docker": socket, "ip": lab.vms[0].ip}});
        let refused = service.api.put("/api/topology", &with_hosts(twice.clone())).await;
        assert_eq!(
            (refused.status, &refused.body["code"]),
            (409, &json!("engine_shared"))
        );
        let told = refused.body["error"].as_str().unwrap();
        assert!(told.contains("'a' and 'b'"), "{told}");

        // Engines that do not answer when the topology is put are looked at before they are used.
        lab.vms[0].kill_engine();
        service.put_topology(&with_hosts(twice)).await;
        lab.vms[0].restart_engine();
        let refused = service.try_execute(&plan(&[("one", 1.0, 1)])).await;
        assert_eq!(
            (refused.status, &refused.body["code"]),
            (409, &json!("engine_shared"))
        );
        assert_eq!(lab.vms[0].containers(), Vec::<String>::new());

        service.put_topology(&with_hosts(hosts.clone())).await;
        service.execute(&plan(&[("one", 1.0, 1)])).await;
        let used = service.vms_of("rubis_one").await[0].clone();
        let swapped = json!({"vm1": hosts["vm2"], "vm2": hosts["vm1"]});
        let refused = service
            .api
            .put("/api/topology", &with_hosts(swapped.clone()))
            .await;
        assert_eq!(
            (refused.status, &refused.body["code"]),
            (409, &json!("engine_changed"))
        );
        assert!(
            refused.body["error"].as_str().unwrap().contains(&used),
            "{:#}",
            refused.body
        );

        for vm in &mut lab.vms {
            vm.kill_engine();
        }
        service.put_topology(&with_hosts(swapped)).await;
        for vm in &mut lab.vms {
            vm.restart_engine();
        }
        let before: Vec<_> = lab.vms.iter().map(Vm::containers).collect();
        let refused = service.try_execute(&plan(&[("one", 2.0, 2)])).await;
        assert_eq!(
            (refused.status, &refused.body["code"]),
            (409, &json!("engine_changed"))
        );
        let ready = service.api.get("/readyz").await;
        assert_eq!(ready.body["parts"]["engines"]["ready"], false, "{:#}", ready.body);
        let seen = service.api.get("/api/inspect").await.expect(200);
        assert_eq!(
            seen[used.as_str()]["rubis_one"]["differences"][0]["kind"],
            "engine_changed"
        );
        assert_eq!(lab.vms.iter().map(Vm::containers).collect::<Vec<_>>(), before);
        // Nothing is on the VM any more once it is given up, so any engine will do.
        let path = format!("/api/allocation/{used}");
        service.api.delete(&path).await.expect(200);
        service.execute(&plan(&[("one", 2.0, 2)])).await;
        nothing_is_given_out_twice(lab);
    });
}

#[test]
fn containers_without_an_owner_are_taken_over_by_the_record_that_has_them_and_by_no_other() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let data = Path::new("/run/lab/upgraded");
        let mut service = Service::start_at(data, &[]);
        let tiers = || json!({"one": idle(), "two": idle()});
        service.put_topology(&on_hosts(lab.hosts(1), tiers())).await;
        service.execute(&plan(&[("one", 1.0, 1)])).await;
        service.terminate();
        // As an earlier version made it: the same in all but the owner.
        let made = vm.inspect("rubis_one").unwrap();
        let label = |name: &str| format!("{name}={}", made["Config"]["Labels"][name].as_str().unwrap());
        let cores = made["HostConfig"]["CpusetCpus"].as_str().unwrap();
        vm.docker(&["rm", "-f", "rubis_one"]);
        let labels = ["mapek.managed", "mapek.app", "mapek.tier", "mapek.spec"].map(label);
        let mut run = vec![
            "run",
            "-d",
            "--restart",
            "unless-stopped",
            "--cpuset-cpus",
            cores,
            "-m",
            "64m",
        ];
        run.extend(["--memory-swap", "64m"]);
        for name in ["rubis_one", "rubis_two"] {
            let mut run = run.clone();
            run.extend(["--name", name]);
            for label in &labels {
                run.extend(["--label", label]);
            }
            run.extend([BUSYBOX, "sleep", "100000"]);
            vm.docker(&run);
        }
        let before = identity(vm, "rubis_one");
        vm.docker(&["stop", "-t", "0", "rubis_two"]);

        // A journal that this version created knows of no such containers.
        service.start_again();
        let seen = service.api.get("/api/inspect").await.expect(200);
        assert_eq!(seen["vm1"]["rubis_one"]["foreign"], true, "{seen:#}");
        service.try_execute(&plan(&[("one", 1.0, 2)])).await.error(&[409]);
        service.terminate();

        // One that an earlier version created does, but only of those that it lists.
        let journal = rusqlite::Connection::open(data.join("journal.sqlite")).unwrap();
        journal.execute("INSERT INTO adopted VALUES ('')", []).unwrap();
        drop(journal);
        service.start_again();
        let seen = service.api.get("/api/inspect").await.expect(200);
        assert_eq!(
            (
                &seen["vm1"]["rubis_one"]["foreign"],
                &seen["vm1"]["rubis_one"]["drift"]
            ),
            (&json!(false), &json!([])),
            "{seen:#}"
        );
        service
            .try_execute(&plan(&[("one", 1.0, 1), ("two", 1.0, 1)]))
            .await
            .error(&[409]);
        service.execute(&plan(&[("one", 1.0, 2)])).await;
        assert_eq!(identity(vm, "rubis_one")[0], before[0]);
        service.execute(&nothing()).await;
        assert_eq!(vm.containers(), ["rubis_two"]);
    });
}
