//! The calls, made with the AWS SDK.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_autoscaling::config::retry::RetryConfig;
use aws_sdk_autoscaling::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_autoscaling::types::ScalingActivityStatusCode;
use tokio::sync::RwLock;

use super::api::Api;
use super::calls::{self, Call};
use super::connect::{Clients, connect};
use super::errors::{misconfigured, told};
use super::group::{Addresses, FailedLaunch, Group, Life, LifecycleHook, Member, Traits};
use crate::cloud::{CloudError, CloudErrorKind};
use crate::meter::Calls;
use crate::model::topology::AutoScaling;

/// Most values of a filter in one request.
const AT_ONCE: usize = 200;
/// How many recent activities are looked at.
const ACTIVITIES: i32 = 50;

/// AWS, for one group.
pub struct Aws {
    spec: AutoScaling,
    measured: Calls,
    /// Set up at the first call, and again after credentials were refused.
    clients: RwLock<Option<Arc<Clients>>>,
}

impl Aws {
    /// Nothing is read, and no connection made, yet.
    #[must_use]
    pub fn new(spec: AutoScaling, measured: Calls) -> Self {
        Self {
            spec,
            measured,
            clients: RwLock::default(),
        }
    }

    async fn clients(&self) -> Result<Arc<Clients>, CloudError> {
        if let Some(clients) = self.clients.read().await.as_ref() {
            return Ok(Arc::clone(clients));
        }
        let mut place = self.clients.write().await;
        if let Some(clients) = place.as_ref() {
            return Ok(Arc::clone(clients));
        }
        let clients = Arc::new(connect(&self.spec, &self.measured).await?);
        *place = Some(Arc::clone(&clients));
        Ok(clients)
    }

    /// Translates an error. If the credentials may be the cause, the next call reads them again.
    async fn failed<E, R>(&self, call: Call, failed: SdkError<E, R>) -> CloudError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        self.refused(told(call, &failed)).await
    }

    async fn refused(&self, error: CloudError) -> CloudError {
        if error.kind == CloudErrorKind::Misconfigured {
            *self.clients.write().await = None;
        }
        error
    }
}

#[async_trait]
impl Api for Aws {
    async fn group(&self) -> Result<Group, CloudError> {
        let clients = self.clients().await?;
        let pages = clients
            .autoscaling
            .describe_auto_scaling_groups()
            .auto_scaling_group_names(&self.spec.group)
            .into_paginator()
            .items()
            .send();
        let found: Result<Vec<_>, _> = pages.collect().await;
        match found {
            Ok(groups) => groups.into_iter().next().map(read_group).ok_or_else(|| {
                misconfigured(format!(
                    "there is no Auto Scaling group '{}' in region {}: check cloud_driver.autoscaling_groupname, \
                     the region, and which account the credentials belong to",
                    self.spec.group, clients.region
                ))
            }),
            Err(error) => Err(self
                .failed(calls::GROUP, error)
                .await),
        }
    }

    async fn addresses(&self, instances: &[String]) -> Result<BTreeMap<String, Addresses>, CloudError> {
        let clients = self.clients().await?;
        let mut found = BTreeMap::new();
        for some in instances.chunks(AT_ONCE) {
            match clients.ec2.addresses(some).await {
                Ok(some) => found.extend(some),
                Err(error) => return Err(self.refused(error).await),
            }
        }
        Ok(found)
    }

