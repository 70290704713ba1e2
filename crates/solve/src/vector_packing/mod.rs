//! Items of two sizes into the fewest bins of one shape: plans whose tiers are each on one VM.
//!
//! ```text
//! first fit ─> repack, exact_fill (fewer bins)  ┐
//! master ⇄ table: generate (a bound, in prices) ┴─> packing, bound, certificate
//! ```
//!
//! Three methods take turns. Column generation (Gilmore and Gomory 1961) solves the linear program
//! over all loads of a bin; its prices, rounded to whole numbers, prove a bound that
//! [`Certificate::holds`] checks independently. Two searches over a few bins at a time look for
//! packings: one if there is room left over, one if every bin must be filled to the last step.
//!
//! It knows no clock: all work is counted by the caller's closure, which says whether to go on.

mod certificate;
mod dive;
mod exact_fill;
mod finder;
mod first_fit;
mod generate;
mod master;
mod repack;
mod table;
#[cfg(test)]
mod tests;

use exact_fill::Filler;
use finder::Finder;
use generate::Generator;
use repack::Room;

use super::rng::Rng;

pub use certificate::Certificate;

/// Items and the shape of all bins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What a bin has of both resources.
    pub capacity: [u64; 2],
    /// What each item takes. None takes nothing, or more than a bin has.
    pub items: Vec<[u64; 2]>,
}

/// What has been found and proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The items of each bin, by number.
    pub packing: Vec<Vec<usize>>,
    /// The proof that this many bins are needed: [`Certificate::bins`].
    pub certificate: Certificate,
}

impl Outcome {
    /// Whether the packing needs no more bins than are proven necessary.
    #[must_use]
    pub fn proven(&self) -> bool {
        self.packing.len() <= self.certificate.bins
    }
}

/// Larger sizes are not handled: volumes are products of two.
const LARGEST: u64 = 1 << 30;
/// Most items: the inverse of the linear program has their number squared.
const MOST_ITEMS: usize = 1_200;
/// Work of one turn of a search, in elementary steps.
const TURN: u64 = 2_000_000;
/// The same for the first look, for each item.
const FIRST: u64 = 10_000;
/// Turns of a search for full bins before the linear program is asked whether there can be so many.
const PATIENT: u64 = 16;

/// Packs, and proves how well, until that is proven optimal or `spend` says no. `spend` is told of
/// work done, in elementary steps. `None` if the question is not of a kind or a size that this is
/// for.
#[must_use]
pub fn solve(question: &Question, seed: u64, spend: &dyn Fn(u64) -> bool) -> Option<Outcome> {
    let Question { capacity, items } = question;
    let fits = |w: &[u64; 2]| *w != [0, 0] && w[0] <= capacity[0] && w[1] <= capacity[1];
    let small = capacity.iter().all(|&c| (1..=LARGEST).contains(&c));
    if items.len() > MOST_ITEMS || !small || !items.iter().all(fits) {
        return None;
    }
    // Counted in what all sizes are multiples of: the tables are as large as the numbers.
    let unit = [0, 1].map(|r| {
        items
            .iter()
            .filter_map(|w| w.get(r))
            .fold(0, |all, &size| gcd(all, size))
            .max(1)
    });
    let count = |load: &[u64; 2]| [load[0] / unit[0], load[1] / unit[1]];
    let capacity = count(capacity);
    let items: Vec<[u64; 2]> = items.iter().map(count).collect();
    // Large ones first, as all methods like them.
    let mut order: Vec<usize> = (0..items.len()).collect();
    let room = Room { capacity };
    order.sort_by_key(|&i| (std::cmp::Reverse(items.get(i).map(|&w| room.volume(w))), i));
    let sorted: Vec<[u64; 2]> = order.iter().filter_map(|&i| items.get(i).copied()).collect();
    let mut course = Course::new(capacity, &sorted, seed);
    course.run(spend);
    let place = |i: usize| order.get(i).copied().unwrap_or(i);
    let mut prices = vec![0; items.len()];
    for (at, &price) in course.certificate.prices.iter().enumerate() {
        if let Some(own) = prices.get_mut(place(at)) {
            *own = price;
        }
    }
    Some(Outcome {
        packing: course
            .best
            .iter()
            .map(|bin| bin.iter().map(|&i| place(i)).collect())
            .collect(),
        certificate: Certificate {
            prices,
            ..course.certificate
        },
    })
}

/// The methods taking turns.
struct Course<'a> {
    capacity: [u64; 2],
    items: &'a [[u64; 2]],
    best: Vec<Vec<usize>>,
    certificate: Certificate,
    seed: u64,
}

impl<'a> Course<'a> {
    fn new(capacity: [u64; 2], items: &'a [[u64; 2]], seed: u64) -> Self {
        Self {
            capacity,
            items,
            best: first_fit::best(capacity, items),
            certificate: by_volume(capacity, items),
            seed,
        }
    }

    fn proven(&self) -> bool {
        self.best.len() <= self.certificate.bins
    }

