//! Why a command failed, and the exit code that tells scripts so.

use std::fmt;

use serde_json::{Value, json};

/// How the program ends. The help has the same list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Something went wrong on this side.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The service refused: the request makes no sense, or has no solution.
    Refused = 3,
    /// Something is in the way.
    Conflict = 4,
    /// The execution was begun and did not succeed.
    Unsuccessful = 5,
    /// The service can't be reached.
    Unreachable = 6,
    /// The service wants a token, or another one.
    Denied = 7,
    /// The service, or something that it needs, failed.
    Broken = 8,
    /// The person asked did not say yes.
    Unconfirmed = 9,
    /// Something differs, and the exit code should say so.
    Differs = 10,
    /// Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// The exit code for an HTTP status that is no success.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::Denied,
            409 | 412 => Self::Conflict,
            500.. => Self::Broken,
            _ => Self::Refused,
        }
    }
}

/// What a person, and a script, is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// For scripts.
    pub exit: Exit,
    /// For people.
    pub message: String,
    /// The service's own answer, if there was one.
    pub answer: Option<Value>,
}

impl Problem {
    /// A problem without an answer of the service.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            answer: None,
        }
    }

    /// The service's answer with an error status.
    #[must_use]
    pub fn answered(status: u16, answer: Value) -> Self {
        let mut message = match answer.get("error").and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => format!("the service answered with status {status}; is that a mapek?"),
        };
        if matches!(status, 401 | 403) {
            message.push_str(": give a token that may do this with --token-from, or in MAPEK_TOKEN");
        }
        for detail in answer
            .get("details")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if let Some(line) = line(detail).filter(|line| !message.contains(line.as_str())) {
                message.push_str("\n  ");
                message.push_str(&line);
            }
        }
        Self {
            exit: Exit::of_status(status),
            message,
            answer: Some(answer),
        }
    }

    /// As JSON, in the shape of the service's errors.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let own = || json!({ "error": self.message, "code": "client", "details": [] });
        self.answer.clone().unwrap_or_else(own)
    }
}

/// One detail of an error as a line: texts as they are, problems with their path.
fn line(detail: &Value) -> Option<String> {
    if let Some(text) = detail.as_str() {
        return Some(text.to_owned());
    }
    let text = |key: &str| {
        detail
            .get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let problem = text("problem")
        .or_else(|| text("message"))
        .or_else(|| text("output"))?;
    Some(match text("path") {
        Some(path) => format!("{path}: {problem}"),
        None => problem.to_owned(),
    })
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

/// Standard output is closed: the reader has seen enough, which is no failure.
pub fn written(result: std::io::Result<()>) -> Result<(), Problem> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => {
            result.map_err(|error| Problem::new(Exit::Failed, format!("can't write the answer: {error}")))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_the_exit_code_that_the_help_tells() {
        for (status, code) in [
            (400, 3),
            (401, 7),
            (403, 7),
            (404, 3),
            (409, 4),
            (412, 4),
            (413, 3),
            (422, 3),
        ] {
            assert_eq!(Exit::of_status(status) as i32, code, "{status}");
        }
        for status in [500, 501, 502, 503, 504] {
            assert_eq!(Exit::of_status(status), Exit::Broken, "{status}");
        }
    }

    #[test]
    fn details_are_told_with_their_place_and_nothing_twice() {
        let answer = json!({ "error": "the plan is not valid", "code": "plan_invalid",
            "details": [{ "path": "plan.rubis.db", "problem": "unknown tier" }, "the plan is not valid"] });
        let problem = Problem::answered(422, answer);
        assert_eq!(
            problem.message,
            "the plan is not valid\n  plan.rubis.db: unknown tier"
        );
    }

    #[test]
    fn an_answer_that_is_none_of_ours_is_told() {
        let problem = Problem::answered(404, json!("<html>"));
        assert!(problem.message.contains("404"), "{problem}");
    }
}
