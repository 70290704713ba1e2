//! Dependencies point one way. This is read from the `use` lines.

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
        ("require", &[][..]),
        ("model", &["require"]),
        ("nodes", &["model"]),
        ("agent", &["model"]),
        ("fault", &["model"]),
        ("meter", &[]),
        ("outside", &[]),
        ("pem", &[]),
        ("solve", &["model"]),
        ("translate", &["model"]),
        ("engine", &["meter", "model", "fault", "pem"]),
        ("cloud", &["meter", "model", "engine"]),
        ("hooks", &["model", "fault", "engine"]),
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
                "nodes",
                "require",
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
        ("listen", &["pem"]),
        (
            "api",
            &[
                "meter",
                "require",
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
        // `validate` reads documents; `doctor` asks an engine about its abilities; `hooks test` runs hooks on one.
        (
            "cli",
            &[
                "agent", "config", "engine", "fault", "hooks", "journal", "model", "outside", "pem",
                "service",
            ],
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

/// What the pure rooms, and pure files in other rooms, may not use.
const EFFECTS: &[&str] = &[
    "std::thread",
    "Timestamp::now",
    "Zoned::now",
    "fastrand",
    "rand::",
    "getrandom",
    "new_v4",
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
    "src/require",
    "src/model",
    "src/nodes",
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
    "src/execute/basis.rs",
    "src/execute/failure.rs",
    "src/execute/frozen.rs",
    "src/execute/pinned.rs",
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
    "src/service/observed/contention.rs",
    "src/service/observed/membership.rs",
    "src/service/observed/ports.rs",
    "src/service/observed/take_in.rs",
    "src/service/planner/names.rs",
    "src/service/planner/placement.rs",
    "src/service/planner/reasons.rs",
    "src/service/planner/unsolved.rs",
    "src/service/planner/untold.rs",
    "src/service/reconciler/compare.rs",
    "src/service/reconciler/difference.rs",
    "src/service/reconciler/drift.rs",
    "src/service/reconciler/watch.rs",
    "src/service/supervisor/phase.rs",
    "src/service/redact.rs",
    "src/service/requirements",
    "src/service/state/replay.rs",
    "src/service/admission/checks.rs",
    "src/agent/parse",
    "src/agent/course.rs",
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

/// The code of a file, without comments and without the test module at its end.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("\nmod tests {").next().unwrap();
    code.lines()
        .map(|line| line.split("//").next().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The paths in `use` lines, with groups written out.
fn used(code: &str) -> Vec<String> {
    fn write_out(before: &str, tree: &str, found: &mut Vec<String>) {
        let (mut depth, mut begin) = (0, 0);
        let ends: Vec<usize> = tree
            .char_indices()
            .filter(|(_, c)| {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                depth == 0 && *c == ','
            })
            .map(|(at, _)| at)
            .chain([tree.len()])
            .collect();
        for end in ends {
            let one = tree[begin..end].trim();
            begin = (end + 1).min(tree.len());
            match one.split_once('{') {
                Some((path, group)) => {
                    let group = group.rsplit_once('}').map_or(group, |(group, _)| group);
                    write_out(&format!("{before}{}", path.trim()), group, found);
                }
                None if one.is_empty() => {}
                None => found.push(format!("{before}{one}")),
            }
        }
    }
    let mut found = Vec::new();
    let lines = code.split(';').filter_map(|line| line.trim().split_once("use "));
    for (_, tree) in lines.filter(|(before, _)| before.is_empty() || before.starts_with("pub")) {
        write_out("", tree, &mut found);
    }
    found
}

/// The rooms that the code uses: `crate::room::…`, also in groups.
fn rooms(code: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let named = code.split("crate::").skip(1).map(word);
    let grouped = used(code);
    let grouped = grouped
        .iter()
        .filter_map(|path| path.strip_prefix("crate::"))
        .map(word);
    named.chain(grouped).filter(|room| !room.is_empty()).collect()
}

/// The effects that the code uses, also in groups.
fn effects(code: &str) -> Vec<&'static str> {
    let used = used(code);
    let names = |effect: &&str| code.contains(*effect) || used.iter().any(|path| path.starts_with(effect));
    EFFECTS.iter().copied().filter(names).collect()
}

#[test]
fn rooms_are_seen_in_groups_too() {
    let code = "use crate::a::B; use crate::{c::{D, e::F}, g,\n h::I}; fn j() { crate::k::l() }";
    assert!(rooms(code).iter().eq(["a", "c", "g", "h", "k"]));
}

#[test]
fn threads_clocks_and_chance_are_seen_in_groups_too() {
    let code = "use std::{fmt, thread}; pub use std::{\n collections::{BTreeMap},\n fs::{self, File},\n};";
    assert_eq!(effects(code), ["std::thread", "std::fs"]);
    assert_eq!(effects("let now = std::time::Instant::now();"), ["Instant::now"]);
    assert_eq!(effects("use rand::{Rng, random};"), ["rand::"]);
    assert_eq!(
        effects("use std::{fmt, collections::BTreeMap}; // no brand"),
        [""; 0]
    );
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
        // The solver divides its work among threads, and gives the same answer whatever their number.
        let divides = path.starts_with(root().join("crates/solve/src"));
        let effects = effects(&code(&path)).into_iter();
        for effect in effects.filter(|effect| !(divides && *effect == "std::thread")) {
            wrong.push(format!("{} names {effect}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
