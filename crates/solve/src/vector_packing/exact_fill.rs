//! Looks for a packing that leaves almost nothing empty: only bins within the waste that the number
//! of bins allows are kept, all other items are loose, and a few bins at a time are emptied to fill
//! one more.
//!
//! If bins must be filled to the last step, how much is left over says little about how near a
//! complete packing is; the number of filled bins does.

#![allow(clippy::indexing_slicing)] // items and bins are numbered here

use std::collections::BTreeMap;

use super::first_fit;
use super::repack::{Load, MOST, Room};
use crate::rng::Rng;

/// Most patterns of one step.
const PATTERNS: usize = 6_000;
/// Most nodes of one step's choice among them.
const NODES: u64 = 4_000;
/// Items that one step looks at, about, and how many loose ones at least.
const LOCAL: usize = 30;
const LEAST_LOOSE: usize = 12;
/// Work of a step without a result, about.
const LOOK: u64 = 100;
/// How often a pair is drawn in search of a third item.
const TRIES: usize = 60;
/// Most items of one pattern, and most work for all of them.
const DEEPEST: u32 = 8;
const MOST_WORK: u64 = 100_000;

/// One part in this many of the room may stay empty.
const TIGHT: u64 = 40;

/// A packing under way.
#[derive(Debug, Clone)]
pub struct Filler<'a> {
    room: Room,
    items: &'a [Load],
    volumes: Vec<u64>,
    /// Bins wanted.
    wanted: usize,
    filled: Vec<Vec<usize>>,
    loose: Vec<usize>,
    /// Volume that may be left empty, and how much of it is.
    slack: u64,
    wasted: u64,
    /// Which bin each item is in.
    home: Vec<usize>,
    /// Items of each size.
    by_size: BTreeMap<Load, Vec<usize>>,
    rng: Rng,
}

/// A set of items that one bin holds, and what it leaves empty.
type Pattern = (u64, u64);

impl<'a> Filler<'a> {
    /// Begins with the bins of a packing that waste least. `None` if there is not enough room at
    /// all.
    #[must_use]
    pub fn new(
        capacity: Load,
        items: &'a [Load],
        packing: &[Vec<usize>],
        wanted: usize,
        seed: u64,
    ) -> Option<Self> {
        let room = Room { capacity };
        let volumes: Vec<u64> = items.iter().map(|&w| room.volume(w)).collect();
        let slack = (room.whole() * wanted as u64).checked_sub(volumes.iter().sum())?;
        let waste = |bin: &[usize]| room.whole() - bin.iter().map(|&i| volumes[i]).sum::<u64>();
        let mut all: Vec<(u64, Vec<usize>)> = packing.iter().map(|bin| (waste(bin), bin.clone())).collect();
        all.sort();
        let (mut filled, mut loose, mut wasted) = (Vec::new(), Vec::new(), 0);
        for (waste, bin) in all {
            if wasted + waste <= slack && filled.len() < wanted {
                wasted += waste;
                filled.push(bin);
            } else {
                loose.extend(bin);
            }
        }
        let mut home = vec![usize::MAX; items.len()];
        for (at, bin) in filled.iter().enumerate() {
            bin.iter().for_each(|&item| home[item] = at);
        }
        let mut by_size: BTreeMap<Load, Vec<usize>> = BTreeMap::new();
        for (item, &size) in items.iter().enumerate() {
            by_size.entry(size).or_default().push(item);
        }
        let rng = Rng::new(seed);
        Some(Self {
            room,
            items,
            volumes,
            wanted,
            filled,
            loose,
            slack,
            wasted,
            home,
            by_size,
            rng,
        })
    }

    /// The packing, if nothing is loose.
    #[must_use]
    pub fn packing(&self) -> Option<Vec<Vec<usize>>> {
        (self.loose.is_empty() && self.filled.len() <= self.wanted).then(|| self.filled.clone())
    }

    /// The filled bins, and the loose items in bins of their own.
    #[must_use]
    pub fn completed(&self) -> Vec<Vec<usize>> {
        let sizes: Vec<Load> = self.loose.iter().map(|&i| self.items[i]).collect();
        let rest = first_fit::best(self.room.capacity, &sizes);
        let rest = rest
            .into_iter()
            .map(|bin| bin.into_iter().map(|i| self.loose[i]).collect());
        self.filled.iter().cloned().chain(rest).collect()
    }

