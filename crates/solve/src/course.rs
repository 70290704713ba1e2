//! The course of one attempt: the methods of the portfolio have their turns, on what they know by then.
//!
//! It holds no method of its own, and which of them is for a question is for [`super::portfolio`] to say. What they
//! find and prove is handed to the [`Tally`].

use std::sync::Arc;

use super::answer::{Answer, EndedBy};
use super::bound;
use super::chunks;
use super::construct;
use super::emptiest;
use super::evidence::{Bound, Certificate, Finder, Prover};
use super::exact::{self, Proof};
use super::explain::{self, Infeasible};
use super::instance::Instance;
use super::meter::UNLIMITED;
use super::packing::Packing;
use super::pinned;
use super::portfolio::{Step, TURNS, Traits, Until};
use super::problem::Problem;
use super::starts;
use super::tally::Tally;
use super::terms::{Limits, SolveError};
use super::verify;
use super::watch::Watch;

mod beside;
mod improving;

/// What is asked of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// The best answer within the limits.
    Best,
    /// Any answer at all: the question is only whether there is one.
    Any,
}

/// Long rounds for a small one that the tree could not close: about a second's work.
const LONG: usize = 8;
/// Nodes of one step of an improvement. With more, steps that lead nowhere take too long; with fewer, those of several
/// dozen containers find nothing.
const STEP_NODES: u64 = 3_000;

/// Most binaries, tiers times VMs, of the whole program where a proof is wanted whatever the time: HiGHS takes some
/// hundred megabytes for them.
const MOST_BINARIES: usize = 40_000;

/// Seconds of the first whole program in search of a proof; each one after it has twice as long, so
/// that one that nobody waits for any more runs on for no longer than all before it.
const FIRST_PROGRAM: f64 = 2.0;

/// Share of the time left that packing may take before the other methods have their turn.
const MOST_OF_IT: f64 = 0.8;

/// One attempt under way.
pub struct Course<'a> {
    tally: Tally<'a>,
    instance: &'a Instance,
    problem: &'a Arc<Problem>,
    watch: Watch<'a>,
    seed: u64,
    traits: Traits,
    /// First placements.
    begun: Vec<(Packing, Finder)>,
}

impl<'a> Course<'a> {
    /// The beginning: nothing found, and proven what the quick bounds prove.
    #[must_use]
    pub fn new(instance: &'a Instance, problem: &'a Arc<Problem>, watch: Watch<'a>, seed: u64) -> Self {
        let mut tally = Tally::new(instance, problem, watch);
        let mut meter = watch.grace().meter(UNLIMITED);
        // Where using a VM is cheaper than deleting it, that is all that is certain without counting.
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
            traits: Traits::of(problem),
            begun: Vec::new(),
        }
    }

    /// The current allocation, if the plan asks for its very totals and it is allowed as it is.
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
        let traits = self.traits;
        for turn in TURNS.iter().filter(|turn| (turn.scope)(&traits)) {
            let over = match turn.until {
                Until::Never => false,
                Until::Found => !self.begun.is_empty(),
                Until::FoundWell => self.begun.iter().any(|begun| begun.1 != Finder::Emptiest),
                Until::Proven => {
                    self.begin();
                    if aim == Aim::Any && self.tally.best().is_some() {
                        return Ok(EndedBy::WorkLimit);
                    }
                    !self.open()
                }
            };
            if !over {
                self.take_turn(turn.step, limits)?;
            }
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

    fn take_turn(&mut self, step: Step, limits: &Limits) -> Result<(), SolveError> {
        match step {
            Step::Chunks => {
                let chunked = chunks::construct(self.problem, &self.watch);
                self.begun
                    .extend(chunked.map(|packing| (packing, Finder::Chunks)));
            }
            Step::Emptiest => {
                let mut meter = self.watch.grace().meter(UNLIMITED);
                let found = emptiest::place(self.problem, &mut meter);
                self.begun
                    .extend(found.map(|packing| (packing, Finder::Emptiest)));
            }
            Step::Construct => self.construct(),
            Step::Pack => self.pack(),
            Step::Improve => self.improve(limits),
            Step::ImproveOn => self.carry_on(LONG),
            Step::Tree => self.by_tree(limits)?,
            Step::Program => self.by_program()?,
        }
        Ok(())
    }

    /// Constructs in all ways there are; once time is up, until one has led to anything.
    fn construct(&mut self) {
        let mut meter = self.watch.grace().meter(UNLIMITED);
        for start in starts::starts(self.problem, &mut meter) {
            if !self.begun.is_empty() && self.watch.cut().is_some() {
                break;
            }
            let found = construct::construct(self.problem, &start, &mut meter);
            self.begun
                .extend(found.map(|packing| (packing, Finder::Construct)));
        }
    }

    /// Puts the first placements in order, the cheapest first, and hands that one in.
    fn begin(&mut self) {
        let problem = self.problem;
        self.begun
            .sort_by_key(|(packing, _)| (packing.cost, packing.actions(problem)));
        if self.tally.best().is_none()
            && let Some((first, by)) = self.begun.first()
        {
            self.tally.offer(first.clone(), *by);
        }
    }

    /// Packs, where every tier is on one new VM: a question of its own, for which there are better methods.
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

    /// Goes on until there is a proof, or the clock or the caller ends it: whole programs, each with
    /// more time than the one before, and improvement beside them.
    fn insist(&mut self) -> Result<(), SolveError> {
        let mut seconds = FIRST_PROGRAM;
        while self.open() {
            let time = seconds.min(self.watch.left().as_secs_f64());
            let pending = exact::whole_program(self.problem, self.best_cost(), MOST_BINARIES, time);
            seconds *= 2.0;
            self.seed = self.seed.wrapping_add(1);
            let Some((pending, news)) = pending else {
                // Too large for HiGHS, or too much is running: then only this.
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
                // Asked in this order, so that a last answer is not missed.
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

    /// Tries to close the question for good by the own tree.
    fn by_tree(&mut self, limits: &Limits) -> Result<(), SolveError> {
        let nodes = limits.exact.then_some(u64::MAX);
        let best = self.best_cost();
        let (proof, news) = exact::by_tree(self.problem, best, nodes, &self.watch, &mut self.tally.counters);
        self.conclude(proof, Finder::Tree, Prover::Tree, news)
    }

    /// The same by HiGHS.
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
