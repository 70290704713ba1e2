//! The record as the runner sees it: every event goes through the supervisor.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use crate::execute::{Event, Execution, Recorder, Stamped, View, World, without_room};
use crate::fault::Fault;
use crate::translate::check::Subject;
use crate::translate::{Stage, translate};

use crate::service::planner::safety;
use crate::service::{Service, Snapshot};

#[async_trait]
impl Recorder for Service {
    async fn record(&self, execution: Uuid, event: Stamped) -> Result<(), Fault> {
        let recorded = event.clone();
        let action = self
            .ask(move |supervisor| supervisor.record(execution, &recorded))
            .await?;
        self.inner.metrics.event(&event.event, action.as_ref());
        if matches!(event.event, Event::Finished { .. }) {
            // A failure to count must not affect what is recorded.
            match Service::execution(self, execution).await {
                Ok(execution) => self.inner.metrics.ended(&execution),
                Err(error) => tracing::warn!(%execution, %error, "could not count the execution"),
            }
        }
        Ok(())
    }

    fn view(&self) -> View {
        self.snapshot().view()
    }

    async fn execution(&self, id: Uuid) -> Result<Execution, Fault> {
        Service::execution(self, id).await
    }

    async fn replan(&self, id: Uuid, world: Arc<World>) -> Result<Event, Fault> {
        self.place_anew(id, world).await
    }

    async fn way_back(&self, id: Uuid) -> Result<Vec<Stage>, Fault> {
        let execution = Service::execution(self, id).await?;
        let snapshot: Arc<Snapshot> = self.snapshot();
        let topology = snapshot.topology()?;
        let mut was = execution.frozen.from.into();
        without_room(&mut was, &snapshot.allocation);
        let from = &snapshot.allocation;
        let way = translate(&topology, from, &was);
        safety::check(&Subject {
            topology: &topology,
            from,
            to: &was,
            stages: &way.stages,
            interrupts: Some(&way.interrupts),
            target: Some(&way.target),
            untold: &std::collections::BTreeSet::new(),
            leftovers: &safety::Leftovers::new(),
        })?;
        Ok(way.stages)
    }
}