    /// Whether every bin must be full.
    #[must_use]
    pub const fn exact(&self) -> bool {
        self.slack == 0
    }

    /// Whether the wanted bins leave so little empty that this is the way to look for them.
    #[must_use]
    pub const fn tight(&self) -> bool {
        self.slack * TIGHT <= self.room.whole() * self.wanted as u64
    }

    fn waste(&self, bin: &[usize]) -> u64 {
        self.room.whole() - bin.iter().map(|&i| self.volumes[i]).sum::<u64>()
    }

    /// Gives up half of the bins, to come another way.
    pub fn shake(&mut self) {
        self.rng.shuffle(&mut self.filled);
        let given_up = self.filled.split_off(self.filled.len() / 2);
        self.home.iter_mut().for_each(|home| *home = usize::MAX);
        for (at, bin) in self.filled.iter().enumerate() {
            bin.iter().for_each(|&item| self.home[item] = at);
        }
        self.loose.extend(given_up.concat());
        self.wasted = self.filled.iter().map(|bin| self.waste(bin)).sum();
    }

    /// One step. Returns the work it took.
    pub fn step(&mut self) -> u64 {
        let (opened, first) = self.open();
        let freed: u64 = opened.iter().map(|bin| self.waste(bin)).sum();
        let mut local: Vec<usize> = opened.concat();
        self.rng.shuffle(&mut self.loose);
        if let Some(at) = first.and_then(|item| self.loose.iter().position(|&i| i == item)) {
            self.loose.swap(0, at);
        }
        let room = LOCAL.saturating_sub(local.len()).max(LEAST_LOOSE);
        let outside = self
            .loose
            .split_off(room.min(self.loose.len()).min(MOST - local.len()));
        local.append(&mut self.loose);
        local.sort_by_key(|&i| std::cmp::Reverse(self.volumes[i]));
        let spare = self.slack - (self.wasted - freed);
        let (mut patterns, mut work) = self.patterns(&local, spare);
        self.rng.shuffle(&mut patterns);
        let wanted = (opened.len() + 1).min(self.wanted - self.filled.len());
        let mut nodes = NODES;
        let better = disjoint(&patterns, wanted, spare, &mut nodes);
        // As many in another way is as good.
        let found = better.or_else(|| disjoint(&patterns, opened.len(), spare, &mut nodes));
        work += NODES - nodes;
        let take = |set: u64| (0..local.len()).filter(move |i| set >> i & 1 == 1);
        let bins: Vec<Vec<usize>> = match found {
            Some(found) => found
                .into_iter()
                .map(|set| take(set).map(|i| local[i]).collect())
                .collect(),
            None => opened,
        };
        self.wasted = self.wasted - freed + bins.iter().map(|bin| self.waste(bin)).sum::<u64>();
        for bin in bins {
            bin.iter().for_each(|&item| self.home[item] = self.filled.len());
            self.filled.push(bin);
        }
        self.loose = outside;
        for item in local {
            // A home that is not among the bins is none.
            if self
                .filled
                .get(self.home[item])
                .is_none_or(|bin| !bin.contains(&item))
            {
                self.home[item] = usize::MAX;
                self.loose.push(item);
            }
        }
        work + LOOK
    }

    /// Takes a few bins out: such that a loose item exactly fills a bin together with two of their
    /// items, and others.
    fn open(&mut self) -> (Vec<Vec<usize>>, Option<usize>) {
        let count = self.rng.below(7).min(self.filled.len());
        let mut chosen: Vec<usize> = Vec::with_capacity(count + 2);
        let first = (!self.loose.is_empty()).then(|| self.loose[self.rng.below(self.loose.len())]);
        if let Some(first) = first.filter(|_| self.slack == 0) {
            for other in self.fellows(first) {
                let home = self.home[other];
                if home != usize::MAX && !chosen.contains(&home) {
                    chosen.push(home);
                }
            }
        }
        while chosen.len() < count {
            let at = self.rng.below(self.filled.len());
            if !chosen.contains(&at) {
                chosen.push(at);
            }
        }
        let mut room = MOST - LEAST_LOOSE;
        chosen.retain(|&at| {
            let fits = self.filled[at].len() <= room;
            room -= if fits { self.filled[at].len() } else { 0 };
            fits
        });
        chosen.sort_unstable_by(|a, b| b.cmp(a));
        let mut opened = Vec::with_capacity(chosen.len());
        for at in chosen {
            opened.push(self.filled.swap_remove(at));
            if let Some(moved) = self.filled.get(at) {
                moved.iter().for_each(|&item| self.home[item] = at);
            }
        }
        (opened, first)
    }

