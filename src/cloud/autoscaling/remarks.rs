//! What a group's owner should know before a plan is carried out, and what prevents it. Pure.

use super::errors::refused;
use super::group::{Group, LifecycleHook};
use crate::cloud::{Change, Forecast};
use crate::model::topology::AutoScaling;

/// What was looked up about a group, or why it could not be.
#[derive(Debug)]
pub struct Surroundings {
    /// Its lifecycle hooks.
    pub hooks: Result<Vec<LifecycleHook>, String>,
    /// Names of what changes its capacity on its own: scaling policies and scheduled actions.
    pub rivals: Result<Vec<String>, String>,
}

/// What can be known of a change before it is begun.
#[must_use]
pub fn forecast(spec: &AutoScaling, group: &Group, around: &Surroundings, change: &Change) -> Forecast {
    let (name, managed) = (spec.group.as_str(), spec.manage_max_size);
    let mut forecast = Forecast::default();
    let grows = !change.made.is_empty();
    obstacles(name, group, change, managed, &mut forecast);
    let remarks = &mut forecast.remarks;
    if grows {
        match &around.hooks {
            Ok(hooks) => remarks.extend(
                hooks
                    .iter()
                    .filter_map(|hook| held_up(name, hook, spec.ready_timeout_s)),
            ),
            Err(reason) => remarks.push(unknown("lifecycle hooks", reason)),
        }
    }
    match &around.rivals {
        Ok(rivals) if !rivals.is_empty() => remarks.push(format!(
            "group '{name}' is scaled by others, too: {}; what they add is idle until a plan uses or removes it, \
             and what they remove is drift: suspend AlarmNotification and ScheduledActions, or remove them",
            rivals.join(", ")
        )),
        Ok(_) => {}
        Err(reason) => remarks.push(unknown("scaling policies", reason)),
    }
    if group.traits.capacity_rebalance {
        remarks.push(format!(
            "group '{name}' replaces Spot instances that are at risk (capacity rebalancing), those in use among them"
        ));
    }
    if let Some(seconds) = group.traits.max_instance_lifetime {
        remarks.push(format!(
            "group '{name}' replaces every instance after {seconds} s (maximum instance lifetime), those in use among them"
        ));
    }
    if !change.gone.is_empty() && group.suspended.contains("Terminate") {
        remarks.push(format!(
            "the process Terminate of group '{name}' is suspended: AWS may not let instances go until it is resumed"
        ));
    }
    forecast
}

fn obstacles(name: &str, group: &Group, change: &Change, managed: bool, forecast: &mut Forecast) {
    let obstacles = &mut forecast.obstacles;
    if let Some(status) = &group.traits.status {
        obstacles.push(refused(format!(
            "group '{name}' is going away: AWS says {status:?}; name another group in cloud_driver.autoscaling_groupname"
        )));
    }
    if change.made.is_empty() {
        return;
    }
    if group.suspended.contains("Launch") {
        obstacles.push(refused(format!(
            "the process Launch of group '{name}' is suspended, so no instance can be made: resume it \
             (aws autoscaling resume-processes --auto-scaling-group-name {name} --scaling-processes Launch)"
        )));
    }
    let made = u32::try_from(change.made.len()).unwrap_or(u32::MAX);
    if group.room(managed).is_some_and(|room| made > room) {
        obstacles.push(refused(too_many(name, group, group.desired.saturating_add(made))));
    }
}

/// Why a capacity can't be asked for.
#[must_use]
pub fn too_many(name: &str, group: &Group, wanted: u32) -> String {
    format!(
        "group '{name}' would need {wanted} instances and its MaxSize is {}: raise MaxSize, or set \
         cloud_driver.manage_max_size to true to let mapek do that",
        group.max
    )
}

/// What bounds the number of VMs, as sentences.
#[must_use]
pub fn bounds(name: &str, group: &Group, managed: bool) -> Vec<String> {
    let mut bounds = Vec::new();
    if !managed {
        bounds.push(format!(
            "group '{name}' has MaxSize {} and a desired capacity of {}: at most {} VMs can be made; raise \
             MaxSize, or set cloud_driver.manage_max_size to true",
            group.max,
            group.desired,
            group.room(managed).unwrap_or_default(),
        ));
    }
    if group.min > 0 {
        bounds.push(format!(
            "group '{name}' has MinSize {}: lower it to let idle VMs go",
            group.min
        ));
    }
    bounds
}

fn held_up(name: &str, hook: &LifecycleHook, ready_timeout_s: u64) -> Option<String> {
    if !hook.launching {
        return None;
    }
    let then = match hook.then.as_str() {
        "CONTINUE" => "then takes it into service",
        _ => "then terminates it",
    };
    let late = if u64::from(hook.timeout_s) >= ready_timeout_s {
        format!(
            ", which is longer than ready_timeout_s {ready_timeout_s}: raise that if nothing completes the hook earlier"
        )
    } else {
        String::new()
    };
    Some(format!(
        "lifecycle hook '{}' of group '{name}' holds each new instance up for {} s at most and {then}{late}",
        hook.name, hook.timeout_s
    ))
}

fn unknown(what: &str, reason: &str) -> String {
    format!("the group's {what} could not be looked up: {reason}")
}
