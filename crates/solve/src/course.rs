//! The course of one attempt: which methods are tried, in which order, with what is known by then.
//!
//! It contains no method itself. What they find and prove is handed to the [`Tally`].

use std::sync::Arc;

use super::answer::{Answer, EndedBy};
use super::bound;
use super::construct::{self, Start};
use super::evidence::{Bound, Certificate, Finder, Prover};
use super::exact::{self, Proof};
use super::explain::{self, Infeasible};
use super::improve::{Effort, Ended};
use super::instance::Instance;
use super::knapsack;
use super::meter::UNLIMITED;
use super::packing::Packing;
use super::pinned;
use super::problem::Problem;
use super::program::Pending;
use super::relax::Relaxed;
use super::tally::Tally;
use super::team::Team;
use super::terms::{Limits, SolveError};
use super::verify;
use super::watch::Watch;

mod beside;
mod first;

/// What an attempt should find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// The best answer within the limits.
    Best,
    /// Any answer at all: the question is only whether there is one.
    Any,
}

/// Steps of each worker in one round.
const ROUND: u64 = 1_000;
/// The same on instances that are small.
const SMALL_ROUND: u64 = 100;
/// Long rounds for a small instance that the tree could not solve.
const LONG: usize = 8;
/// Up to this many tiers, the exact methods get most of the time.
const SMALL: usize = 24;
/// Nodes of one step of an improvement.
const STEP_NODES: u64 = 3_000;

/// The same for the whole program, in tiers times VMs, if a proof is wanted however long it takes.
const MOST_BINARIES: usize = 40_000;

/// Seconds of the first whole program in search of a proof. Each further one has twice as long, so
/// that an abandoned one runs on for no longer than all before it did.
const FIRST_PROGRAM: f64 = 2.0;

/// Share of the remaining time that packing may take before the other methods have their turn.
const MOST_OF_IT: f64 = 0.8;

/// One attempt under way.
pub struct Course<'a> {
    tally: Tally<'a>,
    instance: &'a Instance,
    problem: &'a Arc<Problem>,
    watch: Watch<'a>,
    seed: u64,
}

impl<'a> Course<'a> {
    /// The start: nothing found, and proven what the quick bounds prove.
    #[must_use]
    pub fn new(instance: &'a Instance, problem: &'a Arc<Problem>, watch: Watch<'a>, seed: u64) -> Self {
        let mut tally = Tally::new(instance, problem, watch);
        let mut meter = watch.grace().meter(UNLIMITED);
        // If using a VM is cheaper than deleting it, this is all that is certain without counting.
        let free = problem.use_cost.min(0) * problem.existing.len() as i64;
        let vms = bound::fleet(problem, &mut meter).map_or(free, |fleet| fleet.price);
        tally.prove(Bound {
            value: bound::containers(problem) + vms,
            by: Prover::Volume,
            certificate: Certificate::Counted,
        });
        Self {
            tally,
            instance,
            problem,
            watch,
            seed,
        }
    }

    /// The current allocation, if the plan asks for exactly its totals and it is allowed as it is.
    #[must_use]
    pub fn unchanged(&self) -> Option<Packing> {
        if !self.instance.may_stay {
            return None;
        }
        let mut packing = Packing::empty(self.problem);
        for (vm, held) in self.problem.held.iter().enumerate() {
            for &(item, amount) in held {
                packing.put(self.problem, vm, item, amount);
            }
        }
        let placement = packing.placement(self.problem);
        let idle = packing.idle(self.problem);
        verify::cost_of(self.instance, &placement, &idle)
            .is_ok()
            .then_some(packing)
    }

    /// Answers with the current allocation.
    pub fn stay(self, packing: Packing) -> Result<Answer, SolveError> {
        self.tally.stay(packing)
    }

    /// Answers with what was found.
    pub fn answer(self, ended_by: EndedBy) -> Result<Answer, SolveError> {
        self.tally.answer(ended_by)
    }

    fn best_cost(&self) -> Option<i64> {
        self.tally.best_cost()
    }

    fn open(&self) -> bool {
        self.tally.open()
    }