    /// Two items that fill a bin together with this one, if such are found soon.
    fn fellows(&mut self, first: usize) -> Vec<usize> {
        let capacity = self.room.capacity;
        let one = self.items[first];
        for _ in 0..TRIES {
            let other = self.rng.below(self.items.len());
            let two = self.items[other];
            let rest = [0, 1].map(|r| capacity[r].checked_sub(one[r] + two[r]));
            if let ([Some(a), Some(b)], true) = (rest, other != first)
                && let Some(fitting) = self.by_size.get(&[a, b])
            {
                let third = fitting[self.rng.below(fitting.len())];
                if third != first && third != other {
                    return vec![other, third];
                }
            }
        }
        Vec::new()
    }

    /// Sets of these items that fit and leave at most `spare` empty.
    fn patterns(&self, local: &[usize], spare: u64) -> (Vec<Pattern>, u64) {
        let capacity = self.room.capacity;
        let sizes: Vec<Load> = local.iter().map(|&i| self.items[i]).collect();
        // The least that any item from here on takes of each resource.
        let mut least = vec![[u64::MAX; 2]; local.len() + 1];
        for at in (0..local.len()).rev() {
            least[at] = [0, 1].map(|r| least[at + 1][r].min(sizes[at][r]));
        }
        let mut found = Vec::new();
        let mut work = 0u64;
        // What has been chosen so far, the room left, and the next item to try.
        let mut stack: Vec<(u64, Load, usize)> = vec![(0, capacity, 0)];
        while let Some(top) = stack.last_mut() {
            let (set, left, from) = *top;
            let fits = |w: &Load| w[0] <= left[0] && w[1] <= left[1];
            let next = (from..local.len()).find(|&at| fits(&sizes[at]));
            work += (next.unwrap_or(local.len()) - from) as u64 + 1;
            let Some(next) = next else {
                stack.pop();
                continue;
            };
            top.2 = next + 1;
            let left = [left[0] - sizes[next][0], left[1] - sizes[next][1]];
            let set = set | 1 << next;
            let empty = self.room.volume(left);
            if empty <= spare {
                found.push((set, empty));
                if found.len() >= PATTERNS || work > MOST_WORK {
                    return (found, work);
                }
            }
            let least = least[next + 1];
            let deep = set.count_ones() < DEEPEST && least[0] <= left[0] && least[1] <= left[1];
            if deep && empty > 0 {
                stack.push((set, left, next + 1));
            }
        }
        (found, work)
    }
}

/// This many patterns without a common item, within the waste.
fn disjoint(patterns: &[Pattern], wanted: usize, spare: u64, nodes: &mut u64) -> Option<Vec<u64>> {
    let mut chosen: Vec<usize> = Vec::with_capacity(wanted);
    let mut states: Vec<(u64, u64)> = vec![(0, spare)];
    let mut at = 0;
    loop {
        if chosen.len() == wanted {
            return Some(chosen.iter().map(|&i| patterns[i].0).collect());
        }
        if *nodes == 0 {
            return None;
        }
        *nodes -= 1;
        let (used, left) = *states.last()?;
        let next = (at..patterns.len()).find(|&i| patterns[i].0 & used == 0 && patterns[i].1 <= left);
        if let Some(i) = next {
            chosen.push(i);
            states.push((used | patterns[i].0, left - patterns[i].1));
            at = i + 1;
        } else {
            states.pop();
            at = chosen.pop()? + 1;
        }
    }
}
