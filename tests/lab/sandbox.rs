//! Runs a test's body in a throw-away sandbox of Linux namespaces.
//!
//! The test binary calls itself again, behind `unshare` and `inside.sh`. Outside, [`run`] starts
//! that second process, relays what it prints and judges how it ended. Inside, [`run`] starts the
//! lab and runs the body. `unshare --kill-child` and `setpriv --pdeathsig` tie the sandbox's life
//! to the test's: if the test binary is killed, by any signal, nothing keeps running.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::daemons::Lab;
use crate::images;

#[path = "watchdog.rs"]
mod watchdog;

use watchdog::{Verdict, Watchdog};

/// Set inside the sandbox; its value is the name of the run's own control group.
const INSIDE: &str = "MAPEK_LAB_INSIDE";
/// Printed by the inner process once the body has finished. An exit code alone would not do, since
/// a test name that matches nothing also ends well.
const FINISHED: &str = "lab: the body ran to its end";

/// How often to check whether a test has ended. The watchdog looks less often.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS_TO_ONE_OF_THE_WATCHDOG: u32 = 50;

/// The body of a lab test: `in_lab!(3, async |lab| { … })` starts three VMs in a sandbox and
/// hands the running [`Lab`] to the closure.
macro_rules! in_lab {
    ($vms:expr, $body:expr $(,)?) => {{
        // A function's type name is the only way for code to learn which test it is in.
        fn here() {}
        $crate::sandbox::run(std::any::type_name_of_val(&here), $vms, $body);
    }};
}

/// Outside: runs the test again inside a sandbox. Inside: starts `vms` engines, runs the body.
pub fn run(path: &str, vms: usize, body: impl AsyncFnOnce(&mut Lab)) {
    match std::env::var(INSIDE) {
        Ok(cgroup) => inside(&cgroup, vms, body),
        Err(_) => outside(path),
    }
}

fn inside(cgroup: &str, vms: usize, body: impl AsyncFnOnce(&mut Lab)) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            let mut lab = Lab::start(cgroup, vms);
            body(&mut lab).await;
        });
    println!("{FINISHED}");
}

fn outside(path: &str) {
    refuse_unless_complete();
    // libtest names a test by its path within the crate.
    let (_, below) = path.split_once("::").unwrap();
    let name = below.strip_suffix("::here").unwrap();
    let cgroup = Cgroup::of_this_run();
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "unshare"])
        .args(["--net", "--mount", "--pid", "--ipc", "--mount-proc"])
        .args(["--fork", "--kill-child=KILL", "sh"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/inside.sh"))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        // Nothing of the caller's environment reaches the daemons or the service: no proxy, no
        // DOCKER_HOST, no git or Docker settings from the home folder.
        .env_clear()
        .env("PATH", search_path())
        .env("HOME", "/run/lab/home")
        .envs(std::env::vars_os().filter(|(name, _)| {
            name == "RUST_BACKTRACE"
                || name == "MAPEK_SCREENSHOTS"
                || name.to_string_lossy().starts_with("MAPEK_FUZZ_")
        }))
        .env("MAPEK_CACHE_DIR", images::cache())
        .env(INSIDE, &cgroup.name)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("setpriv starts");

    let output = child.stdout.take().unwrap();
    // libtest's capturing is inherited by threads, so these lines show when the test fails.
    let lines = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&lines);
    let relay = std::thread::spawn(move || {
        let mut finished = false;
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            count.fetch_add(1, Ordering::Relaxed);
            finished |= line.ends_with(FINISHED);
            println!("  | {line}");
        }
        finished
    });

    let more = std::env::var("MAPEK_FUZZ_SECONDS")
        .ok()
        .and_then(|value| value.parse().ok());
    let mut watchdog = Watchdog::new(more.unwrap_or(0));
    let mut looks = 0_u32;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(LOOK);
        looks += 1;
        if !looks.is_multiple_of(LOOKS_TO_ONE_OF_THE_WATCHDOG) {
            continue;
        }
        let verdict = watchdog.look(lines.load(Ordering::Relaxed), watchdog::work(child.id()));
        if verdict != Verdict::Moves {
            println!("{}", watchdog::last_words(child.id()));
            child.kill().unwrap();
            child.wait().unwrap();
            relay.join().unwrap();
            let why = match verdict {
                Verdict::Still => "nothing moves in it any more",
                Verdict::Endless | Verdict::Moves => "it works on and on",
            };
            panic!("{name} was stopped: {why}");
        }
    };
    let finished = relay.join().unwrap();
    drop(cgroup);
    assert!(status.success() && finished, "{name} failed in its sandbox");
}

/// PATH with the folders of daemons, which not every user has.
fn search_path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    format!("{own}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
}

/// Fails, with every reason at once, where this machine can't run the lab.
fn refuse_unless_complete() {
    let path = search_path();
    let found = |tool: &str| path.split(':').any(|dir| Path::new(dir).join(tool).is_file());
    let mut missing: Vec<String> = [
        "unshare",
        "nsenter",
        "setpriv",
        "tini",
        "ip",
        "iptables",
        "containerd",
        "dockerd",
        "docker",
        "runc",
        "git",
        "python3",
        "chromedriver",
    ]
    .iter()
    .filter(|tool| !found(tool))
    .map(|tool| format!("the program {tool}"))
    .collect();
    missing.extend(images::missing());
    let root = std::fs::metadata("/proc/self")
        .map(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
        .unwrap_or(false);
    if !root {
        missing.push("root".to_owned());
    }
    assert!(
        missing.is_empty(),
        "the lab needs {}; run `make test`, which sets up what it needs",
        missing.join(", ")
    );
}

/// A control group for this run, the parent of all its containers' groups. It is all that outlives
/// the sandbox, so it is removed from outside.
struct Cgroup {
    name: String,
}

impl Cgroup {
    fn of_this_run() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        remove_groups_left_behind();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            name: format!("mapek-lab-{}-{count}", std::process::id()),
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for hierarchy in hierarchies() {
            let group = hierarchy.join(&self.name);
            // The last processes of the sandbox may not have ended yet.
            for _ in 0..100 {
                remove_group(&group);
                if !group.exists() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

/// The mounted control group trees: one for each controller (v1), or a single one (v2).
fn hierarchies() -> Vec<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (_, at, kind) = (fields.next()?, fields.next()?, fields.next()?);
            kind.starts_with("cgroup").then(|| PathBuf::from(at))
        })
        .collect()
}

/// Removes the groups of earlier test runs that were killed before they could do so.
fn remove_groups_left_behind() {
    for hierarchy in hierarchies() {
        for entry in std::fs::read_dir(hierarchy).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(run) = name.strip_prefix("mapek-lab-") else {
                continue;
            };
            let pid = run.split('-').next().unwrap_or_default();
            if !Path::new("/proc").join(pid).exists() {
                remove_group(&entry.path());
            }
        }
    }
}

/// Removes a group and those in it, as far as they hold no process.
fn remove_group(group: &Path) {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_group(&entry.path());
        }
    }
    // A group with processes in it can't be removed; the caller tries again, or a later run does.
    let _ = std::fs::remove_dir(group);
}
