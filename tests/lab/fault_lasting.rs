//! Lasting faults: one action of an execution can't be done, and the others are treated as
//! `on_failure` says. The tables name each action, how it is prevented, and what is not done
//! because of it.

use std::collections::BTreeSet;

use crate::daemons::Lab;
use crate::fault_lab::{Record, Stage, held, large, short, small};
use crate::fault_proxy::{Call, Fault, Rule};

/// An action that fails, among those that [`crate::fault_lab`] tells of.
struct Row {
    /// The action, shortened.
    action: &'static str,
    /// The request that is prevented.
    container: &'static str,
    call: Call,
    /// Only after this was done.
    after: Option<(&'static str, Call)>,
    /// The stages after it, which are not begun with `stop`.
    later: &'static [&'static str],
    /// What must not be done without it.
    needs_it: &'static [&'static str],
}

const fn row(action: &'static str, container: &'static str, call: Call) -> Row {
    Row {
        action,
        container,
        call,
        after: None,
        later: &[],
        needs_it: &[],
    }
}

const HOOKS: &[&str] = &["scale hook shop_d", "tier hook shop_d"];
const D_AND_HOOKS: &[&str] = &["create shop_d", "scale hook shop_d", "tier hook shop_d"];

/// On the way up. Stages: vm2; `shop_v` and `shop_a`; `shop_d`; its scale hook; its tier hook. A host that
/// can't be taken into use is found out before anything is begun, so no row keeps vm2 from coming.
const UP: [Row; 6] = [
    Row {
        later: D_AND_HOOKS,
        needs_it: D_AND_HOOKS,
        ..row("create shop_v", "shop_v", Call::Create)
    },
    Row {
        later: D_AND_HOOKS,
        needs_it: D_AND_HOOKS,
        ..row("create shop_v", "shop_v", Call::Start)
    },
    Row {
        later: D_AND_HOOKS,
        ..row("update shop_a", "shop_a", Call::Update)
    },
    Row {
        later: HOOKS,
        needs_it: HOOKS,
        ..row("create shop_d", "shop_d", Call::Start)
    },
    Row {
        later: &["tier hook shop_d"],
        needs_it: &["tier hook shop_d"],
        ..row("scale hook shop_d", "shop_d", Call::ExecStart)
    },
    Row {
        after: Some(("shop_d", Call::ExecStart)),
        ..row("tier hook shop_d", "shop_d", Call::ExecStart)
    },
];

/// On the way down. Stages: `shop_a` and `shop_d`; `shop_v`; vm2.
const DOWN: [Row; 5] = [
    Row {
        later: &["delete shop_v", "delete vm2"],
        ..row("update shop_a", "shop_a", Call::Update)
    },
    Row {
        later: &["delete shop_v", "delete vm2"],
        needs_it: &["delete shop_v", "delete vm2"],
        ..row("delete shop_d", "shop_d", Call::Stop)
    },
    Row {
        later: &["delete vm2"],
        ..row("delete shop_v", "shop_v", Call::Stop)
    },
    Row {
        later: &["delete vm2"],
        ..row("delete shop_v", "shop_v", Call::Remove)
    },
    Row {
        after: Some(("shop_d", Call::Remove)),
        ..row("delete vm2", "", Call::List)
    },
];

const FAULTS: [Fault; 4] = [
    Fault::CutBefore,
    Fault::Refuse(409),
    Fault::Refuse(500),
    Fault::Garbage,
];
const POLICIES: [&str; 3] = ["stop", "rollback", "continue"];

