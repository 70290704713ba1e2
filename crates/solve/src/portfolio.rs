//! The portfolio: all methods, which questions each is for, and in which order they have their turn.
//!
//! [`TURNS`] is read from top to bottom: a method has its turn where its scope covers the question and what it waits for
//! has not come about. [`BESIDE`] says what runs on a thread of its own meanwhile, and for how long. What the methods
//! do is in their modules; [`super::course`] calls them, and decides nothing.

use super::knapsack;
use super::problem::Problem;
use super::tariff;

/// What of a question decides which methods are for it.
#[derive(Debug, Clone, Copy)]
pub struct Traits {
    /// Tiers with demand.
    pub tiers: usize,
    /// Containers that exist.
    pub containers: usize,
    /// Tiers times VMs that construction may look at.
    pub pairs: usize,
    /// Every tier is on one VM, and new VMs are all alike.
    pub single: bool,
    /// Some tiers may only be on some VMs.
    pub ruled: bool,
}

impl Traits {
    /// Of a problem.
    #[must_use]
    pub fn of(problem: &Problem) -> Self {
        let tiers = problem.items.len();
        let slots = problem.existing.len() + problem.max_new.min(tiers);
        Self {
            tiers,
            containers: problem.held.iter().map(Vec::len).sum(),
            pairs: tiers.saturating_mul(slots),
            single: knapsack::applies(problem),
            ruled: tariff::applies(problem),
        }
    }

    /// Whether the exact methods get most of the time. With some dozen tiers the tree closes most questions within a
    /// second, and improvement before it only has to find a good placement to prune with.
    #[must_use]
    pub const fn small(&self) -> bool {
        self.tiers <= 24
    }

    /// Whether it takes construction too long to look at every VM for every tier, some eight times over: more than
    /// some tenths of a second.
    const fn long_way(&self) -> bool {
        self.pairs > 2_000_000
    }

    /// Whether the relaxation is worth its memory: HiGHS takes some 25 kB for each tier and container, and an answer
    /// must not take more than a gigabyte. Where nothing runs, it says no more than volume does.
    const fn relaxable(&self) -> bool {
        self.containers > 0 && self.containers + self.tiers < 25_000
    }

    /// Whether HiGHS closes the relaxation as a whole in a second or two. Then the search waits for it, so that the
    /// answer does not depend on how fast HiGHS is.
    #[must_use]
    pub const fn closed_soon(&self) -> bool {
        self.containers <= 600
    }
}

/// A method at its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A first placement, chunk by chunk.
    Chunks,
    /// A first placement, each tier on the VM with the most room.
    Emptiest,
    /// First placements, tier by tier, in several ways.
    Construct,
    /// Vector packing, and its bound.
    Pack,
    /// Refilling a few VMs at a time, with [`BESIDE`] beside it.
    Improve,
    /// The same for some rounds more, with other random numbers.
    ImproveOn,
    /// The solver's own tree.
    Tree,
    /// The whole question as a program for HiGHS.
    Program,
}

/// What a method waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Nothing: it always has its turn.
    Never,
    /// No method before it has found a placement.
    Found,
    /// No method before it has found a placement, but for the quickest one.
    FoundWell,
    /// The answer is not proven, and there is time left.
    Proven,
}

/// One line of the portfolio.
pub struct Turn {
    /// Which method.
    pub step: Step,
    /// It has its turn unless this has come about.
    pub until: Until,
    /// Which questions it is for.
    pub scope: fn(&Traits) -> bool,
}

const fn turn(step: Step, until: Until, scope: fn(&Traits) -> bool) -> Turn {
    Turn { step, until, scope }
}

/// Tiers in one chunk, about: as many as construction places in some tens of milliseconds.
pub const CHUNK: usize = 300;

/// Who has a turn, from the first to the last.
pub const TURNS: &[Turn] = &[
    turn(Step::Chunks, Until::Never, |q| q.tiers >= 2 * CHUNK),
    turn(Step::Emptiest, Until::Found, Traits::long_way),
    turn(Step::Construct, Until::FoundWell, |_| true),
    turn(Step::Emptiest, Until::Found, |q| !q.long_way()),
    turn(Step::Pack, Until::Proven, |q| !q.small()),
    turn(Step::Improve, Until::Proven, |_| true),
    turn(Step::Tree, Until::Proven, |_| true),
    turn(Step::Pack, Until::Proven, Traits::small),
    turn(Step::ImproveOn, Until::Proven, Traits::small),
    turn(Step::Program, Until::Proven, |_| true),
];

/// What proves bounds beside the improvement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Lagrange's bound with a knapsack for each VM. It needs a price to stay below.
    Knapsack,
    /// What room costs, of the VMs that each tier may be on.
    Tariff,
    /// The relaxation without whole numbers, which also says what room is worth.
    Linear,
    /// The relaxation with whole numbers. It suggests a placement, which is taken up where `guides` says so: after
    /// the parts, the search has come further than what would begin there.
    Whole {
        /// Whether its placement is taken up.
        guides: bool,
    },
    /// The relaxation in parts, at what room is worth.
    Parts,
}

/// One line of what runs beside the improvement.
pub struct Aside {
    /// Which method.
    pub method: Beside,
    /// Its share of the time that is left, in hundredths. Shares of methods that run one after the other come to less
    /// than the whole: HiGHS may take longer than it is told.
    pub share: u32,
    /// Which questions it is for.
    pub scope: fn(&Traits) -> bool,
}

const fn aside(method: Beside, share: u32, scope: fn(&Traits) -> bool) -> Aside {
    Aside { method, share, scope }
}

/// What runs beside the improvement, one after the other.
pub const BESIDE: &[Aside] = &[
    aside(Beside::Knapsack, 100, |q| q.single && !q.small()),
    aside(Beside::Tariff, 20, |q| q.ruled),
    aside(Beside::Linear, 40, Traits::relaxable),
    aside(Beside::Whole { guides: true }, 55, |q| {
        q.relaxable() && q.closed_soon()
    }),
    aside(Beside::Parts, 45, |q| q.relaxable() && !q.closed_soon()),
    // Up to so many containers HiGHS comes to something in the time that the parts leave.
    aside(Beside::Whole { guides: false }, 35, |q| {
        q.relaxable() && !q.closed_soon() && q.containers <= 1_000
    }),
];

/// How an improvement goes.
#[derive(Debug, Clone, Copy)]
pub struct Rounds {
    /// Most rounds.
    pub rounds: u64,
    /// Steps of each worker in a round.
    pub steps: u64,
    /// After so many rounds the relaxation is waited for, where it is closed soon.
    pub due: u64,
}

/// Steps of each worker in a round: some hundredths of a second's work, after which the two are joined.
pub const STEPS: u64 = 1_000;

impl Rounds {
    /// For a question. Small ones are only prepared for the tree. On large ones each tier has had a few steps by the
    /// end; most are ended by the clock before.
    #[must_use]
    pub fn of(traits: &Traits) -> Self {
        if traits.small() {
            return Self {
                rounds: 8,
                steps: 100,
                due: 2,
            };
        }
        Self {
            rounds: 400.max(4 * traits.tiers as u64),
            steps: STEPS,
            due: 30,
        }
    }
}
