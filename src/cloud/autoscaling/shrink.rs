//! Scaling in: exactly the instance that is empty is terminated, and no other.

use std::time::Duration;

use super::AutoScalingGroup;
use super::errors::{error, refused};
use super::group::{Group, Life};
use crate::cloud::{CloudError, CloudErrorKind};
use crate::engine::{Effect, Observed};
use crate::model::VmId;

impl AutoScalingGroup {
    pub(super) async fn shrink(&self, name: &VmId) -> Result<(), CloudError> {
        // One after the other, because each lowers the desired capacity, and MinSize limits that.
        let _resizing = self.resizing.lock().await;
        let group = self.look(Duration::ZERO).await?;
        let Some(member) = group
            .members
            .get(name.as_str())
            .filter(|member| !matches!(member.life, Life::Leaving(_)))
        else {
            return Ok(());
        };
        self.check_empty(name, member.healthy).await?;
        self.check_min(name, &group)?;
        let id = name.as_str().to_owned();
        if member.protected {
            self.api.protect(std::slice::from_ref(&id), false).await?;
        }
        let terminated = self.api.terminate(&id, true).await;
        self.forget().await;
        self.lock_kept().remove(&id);
        match terminated {
            // Somebody else may have done it first.
            Err(error) if error.kind == CloudErrorKind::Refused => {
                let group = self.look(Duration::ZERO).await?;
                let there = group.members.get(&id).map(|member| &member.life);
                match there {
                    None | Some(Life::Leaving(_)) => Ok(()),
                    Some(_) => Err(error),
                }
            }
            other => other,
        }
    }

    fn check_min(&self, name: &VmId, group: &Group) -> Result<(), CloudError> {
        if group.removable() > 0 {
            return Ok(());
        }
        Err(refused(format!(
            "'{name}' is empty and kept: group '{}' has MinSize {} and no more instances than that; lower MinSize to \
             let it go",
            self.spec.group, group.min
        )))
    }

    /// Refuses if the instance has containers that any `mapek` made, this one or another, or if
    /// that can't be seen.
    async fn check_empty(&self, name: &VmId, healthy: bool) -> Result<(), CloudError> {
        let id = name.as_str().to_owned();
        let places = self.places(std::slice::from_ref(&id)).await?;
        let endpoint = places
            .get(&id)
            .and_then(|addresses| addresses.fill(&self.template, &id));
        let seen = match endpoint.map(|endpoint| self.engines.at(&endpoint, self.tls.as_ref())) {
            Some(Ok(engine)) => engine.observe().await.map_err(|error| error.to_string()),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("it has no address".to_owned()),
        };
        let left: Vec<String> = match seen {
            Ok(seen) => seen
                .into_iter()
                .filter(Observed::by_mapek)
                .map(|container| container.name)
                .collect(),
            // AWS is going to take it away in any case.
            Err(_) if !healthy => return Ok(()),
            Err(problem) => {
                let message = format!(
                    "'{name}' is not terminated, since it can't be seen whether it is empty: {problem}; make its \
                     engine answer, or terminate it by hand"
                );
                return Err(error(CloudErrorKind::Unreachable, Effect::None, message));
            }
        };
        if left.is_empty() {
            return Ok(());
        }
        Err(refused(format!(
            "'{name}' can't be terminated: containers that mapek made are still on it: {}",
            left.join(", ")
        )))
    }
}
