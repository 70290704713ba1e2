//! What is counted, for Prometheus.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::execute::{Event, Outcome};
use crate::fault::{Code, Fault};
use crate::translate::Action;

use super::Snapshot;

/// Counters and gauges, with the registry that writes them down.
pub struct Metrics {
    registry: Registry,
    executions: Family<Ended, Counter>,
    actions: Family<Done, Counter>,
    drift: Gauge<u64, AtomicU64>,
    looks: Counter,
    vms: Gauge<u64, AtomicU64>,
    containers: Gauge<u64, AtomicU64>,
    running: Gauge<u64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Done {
    kind: &'static str,
    outcome: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("mapek");
        let (executions, actions) = (Family::default(), Family::default());
        let (drift, vms, containers, running) = (
            Gauge::default(),
            Gauge::default(),
            Gauge::default(),
            Gauge::default(),
        );
        let looks = Counter::default();
        registry.register(
            "executions",
            "Executions that ended, by outcome",
            executions.clone(),
        );
        registry.register("actions", "Actions, by kind and outcome", actions.clone());
        registry.register(
            "drift_containers",
            "Containers that differ from the allocation",
            drift.clone(),
        );
        registry.register("drift_looks", "Looks for drift", looks.clone());
        registry.register("vms", "VMs in the allocation", vms.clone());
        registry.register("containers", "Containers in the allocation", containers.clone());
        registry.register(
            "execution_running",
            "1 while an execution runs or is held",
            running.clone(),
        );
        Self {
            registry,
            executions,
            actions,
            drift,
            looks,
            vms,
            containers,
            running,
        }
    }
}

impl Metrics {
    /// Counts an event; `action` is the one that it is about.
    pub fn event(&self, event: &Event, action: Option<&Action>) {
        let outcome = match event {
            Event::ActionSucceeded { .. } => "succeeded",
            Event::ActionFailed { .. } => "failed",
            Event::ActionSkipped { .. } => "skipped",
            Event::AttemptFailed { .. } => "tried_again",
            Event::Finished { outcome } => {
                self.executions
                    .get_or_create(&Ended {
                        outcome: Outcome::as_str(*outcome),
                    })
                    .inc();
                return;
            }
            Event::ActionStarted { .. } | Event::RollbackBegun { .. } | Event::Resumed {} => return,
        };
        if let Some(action) = action {
            self.actions
                .get_or_create(&Done {
                    kind: kind(action),
                    outcome,
                })
                .inc();
        }
    }

    /// Takes the result of a look for drift.
    pub fn drift(&self, containers: usize) {
        self.looks.inc();
        self.drift.set(u64::try_from(containers).unwrap_or(u64::MAX));
    }

    /// Everything, in the text format of Prometheus.
    pub fn text(&self, snapshot: &Snapshot) -> Result<String, Fault> {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.vms.set(count(snapshot.allocation.vms.len()));
        self.containers.set(count(
            snapshot.allocation.vms.values().map(|vm| vm.used.len()).sum(),
        ));
        self.running.set(u64::from(snapshot.running.is_some()));
        let mut text = String::new();
        encode(&mut text, &self.registry).map_err(|error| {
            Fault::new(
                Code::Internal,
                format!("the metrics can't be written down: {error}"),
            )
        })?;
        Ok(text)
    }
}

const fn kind(action: &Action) -> &'static str {
    match action {
        Action::CreateVm { .. } => "create_vm",
        Action::DeleteVm { .. } => "delete_vm",
        Action::CreateContainer { .. } => "create_container",
        Action::UpdateContainer { .. } => "update_container",
        Action::DeleteContainer { .. } => "delete_container",
        Action::RunScaleHook { .. } => "run_scale_hook",
        Action::RunTierHook { .. } => "run_tier_hook",
    }
}
