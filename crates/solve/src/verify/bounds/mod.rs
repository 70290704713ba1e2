//! Bounds checked from their certificates, without the methods that made them.
//!
//! Like the rest of the checker it shares no code with the search: everything is counted again, from
//! the question. What HiGHS states within its tolerances can't be counted again; of that only the
//! rounding is checked.

//!
//! | part | what it counts |
//! |---|---|
//! | `question` | what all bounds need of the question: rooms, sizes, prices |
//! | `containers` | the fewest containers of each tier, what they cost, and what goes to waste |
//! | `fleet` | the least that VMs cost which have room for everything |
//! | `mixture` | the same with several shapes |
//! | `prices` | what prices for room prove, where tiers may only be on some VMs |
//! | `values` | what the tiers' values prove where each is on one VM |

use super::Violation;
use crate::evidence::{Bound, Certificate};
use crate::instance::Instance;

mod containers;
mod fleet;
mod mixture;
mod prices;
mod question;
mod values;

use question::Question;

/// Checks that `bound`, relative to the cost of deleting everything, follows from its certificate.
pub fn certified(instance: &Instance, bound: &Bound) -> Result<(), Violation> {
    let question = Question::new(instance);
    let value = bound.value.saturating_add(question.delete_all());
    let refused = || Violation::BoundUnfounded { by: bound.by };
    let founded = match &bound.certificate {
        Certificate::Counted => question.least(0).is_none_or(|least| value <= least),
        Certificate::Exhausted { news } => question.covers(news, value),
        Certificate::Values {
            resources,
            scale,
            values,
            news,
        } => {
            question.covers(news, value)
                && values::founded(
                    &question,
                    *resources,
                    (*scale, values.as_slice()),
                    news,
                    bound.value,
                )
        }
        Certificate::Prices { scale, prices } => {
            prices::founded(&question, (*scale, prices.as_slice()), bound.value)
        }
        // Rounded up to a whole price, by less than one.
        Certificate::Stated { raw } => (bound.value as f64) < raw + 1.0,
    };
    founded.then_some(()).ok_or_else(refused)
}

impl Question<'_> {
    /// Whether whoever looked at up to `news` new VMs of each shape has seen every placement below `value`.
    fn covers(&self, news: &[usize], value: i64) -> bool {
        let most = self.most_news();
        if self.shapes.is_empty() {
            return true;
        }
        if self.shapes.len() == 1 {
            let news = news.first().map_or(0, |&n| n as u64);
            return news >= most || self.least(news + 1).is_none_or(|least| least >= value);
        }
        let containers = self.all_containers();
        let mut all = self.shapes.iter().zip(news).enumerate();
        news.len() == self.shapes.len()
            && all.all(|(at, (shape, &news))| {
                let more = news as u64 + 1;
                let least = || mixture::least(self, Some((at, more))).map(|vms| vms + containers);
                more > most.min(shape.most) || least().is_none_or(|least| least >= value)
            })
    }
}
