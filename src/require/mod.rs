//! Expressions over a node, in the Common Expression Language: which nodes a tier may be on (`requires`), and
//! which of them it would rather be on (`prefers`).
//!
//! An expression is compiled once, when its document is read: what is wrong with it is told then, with the place.
//! What it can cost is bounded before it is ever evaluated (`cost`), so that evaluating needs no clock and can't
//! be stopped half-way: the same expression gives the same answer on the same node, always. Pure: nodes come in
//! as [`Facts`], and nothing in here knows where they are from.

mod compile;
mod conjuncts;
mod cost;
mod facts;
mod prefers;
mod requires;
#[cfg(test)]
mod tests;

pub use compile::{FIELDS, LONGEST, Mistake};
pub use facts::{Facts, MOST_LABELS, WIDEST};
pub use prefers::Prefers;
pub use requires::Requires;
