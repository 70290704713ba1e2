//! Cordons of terminated instances are dropped, since no instance ever has that name again.

use crate::execute::By;
use crate::journal::CordonChange;
use crate::model::Change;
use crate::model::intent::{Intent, State, Wanted};
use crate::model::topology::Cloud;
use crate::service::state::Store;

impl Store {
    /// Drops the cordons of instances that these changes took away. A host is only released, and stays cordoned.
    pub(in crate::service) fn forget_terminated(&mut self, changes: &[Change]) {
        let now = self.now();
        let terminates = |topology: &crate::model::Topology| {
            matches!(topology.infrastructure.cloud, Cloud::AutoScaling(_))
        };
        if !now.topology.as_deref().is_some_and(terminates) {
            return;
        }
        for change in changes {
            let Change::VmGone { vm } = change else { continue };
            if !now.cordons.contains_key(vm) {
                continue;
            }
            let at = self.outside.now();
            let lifted = Intent {
                id: self.outside.id(),
                wanted: Wanted::Uncordon { node: vm.clone() },
                state: State::Done,
                execution: None,
                reasons: vec!["the instance is terminated".to_owned()],
                by: By::itself().name,
                created_at: at,
                changed_at: at,
            };
            // What is left of it does no harm.
            if let Err(error) = self.keep_intent(lifted, Some(&CordonChange::Lift(vm.clone()))) {
                tracing::warn!(%error, node = %vm, "could not drop the cordon of an instance that is gone");
            }
        }
    }
}
