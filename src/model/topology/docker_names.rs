//! What Docker accepts as an image and as a volume. Pure.

use std::str::FromStr;

use crate::model::reader::{At, Notes};

/// Longest name of an image, its registry included, and longest tag.
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// Options that may follow a volume's path.
const MODES: [&str; 17] = [
    "ro",
    "rw",
    "z",
    "Z",
    "nocopy",
    "copy",
    "consistent",
    "cached",
    "delegated",
    "default",
    "shared",
    "slave",
    "private",
    "rshared",
    "rslave",
    "rprivate",
    "volume-nocopy",
];

/// `docker_image`.
pub(super) fn image(notes: &mut Notes, at: &At<'_>) -> Option<String> {
    let text = at.text(notes)?;
    if is_image(text) {
        return Some(text.to_owned());
    }
    let shown: String = text.chars().take(80).collect();
    notes.problem(
        &at.path,
        format!(
            "{shown:?} is not an image reference such as nginx:1.25 or registry.test:5000/shop/web:2 (the name in small \
             letters, then at most one tag)"
        ),
    );
    None
}

/// Whether it is `[registry[:port]/]name[:tag][@digest]`.
fn is_image(text: &str) -> bool {
    let (named, digest) = match text.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (text, None),
    };
    let (first, rest) = named.split_once('/').unwrap_or(("", named));
    let registry = first.contains(['.', ':']) || first == "localhost";
    let path = if registry { rest } else { named };
    let (path, tag) = match path.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (path, None),
    };
    named.len() - tag.map_or(0, |tag| tag.len() + 1) <= LONGEST_NAME
        && (!registry || is_registry(first))
        && path.split('/').all(is_component)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest)
}

pub(super) fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let label = |label: &str| {
        label.starts_with(|c: char| c.is_ascii_alphanumeric())
            && label.ends_with(|c: char| c.is_ascii_alphanumeric())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match v6 {
        Some(address) => std::net::Ipv6Addr::from_str(address).is_ok(),
        None => host.split('.').all(label),
    };
    host && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// Small letters and digits, with one dot, one or two underscores or any number of dashes between.
fn is_component(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let between = |part: &str| matches!(part, "" | "." | "_" | "__") || part.chars().all(|c| c == '-');
    text.starts_with(plain) && text.ends_with(plain) && text.split(plain).all(between)
}

fn is_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(word)
        && text.len() <= LONGEST_TAG
        && text.chars().all(|c| word(c) || matches!(c, '.' | '-'))
}

fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(how, value)| {
        how.starts_with(|c: char| c.is_ascii_alphabetic())
            && how
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_+.".contains(c))
            && value.len() >= 32
            && value.chars().all(|c| c.is_ascii_hexdigit())
    })
}

/// `volumes`.
pub(super) fn volumes(notes: &mut Notes, at: &At<'_>) -> Vec<String> {
    let mut volumes = Vec::new();
    for entry in at.list(notes) {
        let Some(text) = entry.text(notes) else { continue };
        match wrong_with(text) {
            Some(problem) => notes.problem(&entry.path, format!("{text:?} {problem}")),
            None => volumes.push(text.to_owned()),
        }
    }
    volumes
}

/// Why Docker would not accept a volume; None if it would.
fn wrong_with(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, modes) = match parts.as_slice() {
        [source, target] => (*source, *target, "rw"),
        [source, target, modes] => (*source, *target, *modes),
        _ => ("", "", ""),
    };
    if source.is_empty() || !target.starts_with('/') || modes.is_empty() {
        return Some("is not of the form source:/path[:options]".to_owned());
    }
    if target.split('/').all(|part| matches!(part, "" | "." | "..")) {
        return Some("would be mounted in the place of the container's root".to_owned());
    }
    if let Some(mode) = modes.split(',').find(|mode| !MODES.contains(mode)) {
        return Some(format!("has the option {mode:?}, which Docker does not have"));
    }
    let mut letters = source.chars();
    let first = letters.next().is_some_and(|c| c.is_ascii_alphanumeric());
    let named = first && source.len() > 1 && letters.all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    (!named && !source.starts_with('/')).then(|| {
        "has a source that is neither an absolute path nor a volume's name (a letter or digit, then at least one letter, \
         digit, '_', '.' or '-')"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_those_that_docker_takes() {
        let digest = format!("x@sha256:{}", "0a".repeat(32));
        for fine in [
            "x",
            "nginx:1.25",
            "polimi/rubis-jboss:nosensors",
            "localhost/x",
            "localhost:5000/a/b__c/d--e:T_1.-",
            "Registry.Test:5000/web",
            "[::1]:5000/x",
            "1a:2",
            digest.as_str(),
            "sha256:0a0b0c",
        ] {
            assert!(is_image(fine), "{fine}");
        }
        let long = "a".repeat(256);
        for bad in [
            "",
            "UPPER/x",
            "X",
            "a:b:c",
            "a b",
            "/x",
            "x/",
            "a//b",
            "a_",
            "-a",
            "a..b",
            "a:",
            "a:-b",
            "x@sha256:12",
            "x@sha256",
            "host:port/x",
            "ho_st.test/x",
            "../x",
            &long,
        ] {
            assert!(!is_image(bad), "{bad}");
        }
    }

    #[test]
    fn volumes_are_those_that_docker_takes() {
        for fine in [
            "/data:/data",
            "kept:/data:ro",
            "/a b:/c:ro,z",
            "v1:/x:nocopy",
            "/x:/y:rw,rslave",
        ] {
            assert_eq!(wrong_with(fine), None, "{fine}");
        }
        for bad in [
            "",
            "/data",
            "../x:/y",
            "./x:/y",
            "x:/y",
            "x/y:/z",
            "kept:data",
            "kept:/y:zz",
            "kept:/y:",
            "kept:/y:ro:z",
            ":/y",
            "kept:/",
            "~/x:/y",
        ] {
            assert!(wrong_with(bad).is_some(), "{bad}");
        }
    }
}
