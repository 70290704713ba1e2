//! Bodies of `POST /api/solve`, drawn from everything that the API takes.
//!
//! What may stand where comes from openapi.json and the contract. Nothing here knows what the solver
//! makes of it: whether there is a placement at all is left to chance.

use serde_json::{Map, Value, json};

use crate::dice::Dice;
use crate::question::Pair;
use crate::{further, rules, tiers};

/// How large a question is, which decides what it can be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Brute force knows the answer.
    Tiny,
    /// Up to some dozens of tiers.
    Small,
    /// Hundreds of tiers.
    Many,
    /// Up to the 20,000 tiers that a topology may have.
    Huge,
}

/// What the parts of one question have in common.
pub struct World {
    pub extent: Extent,
    pub quota: bool,
    /// The shape of a new VM, in hundredths of a core and memory units.
    pub shape: Pair,
    /// Every tier has `max_node` 1.
    pub pinned: bool,
    /// Percent of tiers with ports, with `min_node`, with `max_node`.
    pub ports: u32,
    pub least: u32,
    pub most: u32,
}

/// The question of a seed.
pub fn body(seed: u64) -> Value {
    let mut dice = Dice(seed);
    let extent = match dice.below(4000) {
        0 => Extent::Huge,
        1..20 => Extent::Many,
        20..240 => Extent::Small,
        _ => Extent::Tiny,
    };
    body_of(extent, &mut dice)
}

/// A question of this extent.
pub fn body_of(extent: Extent, dice: &mut Dice) -> Value {
    let world = World::draw(extent, dice);
    let names = tiers::names(&world, dice);
    let mut allocation = Map::new();
    let vms = vm_names(&world, dice);
    let mut infrastructure = infrastructure(&world, &vms, dice);
    let demands = tiers::demands(&world, &names, dice);
    let running = allocate(&world, &vms, &names, &demands, dice);
    for (name, (room, used)) in vms.iter().zip(&running) {
        let mut vm = size(*room, &world, dice);
        if dice.chance(50) {
            vm["ip"] = json!("10.0.0.1");
        }
        let used: Map<String, Value> = used
            .iter()
            .map(|(tier, amount)| (tier.clone(), size(*amount, &world, dice)))
            .collect();
        if !used.is_empty() || dice.chance(70) {
            vm["used"] = used.into();
        }
        allocation.insert(name.clone(), vm);
    }
    let plan = tiers::plan(&world, &names, &demands, &running, dice);
    if dice.chance(8) {
        infrastructure["min_vms"] = json!(least_vms(&infrastructure, dice));
    }
    let mut body = json!({
        "topology": { "infrastructure": infrastructure, "apps": tiers::apps(&world, &names, dice) },
        "plan": plan,
        "deadline_ms": deadline(extent, dice),
    });
    if !allocation.is_empty() || dice.chance(50) {
        body["allocation"] = allocation.into();
    }
    if dice.chance(10) {
        body["exact"] = json!(dice.chance(50));
    }
    if matches!(extent, Extent::Tiny | Extent::Small) {
        rules::draw(&mut body, dice);
    }
    further::draw(&mut body, dice);
    body
}

/// Small, so that many questions are asked in little time.
fn deadline(extent: Extent, dice: &mut Dice) -> Value {
    match extent {
        Extent::Tiny => json!(dice.pick(&[1.0, 5.0, 10.0, 40.5])),
        Extent::Small => json!(dice.pick(&[5, 20, 60, 120])),
        Extent::Many => json!(dice.pick(&[20, 100, 250])),
        Extent::Huge => json!(dice.pick(&[100, 500])),
    }
}

impl World {
    fn draw(extent: Extent, dice: &mut Dice) -> Self {
        let quota = dice.chance(25);
        let (cores, mem) = match dice.below(12) {
            0..4 => (dice.from(1, 6), dice.from(1, 6)),
            4..7 => dice.pick(&[(2, 8), (4, 8), (16, 64), (64, 256)]),
            7 => (10_000, 1_000_000),
            8 => (1, dice.from(1, 1_000_000)),
            9 => (dice.from(1, 10_000), 1),
            _ => (dice.from(1, 40), dice.from(1, 300)),
        };
        let hundredths = if quota && dice.chance(60) {
            dice.from(1, cores * 100)
        } else {
            cores * 100
        };
        Self {
            extent,
            quota,
            shape: [hundredths, mem],
            pinned: dice.chance(12),
            ports: dice.pick(&[0, 0, 20, 60]),
            least: dice.pick(&[0, 15, 50]),
            most: dice.pick(&[0, 30, 80]),
        }
    }

