//! What a container really uses, measured by the engine over about a second.

use bollard::models::{ContainerCpuStats, ContainerMemoryStats, ContainerStatsResponse};
use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::StreamExt;

use super::call::Caller;
use crate::engine::{Effect, EngineError, EngineErrorKind, Usage};

/// See [`crate::engine::Engine::usage`].
pub async fn of(caller: &Caller, id: &str) -> Result<Option<Usage>, EngineError> {
    Ok(measure(caller, id, false).await?.and_then(|stats| read(&stats)))
}

/// See [`crate::engine::Engine::memory_held`].
pub async fn held(caller: &Caller, id: &str) -> Result<Option<u64>, EngineError> {
    let stats = measure(caller, id, true).await?;
    Ok(stats.and_then(|stats| without_files(&stats.memory_stats?)))
}

/// One measurement; two, a second apart, unless it is to be `at_once`. None if there is no such
/// container.
async fn measure(
    caller: &Caller,
    id: &str,
    at_once: bool,
) -> Result<Option<ContainerStatsResponse>, EngineError> {
    let what = format!("measure container '{id}'");
    let options = StatsOptionsBuilder::default()
        .stream(false)
        .one_shot(at_once)
        .build();
    let mut stats = std::pin::pin!(caller.docker.stats(id, Some(options)));
    let first = async { stats.next().await.transpose() };
    match caller.look(&what, first).await {
        Ok(Some(stats)) => Ok(Some(stats)),
        Ok(None) => {
            let message = format!("could not {what}: the answer is empty");
            Err(caller.error(EngineErrorKind::Garbled, Effect::None, message))
        }
        Err(failed) if failed.status == Some(404) => Ok(None),
        Err(failed) => Err(failed.error),
    }
}

/// None if the answer does not have two moments to compare, as for a container that does not run.
fn read(stats: &ContainerStatsResponse) -> Option<Usage> {
    let time = |text: &Option<String>| text.as_ref()?.parse::<jiff::Timestamp>().ok();
    let total = |stats: &Option<ContainerCpuStats>| stats.as_ref()?.cpu_usage.as_ref()?.total_usage;
    let between = time(&stats.read)?
        .duration_since(time(&stats.preread)?)
        .as_nanos();
    // A container that has just been started has no moment before.
    let nanos = u64::try_from(between)
        .ok()
        .filter(|nanos| (1..=60_000_000_000).contains(nanos))?;
    let spent = total(&stats.cpu_stats)?.saturating_sub(total(&stats.precpu_stats)?);
    let billionths = u128::from(spent) * 1_000_000_000 / u128::from(nanos);
    Some(Usage {
        nano_cpus: u64::try_from(billionths).unwrap_or(u64::MAX),
        memory: memory(stats.memory_stats.as_ref()?)?,
    })
}

/// Without file pages that the kernel drops as soon as it needs room, as Docker's own client
/// counts.
fn memory(stats: &ContainerMemoryStats) -> Option<u64> {
    let used = stats.usage?;
    let of = |name: &str| stats.stats.as_ref()?.get(name).copied();
    let spare = of("total_inactive_file").or_else(|| of("inactive_file"));
    Some(used.saturating_sub(spare.filter(|spare| *spare < used).unwrap_or_default()))
}

/// Without any file pages: what is left belongs to the container or its tmpfs, and there is no
/// swap.
fn without_files(stats: &ContainerMemoryStats) -> Option<u64> {
    let used = stats.usage?;
    let of = |name: &str| {
        let stats = stats.stats.as_ref()?;
        let total = stats.get(&format!("total_{name}"));
        total.or_else(|| stats.get(name)).copied()
    };
    let files = of("inactive_file")
        .unwrap_or_default()
        .saturating_add(of("active_file").unwrap_or_default());
    Some(used.saturating_sub(files))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stats(preread: &str) -> ContainerStatsResponse {
        serde_json::from_value(json!({
            "read": "2026-11-21T16:00:01.5Z", "preread": preread,
            "cpu_stats": { "cpu_usage": { "total_usage": 1_250_000_000_u64 } },
            "precpu_stats": { "cpu_usage": { "total_usage": 500_000_000_u64 } },
            "memory_stats": { "usage": 1000, "stats": { "inactive_file": 300, "active_file": 200, "file": 600 } },
        }))
        .unwrap()
    }

    #[test]
    fn use_is_what_was_spent_between_two_moments() {
        let usage = read(&stats("2026-11-21T16:00:00Z")).unwrap();
        assert_eq!((usage.nano_cpus, usage.memory), (500_000_000, 700));
    }

    #[test]
    fn no_page_of_a_file_counts_as_held() {
        let memory =
            |stats: serde_json::Value| serde_json::from_value::<ContainerMemoryStats>(stats).unwrap();
        assert_eq!(without_files(&stats("").memory_stats.unwrap()), Some(500));
        // In the first version of control groups, the sums count.
        let first = json!({ "usage": 1000, "stats": { "inactive_file": 1, "total_inactive_file": 300, "total_active_file": 50 } });
        assert_eq!(without_files(&memory(first)), Some(650));
        assert_eq!(without_files(&memory(json!({ "usage": 7 }))), Some(7));
        assert_eq!(without_files(&memory(json!({}))), None);
    }

    #[test]
    fn a_container_that_does_not_run_has_no_moment_before() {
        assert_eq!(read(&stats("0001-01-01T00:00:00Z")), None);
        assert_eq!(read(&stats("2026-11-21T16:00:01.5Z")), None);
        assert_eq!(read(&ContainerStatsResponse::default()), None);
    }
}
