//! Containers in the journal that an earlier version made, before there were owners: they are ours.

use std::collections::BTreeSet;

use crate::engine::Observed;
use crate::execute::real_name;
use crate::fault::Fault;
use crate::model::VmId;

use crate::service::{Service, Snapshot};

impl Service {
    /// Containers in the journal that an earlier version made, before there were owners: by VM and
    /// name. They are ours.
    pub(in crate::service) async fn on_record(
        &self,
        snapshot: &Snapshot,
    ) -> Result<BTreeSet<(VmId, String)>, Fault> {
        if !snapshot.unlabelled {
            return Ok(BTreeSet::new());
        }
        let confirmed = snapshot.allocation.vms.iter();
        let confirmed = confirmed.flat_map(|(vm, held)| held.used.keys().map(move |tier| (vm.clone(), tier)));
        let mut known: BTreeSet<_> = confirmed.map(|(vm, tier)| (vm, tier.to_string())).collect();
        if let Some(id) = snapshot.running {
            // What was being made when the earlier version was stopped is not confirmed.
            let running = self.execution(id).await?;
            let begun = running.actions().filter_map(|(_, action)| {
                let vm = real_name(&snapshot.bindings, action.vm()).clone();
                Some((vm, action.container()?.to_string()))
            });
            known.extend(begun);
        }
        Ok(known)
    }

    /// Takes over the containers that the journal lists.
    pub(in crate::service) fn take_over(
        &self,
        vm: &VmId,
        on_record: &BTreeSet<(VmId, String)>,
        seen: &mut [Observed],
    ) {
        let owners = self.inner.platform.engines().owners();
        for one in seen.iter_mut().filter(|one| {
            let nobodys = one.by_mapek() && one.owner().is_none() && !one.managed;
            nobodys && on_record.contains(&(vm.clone(), one.name.clone()))
        }) {
            tracing::info!(%vm, container = one.name, "taking over a container that an earlier version made");
            owners.take_over(&one.id);
            one.managed = true;
        }
    }
}
