//! Apps as requests: each is carried out by an execution of its own, one after the other, whoever asked for what.

use crate::execute::By;
use crate::fault::{Code, Fault};
use crate::model::app::{App, State, Step};
use crate::model::intent::{Intent, Wanted};
use crate::service::admission::Request;
use crate::service::besides::Word;
use crate::service::requirements::Confine;
use crate::service::{Service, Snapshot};

use super::carry_out::Attempt;
use super::request::request_of;

impl Service {
    /// Begins what a request for an app takes.
    pub(super) async fn attempt_app(
        &self,
        snapshot: &Snapshot,
        intent: &Intent,
        name: &str,
    ) -> Result<Attempt, Fault> {
        let topology = snapshot.topology()?;
        let Some(app) = snapshot.besides.apps.get(name) else {
            return Ok(Attempt::Refused(vec![format!("there is no app {name}")]));
        };
        if app.request.step == Step::Remove && app.part().is_none() {
            return Ok(Attempt::Done);
        }
        if app.request.state == State::New {
            let intent = intent.clone();
            self.with_store(move |store| store.tell_app(&intent)).await?;
        }
        let request = Request {
            app: Some(name.to_owned()),
            word: Word::Besides,
            ..request_of(snapshot, &topology, intent, Confine::default())
        };
        Ok(Attempt::of(self.begin(request).await))
    }

    /// Notes on apps that their requests are over, where an earlier process ended between the two.
    pub(super) async fn tell_apps(&self) {
        let snapshot = self.snapshot();
        let goes_on =
            |app: &App| matches!(app.request.state, State::New | State::Dispatched | State::Pending);
        let is_open = |app: &App| snapshot.intents.iter().any(|open| open.id == app.request.id);
        let apps = snapshot.besides.apps.values();
        for app in apps.filter(|app| goes_on(app) && !is_open(app)) {
            let told = match self.intent(app.request.id).await {
                Ok(intent) if intent.state.is_over() => {
                    self.with_store(move |store| store.tell_app(&intent)).await
                }
                // It was taken a moment ago.
                Ok(_) => Ok(()),
                Err(fault) => Err(fault),
            };
            if let Err(error) = told {
                tracing::warn!(%error, "could not note what became of the request for an app");
            }
        }
    }

    /// Puts a request for an app on record.
    pub(in crate::service) async fn take_request(
        &self,
        name: String,
        step: Step,
        by: By,
    ) -> Result<App, Fault> {
        let wanted = match &step {
            Step::Deploy(_) => Wanted::DeployApp { app: name.clone() },
            Step::Remove => Wanted::RemoveApp { app: name.clone() },
        };
        let intent = self.new_intent(wanted, by);
        tracing::info!(intent = %intent.id, app = name, kind = intent.wanted.kind(), by = intent.by, "a request was taken");
        self.with_store(move |store| {
            if store.open_intents().len() >= super::MOST {
                let message = format!(
                    "{} intents wait already; ask again when some are done",
                    super::MOST
                );
                return Err(Fault::new(Code::Overloaded, message));
            }
            store.request_app(&name, step, intent)
        })
        .await
    }
}