    /// Hundredths of a core in one step.
    pub fn step(&self) -> i64 {
        if self.quota { 1 } else { 100 }
    }
}

/// An amount in JSON; whole numbers are sometimes written as decimals.
pub fn size(amount: Pair, _: &World, dice: &mut Dice) -> Value {
    let cores = if amount[0] % 100 == 0 && !dice.chance(10) {
        json!(amount[0] / 100)
    } else {
        json!(amount[0] as f64 / 100.0)
    };
    let mem = if dice.chance(10) {
        json!(amount[1] as f64)
    } else {
        json!(amount[1])
    };
    json!({ "cpu_cores": cores, "mem_units": mem })
}

fn vm_names(world: &World, dice: &mut Dice) -> Vec<String> {
    let count = match world.extent {
        Extent::Tiny => dice.below(4),
        Extent::Small => dice.pick(&[0, 0, 3, 8, 20]),
        Extent::Many => dice.pick(&[0, 10, 60, 200]),
        Extent::Huge => dice.pick(&[0, 0, 500, 2000]),
    };
    let mut names: Vec<String> = (0..count)
        .map(|ix| match dice.below(12) {
            // An earlier answer's allocation, asked again with.
            0 => format!("new_vm{ix}"),
            1 => format!("VM {ix}"),
            _ => format!("i-{:04x}{ix}", dice.below(1 << 16)),
        })
        .collect();
    names.sort();
    names.dedup();
    dice.shuffle(&mut names);
    names
}

fn infrastructure(world: &World, vms: &[String], dice: &mut Dice) -> Value {
    let mut all = size(world.shape, world, dice);
    let hosts_fit = vms.len() < 500
        && vms
            .iter()
            .all(|name| !name.starts_with("new_vm") && !name.contains(' '));
    match dice.below(10) {
        0 | 1 if hosts_fit => {
            // Hosts that run something, and some that do not.
            let mut hosts = Map::new();
            let unequal = dice.pick(&[0, 0, 0, 50]);
            let spare = dice.pick(&[0, 0, 1, 2, 5]).max(usize::from(vms.is_empty()));
            for name in vms
                .iter()
                .cloned()
                .chain((0..spare).map(|ix| format!("host{ix}")))
            {
                if dice.chance(95) || hosts.is_empty() {
                    let mut host = json!({ "docker": "tcp://10.0.0.1:2375" });
                    if dice.chance(unequal) {
                        host["cpu_cores"] = json!(dice.from(1, 8));
                    }
                    if dice.chance(unequal) {
                        host["mem_units"] = json!(dice.from(1, 20));
                    }
                    hosts.insert(name, host);
                }
            }
            all["cloud_driver"] = json!({ "hosts": hosts });
        }
        // This machine's own engine is the one VM.
        2 if dice.chance(50) => {}
        _ => all["cloud_driver"] = json!({ "autoscaling_groupname": "group" }),
    }
    let made = !all["cloud_driver"]["hosts"].is_object();
    if made && world.extent != Extent::Huge && dice.chance(20) {
        if let Some(fields) = all.as_object_mut() {
            fields.remove("cpu_cores");
            fields.remove("mem_units");
        }
        all["shapes"] = shapes(world, dice);
    }
    if world.quota {
        all["cpu_mode"] = json!("quota");
    } else if dice.chance(20) {
        all["cpu_mode"] = json!("cpuset");
    }
    if dice.chance(30) {
        all["max_vms"] = json!(dice.pick(&[1, 2, 3, 5, 20, 1000, 100_000]));
    }
    if dice.chance(40) {
        all["weights"] = weights(dice);
    }
    all
}

