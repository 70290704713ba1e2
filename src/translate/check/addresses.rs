//! Whether every container finds its dependencies in the end, and is replaced for that only when they are there.

use crate::model::{Allocation, TierId, Vm, VmId};

use super::Check;
use super::hooks::Course;
use super::scene::{TierNo, VmNo};

impl Check<'_> {
    /// Looks at one container of the end, and at what happened to it on the way.
    pub(super) fn finds_its_dependencies(
        &mut self,
        (vm, tier): (&VmId, &TierId),
        number: TierNo,
        (was, is): (Option<&Vm>, &Vm),
        course: &Course,
    ) {
        let Some(member) = self.tiers.get(number) else {
            return;
        };
        let (from, to): (&Allocation, &Allocation) = (self.subject.from, self.subject.to);
        let held = was.and_then(|was| was.used.get(tier));
        let wanted = is.used.get(tier);
        let revision = [wanted, held].into_iter().find_map(|one| one?.revision.as_ref());
        let made = self
            .subject
            .topology
            .made_as(tier, revision)
            .map(|(made, _)| made);
        let mut breaches = Vec::new();
        for other in &member.needs {
            // One that is on one VM at most, and there in the end.
            let Some(dependency) = self.tiers.get(*other) else {
                continue;
            };
            let Some((spec, at)) = dependency
                .spec
                .filter(|spec| spec.max_node == Some(1))
                .zip(dependency.home)
            else {
                continue;
            };
            let arrived = self.arrival(at, *other);
            if let (Some(replaced), Some(arrived)) = (course.last_replaced, arrived)
                && replaced <= arrived
            {
                breaches.push(format!(
                    "{tier} on {vm} is replaced in stage {replaced}, and {} comes in stage {arrived}",
                    dependency.id
                ));
            }
            // One of an earlier revision looks for what that depends on, wherever it was found.
            let looks = made.is_some_and(|made| made.depends_on.contains(dependency.id));
            if course.last_replaced.is_some() || course.made.is_some() || !looks {
                continue;
            }
            let had = held.and_then(|held| held.addresses.as_ref());
            let meant = wanted.and_then(|wanted| wanted.addresses.as_ref());
            let Some((had, home)) = had.filter(|had| meant != Some(*had)).zip(self.machines.get(at)) else {
                continue;
            };
            let found = |vm: &VmId| {
                let sides = [to, from];
                match sides.iter().find_map(|side| side.vms.get(vm)?.ip.as_ref()) {
                    Some(address) => had.get(&spec.key) == Some(address),
                    None => from.vms.contains_key(vm),
                }
            };
            // Where it is on several VMs all the same, any of them will do.
            let lost = !found(home.id) && !to.places(dependency.id).any(|(vm, _)| found(vm));
            if lost {
                breaches.push(format!(
                    "{tier} on {vm} looks for {} elsewhere than on {} in the end",
                    dependency.id, home.id
                ));
            }
        }
        self.breaches.extend(breaches);
    }

    /// In which stage a container is made there.
    fn arrival(&self, vm: VmNo, tier: TierNo) -> Option<usize> {
        self.arrivals.get(&(vm, tier)).copied()
    }
}
