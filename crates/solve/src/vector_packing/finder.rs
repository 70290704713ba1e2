//! Looks for a packing into a given number of bins: some are filled, some items are left over, and
//! a few bins at a time are packed again so that less is left over, or as much in another way.

#![allow(clippy::indexing_slicing)] // items and bins are numbered here

use super::repack::{Found, Load, MOST, Room, repack};
use crate::rng::Rng;

/// Most nodes of one step.
const NODES: u64 = 2_000;
/// Work of a step without a result, about.
const LOOK: u64 = 100;

/// A packing into a fixed number of bins that is not complete yet.
#[derive(Debug, Clone)]
pub struct Finder<'a> {
    room: Room,
    items: &'a [Load],
    volumes: Vec<u64>,
    bins: Vec<Vec<usize>>,
    left: Vec<usize>,
    /// Volume left over.
    spill: u64,
    rng: Rng,
}

impl<'a> Finder<'a> {
    /// Begins with a packing into more bins: those filled least are given up.
    #[must_use]
    pub fn new(capacity: Load, items: &'a [Load], packing: &[Vec<usize>], bins: usize, seed: u64) -> Self {
        let room = Room { capacity };
        let volumes: Vec<u64> = items.iter().map(|&w| room.volume(w)).collect();
        let mut all = packing.to_vec();
        let filled = |bin: &Vec<usize>| bin.iter().map(|&i| volumes[i]).sum::<u64>();
        all.sort_by_key(|bin| std::cmp::Reverse(filled(bin)));
        let left: Vec<usize> = all.split_off(bins.min(all.len())).concat();
        all.resize(bins, Vec::new());
        let spill = left.iter().map(|&i| volumes[i]).sum();
        Self {
            room,
            items,
            volumes,
            bins: all,
            left,
            spill,
            rng: Rng::new(seed),
        }
    }

    /// The packing, if nothing is left over.
    #[must_use]
    pub fn packing(&self) -> Option<Vec<Vec<usize>>> {
        let filled = || self.bins.iter().filter(|bin| !bin.is_empty()).cloned().collect();
        self.left.is_empty().then(filled)
    }

    /// One step: a few bins are packed again. Returns the work it took.
    pub fn step(&mut self) -> u64 {
        let budget = NODES;
        let mut nodes = budget;
        let count = 2 + self.rng.below(4);
        let mut chosen: Vec<usize> = Vec::with_capacity(count);
        while chosen.len() < count.min(self.bins.len()) {
            let bin = self.rng.below(self.bins.len());
            if !chosen.contains(&bin) {
                chosen.push(bin);
            }
        }
        let mut local: Vec<usize> = Vec::new();
        let mut rest = self.left.clone();
        self.rng.shuffle(&mut rest);
        let mut bins = Vec::new();
        for &bin in &chosen {
            if local.len() + self.bins[bin].len() > MOST {
                break;
            }
            local.extend(&self.bins[bin]);
            bins.push(bin);
        }
        let more = rest.len().min(12).min(MOST - local.len());
        let outside: Vec<usize> = rest.split_off(more);
        local.extend(rest);
        // Nearly by size: what is tried first differs from step to step.
        let noise = self.room.whole() as usize / 16;
        let mut keyed: Vec<(u64, usize)> = Vec::with_capacity(local.len());
        for &item in &local {
            keyed.push((self.volumes[item] + self.rng.below(noise) as u64, item));
        }
        keyed.sort_unstable_by(|a, b| b.cmp(a));
        let local: Vec<usize> = keyed.into_iter().map(|k| k.1).collect();
        let loads: Vec<Load> = local.iter().map(|&i| self.items[i]).collect();
        let away: u64 = outside.iter().map(|&i| self.volumes[i]).sum();
        let now = self.spill - away;
        // Usually it is good enough if as much is left over as before: the search goes on from
        // elsewhere.
        let allowed = match self.rng.below(16) {
            0..4 => now.saturating_sub(1),
            4 => now + self.room.whole() / 400,
            _ => now,
        };
        if let Found::Bins(found) = repack(self.room, &loads, bins.len(), allowed, &mut nodes) {
            let mut used = 0u64;
            for (&bin, set) in bins.iter().zip(found.iter().chain(std::iter::repeat(&0))) {
                used |= set;
                self.bins[bin] = (0..local.len())
                    .filter(|i| set >> i & 1 == 1)
                    .map(|i| local[i])
                    .collect();
            }
            self.left = outside;
            self.left
                .extend((0..local.len()).filter(|i| used >> i & 1 == 0).map(|i| local[i]));
            self.spill = self.left.iter().map(|&i| self.volumes[i]).sum();
        }
        budget - nodes + LOOK
    }
}
