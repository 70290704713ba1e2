//! What pages of the allowed origins may send and see: the methods and headers in the API's
//! description.

use std::collections::BTreeSet;

use actix_cors::Cors;
use actix_web::http::header;

use super::openapi::{operations, parameters};

/// Headers of every answer, or of errors, which are in the description of no single operation.
const EVERYWHERE: [&str; 5] = [
    "allow",
    "preference-applied",
    "retry-after",
    "www-authenticate",
    "x-request-id",
];

/// Allows pages of these origins only.
pub fn cors(origins: &[String]) -> Cors {
    let (mut methods, mut sent, mut seen) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    methods.insert("HEAD".to_owned());
    for (_, method, operation) in operations() {
        methods.insert(method.to_string());
        sent.extend(parameters(&operation, "header"));
        let answers = operation
            .get("responses")
            .and_then(serde_json::Value::as_object)
            .into_iter()
            .flatten();
        let headers = answers.filter_map(|(_, answer)| answer.get("headers")?.as_object());
        seen.extend(headers.flat_map(|headers| headers.keys().map(|name| name.to_lowercase())));
    }
    seen.extend(EVERYWHERE.map(str::to_owned));
    let cors = Cors::default()
        .allowed_methods(methods.iter().map(String::as_str))
        .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .allowed_headers(["x-request-id"])
        .allowed_headers(sent)
        .expose_headers(seen)
        .max_age(600);
    origins
        .iter()
        .fold(cors, |cors, origin| cors.allowed_origin(origin))
}
