//! The HTTP status of each error code.

use actix_web::http::StatusCode;

use crate::fault::Code;

/// The HTTP status that a code is answered with.
#[must_use]
pub fn status(code: Code) -> StatusCode {
    // The table has only valid ones; a test checks each.
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
