//! Expressions over a node, in the Common Expression Language: which nodes a tier may be on (`requires`), and
//! which of them it would rather be on (`prefers`).
//!
//! An expression is compiled once, when its document is read, and mistakes are reported then, with
//! their place. Its cost is bounded before it is ever evaluated (`cost`), so evaluating needs no
//! clock and is never stopped half-way: the same expression always gives the same answer on the
//! same node. Pure: nodes come in as [`Facts`], and nothing in here knows where they are from.

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