    fn run(&mut self, spend: &dyn Fn(u64) -> bool) {
        let mut turn = 0;
        let mut loads = None;
        while !self.proven() {
            let mut hunt = Hunt::new(self, turn);
            // Until it has one bin fewer; then for the next one.
            let found = loop {
                let budget = if turn == 0 {
                    FIRST * self.items.len() as u64
                } else {
                    TURN << (turn / 4).min(5)
                };
                if let Some(packing) = hunt.search(turn, budget, spend) {
                    break packing;
                }
                if let Some(packing) = hunt.nearly().filter(|packing| packing.len() < self.best.len()) {
                    self.best = packing;
                }
                if self.proven() || !spend(1) {
                    return;
                }
                // Volume is a good bound where full bins are found at all.
                if hunt.only_exact() && turn < PATIENT {
                    hunt.shake();
                    turn += 1;
                    continue;
                }
                // After a first look it is worth knowing how few bins there can be.
                let known = loads.get_or_insert_with(|| self.bound(spend));
                if self.proven() {
                    return;
                }
                if turn % 2 == 1 && !hunt.only_exact() && !known.is_empty() {
                    let mut rng = Rng::new(self.seed.wrapping_add(turn));
                    let packing = dive::dive(self.capacity, self.items, known, hunt.wanted, &mut rng, spend);
                    if packing.len() <= hunt.wanted {
                        break packing;
                    }
                    hunt.begin(&packing, turn);
                }
                turn += 1;
            };
            self.best = found;
            turn += 1;
        }
    }

    /// Raises the bound as far as the linear program does. Returns the patterns that it used.
    fn bound(&mut self, spend: &dyn Fn(u64) -> bool) -> Vec<Vec<usize>> {
        let Some(mut bounder) = Generator::new(self.capacity, self.items, &self.best) else {
            return Vec::new();
        };
        while self.best.len() > bounder.bound && bounder.round(spend) {}
        if bounder.bound > self.certificate.bins {
            let (prices, bin) = bounder.prices.clone();
            self.certificate = Certificate {
                prices,
                bin,
                bins: bounder.bound,
            };
        }
        bounder
            .fresh()
            .map(|load| load.iter().map(|&i| i as usize).collect())
            .collect()
    }
}

/// Looking for a packing into a number of bins.
struct Hunt<'a> {
    capacity: [u64; 2],
    items: &'a [[u64; 2]],
    wanted: usize,
    finder: Finder<'a>,
    filler: Option<Filler<'a>>,
    seed: u64,
}

impl<'a> Hunt<'a> {
    fn new(course: &Course<'a>, turn: u64) -> Self {
        let Course { capacity, items, .. } = *course;
        let seed = course.seed.wrapping_add(turn);
        let fill = |wanted| {
            let filler = Filler::new(capacity, items, &course.best, wanted, seed);
            filler.filter(Filler::tight)
        };
        let fewest = course.certificate.bins;
        // Bins that must be full to the last step are looked for at once, not one by one.
        let exact = fill(fewest).filter(Filler::exact);
        let wanted = if exact.is_some() {
            fewest
        } else {
            course.best.len() - 1
        };
        Self {
            capacity,
            items,
            wanted,
            finder: Finder::new(capacity, items, &course.best, wanted, seed),
            filler: exact.or_else(|| fill(wanted)),
            seed: course.seed,
        }
    }

    /// Makes a search for full bins come another way.
    fn shake(&mut self) {
        if let Some(filler) = &mut self.filler {
            filler.shake();
        }
    }

    /// Goes on from another packing.
    fn begin(&mut self, packing: &[Vec<usize>], turn: u64) {
        let seed = self.seed.wrapping_add(turn);
        self.finder = Finder::new(self.capacity, self.items, packing, self.wanted, seed);
    }

    /// Whether nothing at all may be left empty.
    fn only_exact(&self) -> bool {
        self.filler.as_ref().is_some_and(Filler::exact)
    }

    /// The result of a search for full bins, with the loose items in bins as they fit.
    fn nearly(&self) -> Option<Vec<Vec<usize>>> {
        self.filler
            .as_ref()
            .filter(|filler| filler.exact())
            .map(Filler::completed)
    }

    /// One turn of one of the searches.
    fn search(&mut self, turn: u64, budget: u64, spend: &dyn Fn(u64) -> bool) -> Option<Vec<Vec<usize>>> {
        let mut used = 0;
        let by_filling = self.only_exact() || turn % 3 == 2;
        while used <= budget {
            let (work, found) = match self.filler.as_mut().filter(|_| by_filling) {
                Some(filler) => (filler.step(), filler.packing()),
                None => (self.finder.step(), self.finder.packing()),
            };
            used += work;
            if found.is_some() || !spend(work) {
                return found;
            }
        }
        None
    }
}

/// What volume proves: as prices, each item's size in the resource of which the most bins are needed.
fn by_volume(capacity: [u64; 2], items: &[[u64; 2]]) -> Certificate {
    let sizes = |r: usize| items.iter().filter_map(move |w| w.get(r).copied());
    let bins = |r: usize| {
        sizes(r)
            .sum::<u64>()
            .div_ceil(capacity.get(r).copied().unwrap_or(1).max(1))
    };
    let r = usize::from(bins(1) > bins(0));
    Certificate {
        prices: sizes(r).collect(),
        bin: capacity.get(r).copied().unwrap_or(0),
        bins: usize::try_from(bins(r)).unwrap_or(0),
    }
}

const fn gcd(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
