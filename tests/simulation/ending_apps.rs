//! The end of a story, as far as apps and what is set by hand are concerned.

use mapek::model::app::State as AppState;
use mapek::model::intent::Wanted;
use mapek::model::{Plan, TierId};
use mapek::service::{AppWants, Service};

use crate::clients::client;
use crate::ending::{ATTEMPTS, Waits, rest};
use crate::world::World;

/// The plan, with what was set by hand named as well: that stays otherwise.
pub fn naming(plan: &serde_json::Value, service: &Service) -> serde_json::Value {
    let snapshot = service.snapshot();
    let mut all = plan.clone();
    let (Some(topology), Some(entries)) = (&snapshot.topology, all.as_object_mut()) else {
        return all;
    };
    let named = Plan::parse(plan, topology).map(|(plan, _)| plan.tiers);
    for tier in snapshot.besides.by_hand.tiers.keys() {
        let spec = topology.tiers.get(tier);
        if spec.is_some() && named.as_ref().is_ok_and(|named| !named.contains_key(tier)) {
            let nothing = serde_json::json!({ "cpu_cores": 0, "mem_units": 0 });
            let app = spec.map_or("", |spec| &spec.app);
            match entries.get_mut(app).and_then(serde_json::Value::as_object_mut) {
                Some(tiers) => {
                    drop(tiers.insert(spec.map_or(String::new(), |spec| spec.key.clone()), nothing))
                }
                None => drop(entries.insert(tier.to_string(), nothing)),
            }
        }
    }
    all
}

/// Apps that are deployed hold what was asked for. Then they are removed, and so is what was set by hand of VMs.
pub async fn apps(world: &World, service: &Service) -> Result<(), Waits> {
    let wrong = |wrong: String| Err(Waits::Wrong(wrong));
    if service.snapshot().topology.is_none() || service.snapshot().running.is_some() {
        return Ok(());
    }
    for app in service.apps().apps {
        match app.state {
            AppState::New | AppState::Dispatched => {
                return wrong(format!(
                    "nothing goes wrong any more, and a request waits: {app:?}"
                ));
            }
            AppState::Pending | AppState::Deployed | AppState::Failed | AppState::Removed => {}
        }
        if app.state == AppState::Deployed && app.wants == AppWants::Deploy {
            let held = service.snapshot().allocation.totals();
            for (tier, size) in &app.holds {
                let there = held.get(&TierId::of(&app.app, tier)).copied().unwrap_or_default();
                if there.cpu < size.cpu || there.mem < size.mem {
                    // Somebody may have interfered; the next plan puts that right.
                    world.note(&format!("{} of {} holds {there}", tier, app.app));
                }
            }
        }
        let gone = app.state == AppState::Removed && app.holds.is_empty();
        if !gone && let Err(fault) = service.remove_app(app.app.clone(), client()).await {
            return wrong(format!("an app can't be removed: {}", fault.message));
        }
    }
    for _ in 0..ATTEMPTS {
        if service.snapshot().intents.is_empty() {
            break;
        }
        rest(world, None).await;
    }
    for app in service.apps().apps {
        if app.state != AppState::Removed {
            let undecided = app
                .reasons
                .iter()
                .any(|why| why.contains("no placement was found"));
            if undecided {
                return Err(Waits::Undecided);
            }
            return wrong(format!("an app was to be removed, and is not: {app:?}"));
        }
    }
    let topology = service.snapshot().topology.clone();
    if let Some(stray) = topology
        .iter()
        .flat_map(|topology| &topology.apps)
        .find(|app| ["extra", "more"].contains(&app.as_str()))
    {
        return wrong(format!("app {stray} was removed, and the topology has it"));
    }
    let free = Wanted::SetCapacity { capacity: 0 };
    match service.by_hand(free, client()).await {
        Ok(_) => Ok(()),
        Err(fault) if fault.message.contains("no placement was found") => Err(Waits::Undecided),
        // What somebody else left in the way is in the way of this as well; the last plan says so.
        Err(fault) => {
            world.note(&format!("the capacity is not freed: {}", fault.message));
            Ok(())
        }
    }
}
