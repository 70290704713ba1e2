//! How often one client may ask for costly work: placements and executions.
//!
//! This is the generic cell rate algorithm, which keeps one moment for each client: when its debt
//! is paid off. It is as short as the code to call a crate would be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::Method;

use crate::fault::{Code, Fault};

const MINUTE: Duration = Duration::from_secs(60);
/// When this many clients are known, those without debt are forgotten.
const MANY: usize = 10_000;

/// The limit. Clones share it.
#[derive(Clone, Debug)]
pub struct RateLimit(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    /// The pause between two calls, in the long run.
    interval: Duration,
    even_at: Mutex<HashMap<Arc<str>, Instant>>,
}

impl RateLimit {
    /// This many calls a minute, for each client; 0 for no limit.
    #[must_use]
    pub fn a_minute(calls: u32) -> Self {
        Self(MINUTE.checked_div(calls).map(|interval| {
            Arc::new(Inner {
                interval: interval.max(Duration::from_nanos(1)),
                even_at: Mutex::default(),
            })
        }))
    }

    /// Counts a call of a client, or says how long it has to wait.
    pub fn count(&self, client: &Arc<str>, now: Instant) -> Result<(), Fault> {
        let Some(limit) = &self.0 else { return Ok(()) };
        let mut even_at = limit.even_at.lock().unwrap_or_else(PoisonError::into_inner);
        if even_at.len() >= MANY {
            even_at.retain(|_, at| *at > now);
        }
        let before = even_at.get(client).copied().unwrap_or(now).max(now);
        let after = before + limit.interval;
        let early = (after - now).saturating_sub(MINUTE);
        if early.is_zero() {
            even_at.insert(Arc::clone(client), after);
            return Ok(());
        }
        let seconds = early.as_secs() + u64::from(early.subsec_nanos() > 0);
        let message = format!(
            "{client} has asked for placements and executions more often than one client may; ask again in \
             {seconds} s (--rate-limit allows more)"
        );
        Err(Fault::new(Code::RateLimited, message).with([serde_json::json!({ "retry_after_s": seconds })]))
    }
}

/// Whether a call is counted.
pub fn is_costly(method: &Method, path: &str) -> bool {
    let looks = *method == Method::GET || *method == Method::HEAD;
    !looks && ["/api/translate", "/api/solve", "/api/execute"].contains(&path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_s_calls_may_come_at_once_and_then_one_at_a_time() {
        let (limit, now) = (RateLimit::a_minute(6), Instant::now());
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        for _ in 0..6 {
            limit.count(&one, now).unwrap();
        }
        let fault = limit.count(&one, now).unwrap_err();
        assert_eq!(
            (fault.code, &fault.details[..]),
            (
                Code::RateLimited,
                &[serde_json::json!({ "retry_after_s": 10 })][..]
            )
        );
        limit.count(&other, now).unwrap();
        let later = now + Duration::from_secs(10);
        limit.count(&one, later).unwrap();
        assert!(limit.count(&one, later).is_err());
        for _ in 0..6 {
            limit.count(&one, now + 3 * MINUTE).unwrap();
        }
    }

    #[test]
    fn zero_is_no_limit() {
        let (limit, now) = (RateLimit::a_minute(0), Instant::now());
        for _ in 0..100_000 {
            limit.count(&"one".into(), now).unwrap();
        }
    }
}
