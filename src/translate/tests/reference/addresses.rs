//! Whether every container finds its dependencies in the end, and is replaced for that only when they are there.

use std::collections::BTreeMap;

use crate::model::{TierId, VmId};
use crate::translate::{Action, Stage};

use super::Check;

impl Check<'_> {
    pub(super) fn addresses(&mut self, stages: &[Stage]) {
        let mut made: BTreeMap<(&VmId, &TierId), usize> = BTreeMap::new();
        let mut replaced: BTreeMap<(&VmId, &TierId), usize> = BTreeMap::new();
        for (index, stage) in stages.iter().enumerate() {
            for action in stage {
                match action {
                    Action::CreateContainer { vm, container, .. } => {
                        made.insert((vm, container), index);
                    }
                    Action::ReplaceContainer { vm, container, .. } => {
                        replaced.insert((vm, container), index);
                    }
                    _ => {}
                }
            }
        }
        let to = self.to;
        for (vm, tier) in to
            .vms
            .iter()
            .flat_map(|(vm, there)| there.used.keys().map(move |tier| (vm, tier)))
        {
            let place = (vm, tier);
            let Some(spec) = self.topology.tiers.get(tier) else {
                continue;
            };
            for other in &spec.depends_on {
                let Some(dependency) = self
                    .topology
                    .tiers
                    .get(other)
                    .filter(|one| one.max_node == Some(1))
                else {
                    continue;
                };
                let Some((at, _)) = to.places(other).next() else {
                    continue;
                };
                if let (Some(replaced), Some(arrived)) = (replaced.get(&place), made.get(&(at, other)))
                    && replaced <= arrived
                {
                    self.breach(format!(
                        "{tier} on {vm} is replaced in stage {replaced}, and {other} comes to {at} in stage {arrived}"
                    ));
                }
                let (held, wanted) = (self.from.container(vm, tier), to.container(vm, tier));
                let revision = [wanted, held].into_iter().find_map(|one| one?.revision.as_ref());
                let looks = self
                    .topology
                    .made_as(tier, revision)
                    .is_some_and(|(made_as, _)| made_as.depends_on.contains(other));
                if replaced.contains_key(&place) || made.contains_key(&place) || !looks {
                    continue;
                }
                let had = held.and_then(|held| held.addresses.as_ref());
                let meant = wanted.and_then(|wanted| wanted.addresses.as_ref());
                let Some(had) = had.filter(|had| meant != Some(*had)) else {
                    continue;
                };
                let sides = [to, self.from];
                let lost = !to.places(other).any(|(vm, _)| {
                    match sides.iter().find_map(|side| side.vms.get(vm)?.ip.as_ref()) {
                        Some(address) => had.get(&dependency.key) == Some(address),
                        None => self.from.vms.contains_key(vm),
                    }
                });
                if lost {
                    self.breach(format!(
                        "{tier} on {vm} looks for {other} elsewhere than on {at} in the end"
                    ));
                }
            }
        }
    }
}
