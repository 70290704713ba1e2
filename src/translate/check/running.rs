//! Which tiers run during a stage, whatever the order within it.

use crate::model::Handover;
use crate::translate::Action;

use super::scene::TierNo;
use super::{Check, Step};

/// Whether an action takes a container down, for a moment at least.
fn takes_down(action: &Action) -> bool {
    matches!(
        action,
        Action::DeleteContainer { .. }
            | Action::ReplaceContainer {
                handover: Handover::StopFirst,
                ..
            }
    )
}

impl<'a> Check<'a> {
    pub(super) fn running(&mut self, steps: &[Step<'a>], index: usize) {
        let mut touched: Vec<TierNo> = Vec::with_capacity(steps.len());
        for step in steps {
            let Some((number, member)) = step.tier.and_then(|tier| Some((tier, self.tiers.get_mut(tier)?)))
            else {
                continue;
            };
            touched.push(number);
            member.downs += usize::from(takes_down(step.action));
            member.replaced += usize::from(matches!(step.action, Action::ReplaceContainer { .. }));
        }
        touched.sort_unstable();
        touched.dedup();
        for number in &touched {
            let Some(member) = self.tiers.get_mut(*number) else {
                continue;
            };
            let stays = member.first > 0 && member.last > 0 && member.spec.is_some();
            if stays && member.downs > 0 && member.least() == 0 {
                member.was_down = true;
            }
            let most = member.spec.map_or(1, |spec| spec.max_unavailable);
            if member.replaced > usize::try_from(most).unwrap_or(usize::MAX) {
                let text = format!(
                    "stage {index}: more of {} are replaced at once than {most}",
                    member.id
                );
                self.breach(text);
            }
        }
        for step in steps {
            if let Some(tier) = step.tier {
                self.beside_others(tier, step.action, index);
            }
        }
        for number in touched {
            if let Some(member) = self.tiers.get_mut(number) {
                member.downs = 0;
                member.replaced = 0;
            }
        }
    }

    /// What depends starts after its dependency, and goes before it.
    fn beside_others(&mut self, tier: TierNo, action: &Action, index: usize) {
        let Some(member) = self.tiers.get(tier) else {
            return;
        };
        let mut breaches = Vec::new();
        match action {
            Action::CreateContainer { .. } | Action::ReplaceContainer { .. } => {
                let needs = member.needs.iter().filter_map(|other| self.tiers.get(*other));
                for other in needs.filter(|other| other.last > 0 && other.least() == 0) {
                    breaches.push(format!(
                        "stage {index}: {} starts while {} may not run",
                        member.id, other.id
                    ));
                }
            }
            Action::DeleteContainer { .. } if member.last == 0 && member.least() == 0 => {
                // What depends on it and goes too has to be gone before the last of it.
                let users = member.users.iter().filter_map(|user| self.tiers.get(*user));
                for user in users.filter(|user| user.last == 0 && user.now > 0) {
                    breaches.push(format!(
                        "stage {index}: {} goes before {}, which needs it",
                        member.id, user.id
                    ));
                }
            }
            _ => {}
        }
        self.breaches.extend(breaches);
    }
}
