//! What the service needs of the world around it; the composition root provides it.

use std::sync::Arc;

use async_trait::async_trait;

use crate::cloud::Cloud;
use crate::engine::Engines;
use crate::fault::Fault;
use crate::hooks::HookSet;
use crate::model::Topology;

/// The world around the service.
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

    /// Whether machines that are there from the start have what the topology says of them.
    ///
    /// # Errors
    ///
    /// When one surely has less ([`crate::fault::Code::ShapeTooLarge`]), or can't be asked.
    async fn check_machines(&self, topology: &Topology) -> Result<(), Fault>;

    /// Fetches the hooks that a topology names; None where it names no repository.
    ///
    /// # Errors
    ///
    /// When they can't be had.
    async fn hooks(&self, topology: &Topology) -> Result<Option<Arc<HookSet>>, Fault>;
}
