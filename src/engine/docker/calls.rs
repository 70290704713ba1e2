//! The names under which calls to an engine are counted. Pure.

/// The name of a request, from a short list, since each is a series of its own in the metrics.
pub fn name(method: &str, path: &str) -> &'static str {
    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let version = |part: &&str| {
        part.strip_prefix('v')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    if parts.first().is_some_and(version) {
        parts.remove(0);
    }
    match (method, parts.as_slice()) {
        (_, ["_ping"]) => "ping",
        (_, ["version"]) => "version",
        (_, ["info"]) => "info",
        ("GET", ["networks", _]) => "network_inspect",
        ("GET", ["containers", "json"]) => "container_list",
        ("POST", ["containers", "create"]) => "container_create",
        ("GET", ["containers", _, "json"]) => "container_inspect",
        ("GET", ["containers", _, "top"]) => "container_top",
        ("GET", ["containers", _, "logs"]) => "container_logs",
        ("GET", ["containers", _, "stats"]) => "container_stats",
        ("POST", ["containers", _, "start"]) => "container_start",
        ("POST", ["containers", _, "stop"]) => "container_stop",
        ("POST", ["containers", _, "rename"]) => "container_rename",
        ("POST", ["containers", _, "update"]) => "container_update",
        ("POST", ["containers", _, "unpause"]) => "container_unpause",
        ("POST", ["containers", _, "exec"]) => "exec_create",
        (_, ["containers", _, "archive"]) => "container_archive",
        ("DELETE", ["containers", _]) => "container_remove",
        ("POST", ["exec", _, "start"]) => "exec_start",
        ("GET", ["exec", _, "json"]) => "exec_inspect",
        ("POST", ["images", "create"]) => "image_pull",
        ("GET", ["images", .., "json"]) => "image_inspect",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn names_hold_no_ids_and_no_versions() {
        for (method, path, expected) in [
            ("GET", "/containers/json", "container_list"),
            ("GET", "/v1.41/containers/json", "container_list"),
            ("GET", "/containers/abc/json", "container_inspect"),
            ("DELETE", "/containers/abc", "container_remove"),
            ("GET", "/images/registry.test:5000/a/b:1/json", "image_inspect"),
            ("PUT", "/containers/abc/archive", "container_archive"),
            ("POST", "/swarm/init", "other"),
            ("GET", "", "other"),
        ] {
            assert_eq!(name(method, path), expected, "{method} {path}");
        }
    }
}
