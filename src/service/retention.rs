//! Deletes history that is no longer kept, in the background.

use std::time::Duration;

use crate::journal::Retention;

use super::Service;

/// Time for others to write between two steps.
const PAUSE: Duration = Duration::from_millis(20);
/// Things that happen right after one another are handled together.
const SETTLE: Duration = Duration::from_secs(1);
/// Some history becomes too old without anything happening.
const AT_LEAST_EVERY: Duration = Duration::from_hours(1);

impl Service {
    /// Starts to delete what is beyond the limits: now, after each change, and every hour.
    pub fn keep_history(&self, retention: Retention) {
        let service = self.clone();
        self.inner.runtime.spawn(async move {
            let mut changes = service.changes();
            loop {
                changes.borrow_and_update();
                service.prune(retention).await;
                // An error means that the service has ended.
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
                // Nothing is lost by keeping more; whoever needs the disk reports that it is full.
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
