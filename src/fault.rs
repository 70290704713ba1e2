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
    /// What a sealed plan was shown on has moved.
    PlanMoved,
    /// There is no sealed plan of that id, or it was dropped for newer ones.
    PlanUnknown,
    /// The topology is not the one that `If-Match` names.
    PreconditionFailed,
    /// There is no token, or it is none of those that the service knows.
    Unauthorized,
    /// The token's role is not enough, or a browser sent the request for another site.
    Forbidden,
    /// More is asked at once than the service takes on.
    Overloaded,
    /// The body did not come in time.
    RequestTimeout,
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
    /// The cloud has no more VMs to give at the time.
    CloudCapacity,
    /// The topology's cloud driver can't be used as it is set up.
    CloudMisconfigured,
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
    pub const ALL: [Self; 45] = [
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
        Self::PlanMoved,
        Self::PlanUnknown,
        Self::PreconditionFailed,
        Self::Unauthorized,
        Self::Forbidden,
        Self::Overloaded,
        Self::RequestTimeout,
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
        Self::CloudCapacity,
        Self::CloudMisconfigured,
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
            Self::PlanMoved => "plan_moved",
            Self::PlanUnknown => "plan_unknown",
            Self::PreconditionFailed => "precondition_failed",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Overloaded => "overloaded",
            Self::RequestTimeout => "request_timeout",
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
            Self::CloudCapacity => "cloud_capacity",
            Self::CloudMisconfigured => "cloud_misconfigured",
            Self::Cancelled => "cancelled",
            Self::Stopping => "stopping",
            Self::JournalUnavailable => "journal_unavailable",
            Self::Internal => "internal",
        }
    }
}

