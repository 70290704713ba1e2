//! Which role each call needs, in one table. What is not in it needs `write`, unless it only looks.

use actix_web::http::Method;

use crate::auth::Role;

/// Folders that are open to everyone.
const OPEN: [&str; 3] = ["/docs/", "/ui/", "/schemas/"];

/// The role that a call needs; None where everyone may. Open are: the sign of life and the state
/// of readiness, for probes that carry no token; what describes the API; the dashboard's own
/// files, which hold no state and ask for a token themselves.
pub fn needed(method: &Method, path: &str) -> Option<Role> {
    let looks = *method == Method::GET || *method == Method::HEAD;
    match path {
        "/healthz" | "/readyz" | "/openapi.json" | "/" if looks => None,
        path if looks && (path == "/docs" || OPEN.iter().any(|folder| path.starts_with(folder))) => None,
        // They change nothing.
        "/api/translate" | "/api/solve" | "/api/candidates" => Some(Role::Read),
        _ if looks => Some(Role::Read),
        _ => Some(Role::Write),
    }
}
