//! The Docker engine of the embedded default.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::Config;
use crate::engine::docker::{DockerEngines, Facts, Settings};
use crate::engine::{EngineError, EngineErrorKind, Owners};

use super::Check;

/// Long enough for any engine that works.
const ANSWER: Duration = Duration::from_secs(10);
/// The oldest engine that is tested.
const OLDEST: [u32; 2] = [20, 10];
/// If clocks are further apart than this, one of them is wrong.
const APART_S: i64 = 5;

/// What is known about the engine.
pub async fn checks(config: &Config) -> Vec<Check> {
    let settings = Settings {
        answer: ANSWER,
        ..Settings::default()
    };
    let engines = DockerEngines::new(settings, Owners::default());
    let facts = match engines.engine(&config.docker_host, None) {
        Ok(engine) => engine.facts().await,
        Err(error) => Err(error),
    };
    match facts {
        Ok(facts) => told(&facts, &config.docker_host, Timestamp::now()),
        Err(error) => vec![unreachable(&error)],
    }
}

fn unreachable(error: &EngineError) -> Check {
    let said = error.message.to_lowercase();
    let fix = if error.kind == EngineErrorKind::Misconfigured {
        "correct --docker-host (DOCKER_HOST)"
    } else if said.contains("permission denied") {
        "run mapek as a user who may use the engine: usermod -aG docker USER, and log in again"
    } else {
        "install and start Docker (apt-get install docker.io), or name another engine with --docker-host; topologies \
         with a cloud_driver do without this one"
    };
    Check::fail("engine", error.to_string(), fix)
}

fn told(facts: &Facts, endpoint: &str, now: Timestamp) -> Vec<Check> {
    let gib = facts.memory >> 30;
    let says = format!(
        "Docker {} at {endpoint}, with {} cores and {gib} GiB of memory",
        facts.version, facts.cores
    );
    let number = |part: &str| part.parse::<u32>().ok();
    let version: Vec<u32> = facts.version.split('.').map_while(number).take(2).collect();
    let mut checks = vec![if version.as_slice() < OLDEST.as_slice() {
        let oldest = OLDEST.map(|part| part.to_string()).join(".");
        Check::warn(
            "engine",
            says,
            format!("mapek is tested with Docker {oldest} and newer: upgrade the engine"),
        )
    } else {
        Check::ok("engine", says)
    }];
    let groups = match facts.control_groups.as_str() {
        "" => String::new(),
        version => format!(" (control groups v{version})"),
    };
    checks.push(if !facts.lacks.is_empty() {
        Check::fail(
            "limits",
            format!("the engine can't limit {}{groups}", facts.lacks.join(", ")),
            "turn these controllers on: mount the control groups, and have the init system or \
             cgroup.subtree_control hand cpu, cpuset and memory down to the engine",
        )
    } else if !facts.counts_swap {
        Check::warn(
            "limits",
            format!("cpu and memory can be limited{groups}, but containers can swap beyond their memory"),
            "start the kernel with swapaccount=1, or turn swap off",
        )
    } else {
        Check::ok("limits", format!("cpu, cores and memory can be limited{groups}"))
    });
    let apart = facts.time.map(|time| time.duration_since(now).as_secs().abs());
    checks.extend(apart.filter(|apart| *apart > APART_S).map(|apart| {
        Check::warn(
            "engine's clock",
            format!("{apart} s away from this machine's"),
            "have both machines keep their time with NTP",
        )
    }));
    checks
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn verdicts(facts: &Facts) -> Vec<(&'static str, Verdict)> {
        let now = Timestamp::UNIX_EPOCH;
        told(facts, "unix:///x", now)
            .iter()
            .map(|check| (check.name, check.verdict))
            .collect()
    }

    #[test]
    fn an_engine_is_judged_by_what_it_says_of_itself() {
        let good = Facts {
            version: "20.10.24+dfsg1".to_owned(),
            counts_swap: true,
            ..Facts::default()
        };
        assert_eq!(
            verdicts(&good),
            [("engine", Verdict::Ok), ("limits", Verdict::Ok)]
        );
        let newer = Facts {
            version: "29.0.1".to_owned(),
            ..good.clone()
        };
        assert_eq!(verdicts(&newer), verdicts(&good));
        let old = Facts {
            version: "19.03.15".to_owned(),
            lacks: vec!["memory"],
            time: Timestamp::from_second(60).ok(),
            ..good.clone()
        };
        let expected = [
            ("engine", Verdict::Warn),
            ("limits", Verdict::Fail),
            ("engine's clock", Verdict::Warn),
        ];
        assert_eq!(verdicts(&old), expected);
        let swapping = Facts {
            counts_swap: false,
            ..good
        };
        assert_eq!(
            verdicts(&swapping),
            [("engine", Verdict::Ok), ("limits", Verdict::Warn)]
        );
    }
}
