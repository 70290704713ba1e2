#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;
use crate::model::VmId;

const HEAL: SelfHeal = SelfHeal {
    grace_s: 10,
    lost_after_s: 60,
    backoff_max_s: 100,
    max_lost_share: crate::model::topology::Share(500),
};

fn place(container: &str) -> Place {
    Place {
        vm: Some(VmId::new("vm1")),
        container: container.to_owned(),
    }
}

fn seen(kinds: &[(&str, Kind)]) -> Look {
    kinds
        .iter()
        .map(|(container, kind)| (place(container), (*kind, vec![kind.as_str().to_owned()])))
        .collect()
}

fn take(watch: &mut Watch, look: &[(&str, Kind)], second: u32) -> News {
    watch.take(seen(look), HEAL, seconds(second), Timestamp::UNIX_EPOCH)
}

#[test]
fn what_differs_is_told_once_and_is_due_once_it_lasts() {
    let (mut watch, stopped) = (Watch::default(), [("a", Kind::Stopped)]);
    assert_eq!(take(&mut watch, &stopped, 1).begun.len(), 1);
    assert_eq!(take(&mut watch, &stopped, 5), News::default());
    assert_eq!(watch.due(), []);
    take(&mut watch, &stopped, 11);
    assert_eq!(watch.due(), [place("a")]);
    let reasons = watch.reasons(&watch.due());
    assert_eq!(reasons, ["a on vm 'vm1' is stopped: stopped"]);
    assert_eq!(take(&mut watch, &[], 12).over, [place("a")]);
    assert_eq!(
        (take(&mut watch, &[], 13), watch.differences()),
        (News::default(), vec![])
    );
}

#[test]
fn one_that_differs_in_another_way_is_told_again_and_keeps_its_time() {
    let mut watch = Watch::default();
    take(&mut watch, &[("a", Kind::Stopped)], 1);
    let news = take(&mut watch, &[("a", Kind::Missing)], 11);
    assert_eq!((news.begun.len(), news.begun[0].kind), (1, Kind::Missing));
    assert_eq!(watch.due(), [place("a")]);
}

#[test]
fn an_engine_that_does_not_answer_is_due_once_it_is_lost() {
    let (mut watch, away) = (Watch::default(), [("a", Kind::Unreachable)]);
    take(&mut watch, &away, 1);
    assert_eq!(take(&mut watch, &away, 60), News::default());
    assert_eq!(watch.due(), []);
    let lost = [("a", Kind::Lost)];
    assert_eq!(take(&mut watch, &lost, 61).begun[0].kind, Kind::Lost);
    assert_eq!(watch.due(), [place("a")]);
    assert_eq!(watch.of_kind(&watch.due(), Kind::Lost), [place("a")].into());
    assert_eq!(watch.of_kind(&watch.due(), Kind::Unhealthy), [].into());
}

#[test]
fn what_comes_and_goes_waits_longer_each_time() {
    let (mut watch, sick) = (Watch::default(), [("a", Kind::Stopped)]);
    let mut tries = Vec::new();
    for second in 1..400 {
        // Healthy for a second after each attempt.
        let well = tries.last() == Some(&(second - 1));
        take(&mut watch, if well { &[] } else { &sick }, second);
        let due = watch.due();
        if !due.is_empty() {
            watch.tried(&due, HEAL, seconds(second));
            tries.push(second);
        }
    }
    let pauses: Vec<u32> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses[0], 12, "{tries:?}");
    assert!(pauses.windows(2).all(|pair| pair[0] <= pair[1]), "{pauses:?}");
    assert_eq!(pauses.last(), Some(&100), "{pauses:?}");
}

#[test]
fn what_stays_unhealthy_is_tried_with_growing_pauses_and_then_left() {
    let (mut watch, sick) = (Watch::default(), [("a", Kind::Unhealthy)]);
    let (mut tries, mut told) = (Vec::new(), Vec::new());
    for second in 1..2000 {
        take(&mut watch, &sick, second);
        let due = watch.due();
        if !due.is_empty() {
            watch.tried(&due, HEAL, seconds(second));
            tries.push(second);
        }
        if !watch.hopeless().is_empty() {
            told.push(second);
        }
    }
    assert_eq!(tries, [11, 21, 41, 81, 161]);
    assert_eq!(told, [261]);
    // It differs in another way; and somebody sends another plan.
    take(&mut watch, &[("a", Kind::Missing)], 2000);
    assert_eq!(watch.due(), [place("a")]);
    take(&mut watch, &sick, 2001);
    assert_eq!(watch.due(), []);
    watch.try_anew();
    assert_eq!(watch.due(), [place("a")]);
}

proptest! {
    /// However things come and go: nothing is due before it has lasted, and between two attempts at
    /// the same place there is a pause that is never shorter than the grace period or longer than
    /// the longest.
    #[test]
    fn nothing_is_done_too_early_or_too_often(looks in prop::collection::vec(any::<[bool; 3]>(), 1..200)) {
        let (mut watch, names) = (Watch::default(), ["a", "b", "c"]);
        let (mut since, mut last) = ([None; 3], [None; 3]);
        for (look, second) in looks.iter().zip(1_u32..) {
            let differ: Vec<_> = names.into_iter().zip(look).filter(|(_, there)| **there).collect();
            let differ: Vec<_> = differ.into_iter().map(|(name, _)| (name, Kind::Missing)).collect();
            take(&mut watch, &differ, second);
            for index in 0..3 {
                since[index] = look[index].then(|| since[index].unwrap_or(second));
            }
            let due = watch.due();
            for one in &due {
                let index = names.iter().position(|name| *name == one.container).unwrap();
                prop_assert!(second >= since[index].unwrap() + HEAL.grace_s);
                if let Some(last) = last[index].replace(second) {
                    prop_assert!(second >= last + HEAL.grace_s);
                }
            }
            watch.tried(&due, HEAL, seconds(second));
        }
    }
}
