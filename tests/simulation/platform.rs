//! What the service gets from outside: the real drivers for hosts and for groups, with simulated
//! engines and simulated calls, and hooks that are simply there.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use mapek::cloud::{AutoScalingGroup, Cloud, Hosts, RegisteredNodes};
use mapek::engine::{Engines, Owners};
use mapek::fault::{Code, Fault};
use mapek::hooks::{HookSet, Kind};
use mapek::journal::{Journal, JournalError, Retention, SqliteJournal};
use mapek::meter::Meter;
use mapek::model::Topology;
use mapek::model::topology::{Cloud as CloudSpec, Infrastructure};
use mapek::service::{Platform, Service, Settings};

use crate::disk::SimulatedDisk;
use crate::engine::SimulatedEngines;
use crate::group::SimulatedAws;
use crate::story::Setting;
use crate::world::World;

pub const HOOKS: [&str; 2] = ["scale.sh", "told.sh"];

pub struct SimulatedPlatform {
    world: World,
    owners: Owners,
    group: Mutex<Option<(Infrastructure, Arc<AutoScalingGroup>)>>,
}

#[async_trait]
impl Platform for SimulatedPlatform {
    fn cloud(&self, topology: &Topology) -> Result<Arc<dyn Cloud>, Fault> {
        let infrastructure = &topology.infrastructure;
        match &infrastructure.cloud {
            CloudSpec::Hosts(hosts) => Ok(Arc::new(Hosts::new(
                hosts.clone(),
                infrastructure,
                self.engines(),
            ))),
            CloudSpec::Nodes(nodes) => Ok(Arc::new(RegisteredNodes::new(
                nodes,
                infrastructure,
                self.engines(),
            ))),
            CloudSpec::AutoScaling(spec) => {
                let mut kept = self.group.lock().unwrap();
                if let Some((of, group)) = kept.as_ref()
                    && of == infrastructure
                {
                    return Ok(group.clone());
                }
                let aws = Box::new(SimulatedAws(self.world.clone()));
                let group = AutoScalingGroup::with(spec.clone(), infrastructure, self.engines(), aws);
                let group = Arc::new(group);
                *kept = Some((infrastructure.clone(), group.clone()));
                Ok(group)
            }
            CloudSpec::Embedded => Err(Fault::new(
                Code::CloudMisconfigured,
                "stories have hosts or a group",
            )),
        }
    }

    fn engines(&self) -> Arc<dyn Engines> {
        Arc::new(SimulatedEngines {
            world: self.world.clone(),
            owners: self.owners.clone(),
        })
    }

    async fn check_machines(&self, _topology: &Topology) -> Result<(), Fault> {
        Ok(())
    }

    async fn hooks(&self, topology: &Topology) -> Result<Option<Arc<HookSet>>, Fault> {
        if topology.infrastructure.hooks.is_none() {
            return Ok(None);
        }
        self.world.step().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let away = {
            let state = self.world.lock();
            state.hooks_away_until > state.now()
        };
        if away {
            return Err(Fault::new(
                Code::HooksUnavailable,
                "the hooks repository does not answer",
            ));
        }
        let mut set = HookSet::new("one");
        set.add(Kind::Scale, HOOKS[0], Vec::new()).unwrap();
        set.add(Kind::Tier, HOOKS[1], Vec::new()).unwrap();
        Ok(Some(Arc::new(set)))
    }
}

/// Longer than any search in a story takes.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How often the service looks for drift.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Puts an empty record where there is none. Making one takes as long as half a story.
fn first_record(disk: &Path) {
    static EMPTY: OnceLock<Vec<u8>> = OnceLock::new();
    let file = disk.join("journal.sqlite");
    if file.exists() {
        return;
    }
    let empty = EMPTY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        drop(SqliteJournal::open(folder.path()).unwrap());
        std::fs::read(folder.path().join("journal.sqlite")).unwrap()
    });
    std::fs::write(file, empty).unwrap();
}

/// Starts the service as the program does: with what its disk has, and with what was cut off taken
/// up.
pub fn start(world: &World, disk: &Path, setting: &Setting, patient: bool) -> Result<Service, JournalError> {
    if world.lock().lost_owners.is_empty() {
        first_record(disk);
    }
    let journal = SqliteJournal::open(disk)?;
    {
        let state = &mut *world.lock();
        state.owner = Some(journal.owner());
        state.checks.owner = state.owner;
    }
    let owners = Owners::new(&journal.owner().to_string(), journal.adopted()?);
    let journal = SimulatedDisk::new(world.clone(), journal);
    let platform = SimulatedPlatform {
        world: world.clone(),
        owners,
        group: Mutex::default(),
    };
    let settings = Settings {
        // Virtual time stands still while a placement is searched for. The search ends with its
        // proof, or with the first placement that it finds, which takes a hundredth of the time.
        solve_deadline: if patient { PATIENCE } else { Duration::ZERO },
        max_what_if: PATIENCE,
        hook_deadline: Duration::from_secs(60),
        parallel: setting.parallel,
        parallel_on_vm: setting.parallel_on_vm,
        retry_for: Duration::from_secs(30),
        meter: Meter::default(),
        journal_file: None,
        solves: 2,
        outside: Arc::new(world.clone()),
    };
    let service = Service::open(Box::new(journal), Arc::new(platform), settings)?;
    service.watch_leases();
    service.carry_out_intents();
    service.watch_for_drift(LOOK_EVERY);
    if setting.forgetful {
        service.keep_history(Retention {
            executions: 3,
            days: 1,
        });
    }
    let (starting, on_restart) = (service.clone(), setting.on_restart);
    tokio::spawn(async move {
        // What can't be taken up is held, and a client has to deal with it.
        let _ = starting.recover(on_restart).await;
        let _ = starting.compare().await;
    });
    Ok(service)
}
