//! Amounts for containers whose places are decided, with as few of them resized as possible.
//!
//! Any set of containers that keep their size leaves the rest of room and demand to the others, and
//! [`super::amounts`] says whether that is enough. The choices are walked through as a tree, from
//! as many kept as [`super::amounts`] finds by itself.

#![allow(clippy::indexing_slicing)] // tiers and VMs are those of the places

use super::amounts::{self, Place};
use super::meter::Meter;
use super::resources::{Amounts, NOTHING, RESOURCES};

/// What was found.
#[derive(Debug, Clone)]
pub struct Fewest {
    /// Amounts for the places, if any were found with no more resized than asked for.
    pub amounts: Option<Vec<Amounts>>,
    /// How many kept containers they resize.
    pub resized: usize,
    /// Whether nothing was left out: there are no better ones.
    pub sure: bool,
    /// Choices looked at.
    pub tries: u64,
}

/// Most choices looked at: some milliseconds' work.
const TRIES: u64 = 4_000;
/// Most containers whose sizes are chosen one by one.
const CHOSEN: usize = 64;

/// Amounts with the fewest kept containers resized, if that is at most `most`. `None` if there are
/// no amounts at all, or if the meter runs out first.
#[must_use]
pub fn fewest(
    demands: &[Amounts],
    rooms: &[Amounts],
    places: &[Place],
    most: usize,
    meter: &mut Meter<'_>,
) -> Option<Fewest> {
    let first = amounts::settle(demands, rooms, places, meter)?;
    let resized = count(places, &first);
    let mut parts = vec![0usize; demands.len()];
    for place in places {
        parts[place.tier] += 1;
    }
    // A tier in one place has its demand there, whatever else is chosen.
    let free = |at: &usize| parts[places[*at].tier] > 1 && places[*at].wish != NOTHING;
    let mut choice = Choice {
        demands: demands.to_vec(),
        rooms: rooms.to_vec(),
        places,
        kept: vec![false; places.len()],
        found: (resized <= most).then_some(first),
        resized,
        most: most.min(resized.saturating_sub(1)),
        tries: 0,
        sure: true,
    };
    let chosen: Vec<usize> = (0..places.len()).filter(free).collect();
    let forced = (0..places.len())
        .filter(|at| parts[places[*at].tier] == 1)
        .filter(|&at| places[at].wish != NOTHING && places[at].wish != demands[places[at].tier])
        .count();
    if forced < resized && forced <= most {
        if chosen.len() > CHOSEN {
            choice.sure = false;
        } else {
            choice.choose(&chosen, forced, meter);
        }
    }
    Some(Fewest {
        amounts: choice.found,
        resized: choice.resized,
        sure: choice.sure,
        tries: choice.tries + 1,
    })
}

/// How many kept containers are resized.
fn count(places: &[Place], amounts: &[Amounts]) -> usize {
    let pairs = places.iter().zip(amounts);
    pairs
        .filter(|(place, amount)| place.wish != NOTHING && place.wish != **amount)
        .count()
}

struct Choice<'a> {
    /// What the containers without a decision have to hold.
    demands: Vec<Amounts>,
    /// Room for them.
    rooms: Vec<Amounts>,
    places: &'a [Place],
    /// Which places keep their size.
    kept: Vec<bool>,
    found: Option<Vec<Amounts>>,
    resized: usize,
    /// Placements with more resized are of no interest.
    most: usize,
    tries: u64,
    sure: bool,
}

