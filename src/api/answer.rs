//! Answers: JSON objects that carry the time spent.

use std::future::{Ready, ready};
use std::time::Instant;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use serde_json::{Value, json};

use crate::fault::Fault;

use super::error::status;

/// Measures a request and makes its answer.
pub struct Timer(Instant);

impl FromRequest for Timer {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(Instant::now())))
    }
}

impl Timer {
    /// 200 with a JSON object, or the fault.
    pub fn answer(&self, result: Result<Value, Fault>) -> HttpResponse {
        match result {
            Ok(body) => self.send(StatusCode::OK, body),
            Err(fault) => self.fail(&fault),
        }
    }

    /// A fault, as the contract shapes it.
    pub fn fail(&self, fault: &Fault) -> HttpResponse {
        let status = status(fault.code);
        if status.is_server_error() {
            tracing::warn!(code = %fault.code, error = %fault.message, "answered {status}");
        }
        let body = json!({
            "error": fault.message,
            "code": fault.code.as_str(),
            "details": fault.details,
        });
        self.send(status, body)
    }

    /// Any status with a JSON object.
    pub fn send(&self, status: StatusCode, mut body: Value) -> HttpResponse {
        if let Some(body) = body.as_object_mut() {
            let seconds = self.0.elapsed().as_secs_f64();
            body.insert("time".to_owned(), Value::String(format!("{seconds:.2}")));
        }
        HttpResponse::build(status).json(body)
    }
}
