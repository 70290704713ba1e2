//! A disk that is full while history is deleted, while a plan is sealed, and while a backup is
//! restored: nothing is lost, and everything goes on when there is room.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};

use crate::disk::{DATA, FILLER, disk_of, fill, make_room};
use crate::patience::Patience;
use crate::process::{said, wait_until};
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

const BACKUP: &str = "/run/lab/backup";

async fn start(lab: &crate::daemons::Lab, environment: &[(&str, &str)]) -> Service {
    disk_of(8);
    let service = Service::start_with(environment);
    let tier = with(idle(), json!({"stop_grace_s": 0}));
    service
        .put_topology(&on_hosts(lab.hosts(1), json!({"one": tier})))
        .await;
    service
}

fn of(mem: u32) -> Value {
    plan(&[("one", 1.0, mem)])
}

async fn ids(service: &Service) -> Vec<String> {
    let executions = service.executions().await;
    let all = executions["executions"].as_array().unwrap().iter();
    all.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// The journal itself, with SQLite's own check of every page and index.
fn is_sound() {
    let folder = Path::new(DATA);
    let copy = Path::new("/run/lab/checked");
    let _ = std::fs::remove_file(copy);
    let made = command("backup", copy, &[], folder);
    assert!(made.status.success(), "{}", said(&made));
    let journal = rusqlite::Connection::open(folder.join("journal.sqlite")).unwrap();
    let check: String = journal
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
}

fn command(what: &str, file: &Path, more: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mapek"))
        .arg(what)
        .arg(file)
        .args(more)
        .arg("--data-dir")
        .arg(folder)
        .output()
        .unwrap()
}

#[test]
fn with_a_full_disk_a_plan_is_shown_without_a_seal() {
    in_lab!(1, async |lab| {
        let service = start(lab, &[]).await;
        service.execute(&of(1)).await;
        let before = service.api.put("/api/translate", &of(2)).await.expect(200);
        fill();
        let mut unsealed = false;
        // Pages that are already free may take some seals.
        for mem in [3, 4, 2, 3, 4, 2, 3, 4, 2, 3, 4] {
            let shown = service.api.put("/api/translate", &of(mem)).await.expect(200);
            assert!(!shown["actions"].as_array().unwrap().is_empty());
            if shown["plan_id"].is_null() {
                let told = shown["warnings"].to_string();
                assert!(told.contains("could not be sealed"), "{told}");
                unsealed = true;
            }
        }
        assert!(unsealed, "the disk was not full");
        make_room();
        is_sound();
        // What was sealed before still holds, and so does a new seal.
        let after = async |sealed: &Value, mem| {
            let path = format!("/api/execute?plan_id={}", sealed["plan_id"].as_str().unwrap());
            service.api.put(&path, &of(mem)).await.expect(200);
            crate::kernel::memory(&lab.vms[0], "rubis_one")
        };
        assert_eq!(after(&before, 2).await, 128 << 20);
        let sealed = service.api.put("/api/translate", &of(3)).await.expect(200);
        assert_eq!(after(&sealed, 3).await, 192 << 20);
    });
}

#[test]
fn a_disk_that_is_full_while_the_record_is_cut_back_loses_nothing_that_is_kept() {
    in_lab!(1, async |lab| {
        let mut service = start(lab, &[]).await;
        for round in 0..24 {
            service.execute(&of(1 + round % 4)).await;
        }
        let all = ids(&service).await;
        assert_eq!(all.len(), 24);
        service.terminate();
        fill();
        // Room enough to start.
        let filler = std::fs::OpenOptions::new().write(true).open(FILLER).unwrap();
        let length = filler.metadata().unwrap().len();
        filler.set_len(length - (80 << 10)).unwrap();
        drop(filler);
        // It has much to delete from the start, and no room to record that.
        service.start_again_with(&[("MAPEK_KEEP_EXECUTIONS", "3")]);
        let tell = || format!("there was room to drop:\n{}", service.daemon.log_end());
        wait_until(tell, || {
            let log = service.daemon.log();
            log.contains("could not drop what is kept")
        });
        // Whatever could be deleted: what is left is the newest, and complete.
        let left = ids(&service).await;
        assert!(left.len() >= 3 && all.starts_with(&left), "{left:?}");
        for id in &left {
            let record = service
                .api
                .get(&format!("/api/executions/{id}"))
                .await
                .expect(200);
            assert_eq!(record["state"], "succeeded", "{record:#}");
        }
        make_room();
        service.execute(&of(2)).await;
        let mut patience = Patience::every(Duration::from_millis(100));
        while ids(&service).await.len() > 3 {
            patience
                .wait(|| "it does not drop what it should".to_owned())
                .await;
        }
        assert_eq!(ids(&service).await[1..], all[..2]);
        is_sound();
        service.kill();
        service.start_again();
        assert_eq!(ids(&service).await[1..], all[..2]);
        assert_eq!(service.translate(&of(2)).await, Vec::<Vec<String>>::new());
    });
}

#[test]
fn a_backup_that_does_not_fit_leaves_the_record_that_was_there() {
    in_lab!(1, async |lab| {
        let mut service = start(lab, &[]).await;
        service.execute(&of(1)).await;
        let (folder, file) = (Path::new(DATA), Path::new(BACKUP));
        let made = command("backup", file, &[], folder);
        assert!(made.status.success(), "{}", said(&made));
        service.execute(&of(2)).await;
        let (before, allocation) = (ids(&service).await, service.allocation().await);
        service.terminate();

        fill();
        let refused = command("restore", file, &["--force"], folder);
        assert!(!refused.status.success(), "there was room");
        let told = said(&refused);
        assert!(told.contains("room") || told.contains("space"), "{told}");
        let beside: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains(".restored"))
            .collect();
        assert_eq!(beside, Vec::<String>::new(), "half a record is left");
        make_room();
        service.start_again();
        assert_eq!(ids(&service).await, before);
        assert_eq!(service.allocation().await, allocation);
        is_sound();

        service.terminate();
        let restored = command("restore", file, &["--force"], folder);
        assert!(restored.status.success(), "{}", said(&restored));
        service.start_again();
        assert_eq!(ids(&service).await, before[1..]);
        is_sound();
        // What runs is newer than the record, and is seen as it is.
        service.execute(&of(2)).await;
        assert_eq!(crate::kernel::memory(&lab.vms[0], "rubis_one"), 128 << 20);
    });
}