impl Choice<'_> {
    /// Decides the rest of `chosen`, when this many are already resized.
    fn choose(&mut self, chosen: &[usize], resized: usize, meter: &mut Meter<'_>) {
        let Some((&at, rest)) = chosen.split_first() else {
            return;
        };
        if resized > self.most || self.found.is_some() && resized >= self.resized {
            return;
        }
        let place = self.places[at];
        self.shift(place, -1);
        self.kept[at] = true;
        if self.look(meter) {
            self.choose(rest, resized, meter);
        }
        self.kept[at] = false;
        self.shift(place, 1);
        if self.sure {
            self.choose(rest, resized + 1, meter);
        }
    }

    /// Gives a place its own size, or takes it back.
    fn shift(&mut self, place: Place, sign: i64) {
        for r in 0..RESOURCES {
            self.demands[place.tier][r] += sign * place.wish[r];
            self.rooms[place.vm][r] += sign * place.wish[r];
        }
    }

    /// Whether amounts exist for the places that are not kept. Remembers them if they are better.
    fn look(&mut self, meter: &mut Meter<'_>) -> bool {
        self.tries += 1;
        if self.tries > TRIES || !meter.spend(1 + self.places.len() as u64) {
            self.sure = false;
            return false;
        }
        let open: Vec<Place> = (0..self.places.len())
            .filter(|&at| !self.kept[at])
            .map(|at| self.places[at])
            .collect();
        let below = |amounts: &Amounts| amounts.iter().any(|&steps| steps < 0);
        if self.demands.iter().chain(&self.rooms).any(below) {
            return false;
        }
        let Some(amounts) = amounts::settle(&self.demands, &self.rooms, &open, meter) else {
            self.sure &= meter.cut().is_none();
            return false;
        };
        let mut amounts = amounts.into_iter();
        let all: Vec<Amounts> = (0..self.places.len())
            .map(|at| match self.kept[at] {
                true => self.places[at].wish,
                false => amounts.next().unwrap_or_default(),
            })
            .collect();
        let resized = count(self.places, &all);
        if resized <= self.most {
            self.found = Some(all);
            self.resized = resized;
            self.most = resized.saturating_sub(1);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicBool, AtomicU64};
    use std::time::Duration;

    use super::*;
    use crate::meter::UNLIMITED;
    use crate::rng::Rng;
    use crate::watch::Watch;

    /// Every way to divide `total` over this many containers of at least one step.
    fn divisions(total: i64, parts: usize) -> Vec<Vec<i64>> {
        match parts {
            0 => Vec::new(),
            1 => vec![vec![total]].into_iter().filter(|_| total > 0).collect(),
            _ => (1..total)
                .flat_map(|first| {
                    divisions(total - first, parts - 1).into_iter().map(move |rest| {
                        let mut all = vec![first];
                        all.extend(rest);
                        all
                    })
                })
                .collect(),
        }
    }

    /// Every way to divide one resource of two tiers, within the rooms.
    fn ways(r: usize, demands: &[Amounts], rooms: &[Amounts], places: &[Place]) -> Vec<Vec<i64>> {
        let parts = |tier: usize| places.iter().filter(|p| p.tier == tier).count();
        let mut all = Vec::new();
        for a in divisions(demands[0][r], parts(0)) {
            for b in divisions(demands[1][r], parts(1)) {
                let way: Vec<i64> = a.iter().chain(&b).copied().collect();
                let load = |vm: usize| -> i64 {
                    let here = places.iter().zip(&way).filter(|(p, _)| p.vm == vm);
                    here.map(|(_, amount)| amount).sum()
                };
                if (0..rooms.len()).all(|vm| load(vm) <= rooms[vm][r]) {
                    all.push(way);
                }
            }
        }
        all
    }

    #[test]
    fn no_amounts_resize_fewer_containers() {
        let (stop, spent, clock) = (AtomicBool::new(false), AtomicU64::new(0), || Duration::ZERO);
        let watch = Watch::new(&clock, &stop, &spent, Duration::from_secs(60));
        let mut meter = watch.meter(UNLIMITED);
        let mut rng = Rng::new(5);
        let (mut possible, mut better) = (0, 0);
        for _ in 0..6_000 {
            let mut draw = |n: usize| rng.below(n) as i64;
            let rooms: Vec<Amounts> = (0..3).map(|_| [1 + draw(6), 1 + draw(6), 0, 0]).collect();
            let demands: Vec<Amounts> = (0..2).map(|_| [1 + draw(7), 1 + draw(7), 0, 0]).collect();
            let mut places = Vec::new();
            for tier in 0..2 {
                let first = draw(3) as usize;
                for vm in 0..3 {
                    if vm == first || draw(2) == 0 {
                        let held = draw(4) > 0;
                        let wish = if held {
                            [1 + draw(4), 1 + draw(4), 0, 0]
                        } else {
                            NOTHING
                        };
                        places.push(Place { tier, vm, wish });
                    }
                }
            }
            let cpu = ways(0, &demands, &rooms, &places);
            let mem = ways(1, &demands, &rooms, &places);
            let least = cpu
                .iter()
                .flat_map(|cpu| mem.iter().map(move |mem| (cpu, mem)))
                .map(|(cpu, mem)| {
                    let all: Vec<Amounts> = cpu.iter().zip(mem).map(|(&c, &m)| [c, m, 0, 0]).collect();
                    count(&places, &all)
                })
                .min();
            let found = fewest(&demands, &rooms, &places, usize::MAX, &mut meter);
            let Some(least) = least else {
                assert!(found.is_none(), "{demands:?} {rooms:?} {places:?}");
                continue;
            };
            possible += 1;
            let found = found.unwrap();
            assert!(found.sure);
            assert_eq!(found.resized, least, "{demands:?} {rooms:?} {places:?}");
            assert_eq!(count(&places, &found.amounts.unwrap()), least);
            let first = amounts::settle(&demands, &rooms, &places, &mut meter).unwrap();
            better += usize::from(count(&places, &first) > least);
            if least > 0 {
                let fewer = fewest(&demands, &rooms, &places, least - 1, &mut meter).unwrap();
                assert!(fewer.amounts.is_none() && fewer.sure);
            }
        }
        assert!(
            possible > 300 && better > 10,
            "{possible} possible, {better} better"
        );
    }
}
