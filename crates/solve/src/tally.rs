//! What has been found and proven so far, by which method, and when.
//!
//! Placements and bounds are handed in here. A bound above the cost of a placement is false: it is
//! dropped and reported, never adjusted to fit.

use std::sync::Arc;

use super::answer::{Answer, Counters, EndedBy, PlacedVm, Progress, Step, VmRef};
use super::bound;
use super::evidence::{Bound, Certificate, Finder, Prover};
use super::instance::Instance;
use super::meter::UNLIMITED;
use super::packing::Packing;
use super::problem::Problem;
use super::terms::SolveError;
use super::ties;
use super::verify::{self, Violation};
use super::watch::Watch;

/// The target of its log lines, for `--log`.
const TARGET: &str = "mapek::solve";

/// The state of a solve.
pub struct Tally<'a> {
    /// The question.
    pub instance: &'a Instance,
    /// The same, prepared.
    pub problem: &'a Arc<Problem>,
    /// When to stop.
    pub watch: Watch<'a>,
    /// Work done.
    pub counters: Counters,
    best: Option<Packing>,
    bounds: Vec<Bound>,
    trace: Vec<Step>,
}

impl<'a> Tally<'a> {
    /// Nothing found and nothing proven.
    #[must_use]
    pub const fn new(instance: &'a Instance, problem: &'a Arc<Problem>, watch: Watch<'a>) -> Self {
        Self {
            instance,
            problem,
            watch,
            counters: Counters {
                neighbourhoods: 0,
                nodes: 0,
                programs: 0,
                ticks: 0,
                refused: 0,
            },
            best: None,
            bounds: Vec::new(),
            trace: Vec::new(),
        }
    }

    /// How placements are compared: less is better.
    fn rank(&self, packing: &Packing) -> (i64, usize, i64) {
        let problem = self.problem;
        (packing.cost, packing.actions(problem), packing.dislike(problem))
    }

    /// Hands in a placement.
    pub fn offer(&mut self, packing: Packing, by: Finder) {
        let before = self.best_cost();
        if before.is_some_and(|cost| packing.cost > cost) {
            return;
        }
        let key = |p: &Packing| self.rank(p);
        if self.best.as_ref().is_some_and(|best| key(best) <= key(&packing)) {
            return;
        }
        let cost = packing.cost;
        self.best = Some(packing);
        if before != Some(cost) {
            let objective = self.absolute(cost);
            self.note(Progress::Found { objective, by });
        }
        self.refuse_false_ones();
    }

    /// Hands in a bound. If it does not follow from its certificate, it is dropped and reported.
    pub fn prove(&mut self, bound: Bound) {
        if let Err(violation) = verify::certified(self.instance, &bound) {
            self.counters.refused += 1;
            tracing::error!(target: TARGET, %violation, bound = self.absolute(bound.value), "a bound was dropped: a mistake in its method");
            return;
        }
        let before = self.floor();
        let (value, by) = (bound.value, bound.by);
        self.bounds.push(bound);
        self.refuse_false_ones();
        if before.is_none_or(|before| value > before) && self.floor() == Some(value) {
            let bound = self.absolute(value);
            self.note(Progress::Proved { bound, by });
        }
    }

    /// Drops bounds that the best placement shows to be false.
    fn refuse_false_ones(&mut self) {
        let Some(cost) = self.best_cost() else { return };
        let (kept, refused): (Vec<Bound>, Vec<Bound>) =
            self.bounds.drain(..).partition(|bound| bound.value <= cost);
        self.bounds = kept;
        for bound in refused {
            self.counters.refused += 1;
            tracing::error!(
                target: TARGET,
                by = bound.by.as_str(),
                bound = self.absolute(bound.value),
                objective = self.absolute(cost),
                "a bound above the cost of a placement was dropped: a mistake in this method"
            );
        }
    }

    fn note(&mut self, what: Progress) {
        let at = self.watch.elapsed();
        let ms = at.as_secs_f64() * 1e3;
        match what {
            Progress::Found { objective, by } => {
                tracing::debug!(target: TARGET, ms, objective, by = by.as_str(), "found")
            }
            Progress::Proved { bound, by } => {
                tracing::debug!(target: TARGET, ms, bound, by = by.as_str(), "proved")
            }
        }
        self.trace.push(Step { at, what });
    }

    /// The best placement.
    #[must_use]
    pub const fn best(&self) -> Option<&Packing> {
        self.best.as_ref()
    }

    /// Its relative price.
    #[must_use]
    pub fn best_cost(&self) -> Option<i64> {
        self.best.as_ref().map(|best| best.cost)
    }

    /// The best bound.
    fn bound(&self) -> Option<&Bound> {
        // The first of equal ones.
        self.bounds.iter().rev().max_by_key(|bound| bound.value)
    }

    /// Its relative price.
    #[must_use]
    pub fn floor(&self) -> Option<i64> {
        self.bound().map(|bound| bound.value)
    }

    /// Whether the best placement is proven to be the cheapest.
    #[must_use]
    pub fn proven(&self) -> bool {
        self.best_cost().is_some() && self.best_cost() <= self.floor()
    }

