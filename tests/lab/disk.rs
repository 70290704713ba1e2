//! A full disk: nothing is begun that can't be recorded, and everything goes on when there is room.

use std::fs::{self, File};
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use crate::fault_proxy::{Call, Fault, Proxies, Rule};
use crate::process::{run, wait_until};
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

use serde_json::{Value, json};

/// Where the service keeps its state.
pub const DATA: &str = "/run/lab/mapek";
pub const FILLER: &str = "/run/lab/mapek/filler";

/// Puts a disk of one MiB where the service keeps its state.
fn small_disk() {
    disk_of(1);
}

/// Puts a disk of this many MiB where the service keeps its state.
pub fn disk_of(mib: u32) {
    fs::create_dir_all(DATA).unwrap();
    let size = format!("size={mib}m");
    run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "data", DATA]));
}

/// Fills it to the last byte.
pub fn fill() {
    let mut filler = File::create(FILLER).unwrap();
    let mut written = 0_u64;
    while filler.write_all(&[0; 4096]).is_ok() {
        written += 1;
    }
    assert!(written > 0, "the disk was full before");
}

pub fn make_room() {
    fs::remove_file(FILLER).unwrap();
}

/// One VM behind a proxy, and tiers `one` and `two`, which depends on `one`.
async fn topology(vm: &crate::daemons::Vm, proxies: &Proxies) -> Value {
    let hosts = json!({&vm.name: {"docker": proxies.before(&vm.endpoint()).await, "ip": vm.ip}});
    let two = with(idle(), json!({"depends_on": ["one"]}));
    let mut topology = on_hosts(hosts, json!({"one": idle(), "two": two}));
    topology["infrastructure"]
        .as_object_mut()
        .unwrap()
        .remove("hooks_git_repo");
    topology
}

#[test]
fn with_a_full_disk_nothing_is_begun() {
    in_lab!(1, async |lab| {
        small_disk();
        let (service, proxies, vm) = (Service::start(), Proxies::default(), &lab.vms[0]);
        service.put_topology(&topology(vm, &proxies).await).await;
        service.execute(&plan(&[("one", 1.0, 1)])).await;
        let (before, executions) = (service.allocation().await, service.executions().await);

        fill();
        proxies.set(&[]);
        for _ in 0..2 {
            let answer = service
                .try_execute(&plan(&[("one", 1.0, 2), ("two", 1.0, 1)]))
                .await;
            assert_eq!(answer.body["code"], "journal_unavailable", "{:#}", answer.body);
            let error = answer.error(&[503]);
            assert!(error.contains("room on the disk"), "{error}");
        }
        for call in [Call::Update, Call::Create] {
            for container in ["rubis_one", "rubis_two"] {
                assert_eq!(proxies.done(container, call), 0, "{call:?} of {container}");
            }
        }
        let ready = service.api.get("/readyz").await;
        assert_eq!(ready.body["parts"]["journal"]["ready"], false, "{:#}", ready.body);
        // What is known can still be asked for, and a dry run needs no room.
        assert_eq!(service.allocation().await, before);
        assert_eq!(service.executions().await, executions);
        assert!(!service.translate(&plan(&[("one", 1.0, 2)])).await.is_empty());

        make_room();
        service.execute(&plan(&[("one", 1.0, 2), ("two", 1.0, 1)])).await;
        assert_eq!(vm.containers(), ["rubis_one", "rubis_two"]);
        assert_eq!(crate::kernel::memory(vm, "rubis_one"), 128 << 20);
    });
}

#[test]
fn with_a_disk_that_went_bad_nothing_is_begun() {
    in_lab!(1, async |lab| {
        let disk = Ext4::mount();
        let (mut service, proxies, vm) = (Service::start(), Proxies::default(), &lab.vms[0]);
        service.put_topology(&topology(vm, &proxies).await).await;
        service.execute(&plan(&[("one", 1.0, 1)])).await;
        let before = service.allocation().await;

        // As the kernel does with a disk that has errors: from now on it can only be read.
        disk.fail();
        proxies.set(&[]);
        let answer = service.try_execute(&plan(&[("one", 1.0, 2)])).await;
        assert_eq!(answer.body["code"], "journal_unavailable", "{:#}", answer.body);
        answer.error(&[503]);
        assert_eq!(proxies.done("rubis_one", Call::Update), 0);
        assert_eq!(service.allocation().await, before);

        // Repaired, and mounted again.
        service.terminate();
        disk.repair();
        service.start_again();
        service.execute(&plan(&[("one", 1.0, 2)])).await;
        assert_eq!(crate::kernel::memory(vm, "rubis_one"), 128 << 20);
    });
}

