//! Why the solver found no placement, as an answer. Pure.

use serde_json::json;

use crate::fault::{Code, Fault};
use crate::solve::SolveError;
use crate::solve::pose::PoseError;

pub(super) fn unposed(error: PoseError) -> Fault {
    Fault::new(Code::PlanInvalid, error.to_string())
}

pub(super) fn unsolved(error: SolveError) -> Fault {
    match error {
        SolveError::Infeasible(infeasible) => {
            let reasons = infeasible
                .reasons
                .iter()
                .map(|reason| json!({ "code": reason.code.as_str(), "reason": reason.text }));
            let repair = infeasible
                .repair
                .iter()
                .map(|repair| json!({ "repair": repair.text }));
            Fault::new(Code::Infeasible, infeasible.to_string()).with(reasons.chain(repair))
        }
        SolveError::Undecided => Fault::new(Code::Undecided, error.to_string()),
        SolveError::Stopped => Fault::new(Code::Stopping, error.to_string()),
        SolveError::TooLarge(_) => Fault::new(Code::PlanTooLarge, error.to_string()),
        SolveError::Refused(_) => Fault::new(Code::Internal, error.to_string()),
    }
}
