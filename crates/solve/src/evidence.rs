//! Bounds as they are handed in: a value, who proved it, and what the proof says of itself.
//!
//! A method never lowers its bound to fit a placement. One that is above a placement's cost is
//! false; [`super::tally`] refuses it and says so in the log.

/// Who proves bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Prover {
    /// What all demand, the least numbers of containers and unavoidable waste force.
    Volume,
    /// The relaxation that places kept containers and only counts new ones.
    Relaxation,
    /// The same in parts, under a toll on room.
    RelaxationInParts,
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
    /// As in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What a proof rests on, in a form that the checker can look at without the method.
#[derive(Debug, Clone, PartialEq)]
pub enum Certificate {
    /// Sums over the question itself: the checker counts them again.
    Counted,
    /// A value for each tier that has demand, in steps of one over `scale`: the checker works out what
    /// a VM can be worth.
    Values {
        /// Steps in a price of one.
        scale: i64,
        /// One for each tier with demand, in order.
        values: Vec<i64>,
        /// Placements with up to so many new VMs of each shape on which a container fits.
        news: Vec<usize>,
    },
    /// Everything within this scope was looked at, and nothing below the bound was found.
    Exhausted {
        /// Placements with up to so many new VMs of each shape on which a container fits.
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
    /// Who says so.
    pub by: Prover,
    /// Why.
    pub certificate: Certificate,
}

/// Who finds placements.
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
    /// As in answers.
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
