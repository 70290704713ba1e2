//! Conditions of requests: `If-Match`, `If-None-Match`.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderName};

use crate::service::Tags;

/// The tags in a header, where it is there; several lines of it count as one.
fn tags(request: &HttpRequest, name: HeaderName) -> Option<Tags> {
    let lines: Vec<&str> = request
        .headers()
        .get_all(name)
        .filter_map(|line| line.to_str().ok())
        .collect();
    (!lines.is_empty()).then(|| Tags::parse(&lines.join(",")))
}

/// What the client has, so that it needs not be sent again.
pub fn if_none_match(request: &HttpRequest) -> Option<Tags> {
    tags(request, header::IF_NONE_MATCH)
}

/// What the client wants to change.
pub fn if_match(request: &HttpRequest) -> Option<Tags> {
    tags(request, header::IF_MATCH)
}
