//! The drawn tiers: names, what the topology says of them, and what the plan asks for.

use serde_json::{Map, Value, json};

use crate::dice::Dice;
use crate::draw::{Extent, Running, World, size};
use crate::question::Pair;

/// A tier's app and key.
#[derive(Debug, Clone)]
pub struct Name {
    pub app: String,
    pub key: String,
}

impl Name {
    pub fn flat(&self) -> String {
        format!("{}_{}", self.app, self.key)
    }
}

/// This many tiers, of one app or of several.
pub fn names(world: &World, dice: &mut Dice) -> Vec<Name> {
    let count = match world.extent {
        Extent::Tiny => dice.pick(&[1, 1, 2, 2, 2, 3, 3, 4]),
        Extent::Small => dice.from(5, 40) as usize,
        Extent::Many => dice.from(100, 600) as usize,
        Extent::Huge => dice.pick(&[3_000, 10_000, 19_990]),
    };
    let apps = dice.pick(&[1, 1, 2, 10]).min(count);
    let salt = dice.below(1000);
    (0..count)
        .map(|ix| Name {
            app: format!("a{}", ix % apps),
            // Their order by name is not the order in which they are drawn.
            key: format!("{}{ix}", ["web", "db", "x.y", "Q-"][(ix * 7 + salt) % 4]),
        })
        .collect()
}

/// What each tier asks for when it asks for something of its own.
pub fn demands(world: &World, names: &[Name], dice: &mut Dice) -> Vec<Pair> {
    let [cores, mem] = [world.shape[0] / world.step(), world.shape[1]];
    let taste = dice.below(6);
    let draw = |dice: &mut Dice, room: i64| {
        let room = room.max(1);
        match (taste, dice.below(8)) {
            (0, _) => dice.from(1, 3),
            (1, _) | (_, 0) => dice.from(1, room),
            (2, _) | (_, 1) => (room / 2 + dice.from(-1, 1)).max(1),
            (3, _) | (_, 2) => dice.from(1, (room / 10).max(1)),
            (_, 3) => room,
            (_, 4) if !world.pinned => dice.from(1, room.saturating_mul(3)),
            (_, 5) if !world.pinned => room * dice.from(1, 3),
            _ => dice.from(1, (room / 3).max(1)),
        }
    };
    names
        .iter()
        .map(|_| {
            let steps = draw(dice, cores).min(100_000_000 / world.step());
            [steps * world.step(), draw(dice, mem).min(1_000_000)]
        })
        .collect()
}

/// The apps of the topology.
pub fn apps(world: &World, names: &[Name], dice: &mut Dice) -> Value {
    let mut apps: Vec<(String, Map<String, Value>)> = Vec::new();
    // A few links, or, now and then, chains as long as there are tiers.
    let linked = dice.pick(&[5, 5, 5, 5, 5, 5, 5, 100]);
    for (ix, name) in names.iter().enumerate() {
        let mut spec = json!({ "docker_image": "busybox" });
        limits(world, &mut spec, dice);
        if dice.chance(world.ports) {
            let key = dice.pick(&["ports", "ports", "ports", "port_bindings"]);
            spec[key] = ports(world, dice);
        }
        let at = apps.iter().position(|app| app.0 == name.app).unwrap_or_else(|| {
            apps.push((name.app.clone(), Map::new()));
            apps.len() - 1
        });
        // Without any condition on where a tier may be.
        if ix > 0
            && dice.chance(linked)
            && let Some(before) = apps[at].1.keys().next_back()
        {
            spec["depends_on"] = json!([before]);
        }
        if dice.chance(3) {
            spec["stop_grace_s"] = json!(1);
            spec["environment"] = json!({ "A": "b" });
        }
        apps[at].1.insert(name.key.clone(), spec);
    }
    dice.shuffle(&mut apps);
    apps.into_iter()
        .map(|(name, tiers)| json!({ "name": name, "tiers": tiers }))
        .collect()
}

