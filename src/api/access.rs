//! The role that each call needs, in one table. A call that is not in it needs `write`, unless it
//! only reads.

use actix_web::http::Method;

use crate::auth::Needed;

/// Folders that are open to everyone.
const OPEN: [&str; 3] = ["/docs/", "/ui/", "/schemas/"];

/// The role that a call needs; None if everyone may make it. Open to everyone are `/healthz` and
/// `/readyz`, for probes that have no token; the description of the API; and the dashboard's own
/// files, which contain no state and ask for a token themselves.
pub fn needed(method: &Method, path: &str) -> Option<Needed> {
    let looks = *method == Method::GET || *method == Method::HEAD;
    match path {
        "/healthz" | "/readyz" | "/openapi.json" | "/" if looks => None,
        path if looks && (path == "/docs" || OPEN.iter().any(|folder| path.starts_with(folder))) => None,
        // They change nothing.
        "/api/translate" | "/api/solve" | "/api/candidates" => Some(Needed::Read),
        _ if looks => Some(Needed::Read),
        _ => match path.strip_prefix("/api/nodes/") {
            Some(id) if !id.contains('/') => Some(Needed::Node(id.to_owned())),
            _ => Some(Needed::Write),
        },
    }
}
