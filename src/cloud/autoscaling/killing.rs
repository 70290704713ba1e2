//! For tests of crashes: ends the process before or after a chosen call to AWS, as `kill -9` does.
//!
//! Built only with debug assertions, so that no release has it.

use std::collections::BTreeMap;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;

use super::api::Api;
use super::group::{Addresses, FailedLaunch, Group, LifecycleHook};
use crate::cloud::CloudError;

/// The environment variable that says when. `before:set_desired:1` is before the first such call
/// since the process started.
const WHEN: &str = "MAPEK_TEST_KILL_AWS";

/// Wraps other calls.
pub struct KillingApi<A> {
    inner: A,
    after: bool,
    call: String,
    count: u32,
    made: AtomicU32,
}

impl<A> KillingApi<A> {
    /// Wraps `inner`, if the environment asks for it.
    ///
    /// # Errors
    ///
    /// `inner` itself, if it does not.
    pub fn around(inner: A) -> Result<Self, A> {
        let Ok(when) = std::env::var(WHEN) else {
            return Err(inner);
        };
        let mut parts = when.split(':');
        let (moment, call, count) = (parts.next(), parts.next(), parts.next());
        let (Some(moment), Some(call), Some(count)) = (moment, call, count.and_then(|c| c.parse().ok()))
        else {
            return Err(inner);
        };
        Ok(Self {
            inner,
            after: moment == "after",
            call: call.to_owned(),
            count,
            made: AtomicU32::new(0),
        })
    }

    async fn made<T>(&self, call: &str, answer: impl Future<Output = T>) -> T {
        let now = call == self.call && self.made.fetch_add(1, Ordering::SeqCst) + 1 == self.count;
        if now && !self.after {
            die();
        }
        let answer = answer.await;
        if now {
            die();
        }
        answer
    }
}

/// Ends the process without cleaning up.
fn die() -> ! {
    let id = process::id().to_string();
    // The signal takes effect at once. If there is no `kill`, abort does not clean up either.
    let _ = process::Command::new("kill").args(["-9", &id]).status();
    process::abort()
}

#[async_trait]
impl<A: Api> Api for KillingApi<A> {
    async fn group(&self) -> Result<Group, CloudError> {
        self.made("group", self.inner.group()).await
    }

    async fn addresses(&self, instances: &[String]) -> Result<BTreeMap<String, Addresses>, CloudError> {
        self.made("addresses", self.inner.addresses(instances)).await
    }

    async fn set_desired(&self, capacity: u32) -> Result<(), CloudError> {
        self.made("set_desired", self.inner.set_desired(capacity)).await
    }

    async fn set_max(&self, max: u32) -> Result<(), CloudError> {
        self.made("set_max", self.inner.set_max(max)).await
    }

    async fn protect(&self, instances: &[String], protected: bool) -> Result<(), CloudError> {
        let call = if protected { "protect" } else { "unprotect" };
        self.made(call, self.inner.protect(instances, protected)).await
    }

    async fn terminate(&self, instance: &str, decrement: bool) -> Result<(), CloudError> {
        self.made("terminate", self.inner.terminate(instance, decrement))
            .await
    }

    async fn hooks(&self) -> Result<Vec<LifecycleHook>, CloudError> {
        self.made("hooks", self.inner.hooks()).await
    }

    async fn rivals(&self) -> Result<Vec<String>, CloudError> {
        self.made("rivals", self.inner.rivals()).await
    }

    async fn failed_launches(&self) -> Result<Vec<FailedLaunch>, CloudError> {
        self.made("failed_launches", self.inner.failed_launches()).await
    }
}
