//! The course of one attempt: what has been found and proven so far, and what is tried next.
//!
//! It decides the order of the methods and joins what they find; it holds no method of its own.

use std::sync::Arc;

use super::answer::{Answer, Counters, EndedBy};
use super::bound;
use super::chunks;
use super::construct::{self, Start};
use super::exact::{self, Proof};
use super::explain::{self, Infeasible};
use super::improve::Effort;
use super::instance::Instance;
use super::knapsack;
use super::packing::Packing;
use super::parts;
use super::problem::Problem;
use super::program::{self, Pending};
use super::relax::{self, Relaxed};
use super::starts::starts;
use super::team::Team;
use super::terms::{Limits, SolveError};
use super::verify;
use super::watch::Watch;

/// What is asked of an attempt.
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
/// Long rounds for a small one that the tree could not close.
const LONG: usize = 8;
/// Up to so many tiers the exact methods get most of the time.
const SMALL: usize = 24;

/// Up to so many existing containers the relaxation is waited for.
const SOON: usize = 600;
/// Up to so many it is solved as a whole, after the parts.
const WHOLE: usize = 1_000;

/// One attempt under way.
pub struct Course<'a> {
    instance: &'a Instance,
    problem: &'a Arc<Problem>,
    watch: Watch<'a>,
    /// Proven: nothing costs less (relative price).
    floor: i64,
    best: Option<Packing>,
    counters: Counters,
    seed: u64,
    /// Whether the machine's speed had a say in the answer.
    clocked: bool,
}

impl<'a> Course<'a> {
    /// The beginning: nothing found, and proven what the quick bounds prove.
    #[must_use]
    pub fn new(instance: &'a Instance, problem: &'a Arc<Problem>, watch: Watch<'a>, seed: u64) -> Self {
        Self {
            instance,
            problem,
            watch,
            floor: bound::containers(problem) + bound::vms(problem).unwrap_or(0),
            best: None,
            counters: Counters::default(),
            seed,
            clocked: false,
        }
    }

    /// Answers with the current allocation.
    pub fn stay(mut self, packing: Packing) -> Result<Answer, SolveError> {
        self.best = Some(packing);
        self.answer(true, EndedBy::Proof)
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
        verify::cost_of(self.instance, &placement)
            .is_ok()
            .then_some(packing)
    }

    fn offer(&mut self, packing: Packing) {
        let key = |p: &Packing| (p.cost, p.actions(self.problem));
        if self.best.as_ref().is_none_or(|b| key(&packing) < key(b)) {
            self.best = Some(packing);
        }
    }

    fn best_cost(&self) -> Option<i64> {
        self.best.as_ref().map(|b| b.cost)
    }

    fn proven(&self) -> bool {
        self.best_cost().is_some_and(|c| c <= self.floor)
    }

    fn open(&self) -> bool {
        !self.proven() && self.watch.cut().is_none()
    }

    /// Searches until the answer is proven or the limits end it.
    pub fn run(&mut self, limits: &Limits, aim: Aim) -> Result<EndedBy, SolveError> {
        let mut begun: Vec<Packing> = Vec::new();
        if self.problem.items.len() >= chunks::WORTH {
            begun.extend(chunks::construct(self.problem, &self.watch));
        }
        if begun.is_empty() {
            for start in starts(self.problem) {
                begun.extend(construct::construct(self.problem, &start));
                if self.watch.cut().is_some() {
                    break;
                }
            }
        }
        begun.sort_by_key(|p| (p.cost, p.actions(self.problem)));
        if let Some(first) = begun.first() {
            self.offer(first.clone());
        }
        if aim == Aim::Any && self.best.is_some() {
            return Ok(EndedBy::WorkLimit);
        }
        if !self.proven() {
            if !begun.is_empty() {
                self.improve(begun, limits);
            }
            if self.open() {
                self.by_tree(limits)?;
            }
            if self.open() && self.small() {
                self.carry_on();
            }
            if self.open() {
                self.by_program()?;
            }
        }
        if self.proven() {
            return Ok(EndedBy::Proof);
        }
        let cut = self.watch.cut();
        match (&self.best, cut) {
            (None, Some(EndedBy::Stopped)) => Err(SolveError::Stopped),
            (None, _) => Err(SolveError::Undecided),
            (Some(_), Some(cut)) => Ok(cut),
            (Some(_), None) if self.clocked => Ok(EndedBy::Deadline),
            (Some(_), None) => Ok(EndedBy::WorkLimit),
        }
    }

