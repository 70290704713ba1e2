//! Measures what is sent to AWS: every attempt is counted, so that throttling shows.

use std::sync::{Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};

use super::calls::Call;
use crate::meter::{CallOutcome, Calls, Pending};

/// Watches the SDK make its calls.
#[derive(Clone, Debug)]
pub struct Measure(pub Calls);

/// The attempt that is under way.
#[derive(Debug)]
struct Begun(Mutex<Option<Pending>>);

impl Storable for Begun {
    type Storer = StoreReplace<Self>;
}

#[dyn_dispatch_hint]
impl Intercept for Measure {
    fn name(&self) -> &'static str {
        "Measure"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (service, call) = Call::named(cfg.load::<Metadata>().map_or("", Metadata::name));
        let begun = Begun(Mutex::new(Some(self.0.begin(service, call))));
        cfg.interceptor_state().store_put(begun);
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let pending = cfg
            .load::<Begun>()
            .and_then(|begun| begun.0.lock().unwrap_or_else(PoisonError::into_inner).take());
        let Some(pending) = pending else { return Ok(()) };
        let late = || matches!(context.output_or_error(), Some(Err(error)) if error.is_timeout_error());
        match context.response() {
            Some(response) => pending.end(CallOutcome::of_status(response.status().as_u16())),
            // When dropped, it counts as given up.
            None if late() => drop(pending),
            None => pending.end(CallOutcome::Failed),
        }
        Ok(())
    }
}