/// Runs each row with each policy, with one fault after the other.
async fn play(lab: &Lab, rows: &[Row], up: bool) {
    // Enough for a few attempts; faults that stay are not waited for any longer.
    let stage = Stage::set_up(lab, &[("MAPEK_RETRY_FOR_S", "1")]).await;
    let (from, to) = if up {
        (small(), large())
    } else {
        (large(), small())
    };
    let mut faults = FAULTS.iter().cycle();
    stage.undisturbed(lab, &from).await;
    for row in rows {
        for policy in POLICIES {
            let fault = *faults.next().unwrap();
            let rule = Rule {
                after: row.after,
                ..Rule::always(row.container, row.call, fault)
            };
            let before = held(&stage.service.allocation().await);
            let (answer, record) = stage.carry_out(&to, policy, &[rule]).await;
            let told = format!("{} with {fault:?} under {policy}: {:#}", row.action, record.whole);
            println!("{} with {fault:?} under {policy}: {}", row.action, record.outcome);
            assert!([502, 504].contains(&answer.status), "{}, {told}", answer.status);
            judge(row, policy, &record, &told);
            stage.is_true(lab, &record).await;
            if policy == "rollback" {
                assert_eq!(held(&stage.service.allocation().await), before, "{told}");
            }
            // Nothing that failed is in the way of what comes after, and nothing is forgotten.
            if policy == "continue" {
                stage.undisturbed(lab, &to).await;
            }
            stage.undisturbed(lab, &from).await;
        }
        // There is one fault more than there are policies, so that each meets each in the end.
    }
}

fn judge(row: &Row, policy: &str, record: &Record, told: &str) {
    assert_eq!(record.texts("failed"), [row.action], "{told}");
    let failed = record.out.iter().find(|done| done.state == "failed").unwrap();
    assert!(!failed.error.is_empty(), "{told}");
    let passing = failed.error.contains("broken on purpose") && !told.contains("Refuse(500)");
    assert_eq!(
        failed.attempts > 1,
        !passing,
        "only what may pass is tried again: {told}"
    );
    let outcome = if policy == "rollback" {
        "rolled_back"
    } else {
        "failed"
    };
    assert_eq!(record.outcome, outcome, "{told}");
    let (pending, skipped) = match policy {
        "continue" => (&[][..], row.needs_it),
        _ => (row.later, &[][..]),
    };
    assert_eq!(record.texts("pending"), pending, "{told}");
    assert_eq!(record.texts("skipped"), skipped, "{told}");
    // The action for which it was skipped leads, over others that were skipped, to the one that
    // failed.
    let undone: BTreeSet<&str> = record
        .out
        .iter()
        .filter(|done| ["failed", "skipped"].contains(&done.state.as_str()))
        .map(|done| done.text.as_str())
        .collect();
    for done in record.out.iter().filter(|done| done.state == "skipped") {
        let because = done.because.as_deref().expect("it says why it was skipped");
        assert!(
            undone.contains(because),
            "{} because {because}: {told}",
            short(&done.text)
        );
    }
    assert_eq!(
        record.back.is_empty(),
        policy != "rollback" || nothing_done(record),
        "{told}"
    );
    assert!(record.back.iter().all(|done| done.state == "succeeded"), "{told}");
}

fn nothing_done(record: &Record) -> bool {
    record.texts("succeeded").is_empty()
}

#[test]
fn an_action_that_cannot_be_done_on_the_way_up() {
    in_lab!(2, async |lab| { play(lab, &UP, true).await });
}

#[test]
fn an_action_that_cannot_be_done_on_the_way_down() {
    in_lab!(2, async |lab| { play(lab, &DOWN, false).await });
}

#[test]
fn an_undo_that_cannot_be_done_is_told_and_not_tried_for_ever() {
    in_lab!(2, async |lab| {
        let stage = Stage::set_up(lab, &[("MAPEK_RETRY_FOR_S", "1")]).await;
        let rules = [
            Rule::always("shop_d", Call::Unpack, Fault::Refuse(500)),
            Rule::always("shop_v", Call::Stop, Fault::CutBefore),
        ];
        let (answer, record) = stage.carry_out(&large(), "rollback", &rules).await;
        let error = answer.error(&[502]);
        assert!(error.contains("undoing failed, too"), "{error}");
        assert_eq!(record.outcome, "rollback_failed", "{:#}", record.whole);
        assert_eq!(record.texts("failed"), ["scale hook shop_d"]);
        let failed: Vec<_> = record.back.iter().filter(|done| done.state == "failed").collect();
        assert_eq!(failed.len(), 1, "{:#}", record.whole);
        assert_eq!(short(&failed[0].text), "delete shop_v");
        stage.is_true(lab, &record).await;
        stage.undisturbed(lab, &small()).await;
        stage.undisturbed(lab, &large()).await;
    });
}
