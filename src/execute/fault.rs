//! Errors of drivers, as what a person is told.

use crate::cloud::{CloudError, CloudErrorKind};
use crate::engine::{EngineError, EngineErrorKind};
use crate::fault::{Code, Fault, chain};

impl From<EngineError> for Fault {
    fn from(error: EngineError) -> Self {
        let code = match error.kind {
            EngineErrorKind::Misconfigured => Code::CloudMisconfigured,
            EngineErrorKind::Unreachable | EngineErrorKind::Garbled => Code::EngineUnreachable,
            EngineErrorKind::TimedOut => Code::EngineTimeout,
            EngineErrorKind::Foreign => Code::NameTaken,
            EngineErrorKind::Image => Code::ImageUnavailable,
            EngineErrorKind::Refused | EngineErrorKind::Missing => Code::EngineRefused,
            EngineErrorKind::Unhealthy => Code::ContainerUnhealthy,
            EngineErrorKind::Mismatch => Code::LimitsMismatch,
        };
        Self::new(code, chain(&error))
    }
}

impl From<CloudError> for Fault {
    fn from(error: CloudError) -> Self {
        let code = match error.kind {
            CloudErrorKind::Misconfigured => Code::CloudMisconfigured,
            CloudErrorKind::Unreachable => Code::CloudUnreachable,
            CloudErrorKind::TimedOut => Code::CloudTimeout,
            CloudErrorKind::Refused => Code::CloudRefused,
        };
        Self::new(code, chain(&error))
    }
}
