//! Dependencies point one way: read from the `use` lines.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each room may use of the others.
fn allowed() -> BTreeMap<&'static str, &'static [&'static str]> {
    [
        ("model", &[][..]),
        ("fault", &["model"]),
        ("meter", &[]),
        ("outside", &[]),
        ("solve", &["model"]),
        ("translate", &["model"]),
        ("engine", &["meter", "model", "fault"]),
        ("cloud", &["meter", "model", "engine"]),
        ("hooks", &["model", "engine"]),
        (
            "execute",
            &[
                "model",
                "fault",
                "outside",
                "translate",
                "engine",
                "cloud",
                "hooks",
            ],
        ),
        ("journal", &["model", "translate", "execute"]),
        (
            "service",
            &[
                "meter",
                "model",
                "fault",
                "outside",
                "solve",
                "translate",
                "engine",
                "cloud",
                "hooks",
                "execute",
                "journal",
            ],
        ),
        ("auth", &[]),
        ("listen", &[]),
        (
            "api",
            &[
                "meter",
                "model",
                "fault",
                "engine",
                "execute",
                "journal",
                "service",
                "translate",
                "auth",
                "listen",
            ],
        ),
        ("config", &["auth"]),
        ("telemetry", &["config"]),
        // `validate` reads documents, `doctor` asks an engine what it can do.
        (
            "cli",
            &["config", "engine", "fault", "journal", "model", "service"],
        ),
        (
            "startup",
            &[
                "api", "auth", "listen", "config", "cloud", "engine", "fault", "hooks", "journal", "meter",
                "model", "outside", "service",
            ],
        ),
    ]
    .into()
}

/// What the pure rooms, and pure files of others, may not name.
const EFFECTS: &[&str] = &[
    "std::thread",
    "Timestamp::now",
    "Zoned::now",
    "fastrand",
    "now_v7",
    "tokio",
    "actix_web",
    "bollard",
    "aws_config",
    "aws_sdk",
    "git2",
    "rusqlite",
    "reqwest",
    "std::fs",
    "std::net::Tcp",
    "std::process",
    "Instant::now",
    "SystemTime",
];

const PURE: &[&str] = &[
    "src/model",
    "src/solve",
    "crates/solve/src",
    "src/translate",
    "src/auth.rs",
    "src/fault.rs",
    "src/fault",
    "src/execute/asked.rs",
    "src/execute/confirmed.rs",
    "src/execute/details.rs",
    "src/execute/owed.rs",
    "src/execute/event.rs",
    "src/execute/illegal.rs",
    "src/execute/state.rs",
    "src/execute/status.rs",
    "src/execute/effect.rs",
    "src/execute/record.rs",
    "src/execute/reality.rs",
    "src/execute/consequence.rs",
    "src/execute/retry.rs",
    "src/execute/seal.rs",
    "src/execute/spec.rs",
    "src/execute/summary.rs",
    "src/cloud/autoscaling/group.rs",
    "src/cloud/autoscaling/growth.rs",
    "src/cloud/autoscaling/remarks.rs",
    "src/service/desired.rs",
    "src/service/drift.rs",
    "src/service/members.rs",
    "src/service/observation.rs",
    "src/service/placement.rs",
    "src/service/phase.rs",
    "src/service/redact.rs",
    "src/service/replay.rs",
];

fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries.flat_map(|path| sources(&path)).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    found
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs")
}

/// The code of a file, without comments and without its test module at the end.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("\nmod tests {").next().unwrap();
    code.lines()
        .map(|line| line.split("//").next().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The rooms that code names: `crate::room::…`, and `crate::{room::…, room::{…}}`.
fn rooms(code: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let mut found = Vec::new();
    for used in code.split("crate::").skip(1) {
        let Some(group) = used.strip_prefix('{') else {
            found.push(word(used));
            continue;
        };
        let (mut depth, mut begin) = (1, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && c == ',') {
                found.push(word(&group[begin..at]));
                begin = at + 1;
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

#[test]
fn rooms_are_seen_in_groups_too() {
    let code = "use crate::a::B; use crate::{c::{D, e::F}, g,\n h::I}; fn j() { crate::k::l() }";
    assert_eq!(rooms(code), ["a", "c", "g", "h", "k"]);
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_room_uses_only_the_rooms_below_it() {
    let allowed = allowed();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for path in sources(&root().join("src")) {
        let inside = path.strip_prefix(root().join("src")).unwrap();
        let room = inside
            .iter()
            .next()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned();
        if matches!(room.as_str(), "lib" | "main") || is_test(&path) {
            continue;
        }
        let may = allowed
            .get(room.as_str())
            .unwrap_or_else(|| panic!("{room} is not in the table above"));
        seen.insert(room.clone());
        for name in rooms(&code(&path)) {
            if name != room && allowed.contains_key(name.as_str()) && !may.contains(&name.as_str()) {
                wrong.push(format!("{} uses {name}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(
        seen.len(),
        allowed.len(),
        "a room of the table is gone: only {seen:?} are there"
    );
}

#[test]
fn pure_rooms_know_no_effects() {
    let mut wrong = Vec::new();
    for path in PURE.iter().flat_map(|path| sources(&root().join(path))) {
        if is_test(&path) {
            continue;
        }
        let code = code(&path);
        // The solver divides its work among threads, and gives the same answer whatever their number.
        let divides = path.starts_with(root().join("crates/solve/src"));
        let effects = EFFECTS
            .iter()
            .filter(|effect| !(divides && **effect == "std::thread"));
        for effect in effects.filter(|effect| code.contains(*effect)) {
            wrong.push(format!("{} names {effect}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
