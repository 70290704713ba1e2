//! The clients: each request is a task of its own, and its answer is checked.

use std::time::Duration;

use mapek::execute::{By, Direction};
use mapek::fault::{Code, Fault};
use mapek::journal::Page;
use mapek::model::intent::{Destination, Wanted};
use mapek::model::{Size, TierId, VmId};
use mapek::service::{Request, Service};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::story::{AppVersion, Ask, Story};
use crate::world::World;

pub struct Clients {
    world: World,
    topologies: Vec<Value>,
    plans: Vec<Value>,
}

pub fn client() -> By {
    By {
        name: "client".to_owned(),
        ..By::default()
    }
}

impl Clients {
    pub fn new(world: World, story: &Story) -> Self {
        Self {
            world,
            topologies: story.setting.topologies.clone(),
            plans: story.setting.plans.clone(),
        }
    }

    pub fn ask(&self, service: &Service, ask: &Ask) {
        self.world.note(&format!("client: {ask:?}"));
        match *ask {
            Ask::Put { topology } => {
                let document = self.topologies[topology % self.topologies.len()].clone();
                self.tell("put", service, move |service, _| async move {
                    service
                        .put_topology(document, None, client())
                        .await
                        .map(|put| format!("generation {}", put.generation))
                });
            }
            Ask::Execute { times, .. } => {
                for _ in 0..times {
                    self.execute(service, ask);
                }
            }
            Ask::Cancel { times } => {
                for _ in 0..times {
                    self.tell("cancel", service, |service, world| async move {
                        let id = newest(&world)?;
                        service.cancel(id, client()).await?;
                        let state = &mut *world.lock();
                        if !state.dead {
                            state.checks.cancelled(id);
                        }
                        Ok(state.checks.name(id))
                    });
                }
            }
            Ask::Resume { times } => self.take_up(service, Direction::Forward, times),
            Ask::RollBack { times } => self.take_up(service, Direction::Back, times),
            Ask::GiveUp { vm } => self.tell("give up", service, move |service, _| async move {
                let known: Vec<VmId> = service.snapshot().allocation.vms.keys().cloned().collect();
                let Some(vm) = known.get(vm % known.len().max(1)).cloned() else {
                    return Ok("nothing".to_owned());
                };
                service
                    .give_up(vm.clone(), client())
                    .await
                    .map(|_| vm.to_string())
            }),
            Ask::Intend { kind, node, tier } => {
                self.tell("intend", service, move |service, world| async move {
                    let Some(wanted) = wanted(&service, kind, node, tier) else {
                        return Ok("nothing".to_owned());
                    };
                    if let Wanted::Uncordon { node } = &wanted {
                        world.lock().checks.uncordoned(node);
                    }
                    let lifted = world.lock().checks.lifted();
                    let intent = service.intend(wanted, client()).await?;
                    let state = &mut *world.lock();
                    if !state.dead {
                        state.checks.intended(intent.id);
                        // Answers overtake one another.
                        if let Wanted::Cordon { node } | Wanted::Drain { node } = &intent.wanted
                            && state.checks.lifted() == lifted
                        {
                            state.checks.cordoned(node.clone());
                        }
                    }
                    Ok(format!("{} is {}", intent.wanted.kind(), intent.state.as_str()))
                })
            }
            Ask::App { name, version } => self.tell("app", service, move |service, world| async move {
                let taken = match version {
                    Some(version) => {
                        service
                            .put_app(name.to_owned(), app(version), client())
                            .await?
                            .app
                    }
                    None => service.remove_app(name.to_owned(), client()).await?,
                };
                let state = &mut *world.lock();
                if !state.dead {
                    state.checks.intended(taken.id);
                }
                Ok(format!("{name} is {}", taken.state.as_str()))
            }),
            Ask::Capacity { count } => self.tell("capacity", service, move |service, _| async move {
                let wanted = Wanted::SetCapacity { capacity: count };
                let done = service.by_hand(wanted, client()).await?;
                Ok(format!("{count} is {}", done.state.as_str()))
            }),
            Ask::ByHand {
                node,
                tier,
                cores,
                mem,
            } => self.tell("by hand", service, move |service, _| async move {
                let allocation = service.snapshot().allocation.clone();
                let tiers: Vec<TierId> = allocation.totals().into_keys().collect();
                let nodes: Vec<&VmId> = allocation.vms.keys().collect();
                let tier = tiers.get(tier % tiers.len().max(1)).cloned();
                let node = nodes.get(node % nodes.len().max(1)).map(|node| (*node).clone());
                let (Some(tier), Some(node)) = (tier, node) else {
                    return Ok("nothing".to_owned());
                };
                let size = Size::new(cores, mem);
                let done = service
                    .by_hand(Wanted::SetTier { tier, node, size }, client())
                    .await?;
                Ok(done.state.as_str().to_owned())
            }),
            Ask::TakeBack { which } => self.tell("take back", service, move |service, world| async move {
                let open = service.snapshot().intents.clone();
                let Some(intent) = open.get(which % open.len().max(1)) else {
                    return Ok("nothing".to_owned());
                };
                let intent = service.withdraw(intent.id, client()).await?;
                let state = &mut *world.lock();
                if !state.dead {
                    state.checks.taken_back(intent.id);
                }
                Ok(intent.wanted.kind().to_owned())
            }),
            Ask::Adopt => self.tell("adopt", service, |service, world| async move {
                adopt(&service, &world).await.map(|()| "done".to_owned())
            }),
            Ask::Look => self.tell("look", service, |service, _| async move {
                service.inspect().await?;
                service.readiness().await;
                let found = service.executions(Page::newest(10)).await?;
                service.events_after(0, 100).await?;
                Ok(format!("{} executions", found.executions.len()))
            }),
        }
    }

