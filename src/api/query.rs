//! A request may have only the query parameters of its operation, each once. A misspelt `?plan_id`
//! must never execute unsealed.
//!
//! The known parameters come from the description of the API, and are checked before a handler
//! runs, so that no endpoint can forget to.

use std::collections::{BTreeSet, HashMap};
use std::sync::OnceLock;

use actix_web::http::Method;
use actix_web::web;

use crate::fault::{Code, Fault};

use super::openapi::{operations, parameters};

type Known = HashMap<(String, Method), Vec<String>>;

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        operations()
            .map(|(path, method, operation)| ((path, method), parameters(&operation, "query")))
            .collect()
    })
}

/// Checks the query of a request to the path with that pattern. A method that the path does not
/// have is refused elsewhere.
pub fn check(method: &Method, pattern: Option<&str>, query: &str) -> Result<(), Fault> {
    // For an unknown path, the answer says so elsewhere.
    let Some(pattern) = pattern.filter(|_| !query.is_empty()) else {
        return Ok(());
    };
    let method = if *method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let operation = (pattern.to_owned(), method.clone());
    let names: Vec<&str> = match known().get(&operation) {
        Some(names) => names.iter().map(String::as_str).collect(),
        None if known().keys().any(|(path, _)| path == pattern) => return Ok(()),
        // Pages are not in the description, and have no parameters.
        None => Vec::new(),
    };
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query)
        .map_err(|error| Fault::new(Code::RequestInvalid, format!("the query can't be read: {error}")))?;
    let mut seen = BTreeSet::new();
    for (name, _) in pairs.iter() {
        if !names.contains(&name.as_str()) {
            return Err(Fault::unknown("query parameter here", name, &names));
        }
        if !seen.insert(name) {
            let message = format!("the query parameter {name} is given twice; give it once");
            return Err(Fault::new(Code::RequestInvalid, message));
        }
    }
    Ok(())
}
