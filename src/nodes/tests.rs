#![allow(clippy::unwrap_used)]

use super::*;

const LOST_AFTER: Duration = Duration::from_secs(60);

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

#[test]
fn a_node_is_silent_then_lost_and_back_when_it_answers() {
    let mut nodes = Registry::default();
    let stands = |nodes: &mut Registry, second: u64| {
        let stands = nodes.stands(&node(), &Told::Nothing, LOST_AFTER, at(second));
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
        nodes.stands(&node(), told, LOST_AFTER, at(2)).standing
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