    fn take_up(&self, service: &Service, direction: Direction, times: u8) {
        for _ in 0..times {
            self.tell("take up", service, move |service, world| async move {
                let id = newest(&world)?;
                service.take_up(id, direction, client()).await?;
                Ok(world.lock().checks.name(id))
            });
        }
    }

    fn execute(&self, service: &Service, ask: &Ask) {
        let Ask::Execute {
            plan: number,
            sealed,
            key,
            on_failure,
            patience,
            ..
        } = *ask
        else {
            return;
        };
        let plan = self.plans[number % self.plans.len()].clone();
        self.tell_within(patience, "execute", service, move |service, world| async move {
            let mut request = Request {
                plan: Some(plan.clone()),
                on_failure,
                idempotency_key: key.map(|key| format!("key{key}")),
                by: client(),
                ..Request::default()
            };
            if sealed {
                let shown = service.translate(plan).await?;
                if let Some(plan_id) = &shown.plan_id {
                    let mut state = world.lock();
                    state.checks.shown(plan_id, &shown.translation.stages);
                }
                request.plan_id = shown.plan_id;
            }
            let begun = match service.begin(request).await {
                Ok(begun) => begun,
                Err(fault) => {
                    let state = &mut *world.lock();
                    let waits = fault.code == Code::ExecutionRunning;
                    let broken = key
                        .filter(|_| waits)
                        .and_then(|key| state.checks.told_to_wait(key));
                    if let (Some(promise), false) = (broken, state.dead) {
                        state.broken(promise);
                    }
                    return Err(fault);
                }
            };
            let id = begun.id;
            if let Some(key) = key.filter(|_| !sealed) {
                let broken = world.lock().checks.answered(key, number, id);
                if let Some(promise) = broken {
                    world.broken(promise);
                }
            }
            let ended = begun.ended().await;
            let name = world.lock().checks.name(id);
            match ended.fault {
                Some(fault) => Err(Fault {
                    message: format!("{name}: {}", fault.message),
                    ..fault
                }),
                None => Ok(format!("{name} {:?}", ended.outcome)),
            }
        });
    }