    /// Improves with both workers while HiGHS works on the relaxation beside them.
    fn improve(&mut self, begun: Vec<Packing>, limits: &Limits) {
        let mut begun = begun.into_iter();
        let Some(first) = begun.next() else { return };
        let second = begun.next().unwrap_or_else(|| first.clone());
        let containers = self.problem.held.iter().map(Vec::len).sum::<usize>();
        let soon = containers <= SOON;
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
            self.round(&mut team, steps);
            round += 1;
            // What HiGHS says is taken in after a fixed round, so that its speed does not matter;
            // where it may take too long for that, whenever it comes.
            if let Some(pending) = relaxed.as_ref().filter(|_| waiting) {
                if soon && round == due {
                    while let Some(relaxed) = pending.wait(&self.watch) {
                        self.take_in(relaxed, &mut team, (round, steps));
                    }
                    waiting = false;
                } else if !soon && let Some(relaxed) = pending.poll() {
                    self.take_in(relaxed, &mut team, (round, steps));
                    self.clocked = true;
                }
            }
        }
        // What has been proven beside an improvement that is over counts all the same.
        let over = relaxed.filter(|_| waiting && !self.proven());
        while let Some(relaxed) = over.as_ref().and_then(|p| p.wait(&self.watch)) {
            self.floor = self.floor.max(relaxed.floor);
            self.counters.programs += 1;
        }
    }

    /// Improves a small one at length, when the tree could not close it.
    fn carry_on(&mut self) {
        let Some(best) = self.best.clone() else { return };
        let mut team = Team::new(best.clone(), best, self.seed.wrapping_add(1));
        for _ in 0..LONG {
            if self.open() {
                self.round(&mut team, ROUND);
            }
        }
    }

    fn small(&self) -> bool {
        self.problem.items.len() <= SMALL
    }

    /// Takes in a bound, and improves the placement that the relaxation suggests for as long as
    /// the one so far has been, before the two are compared.
    fn take_in(&mut self, relaxed: Relaxed, team: &mut Team, (rounds, steps): (u64, u64)) {
        self.floor = self.floor.max(relaxed.floor);
        self.counters.programs += 1;
        let over = self.proven() || self.watch.cut().is_some();
        let Some(guide) = relaxed.guide.filter(|_| !over) else {
            return;
        };
        let mut begun = Vec::new();
        for spread_first in [true, false] {
            let start = Start {
                open: guide.open.clone(),
                news: guide.news,
                order: construct::by_size(self.problem),
                spread_first,
                keep: guide.keep.clone(),
                balance: 2,
                even: true,
                wide: Vec::new(),
            };
            begun.extend(construct::construct(self.problem, &start));
        }
        begun.sort_by_key(|p| p.cost);
        let mut begun = begun.into_iter();
        let Some(first) = begun.next() else { return };
        let second = begun.next().unwrap_or_else(|| first.clone());
        let mut guided = Team::new(first, second, self.seed);
        for _ in 0..rounds {
            self.round(&mut guided, steps);
        }
        team.join(guided.best().clone());
    }

    /// One round of both workers, unless the search is over.
    fn round(&mut self, team: &mut Team, steps: u64) {
        let (floor, watch) = (self.floor, self.watch);
        let ended = move |cost: i64| cost <= floor || watch.cut().is_some();
        let effort = Effort { steps, nodes: 3_000 };
        team.round(self.problem, effort, &ended, &mut self.counters);
        self.offer(team.best().clone());
    }

    /// Starts the relaxation, where there are containers to keep, and the knapsacks, where all tiers
    /// are pinned. The tree is quicker on small ones.
    fn relax(&self, containers: usize) -> Option<Pending<Relaxed>> {
        let below = self
            .best_cost()
            .filter(|_| !self.small() && knapsack::applies(self.problem));
        if containers == 0 && below.is_none() {
            return None;
        }
        let soon = containers <= SOON;
        let problem = Arc::clone(self.problem);
        program::start(self.watch.left().as_secs_f64(), move |seconds, answer| {
            let floor = below.and_then(|below| knapsack::floor(&problem, below));
            floor.map(Relaxed::bound).into_iter().for_each(&answer);
            if containers == 0 {
                return;
            }
            let linear = relax::solve(&problem, false, seconds * 0.4);
            let toll = linear.as_ref().and_then(|l| l.toll);
            linear.into_iter().for_each(&answer);
            let Some(toll) = toll.filter(|_| !soon) else {
                return relax::solve(&problem, true, seconds * 0.55)
                    .into_iter()
                    .for_each(answer);
            };
            // By then the search has come further than a placement begun from these would.
            let bound = |relaxed: Relaxed| Relaxed {
                guide: None,
                ..relaxed
            };
            let parts = parts::solve(&problem, toll, seconds * 0.45);
            parts.into_iter().map(bound).for_each(&answer);
            if containers <= WHOLE {
                let whole = relax::solve(&problem, true, seconds * 0.35);
                whole.into_iter().map(bound).for_each(answer);
            }
        })
    }

    /// Tries to close the question for good by the own tree.
    fn by_tree(&mut self, limits: &Limits) -> Result<(), SolveError> {
        let nodes = limits.exact.then_some(u64::MAX);
        let best = self.best_cost();
        let proof = exact::by_tree(self.problem, best, nodes, &self.watch, &mut self.counters);
        self.conclude(proof)
    }

    /// The same by HiGHS.
    fn by_program(&mut self) -> Result<(), SolveError> {
        let best = self.best_cost();
        let proof = exact::by_program(self.problem, best, &self.watch, &mut self.counters);
        self.conclude(proof)
    }

    fn conclude(&mut self, proof: Proof) -> Result<(), SolveError> {
        match proof {
            Proof::Open => {}
            Proof::Floor(floor) => self.floor = self.floor.max(floor),
            Proof::Better(packing) => self.offer(packing),
            Proof::Optimal(packing) => {
                self.floor = packing.cost;
                self.offer(packing);
            }
            Proof::NoneBelow => match self.best_cost() {
                Some(cost) => self.floor = cost,
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

    /// The best answer so far, checked.
    pub fn answer(mut self, unchanged: bool, ended_by: EndedBy) -> Result<Answer, SolveError> {
        let Some(mut packing) = self.best.take() else {
            return Err(SolveError::Undecided);
        };
        if !unchanged {
            let before = packing.clone();
            if !packing.resettle(self.problem) || packing.actions(self.problem) > before.actions(self.problem)
            {
                packing = before;
            }
        }
        let placement = packing.placement(self.problem);
        let total =
            |relative: i64| u64::try_from(self.problem.base_cost.saturating_add(relative)).unwrap_or(0);
        let objective = total(packing.cost);
        let bound = total(self.floor.min(packing.cost));
        verify::verify(self.instance, &placement, objective, bound)?;
        let gap = if objective == 0 {
            0.0
        } else {
            (objective - bound) as f64 / objective as f64
        };
        Ok(Answer {
            placement,
            unchanged,
            objective,
            bound,
            gap,
            proven_optimal: bound == objective,
            ended_by,
            counters: self.counters,
        })
    }
}
