//! Only the owner can read what is stored.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

/// Every file and folder below, with its mode.
fn modes(path: &Path) -> Vec<(String, u32)> {
    let mut found = vec![(path.display().to_string(), mode(path))];
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            found.extend(modes(&entry.unwrap().path()));
        }
    }
    found
}

fn assert_shut(folder: &Path) {
    let modes = modes(folder);
    let open: Vec<_> = modes.iter().filter(|(_, mode)| mode & 0o077 != 0).collect();
    assert!(open.is_empty(), "{open:?}");
    for name in [
        "journal.sqlite",
        "journal.sqlite-wal",
        "journal.sqlite-shm",
        "lock",
    ] {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }
    assert_eq!(mode(folder), 0o700);
}

#[test]
fn a_new_data_directory_is_its_owners_alone() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data/mapek");
    let mut journal = SqliteJournal::open(&folder).unwrap();
    journal.put_topology(&json!({})).unwrap();
    assert_shut(&folder);
}

#[test]
fn an_open_one_is_shut_and_links_are_left_alone() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("mapek");
    let elsewhere = parent.path().join("elsewhere");
    fs::write(&elsewhere, "").unwrap();
    fs::set_permissions(&elsewhere, Permissions::from_mode(0o644)).unwrap();
    drop(SqliteJournal::open(&folder).unwrap());
    fs::create_dir_all(folder.join("hooks/cache/objects")).unwrap();
    fs::write(folder.join("hooks/cache/HEAD"), "ref: x").unwrap();
    std::os::unix::fs::symlink(&elsewhere, folder.join("hooks/link")).unwrap();
    let open = |path: &Path| {
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    for path in [
        "",
        "hooks",
        "hooks/cache",
        "hooks/cache/objects",
        "hooks/cache/HEAD",
        "lock",
        "journal.sqlite",
    ] {
        open(&folder.join(path));
    }
    let mut journal = SqliteJournal::open(&folder).unwrap();
    journal.put_topology(&json!({})).unwrap();
    fs::remove_file(folder.join("hooks/link")).unwrap();
    assert_shut(&folder);
    assert_eq!(mode(&elsewhere), 0o644);
}
