//! Watching for drift: what runs is compared with the allocation again and again, differences are
//! told once, and repaired where the topology asks for that.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::execute::{By, Outcome};
use crate::fault::{Code, Fault};

use super::Service;
use super::carry::Request;

/// What differs, by VM and container.
pub type Drift = BTreeMap<(String, String), Vec<String>>;

/// After an attempt at a repair has failed, so many looks pass until the next one.
const PATIENCE: u32 = 10;

impl Service {
    /// Starts to look every `interval`, for as long as the service lives.
    pub fn watch_for_drift(&self, interval: Duration) {
        let service = self.clone();
        self.inner.runtime.spawn(async move {
            let mut watch = Watch::default();
            loop {
                tokio::time::sleep(interval).await;
                service.look_for_drift(&mut watch).await;
            }
        });
    }

    async fn look_for_drift(&self, watch: &mut Watch) {
        // What an execution is changing is no drift.
        let before = self.snapshot();
        if before.running.is_some() || before.topology.is_none() {
            return;
        }
        let drift = match self.drift().await {
            Ok(drift) => drift,
            Err(error) => {
                tracing::warn!(%error, "could not look for drift");
                return;
            }
        };
        let after = self.snapshot();
        if after.running.is_some() || after.revision != before.revision {
            return;
        }
        self.tell(watch, &drift).await;
        if let Err(error) = self.keep().await {
            tracing::warn!(%error, "could not see to it that the cloud leaves VMs in use alone");
        }
        let heals = after
            .topology
            .as_ref()
            .is_some_and(|topology| topology.infrastructure.self_heal);
        if heals && watch.is_time_to_heal(&drift) {
            match self.heal().await {
                Ok(outcome) => tracing::info!(outcome = outcome.as_str(), "repaired the drift"),
                Err(error) => {
                    tracing::warn!(%error, "could not repair the drift");
                    watch.rest = PATIENCE;
                }
            }
        }
    }

    /// Tells, once, what is new and what is over: in the log, among the events, in the metrics.
    async fn tell(&self, watch: &mut Watch, drift: &Drift) {
        let mut events = Vec::new();
        for ((vm, container), differences) in drift {
            if watch.last.get(&(vm.clone(), container.clone())) != Some(differences) {
                tracing::warn!(%vm, %container, differences = differences.join("; "), "drift");
                let event = json!({ "vm": vm, "container": container, "differences": differences });
                events.push(("drift", event));
            }
        }
        for (vm, container) in watch.last.keys().filter(|place| !drift.contains_key(*place)) {
            tracing::info!(%vm, %container, "drift is over");
            events.push(("drift_over", json!({ "vm": vm, "container": container })));
        }
        self.inner.metrics.drift(drift.len());
        watch.last.clone_from(drift);
        for (kind, event) in events {
            if let Err(error) = self.with_book(move |book| book.note(kind, event)).await {
                tracing::warn!(%error, "could not note drift among the events");
            }
        }
    }

    /// What differs now.
    async fn drift(&self) -> Result<Drift, Fault> {
        let Value::Object(vms) = self.inspect().await? else {
            return Ok(Drift::new());
        };
        let mut drift = Drift::new();
        for (vm, containers) in vms {
            for (container, seen) in containers.as_object().into_iter().flatten() {
                let differences: Vec<String> = seen
                    .get("drift")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(|text| text.as_str().map(str::to_owned))
                    .collect();
                if !differences.is_empty() {
                    drift.insert((vm.clone(), container.clone()), differences);
                }
            }
        }
        Ok(drift)
    }

    /// Carries the last plan that was carried out to its end out again: it sets out from what is.
    async fn heal(&self) -> Result<Outcome, Fault> {
        let last = self.executions(1).await?.into_iter().next();
        let plan = match last {
            Some(last) if last.progress.outcome == Some(Outcome::Succeeded) => last.frozen.plan,
            _ => {
                let message =
                    "the last execution did not succeed, so it is not known what should be; send a plan";
                return Err(Fault::new(Code::Conflict, message));
            }
        };
        tracing::warn!("repairing the drift by carrying out the last plan again");
        let ended = self
            .begin(Request {
                plan: Some(plan),
                by: By::itself(),
                ..Request::default()
            })
            .await?
            .ended()
            .await
            .success()?;
        Ok(ended.outcome.unwrap_or(Outcome::Failed))
    }
}

/// What was seen before.
#[derive(Default)]
struct Watch {
    last: Drift,
    /// Looks to pass before the next repair.
    rest: u32,
}

impl Watch {
    fn is_time_to_heal(&mut self, drift: &Drift) -> bool {
        if drift.is_empty() {
            self.rest = 0;
            return false;
        }
        let now = self.rest == 0;
        self.rest = self.rest.saturating_sub(1);
        now
    }
}
