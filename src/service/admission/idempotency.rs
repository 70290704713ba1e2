//! Idempotency keys: the same request under the same key is carried out once, also when its
//! repetitions arrive before the first has an execution.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::execute::Execution;
use crate::fault::{Code, Fault};

use crate::service::admission::{Begun, Request};
use crate::service::supervisor::Supervisor;
use crate::service::supervisor::runner::Ended;

/// The result of the first request under a key; None while it is being worked out.
type Answer = Option<Result<Begun, Fault>>;

/// Keys of requests that are being worked out.
#[derive(Default)]
pub(in crate::service) struct Keys(BTreeMap<String, (String, watch::Receiver<Answer>)>);

/// The place of a request among those under its key.
pub(in crate::service) enum Arrival {
    /// It is the first: its result goes here. If this is dropped, the next one becomes the first.
    First(watch::Sender<Answer>),
    /// The first is being worked out: its result comes here.
    After(watch::Receiver<Answer>),
    /// The first has begun an execution.
    Begun(Begun),
}

/// A hash of everything that a request asks for, regardless of the order of its fields, and of
/// whether whole numbers were written as floats.
pub(in crate::service) fn fingerprint(request: &Request) -> String {
    let all = json!({
        "plan": request.plan.as_ref().map(sorted),
        "plan_id": request.plan_id,
        "on_failure": request.on_failure,
        "on_shortage": request.on_shortage,
    });
    let digest = Sha256::digest(all.to_string().as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<&String, Value> =
                fields.iter().map(|(name, value)| (name, sorted(value))).collect();
            let fields = fields.into_iter().map(|(name, value)| (name.clone(), value));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Number(number) => whole(number).map_or_else(|| value.clone(), Value::from),
        other => other.clone(),
    }
}

/// A whole number that is written as a float, as planners do.
fn whole(number: &Number) -> Option<u64> {
    let float = number.as_f64().filter(|_| number.is_f64())?;
    // Larger ones are not valid in a plan.
    let known = float.fract() == 0.0 && (0.0..=1e9).contains(&float);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    known.then_some(float as u64)
}

impl Supervisor {
    /// Gives a request its place among those under its key.
    pub(in crate::service) fn arrive(
        &mut self,
        key: &str,
        fingerprint: &str,
        request: &Request,
    ) -> Result<Arrival, Fault> {
        // A request that is no longer being worked out has an execution by now, or came to nothing.
        self.keys
            .0
            .retain(|_, (_, answer)| answer.borrow().is_none() && answer.has_changed().is_ok());
        if let Some((of, answer)) = self.keys.0.get(key) {
            return match of == fingerprint {
                true => Ok(Arrival::After(answer.clone())),
                false => Err(reused("another request, which is being worked out")),
            };
        }
        if let Some(before) = self.store.under_key(key)? {
            return self.again(&before, fingerprint, request).map(Arrival::Begun);
        }
        let (tell, answer) = watch::channel(None);
        self.keys
            .0
            .insert(key.to_owned(), (fingerprint.to_owned(), answer));
        Ok(Arrival::First(tell))
    }

    /// The execution that the same request began before.
    fn again(&self, before: &Execution, fingerprint: &str, request: &Request) -> Result<Begun, Fault> {
        let (id, frozen) = (before.frozen.id, &before.frozen);
        let same = match &frozen.fingerprint {
            Some(of) => of == fingerprint,
            // From a version that kept no fingerprints.
            None => {
                let plan = request.plan.as_ref();
                plan.is_none_or(|plan| *plan == frozen.plan) && frozen.plan_id == request.plan_id
            }
        };
        if !same {
            let fault = reused(&format!("another plan or other options, as execution {id}"));
            return Err(fault.with([json!({ "execution": id })]));
        }
        if let Some(runner) = self.runner.as_ref().filter(|runner| runner.id == id) {
            return Ok(Begun::under_way(id, runner.ended.clone()));
        }
        if before.progress.outcome.is_none() {
            self.store.idle()?;
        }
        Ok(Begun::over(Ended {
            id,
            outcome: before.progress.outcome,
            fault: before.failure(),
        }))
    }
}

fn reused(with: &str) -> Fault {
    let message = format!("this Idempotency-Key was sent before with {with}; use a new one");
    Fault::new(Code::KeyReused, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::topology::OnFailure;

    #[test]
    fn a_fingerprint_follows_everything_that_is_asked_for_but_the_order_of_fields() {
        let of = |plan: &str| Request {
            plan: serde_json::from_str(plan).ok(),
            ..Request::default()
        };
        let plan = fingerprint(&of(r#"{"a": {"x": 1, "y": 2}, "b": 3}"#));
        assert_eq!(plan, fingerprint(&of(r#"{"b": 3, "a": {"y": 2, "x": 1}}"#)));
        assert_eq!(plan, fingerprint(&of(r#"{"b": 3.0, "a": {"y": 2e0, "x": 1}}"#)));
        assert_ne!(plan, fingerprint(&of(r#"{"b": 3.5, "a": {"y": 2, "x": 1}}"#)));
        assert_ne!(plan, fingerprint(&of(r#"{"b": 3, "a": {"y": 1, "x": 2}}"#)));
        let stop = Request {
            on_failure: Some(OnFailure::Stop),
            ..of(r#"{"a": {"x": 1, "y": 2}, "b": 3}"#)
        };
        assert_ne!(plan, fingerprint(&stop));
        let sealed = |id: &str| Request {
            plan_id: Some(id.to_owned()),
            ..Request::default()
        };
        assert_ne!(fingerprint(&sealed("1")), fingerprint(&sealed("2")));
    }
}
