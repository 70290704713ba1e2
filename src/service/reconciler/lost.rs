//! Nodes that count as lost, or have said that they leave: everything is to be elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::difference::{Kind, Look, Place};
use crate::cloud::{CloudVm, Standing};
use crate::fault::Fault;
use crate::model::VmId;
use crate::nodes::Presence;
use crate::service::admission::Request;
use crate::service::{Service, Snapshot};

impl Service {
    /// A node may count as lost, or have said that it leaves, and its engine may answer all the same. Then nothing
    /// is given up: what is on it moves away in good order. Answers with those that do not answer.
    pub(super) async fn leave_those_that_answer(
        &self,
        lost: &BTreeSet<VmId>,
        request: &mut Request,
    ) -> Result<BTreeSet<VmId>, Fault> {
        if lost.is_empty() {
            return Ok(BTreeSet::new());
        }
        let snapshot = self.snapshot();
        let topology = snapshot.topology()?;
        let known = self.known(&topology).await?;
        let looks = lost.iter().map(|vm| {
            let (snapshot, topology, known) = (&snapshot, &topology, known.get(vm));
            async move { (vm, known, self.look(snapshot, topology, vm, known).await.is_ok()) }
        });
        let mut gone = BTreeSet::new();
        for (vm, known, answers) in join_all(looks).await {
            match known.map(|vm| &vm.standing) {
                Some(Standing::Silent(_) | Standing::Departing(_)) if answers => {
                    request.confine.leave.insert(vm.clone());
                }
                _ => drop(gone.insert(vm.clone())),
            }
        }
        Ok(gone)
    }

    /// Containers on nodes that count as lost, or have said that they leave: whatever else differs about them, they
    /// are to be elsewhere.
    pub(super) fn lost_or_leaving(
        &self,
        snapshot: &Snapshot,
        known: &BTreeMap<VmId, CloudVm>,
        all: &mut Look,
    ) {
        for (id, vm) in &snapshot.allocation.vms {
            let presence = self.registry(|registry, now| registry.presence(id, now));
            let why = match (known.get(id).map(|vm| &vm.standing), presence) {
                (Some(Standing::Departing(why)), _) => format!("VM leaves: {why}"),
                (Some(Standing::Ready | Standing::Silent(_)), Presence::Lost(why)) => {
                    format!("VM lost: {why}")
                }
                _ => continue,
            };
            for tier in vm.used.keys() {
                let place = Place {
                    vm: Some(id.clone()),
                    container: tier.to_string(),
                };
                let told = all.entry(place).or_insert((Kind::Lost, Vec::new()));
                if told.0 != Kind::EngineChanged {
                    *told = (Kind::Lost, vec![why.clone()]);
                }
            }
        }
    }
}
