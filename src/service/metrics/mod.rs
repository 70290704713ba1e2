//! What is counted, for Prometheus.

mod classic;
mod labels;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use labels::{Done, Ended, KINDS, Kind, Replan, Share, Solved, Stage, Stands, kind, ordinal};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::execute::{Event, Execution, Outcome};
use crate::fault::{Code, Fault};
use crate::meter::{Meter, Seconds, seconds};
use crate::model::{Allocation, Size};
use crate::translate::Action;

use super::Snapshot;
use super::planner::Proposal;
use super::process::Process;

pub use classic::classic;

type Number = Gauge<u64, AtomicU64>;
type Amount = Gauge<f64, AtomicU64>;

/// Counters and gauges, with the registry that prints them.
pub struct Metrics {
    registry: Registry,
    /// The journal's main file.
    journal: Option<PathBuf>,
    executions: Family<Ended, Counter>,
    execution_seconds: Seconds<Ended>,
    stage_seconds: Seconds<Stage>,
    actions: Family<Done, Counter>,
    action_seconds: Seconds<Kind>,
    replans: Family<Replan, Counter>,
    solves: Family<Solved, Counter>,
    solve_seconds: Histogram,
    solve_gap: Amount,
    drift: Number,
    looks: Counter,
    nodes: Family<Stands, Number>,
    cut_off: Number,
    vms: Number,
    containers: Number,
    cores: Family<Share, Amount>,
    memory: Family<Share, Number>,
    running: Number,
    generation: Number,
    journal_size: Number,
    process: Process,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new(meter: &Meter, journal: Option<&Path>) -> Self {
        let mut registry = Registry::default();
        let metrics = Self {
            journal: journal.map(Path::to_owned),
            executions: Family::default(),
            execution_seconds: Family::new_with_constructor(seconds),
            stage_seconds: Family::new_with_constructor(seconds),
            actions: Family::default(),
            action_seconds: Family::new_with_constructor(seconds),
            replans: Family::default(),
            solves: Family::default(),
            solve_seconds: seconds(),
            solve_gap: Gauge::default(),
            drift: Gauge::default(),
            looks: Counter::default(),
            nodes: Family::default(),
            cut_off: Gauge::default(),
            vms: Gauge::default(),
            containers: Gauge::default(),
            cores: Family::default(),
            memory: Family::default(),
            running: Gauge::default(),
            generation: Gauge::default(),
            journal_size: Gauge::default(),
            process: Process::default(),
            registry: Registry::default(),
        };
        metrics.process.register(&mut registry);
        let ours = registry.sub_registry_with_prefix("mapek");
        meter.requests.register(ours);
        meter.calls.register(ours);
        metrics.register(ours);
        metrics.begin_at_zero();
        Self { registry, ..metrics }
    }

    /// What has not happened yet is shown as 0: a series that begins at 1 shows no rise from 0.
    fn begin_at_zero(&self) {
        const OUTCOMES: [Outcome; 5] = [
            Outcome::Succeeded,
            Outcome::Failed,
            Outcome::Cancelled,
            Outcome::RolledBack,
            Outcome::RollbackFailed,
        ];
        for outcome in OUTCOMES.map(Outcome::as_str) {
            drop(self.executions.get_or_create(&Ended { outcome }));
            drop(self.execution_seconds.get_or_create(&Ended { outcome }));
        }
        for kind in KINDS {
            drop(self.action_seconds.get_or_create(&Kind { kind }));
            for outcome in ["succeeded", "failed", "skipped", "tried_again"] {
                drop(self.actions.get_or_create(&Done { kind, outcome }));
            }
        }
        for standing in ["ready", "aside", "silent", "lost"] {
            drop(self.nodes.get_or_create(&Stands { standing }));
        }
        for result in ["placed", "failed"] {
            drop(self.replans.get_or_create(&Replan { result }));
        }
        for result in ["proven", "unproven", "infeasible", "failed"] {
            drop(self.solves.get_or_create(&Solved { result }));
        }
        drop(self.stage_seconds.get_or_create(&Stage { stage: ordinal(0) }));
    }

