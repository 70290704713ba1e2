//! Conditions of requests: `If-Match`, `If-None-Match`.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderName};

use crate::service::Tags;

/// The tags in a header, if it is there; several lines of it count as one.
fn tags(request: &HttpRequest, name: HeaderName) -> Option<Tags> {
    let lines: Vec<&str> = request
        .headers()
        .get_all(name)
        .filter_map(|line| line.to_str().ok())
        .collect();
    (!lines.is_empty()).then(|| Tags::parse(&lines.join(",")))
}

/// The tags that the client already has, so that the document need not be sent again.
pub fn if_none_match(request: &HttpRequest) -> Option<Tags> {
    tags(request, header::IF_NONE_MATCH)
}

/// The tag of what the client wants to change.
pub fn if_match(request: &HttpRequest) -> Option<Tags> {
    tags(request, header::IF_MATCH)
}
