#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use super::read::*;
use super::*;
use crate::model::Topology;

fn snapshot() -> Snapshot {
    let document = json!({
        "infrastructure": { "cpu_cores": 4, "mem_units": 8 },
        "apps": [{ "name": "shop", "tiers": { "db": { "docker_image": "x" } } }]
    });
    Snapshot {
        topology: Some(Arc::new(Topology::parse(&document).unwrap().topology)),
        ..Snapshot::default()
    }
}

#[test]
fn all_problems_of_an_app_are_told_with_their_paths_in_the_body() {
    let body = json!({
        "name": "other",
        "tiers": { "site": { "docker_image": "", "depends_on": ["nothing"] } },
        "plan": { "site": { "cpu_cores": 1 } },
    });
    let refused = read(&snapshot(), "blog", body).unwrap_err();
    assert_eq!(refused.code, Code::AppInvalid);
    let mut paths: Vec<&str> = refused
        .details
        .iter()
        .filter_map(|one| one["path"].as_str())
        .collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "name",
            "plan.site.mem_units",
            "tiers.site.depends_on[0]",
            "tiers.site.docker_image"
        ],
        "{refused}"
    );
    let unplanned = json!({ "tiers": { "site": { "docker_image": "x" } } });
    let refused = read(&snapshot(), "blog", unplanned).unwrap_err();
    assert_eq!(refused.details[0]["path"], "plan");
    // Together with the topology, too: a flat name is one tier's.
    let body = json!({ "tiers": { "p_db": { "docker_image": "x" } }, "plan": {} });
    assert!(read(&snapshot(), "sho", body).is_ok());
}

#[test]
fn an_app_is_read_with_its_sizes_and_its_warnings() {
    let body = json!({
        "tiers": { "site": { "docker_image": "x", "max_nodes": 1 } },
        "plan": { "site": { "cpu_cores": 1, "mem_units": 2 } },
    });
    let (spec, warnings) = read(&snapshot(), "blog", body).unwrap();
    assert_eq!(spec.part["name"], "blog");
    assert_eq!(spec.plan.into_iter().next().unwrap().1, Size::new(1, 2));
    assert_eq!(warnings[0].path, "tiers.site.max_nodes");
}