fn limits(world: &World, spec: &mut Value, dice: &mut Dice) {
    let most_name = dice.pick(&["max_node", "max_node", "max_node", "max_nodes"]);
    let most = if world.pinned {
        Some(1)
    } else {
        dice.chance(world.most)
            .then(|| dice.pick(&[1, 1, 2, 3, 10, 100_000]))
    };
    if let Some(most) = most {
        spec[most_name] = json!(most);
    }
    if dice.chance(world.least) {
        let above = most.unwrap_or(100_000).min(dice.pick(&[1, 2, 3, 4, 6]));
        // min = max sometimes.
        let least = if dice.chance(20) && most.is_some_and(|most| most <= 3) {
            most.unwrap_or(1)
        } else {
            above
        };
        spec["min_node"] = json!(least);
    }
}

/// Few numbers, so that tiers often clash, and ranges, protocols and addresses.
fn ports(world: &World, dice: &mut Dice) -> Value {
    let mut taken: Vec<(i64, i64, &str)> = Vec::new();
    let mut texts = Vec::new();
    let mut plain = true;
    for _ in 0..dice.pick(&[1, 1, 1, 2, 4]) {
        let first = dice.from(80, 83) + 1000 * dice.from(0, 2);
        let wide = match (dice.below(10), world.extent) {
            (0, _) => dice.from(1, 4),
            (1, Extent::Tiny | Extent::Small | Extent::Many) => dice.from(10, 999),
            _ => 0,
        };
        let protocol = dice.pick(&["", "/tcp", "/udp", "/sctp"]);
        let kind = if protocol.is_empty() { "/tcp" } else { protocol };
        if taken
            .iter()
            .any(|t| t.2 == kind && first <= t.1 && t.0 <= first + wide)
        {
            continue;
        }
        taken.push((first, first + wide, kind));
        let address = dice.pick(&[
            "",
            "",
            "",
            "127.0.0.1:",
            "127.0.0.2:",
            "0.0.0.0:",
            "[::1]:",
            "[::]:",
        ]);
        let host = if wide == 0 {
            format!("{first}")
        } else {
            format!("{first}-{}", first + wide)
        };
        let inside = if wide == 0 {
            "80".to_owned()
        } else {
            format!("1000-{}", 1000 + wide)
        };
        plain &= wide == 0 && address.is_empty() && protocol.is_empty();
        texts.push((host.clone(), format!("{address}{host}:{inside}{protocol}")));
    }
    if plain && dice.chance(30) {
        return texts
            .into_iter()
            .map(|(host, _)| (host, json!("80")))
            .collect::<Map<_, _>>()
            .into();
    }
    texts.into_iter().map(|(_, text)| json!(text)).collect()
}

/// The plan: new totals, what runs, or something near to it.
pub fn plan(world: &World, names: &[Name], demands: &[Pair], running: &Running, dice: &mut Dice) -> Value {
    let kind = dice.below(10);
    let left_out = dice.pick(&[0, 0, 10, 40]);
    let mut totals: std::collections::HashMap<&str, Pair> = std::collections::HashMap::new();
    for (tier, amount) in running.iter().flat_map(|(_, used)| used) {
        let sum = totals.entry(tier).or_default();
        *sum = [sum[0] + amount[0], sum[1] + amount[1]];
    }
    let mut plan = Map::new();
    for (name, &own) in names.iter().zip(demands) {
        let now = totals
            .get(name.flat().as_str())
            .copied()
            .filter(|now| now[0] <= 100_000_000 && now[1] <= 1_000_000);
        let amount = match (kind, now) {
            // Exactly what runs, for all tiers or for most.
            (0 | 1, Some(now)) => now,
            (0, None) => continue,
            (2 | 3, Some(now)) if dice.chance(70) => now,
            (4..7, Some(now)) => [
                near(now[0] / world.step(), 100_000_000 / world.step(), dice) * world.step(),
                near(now[1], 1_000_000, dice),
            ],
            _ if dice.chance(left_out) => {
                if !dice.chance(20) {
                    continue;
                }
                [0, 0]
            }
            _ => own,
        };
        let amount = size(amount, world, dice);
        if dice.chance(15) {
            plan.insert(name.flat(), amount);
        } else {
            plan.entry(name.app.clone()).or_insert_with(|| json!({}))[&name.key] = amount;
        }
    }
    plan.into()
}

fn near(amount: i64, most: i64, dice: &mut Dice) -> i64 {
    let far = (amount / 4).max(2);
    (amount + dice.from(-far, far)).clamp(1, most)
}
