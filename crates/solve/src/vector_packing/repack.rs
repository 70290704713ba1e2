//! Whether a few bins can hold more than they do: a limited search over what is in them and what is
//! left over.
//!
//! Bins are filled one after the other, each from the largest item that is still free. What two
//! resources have in common is counted as volume: the sum of the shares of the bin, in whole numbers.

#![allow(clippy::indexing_slicing)] // items are numbered by the list they come in

/// Most items that one search can look at: a bit each.
pub const MOST: usize = 64;

/// One resource vector; both are small enough that volumes fit into 63 bits.
pub type Load = [u64; 2];

/// Room of the bins, with the volume of a full one.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// What a bin has.
    pub capacity: Load,
}

impl Room {
    /// Volume of a load: how much of each resource it takes, in shares of a common size.
    #[must_use]
    pub const fn volume(&self, load: Load) -> u64 {
        load[0] * self.capacity[1] + load[1] * self.capacity[0]
    }

    /// Volume of a full bin.
    #[must_use]
    pub const fn whole(&self) -> u64 {
        2 * self.capacity[0] * self.capacity[1]
    }
}

/// The state of the search before a decision, and which decisions have been tried.
#[derive(Debug, Clone, Copy)]
struct Frame {
    /// Items that are in a bin, or given up.
    used: u64,
    /// Items in the bin that is being filled.
    bin: u64,
    load: Load,
    /// The next item to be tried for this bin.
    next: usize,
    /// Closed bins.
    closed: usize,
    /// Volume that may still be left empty.
    spare: u64,
    /// Volume that may still be given up.
    spill: u64,
    /// Whether giving up the first free item has been tried.
    tried: u8,
}

/// The result of the search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The items of each bin, as bits; the others are left over.
    Bins(Vec<u64>),
    /// There is none.
    Nothing,
    /// The nodes ran out.
    Open,
}

/// Fills `bins` bins with all `items` except for a volume of at most `spill`. `items` should be
/// sorted with the large ones first. `nodes` is counted down.
#[must_use]
pub fn repack(room: Room, items: &[Load], bins: usize, spill: u64, nodes: &mut u64) -> Found {
    if items.len() > MOST {
        return Found::Open;
    }
    let volumes: Vec<u64> = items.iter().map(|&w| room.volume(w)).collect();
    let all: u64 = if items.len() == MOST {
        u64::MAX
    } else {
        (1 << items.len()) - 1
    };
    let total: u64 = volumes.iter().sum();
    let whole = room.whole();
    // What is neither filled nor given up must be empty.
    let there = whole * bins as u64 + spill.min(total);
    if there < total {
        return Found::Nothing;
    }
    let mut stack: Vec<Frame> = vec![Frame {
        used: 0,
        bin: 0,
        load: [0, 0],
        next: 0,
        closed: 0,
        spare: there - total,
        spill,
        tried: 0,
    }];
    let mut done: Vec<u64> = Vec::with_capacity(bins);
    while let Some(top) = stack.last_mut() {
        if *nodes == 0 {
            return Found::Open;
        }
        *nodes -= 1;
        done.truncate(top.closed);
        let free = all & !top.used;
        if top.bin == 0 {
            if free == 0 {
                return Found::Bins(done);
            }
            let first = free.trailing_zeros() as usize;
            let mut next = *top;
            top.tried += 1;
            if top.tried == 1 && top.closed < bins {
                next.used |= 1 << first;
                next.bin = 1 << first;
                next.load = items[first];
                next.next = first + 1;
                next.tried = 0;
                if next.load[0] <= room.capacity[0] && next.load[1] <= room.capacity[1] {
                    stack.push(next);
                }
            } else if top.tried <= 2 && top.spill >= volumes[first] {
                top.tried = 2;
                // Only the large ones are worth a bin of their own; when there are no more bins,
                // all of them are given up.
                next.used |= 1 << first;
                next.spill -= volumes[first];
                next.tried = 0;
                stack.push(next);
            } else {
                stack.pop();
            }
            continue;
        }
        // The next item that fits, in the order of the list.
        let mut left = free & !((1u64 << (top.next.min(63))) - 1);
        if top.next >= MOST {
            left = 0;
        }
        let mut found = None;
        while left != 0 {
            let item = left.trailing_zeros() as usize;
            left &= left - 1;
            let load = [top.load[0] + items[item][0], top.load[1] + items[item][1]];
            if load[0] <= room.capacity[0] && load[1] <= room.capacity[1] {
                found = Some((item, load));
                break;
            }
        }
        let mut next = *top;
        if let Some((item, load)) = found {
            top.next = item + 1;
            next.used |= 1 << item;
            next.bin |= 1 << item;
            next.load = load;
            next.next = item + 1;
            next.tried = 0;
            stack.push(next);
            continue;
        }
        let empty = whole - room.volume(top.load);
        if top.tried == 0 && empty <= top.spare {
            top.tried = 1;
            top.next = MOST;
            done.push(top.bin);
            next.closed += 1;
            next.spare -= empty;
            next.bin = 0;
            next.load = [0, 0];
            next.next = 0;
            next.tried = 0;
            stack.push(next);
        } else {
            stack.pop();
        }
    }
    Found::Nothing
}
