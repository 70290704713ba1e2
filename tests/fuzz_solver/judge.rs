//! What is wrong with an answer, if anything.

use std::time::Duration;

use serde_json::Value;

use crate::brute;
use crate::checker::{self, Placement};
use crate::dice::Dice;
use crate::peer::{Opinion, Peer};
use crate::question::Question;
use crate::service::{Outcome, Service};
use crate::variants;

/// Kinds of findings. A body is shrunk as long as it shows the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// No answer at all.
    NoAnswer,
    /// The process ended.
    Died,
    /// More memory than 1 GiB.
    Memory,
    /// A status or code that a valid question cannot have.
    Status,
    /// The checker refuses the answer.
    Refused,
    /// The bound is above a placement that exists.
    BoundTooHigh,
    /// Said to be impossible, although it is possible.
    NotImpossible,
    /// Said to be impossible without a reason.
    NoReason,
    /// A tiny question that has a placement was left undecided.
    Undecided,
    /// Not the fewest actions among placements of equal cost.
    MoreActions,
    /// `ended_by` is not what happened.
    EndedBy,
    /// `exact` ended before its deadline without a proof.
    NotExact,
    /// The same question in other words has another answer.
    Variant,
    /// Beyond the deadline plus 20 % and half a second. Counted only; a busy machine may be the
    /// cause.
    Late,
}

#[derive(Debug, Clone)]
pub struct Finding {
    pub kind: Kind,
    pub text: String,
}

/// The result of a question.
#[derive(Debug, Clone, Copy, Default)]
pub struct Verdict {
    pub proven: bool,
    pub impossible: bool,
    pub undecided: bool,
    pub compared: bool,
    /// Another solver has checked it.
    pub second_opinion: bool,
    /// Nothing was left open, not even the number of actions.
    pub settled: bool,
}

/// The longest that the contract allows.
fn allowed(question: &Question) -> Duration {
    Duration::from_secs_f64(question.deadline_ms / 1000.0 * 1.2 + 0.5)
}

const MOST_MB: u64 = 1_073;

/// Asks and checks the answer. `patience` is how many times the allowed time is waited for.
pub fn judge(
    service: &mut Service,
    peer: &mut Option<Peer>,
    body: &Value,
    patience: u32,
    dice: &mut Dice,
) -> (Verdict, Vec<Finding>) {
    let question = Question::read(body);
    let limit = allowed(&question);
    let mut findings = Vec::new();
    let mut find = |kind, text: String| findings.push(Finding { kind, text });
    let mut verdict = Verdict::default();
    let (status, answer, took, peak_mb) = match service.ask(body, limit * patience) {
        Outcome::Answered {
            status,
            body,
            took,
            peak_mb,
        } => (status, body, took, peak_mb),
        Outcome::Silent => {
            let text = format!("no answer within {patience} times {limit:?}");
            return (
                verdict,
                vec![Finding {
                    kind: Kind::NoAnswer,
                    text,
                }],
            );
        }
        Outcome::Died => {
            let text = "the process ended".to_owned();
            return (
                verdict,
                vec![Finding {
                    kind: Kind::Died,
                    text,
                }],
            );
        }
    };
    if took > limit {
        find(
            Kind::Late,
            format!("answered after {took:?}, allowed are {limit:?}"),
        );
    }
    if peak_mb > MOST_MB {
        find(Kind::Memory, format!("took {peak_mb} MB"));
    }
    let key = brute::key(&question);
    verdict.compared = key.is_some();
    let opinion = match (&key, peer) {
        (None, Some(peer)) => peer.ask(&question),
        _ => None,
    };
    verdict.second_opinion = opinion.is_some();
    let best = key.and_then(|key| key.objective);
    let best = best.or(opinion.as_ref().and_then(|opinion| opinion.objective));
    match (status, answer["code"].as_str()) {
        (200, _) => match checker::check(&question, &answer) {
            Err(why) => find(Kind::Refused, why),
            Ok(placement) => {
                verdict.proven = placement.proven;
                verdict.settled = answer["ended_by"] == "proof";
                if let Some(opinion) = &opinion {
                    second(&answer, &placement, opinion, &mut find);
                }
                compare(&question, &answer, &placement, key, &mut find);
                // Few of the large ones, since each means several searches.
                if question.tiers.len() < 50 && dice.chance(10) {
                    for (name, other) in variants::of(body, &question, &answer, dice) {
                        variant(service, name, &other, &placement, patience, &mut find);
                    }
                }
            }
        },
        (422, Some("infeasible")) => {
            verdict.impossible = true;
            if answer["details"].as_array().is_none_or(Vec::is_empty) {
                find(Kind::NoReason, format!("no reason is given: {}", answer["error"]));
            }
            if let Some(best) = best {
                find(
                    Kind::NotImpossible,
                    format!("a placement costs {best}; said was {}", answer["error"]),
                );
            }
        }
        (422 | 503 | 504, Some("undecided")) => {
            verdict.undecided = true;
            // Larger ones may be left undecided.
            if let Some(best) = key.and_then(|key| key.objective) {
                find(
                    Kind::Undecided,
                    format!("a placement costs {best}; none was found"),
                );
            }
        }
        (413, Some("plan_too_large")) => {
            if let Some(best) = best {
                find(
                    Kind::NotImpossible,
                    format!("a placement costs {best}; called too large"),
                );
            }
        }
        _ => find(Kind::Status, format!("status {status}: {answer}")),
    }
    (verdict, findings)
}

