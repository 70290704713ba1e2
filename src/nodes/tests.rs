#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::model::topology::Share;

const RULES: Rules = Rules {
    lost_after: Duration::from_secs(60),
    max_lost: Share(500),
    longest_pause: Duration::from_secs(600),
};

fn at(seconds: u64) -> Moment {
    Moment {
        since_start: Duration::from_secs(seconds),
        // The wall clock runs backwards, which must have no effect.
        at: Timestamp::from_second(1_000_000 - i64::try_from(seconds).unwrap()).unwrap(),
    }
}

fn node() -> VmId {
    VmId::new("vm1")
}

fn lease(second: u64) -> Lease {
    Lease {
        refreshed: at(second),
        every: Duration::from_secs(2),
        health: Map::new(),
    }
}

/// Nodes `1` to `count`.
fn fleet(count: usize) -> BTreeSet<VmId> {
    (1..=count).map(|number| VmId::new(&number.to_string())).collect()
}

/// The standing of each node of a fleet.
fn standings(nodes: &mut Registry, fleet: &BTreeSet<VmId>, now: Moment) -> Vec<Standing> {
    let stands = |node| nodes.stands(node, &Told::Nothing, now).standing;
    fleet.iter().map(stands).collect()
}

#[test]
fn a_node_is_silent_then_lost_and_back_when_it_answers() {
    let mut nodes = Registry::default();
    let stands = |nodes: &mut Registry, second: u64| {
        nodes.assess(&[node()].into(), RULES, at(second));
        let stands = nodes.stands(&node(), &Told::Nothing, at(second));
        (stands.standing, stands.since)
    };
    nodes.heard(&node(), Heard::default(), at(0));
    assert_eq!(stands(&mut nodes, 1), (Standing::Ready, at(0).at));
    nodes.unheard(&node(), "connection refused", at(10));
    assert_eq!(stands(&mut nodes, 15), (Standing::Silent, at(10).at));
    nodes.unheard(&node(), "timed out", at(69));
    assert_eq!(stands(&mut nodes, 69), (Standing::Silent, at(10).at));
    assert_eq!(stands(&mut nodes, 70), (Standing::Lost, at(70).at));
    assert_eq!(stands(&mut nodes, 100), (Standing::Lost, at(70).at));
    nodes.heard(&node(), Heard::default(), at(110));
    assert_eq!(stands(&mut nodes, 111), (Standing::Ready, at(110).at));
    nodes.unheard(&node(), "timed out", at(120));
    assert_eq!(stands(&mut nodes, 130), (Standing::Silent, at(120).at));
}

#[test]
fn what_makes_a_node_unusable_weighs_more_than_what_is_wanted_of_it() {
    let mut nodes = Registry::default();
    let drain = Told::Draining("intent 1".to_owned());
    let mut standing = |told: &Told, silent: bool| {
        if silent {
            nodes.unheard(&node(), "no", at(1));
        } else {
            nodes.heard(&node(), Heard::default(), at(1));
        }
        nodes.stands(&node(), told, at(2)).standing
    };
    assert_eq!(standing(&drain, false), Standing::Draining);
    assert_eq!(standing(&drain, true), Standing::Silent);
    assert_eq!(
        standing(&Told::Cordoned("x".to_owned()), false),
        Standing::Cordoned
    );
    assert_eq!(
        standing(&Told::Aside("Pending".to_owned()), true),
        Standing::Aside
    );
    assert_eq!(
        standing(&Told::Leaving("Terminating".to_owned()), false),
        Standing::Leaving
    );
}

#[test]
fn what_a_silent_node_said_last_is_remembered_and_what_is_gone_is_not() {
    let mut nodes = Registry::default();
    let mut heard = Heard::default();
    heard.about.labels.insert("zone".to_owned(), "a".to_owned());
    nodes.heard(&node(), heard.clone(), at(0));
    nodes.unheard(&node(), "no", at(1));
    assert_eq!(nodes.last(&node()), Some(&heard));
    nodes.keep(&BTreeSet::new());
    assert_eq!(nodes.last(&node()), None);
}

#[test]
fn a_node_whose_refresh_is_overdue_is_silent_though_its_engine_answers() {
    let mut nodes = Registry::default();
    let (mut turns, fleet) = (Vec::new(), [node()].into());
    for second in 0..80 {
        if second <= 4 && second % 2 == 0 {
            nodes.refreshed(&node(), lease(second), at(second));
        }
        nodes.heard(&node(), Heard::default(), at(second));
        let found = nodes.assess(&fleet, RULES, at(second));
        turns.extend(found.turns.into_iter().map(|turn| (second, turn.standing)));
    }
    // The last refresh was at 4, so the next was due at 6 and a half.
    assert_eq!(turns, [(7, Standing::Silent), (67, Standing::Lost)]);
    let since = nodes.stands(&node(), &Told::Nothing, at(80)).since;
    assert_eq!(since, at(67).at);
}