    /// Searches until the answer is proven or the limits end it.
    pub fn run(&mut self, limits: &Limits, aim: Aim) -> Result<EndedBy, SolveError> {
        let begun = first::placements(self.problem, &self.watch);
        if let Some((first, by)) = begun.first() {
            self.tally.offer(first.clone(), *by);
        }
        if aim == Aim::Any && self.tally.best().is_some() {
            return Ok(EndedBy::WorkLimit);
        }
        if self.open() && !self.small() {
            self.pack();
        }
        if self.open() && !begun.is_empty() {
            self.improve(begun.into_iter().map(|b| b.0).collect(), limits);
        }
        if self.open() {
            self.by_tree(limits)?;
        }
        if self.open() && self.small() {
            self.pack();
            self.carry_on(LONG);
        }
        if self.open() {
            self.by_program()?;
        }
        if limits.exact {
            self.insist()?;
        }
        let settled = aim == Aim::Best && self.tally.settle();
        if settled {
            return Ok(EndedBy::Proof);
        }
        match (self.tally.best(), self.watch.cut()) {
            (None, Some(EndedBy::Stopped)) => Err(SolveError::Stopped),
            (None, _) => Err(SolveError::Undecided),
            (Some(_), Some(cut)) => Ok(cut),
            (Some(_), None) => Ok(EndedBy::WorkLimit),
        }
    }

    /// Packs, if every tier is on one new VM: that is a question of its own, with better methods.
    fn pack(&mut self) {
        let most = self.watch.left().mul_f64(MOST_OF_IT);
        let mut meter = self.watch.within(most).meter(pinned::allowance(self.problem));
        if let Some(packed) = pinned::pack(self.problem, self.seed, &mut meter) {
            if let Some(packing) = packed.packing {
                self.tally.offer(packing, Finder::VectorPacking);
            }
            self.tally.prove(packed.bound);
        }
    }

    /// Goes on until there is a proof, or the clock or the caller ends it: whole programs, each
    /// with more time than the one before, and improvement at the same time.
    fn insist(&mut self) -> Result<(), SolveError> {
        let mut seconds = FIRST_PROGRAM;
        while self.open() {
            let time = seconds.min(self.watch.left().as_secs_f64());
            let pending = exact::whole_program(self.problem, self.best_cost(), MOST_BINARIES, time);
            seconds *= 2.0;
            self.seed = self.seed.wrapping_add(1);
            let Some((pending, news)) = pending else {
                // Too large for HiGHS, or too much is running: then only improvement.
                self.carry_on(LONG);
                if self.tally.best().is_none() {
                    return Ok(());
                }
                continue;
            };
            self.tally.counters.programs += 1;
            let outcome = loop {
                if self.tally.best().is_none() {
                    break pending.wait(&self.watch);
                }
                self.carry_on(1);
                // In this order, so that a last answer is not missed.
                let over = pending.over();
                let outcome = pending.poll();
                if outcome.is_some() || over || !self.open() {
                    break outcome;
                }
            };
            if outcome.is_none() && self.tally.best().is_none() {
                return Ok(());
            }
            if let Some(outcome) = outcome {
                let best = self.best_cost();
                let proof = exact::read(self.problem, best, outcome, &news, &self.watch);
                self.conclude(proof, Finder::Program, Prover::Program, news)?;
            }
        }
        Ok(())
    }

    /// Improves with both workers while HiGHS works on the relaxation beside them.
    fn improve(&mut self, begun: Vec<Packing>, limits: &Limits) {
        let mut begun = begun.into_iter();
        let Some(first) = begun.next() else { return };
        let second = begun.next().unwrap_or_else(|| first.clone());
        let containers = self.problem.held.iter().map(Vec::len).sum::<usize>();
        let soon = containers <= beside::SOON;
        let relaxed = self.relax(containers);
        let mut team = Team::new(first, second, limits.seed);
        let mut round = 0;
        let mut waiting = relaxed.is_some();
        let (rounds, due) = if self.small() {
            (8, 2)
        } else {
            (400.max(4 * self.problem.items.len() as u64), 30)
        };
        let steps = if self.small() { SMALL_ROUND } else { ROUND };
        while self.open() && round < rounds {
            self.round(&mut team, steps, Finder::Improve);
            round += 1;
            // HiGHS's result is taken in after a fixed round, so that its speed does not matter; if
            // it may take too long for that, whenever it comes.
            if let Some(pending) = relaxed.as_ref().filter(|_| waiting) {
                if soon && round == due {
                    while let Some(relaxed) = pending.wait(&self.watch) {
                        self.take_in(relaxed, &mut team, (round, steps));
                    }
                    waiting = false;
                } else if !soon && let Some(relaxed) = pending.poll() {
                    self.take_in(relaxed, &mut team, (round, steps));
                }
            }
        }
        // What was proven during an improvement that has ended counts all the same.
        let over = relaxed.filter(|_| waiting && !self.tally.proven());
        while let Some(relaxed) = over.as_ref().and_then(|p| p.wait(&self.watch)) {
            self.tally.prove(relaxed.bound);
            self.tally.counters.programs += 1;
        }
    }

