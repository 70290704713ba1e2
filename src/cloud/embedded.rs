//! The embedded default: this machine's own engine is the one VM.

use std::sync::Arc;

use super::hosts::Hosts;
use crate::engine::Engines;
use crate::model::VmId;
use crate::model::topology::{Host, Infrastructure};

/// The name of the one VM.
pub const LOCALHOST: &str = "localhost";

/// A cloud of one host, `localhost`, whose engine is at `endpoint`.
///
/// Whoever starts the service decides which endpoint that is (`DOCKER_HOST`, or Docker's usual
/// socket): a driver does not read the environment.
#[must_use]
pub fn embedded(endpoint: &str, infrastructure: &Infrastructure, engines: Arc<dyn Engines>) -> Hosts {
    let host = Host {
        name: VmId::new(LOCALHOST),
        docker: endpoint.to_owned(),
        ip: None,
        labels: std::collections::BTreeMap::new(),
        cpu: None,
        mem: None,
        disk_gb: None,
        gpus: None,
    };
    Hosts::new(vec![host], infrastructure, engines)
}
