//! Whether a translation ends at its target, and says what it interrupts.

use std::collections::BTreeSet;

use crate::model::{Allocation, TierId, Vm, VmId};

use super::Check;
use super::scene::VmNo;

impl Check<'_> {
    /// After the last stage.
    pub(super) fn end(&mut self) {
        for machine in &self.machines {
            if machine.there != machine.wanted {
                let is = if machine.there { "is" } else { "is not" };
                self.breaches
                    .push(format!("VM {} {is} there in the end", machine.id));
            }
        }
        let to: &Allocation = self.subject.to;
        for (id, vm) in &to.vms {
            if let Some(number) = self.numbers.vm(id) {
                self.vm_in_the_end(number, id, vm);
            }
        }
    }

    fn vm_in_the_end(&mut self, number: VmNo, id: &VmId, vm: &Vm) {
        let Some(machine) = self.machines.get(number).filter(|machine| machine.there) else {
            return;
        };
        let mut breaches = Vec::new();
        if machine.used.len() != vm.used.len() {
            breaches.push(format!(
                "{id} ends with {} containers instead of {}",
                machine.used.len(),
                vm.used.len()
            ));
        }
        let from = self.subject.from.vms.get(id);
        let told = from.is_none_or(|vm| vm.used.values().any(|c| !c.cores.0.is_empty()));
        // Where more is held than there is, nobody can have cores of their own.
        let pins = self.pinned && told && machine.held.fits(machine.room());
        let mut taken = machine.foreign_cores.clone();
        for (tier, container) in &vm.used {
            let there = self.numbers.tier(tier).and_then(|tier| machine.used.get(&tier));
            let Some(there) = there else {
                breaches.push(format!("{tier} is not on {id} in the end"));
                continue;
            };
            if there.size != container.size {
                breaches.push(format!(
                    "{tier} on {id} ends with {}, not {}",
                    there.size, container.size
                ));
            }
            if let (Some(made), Some(wanted)) = (there.revision, &container.revision)
                && made != wanted
            {
                breaches.push(format!("{tier} on {id} ends as revision {made}, not {wanted}"));
            }
            if let (Some(made), Some(wanted)) = (there.digest, &container.digest)
                && made != wanted
            {
                breaches.push(format!("{tier} on {id} ends with the image {made}, not {wanted}"));
            }
            if let Some(target) = self.subject.target {
                let said = target.container(id, tier);
                let same = said.is_some_and(|said| {
                    said.size == container.size && (!self.pinned || said.cores == *there.cores)
                });
                if !same {
                    breaches.push(format!("{tier} on {id} is not what it is said to end as"));
                }
            }
            if pins {
                let count = u64::try_from(there.cores.0.len()).unwrap_or(u64::MAX);
                if count != there.size.cpu.whole_cores() {
                    breaches.push(format!("{tier} on {id} ends with cores {}", there.cores));
                }
                for core in &there.cores.0 {
                    if !taken.insert(*core) {
                        breaches.push(format!("core {core} of {id} ends in two containers"));
                    }
                }
            }
        }
        self.breaches.extend(breaches);
    }

    /// Exactly the tiers that may be down are said to be.
    pub(super) fn said_interrupts(&mut self) {
        let Some(interrupts) = self.subject.interrupts else {
            return;
        };
        let said: BTreeSet<&TierId> = interrupts.iter().map(|interrupt| &interrupt.tier).collect();
        let down: BTreeSet<&TierId> = self
            .tiers
            .iter()
            .filter(|member| member.was_down)
            .map(|member| member.id)
            .collect();
        let names = |tiers: &BTreeSet<&TierId>| -> String {
            let names: Vec<&str> = tiers.iter().map(|tier| tier.as_str()).collect();
            names.join(", ")
        };
        if said != down {
            self.breach(format!(
                "interrupted are [{}], said to be [{}]",
                names(&down),
                names(&said)
            ));
        }
        if interrupts.iter().any(|interrupt| interrupt.reason.is_empty()) {
            self.breach("an interruption has no reason".into());
        }
    }
}
