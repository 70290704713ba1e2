//! Improvement, and what is proven beside it.

use super::{Course, STEP_NODES, beside};
use crate::construct::{self, Start};
use crate::evidence::Finder;
use crate::improve::{Effort, Ended};
use crate::meter::UNLIMITED;
use crate::portfolio::{Rounds, STEPS};
use crate::relax::Relaxed;
use crate::team::Team;
use crate::terms::Limits;

impl Course<'_> {
    /// Improves with both workers while bounds are proven beside them.
    pub(super) fn improve(&mut self, limits: &Limits) {
        let mut begun = std::mem::take(&mut self.begun).into_iter().map(|begun| begun.0);
        let Some(first) = begun.next() else { return };
        let second = begun.next().unwrap_or_else(|| first.clone());
        let soon = self.traits.closed_soon();
        let seconds = self.watch.left().as_secs_f64();
        let relaxed = beside::start(self.problem, &self.traits, self.best_cost(), seconds);
        let mut team = Team::new(first, second, limits.seed);
        let mut round = 0;
        let mut waiting = relaxed.is_some();
        let Rounds { rounds, steps, due } = Rounds::of(&self.traits);
        while self.open() && round < rounds {
            self.round(&mut team, steps, Finder::Improve);
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
                }
            }
        }
        // What has been proven beside an improvement that is over counts all the same.
        let over = relaxed.filter(|_| waiting && !self.tally.proven());
        while let Some(relaxed) = over.as_ref().and_then(|p| p.wait(&self.watch)) {
            self.tally.prove(relaxed.bound);
            self.tally.counters.programs += 1;
        }
    }

    /// Improves the best placement in some more rounds, from other random numbers.
    pub(super) fn carry_on(&mut self, rounds: usize) {
        let Some(best) = self.tally.best().cloned() else {
            return;
        };
        let mut team = Team::new(best.clone(), best, self.seed.wrapping_add(1));
        for _ in 0..rounds {
            if self.open() {
                self.round(&mut team, STEPS, Finder::Improve);
            }
        }
    }

    /// Takes in a bound, and improves the placement that the relaxation suggests for as long as
    /// the one so far has been, before the two are compared.
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
}
