#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Mutex;

use super::*;
use crate::model::Refresh;

const SECOND: Duration = Duration::from_secs(1);

fn taken() -> Answered {
    Answered::Taken {
        refresh: Some(2 * SECOND),
        lost_after: Some(20 * SECOND),
        standing: None,
    }
}

fn pause(next: Next) -> Duration {
    match next {
        Next::Pause { pause, .. } => pause,
        Next::Over(why) => panic!("{why}"),
    }
}

#[test]
fn pauses_grow_while_the_service_is_away_and_never_past_what_it_would_wait() {
    let mut course = Course::new(1, 2 * SECOND);
    assert_eq!(pause(course.after(&taken(), 1.0)), 2 * SECOND);
    let away = Answered::Away("no route".to_owned());
    let pauses: Vec<u128> = (0..7)
        .map(|_| pause(course.after(&away, 1.0)).as_millis())
        .collect();
    assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 12_000, 12_000]);
    assert!(course.is_known(), "what is away may know it all the same");
    assert_eq!(pause(course.after(&away, 0.0)).as_millis(), 6000);
    assert_eq!(pause(course.after(&taken(), 1.0)), 2 * SECOND);
    assert_eq!(pause(course.after(&away, 1.0)).as_millis(), 500, "it begins anew");
}

#[test]
fn an_agent_that_is_over_ends_and_one_whose_clock_ran_back_takes_a_larger_epoch() {
    let mut course = Course::new(5, SECOND);
    assert_eq!(pause(course.after(&Answered::Stale(9), 1.0)), Duration::ZERO);
    assert_eq!(course.epoch(), 10);
    course.after(&taken(), 1.0);
    assert!(matches!(course.after(&Answered::Stale(11), 1.0), Next::Over(_)));
}

#[test]
fn a_service_that_has_forgotten_the_node_is_told_everything_at_once() {
    let mut course = Course::new(5, SECOND);
    course.after(&taken(), 1.0);
    let unknown = Answered::Unknown("no such node".to_owned());
    assert_eq!(pause(course.after(&unknown, 1.0)), Duration::ZERO);
    assert!(!course.is_known());
    assert!(
        pause(course.after(&unknown, 1.0)) > Duration::ZERO,
        "not again and again"
    );
}

#[test]
fn people_are_told_once_of_what_goes_on() {
    let mut course = Course::new(5, SECOND);
    let away = Answered::Away("no route".to_owned());
    let told: Vec<bool> = [&taken(), &taken(), &away, &away, &taken()]
        .into_iter()
        .map(|answered| matches!(course.after(answered, 0.5), Next::Pause { told: Some(_), .. }))
        .collect();
    assert_eq!(told, [true, false, true, false, true]);
}

/// A service that answers in this order, and what it was sent.
struct Script {
    answers: Mutex<Vec<Answered>>,
    sent: Mutex<Vec<Value>>,
    left: Mutex<Vec<u64>>,
}

impl Link for Script {
    async fn put(&self, said: &Value) -> Answered {
        self.sent.lock().unwrap().push(said.clone());
        let mut answers = self.answers.lock().unwrap();
        if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0].clone()
        }
    }

    async fn leave(&self, epoch: u64) -> Answered {
        self.left.lock().unwrap().push(epoch);
        taken()
    }

    async fn engine(&self) -> Result<About, String> {
        Err("connection refused".to_owned())
    }
}

fn settings() -> Settings {
    Settings {
        endpoint: "tcp://10.0.0.7:2375".to_owned(),
        ip: Some("10.0.0.7".to_owned()),
        epoch: 5,
        refresh: 2 * SECOND,
        cpu_cores: None,
        mem_units: Some(4),
        labels: [("zone".to_owned(), "a".to_owned())].into(),
        capabilities: Map::new(),
    }
}

/// A machine made of a few files.
fn machine() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in [
        (
            "proc/cpuinfo",
            "processor\t: 0\nmodel name\t: Test\nflags\t: sgx\n",
        ),
        ("proc/meminfo", "MemTotal: 2048000 kB\nMemAvailable: 1024000 kB\n"),
        ("proc/loadavg", "0.5 0.4 0.3 1/2 3\n"),
        ("sys/class/tpm/tpm0/tpm_version_major", "2\n"),
        ("sys/class/thermal/thermal_zone0/temp", "41000\n"),
        ("sys/block/sda/size", "2000000000\n"),
        ("sys/block/sda/device/model", "Disk\n"),
    ] {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    root
}

#[tokio::test(start_paused = true)]
async fn an_agent_says_everything_once_then_only_that_it_is_there_and_leaves_when_it_is_stopped() {
    let script = Script {
        answers: Mutex::new(vec![
            Answered::Away("no route".to_owned()),
            Answered::Stale(9),
            taken(),
            taken(),
            Answered::Unknown("forgotten".to_owned()),
            taken(),
        ]),
        sent: Mutex::default(),
        left: Mutex::default(),
    };
    let root = machine();
    let stop = tokio::time::sleep(9 * SECOND);
    let tell = |_: &str| {};
    let kernel = Kernel::at(root.path());
    run(&settings(), &script, &kernel, stop, (tell, || 0.5))
        .await
        .unwrap();

    let sent = script.sent.into_inner().unwrap();
    let whole: Vec<bool> = sent.iter().map(|said| said.get("endpoint").is_some()).collect();
    assert_eq!(
        whole[..7],
        [true, true, true, false, false, true, false],
        "{sent:#?}"
    );
    let epochs: Vec<u64> = sent.iter().map(|said| said["epoch"].as_u64().unwrap()).collect();
    assert_eq!(epochs[..4], [5, 5, 10, 10]);
    assert_eq!(script.left.into_inner().unwrap(), [10]);
    // The service takes what it says.
    let mut known = None;
    for said in &sent {
        let refresh = Refresh::parse("edge-1", said).unwrap();
        known = Some(refresh.over(known.as_ref()).unwrap());
    }
    let known = known.unwrap();
    assert_eq!(known.capabilities["tpm_version"], 2);
    assert_eq!(known.capabilities["tee"], json!(["sgx"]));
    assert_eq!(known.capabilities["disks"], json!(["sda 1024 GB Disk"]));
    assert_eq!(known.offers(512), (Some(crate::model::Cpu::cores(1)), Some(4)));
    assert_eq!(sent[0]["health"]["temperature_c"], 41.0);
    assert_eq!(sent[0]["health"]["engine"], "does not answer");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_another_one_has_followed_ends_and_does_not_let_the_node_leave() {
    let script = Script {
        answers: Mutex::new(vec![taken(), Answered::Stale(6)]),
        sent: Mutex::default(),
        left: Mutex::default(),
    };
    let root = machine();
    let kernel = Kernel::at(root.path());
    let forever = std::future::pending();
    let end = run(&settings(), &script, &kernel, forever, (|_: &str| {}, || 0.5)).await;
    assert!(end.unwrap_err().contains("epoch 6"));
    assert!(script.left.into_inner().unwrap().is_empty());
}
