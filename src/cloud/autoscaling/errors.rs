//! Turns AWS's refusals into what a person is told: what happened, whether the effect may have
//! happened, what to do. The table is pure.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_autoscaling::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::calls::Call;
use crate::cloud::{CloudError, CloudErrorKind};
use crate::engine::Effect;

/// The cloud can't do this, and nothing was done.
#[must_use]
pub fn refused(message: String) -> CloudError {
    error(CloudErrorKind::Refused, Effect::None, message)
}

/// The topology or the service is set up wrongly, and nothing was done.
#[must_use]
pub fn misconfigured(message: String) -> CloudError {
    error(CloudErrorKind::Misconfigured, Effect::None, message)
}

/// Any.
#[must_use]
pub const fn error(kind: CloudErrorKind, effect: Effect, message: String) -> CloudError {
    CloudError {
        message,
        kind,
        effect,
    }
}

/// Translates what the SDK reports.
pub fn told<E, R>(call: Call, failed: &SdkError<E, R>) -> CloudError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let whole = || DisplayErrorContext(failed).to_string();
    match failed {
        SdkError::ServiceError(answer) => {
            let said = answer.err();
            said_no(
                call,
                said.code().unwrap_or_default(),
                said.message().unwrap_or_default(),
            )
        }
        SdkError::TimeoutError(_) => error(
            CloudErrorKind::TimedOut,
            call.unknown(),
            format!("{}: AWS did not answer in time", call.action),
        ),
        SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) if no_credentials(failed) => {
            without_credentials(&innermost(failed))
        }
        SdkError::DispatchFailure(failure) => {
            let kind = if failure.is_timeout() {
                CloudErrorKind::TimedOut
            } else {
                CloudErrorKind::Unreachable
            };
            let message = format!(
                "{}: AWS can't be reached: {}; is the region right, and is there a way to its endpoint?",
                call.action,
                innermost(failed)
            );
            error(kind, call.unknown(), message)
        }
        SdkError::ConstructionFailure(_) => misconfigured(format!(
            "{}: the request could not be made: {}",
            call.action,
            whole()
        )),
        // An answer that does not come from AWS.
        _ => error(
            CloudErrorKind::Failing,
            call.unknown(),
            format!(
                "{}: AWS answered with something that can't be read: {}",
                call.action,
                innermost(failed)
            ),
        ),
    }
}

/// The error when there are no credentials to sign with.
#[must_use]
pub fn without_credentials(reason: &str) -> CloudError {
    misconfigured(format!(
        "there are no AWS credentials: {reason}; name a file with AWS_ACCESS_KEY_ID=… and \
         AWS_SECRET_ACCESS_KEY=… lines in cloud_driver.credentials, or give mapek a profile, an instance role or \
         the variables of that name"
    ))
}