    async fn set_desired(&self, capacity: u32) -> Result<(), CloudError> {
        let clients = self.clients().await?;
        let request = clients
            .autoscaling
            .set_desired_capacity()
            .auto_scaling_group_name(&self.spec.group)
            .desired_capacity(signed(capacity))
            .honor_cooldown(false);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed(calls::SET_DESIRED, error).await),
        }
    }

    async fn set_max(&self, max: u32) -> Result<(), CloudError> {
        let clients = self.clients().await?;
        let request = clients
            .autoscaling
            .update_auto_scaling_group()
            .auto_scaling_group_name(&self.spec.group)
            .max_size(signed(max));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed(calls::SET_MAX, error).await),
        }
    }

    async fn protect(&self, instances: &[String], protected: bool) -> Result<(), CloudError> {
        let clients = self.clients().await?;
        // AWS takes fifty at a time.
        for some in instances.chunks(50) {
            let request = clients
                .autoscaling
                .set_instance_protection()
                .auto_scaling_group_name(&self.spec.group)
                .set_instance_ids(Some(some.to_vec()))
                .protected_from_scale_in(protected);
            if let Err(error) = request.send().await {
                let call = calls::PROTECT;
                return Err(self.failed(call, error).await);
            }
        }
        Ok(())
    }

    async fn terminate(&self, instance: &str, decrement: bool) -> Result<(), CloudError> {
        let clients = self.clients().await?;
        let request = clients
            .autoscaling
            .terminate_instance_in_auto_scaling_group()
            .instance_id(instance)
            .should_decrement_desired_capacity(decrement)
            .customize()
            // Never retried without a look in between: each call may lower the desired capacity.
            .config_override(aws_sdk_autoscaling::Config::builder().retry_config(RetryConfig::disabled()));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let call = calls::TERMINATE;
                Err(self.failed(call, error).await)
            }
        }
    }

    async fn hooks(&self) -> Result<Vec<LifecycleHook>, CloudError> {
        let clients = self.clients().await?;
        let request = clients
            .autoscaling
            .describe_lifecycle_hooks()
            .auto_scaling_group_name(&self.spec.group);
        match request.send().await {
            Ok(answer) => Ok(answer
                .lifecycle_hooks
                .unwrap_or_default()
                .into_iter()
                .map(|hook| LifecycleHook {
                    name: hook.lifecycle_hook_name.unwrap_or_default(),
                    launching: hook
                        .lifecycle_transition
                        .is_some_and(|transition| transition.ends_with("LAUNCHING")),
                    timeout_s: unsigned(hook.heartbeat_timeout.or(Some(3600))),
                    then: hook.default_result.unwrap_or_else(|| "ABANDON".to_owned()),
                })
                .collect()),
            Err(error) => Err(self.failed(calls::HOOKS, error).await),
        }
    }

    async fn rivals(&self) -> Result<Vec<String>, CloudError> {
        let clients = self.clients().await?;
        let policies: Result<Vec<_>, _> = clients
            .autoscaling
            .describe_policies()
            .auto_scaling_group_name(&self.spec.group)
            .into_paginator()
            .items()
            .send()
            .collect()
            .await;
        let policies = match policies {
            Ok(policies) => policies,
            Err(error) => {
                return Err(self.failed(calls::POLICIES, error).await);
            }
        };
        let actions: Result<Vec<_>, _> = clients
            .autoscaling
            .describe_scheduled_actions()
            .auto_scaling_group_name(&self.spec.group)
            .into_paginator()
            .items()
            .send()
            .collect()
            .await;
        let actions = match actions {
            Ok(actions) => actions,
            Err(error) => {
                let call = calls::SCHEDULED;
                return Err(self.failed(call, error).await);
            }
        };
        let policies = policies
            .into_iter()
            .filter(|policy| policy.enabled.unwrap_or(true))
            .filter_map(|policy| policy.policy_name)
            .map(|name| format!("scaling policy '{name}'"));
        let actions = actions
            .into_iter()
            .filter_map(|action| action.scheduled_action_name)
            .map(|name| format!("scheduled action '{name}'"));
        Ok(policies.chain(actions).collect())
    }

    async fn failed_launches(&self) -> Result<Vec<FailedLaunch>, CloudError> {
        let clients = self.clients().await?;
        // The newest come first, so that one page is enough.
        let request = clients
            .autoscaling
            .describe_scaling_activities()
            .auto_scaling_group_name(&self.spec.group)
            .max_records(ACTIVITIES);
        match request.send().await {
            Ok(answer) => Ok(answer
                .activities
                .unwrap_or_default()
                .into_iter()
                .filter(|activity| activity.status_code == Some(ScalingActivityStatusCode::Failed))
                .filter(|activity| {
                    let what = activity.description.as_deref().unwrap_or_default();
                    !what.starts_with("Terminating")
                })
                .map(|activity| FailedLaunch {
                    at: activity.start_time.map_or(0, |at| at.secs()),
                    reason: activity
                        .status_message
                        .or(activity.description)
                        .unwrap_or_else(|| "AWS gives no reason".to_owned()),
                })
                .collect()),
            Err(error) => Err(self.failed(calls::ACTIVITIES, error).await),
        }
    }
}

fn read_group(group: aws_sdk_autoscaling::types::AutoScalingGroup) -> Group {
    let instances = group.instances.unwrap_or_default();
    let weighed = instances
        .iter()
        .filter_map(|instance| instance.weighted_capacity.as_deref())
        .any(|weight| weight != "1");
    let counted_in = group
        .desired_capacity_type
        .filter(|kind| !kind.is_empty() && kind != "units")
        .or_else(|| weighed.then(|| "weights".to_owned()));
    let members = instances.into_iter().filter_map(|instance| {
        let member = Member {
            life: Life::of(
                instance
                    .lifecycle_state
                    .as_ref()
                    .map_or("unknown", |state| state.as_str()),
            ),
            healthy: instance
                .health_status
                .is_none_or(|health| health.eq_ignore_ascii_case("healthy")),
            protected: instance.protected_from_scale_in.unwrap_or_default(),
        };
        Some((instance.instance_id?, member))
    });
    Group {
        members: members.collect(),
        min: unsigned(group.min_size),
        max: unsigned(group.max_size),
        desired: unsigned(group.desired_capacity),
        suspended: group
            .suspended_processes
            .unwrap_or_default()
            .into_iter()
            .filter_map(|process| process.process_name)
            .collect(),
        traits: Traits {
            status: group.status.filter(|status| !status.is_empty()),
            counted_in,
            capacity_rebalance: group.capacity_rebalance.unwrap_or_default(),
            max_instance_lifetime: group.max_instance_lifetime.map(|seconds| unsigned(Some(seconds))),
        },
    }
}

fn unsigned(number: Option<i32>) -> u32 {
    number
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or_default()
}

fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
