//! Errors of drivers, as what a person is told.

use crate::cloud::{CloudError, CloudErrorKind};
use crate::engine::{EngineError, EngineErrorKind};
use crate::fault::{Code, Fault, chain};
use crate::hooks::{FetchError, HookError};

impl From<EngineError> for Fault {
    fn from(error: EngineError) -> Self {
        let code = match error.kind {
            EngineErrorKind::Misconfigured => Code::CloudMisconfigured,
            EngineErrorKind::Unreachable | EngineErrorKind::Garbled => Code::EngineUnreachable,
            EngineErrorKind::TimedOut => Code::EngineTimeout,
            EngineErrorKind::Foreign => Code::NameTaken,
            EngineErrorKind::Image => Code::ImageUnavailable,
            EngineErrorKind::Secret => Code::SecretUnavailable,
            EngineErrorKind::Refused | EngineErrorKind::Failing | EngineErrorKind::Missing => {
                Code::EngineRefused
            }
            EngineErrorKind::Unhealthy | EngineErrorKind::Down => Code::ContainerUnhealthy,
            EngineErrorKind::Mismatch => Code::LimitsMismatch,
            EngineErrorKind::InUse => Code::MemoryInUse,
        };
        Self::new(code, chain(&error))
    }
}

impl From<CloudError> for Fault {
    fn from(error: CloudError) -> Self {
        let code = match error.kind {
            CloudErrorKind::Misconfigured => Code::CloudMisconfigured,
            CloudErrorKind::Unreachable => Code::CloudUnreachable,
            CloudErrorKind::TimedOut | CloudErrorKind::NeverReady => Code::CloudTimeout,
            CloudErrorKind::Refused | CloudErrorKind::Failing => Code::CloudRefused,
            CloudErrorKind::Exhausted => Code::CloudCapacity,
            CloudErrorKind::Cancelled => Code::Cancelled,
        };
        Self::new(code, chain(&error))
    }
}

impl From<HookError> for Fault {
    fn from(error: HookError) -> Self {
        let message = chain(&error);
        let code = match error {
            HookError::Deliver { source, .. } | HookError::Engine { source, .. } => Self::from(source).code,
            HookError::Archive { .. } => Code::Internal,
            HookError::Unrecorded { .. } => Code::JournalUnavailable,
            HookError::Failed { .. } | HookError::Lost { .. } | HookError::TooLong { .. } => Code::HookFailed,
            HookError::TimedOut { .. } => Code::HookTimeout,
        };
        Self::new(code, message)
    }
}

impl From<FetchError> for Fault {
    fn from(error: FetchError) -> Self {
        let code = match error {
            FetchError::Unreadable { .. } | FetchError::TimedOut { .. } => Code::HooksUnavailable,
            FetchError::Untrusted { .. } => Code::HooksUntrusted,
            FetchError::NoSuchReference { .. } | FetchError::Unusable { .. } => Code::HookMissing,
        };
        Self::new(code, chain(&error))
    }
}
