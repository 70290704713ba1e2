//! Dropping what is kept of the history no longer, behind everyone's back.

use std::time::Duration;

use crate::journal::Retention;

use super::Service;

/// Time for others to write between two steps.
const PAUSE: Duration = Duration::from_millis(20);
/// Things that happen right after one another are seen to at once.
const SETTLE: Duration = Duration::from_secs(1);
/// What gets too old gets so without anything happening.
const AT_LEAST_EVERY: Duration = Duration::from_hours(1);

impl Service {
    /// Starts to drop what is beyond the limits: now, after whatever happens, and every hour.
    pub fn keep_history(&self, retention: Retention) {
        let service = self.clone();
        self.inner.runtime.spawn(async move {
            let mut changes = service.changes();
            loop {
                changes.borrow_and_update();
                service.prune(retention).await;
                // That it ended says that the service has.
                if let Ok(Err(_)) = tokio::time::timeout(AT_LEAST_EVERY, changes.changed()).await {
                    return;
                }
                tokio::time::sleep(SETTLE).await;
            }
        });
    }

    async fn prune(&self, retention: Retention) {
        let (mut executions, mut events) = (0, 0);
        loop {
            match self.with_store(move |store| store.prune(&retention)).await {
                Ok(step) => {
                    executions += step.executions;
                    events += step.events;
                    if !step.more {
                        break;
                    }
                }
                // Nothing is lost by keeping more; a full disk is told by whoever needs it.
                Err(error) => {
                    tracing::warn!(%error, "could not drop what is kept of the history no longer");
                    break;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        if executions + events > 0 {
            tracing::info!(
                executions,
                events,
                "dropped what is kept of the history no longer"
            );
        }
    }
}