    /// Whether there is anything left to do, and time to do it.
    #[must_use]
    pub fn open(&self) -> bool {
        !self.proven() && self.watch.cut().is_none()
    }

    fn absolute(&self, relative: i64) -> u64 {
        let sum = self.problem.base_cost.saturating_add(relative);
        // A placement's cost is never below zero; a bound may be, and then says nothing.
        u64::try_from(sum).unwrap_or(0)
    }

    /// The answer that no container changes. Idle VMs are deleted, down to as many as there must
    /// be, or new ones are added.
    pub fn stay(mut self, packing: Packing) -> Result<Answer, SolveError> {
        let rule = self.problem.idle;
        let of = |spare: bool| {
            let vms = self.problem.spare.iter().zip(&packing.slots).enumerate();
            let vms = vms.filter(move |(_, (is_spare, slot))| **is_spare == spare && slot.boxes.is_empty());
            vms.map(|(v, _)| VmRef::Existing(v))
        };
        let empty = of(false).count();
        // VMs that hold nothing are kept only if that many must be there.
        let wanted = rule.least.saturating_sub(rule.standing - empty);
        let mut idle: Vec<VmRef> = of(false).take(wanted).collect();
        let fresh = (wanted - idle.len()).min(rule.spares + rule.max_new);
        let unchanged = fresh == 0 && idle.len() == empty;
        let new = (0..).map(|number| rule.new_vm(self.problem, number));
        idle.extend(of(true).take(rule.spares).chain(new).take(fresh));
        let placement = packing.placement(self.problem);
        let objective = verify::cost_of(self.instance, &placement, &idle)?;
        self.best = Some(packing);
        self.note(Progress::Found {
            objective,
            by: Finder::Current,
        });
        self.keep_idle(objective);
        self.finish(placement, idle, unchanged, EndedBy::Unchanged)
    }

    /// Bounds are about placements that delete what they do not use. If keeping a VM costs less
    /// than deleting it, an allocation with idle VMs may cost less: then only bounds that hold for
    /// any VMs kept count.
    fn keep_idle(&mut self, objective: u64) {
        if self
            .bound()
            .is_none_or(|bound| self.absolute(bound.value) <= objective)
        {
            return;
        }
        self.bounds.clear();
        let problem = self.problem;
        let kept = problem.use_cost.min(0) * problem.existing.len() as i64;
        self.prove(Bound {
            value: bound::containers(problem) + kept,
            by: Prover::Volume,
            certificate: Certificate::Counted,
        });
    }

    /// Leaves out actions of the best placement that can be left out at no cost. Returns whether it
    /// is proven to be the cheapest, and to have the fewest actions among these.
    pub fn settle(&mut self) -> bool {
        let proven = self.proven();
        let Some(packing) = self.best.take() else {
            return false;
        };
        let before = self.rank(&packing);
        let settled = ties::settle(self.problem, packing, proven, &self.watch, &mut self.counters);
        let packing = settled.packing;
        let after = self.rank(&packing);
        self.best = Some(packing);
        self.refuse_false_ones();
        if after < before {
            let objective = self.absolute(after.0);
            let by = Finder::Ties;
            self.note(Progress::Found { objective, by });
        }
        settled.fewest && self.proven()
    }

    /// Returns the best placement, if it passes the checker.
    pub fn answer(mut self, ended_by: EndedBy) -> Result<Answer, SolveError> {
        let Some(mut packing) = self.best.take() else {
            return Err(SolveError::Undecided);
        };
        let mut meter = self.watch.grace().meter(UNLIMITED);
        let settled = packing.clone();
        if packing.resettle(self.problem, &mut meter)
            && packing.actions(self.problem) > settled.actions(self.problem)
        {
            packing = settled;
        }
        drop(meter);
        let placement = packing.placement(self.problem);
        let idle = packing.idle(self.problem);
        self.best = Some(packing);
        self.refuse_false_ones();
        self.finish(placement, idle, false, ended_by)
    }

    fn finish(
        mut self,
        placement: Vec<PlacedVm>,
        idle: Vec<VmRef>,
        unchanged: bool,
        ended_by: EndedBy,
    ) -> Result<Answer, SolveError> {
        let objective = verify::cost_of(self.instance, &placement, &idle)?;
        let stated = self.best_cost().map(|cost| self.absolute(cost));
        if ended_by != EndedBy::Unchanged && stated != Some(objective) {
            return Err(SolveError::Refused(Violation::WrongObjective {
                stated: stated.unwrap_or(0),
                true_one: objective,
            }));
        }
        let (bound, proved_by) = self.bound().map_or((0, Prover::Volume), |bound| {
            (self.absolute(bound.value), bound.by)
        });
        verify::bound_holds(objective, bound)?;
        let gap = if objective == 0 {
            0.0
        } else {
            (objective - bound) as f64 / objective as f64
        };
        self.counters.ticks = self.watch.spent();
        Ok(Answer {
            placement,
            idle,
            unchanged,
            objective,
            bound,
            proved_by,
            gap,
            proven_optimal: bound == objective,
            ended_by,
            counters: self.counters,
            trace: self.trace,
        })
    }
}
