//! An execution that a request began, with a way to wait for its end.

use tokio::sync::watch;
use uuid::Uuid;

use crate::fault::{Code, Fault};

use crate::service::supervisor::runner::Ended;

/// An execution that was begun, now or by the same request earlier.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Its id.
    pub id: Uuid,
    ended: Waiting,
}

#[derive(Clone, Debug)]
enum Waiting {
    For(watch::Receiver<Option<Ended>>),
    No(Box<Ended>),
}

impl Begun {
    pub(in crate::service) fn under_way(id: Uuid, ended: watch::Receiver<Option<Ended>>) -> Self {
        let ended = Waiting::For(ended);
        Self { id, ended }
    }

    pub(in crate::service) fn over(ended: Ended) -> Self {
        Self {
            id: ended.id,
            ended: Waiting::No(Box::new(ended)),
        }
    }

    /// Waits for the end.
    pub async fn ended(self) -> Ended {
        let id = self.id;
        match self.ended {
            Waiting::No(ended) => *ended,
            Waiting::For(mut ended) => match ended.wait_for(Option::is_some).await {
                Ok(ended) => ended.clone(),
                Err(_) => None,
            }
            .unwrap_or_else(|| {
                let message = "the execution's task ended without an answer; see the execution's record";
                Ended {
                    id,
                    outcome: None,
                    fault: Some(Fault::new(Code::Internal, message)),
                }
            }),
        }
    }
}
