//! `mapek agent`: registers a machine and its engine, refreshes the registration regularly with the
//! machine's health, and leaves when it is told to stop.
//!
//! | | | pure |
//! |---|---|---|
//! | `parse` | what the kernel's files say | yes |
//! | `measure` | reads these files, and puts together what the machine is able to do and how it does | |
//! | `course` | what comes next after each answer: another refresh, a pause, the end | yes |
//!
//! It knows the service and the engine by three calls, [`Link`], and the kernel by a folder, so
//! that tests can replace both.

mod course;
mod measure;
pub mod parse;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::model::About;

pub use course::{Answered, Course, Next};
pub use measure::{Kernel, Measured};

/// The agent's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The engine's endpoint for the service.
    pub endpoint: String,
    /// The address at which published ports are reached.
    pub ip: Option<String>,
    /// Which start of the agent this is: a later one has a larger number.
    pub epoch: u64,
    /// How often it refreshes.
    pub refresh: Duration,
    /// Cores that it offers; all unless given.
    pub cpu_cores: Option<f64>,
    /// Memory units that it offers; all of the memory unless given.
    pub mem_units: Option<u64>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Capabilities in addition to the measured ones.
    pub capabilities: Map<String, Value>,
}

/// The calls to the service and to the engine.
pub trait Link {
    /// `PUT /api/nodes/{id}`.
    fn put(&self, said: &Value) -> impl Future<Output = Answered>;

    /// `DELETE /api/nodes/{id}`, for this start of the agent.
    fn leave(&self, epoch: u64) -> impl Future<Output = Answered>;

    /// What the engine reports about itself, or why it does not.
    fn engine(&self) -> impl Future<Output = Result<About, String>>;
}

/// How often the capabilities are measured again: disks and devices come and go.
const MEASURE_EVERY: Duration = Duration::from_secs(60);
/// How long the engine is waited for at most. It is no longer than half of the time between two refreshes, so that an
/// engine that hangs makes none of them late.
const ENGINE: Duration = Duration::from_secs(2);
/// How long the service is waited for when the agent leaves.
const FAREWELL: Duration = Duration::from_secs(5);

/// Runs until `stop` resolves. `tell` tells people about changes. `chance` returns a number from 0
/// to 1, a different one each time.
///
/// # Errors
///
/// When a later start of the agent has registered: this one is over.
pub async fn run(
    settings: &Settings,
    link: &impl Link,
    kernel: &Kernel,
    stop: impl Future<Output = ()>,
    (tell, chance): (impl Fn(&str), impl Fn() -> f64),
) -> Result<(), String> {
    let mut course = Course::new(settings.epoch, settings.refresh);
    let mut measured = Measured::default();
    let mut due = tokio::time::Instant::now();
    tokio::pin!(stop);
    loop {
        let now = tokio::time::Instant::now();
        let health = async {
            let patience = ENGINE.min(settings.refresh / 2);
            let about = match tokio::time::timeout(patience, link.engine()).await {
                Ok(about) => about,
                Err(_) => Err(format!("no answer within {} s", patience.as_secs_f32())),
            };
            if measured.is_old(now, MEASURE_EVERY) {
                measured.look(kernel, about.as_ref().ok(), &settings.capabilities, now);
            }
            measured.health(kernel, about.as_ref().err(), now)
        };
        let health = tokio::select! {
            health = health => health,
            () = &mut stop => break,
        };
        let said = said(settings, &course, &measured, health);
        let answered = tokio::select! {
            answered = link.put(&said) => answered,
            () = &mut stop => break,
        };
        if matches!(answered, Answered::Taken { .. }) {
            measured.was_told();
        }
        let pause = match course.after(&answered, chance()) {
            Next::Over(why) => return Err(why),
            Next::Pause { pause, told } => {
                if let Some(told) = told {
                    tell(&told);
                }
                pause
            }
        };
        // The time between two refreshes is measured from start to start.
        due = if matches!(answered, Answered::Taken { .. }) {
            (due + pause).max(now)
        } else {
            tokio::time::Instant::now() + pause
        };
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = &mut stop => break,
        }
    }
    if !course.is_known() {
        return Ok(());
    }
    match tokio::time::timeout(FAREWELL, link.leave(course.epoch())).await {
        Ok(Answered::Taken { .. }) => tell("left"),
        Ok(other) => tell(&format!("could not leave: {}", other.why())),
        Err(_) => tell("could not leave: no answer in time"),
    }
    Ok(())
}

/// Everything, or only what may have changed.
fn said(settings: &Settings, course: &Course, measured: &Measured, health: Map<String, Value>) -> Value {
    let mut said = json!({ "epoch": course.epoch(), "health": health });
    let Some(fields) = said.as_object_mut() else {
        return said;
    };
    if !course.is_known() {
        let all = json!({
            "endpoint": settings.endpoint,
            "ip": settings.ip,
            "refresh_s": settings.refresh.as_secs().max(1),
            "cpu_cores": settings.cpu_cores,
            "mem_units": settings.mem_units,
            "labels": settings.labels,
        });
        if let Value::Object(all) = all {
            fields.extend(all.into_iter().filter(|(_, value)| !value.is_null()));
        }
    }
    if !course.is_known() || measured.is_news() {
        let capabilities = Value::Object(measured.capabilities().clone());
        fields.insert("capabilities".to_owned(), capabilities);
    }
    said
}
