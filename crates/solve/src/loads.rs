//! Whether amounts exist for tiers whose sets of VMs are decided one after the other.
//!
//! Amounts exist if and only if, in each resource on its own, no set `U` of the VMs is asked for
//! more than it has: tiers that are only on VMs of `U` bring all their demand, every other
//! container on a VM of `U` at least one step (max-flow min-cut with lower bounds of one). Not
//! all sets need be looked at. What is asked of `U` and what it has are sums over the pieces
//! into which the tiers that are only on VMs of `U` tie it, so that one such piece is
//! overloaded if `U` is. A piece is a single VM, or the union of sets of divided tiers that hang together:
//! few, where few tiers are divided. Where many divided tiers meet on one VM there are more than can be
//! looked at; then some are left out, so that what is refused is impossible, but what is not refused
//! has to be checked ([`Loads::exact`]).
//!
//! It must not allocate once its vectors have grown, and knows nothing of prices.

#![allow(clippy::indexing_slicing)] // ranks and VMs are bounded by the sizes made in `new`

use super::problem::Pair;

/// A set of VMs, one bit each.
pub type Set = u32;

/// Several VMs tied together by divided tiers.
#[derive(Debug, Clone, Copy)]
struct Piece {
    set: Set,
    load: Pair,
    room: Pair,
}

/// What came of adding pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tied {
    /// All were added.
    All,
    /// Some were left out.
    Some,
    /// One has not the room for what it is asked for.
    Overloaded,
}

/// What is asked of the VMs by the tiers decided so far.
#[derive(Debug)]
pub struct Loads {
    room: Vec<Pair>,
    /// For each number of tiers decided, the load of each VM.
    single: Vec<Pair>,
    /// For each number of tiers decided, one behind the other, the pieces.
    pieces: Vec<Piece>,
    /// Where the pieces of each number of tiers decided begin.
    starts: Vec<usize>,
    decided: Vec<(Set, Pair)>,
    /// After how many decisions pieces were first left out.
    inexact: Option<usize>,
}

/// Most pieces after one decision. Beyond some hundred, a flow at the end costs less than they do.
const MOST_PIECES: usize = 256;
/// Most pieces kept for all decisions together: 40 MB.
const MOST_KEPT: usize = 1 << 20;

impl Loads {
    /// Nothing decided yet.
    #[must_use]
    pub fn new(room: Vec<Pair>) -> Self {
        Self {
            single: vec![[0; 2]; room.len()],
            room,
            pieces: Vec::new(),
            starts: vec![0],
            decided: Vec::new(),
            inexact: None,
        }
    }

    /// Whether amounts surely exist for what is decided.
    #[must_use]
    pub const fn exact(&self) -> bool {
        self.inexact.is_none()
    }

    /// Whether a VM has room for all of `demand`.
    #[must_use]
    pub fn fits(&self, vm: usize, demand: Pair) -> bool {
        let load = self.single[self.decided.len() * self.room.len() + vm];
        within([load[0] + demand[0], load[1] + demand[1]], self.room[vm])
    }

    /// Decides a tier: `demand` is on all VMs of `set`. False if no amounts exist then, and
    /// nothing is decided.
    pub fn push(&mut self, set: Set, demand: Pair) -> bool {
        let count = self.room.len();
        let base = self.decided.len() * count;
        let each = if set.is_power_of_two() { demand } else { [1, 1] };
        for vm in bits(set) {
            let load = self.single[base + vm];
            if !within([load[0] + each[0], load[1] + each[1]], self.room[vm]) {
                return false;
            }
        }
        let (start, end) = (self.starts[self.decided.len()], self.pieces.len());
        let whole = end < MOST_KEPT;
        for at in if whole { start..end } else { end..end } {
            let mut piece = self.pieces[at];
            let more = inside(set, demand, piece.set);
            piece.load = [piece.load[0] + more[0], piece.load[1] + more[1]];
            if !within(piece.load, piece.room) {
                self.pieces.truncate(end);
                return false;
            }
            self.pieces.push(piece);
        }
        let tied = if set.is_power_of_two() {
            Tied::All
        } else {
            self.tie(set, demand, end)
        };
        if tied == Tied::Overloaded {
            self.pieces.truncate(end);
            return false;
        }
        self.single.truncate(base + count);
        self.single.extend_from_within(base..);
        for vm in bits(set) {
            let load = &mut self.single[base + count + vm];
            *load = [load[0] + each[0], load[1] + each[1]];
        }
        self.decided.push((set, demand));
        self.starts.push(end);
        if self.inexact.is_none() && (tied == Tied::Some || !whole) {
            self.inexact = Some(self.decided.len());
        }
        true
    }

    /// Takes the last decision back.
    pub fn pop(&mut self) {
        if self.decided.pop().is_some() {
            if self.inexact > Some(self.decided.len()) {
                self.inexact = None;
            }
            let start = self.starts.pop().unwrap_or(0);
            self.pieces.truncate(start);
            self.single.truncate((self.decided.len() + 1) * self.room.len());
        }
    }

    /// Adds the pieces that a divided tier makes: its own set, and that with all it touches. Those of
    /// this decision begin at `start`.
    fn tie(&mut self, set: Set, demand: Pair, start: usize) -> Tied {
        let before = self.pieces.len();
        let known = |pieces: &[Piece], wanted: Set| pieces.iter().any(|p| p.set == wanted);
        if !known(&self.pieces[start..], set) && !self.begin(set, set, demand) {
            return Tied::Overloaded;
        }
        for at in start..before {
            let other = self.pieces[at].set;
            if other & set == 0 {
                continue;
            }
            if !known(&self.pieces[start..], other | set) && !self.begin(other | set, set, demand) {
                return Tied::Overloaded;
            }
            for made in before..self.pieces.len() {
                if self.pieces.len() - start > MOST_PIECES {
                    return Tied::Some;
                }
                let wider = self.pieces[made].set | other;
                if !known(&self.pieces[start..], wider) && !self.begin(wider, set, demand) {
                    return Tied::Overloaded;
                }
            }
        }
        Tied::All
    }

    /// Adds one piece, the tier that is being decided included.
    fn begin(&mut self, piece: Set, set: Set, demand: Pair) -> bool {
        let mut load = inside(set, demand, piece);
        for &(set, demand) in &self.decided {
            let more = inside(set, demand, piece);
            load = [load[0] + more[0], load[1] + more[1]];
        }
        let room = bits(piece).fold([0, 0], |sum: Pair, vm| {
            [sum[0] + self.room[vm][0], sum[1] + self.room[vm][1]]
        });
        self.pieces.push(Piece {
            set: piece,
            load,
            room,
        });
        within(load, room)
    }
}

/// The VMs of a set.
pub fn bits(set: Set) -> impl Iterator<Item = usize> {
    let mut left = set;
    std::iter::from_fn(move || {
        let vm = left.trailing_zeros() as usize;
        (left != 0).then(|| {
            left &= left - 1;
            vm
        })
    })
}

/// What a tier on `set` asks of the VMs of `piece` at least.
fn inside(set: Set, demand: Pair, piece: Set) -> Pair {
    if set & !piece == 0 {
        return demand;
    }
    let steps = i64::from((set & piece).count_ones());
    [steps, steps]
}

fn within(load: Pair, room: Pair) -> bool {
    load[0] <= room[0] && load[1] <= room[1]
}