/// What people are told of codes, in docs/errors.md and openapi.json.
impl Code {
    /// What it means.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::JsonUnreadable => "The body is not JSON, is empty, or is nested deeper than 127 levels.",
            Self::NotFound => "There is no such path or execution.",
            Self::MethodNotAllowed => "The path does not take this method.",
            Self::BodyTooLarge => "The body is larger than the service takes.",
            Self::TopologyInvalid => "The topology makes no sense.",
            Self::PlanInvalid => "The plan makes no sense for the topology.",
            Self::AllocationInvalid => "The allocation given to solve makes no sense.",
            Self::RequestInvalid => "A header, a query or an option of the request makes no sense.",
            Self::TopologyMissing => "No topology was put yet.",
            Self::Infeasible => {
                "No placement can satisfy the plan; every reason that can be named is in `details`, with the smallest change that would help."
            }
            Self::Undecided => "No placement was found before the deadline, and none was proven impossible.",
            Self::ExecutionRunning => "An execution is running; its id is in `details`.",
            Self::ExecutionEnded => "The execution has ended already.",
            Self::KeyReused => "The `Idempotency-Key` came with another request before.",
            Self::InUse => "The topology would drop or change what containers still use.",
            Self::Conflict => "What was planned on changed while the plan was worked out.",
            Self::PlanMoved => {
                "What a sealed plan was shown on has moved since; `details` has what was and what is."
            }
            Self::PlanUnknown => {
                "There is no sealed plan of that id: it was never shown here, or newer ones took its place."
            }
            Self::PreconditionFailed => "The topology is not the one that `If-Match` names.",
            Self::Unauthorized => "There is no token, or it is none of those that the service knows.",
            Self::Forbidden => {
                "The token's role is not enough, or a web page of another site sent the request."
            }
            Self::Overloaded => "More is asked at once than the service takes on.",
            Self::RequestTimeout => "The body did not come in time.",
            Self::NameTaken => "A container that mapek did not make has the name.",
            Self::PortTaken => "A container that mapek did not make publishes the port.",
            Self::ShapeTooLarge => "The machine has less than the topology says.",
            Self::HookMissing => "A hook that the topology names is not in the repository.",
            Self::HooksUnavailable => "The hooks repository can't be fetched.",
            Self::HookFailed => {
                "A hook ended with another exit code than 0, or could not be started; its output is in `details`."
            }
            Self::HookTimeout => "A hook did not end in time.",
            Self::ImageUnavailable => "The image is not on the machine and can't be pulled.",
            Self::EngineUnreachable => "An engine can't be reached, or does not answer as an engine does.",
            Self::EngineTimeout => "An engine did not answer in time.",
            Self::EngineRefused => "An engine refused what was asked.",
            Self::ContainerUnhealthy => "A container did not stay up, or did not become healthy.",
            Self::LimitsMismatch => "An engine reports other limits than were asked for.",
            Self::CloudUnreachable => "The cloud can't be reached.",
            Self::CloudTimeout => "The cloud did not answer, or did not make a VM, in time.",
            Self::CloudRefused => "The cloud refused what was asked.",
            Self::CloudCapacity => "The cloud has no more VMs to give at the time.",
            Self::CloudMisconfigured => {
                "The topology's cloud driver, or an engine's endpoint, can't be used as it is set up."
            }
            Self::Cancelled => "Somebody cancelled the execution; what was done is kept.",
            Self::Stopping => "The service is stopping.",
            Self::JournalUnavailable => "The record can't be written or read, so nothing is begun.",
            Self::Internal => "A defect of mapek.",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::JsonUnreadable => "Mend the JSON at the line and column that the error names.",
            Self::NotFound => "Look the path up in `/docs`, the id in `GET /api/executions`.",
            Self::MethodNotAllowed => "Use one of those in the `Allow` header.",
            Self::BodyTooLarge => "Send less, or raise `--max-body-bytes`.",
            Self::TopologyInvalid => "Mend every place that `details` names; nothing was changed.",
            Self::PlanInvalid => "Mend every place that `details` names; nothing was changed.",
            Self::AllocationInvalid => "Mend every place that `details` names.",
            Self::RequestInvalid => "Mend what the error names.",
            Self::TopologyMissing => "Put one to `/api/topology` first.",
            Self::Infeasible => "Change the plan or the topology so.",
            Self::Undecided => "Ask again with a longer `deadline_ms`, or raise `--solve-deadline-ms`.",
            Self::ExecutionRunning => "Wait for it, or cancel it.",
            Self::ExecutionEnded => "Nothing needs to be done.",
            Self::KeyReused => "Use a new key for a new request.",
            Self::InUse => "Execute a plan without them first.",
            Self::Conflict => "Send the request again.",
            Self::PlanMoved => "Translate the plan again and look at what it does now.",
            Self::PlanUnknown => "Translate the plan again and execute the new `plan_id`.",
            Self::PreconditionFailed => "Get the topology again and put your changes into it.",
            Self::Unauthorized => "Send `Authorization: Bearer TOKEN`.",
            Self::Forbidden => {
                "Use a token with the role that the error names; let the site in with `--cors-origin`."
            }
            Self::Overloaded => "Ask again after `Retry-After` seconds.",
            Self::RequestTimeout => "Send it faster, or raise `--request-timeout-s`.",
            Self::NameTaken => "Rename or remove it, or rename the tier.",
            Self::PortTaken => "Stop it, or publish another port.",
            Self::ShapeTooLarge => "Lower `cpu_cores` or `mem_units` of the infrastructure.",
            Self::HookMissing => "Add the file, or mend its name or `hooks_ref`.",
            Self::HooksUnavailable => "Check its address and that the service may read it.",
            Self::HookFailed => "Mend the hook, and execute again.",
            Self::HookTimeout => "Mend the hook, or raise `--hook-deadline-s`.",
            Self::ImageUnavailable => "Check its name, and that the engine reaches its registry.",
            Self::EngineUnreachable => "Check that it runs, and its endpoint in the topology.",
            Self::EngineTimeout => "See what keeps it busy; raise `--engine-timeout-s` where it is slow.",
            Self::EngineRefused => "Mend what its words, in the error, say.",
            Self::ContainerUnhealthy => "Read its log with `docker logs`; it is kept for that.",
            Self::LimitsMismatch => "Check that its kernel and version support them.",
            Self::CloudUnreachable => "Check the network and `endpoint_url`.",
            Self::CloudTimeout => "Ask again; raise `ready_timeout_s` where VMs start slowly.",
            Self::CloudRefused => "Mend what its words, in the error, say.",
            Self::CloudCapacity => "Try later, ask for less, or let the group use other types of VMs.",
            Self::CloudMisconfigured => "Mend what the error names in the topology.",
            Self::Cancelled => "Execute a plan to go on.",
            Self::Stopping => "Ask again when it has started.",
            Self::JournalUnavailable => {
                "Make room on the disk of the data folder, and see that it may be written."
            }
            Self::Internal => "Report it with the log lines of the request's id.",
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
