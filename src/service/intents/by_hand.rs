//! By hand: how many VMs are kept, and one container of a given size on a given VM. Whoever asks waits for the end.

use serde_json::json;

use crate::execute::By;
use crate::fault::{Code, Fault};
use crate::model::intent::{Intent, State, Wanted};
use crate::model::{Size, TierId, VmId};
use crate::service::Service;

/// One container, of this size, on this VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetTier {
    /// The tier.
    pub tier: TierId,
    /// The VM.
    pub vm: VmId,
    /// What it holds; nothing to remove it.
    pub size: Size,
}

impl Service {
    /// Wants something by hand, and waits until it is done. It goes on even when the caller goes away.
    ///
    /// # Errors
    ///
    /// When it makes no sense, can't be done, or is not done.
    pub async fn by_hand(&self, wanted: Wanted, by: By) -> Result<Intent, Fault> {
        let service = self.clone();
        self.to_the_end(async move {
            let intent = service.take_intent(wanted, by).await?;
            let ended = service.ended(intent).await?;
            service.answer(ended).await
        })
        .await
    }

    /// Waits until an intent is over.
    async fn ended(&self, intent: Intent) -> Result<Intent, Fault> {
        let mut changes = self.changes();
        let id = intent.id;
        let over = |intents: &[Intent]| !intents.iter().any(|open| open.id == id);
        loop {
            if over(&changes.borrow_and_update().intents) {
                return self.intent(id).await;
            }
            if changes.changed().await.is_err() {
                return Err(Fault::new(Code::Stopping, "the service has stopped"));
            }
        }
    }

    /// An intent that is over, as an answer to who waits for it.
    async fn answer(&self, intent: Intent) -> Result<Intent, Fault> {
        let code = match (intent.state, intent.execution) {
            (State::Done, _) => return Ok(intent),
            (State::Failed, Some(execution)) => match self.execution(execution).await {
                Ok(record) => record.failure().map_or(Code::Cancelled, |failure| failure.code),
                Err(fault) => return Err(fault),
            },
            (State::Cancelled, _) => Code::Cancelled,
            _ => Code::Infeasible,
        };
        let message = intent.reasons.join("; ");
        Err(Fault::new(code, message).with([json!({ "intent": intent.id, "execution": intent.execution })]))
    }
}
