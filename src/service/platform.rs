//! What the service needs from the outside world; the composition root provides it.

use std::sync::Arc;

use async_trait::async_trait;

use crate::cloud::Cloud;
use crate::engine::Engines;
use crate::fault::Fault;
use crate::hooks::HookSet;
use crate::model::Topology;

/// The outside world of the service.
#[async_trait]
pub trait Platform: Send + Sync {
    /// The driver for a topology's cloud.
    ///
    /// # Errors
    ///
    /// When there is no such driver, or it can't be set up as the topology says.
    fn cloud(&self, topology: &Topology) -> Result<Arc<dyn Cloud>, Fault>;

    /// What runs containers.
    fn engines(&self) -> Arc<dyn Engines>;

    /// Checks whether machines that exist from the start have what the topology says about them.
    ///
    /// # Errors
    ///
    /// When one certainly has less ([`crate::fault::Code::ShapeTooLarge`]), or can't be asked.
    async fn check_machines(&self, topology: &Topology) -> Result<(), Fault>;

    /// Fetches the hooks that a topology names; None if it names no repository.
    ///
    /// # Errors
    ///
    /// When they can't be had.
    async fn hooks(&self, topology: &Topology) -> Result<Option<Arc<HookSet>>, Fault>;
}
