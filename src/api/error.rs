//! The HTTP status of each error code, in one table.

use actix_web::http::StatusCode;

use crate::fault::Code;

/// The HTTP status that a code is answered with.
#[must_use]
pub const fn status(code: Code) -> StatusCode {
    match code {
        Code::JsonUnreadable | Code::RequestInvalid => StatusCode::BAD_REQUEST,
        Code::Unauthorized => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Code::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Code::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::TopologyMissing
        | Code::ExecutionRunning
        | Code::ExecutionEnded
        | Code::InUse
        | Code::Conflict
        | Code::PlanMoved
        | Code::PlanUnknown
        | Code::NameTaken
        | Code::PortTaken
        | Code::Cancelled => StatusCode::CONFLICT,
        Code::TopologyInvalid
        | Code::PlanInvalid
        | Code::AllocationInvalid
        | Code::Infeasible
        | Code::ShapeTooLarge
        | Code::HookMissing
        | Code::KeyReused
        | Code::CloudMisconfigured => StatusCode::UNPROCESSABLE_ENTITY,
        Code::HooksUnavailable
        | Code::HookFailed
        | Code::ImageUnavailable
        | Code::EngineUnreachable
        | Code::EngineRefused
        | Code::ContainerUnhealthy
        | Code::LimitsMismatch
        | Code::CloudUnreachable
        | Code::CloudRefused
        | Code::CloudCapacity => StatusCode::BAD_GATEWAY,
        Code::Undecided | Code::HookTimeout | Code::EngineTimeout | Code::CloudTimeout => {
            StatusCode::GATEWAY_TIMEOUT
        }
        Code::Overloaded | Code::Stopping | Code::JournalUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
