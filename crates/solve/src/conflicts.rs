//! Which tiers may not share a VM because they publish the same host port.
//!
//! Ports come in ranges, and there may be tens of thousands of both ranges and tiers. So ranges are
//! never split, and the pairs are bits of a table, found by one sweep over the ends of the ranges.
//! If the table would be too large, each pair is looked at when it is asked for.

#![allow(clippy::indexing_slicing)] // rows and words are those of the table made here

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::instance::{HostPort, Protocol};

/// A range of ports on one address (`None`: on every address).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    protocol: Protocol,
    address: Option<IpAddr>,
    first: u16,
    last: u16,
}

/// The conflicts among those tiers that publish ports, by their position in the list given.
#[derive(Debug, Clone, Default)]
pub struct Conflicts {
    spans: Vec<Vec<Span>>,
    /// One row of bits for each tier; empty where pairs are looked at one by one.
    rows: Vec<u64>,
    words: usize,
}

/// Most words of the table, and of the rows kept during the sweep: 128 MiB each.
const MOST_WORDS: usize = 1 << 24;
/// Most words that the sweep touches: about a tenth of a second's work.
const MOST_WORK: usize = 1 << 29;

impl Conflicts {
    /// The conflicts among tiers with these ports.
    #[must_use]
    pub fn new(ports: &[&BTreeSet<HostPort>]) -> Self {
        let spans: Vec<Vec<Span>> = ports.iter().map(|ports| ranges(ports)).collect();
        let words = spans.len().div_ceil(64);
        let ends = 2 * spans.iter().map(Vec::len).sum::<usize>();
        let addresses: BTreeSet<Option<IpAddr>> = spans.iter().flatten().map(|s| s.address).collect();
        let size = spans.len().max(addresses.len()).saturating_mul(words);
        let mut table = Self {
            spans,
            rows: Vec::new(),
            words,
        };
        if size <= MOST_WORDS && ends.saturating_mul(words) <= MOST_WORK {
            table.sweep();
        }
        table
    }

    /// Whether the tiers at these positions publish the same port.
    #[must_use]
    pub fn between(&self, a: usize, b: usize) -> bool {
        if a == b {
            return false;
        }
        if self.rows.is_empty() {
            return clash(&self.spans[a], &self.spans[b]);
        }
        self.rows[a * self.words + b / 64] >> (b % 64) & 1 == 1
    }

    /// Goes through all ends of ranges in order. A range that begins while others are open is in
    /// conflict with those of them that have the same address.
    fn sweep(&mut self) {
        let mut events: Vec<(Protocol, u16, bool, usize, Option<IpAddr>)> = Vec::new();
        for (tier, spans) in self.spans.iter().enumerate() {
            for span in spans {
                // At the same port, beginnings come before ends.
                events.push((span.protocol, span.first, false, tier, span.address));
                events.push((span.protocol, span.last, true, tier, span.address));
            }
        }
        events.sort_unstable();
        let words = self.words;
        self.rows = vec![0; self.spans.len() * words];
        let nobody = vec![0u64; words];
        let mut open: BTreeMap<Option<IpAddr>, Vec<u64>> = BTreeMap::new();
        let mut any = nobody.clone();
        let mut times = vec![0u32; self.spans.len()];
        for (_, _, ends, tier, address) in events {
            let bit = 1u64 << (tier % 64);
            let mine = open.entry(address).or_insert_with(|| nobody.clone());
            if ends {
                mine[tier / 64] &= !bit;
                times[tier] -= 1;
                if times[tier] == 0 {
                    any[tier / 64] &= !bit;
                }
                continue;
            }
            mine[tier / 64] |= bit;
            times[tier] += 1;
            any[tier / 64] |= bit;
            let row = tier * words..(tier + 1) * words;
            let of = |address: Option<IpAddr>| open.get(&address).unwrap_or(&nobody);
            let (first, second) = match address {
                None => (&any, &nobody),
                Some(_) => (of(None), of(address)),
            };
            for ((to, a), b) in self.rows[row].iter_mut().zip(first).zip(second) {
                *to |= a | b;
            }
        }
        for tier in 0..self.spans.len() {
            self.rows[tier * words + tier / 64] &= !(1 << (tier % 64));
            for word in 0..words {
                let mut left = self.rows[tier * words + word];
                while left != 0 {
                    let other = word * 64 + left.trailing_zeros() as usize;
                    left &= left - 1;
                    self.rows[other * words + tier / 64] |= 1 << (tier % 64);
                }
            }
        }
    }
}

/// Ports as ranges, in order.
fn ranges(ports: &BTreeSet<HostPort>) -> Vec<Span> {
    let mut single: Vec<Span> = ports
        .iter()
        .map(|p| Span {
            protocol: p.protocol,
            address: p.address,
            first: p.port,
            last: p.port,
        })
        .collect();
    single.sort_unstable();
    let mut spans: Vec<Span> = Vec::new();
    for span in single {
        match spans.last_mut() {
            Some(last)
                if (last.protocol, last.address) == (span.protocol, span.address)
                    && last.last.checked_add(1) == Some(span.first) =>
            {
                last.last = span.last;
            }
            _ => spans.push(span),
        }
    }
    spans
}

fn clash(a: &[Span], b: &[Span]) -> bool {
    let meet = |x: &Span, y: &Span| {
        let address = x.address.is_none() || y.address.is_none() || x.address == y.address;
        x.protocol == y.protocol && address && x.first <= y.last && y.first <= x.last
    };
    a.iter().any(|x| b.iter().any(|y| meet(x, y)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    /// Every pair, by every port.
    #[test]
    fn the_sweep_finds_the_pairs_that_publish_the_same_port() {
        let mut rng = Rng::new(3);
        let mut found = 0;
        for _ in 0..300 {
            let sets: Vec<BTreeSet<HostPort>> = (0..2 + rng.below(80))
                .map(|_| {
                    let mut ports = BTreeSet::new();
                    for _ in 0..rng.below(4) {
                        let first = rng.below(400) as u16;
                        let address =
                            (rng.below(2) == 0).then(|| IpAddr::from([10, 0, 0, rng.below(3) as u8]));
                        let protocol = [Protocol::Tcp, Protocol::Udp][rng.below(2)];
                        for port in first..=first + rng.below(9) as u16 {
                            ports.insert(HostPort {
                                port,
                                protocol,
                                address,
                            });
                        }
                    }
                    ports
                })
                .collect();
            let all: Vec<&BTreeSet<HostPort>> = sets.iter().collect();
            let swept = Conflicts::new(&all);
            let asked = Conflicts {
                rows: Vec::new(),
                ..swept.clone()
            };
            for (a, x) in sets.iter().enumerate() {
                for (b, y) in sets.iter().enumerate() {
                    let same = |p: &HostPort, q: &HostPort| {
                        let address = p.address.is_none() || q.address.is_none() || p.address == q.address;
                        (p.port, p.protocol) == (q.port, q.protocol) && address
                    };
                    let expected = a != b && x.iter().any(|p| y.iter().any(|q| same(p, q)));
                    assert_eq!(swept.between(a, b), expected, "{x:?} {y:?}");
                    assert_eq!(asked.between(a, b), expected, "{x:?} {y:?}");
                    found += usize::from(expected);
                }
            }
        }
        assert!(found > 1_000, "{found}");
    }
}
