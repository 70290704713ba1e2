//! What the lab takes from the cache that `scripts/setup test` fills.

use std::path::PathBuf;

/// A shell and the usual tools.
pub const BUSYBOX: &str = "mapek/busybox:1";
/// nginx in the roles `app`, `store` and `balancer`.
pub const NGINX: &str = "mapek/nginx:1";

/// The cache's folder, as in the scripts.
pub fn cache() -> PathBuf {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(dir) = var("MAPEK_CACHE_DIR") {
        return PathBuf::from(dir);
    }
    let base = var("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(var("HOME").unwrap_or_default()).join(".cache"),
        PathBuf::from,
    );
    base.join("mapek")
}

/// The archives that every engine of the lab loads.
pub fn archives() -> Vec<PathBuf> {
    ["busybox", "nginx"]
        .iter()
        .map(|name| cache().join(format!("images/{name}.tar")))
        .collect()
}

/// The binary of Debian's `docker-registry`.
pub fn registry_binary() -> PathBuf {
    cache().join("registry/docker-registry")
}

/// The program that makes up requests.
pub fn schemathesis() -> PathBuf {
    cache().join("schemathesis-venv/bin/st")
}

/// The server of moto, which imitates AWS.
pub fn moto_server() -> PathBuf {
    cache().join("moto/bin/moto_server")
}

/// The collector of traces, inside its Python package.
pub fn collector() -> PathBuf {
    let lib = cache().join("rotel/lib");
    let versions = std::fs::read_dir(&lib).into_iter().flatten().flatten();
    let mut found = versions.map(|version| version.path().join("site-packages/rotel/rotel-agent"));
    found.find(|file| file.is_file()).unwrap_or(lib)
}

/// A bare Debian system, as an archive.
pub fn debian() -> PathBuf {
    cache().join("debian/root.tar")
}

/// What of all this is missing.
pub fn missing() -> Vec<String> {
    let mut files = archives();
    files.push(registry_binary());
    files.push(schemathesis());
    files.push(moto_server());
    files.push(debian());
    files.push(collector());
    files
        .iter()
        .filter(|file| !file.is_file())
        .map(|file| format!("the file {}", file.display()))
        .collect()
}
