//! What an engine reports about its machine, in the terms that nodes of all sources share.

use bollard::models::SystemInfo;
use serde_json::{Map, Value, json};

use crate::model::About;

/// The engine's labels, and the capabilities of its machine.
pub fn about(info: &SystemInfo) -> About {
    let labels = info.labels.iter().flatten().filter_map(|label| {
        let (name, value) = label.split_once('=').unwrap_or((label, ""));
        (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
    });
    let runtimes = info.runtimes.as_ref().map(|runtimes| {
        let mut names: Vec<&String> = runtimes.keys().collect();
        names.sort();
        json!(names)
    });
    // `name=apparmor` and `name=seccomp,profile=default`.
    let security = info.security_options.as_ref().map(|options| {
        let names = options.iter().filter_map(|option| {
            let first = option.split(',').next()?;
            Some(first.strip_prefix("name=").unwrap_or(first))
        });
        json!(names.collect::<Vec<_>>())
    });
    let memory_mb = info.mem_total.map(|bytes| json!(bytes >> 20));
    let text = |text: &Option<String>| {
        text.as_ref()
            .filter(|text| !text.is_empty())
            .map(|text| json!(text))
    };
    let known = [
        ("engine", Some(json!("docker"))),
        ("engine_version", text(&info.server_version)),
        (
            "arch",
            info.architecture.as_deref().map(|arch| json!(usual(arch))),
        ),
        ("os", text(&info.os_type)),
        ("os_name", text(&info.operating_system)),
        ("kernel", text(&info.kernel_version)),
        ("hostname", text(&info.name)),
        ("cores", info.ncpu.map(|cores| json!(cores))),
        ("memory_mb", memory_mb),
        ("runtimes", runtimes),
        ("default_runtime", text(&info.default_runtime)),
        ("storage_driver", text(&info.driver)),
        ("security", security),
    ];
    let known = known
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    About {
        labels: labels.collect(),
        capabilities: known.collect::<Map<String, Value>>(),
    }
}

/// The name of an architecture as images have it. The kernel has others.
fn usual(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "armv7l" => "arm",
        "i386" | "i686" => "386",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_engine_says_is_in_the_words_of_images() {
        let info = SystemInfo {
            architecture: Some("aarch64".to_owned()),
            labels: Some(vec!["zone=a".to_owned(), "gpu".to_owned(), "=x".to_owned()]),
            mem_total: Some(8 << 30),
            runtimes: Some([("runc".to_owned(), Default::default())].into()),
            security_options: Some(vec!["name=seccomp,profile=default".to_owned()]),
            ..SystemInfo::default()
        };
        let about = about(&info);
        assert_eq!(json!(about.labels), json!({ "zone": "a", "gpu": "" }));
        assert_eq!(
            json!(about.capabilities),
            json!({ "engine": "docker", "arch": "arm64", "memory_mb": 8192, "runtimes": ["runc"], "security": ["seccomp"] })
        );
    }
}