#[test]
fn a_refresh_that_was_overtaken_takes_nothing_back() {
    let mut nodes = Registry::default();
    nodes.refreshed(&node(), lease(10), at(10));
    nodes.refreshed(&node(), lease(4), at(11));
    assert_eq!(nodes.presence(&node(), at(12)), Presence::Here);
    // Twice the same counts once.
    nodes.refreshed(&node(), lease(10), at(12));
    assert!(matches!(nodes.presence(&node(), at(13)), Presence::Silent(_)));
}

#[test]
fn a_node_that_left_owes_no_refresh() {
    let mut nodes = Registry::default();
    nodes.refreshed(&node(), lease(0), at(0));
    nodes.left(&node());
    assert_eq!(nodes.presence(&node(), at(1000)), Presence::Here);
}

#[test]
fn more_than_a_share_of_the_fleet_at_once_is_our_own_isolation() {
    let (mut nodes, all) = (Registry::default(), fleet(4));
    for node in &all {
        nodes.heard(node, Heard::default(), at(0));
    }
    let silent: Vec<&VmId> = all.iter().take(3).collect();
    for node in &silent {
        nodes.unheard(node, "no route", at(10));
    }
    let mut told = Vec::new();
    for second in 10..500 {
        let found = nodes.assess(&all, RULES, at(second));
        if let Some(isolation) = found.cut_off {
            told.push((second, isolation.away, isolation.of));
        }
        assert!(!found.over);
    }
    assert_eq!(told, [(70, 3, 4)], "it is told once");
    assert!(nodes.isolation().is_some());
    let of = |standing| vec![standing, standing, standing, Standing::Ready];
    assert_eq!(standings(&mut nodes, &all, at(500)), of(Standing::Silent));

    // One comes back, so this service is not cut off any more: the two others have a full period
    // again.
    nodes.heard(silent[0], Heard::default(), at(500));
    assert!(nodes.assess(&all, RULES, at(500)).over);
    assert!(nodes.isolation().is_none());
    nodes.assess(&all, RULES, at(558));
    let now = standings(&mut nodes, &all, at(558));
    let two = |standing| vec![Standing::Ready, standing, standing, Standing::Ready];
    assert_eq!(now, two(Standing::Silent));
    nodes.assess(&all, RULES, at(560));
    assert_eq!(standings(&mut nodes, &all, at(560)), two(Standing::Lost));

    // Those that were lost one after the other are no longer part of the fleet: half of the rest
    // may be lost.
    nodes.unheard(silent[0], "no route", at(600));
    nodes.assess(&all, RULES, at(660));
    let three = vec![Standing::Lost, Standing::Lost, Standing::Lost, Standing::Ready];
    assert_eq!(standings(&mut nodes, &all, at(660)), three);
}

#[test]
fn a_node_that_comes_and_goes_has_to_stay_longer_each_time() {
    let (mut nodes, fleet) = (Registry::default(), BTreeSet::from([node()]));
    let mut second = 0;
    let mut pauses = Vec::new();
    for _ in 0..6 {
        nodes.unheard(&node(), "no", at(second));
        nodes.assess(&fleet, RULES, at(second + 60));
        assert!(matches!(
            nodes.presence(&node(), at(second + 60)),
            Presence::Lost(_)
        ));
        second += 70;
        nodes.heard(&node(), Heard::default(), at(second));
        nodes.assess(&fleet, RULES, at(second));
        let back = second;
        while matches!(nodes.presence(&node(), at(second)), Presence::Unsteady(_)) {
            second += 1;
        }
        pauses.push(second - back);
        second += 1;
    }
    assert_eq!(pauses, [0, 60, 120, 240, 480, 600]);
    // All of that is forgotten once it has been there for a long time.
    second += 4000;
    nodes.unheard(&node(), "no", at(second));
    nodes.assess(&fleet, RULES, at(second + 60));
    nodes.heard(&node(), Heard::default(), at(second + 61));
    nodes.assess(&fleet, RULES, at(second + 61));
    assert_eq!(nodes.presence(&node(), at(second + 61)), Presence::Here);
}
