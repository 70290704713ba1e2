#![allow(clippy::unwrap_used, clippy::panic)]

use async_trait::async_trait;

use super::*;
use crate::cloud::Cloud;
use crate::engine::{Engine, EngineError, Engines};
use crate::hooks::HookSet;
use crate::journal::SqliteJournal;
use crate::model::Topology;
use crate::model::topology::Tls;

/// A world in which there is nothing.
struct Nowhere;

impl Engines for Nowhere {
    fn at(&self, _: &str, _: Option<&Tls>) -> Result<Arc<dyn Engine>, EngineError> {
        panic!("nobody looks for an engine")
    }
}

#[async_trait]
impl Platform for Nowhere {
    fn cloud(&self, _: &Topology) -> Result<Arc<dyn Cloud>, Fault> {
        Err(Fault::new(Code::CloudUnreachable, "there is none"))
    }

    fn engines(&self) -> Arc<dyn Engines> {
        Arc::new(Self)
    }

    async fn check_machines(&self, _: &Topology) -> Result<(), Fault> {
        Ok(())
    }

    async fn hooks(&self, _: &Topology) -> Result<Option<Arc<HookSet>>, Fault> {
        Ok(None)
    }
}

fn service(folder: &std::path::Path) -> Service {
    let settings = Settings {
        solve_deadline: Duration::from_secs(1),
        hook_deadline: Duration::from_secs(1),
        parallel: 1,
        parallel_on_vm: 1,
        retry_for: Duration::from_secs(1),
        meter: Meter::default(),
        journal_file: None,
        solves: 1,
        outside: Arc::new(crate::outside::System),
        max_what_if: Duration::from_secs(1),
    };
    let journal = SqliteJournal::open(folder).unwrap();
    Service::open(Box::new(journal), Arc::new(Nowhere), settings).unwrap()
}

#[tokio::test]
async fn what_is_done_to_the_end_is_done_for_the_client_that_asked() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path());
    let asked = || service.to_the_end(async { Ok(queue::client()) });
    assert_eq!(
        &*on_behalf_of("planner".into(), asked()).await.unwrap(),
        "planner"
    );
    assert_eq!(&*asked().await.unwrap(), "mapek");
}
