//! Looks at VMs: which engines they have, and what these run.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use crate::cloud::{CloudVm, check_shape};
use crate::engine::{Engine, EngineError, EngineErrorKind, Machine, Observed};
use crate::fault::{Code, Fault};
use crate::model::Topology;

use crate::service::Service;

/// How many VMs are looked at at the same time.
pub(super) const AT_ONCE: usize = 64;

/// How long a VM that nothing is on is waited for.
pub(in crate::service) const PATIENCE: Duration = Duration::from_secs(5);

/// The pause after a look that failed.
const BEFORE_THE_SECOND_LOOK: Duration = Duration::from_millis(100);

/// Why a VM is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The allocation has it.
    Used,
    /// A member of a group on which nothing was put yet.
    Idle,
    /// It could be taken into use.
    Spare,
    /// It can't be relied on, so it is not taken into use. What it runs that nobody wants there is removed.
    Shunned,
}

/// What the engine of one VM reported.
pub(in crate::service) struct Look {
    pub vm: CloudVm,
    pub(super) role: Role,
    pub result: Result<(Machine, Vec<Observed>), Fault>,
}

impl Service {
    pub(super) async fn look_at(
        &self,
        topology: &Arc<Topology>,
        vms: Vec<(CloudVm, Role)>,
    ) -> Result<Vec<Look>, Fault> {
        let engines = self.inner.platform.engines();
        let topology = Arc::clone(topology);
        let looks = async move {
            let infrastructure = &topology.infrastructure;
            let looks = vms.into_iter().map(|(vm, role)| {
                let engine = engines.at(&vm.endpoint, infrastructure.docker.tls.as_ref());
                async move {
                    let look = async {
                        let engine = engine.map_err(Fault::from)?;
                        match role {
                            Role::Used => look(engine.as_ref()).await,
                            Role::Shunned => look(engine.as_ref()).await,
                            Role::Idle | Role::Spare => {
                                // One that is late is asked again, too; `PATIENCE` limits both.
                                let (machine, seen) =
                                    look_again(engine.as_ref(), EngineError::may_pass).await?;
                                check_shape(
                                    &machine,
                                    infrastructure.size_of(&vm.name),
                                    infrastructure.mem_unit_mb,
                                )
                                .map_err(|problem| Fault::new(Code::ShapeTooLarge, problem))?;
                                Ok((machine, seen))
                            }
                        }
                    };
                    let result = match role {
                        Role::Used => look.await,
                        Role::Idle | Role::Spare | Role::Shunned => {
                            let late = || Fault::new(Code::EngineTimeout, late());
                            let look = tokio::time::timeout(PATIENCE, look).await;
                            look.unwrap_or_else(|_| Err(late()))
                        }
                    };
                    Look { vm, role, result }
                }
            });
            Ok(stream::iter(looks).buffered(AT_ONCE).collect().await)
        };
        self.to_the_end(looks).await
    }
}

fn late() -> String {
    format!("no answer within {} s", PATIENCE.as_secs())
}

/// The VM's engine and what it runs. The caller waits for the answer: one that is late is not asked
/// again.
pub(in crate::service) async fn look(engine: &dyn Engine) -> Result<(Machine, Vec<Observed>), Fault> {
    let passes = |error: &EngineError| error.may_pass() && error.kind != EngineErrorKind::TimedOut;
    Ok(look_again(engine, passes).await?)
}

/// Asks an engine what it is and what it runs, and once more after a failure that `passes`: one
/// broken connection is no reason to refuse a plan.
async fn look_again(
    engine: &dyn Engine,
    passes: impl Fn(&EngineError) -> bool,
) -> Result<(Machine, Vec<Observed>), EngineError> {
    let ask = || futures_util::future::try_join(engine.machine(), engine.observe());
    match ask().await {
        Err(error) if passes(&error) => {
            tracing::debug!(%error, "looking once more");
            tokio::time::sleep(BEFORE_THE_SECOND_LOOK).await;
            ask().await
        }
        looked => looked,
    }
}
