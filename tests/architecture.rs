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
        ("fault", &[]),
        ("meter", &[]),
        ("solve", &["model"]),
        ("translate", &["model"]),
        ("engine", &["meter", "model", "fault"]),
        ("cloud", &["meter", "model", "engine"]),
        ("hooks", &["model", "engine"]),
        (
            "execute",
            &["model", "fault", "translate", "engine", "cloud", "hooks"],
        ),
        ("journal", &["model", "translate", "execute"]),
        (
            "service",
            &[
                "meter",
                "model",
                "fault",
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
                "meter", "model", "fault", "execute", "journal", "service", "auth", "listen",
            ],
        ),
        ("config", &["auth"]),
        ("telemetry", &["config"]),
        ("cli", &["config", "fault", "service"]),
        (
            "startup",
            &[
                "api", "auth", "listen", "config", "cloud", "engine", "fault", "hooks", "journal", "meter",
                "model", "service",
            ],
        ),
    ]
    .into()
}

/// What the pure rooms, and pure files of others, may not name.
const EFFECTS: [&str; 13] = [
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

const PURE: [&str; 21] = [
    "src/model",
    "src/solve",
    "src/translate",
    "src/auth.rs",
    "src/fault.rs",
    "src/execute/event.rs",
    "src/execute/state.rs",
    "src/execute/effect.rs",
    "src/execute/record.rs",
    "src/execute/reality.rs",
    "src/execute/consequence.rs",
    "src/execute/retry.rs",
    "src/execute/seal.rs",
    "src/execute/spec.rs",
    "src/cloud/autoscaling/group.rs",
    "src/cloud/autoscaling/growth.rs",
    "src/cloud/autoscaling/remarks.rs",
    "src/service/drift.rs",
    "src/service/members.rs",
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
        for used in code(&path).split("crate::").skip(1) {
            let name: String = used
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
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
        for effect in EFFECTS.iter().filter(|effect| code.contains(*effect)) {
            wrong.push(format!("{} names {effect}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