fn compare(
    question: &Question,
    answer: &Value,
    placement: &Placement,
    key: Option<brute::Key>,
    find: &mut impl FnMut(Kind, String),
) {
    let (objective, bound) = (placement.objective, placement.bound);
    let ended = answer["ended_by"].as_str().unwrap_or_default();
    if let Some(key) = key {
        match key.objective {
            Some(best) if bound > best => {
                find(
                    Kind::BoundTooHigh,
                    format!("bound {bound} of objective {objective}; a placement costs {best}"),
                );
            }
            Some(best) if key.complete && objective < best && !placement.unchanged => {
                panic!("the answer key says {best}, and {objective} is possible: {question:?} {answer}")
            }
            Some(best) if objective == best && ended == "proof" => {
                if let Some(fewest) = key.actions.filter(|&fewest| fewest < placement.actions) {
                    find(
                        Kind::MoreActions,
                        format!(
                            "{} actions, where {fewest} lead to the same objective {best}",
                            placement.actions
                        ),
                    );
                }
            }
            None if key.complete && !placement.unchanged => {
                panic!("the answer key says impossible: {question:?} {answer}")
            }
            _ => {}
        }
    }
    let took = answer["solve_ms"].as_f64().unwrap_or_default();
    let wrong = match ended {
        "proof" => !placement.proven,
        "unchanged" => !question.is_reached(),
        "deadline" => took < question.deadline_ms * 0.5,
        // The price may be proven all the same, but not of so small a question.
        "work_limit" => placement.proven && key.is_some(),
        _ => true,
    };
    if wrong {
        find(
            Kind::EndedBy,
            format!(
                "ended by {ended} after {took} ms of {}, proven: {}",
                question.deadline_ms, placement.proven
            ),
        );
    }
    if question.exact && !placement.proven && ended != "unchanged" && took < question.deadline_ms * 0.9 {
        find(
            Kind::NotExact,
            format!(
                "exact, and not proven after {took} ms of {}",
                question.deadline_ms
            ),
        );
    }
}

/// What another solver says about the same question.
fn second(answer: &Value, placement: &Placement, opinion: &Opinion, find: &mut impl FnMut(Kind, String)) {
    let (objective, bound) = (placement.objective, placement.bound);
    match (opinion.objective, opinion.bound) {
        (Some(theirs), _) if bound > theirs => find(
            Kind::BoundTooHigh,
            format!("bound {bound} of objective {objective}; CP-SAT has a placement for {theirs}"),
        ),
        (_, Some(theirs)) if objective < theirs && !placement.unchanged => {
            panic!("CP-SAT says that nothing is below {theirs}, and {objective} is possible: {answer}")
        }
        (None, None) if opinion.impossible && !placement.unchanged => {
            panic!("CP-SAT says impossible, and an answer passes the checker: {answer}")
        }
        _ => {}
    }
    let fewer = opinion.actions.filter(|&theirs| theirs < placement.actions);
    if let Some(theirs) =
        fewer.filter(|_| answer["ended_by"] == "proof" && opinion.objective == Some(objective))
    {
        find(
            Kind::MoreActions,
            format!("{} actions, where CP-SAT needs {theirs}", placement.actions),
        );
    }
}

/// No placement that one search finds may be below the other's bound.
fn variant(
    service: &mut Service,
    name: &str,
    other: &variants::Variant,
    placement: &Placement,
    patience: u32,
    find: &mut impl FnMut(Kind, String),
) {
    let question = Question::read(&other.body);
    let Outcome::Answered {
        status, body: answer, ..
    } = service.ask(&other.body, allowed(&question) * patience)
    else {
        return find(Kind::NoAnswer, format!("{name}: no answer to {}", other.body));
    };
    if status != 200 {
        if answer["code"] != "undecided" {
            find(Kind::Variant, format!("{name}: {answer} to {}", other.body));
        }
        return;
    }
    match checker::check(&question, &answer) {
        Err(why) => find(Kind::Variant, format!("{name}: {why}; body {}", other.body)),
        Ok(second) => {
            let (here, there) = (placement, &second);
            if there.bound > here.objective + other.dearer {
                find(
                    Kind::Variant,
                    format!(
                        "{name}: bound {} is above {}, which {} more than the first objective is possible; body {}",
                        there.bound,
                        here.objective + other.dearer,
                        other.dearer,
                        other.body
                    ),
                );
            }
            let moved = here.unchanged || there.unchanged;
            let least = here.bound + other.dearer;
            if other.same && least > there.objective && !moved {
                find(
                    Kind::Variant,
                    format!(
                        "{name}: objective {} is below {least}, which follows from the first bound {}; body {}",
                        there.objective, here.bound, other.body
                    ),
                );
            }
        }
    }
}