    fn register(&self, to: &mut Registry) {
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        to.register("build", "Which mapek this is", version);
        to.register(
            "executions",
            "Executions that ended, by outcome",
            self.executions.clone(),
        );
        to.register(
            "execution_duration_seconds",
            "How long executions took, by outcome",
            self.execution_seconds.clone(),
        );
        to.register(
            "execution_stage_duration_seconds",
            "How long the stages of executions took, by their number; those of the way back as one",
            self.stage_seconds.clone(),
        );
        to.register("actions", "Actions, by kind and outcome", self.actions.clone());
        to.register(
            "action_duration_seconds",
            "How long actions took that succeeded, with all attempts, by kind",
            self.action_seconds.clone(),
        );
        to.register(
            "replans",
            "Plans placed again because fewer VMs came than were asked for, by result",
            self.replans.clone(),
        );
        to.register(
            "solves",
            "Searches for a placement, by result",
            self.solves.clone(),
        );
        to.register(
            "solve_duration_seconds",
            "How long a placement was searched for",
            self.solve_seconds.clone(),
        );
        to.register(
            "solve_gap_ratio",
            "How far the last placement may be from the cheapest: (objective - bound) / objective",
            self.solve_gap.clone(),
        );
        to.register(
            "drift_containers",
            "Containers that differ from the allocation",
            self.drift.clone(),
        );
        to.register("drift_looks", "Looks for drift", self.looks.clone());
        to.register(
            "nodes",
            "Nodes that are not put aside, by how they stand, as far as they were heard of",
            self.nodes.clone(),
        );
        to.register(
            "cut_off",
            "1 while so many nodes are silent at once that mapek itself must be cut off",
            self.cut_off.clone(),
        );
        to.register("vms", "VMs in the allocation", self.vms.clone());
        to.register(
            "containers",
            "Containers in the allocation",
            self.containers.clone(),
        );
        to.register(
            "cpu_cores",
            "Cores of the VMs in the allocation, used and free",
            self.cores.clone(),
        );
        to.register(
            "memory_units",
            "Memory units of the VMs in the allocation, used and free",
            self.memory.clone(),
        );
        to.register(
            "execution_running",
            "1 while an execution runs or is held",
            self.running.clone(),
        );
        to.register(
            "topology_generation",
            "How often the topology has changed",
            self.generation.clone(),
        );
        to.register(
            "journal_size_bytes",
            "Size of the journal's files on disk",
            self.journal_size.clone(),
        );
    }

    /// Counts an event; `action` is the one that it concerns.
    pub fn event(&self, event: &Event, action: Option<&Action>) {
        let outcome = match event {
            Event::Replanned { .. } => {
                self.replans.get_or_create(&Replan { result: "placed" }).inc();
                return;
            }
            Event::ReplanFailed(_) => {
                self.replans.get_or_create(&Replan { result: "failed" }).inc();
                return;
            }
            Event::ActionSucceeded { .. } => "succeeded",
            Event::ActionFailed { .. } => "failed",
            Event::ActionSkipped { .. } => "skipped",
            Event::AttemptFailed { .. } => "tried_again",
            Event::Finished { .. }
            | Event::ActionStarted { .. }
            | Event::ActionProgressed { .. }
            | Event::ActionSettled { .. }
            | Event::CloudNoted { .. }
            | Event::Pulling { .. }
            | Event::RollbackBegun { .. }
            | Event::Resumed {}
            | Event::Held {}
            | Event::CancelRequested(_)
            | Event::ResumeRequested(_)
            | Event::RollbackRequested(_)
            | Event::Lost(_) => return,
        };
        if let Some(action) = action {
            let kind = kind(action);
            self.actions.get_or_create(&Done { kind, outcome }).inc();
        }
    }

