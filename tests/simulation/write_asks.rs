//! What clients ask in a story.

use std::time::Duration;

use mapek::model::topology::OnFailure;

use crate::dice::Dice;
use crate::story::{AppVersion, Ask, Setting};

pub fn execute(dice: &mut Dice, setting: &Setting) -> Ask {
    let plan = usize::try_from(dice.below(setting.plans.len() as u64)).unwrap();
    Ask::Execute {
        plan,
        sealed: dice.percent(25),
        key: dice
            .percent(20)
            .then(|| u8::try_from(plan).unwrap() + u8::from(dice.percent(10))),
        on_failure: dice
            .percent(30)
            .then(|| *dice.pick(&[OnFailure::Stop, OnFailure::Rollback, OnFailure::Continue])),
        times: if dice.percent(15) { 3 } else { 1 },
        patience: dice
            .percent(10)
            .then(|| dice.spread(Duration::from_millis(10), Duration::from_secs(20))),
    }
}

fn intend(dice: &mut Dice) -> Ask {
    if dice.percent(15) {
        return Ask::TakeBack {
            which: usize::try_from(dice.below(4)).unwrap(),
        };
    }
    if dice.percent(20) {
        return Ask::Capacity {
            count: u32::try_from(dice.below(4)).unwrap(),
        };
    }
    if dice.percent(30) {
        let none = dice.percent(20);
        return Ask::ByHand {
            node: usize::try_from(dice.below(4)).unwrap(),
            tier: usize::try_from(dice.below(4)).unwrap(),
            cores: if none { 0 } else { 1 },
            mem: if none { 0 } else { dice.between(1, 3) },
        };
    }
    if dice.percent(40) {
        return app(dice);
    }
    Ask::Intend {
        kind: u8::try_from(dice.below(7)).unwrap(),
        node: usize::try_from(dice.below(4)).unwrap(),
        tier: usize::try_from(dice.below(4)).unwrap(),
    }
}

fn app(dice: &mut Dice) -> Ask {
    let version = (!dice.percent(25)).then(|| AppVersion {
        tag: dice.pick::<&str>(&["1", "1", "1", "2", "2", "bad", "sick", "gone"]),
        second: dice.percent(30),
        cores: 1,
        mem: dice.between(1, 2),
    });
    Ask::App {
        name: dice.pick::<&str>(&["extra", "more"]),
        version,
    }
}

pub fn ask(dice: &mut Dice, setting: &Setting) -> Ask {
    let times = if dice.percent(25) { 3 } else { 1 };
    if setting.wishful && dice.percent(50) {
        return intend(dice);
    }
    match dice.below(100) {
        0..52 => execute(dice, setting),
        52..62 => Ask::Cancel { times },
        62..68 => intend(dice),
        68..75 => Ask::Resume { times },
        75..82 => Ask::RollBack { times },
        82..93 => Ask::Put {
            topology: usize::try_from(dice.below(setting.topologies.len() as u64)).unwrap(),
        },
        93 => Ask::Adopt,
        94..96 => Ask::GiveUp {
            vm: usize::try_from(dice.below(4)).unwrap(),
        },
        _ => Ask::Look,
    }
}
