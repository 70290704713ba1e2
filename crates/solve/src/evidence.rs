//! Bounds as methods report them: a value, the method, and the evidence for the proof.
//!
//! A method never lowers its bound to fit a placement. A bound above a placement's cost is false;
//! [`super::tally`] refuses it and logs that.

use super::resources::Amounts;

/// The methods that prove bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Prover {
    /// What follows from all demand, the least numbers of containers and unavoidable waste.
    Volume,
    /// The relaxation that places kept containers and only counts new ones.
    Relaxation,
    /// The same in parts, under a toll on room.
    RelaxationInParts,
    /// What room costs at least, of the VMs that each tier may be on.
    Tariff,
    /// Lagrange's bound with a knapsack for each VM.
    Knapsack,
    /// The linear program over all loads of a VM.
    ColumnGeneration,
    /// The solver's own tree, walked completely.
    Tree,
    /// HiGHS, on the whole question.
    Program,
}

impl Prover {
    /// Its name in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What a proof rests on, in a form that the checker can check without the method.
#[derive(Debug, Clone, PartialEq)]
pub enum Certificate {
    /// Sums over the question itself, which the checker counts again.
    Counted,
    /// A value for each tier with demand, in steps of one over `scale`; from these the checker
    /// works out what a VM can be worth.
    Values {
        /// The two resources in which a VM's room is counted.
        resources: [usize; 2],
        /// Steps in a price of one.
        scale: i64,
        /// One for each tier with demand, in order.
        values: Vec<i64>,
        /// Placements with up to this many new VMs of each shape on which a container fits.
        news: Vec<usize>,
    },
    /// A price for a step of each resource, of each tier with demand, in order: no VM that can be made has room for
    /// which the tiers that may be there pay more than it costs.
    Prices {
        /// Steps in a price of one.
        scale: i64,
        /// The prices.
        prices: Vec<Amounts>,
    },
    /// Everything within this scope was looked at, and nothing below the bound was found.
    Exhausted {
        /// Placements with up to this many new VMs of each shape on which a container fits.
        news: Vec<usize>,
    },
    /// HiGHS said so, within its tolerances: the value before it was rounded up.
    Stated {
        /// Relative price, as HiGHS gave it.
        raw: f64,
    },
}

/// No placement has a smaller price than `value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// Price relative to [`super::problem::Problem::base_cost`].
    pub value: i64,
    /// The method.
    pub by: Prover,
    /// The evidence.
    pub certificate: Certificate,
}

/// The methods that find placements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finder {
    /// What runs now.
    Current,
    /// Tier by tier, largest first.
    Construct,
    /// The same in chunks.
    Chunks,
    /// Each tier on the VM with the most room.
    Emptiest,
    /// Refilling a few VMs at a time.
    Improve,
    /// The same, begun from what the relaxation keeps.
    Guided,
    /// The solver's own tree.
    Tree,
    /// HiGHS, on the whole question.
    Program,
    /// Vector packing, where every tier is on one VM.
    VectorPacking,
    /// Fewer actions at the same price.
    Ties,
}

impl Finder {
    /// Its name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Construct => "construct",
            Self::Chunks => "chunks",
            Self::Emptiest => "emptiest",
            Self::Improve => "improve",
            Self::Guided => "guided",
            Self::Tree => "tree",
            Self::Program => "program",
            Self::VectorPacking => "vector_packing",
            Self::Ties => "ties",
        }
    }
}