/// The table: AWS's error codes.
#[must_use]
pub fn said_no(call: Call, code: &str, message: &str) -> CloudError {
    use CloudErrorKind::{Exhausted, Failing, Misconfigured, Refused};
    let action = call.action;
    let said = match (code, message) {
        ("", "") => String::from("no reason given"),
        ("", message) => message.to_owned(),
        (code, "") => code.to_owned(),
        (code, message) => format!("{code}: {message}"),
    };
    let (kind, effect, remedy) = match code {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "TooManyRequestsException"
        | "SlowDown" => (
            Failing,
            Effect::None,
            "AWS is throttling this account: mapek tries again more slowly; if that does not help, find out who \
             else calls the API a lot, or ask AWS for a higher rate",
        ),
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => (
            Misconfigured,
            Effect::None,
            "the credentials have expired: renew them (the file is read again at the next call); if they are fresh, \
             set this machine's clock right",
        ),
        "InvalidClientTokenId"
        | "AuthFailure"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken"
        | "IncompleteSignature"
        | "InvalidAccessKeyId" => (
            Misconfigured,
            Effect::None,
            "AWS does not accept the credentials: check the key, its secret, and that it is active",
        ),
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "UnauthorizedAccess" => (
            Misconfigured,
            Effect::None,
            "allow this action in the IAM policy (docs/aws.md has the whole of it)",
        ),
        "ScalingActivityInProgress" | "ScalingActivityInProgressFault" => (
            Failing,
            Effect::None,
            "another scaling activity of the group is under way: mapek waits for its end; should it last, see \
             aws autoscaling describe-scaling-activities",
        ),
        "ResourceContention" | "ResourceContentionFault" => (
            Failing,
            Effect::None,
            "the group is being changed by somebody else: mapek tries again",
        ),
        "InsufficientInstanceCapacity"
        | "InsufficientHostCapacity"
        | "InstanceLimitExceeded"
        | "VcpuLimitExceeded"
        | "MaxSpotInstanceCountExceeded"
        | "LimitExceeded" => (
            Exhausted,
            Effect::None,
            "add instance types or zones to the group, ask AWS for a higher quota, or try later",
        ),
        "ValidationError" | "InvalidParameterValue" | "InvalidParameterCombination" => {
            (Refused, Effect::None, validation(message))
        }
        "OptInRequired" | "PendingVerification" | "Blocked" => {
            (Misconfigured, Effect::None, "check the state of the AWS account")
        }
        _ => (Failing, call.unknown(), "this may pass: mapek tries again"),
    };
    error(kind, effect, format!("{action} was refused: {said}; {remedy}"))
}

/// What to do about a request that AWS calls invalid, by its message.
fn validation(message: &str) -> &'static str {
    let said = message.to_ascii_lowercase();
    if said.contains("above max") || said.contains("maxsize") {
        "raise the group's MaxSize, or set cloud_driver.manage_max_size to true to let mapek do that"
    } else if said.contains("min size") || said.contains("minsize") || said.contains("below min") {
        "lower the group's MinSize to let the instance go"
    } else if said.contains("not found") {
        "check the name of the group and the region"
    } else {
        "send the plan again; should it be refused again, look at the group in the AWS console"
    }
}

fn no_credentials(failed: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(failed);
    while let Some(error) = next {
        if error.is::<CredentialsError>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// The root cause, which says more than "dispatch failure".
fn innermost(failed: &(dyn std::error::Error + 'static)) -> String {
    let mut last = failed;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::cloud::autoscaling::calls;

    const CALL: Call = calls::SET_DESIRED;

    #[test]
    fn what_may_pass_is_told_from_what_does_not() {
        for (code, kind, effect) in [
            ("Throttling", CloudErrorKind::Failing, Effect::None),
            ("ExpiredToken", CloudErrorKind::Misconfigured, Effect::None),
            ("AccessDenied", CloudErrorKind::Misconfigured, Effect::None),
            ("ScalingActivityInProgress", CloudErrorKind::Failing, Effect::None),
            ("ValidationError", CloudErrorKind::Refused, Effect::None),
            ("InternalFailure", CloudErrorKind::Failing, Effect::Unknown),
            ("", CloudErrorKind::Failing, Effect::Unknown),
        ] {
            let said = said_no(CALL, code, "so it is");
            assert_eq!((said.kind, said.effect), (kind, effect), "{code}");
            assert!(said.message.contains("SetDesiredCapacity"), "{said}");
        }
        let read = said_no(calls::INSTANCES, "InternalError", "");
        assert_eq!(read.effect, Effect::None);
    }

    #[test]
    fn a_capacity_above_the_group_s_maximum_names_the_two_ways_out() {
        let said = said_no(
            CALL,
            "ValidationError",
            "New SetDesiredCapacity value 9 is above max value 4 for the AutoScalingGroup.",
        );
        assert!(said.message.contains("raise the group's MaxSize"), "{said}");
        assert!(said.message.contains("manage_max_size"), "{said}");
    }
}