/// One shape or several, no two of the same size, so that the answer's sizes say which is which. The first is
/// the world's own.
fn shapes(world: &World, dice: &mut Dice) -> Value {
    let mut rooms = vec![world.shape];
    for _ in 0..dice.pick(&[0, 1, 1, 1, 2, 2, 9]) {
        let [cores, mem] = world.shape;
        let steps = cores / world.step();
        let room = match dice.below(4) {
            0 => [(steps / 2).max(1), (mem / 2).max(1)],
            1 => [
                (steps * 2).min(1_000_000 / world.step()),
                (mem * 2).min(1_000_000),
            ],
            _ => [
                dice.from(1, (steps * 2).min(1_000_000 / world.step())),
                dice.from(1, (mem * 2).min(1_000_000)),
            ],
        };
        let room = [room[0] * world.step(), room[1]];
        if !rooms.contains(&room) {
            rooms.push(room);
        }
    }
    let unlimited = dice.below(rooms.len());
    let mut all = Vec::new();
    for (ix, room) in rooms.into_iter().enumerate() {
        let mut shape = size(room, world, dice);
        shape["name"] = json!(format!("s{ix}"));
        if dice.chance(70) {
            shape["price"] = json!(dice.pick(&[0.0, 0.5, 1.0, 1.25, 2.0, 3.7, 0.333]));
        }
        if ix != unlimited && dice.chance(30) {
            shape["max"] = json!(dice.below(4));
        }
        if dice.chance(10) {
            shape["labels"] = json!({ "zone": "a" });
        }
        all.push(shape);
    }
    dice.shuffle(&mut all);
    all.into()
}

fn least_vms(infrastructure: &Value, dice: &mut Dice) -> i64 {
    let machines = match (
        &infrastructure["cloud_driver"]["hosts"],
        &infrastructure["cloud_driver"],
    ) {
        (Value::Object(hosts), _) => hosts.len() as i64,
        (_, Value::Object(_)) => 6,
        _ => 1,
    };
    let most = infrastructure["max_vms"].as_i64().unwrap_or(machines);
    dice.from(0, machines.min(most))
}

fn weights(dice: &mut Dice) -> Value {
    let names = [
        "vm_create",
        "vm_use",
        "vm_delete",
        "container_create",
        "container_set",
        "container_delete",
        "container_delete_pinned",
    ];
    let kind = dice.below(6);
    let same = dice.pick(&[0, 1, 7, 1_000_000]);
    let mut given = Map::new();
    for name in names {
        let weight = match kind {
            0 => same,
            1 => dice.pick(&[0, 1_000_000]),
            2 => dice.from(0, 30),
            3 => dice.pick(&[0, 0, 1, 5]),
            // Only one of them is given.
            _ if dice.chance(75) => continue,
            _ => dice.pick(&[0, 1, 2, 100, 999_983]),
        };
        given.insert(name.to_owned(), json!(weight));
    }
    given.into()
}

/// What runs: a capacity for each VM, and containers of tiers that the plan has or does not have.
pub type Running = Vec<(Pair, Vec<(String, Pair)>)>;

fn allocate(
    world: &World,
    vms: &[String],
    names: &[tiers::Name],
    demands: &[Pair],
    dice: &mut Dice,
) -> Running {
    let unequal = dice.pick(&[0, 0, 40, 100]);
    let dense = dice.pick(&[15, 45, 80]);
    let mut running: Running = Vec::new();
    for _ in vms {
        let room = if dice.chance(unequal) {
            let [cores, mem] = world.shape;
            match dice.below(5) {
                0 => [world.step(), 1],
                1 => [world.step() * dice.from(1, 6), dice.from(1, 6)],
                2 => [cores.min(50_000_000) * 2, mem.min(500_000) * 2],
                _ => [
                    (dice.from(1, cores * 2).min(100_000_000) / world.step()).max(1) * world.step(),
                    dice.from(1, (mem * 2).min(1_000_000)),
                ],
            }
        } else {
            world.shape
        };
        running.push((room, Vec::new()));
    }
    // Each VM looks at a few tiers, so that a large question does not have millions of containers.
    for (room, used) in &mut running {
        let mut free = *room;
        for _ in 0..names.len().min(12) {
            let at = dice.below(names.len());
            let name = names[at].flat();
            if !dice.chance(dense)
                || free[0] < world.step()
                || free[1] < 1
                || used.iter().any(|u| u.0 == name)
            {
                continue;
            }
            let part = |dice: &mut Dice, free: i64, wanted: i64| match dice.below(3) {
                0 => dice.from(1, free),
                _ => wanted.clamp(1, free),
            };
            let steps = part(dice, free[0] / world.step(), demands[at][0] / world.step());
            let amount = [steps * world.step(), part(dice, free[1], demands[at][1])];
            free = [free[0] - amount[0], free[1] - amount[1]];
            used.push((name, amount));
        }
        if dice.chance(6) && free[0] >= world.step() && free[1] >= 1 {
            used.push(("of_nobody".to_owned(), [world.step(), 1]));
        }
        dice.shuffle(used);
    }
    running
}
