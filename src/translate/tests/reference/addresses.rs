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
                if replaced.contains_key(&place) || made.contains_key(&place) {
                    continue;
                }
                let had = self
                    .from
                    .container(vm, tier)
                    .and_then(|held| held.addresses.as_ref());
                let meant = to
                    .container(vm, tier)
                    .and_then(|wanted| wanted.addresses.as_ref());
                let Some(had) = had.filter(|had| meant != Some(*had)) else {
                    continue;
                };
                let sides = [to, self.from];
                let address = sides.iter().find_map(|side| side.vms.get(at)?.ip.as_ref());
                let lost = match address {
                    Some(address) => had.get(&dependency.key) != Some(address),
                    None => !self.from.vms.contains_key(at),
                };
                if lost {
                    self.breach(format!(
                        "{tier} on {vm} looks for {other} elsewhere than on {at} in the end"
                    ));
                }
            }
        }
    }
}
