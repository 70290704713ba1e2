//! Whether a translation ends at its target, and says what it interrupts.

use std::collections::BTreeSet;

use crate::model::{Allocation, CoreSet, TierId};
use crate::translate::Translation;

use super::Check;

impl Check<'_> {
    /// `now` is where the actions lead.
    pub(super) fn end(&mut self, now: &Allocation, translation: &Translation) {
        let (to, from) = (self.to, self.from);
        if now.vms.keys().ne(to.vms.keys()) {
            self.breach(format!(
                "the VMs in the end are {:?}",
                now.vms.keys().collect::<Vec<_>>()
            ));
        }
        for (id, vm) in &to.vms {
            let Some(there) = now.vms.get(id) else { continue };
            let sizes = |vm: &crate::model::Vm| -> Vec<_> {
                let containers = vm.used.iter();
                containers
                    .map(|(tier, container)| (tier.clone(), container.size))
                    .collect()
            };
            if sizes(there) != sizes(vm) {
                self.breach(format!("{id} ends with {:?}", sizes(there)));
            }
            let told = from
                .vms
                .get(id)
                .is_none_or(|vm| vm.used.values().any(|c| !c.cores.0.is_empty()));
            let foreign = self.foreign_on(id);
            let whole = there.held().fits(vm.capacity - foreign.size);
            if self.pinned && told && whole {
                self.end_cores(id.as_str(), there, &foreign.cores);
            }
            for (tier, container) in &vm.used {
                let said = translation.target.container(id, tier);
                let same = said.is_some_and(|said| {
                    said.size == container.size
                        && (!self.pinned || there.used.get(tier).is_some_and(|now| now.cores == said.cores))
                });
                let made = there.used.get(tier).and_then(|now| now.revision.as_ref());
                if let (Some(made), Some(wanted)) = (made, &container.revision)
                    && made != wanted
                {
                    self.breach(format!("{tier} on {id} ends as revision {made}, not {wanted}"));
                }
                let image = there.used.get(tier).and_then(|now| now.digest.as_ref());
                if let (Some(made), Some(wanted)) = (image, &container.digest)
                    && made != wanted
                {
                    self.breach(format!("{tier} on {id} ends with the image {made}, not {wanted}"));
                }
                if !same {
                    self.breach(format!(
                        "{tier} on {id} is not what the translation says it ends as"
                    ));
                }
            }
        }
    }

    fn end_cores(&mut self, id: &str, vm: &crate::model::Vm, foreign: &CoreSet) {
        let mut taken = foreign.0.clone();
        for (tier, container) in &vm.used {
            let count = u64::try_from(container.cores.0.len()).unwrap_or(u64::MAX);
            if count != container.size.cpu.whole_cores() {
                self.breach(format!("{tier} on {id} ends with cores {:?}", container.cores));
            }
            for core in &container.cores.0 {
                if !taken.insert(*core) {
                    self.breach(format!("core {core} of {id} ends in two containers"));
                }
            }
        }
    }

    /// Exactly the tiers that may be down are said to be.
    pub(super) fn interrupts(&mut self, translation: &Translation) {
        let said: BTreeSet<&TierId> = translation
            .interrupts
            .iter()
            .map(|interrupt| &interrupt.tier)
            .collect();
        if said != self.down {
            let down = &self.down;
            let text = format!("interrupted are {down:?}, said to be {said:?}");
            self.breach(text);
        }
        if translation
            .interrupts
            .iter()
            .any(|interrupt| interrupt.reason.is_empty())
        {
            self.breach("an interruption has no reason".into());
        }
    }
}