    /// Improves the best placement in some more rounds, from other random numbers.
    fn carry_on(&mut self, rounds: usize) {
        let Some(best) = self.tally.best().cloned() else {
            return;
        };
        let mut team = Team::new(best.clone(), best, self.seed.wrapping_add(1));
        for _ in 0..rounds {
            if self.open() {
                self.round(&mut team, ROUND, Finder::Improve);
            }
        }
    }

    fn small(&self) -> bool {
        self.problem.items.len() <= SMALL
    }

    /// Takes in a bound, and improves the placement that the relaxation suggests for as long as the
    /// one so far was improved, before the two are compared.
    fn take_in(&mut self, relaxed: Relaxed, team: &mut Team, (rounds, steps): (u64, u64)) {
        self.tally.prove(relaxed.bound);
        self.tally.counters.programs += 1;
        let Some(guide) = relaxed.guide.filter(|_| self.open()) else {
            return;
        };
        let mut begun = Vec::new();
        let mut meter = self.watch.meter(UNLIMITED);
        for spread_first in [true, false] {
            let start = Start {
                open: guide.open.clone(),
                news: guide.news.clone(),
                kind: guide.news.first().copied().unwrap_or(0),
                order: construct::by_size(self.problem),
                spread_first,
                keep: guide.keep.clone(),
                balance: 2,
                even: true,
                wide: Vec::new(),
            };
            begun.extend(construct::construct(self.problem, &start, &mut meter));
        }
        begun.sort_by_key(|p| p.cost);
        let mut begun = begun.into_iter();
        let Some(first) = begun.next() else { return };
        let second = begun.next().unwrap_or_else(|| first.clone());
        let mut guided = Team::new(first, second, self.seed);
        for _ in 0..rounds {
            self.round(&mut guided, steps, Finder::Guided);
        }
        team.join(guided.best().clone());
    }

    /// One round of both workers, unless the search is over.
    fn round(&mut self, team: &mut Team, steps: u64, by: Finder) {
        let ended = Ended {
            floor: self.tally.floor().unwrap_or(i64::MIN),
            watch: self.watch,
        };
        let effort = Effort {
            steps,
            nodes: STEP_NODES,
        };
        team.round(self.problem, effort, ended, &mut self.tally.counters);
        self.tally.offer(team.best().clone(), by);
    }

    /// Starts the methods that prove bounds during the improvement. The tree is quicker on small
    /// instances.
    fn relax(&self, containers: usize) -> Option<Pending<Relaxed>> {
        let pinned = !self.small() && knapsack::applies(self.problem);
        let below = self.best_cost().filter(|_| pinned);
        let seconds = self.watch.left().as_secs_f64();
        beside::start(self.problem, below, containers, seconds)
    }

    /// Tries to decide the question completely with our own tree.
    fn by_tree(&mut self, limits: &Limits) -> Result<(), SolveError> {
        let nodes = limits.exact.then_some(u64::MAX);
        let best = self.best_cost();
        let (proof, news) = exact::by_tree(self.problem, best, nodes, &self.watch, &mut self.tally.counters);
        self.conclude(proof, Finder::Tree, Prover::Tree, news)
    }

    /// The same with HiGHS.
    fn by_program(&mut self) -> Result<(), SolveError> {
        let best = self.best_cost();
        let (proof, news) = exact::by_program(self.problem, best, &self.watch, &mut self.tally.counters);
        self.conclude(proof, Finder::Program, Prover::Program, news)
    }

    fn conclude(
        &mut self,
        proof: Proof,
        finder: Finder,
        prover: Prover,
        news: Vec<usize>,
    ) -> Result<(), SolveError> {
        let best = self.best_cost();
        let bound = |value| Bound {
            value,
            by: prover,
            certificate: Certificate::Exhausted { news: news.clone() },
        };
        match proof {
            Proof::Open => {}
            Proof::Floor { floor, raw } => self.tally.prove(Bound {
                value: floor,
                by: prover,
                certificate: Certificate::Stated { raw },
            }),
            Proof::Better(packing) => self.tally.offer(packing, finder),
            Proof::Optimal(packing) => {
                let cost = packing.cost;
                self.tally.offer(packing, finder);
                self.tally.prove(bound(cost));
            }
            Proof::NoneBelow => match best {
                Some(cost) => self.tally.prove(bound(cost)),
                None => {
                    let reasons = vec![explain::together(self.instance)];
                    return Err(Infeasible {
                        reasons,
                        repair: None,
                    }
                    .into());
                }
            },
        }
        Ok(())
    }
}