    /// Counts an execution that has ended, and its times.
    pub fn ended(&self, execution: &Execution) {
        let outcome = execution.progress.outcome.map_or("unknown", Outcome::as_str);
        self.executions.get_or_create(&Ended { outcome }).inc();
        let whole = Ended { outcome };
        let between = |from: jiff::Timestamp, to: jiff::Timestamp| to.duration_since(from).as_secs_f64();
        if let Some(end) = execution.progress.finished_at {
            let took = between(execution.frozen.created_at, end);
            self.execution_seconds.get_or_create(&whole).observe(took);
        }
        let first = execution.frozen.stages.len();
        let second = execution.progress.second.as_ref();
        let second = second.map_or(0, |second| second.stages.len());
        let mut states = execution.progress.actions.iter();
        for (number, stage) in execution.stages().enumerate() {
            let (mut begin, mut end) = (None, None);
            for (action, state) in stage.iter().zip(&mut states) {
                let (Some(from), Some(to)) = (state.started_at, state.finished_at) else {
                    continue;
                };
                begin = begin.map_or(Some(from), |begin: jiff::Timestamp| Some(begin.min(from)));
                end = end.map_or(Some(to), |end: jiff::Timestamp| Some(end.max(to)));
                if state.state == crate::execute::Status::Succeeded {
                    let kind = Kind { kind: kind(action) };
                    self.action_seconds
                        .get_or_create(&kind)
                        .observe(between(from, to));
                }
            }
            if let (Some(begin), Some(end)) = (begin, end) {
                let stage = match number.checked_sub(first) {
                    None => ordinal(number),
                    // In the place of those that followed the making of VMs.
                    Some(anew) if anew < second => ordinal(anew + 1),
                    Some(_) => "back",
                };
                self.stage_seconds
                    .get_or_create(&Stage { stage })
                    .observe(between(begin, end));
            }
        }
    }

    /// Counts a search for a placement.
    pub fn solved(&self, result: &Result<Proposal, Fault>) {
        let result = match result {
            Ok(proposal) => {
                self.solve_seconds.observe(proposal.solve_time.as_secs_f64());
                self.solve_gap.set(proposal.answer.gap);
                if proposal.answer.proven_optimal {
                    "proven"
                } else {
                    "unproven"
                }
            }
            Err(fault) if fault.code == Code::Infeasible => "infeasible",
            Err(_) => "failed",
        };
        self.solves.get_or_create(&Solved { result }).inc();
    }

    /// Records the result of a check for drift.
    pub fn drift(&self, containers: usize) {
        self.looks.inc();
        self.drift.set(count(containers));
    }

    /// Takes how many nodes stand how.
    pub fn nodes(&self, standings: &[(&'static str, usize)], cut_off: bool) {
        for (standing, of) in standings {
            self.nodes.get_or_create(&Stands { standing }).set(count(*of));
        }
        self.cut_off.set(u64::from(cut_off));
    }

    /// Everything, in the text format of OpenMetrics.
    pub fn text(&self, snapshot: &Snapshot) -> Result<String, Fault> {
        self.take(&snapshot.allocation);
        self.running.set(u64::from(snapshot.running.is_some()));
        self.generation.set(snapshot.generation);
        if let Some(journal) = &self.journal {
            self.journal_size.set(size(journal));
        }
        self.process.look();
        let mut text = String::new();
        encode(&mut text, &self.registry).map_err(|error| {
            Fault::new(
                Code::Internal,
                format!("the metrics can't be written down: {error}"),
            )
        })?;
        Ok(text)
    }

    fn take(&self, allocation: &Allocation) {
        let vms = || allocation.vms.values();
        self.vms.set(count(allocation.vms.len()));
        self.containers.set(count(vms().map(|vm| vm.used.len()).sum()));
        let used: Size = vms().map(crate::model::Vm::held).sum();
        // More may be found running than there is.
        let free = vms().map(|vm| {
            let held = vm.held();
            let cpu = vm
                .capacity
                .cpu
                .in_hundredths()
                .saturating_sub(held.cpu.in_hundredths());
            (cpu, vm.capacity.mem.saturating_sub(held.mem))
        });
        let (cpu, mem) = free.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        #[expect(clippy::cast_precision_loss)]
        let cores = |hundredths: u64| hundredths as f64 / 100.0;
        for (share, cpu, mem) in [("used", used.cpu.in_hundredths(), used.mem), ("free", cpu, mem)] {
            self.cores.get_or_create(&Share { share }).set(cores(cpu));
            self.memory.get_or_create(&Share { share }).set(mem);
        }
    }
}

/// What SQLite keeps beside its main file counts, too.
fn size(journal: &Path) -> u64 {
    let beside = ["", "-wal", "-shm"].map(|end| {
        let mut path = journal.as_os_str().to_owned();
        path.push(end);
        std::fs::metadata(path).map_or(0, |file| file.len())
    });
    beside.iter().sum()
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
