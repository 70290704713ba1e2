//! What a person is told when something can't be done: a code, a sentence, details.

use std::fmt;

use serde_json::Value;

/// Every code that an answer or a record can carry. The HTTP status of each is the API's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The body is not JSON.
    JsonUnreadable,
    /// There is no such path, execution or VM.
    NotFound,
    /// The path does not take this method.
    MethodNotAllowed,
    /// The body is larger than the service takes.
    BodyTooLarge,
    /// The topology makes no sense.
    TopologyInvalid,
    /// The plan makes no sense for the topology.
    PlanInvalid,
    /// The allocation given to solve makes no sense.
    AllocationInvalid,
    /// A request's option makes no sense.
    RequestInvalid,
    /// No topology was put yet.
    TopologyMissing,
    /// No placement can satisfy the plan.
    Infeasible,
    /// No placement was found before the deadline, and none was proven impossible.
    Undecided,
    /// An execution is running.
    ExecutionRunning,
    /// The execution has ended.
    ExecutionEnded,
    /// An Idempotency-Key came with another request before.
    KeyReused,
    /// The topology would drop or change what containers still use.
    InUse,
    /// What was planned on has changed meanwhile.
    Conflict,
    /// A container that mapek did not make has the name.
    NameTaken,
    /// A container that mapek did not make publishes the port.
    PortTaken,
    /// The machine has less than the topology says.
    ShapeTooLarge,
    /// A hook that the topology names is not in the repository.
    HookMissing,
    /// The hooks can't be fetched.
    HooksUnavailable,
    /// A hook ended badly.
    HookFailed,
    /// A hook did not end in time.
    HookTimeout,
    /// The image can't be had.
    ImageUnavailable,
    /// An engine can't be reached.
    EngineUnreachable,
    /// An engine did not answer in time.
    EngineTimeout,
    /// An engine said no.
    EngineRefused,
    /// A container did not stay up or did not become healthy.
    ContainerUnhealthy,
    /// An engine reports other limits than were asked for.
    LimitsMismatch,
    /// The cloud can't be reached.
    CloudUnreachable,
    /// The cloud did not answer in time.
    CloudTimeout,
    /// The cloud said no.
    CloudRefused,
    /// The topology's cloud driver can't be used as it is set up.
    CloudMisconfigured,
    /// This build has no driver for the cloud.
    CloudUnsupported,
    /// Somebody cancelled the execution.
    Cancelled,
    /// The service is stopping.
    Stopping,
    /// The record can't be written or read.
    JournalUnavailable,
    /// A defect of mapek.
    Internal,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 38] = [
        Self::JsonUnreadable,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::BodyTooLarge,
        Self::TopologyInvalid,
        Self::PlanInvalid,
        Self::AllocationInvalid,
        Self::RequestInvalid,
        Self::TopologyMissing,
        Self::Infeasible,
        Self::Undecided,
        Self::ExecutionRunning,
        Self::ExecutionEnded,
        Self::KeyReused,
        Self::InUse,
        Self::Conflict,
        Self::NameTaken,
        Self::PortTaken,
        Self::ShapeTooLarge,
        Self::HookMissing,
        Self::HooksUnavailable,
        Self::HookFailed,
        Self::HookTimeout,
        Self::ImageUnavailable,
        Self::EngineUnreachable,
        Self::EngineTimeout,
        Self::EngineRefused,
        Self::ContainerUnhealthy,
        Self::LimitsMismatch,
        Self::CloudUnreachable,
        Self::CloudTimeout,
        Self::CloudRefused,
        Self::CloudMisconfigured,
        Self::CloudUnsupported,
        Self::Cancelled,
        Self::Stopping,
        Self::JournalUnavailable,
        Self::Internal,
    ];

    /// From its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// As in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JsonUnreadable => "json_unreadable",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BodyTooLarge => "body_too_large",
            Self::TopologyInvalid => "topology_invalid",
            Self::PlanInvalid => "plan_invalid",
            Self::AllocationInvalid => "allocation_invalid",
            Self::RequestInvalid => "request_invalid",
            Self::TopologyMissing => "topology_missing",
            Self::Infeasible => "infeasible",
            Self::Undecided => "undecided",
            Self::ExecutionRunning => "execution_running",
            Self::ExecutionEnded => "execution_ended",
            Self::KeyReused => "key_reused",
            Self::InUse => "in_use",
            Self::Conflict => "conflict",
            Self::NameTaken => "name_taken",
            Self::PortTaken => "port_taken",
            Self::ShapeTooLarge => "shape_too_large",
            Self::HookMissing => "hook_missing",
            Self::HooksUnavailable => "hooks_unavailable",
            Self::HookFailed => "hook_failed",
            Self::HookTimeout => "hook_timeout",
            Self::ImageUnavailable => "image_unavailable",
            Self::EngineUnreachable => "engine_unreachable",
            Self::EngineTimeout => "engine_timeout",
            Self::EngineRefused => "engine_refused",
            Self::ContainerUnhealthy => "container_unhealthy",
            Self::LimitsMismatch => "limits_mismatch",
            Self::CloudUnreachable => "cloud_unreachable",
            Self::CloudTimeout => "cloud_timeout",
            Self::CloudRefused => "cloud_refused",
            Self::CloudMisconfigured => "cloud_misconfigured",
            Self::CloudUnsupported => "cloud_unsupported",
            Self::Cancelled => "cancelled",
            Self::Stopping => "stopping",
            Self::JournalUnavailable => "journal_unavailable",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Why something can't be done.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// Which kind.
    pub code: Code,
    /// A sentence that a person can act on.
    pub message: String,
    /// Particulars: problems with paths, reasons, the id of an execution.
    pub details: Vec<Value>,
}

impl Fault {
    /// Without details.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: Vec::new(),
        }
    }

    /// With details.
    #[must_use]
    pub fn with(mut self, details: impl IntoIterator<Item = Value>) -> Self {
        self.details.extend(details);
        self
    }
}

/// An error with everything that caused it, in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_listed_once_and_read_back_from_its_name() {
        for (index, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(Code::parse(code.as_str()), Some(code));
            assert_eq!(Code::ALL.iter().position(|other| *other == code), Some(index));
        }
        assert_eq!(Code::parse("no_such_code"), None);
    }
}
