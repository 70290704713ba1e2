//! Intents that are not over, and cordons.

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use crate::execute::Frozen;
use crate::fault::Fault;
use crate::journal::CordonChange;
use crate::model::intent::{Intent, State};

use crate::service::state::Store;

impl Store {
    /// Notes on the intent of an execution that it is being carried out. Where that can't be written, the next
    /// start does it.
    pub(super) fn carries_out(&mut self, frozen: &Frozen) {
        let open = self.open_intents();
        let waits = |intent: &&Intent| Some(intent.id) == frozen.intent && intent.execution.is_none();
        let Some(mut intent) = open.iter().find(waits).cloned() else {
            return;
        };
        (intent.state, intent.execution) = (State::Running, Some(frozen.id));
        intent.reasons.clear();
        if let Err(error) = self.keep_intent(intent, None) {
            tracing::warn!(%error, "could not note that an intent is being carried out");
        }
    }

    /// Intents that are not over.
    pub fn open_intents(&self) -> Arc<Vec<Intent>> {
        Arc::clone(&self.now.borrow().intents)
    }

    /// Records an intent, new or changed, with what it does to the cordon of a node.
    pub fn keep_intent(
        &mut self,
        mut intent: Intent,
        cordon: Option<&CordonChange>,
    ) -> Result<Intent, Fault> {
        intent.changed_at = self.outside.now();
        let event = json!({ "intent": intent.id, "kind": intent.wanted.kind(), "state": intent.state,
            "node": intent.wanted.node(), "execution": intent.execution, "reasons": intent.reasons, "by": intent.by });
        let event = self.dated("intent", event);
        self.journal.keep_intent(&intent, cordon, &event)?;
        self.publish(|now| {
            match cordon {
                None => {}
                Some(CordonChange::Put(node, cordon)) => {
                    Arc::make_mut(&mut now.cordons).insert(node.clone(), cordon.clone());
                }
                Some(CordonChange::Lift(node)) => drop(Arc::make_mut(&mut now.cordons).remove(node)),
            }
            now.show_intent(&intent);
        });
        self.tell_app(&intent)?;
        Ok(intent)
    }

    /// Records how far an intent is that was not over a while ago. If it was taken back meanwhile,
    /// it stays over.
    pub fn keep_if_open(&mut self, intent: Intent) -> Result<(), Fault> {
        if self.is_open(intent.id) {
            self.keep_intent(intent, None)?;
        }
        Ok(())
    }

    pub(super) fn is_open(&self, intent: Uuid) -> bool {
        self.open_intents().iter().any(|open| open.id == intent)
    }
}
