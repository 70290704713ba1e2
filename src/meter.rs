//! Measurements shared by rooms that know nothing of each other: calls to the outside, and requests
//! from there. A meter is a handle: clones count into the same numbers, which the service
//! publishes.

use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// A family of histograms of seconds.
pub type Seconds<L> = Family<L, Histogram, fn() -> Histogram>;

/// From half a millisecond to half an hour: from a placement that is known at once to a VM that
/// boots.
#[must_use]
pub fn seconds() -> Histogram {
    Histogram::new([
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
        300.0, 1800.0,
    ])
}

/// Calls to something outside: a Docker engine, a cloud.
#[derive(Clone, Debug)]
pub struct Calls {
    ended: Family<Ended, Counter>,
    seconds: Seconds<Call>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    service: &'static str,
    call: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    service: &'static str,
    call: &'static str,
    outcome: &'static str,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// With an answer.
    Answered,
    /// With an answer that refuses.
    Refused,
    /// With an answer that says that the other side failed.
    Broken,
    /// Without an answer.
    Failed,
    /// It was given up: the answer took too long, or nobody waits for it any more.
    GivenUp,
}

impl CallOutcome {
    /// The outcome that an HTTP status means.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            0..400 => Self::Answered,
            400..500 => Self::Refused,
            _ => Self::Broken,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Broken => "broken",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
        }
    }
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            ended: Family::default(),
            seconds: Family::new_with_constructor(seconds),
        }
    }
}

impl Calls {
    /// Starts to measure a call. Both names come from a fixed, short list, since each pair is a
    /// series of its own. A call that is dropped before its end counts as given up.
    pub fn begin(&self, service: &'static str, call: &'static str) -> Pending {
        Pending {
            calls: self.clone(),
            call: Call { service, call },
            begun: Instant::now(),
            outcome: CallOutcome::GivenUp,
        }
    }

    /// Adds the numbers to the registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "remote_calls",
            "Calls to engines and clouds, by outcome",
            self.ended.clone(),
        );
        registry.register(
            "remote_call_duration_seconds",
            "How long calls to engines and clouds took",
            self.seconds.clone(),
        );
    }
}

/// A call that has not ended.
#[derive(Debug)]
#[must_use]
pub struct Pending {
    calls: Calls,
    call: Call,
    begun: Instant,
    outcome: CallOutcome,
}

impl Pending {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.call.call
    }

    /// The call has ended.
    pub fn end(mut self, outcome: CallOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let Call { service, call } = self.call;
        let outcome = self.outcome.as_str();
        self.calls
            .ended
            .get_or_create(&Ended {
                service,
                call,
                outcome,
            })
            .inc();
        self.calls
            .seconds
            .get_or_create(&self.call)
            .observe(self.begun.elapsed().as_secs_f64());
    }
}

/// Requests to this service.
#[derive(Clone, Debug)]
pub struct Requests {
    answered: Family<Answered, Counter>,
    seconds: Seconds<Asked>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    method: &'static str,
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: u16,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            answered: Family::default(),
            seconds: Family::new_with_constructor(seconds),
        }
    }
}

impl Requests {
    /// Counts an answer. The route is the pattern of the path, so that ids do not create series of
    /// their own; unusual methods share one series.
    pub fn count(&self, method: &str, route: &str, status: u16, seconds: f64) {
        let method = match method {
            "GET" => "GET",
            "HEAD" => "HEAD",
            "PUT" => "PUT",
            "POST" => "POST",
            _ => "other",
        };
        let route = route.to_owned();
        let asked = Asked {
            method,
            route: route.clone(),
        };
        self.seconds.get_or_create(&asked).observe(seconds);
        self.answered
            .get_or_create(&Answered {
                method,
                route,
                status,
            })
            .inc();
    }

    /// Adds the numbers to the registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("http_requests", "Requests, by status", self.answered.clone());
        registry.register(
            "http_request_duration_seconds",
            "How long requests took, until the head of the answer",
            self.seconds.clone(),
        );
    }
}

/// All meters that are shared.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    /// Calls to engines and clouds.
    pub calls: Calls,
    /// Requests to this service.
    pub requests: Requests,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(register: impl FnOnce(&mut Registry)) -> String {
        let mut registry = Registry::default();
        register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn a_call_that_is_dropped_counts_as_given_up() {
        let calls = Calls::default();
        calls.begin("docker", "info").end(CallOutcome::of_status(200));
        calls.begin("docker", "info").end(CallOutcome::of_status(503));
        drop(calls.clone().begin("docker", "info"));
        let text = text(|registry| calls.register(registry));
        for outcome in ["answered", "broken", "given_up"] {
            let line =
                format!("remote_calls_total{{service=\"docker\",call=\"info\",outcome=\"{outcome}\"}} 1\n");
            assert!(text.contains(&line), "{line} is not in {text}");
        }
        assert!(
            text.contains("remote_call_duration_seconds_count{service=\"docker\",call=\"info\"} 3\n"),
            "{text}"
        );
    }

    #[test]
    fn odd_methods_are_one_series() {
        let requests = Requests::default();
        for method in ["BREW", "GRIND", "GET"] {
            requests.count(method, "/healthz", 405, 0.0);
        }
        let text = text(|registry| requests.register(registry));
        assert!(
            text.contains("{method=\"other\",route=\"/healthz\",status=\"405\"} 2"),
            "{text}"
        );
    }
}
