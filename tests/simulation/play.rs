//! Plays a story: one run of the service after the other, in one world.

use std::path::Path;
use std::time::Duration;

use mapek::service::Service;
use tempfile::TempDir;

use crate::agent;
use crate::clients::Clients;
use crate::ending::{self, Ending};
use crate::mishap::strike;
use crate::platform::start;
use crate::story::{Story, Timed, Trouble, What};
use crate::world::World;

/// How a story went.
pub struct Played {
    /// The promise that was broken.
    pub violation: Option<String>,
    /// A fingerprint of everything that happened.
    pub hash: u64,
    /// What happened, if it was to be kept.
    pub lines: Vec<String>,
}

/// How a run of the service ended.
enum End {
    /// It was killed or stopped, and is started again after this long.
    Again(Duration),
    /// The story is over.
    Over,
}

/// A folder for a service's record, in memory if possible.
fn disk() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// Plays a story to its end, or until a promise is broken.
pub fn play(story: &Story, kept: bool) -> Played {
    let mut disk = disk();
    let world = World::new(story.seed, &story.setting, kept);
    let mut teller = Teller {
        story,
        world: world.clone(),
        clients: Clients::new(world.clone(), story),
        next: 0,
        restart_after: Duration::ZERO,
        loses_record: false,
        patient: story.setting.patient,
    };
    loop {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let end = runtime.block_on(async {
            let end = teller.life(disk.path()).await;
            world.end_life();
            end
        });
        drop(runtime);
        if std::mem::take(&mut teller.loses_record) {
            world.lock().lose_record();
            disk = self::disk();
        }
        match end {
            End::Again(after) if world.lock().violation.is_none() => teller.pass(after),
            End::Again(_) | End::Over => break,
        }
    }
    let state = &mut *world.lock();
    Played {
        violation: state.violation.take(),
        hash: state.trace.hash(),
        lines: state.trace.take(),
    }
}

/// Makes the story happen.
struct Teller<'s> {
    story: &'s Story,
    world: World,
    clients: Clients,
    next: usize,
    restart_after: Duration,
    /// The record is removed before the next run.
    loses_record: bool,
    /// Whether placements are searched for until they are proven.
    patient: bool,
}

impl Teller<'_> {
    /// One run of the service.
    async fn life(&mut self, disk: &Path) -> End {
        self.world.begin_life();
        self.world.note("the service starts");
        let service = match start(&self.world, disk, &self.story.setting, self.patient) {
            Ok(service) => service,
            Err(error) => {
                self.world.broken(format!("the service does not start: {error}"));
                return End::Over;
            }
        };
        agent::start(&self.world, &service, &self.story.setting);
        let reached = service.snapshot().reached.clone();
        let wrong = self
            .world
            .lock()
            .checks
            .reached(reached.map(|reached| reached.plan.clone()).as_ref());
        if let Some(promise) = wrong {
            self.world.broken(promise);
            return End::Over;
        }
        while let Some(timed) = self.story.events.get(self.next) {
            if let Some(end) = self.wait_until(timed.at).await {
                return end;
            }
            self.next += 1;
            if let Some(end) = self.happen(timed, Some(&service)).await {
                return end;
            }
        }
        // Trouble that is already waiting may still happen.
        let soon = self.world.now() + Duration::from_secs(120);
        if let Some(end) = self.wait_until(soon).await {
            return end;
        }
        tokio::select! {
            biased;
            () = self.world.over.notified() => self.cut_off(),
            end = ending::converge(&self.world, &service, self.story) => match end {
                Ending::Undecided if !self.patient => {
                    self.patient = true;
                    End::Again(Duration::from_secs(1))
                }
                Ending::Undecided | Ending::Told => End::Over,
            },
        }
    }

    async fn wait_until(&self, at: Duration) -> Option<End> {
        let pause = at.saturating_sub(self.world.now());
        tokio::select! {
            biased;
            () = self.world.over.notified() => Some(self.cut_off()),
            () = tokio::time::sleep(pause) => None,
        }
    }

    fn cut_off(&self) -> End {
        match self.world.lock().violation {
            Some(_) => End::Over,
            None => End::Again(self.restart_after),
        }
    }

    /// Time passes, and things happen, while no service is running.
    fn pass(&mut self, after: Duration) {
        let back = self.world.now() + after;
        while let Some(timed) = self.story.events.get(self.next).filter(|timed| timed.at < back) {
            self.world.pass_until(timed.at);
            self.next += 1;
            // Nobody answers a client; and a service that is not there can't be killed.
            if let What::Trouble(trouble) = &timed.what {
                self.strike(trouble);
            }
        }
        self.world.pass_until(back);
    }

    async fn happen(&mut self, timed: &Timed, service: Option<&Service>) -> Option<End> {
        match (&timed.what, service) {
            (What::Ask(ask), Some(service)) => self.clients.ask(service, ask),
            (What::Trouble(Trouble::Kill { steps, restart_after }), _) => {
                self.world
                    .note(&format!("trouble: it is to be killed in {steps} steps"));
                self.restart_after = *restart_after;
                self.world.kill_after(*steps);
            }
            (What::Trouble(Trouble::LoseRecord { restart_after }), _) => {
                self.world
                    .note("trouble: the service is killed, and its record is lost");
                self.world.lock().dead = true;
                self.loses_record = true;
                return Some(End::Again(*restart_after));
            }
            (What::Trouble(Trouble::Terminate { restart_after }), Some(service)) => {
                self.world.note("trouble: SIGTERM");
                self.restart_after = *restart_after;
                let stopped = tokio::time::timeout(Duration::from_secs(600), service.stop());
                tokio::select! {
                    biased;
                    () = self.world.over.notified() => return Some(self.cut_off()),
                    stopped = stopped => if stopped.is_err() {
                        self.world.broken("the service does not stop within ten minutes".to_owned());
                    },
                }
                self.world.note("the service has stopped");
                return Some(End::Again(*restart_after));
            }
            (What::Trouble(trouble), _) => self.strike(trouble),
            (What::Ask(_), None) => {}
        }
        None
    }

    fn strike(&self, trouble: &Trouble) {
        let state = &mut *self.world.lock();
        state.settle();
        state.note(&format!("trouble: {trouble:?}"));
        strike(state, trouble);
    }
}