    fn tell<A, F>(&self, what: &'static str, service: &Service, ask: A)
    where
        A: FnOnce(Service, World) -> F,
        F: Future<Output = Result<String, Fault>> + Send + 'static,
    {
        self.tell_within(None, what, service, ask);
    }

    /// Sends a request and records the answer, unless the service was killed meanwhile, or the
    /// client has disconnected. Requests overtake one another on their way.
    fn tell_within<A, F>(&self, patience: Option<Duration>, what: &'static str, service: &Service, ask: A)
    where
        A: FnOnce(Service, World) -> F,
        F: Future<Output = Result<String, Fault>> + Send + 'static,
    {
        let world = self.world.clone();
        let asked = ask(service.clone(), world.clone());
        let asked_at = world.now();
        tokio::spawn(async move {
            let travel = {
                let dice = &mut world.lock().dice;
                dice.percent(30).then(|| dice.millis(1, 30))
            };
            if let Some(travel) = travel {
                tokio::time::sleep(travel).await;
            }
            let answer = match patience {
                None => asked.await,
                Some(patience) => match tokio::time::timeout(patience, asked).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        world.note(&format!("the client hangs up on {what}"));
                        return;
                    }
                },
            };
            if world.lock().dead {
                return;
            }
            match answer {
                Ok(said) => world.note(&format!("answer to {what}: {said}")),
                Err(fault) => {
                    world.note(&format!("answer to {what}: {} {}", fault.code, fault.message));
                    let full = {
                        let state = world.lock();
                        state.disk_full_until >= asked_at
                    };
                    if fault.code == Code::JournalUnavailable && !full {
                        world.broken(format!(
                            "a client was told that the disk can't be written, which it can: {}",
                            fault.message
                        ));
                    }
                    if matches!(fault.code, Code::Internal | Code::UnsafePlan) {
                        world.broken(format!("a client was told of a defect: {}", fault.message));
                    }
                }
            }
        });
    }
}

/// A version of an app, as a client sends it.
fn app(version: AppVersion) -> Value {
    let tier = |name: &str| json!({ "docker_image": format!("{name}:{}", version.tag) });
    let size = json!({ "cpu_cores": version.cores, "mem_units": version.mem });
    let (mut tiers, mut plan) = (json!({ "one": tier("one") }), json!({ "one": size }));
    if version.second {
        tiers["two"] = json!({ "docker_image": "two:1" });
        tiers["one"]["depends_on"] = json!(["two"]);
        plan["two"] = size;
    }
    json!({ "tiers": tiers, "plan": plan })
}

/// Something that makes sense in the present state.
fn wanted(service: &Service, kind: u8, node: usize, tier: usize) -> Option<Wanted> {
    let allocation = service.snapshot().allocation.clone();
    let names: Vec<&VmId> = allocation.vms.keys().collect();
    let pick = |index: usize| names.get(index % names.len().max(1)).map(|name| (*name).clone());
    let node = pick(node)?;
    Some(match kind {
        0 => Wanted::Cordon { node },
        1 => Wanted::Uncordon { node },
        2 | 3 => Wanted::Drain { node },
        _ => {
            let tiers: Vec<TierId> = allocation.totals().into_keys().collect();
            Wanted::Migrate {
                tier: tiers.get(tier % tiers.len().max(1))?.clone(),
                from: (kind == 4).then(|| node.clone()),
                to: Destination::Nodes(match kind {
                    6 => vec![pick(tier)?, pick(tier + 1)?],
                    _ => vec![pick(tier)?],
                }),
            }
        }
    })
}

/// Has the service take over what all lost records had.
pub async fn adopt(service: &Service, world: &World) -> Result<(), Fault> {
    let lost = world.lock().lost_owners.clone();
    for owner in lost {
        service.adopt(owner, client()).await?;
        let state = &mut *world.lock();
        if !state.dead {
            state.adopted(owner);
        }
    }
    Ok(())
}

/// The execution that was begun last: what a client reads in the history.
fn newest(world: &World) -> Result<Uuid, Fault> {
    let newest = world.lock().checks.newest();
    newest.ok_or_else(|| Fault::new(Code::NotFound, "there is no execution"))
}
