//! Whether amounts exist for tiers whose sets of VMs are decided one after the other.
//!
//! Amounts exist if and only if, in each resource on its own, no set `U` of the VMs is asked for
//! more than it has: tiers that are only on VMs of `U` bring all their demand, and every other
//! container on a VM of `U` brings at least what containers must have (max-flow min-cut with lower
//! bounds). Not all sets need to be looked at. What is asked of `U`, and what it has, are sums over
//! pieces: the tiers that are only on VMs of `U` connect its VMs, and if `U` is overloaded, then
//! one such piece is. A piece is a single VM, or the union of sets of divided tiers that are
//! connected. There are few pieces if few tiers are divided. If many divided tiers meet on one VM,
//! there are more than can be looked at; then some are left out, so that what is refused is
//! impossible, but what is not refused has to be checked ([`Loads::exact`]).
//!
//! It must not allocate once its vectors have grown, and it knows nothing of prices.

#![allow(clippy::indexing_slicing)] // ranks and VMs are bounded by the sizes made in `new`

use super::resources::{LEAST, plus, within};

/// A set of VMs, one bit each.
pub type Set = u32;

/// Several VMs tied together by divided tiers.
#[derive(Debug, Clone, Copy)]
struct Piece<const R: usize> {
    set: Set,
    load: [i64; R],
    room: [i64; R],
}

/// The result of adding pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tied {
    /// All were added.
    All,
    /// Some were left out.
    Some,
    /// One does not have the room that is asked of it.
    Overloaded,
}

/// What is asked of the VMs by the tiers decided so far, of the first `R` resources.
#[derive(Debug)]
pub struct Loads<const R: usize> {
    room: Vec<[i64; R]>,
    /// For each number of tiers decided, the load of each VM.
    single: Vec<[i64; R]>,
    /// For each number of tiers decided, one after the other, the pieces.
    pieces: Vec<Piece<R>>,
    /// Where the pieces of each number of tiers decided begin.
    starts: Vec<usize>,
    decided: Vec<(Set, [i64; R])>,
    /// After how many decisions pieces were first left out.
    inexact: Option<usize>,
}

/// Most pieces after one decision. Beyond some hundred, they cost more than a flow at the end.
const MOST_PIECES: usize = 256;
/// Most pieces kept for all decisions together: 40 MB.
const MOST_KEPT: usize = 1 << 20;

impl<const R: usize> Loads<R> {
    /// Nothing decided yet.
    #[must_use]
    pub fn new(room: Vec<[i64; R]>) -> Self {
        Self {
            single: vec![[0; R]; room.len()],
            room,
            pieces: Vec::new(),
            starts: vec![0],
            decided: Vec::new(),
            inexact: None,
        }
    }

    /// Whether amounts certainly exist for what is decided.
    #[must_use]
    pub const fn exact(&self) -> bool {
        self.inexact.is_none()
    }

    /// Whether a VM has room for all of `demand`.
    #[must_use]
    pub fn fits(&self, vm: usize, demand: [i64; R]) -> bool {
        let load = self.single[self.decided.len() * self.room.len() + vm];
        within(plus(load, demand), self.room[vm])
    }

    /// Decides a tier: `demand` is on all VMs of `set`. False if no amounts exist then, and
    /// nothing is decided.
    pub fn push(&mut self, set: Set, demand: [i64; R]) -> bool {
        let count = self.room.len();
        let base = self.decided.len() * count;
        let each = if set.is_power_of_two() { demand } else { least() };
        for vm in bits(set) {
            let load = self.single[base + vm];
            if !within(plus(load, each), self.room[vm]) {
                return false;
            }
        }
        let (start, end) = (self.starts[self.decided.len()], self.pieces.len());
        let whole = end < MOST_KEPT;
        for at in if whole { start..end } else { end..end } {
            let mut piece = self.pieces[at];
            let more = inside(set, demand, piece.set);
            piece.load = plus(piece.load, more);
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
            *load = plus(*load, each);
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

    /// Adds the pieces that a divided tier makes: its own set, and its union with everything that
    /// it touches. Those of this decision begin at `start`.
    fn tie(&mut self, set: Set, demand: [i64; R], start: usize) -> Tied {
        let before = self.pieces.len();
        let known = |pieces: &[Piece<R>], wanted: Set| pieces.iter().any(|p| p.set == wanted);
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

    /// Adds one piece, including the tier that is being decided.
    fn begin(&mut self, piece: Set, set: Set, demand: [i64; R]) -> bool {
        let mut load = inside(set, demand, piece);
        for &(set, demand) in &self.decided {
            let more = inside(set, demand, piece);
            load = plus(load, more);
        }
        let room = bits(piece).fold([0; R], |sum, vm| plus(sum, self.room[vm]));
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

/// What a container has at least.
fn least<const R: usize>() -> [i64; R] {
    std::array::from_fn(|r| LEAST[r])
}

/// The least that a tier on `set` asks of the VMs of `piece`.
fn inside<const R: usize>(set: Set, demand: [i64; R], piece: Set) -> [i64; R] {
    if set & !piece == 0 {
        return demand;
    }
    let containers = i64::from((set & piece).count_ones());
    least().map(|least| least * containers)
}