#[test]
fn a_disk_that_fills_up_in_the_middle_holds_the_execution_until_there_is_room() {
    in_lab!(1, async |lab| {
        small_disk();
        let (service, proxies, vm) = (Service::start(), Proxies::default(), &lab.vms[0]);
        service.put_topology(&topology(vm, &proxies).await).await;

        // While the engine's answer is on its way, the disk fills up.
        let slow = Fault::LateAnswer(Duration::from_secs(1));
        proxies.set(&[Rule::once("rubis_one", Call::Create, slow)]);
        let api = service.api.clone();
        let wanted = plan(&[("one", 1.0, 1), ("two", 1.0, 1)]);
        let answer = tokio::spawn(async move { api.put("/api/execute", &wanted).await });
        let tell = || "rubis_one is never made".to_owned();
        wait_until(tell, || proxies.done("rubis_one", Call::Create) > 0);
        fill();

        // The first container comes up, which can't be recorded; so the second is not begun.
        let tell = || format!("the log says nothing of it:\n{}", service.daemon.log_end());
        wait_until(tell, || {
            service
                .daemon
                .log()
                .contains("waiting until the record can be written")
        });
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(vm.containers(), ["rubis_one"]);
        assert_eq!(proxies.done("rubis_two", Call::Create), 0);
        assert!(!answer.is_finished(), "it waits");
        let history = service.executions().await;
        assert_eq!(history["executions"][0]["state"], "running", "{history:#}");
        assert_eq!(
            service.allocation().await["vm1"]["used"],
            json!({}),
            "what is not recorded is not told"
        );

        make_room();
        answer.await.unwrap().expect(200);
        assert_eq!(vm.containers(), ["rubis_one", "rubis_two"]);
        assert_eq!(
            proxies.done("rubis_one", Call::Create),
            1,
            "nothing is done twice"
        );
        let used = service.allocation().await["vm1"]["used"].clone();
        assert_eq!(used.as_object().unwrap().len(), 2, "{used:#}");
    });
}

#[test]
fn a_cancel_that_can_not_be_recorded_stops_what_runs_and_is_not_promised() {
    in_lab!(1, async |lab| {
        small_disk();
        let (service, proxies, vm) = (Service::start(), Proxies::default(), &lab.vms[0]);
        service.put_topology(&topology(vm, &proxies).await).await;
        let slow = Fault::LateAnswer(Duration::from_secs(1));
        proxies.set(&[Rule::once("rubis_one", Call::Create, slow)]);
        let api = service.api.clone();
        let wanted = plan(&[("one", 1.0, 1), ("two", 1.0, 1)]);
        let answer = tokio::spawn(async move { api.put("/api/execute", &wanted).await });
        let tell = || "rubis_one is never made".to_owned();
        wait_until(tell, || proxies.done("rubis_one", Call::Create) > 0);
        fill();

        let history = service.executions().await;
        let id = history["executions"][0]["id"].as_str().unwrap().to_owned();
        let cancel = async || {
            let url = service.api.url(&format!("/api/executions/{id}/cancel"));
            let answer = crate::http::client().post(url).send().await.unwrap();
            let status = answer.status().as_u16();
            let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            (status, body)
        };
        let (status, body) = cancel().await;
        assert_eq!((status, &body["code"]), (503, &json!("journal_unavailable")));
        let said = body["error"].as_str().unwrap();
        assert!(
            said.contains("no further action") && said.contains("restart"),
            "{said}"
        );

        make_room();
        let answer = answer.await.unwrap();
        assert_eq!(answer.body["code"], "cancelled", "{:#}", answer.body);
        let record = service
            .api
            .get(&format!("/api/executions/{id}"))
            .await
            .expect(200);
        assert_eq!(record["state"], "cancelled", "{record:#}");
        assert_eq!(vm.containers(), ["rubis_one"]);
        assert_eq!(proxies.done("rubis_two", Call::Create), 0);
        assert_eq!(cancel().await.0, 409);
    });
}

/// A file system of its own where the service keeps its state, which can break.
struct Ext4;

impl Ext4 {
    const FILE: &str = "/run/lab/disk";

    fn mount() -> Self {
        run(Command::new("truncate").args(["-s", "16M", Self::FILE]));
        run(Command::new("mkfs.ext4").args(["-q", Self::FILE]));
        Self.mount_again();
        Self
    }

    fn mount_again(&self) {
        fs::create_dir_all(DATA).unwrap();
        run(Command::new("mount").args(["-o", "loop,errors=remount-ro", Self::FILE, DATA]));
    }

    /// Makes the kernel find an error in it.
    fn fail(&self) {
        let device = run(Command::new("findmnt").args(["-n", "-o", "SOURCE", DATA]));
        let device = device.trim().trim_start_matches("/dev/").to_owned();
        fs::write(
            format!("/sys/fs/ext4/{device}/trigger_fs_error"),
            "as the test wants it",
        )
        .unwrap();
    }

    fn repair(&self) {
        run(Command::new("umount").arg(DATA));
        // An exit code of 1 means that it has corrected something.
        let mended = Command::new("e2fsck")
            .args(["-f", "-y", Self::FILE])
            .output()
            .unwrap();
        assert!(mended.status.code().is_some_and(|code| code <= 1), "{mended:?}");
        self.mount_again();
    }
}
