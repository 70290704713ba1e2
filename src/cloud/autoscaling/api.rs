//! The calls that the driver makes to AWS: what they do, not how.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::group::{Addresses, FailedLaunch, Group, LifecycleHook};
use crate::cloud::CloudError;

/// Calls about one group. Each is one request, or one for each page.
#[async_trait]
pub trait Api: Send + Sync {
    /// `autoscaling:DescribeAutoScalingGroups`.
    async fn group(&self) -> Result<Group, CloudError>;

    /// `ec2:DescribeInstances`, for these instances only. One that EC2 does not know yet is left
    /// out.
    async fn addresses(&self, instances: &[String]) -> Result<BTreeMap<String, Addresses>, CloudError>;

    /// `autoscaling:SetDesiredCapacity`.
    async fn set_desired(&self, capacity: u32) -> Result<(), CloudError>;

    /// `autoscaling:UpdateAutoScalingGroup`, for MaxSize only.
    async fn set_max(&self, max: u32) -> Result<(), CloudError>;

    /// `autoscaling:SetInstanceProtection`.
    async fn protect(&self, instances: &[String], protected: bool) -> Result<(), CloudError>;

    /// `autoscaling:TerminateInstanceInAutoScalingGroup`.
    async fn terminate(&self, instance: &str, decrement: bool) -> Result<(), CloudError>;

    /// `autoscaling:DescribeLifecycleHooks`.
    async fn hooks(&self) -> Result<Vec<LifecycleHook>, CloudError>;

    /// `autoscaling:DescribePolicies` and `autoscaling:DescribeScheduledActions`.
    async fn rivals(&self) -> Result<Vec<String>, CloudError>;

    /// `autoscaling:DescribeScalingActivities`: recent launches that failed, the newest first.
    async fn failed_launches(&self) -> Result<Vec<FailedLaunch>, CloudError>;
}
