//! Sets of hooks: their content, what they lack, and their archive.

use std::io::Read;

use super::set::{HookSet, Kind, MOST_FILES, MOST_OF_ALL, MOST_OF_ONE};
use crate::model::Topology;

fn set(files: &[(Kind, &str, &str)]) -> HookSet {
    let mut set = HookSet::new("revision");
    for (kind, path, content) in files {
        assert_eq!(set.add(*kind, path, content.as_bytes().to_vec()), Ok(()));
    }
    set
}

#[test]
fn an_archive_holds_every_file_for_everyone_to_run_and_is_always_the_same() {
    let files = [
        (Kind::Tier, "reload.sh", "reload"),
        (Kind::Scale, "size.sh", "size"),
        (Kind::Scale, "lib/common.sh", "common"),
    ];
    let mut reversed = files;
    reversed.reverse();
    let archive = set(&files).archive().unwrap_or_default();
    assert_eq!(set(&reversed).archive().unwrap_or_default(), archive);

    let mut reader = tar::Archive::new(archive.as_slice());
    let mut seen = Vec::new();
    for entry in reader.entries().into_iter().flatten().flatten() {
        let mut entry = entry;
        let mut content = String::new();
        let read = entry.read_to_string(&mut content);
        assert!(read.is_ok());
        assert_eq!(entry.header().mode().ok(), Some(0o755));
        seen.push((entry.path_bytes().into_owned(), content));
    }
    let expected = [
        ("hooks/", ""),
        ("hooks/scale_hooks/", ""),
        ("hooks/tier_hooks/", ""),
        ("hooks/scale_hooks/lib/common.sh", "common"),
        ("hooks/scale_hooks/size.sh", "size"),
        ("hooks/tier_hooks/reload.sh", "reload"),
    ];
    let expected = expected.map(|(path, content)| (path.as_bytes().to_vec(), content.to_owned()));
    assert_eq!(seen, expected);
}

#[test]
fn hooks_that_are_named_and_not_there_are_told_with_their_tiers() {
    let document = serde_json::json!({
        "infrastructure": {"cpu_cores": 2, "mem_units": 4, "hooks_git_repo": "/srv/hooks"},
        "apps": [{"name": "shop", "tiers": {
            "db": {"name": "DB", "docker_image": "db", "ports": []},
            "web": {"name": "Web", "docker_image": "web", "ports": [], "depends_on": ["db"],
                "on_node_scale": ["size.sh", "warm.sh"], "on_dependency_scale": "size.sh"}
        }}]
    });
    let Ok(parsed) = Topology::parse(&document) else {
        unreachable!("the document is a topology");
    };
    let missing = set(&[(Kind::Scale, "size.sh", "")]).missing(&parsed.topology);
    let told: Vec<String> = missing.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "tier 'shop_web' names scale_hooks/warm.sh",
            "tier 'shop_web' names tier_hooks/size.sh"
        ]
    );
}

#[test]
fn a_set_does_not_grow_without_bounds() {
    let bytes = |count: u64| vec![0; usize::try_from(count).unwrap_or(0)];
    let mut set = HookSet::new("revision");
    assert!(set.add(Kind::Scale, "large", bytes(MOST_OF_ONE + 1)).is_err());
    for index in 0..MOST_OF_ALL / MOST_OF_ONE {
        assert_eq!(
            set.add(Kind::Scale, &index.to_string(), bytes(MOST_OF_ONE)),
            Ok(())
        );
    }
    assert!(set.add(Kind::Tier, "one more", bytes(1)).is_err());

    let mut many = HookSet::new("revision");
    for index in 0..MOST_FILES {
        assert_eq!(many.add(Kind::Tier, &index.to_string(), Vec::new()), Ok(()));
    }
    assert!(many.add(Kind::Tier, "one more", Vec::new()).is_err());
}
