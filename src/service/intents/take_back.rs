//! Intents that are taken back before they begin: by a person, or by a newer intent that wants
//! something else.

use uuid::Uuid;

use crate::execute::By;
use crate::fault::{Code, Fault};
use crate::model::intent::{Intent, State, Wanted};
use crate::service::Service;
use crate::service::state::Store;

impl Service {
    /// Takes back an intent that has not begun. If it was already taken back, it is the answer,
    /// too.
    ///
    /// # Errors
    ///
    /// When there is none of that id, it has begun or is over, or that can't be recorded.
    pub async fn withdraw(&self, id: Uuid, by: By) -> Result<Intent, Fault> {
        let service = self.clone();
        self.to_the_end(async move {
            let name = by.name;
            let taken_back = service.with_store(move |store| store.withdraw(id, &name)).await?;
            match taken_back {
                Some(intent) => {
                    tracing::info!(intent = %id, by = intent.by, "an intent was taken back");
                    Ok(intent)
                }
                None => service.intent(id).await.and_then(taken_back_before),
            }
        })
        .await
    }
}

/// An intent that is over, if it was taken back.
fn taken_back_before(intent: Intent) -> Result<Intent, Fault> {
    if intent.state == State::Cancelled {
        return Ok(intent);
    }
    let message = format!(
        "intent {} is {} already; there is nothing to take back",
        intent.id,
        intent.state.as_str()
    );
    Err(Fault::new(Code::TooLate, message))
}

impl Store {
    /// Takes an intent back; None if it is over.
    pub(super) fn withdraw(&mut self, id: Uuid, by: &str) -> Result<Option<Intent>, Fault> {
        let open = self.open_intents();
        let Some(intent) = open.iter().find(|open| open.id == id) else {
            return Ok(None);
        };
        if let (State::Running, Some(execution)) = (intent.state, intent.execution) {
            let message =
                format!("execution {execution} carries intent {id} out already; cancel that to end it");
            return Err(Fault::new(Code::TooLate, message));
        }
        let mut reasons = vec![format!("it was taken back by {by}")];
        if let Wanted::Drain { node } = &intent.wanted {
            reasons.push(format!(
                "node '{node}' stays cordoned; uncordon it to use it again"
            ));
        }
        self.cancel_intent(intent, reasons).map(Some)
    }

    /// Takes back what waits and is wanted no more, now that something else is.
    pub(in crate::service) fn supersede(&mut self, newer: &Intent) -> Result<(), Fault> {
        let open = self.open_intents();
        for older in open.iter().filter(|older| older.state == State::Pending) {
            let why = match (&newer.wanted, &older.wanted) {
                // Whoever wants a node back no longer wants it drained.
                (Wanted::Uncordon { node }, Wanted::Drain { node: drained }) if node == drained => {
                    format!("the node was uncordoned by {}", newer.by)
                }
                (
                    Wanted::Migrate { tier, from, .. },
                    Wanted::Migrate {
                        tier: moved,
                        from: left,
                        ..
                    },
                ) if tier == moved && (from == left || from.is_none() || left.is_none()) => {
                    format!("{} wants {tier} elsewhere since (intent {})", newer.by, newer.id)
                }
                (Wanted::SetCapacity { .. }, Wanted::SetCapacity { .. }) => {
                    format!("{} wants another capacity since (intent {})", newer.by, newer.id)
                }
                (
                    Wanted::SetTier { tier, node, .. },
                    Wanted::SetTier {
                        tier: set, node: on, ..
                    },
                ) if tier == set && node == on => {
                    format!("{} wants another size since (intent {})", newer.by, newer.id)
                }
                (newer_wants, older_wants)
                    if newer_wants.app().is_some() && newer_wants.app() == older_wants.app() =>
                {
                    format!(
                        "{} has asked for something else since (request {})",
                        newer.by, newer.id
                    )
                }
                _ => continue,
            };
            self.cancel_intent(older, vec![why])?;
        }
        Ok(())
    }

    fn cancel_intent(&mut self, intent: &Intent, reasons: Vec<String>) -> Result<Intent, Fault> {
        let cancelled = Intent {
            state: State::Cancelled,
            reasons,
            ..intent.clone()
        };
        self.keep_intent(cancelled, None)
    }
}
