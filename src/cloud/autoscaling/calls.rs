//! The calls to AWS that the driver makes, by name. Errors, metrics and the IAM policy in
//! `docs/aws.md` use these names. Pure.

use crate::engine::Effect;

/// A call, with what its errors depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The action as IAM names it.
    pub action: &'static str,
    /// It changes something.
    pub changes: bool,
}

/// The group.
pub const GROUP: Call = Call::read("autoscaling:DescribeAutoScalingGroups");
/// Its lifecycle hooks.
pub const HOOKS: Call = Call::read("autoscaling:DescribeLifecycleHooks");
/// Its scaling policies.
pub const POLICIES: Call = Call::read("autoscaling:DescribePolicies");
/// Its scheduled actions.
pub const SCHEDULED: Call = Call::read("autoscaling:DescribeScheduledActions");
/// Its recent activities.
pub const ACTIVITIES: Call = Call::read("autoscaling:DescribeScalingActivities");
/// Addresses of instances.
pub const INSTANCES: Call = Call::read("ec2:DescribeInstances");
/// How many instances there should be.
pub const SET_DESIRED: Call = Call::change("autoscaling:SetDesiredCapacity");
/// Which instances AWS must not take away.
pub const PROTECT: Call = Call::change("autoscaling:SetInstanceProtection");
/// Terminates an instance.
pub const TERMINATE: Call = Call::change("autoscaling:TerminateInstanceInAutoScalingGroup");
/// Sets MaxSize, if that is managed.
pub const SET_MAX: Call = Call::change("autoscaling:UpdateAutoScalingGroup");

/// All of them.
pub const ALL: [Call; 10] = [
    GROUP,
    HOOKS,
    POLICIES,
    SCHEDULED,
    ACTIVITIES,
    INSTANCES,
    SET_DESIRED,
    PROTECT,
    TERMINATE,
    SET_MAX,
];

impl Call {
    const fn read(action: &'static str) -> Self {
        Self {
            action,
            changes: false,
        }
    }

    const fn change(action: &'static str) -> Self {
        Self {
            action,
            changes: true,
        }
    }

    /// Service and name of the call that the SDK names so; "other" if it is none of these.
    #[must_use]
    pub fn named(operation: &str) -> (&'static str, &'static str) {
        ALL.iter()
            .filter_map(|call| call.action.split_once(':'))
            .find(|(_, name)| *name == operation)
            .unwrap_or(("aws", "other"))
    }

    /// Whether the effect may have happened although no answer came.
    #[must_use]
    pub const fn unknown(self) -> Effect {
        if self.changes {
            Effect::Unknown
        } else {
            Effect::None
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    const DOCS: &str = include_str!("../../../docs/aws.md");

    #[test]
    fn a_call_is_found_by_the_name_that_the_sdk_has_for_it() {
        assert_eq!(
            Call::named("SetDesiredCapacity"),
            ("autoscaling", "SetDesiredCapacity")
        );
        assert_eq!(Call::named("DescribeInstances"), ("ec2", "DescribeInstances"));
        assert_eq!(Call::named("RunInstances"), ("aws", "other"));
    }

    /// The JSON block of the section on rights.
    fn policy() -> Value {
        let rights = DOCS.split("\n## Rights\n").nth(1).expect("a section on rights");
        let block = rights
            .split("```json\n")
            .nth(1)
            .and_then(|rest| rest.split("```").next());
        serde_json::from_str(block.expect("a policy")).expect("JSON")
    }

    #[test]
    fn the_policy_in_the_docs_allows_what_is_called_and_nothing_else() {
        let mut allowed: BTreeSet<String> = BTreeSet::new();
        for statement in policy().get("Statement").and_then(Value::as_array).unwrap() {
            let everywhere = statement.get("Resource").and_then(Value::as_str) == Some("*");
            assert_eq!(statement.get("Effect").and_then(Value::as_str), Some("Allow"));
            for action in statement.get("Action").and_then(Value::as_array).unwrap() {
                let action = action.as_str().unwrap();
                let call = ALL.iter().find(|call| call.action == action);
                let call = call.unwrap_or_else(|| panic!("{action} is allowed and never called"));
                assert_eq!(
                    everywhere, !call.changes,
                    "{action}: what changes is bound to the group"
                );
                assert!(allowed.insert(action.to_owned()), "{action} is there twice");
            }
        }
        // Needed only with `manage_max_size`, and mentioned below the policy.
        let beside: BTreeSet<String> = ALL
            .iter()
            .map(|call| call.action.to_owned())
            .filter(|action| !allowed.contains(action))
            .collect();
        assert_eq!(beside, [SET_MAX.action.to_owned()].into());
        assert!(DOCS.contains(&format!(
            "With `manage_max_size`, `{}` on the group as well",
            SET_MAX.action
        )));
        // The page also says what each call costs.
        let costs = DOCS.split("\n## Calls and what they cost\n").nth(1).unwrap();
        let costs = costs.split("\n## ").next().unwrap();
        for call in ALL {
            let (_, name) = call.action.split_once(':').unwrap();
            assert!(
                costs.contains(&format!("`{name}`")),
                "{name} is not among the costs"
            );
        }
    }
}
