//! Notices when nothing happens any more in a sandbox, or when it works for too long.
//!
//! How long a test takes depends on the machine, and on what else runs there, so no test has a time
//! limit. A test is alive when it prints a line, or when the test and the programs it tests use the
//! processor for more than an occasional look around. Engines and containers do not count: health
//! checks run for ever. Looks are counted and not seconds, so that a machine which was asleep, or
//! too busy even for the watchdog, loses nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// After this many looks in a row, a second apart, that find no sign of life, a test is stopped: 5
/// minutes, and longer on a busy machine.
const STILL: u32 = 300;
/// Processor time, in hundredths of a second, that counts as a sign of life: between two looks that
/// are [`STILL`] apart, 3 % of a core. Idle services use a tenth of that; a busy one that has to
/// share a core with thirty others still gets more.
const MOVES: u64 = 1_000;
/// The most work that one test may be, in the same unit: an hour. The longest takes some minutes.
const WORK: u64 = 360_000;

/// Why a test is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It continues.
    Moves,
    /// Nothing happens any more.
    Still,
    /// It has worked for longer than any test should.
    Endless,
}

/// The state at the last look that found a sign of life.
pub struct Watchdog {
    lines: u64,
    work: u64,
    still: u32,
    most: u64,
}

impl Watchdog {
    /// Allows `more` seconds of work on each core, for those who ask for longer fuzzing.
    pub fn new(more: u64) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        Self {
            lines: 0,
            work: 0,
            still: 0,
            most: WORK + more * 100 * cores,
        }
    }

    /// Judges by what was printed and how much processor time was used so far.
    pub fn look(&mut self, lines: u64, work: u64) -> Verdict {
        if work > self.most {
            return Verdict::Endless;
        }
        if lines > self.lines || work >= self.work + MOVES {
            (self.lines, self.work, self.still) = (lines, work, 0);
            return Verdict::Moves;
        }
        self.still += 1;
        if self.still < STILL {
            Verdict::Moves
        } else {
            Verdict::Still
        }
    }
}

/// A process: its parent, its name, and its processor time in hundredths of a second, that of its
/// ended children included.
struct Process {
    parent: u32,
    name: String,
    work: u64,
}

fn processes() -> BTreeMap<u32, Process> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name is in brackets, and may hold anything.
        let (head, tail) = (stat.find('(')?, stat.rfind(')')?);
        let fields: Vec<&str> = stat[tail + 1..].split_whitespace().collect();
        let work = fields[11..15]
            .iter()
            .map(|field| field.parse().unwrap_or(0))
            .sum();
        let parent = fields[1].parse().ok()?;
        let name = stat[head + 1..tail].to_owned();
        Some((pid, Process { parent, name, work }))
    })
    .collect()
}

/// The processes below `root`, but not engines and what they run.
fn below(root: u32) -> BTreeMap<u32, Process> {
    let mut all = processes();
    let mut kept = BTreeMap::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        let Some(process) = all.remove(&pid) else { continue };
        if ["dockerd", "containerd", "runc"]
            .iter()
            .any(|engine| process.name.starts_with(engine))
        {
            continue;
        }
        next.extend(
            all.iter()
                .filter(|(_, child)| child.parent == pid)
                .map(|(pid, _)| *pid),
        );
        kept.insert(pid, process);
    }
    kept
}

/// Processor time of the test and the programs it tests, in hundredths of a second.
pub fn work(root: u32) -> u64 {
    // The reaper has waited for the engines' orphans.
    let own = |process: &&Process| process.name != "tini";
    below(root).values().filter(own).map(|process| process.work).sum()
}

/// What there is to know about a sandbox before it is gone: what runs in it, and what it logged
/// last.
pub fn last_words(root: u32) -> String {
    let inside = below(root);
    let mut words = String::new();
    for (pid, process) in &inside {
        words += &format!("--- {} (process {pid}, {} ticks)\n", process.name, process.work);
    }
    let Some((init, _)) = inside.iter().find(|(_, process)| process.name == "tini") else {
        return words;
    };
    let folder = format!("/proc/{init}/root/run/lab");
    for entry in fs::read_dir(Path::new(&folder)).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            let log = fs::read(&path).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<&str> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(30)..].join("\n");
            words += &format!("--- end of {}\n{end}\n", entry.file_name().display());
        }
    }
    words
}

#[test]
fn only_what_stands_still_or_never_ends_is_stopped() {
    let mut dog = Watchdog::new(0);
    // However slow it is: a line now and then, or a little work.
    for look in 0..10_000_u64 {
        assert_eq!(dog.look(look / 250, 0), Verdict::Moves);
    }
    for look in 0..10_000_u64 {
        assert_eq!(dog.look(40, look * 4), Verdict::Moves);
    }
    // Looking around does not count as work.
    let mut dog = Watchdog::new(0);
    assert_eq!(dog.look(1, 500), Verdict::Moves);
    for look in 1..u64::from(STILL) {
        assert_eq!(dog.look(1, 500 + look), Verdict::Moves);
    }
    assert_eq!(dog.look(1, 900), Verdict::Still);
    assert_eq!(Watchdog::new(0).look(1, WORK + 1), Verdict::Endless);
    assert_eq!(Watchdog::new(60).look(1, WORK + 1), Verdict::Moves);
}

#[test]
fn work_is_seen_and_idling_is_not() {
    let program = |script: &str| {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", script]).stdin(std::process::Stdio::null());
        command.spawn().unwrap()
    };
    let (mut busy, mut idle) = (program("while :; do :; done"), program("exec sleep 1000"));
    // However long that takes here.
    while work(busy.id()) < 20 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(work(idle.id()) < 20);
    for child in [&mut busy, &mut idle] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
