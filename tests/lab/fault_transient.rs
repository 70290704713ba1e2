//! Passing faults: every kind of request that an execution makes to an engine is broken once, in
//! every way. Each time the execution must succeed, with nothing done twice and no hook left out.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fault_lab::{Stage, large, small};
use crate::fault_proxy::{Call, Fault, Rule};

/// What is broken on the way up: the container, the request, and what must have been done before.
const UP: [(&str, Call); 12] = [
    ("", Call::Info),
    ("", Call::Image),
    ("shop_a", Call::Update),
    ("shop_v", Call::Inspect),
    ("shop_v", Call::Create),
    ("shop_v", Call::Start),
    ("shop_d", Call::Create),
    ("shop_d", Call::Start),
    ("shop_d", Call::Unpack),
    ("shop_d", Call::ExecCreate),
    ("shop_d", Call::ExecStart),
    ("shop_d", Call::ExecInspect),
];

/// And on the way down.
const DOWN: [(&str, Call); 6] = [
    ("shop_a", Call::Update),
    ("shop_v", Call::Stop),
    ("shop_v", Call::Remove),
    ("shop_d", Call::Stop),
    ("shop_d", Call::Remove),
    ("", Call::List),
];

/// Breaks every request of `calls` once: the first with the `first` of `faults`, the second with
/// the next, and so on in a circle.
fn broken(calls: &[(&'static str, Call)], faults: &[Fault], first: usize) -> Vec<Rule> {
    let faults = faults.iter().cycle().skip(first);
    let rule = |(&(container, call), &fault): (&(&'static str, Call), &Fault)| {
        let rule = Rule::once(container, call, fault);
        match call {
            // Engines are also asked for lists before an execution begins.
            Call::List => rule.once_after("shop_d", Call::Remove),
            // Before that, it is not known whether it exists at all.
            Call::Inspect => rule.once_after("shop_v", Call::Create),
            _ => rule,
        }
    };
    calls.iter().zip(faults).map(rule).collect()
}

#[test]
fn every_request_may_break_once_in_every_way() {
    in_lab!(2, async |lab| {
        let stage = Stage::set_up(lab, &[]).await;
        let faults = [
            Fault::CutBefore,
            Fault::CutAfter,
            Fault::Refuse(500),
            Fault::ErrorAfter,
            Fault::Garbage,
            Fault::GarbageAfter,
        ];
        for first in 0..faults.len() {
            for (calls, plan) in [(&UP[..], large()), (&DOWN[..], small())] {
                let rules = broken(calls, &faults, first);
                let (answer, record) = stage.carry_out(&plan, "stop", &rules).await;
                assert_eq!(answer.status, 200, "{:#}", record.whole);
                assert_eq!(record.outcome, "succeeded", "{:#}", record.whole);
                stage.is_true(lab, &record).await;
                let happened = stage.proxies.broken();
                assert_eq!(happened.len(), rules.len(), "of {rules:?} only {happened:?}");
                if plan == large() {
                    let once = BTreeMap::from([("scale".to_owned(), 1), ("tier".to_owned(), 1)]);
                    assert_eq!(stage.told(), once, "{rules:?}");
                }
            }
        }
    });
}

#[test]
fn an_effect_whose_answer_never_comes_is_found_by_looking() {
    in_lab!(2, async |lab| {
        let stage = Stage::set_up(lab, &[]).await;
        // Not limits: only an answer confirms them.
        let effects = [
            Call::Create,
            Call::Start,
            Call::Stop,
            Call::Remove,
            Call::ExecStart,
        ];
        for fault in [Fault::CutAfter, Fault::GarbageAfter] {
            for plan in [large(), small()] {
                let of = |container| effects.map(|call| Rule::always(container, call, fault));
                let rules = ["shop_a", "shop_v", "shop_d"].map(of).concat();
                let (answer, record) = stage.carry_out(&plan, "stop", &rules).await;
                assert_eq!(answer.status, 200, "{:#}", record.whole);
                stage.is_true(lab, &record).await;
                let times = usize::from(plan == large());
                assert_eq!(
                    stage.told().values().sum::<usize>(),
                    2 * times,
                    "{:#}",
                    record.whole
                );
            }
        }
    });
}

#[test]
fn every_request_or_answer_may_come_too_late() {
    in_lab!(2, async |lab| {
        let stage = Stage::set_up(lab, &[("MAPEK_ENGINE_TIMEOUT_S", "1")]).await;
        let late = Duration::from_millis(1500);
        let faults = [Fault::LateAnswer(late), Fault::LateRequest(late)];
        for first in 0..faults.len() {
            for (calls, plan) in [(&UP[..], large()), (&DOWN[..], small())] {
                let rules = broken(calls, &faults, first);
                let (answer, record) = stage.carry_out(&plan, "stop", &rules).await;
                assert_eq!(answer.status, 200, "{:#}", record.whole);
                assert_eq!(record.outcome, "succeeded", "{:#}", record.whole);
                // What was sent to the engine too late may still arrive.
                tokio::time::sleep(late).await;
                stage.is_true(lab, &record).await;
                let happened = stage.proxies.broken();
                assert_eq!(happened.len(), rules.len(), "of {rules:?} only {happened:?}");
                for hook in ["scale", "tier"] {
                    assert_eq!(stage.told().contains_key(hook), plan == large(), "{rules:?}");
                }
            }
        }
    });
}
