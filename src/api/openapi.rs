//! `/openapi.json` and `/docs`: the API as described by its code.

mod errors;
mod merge;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;

use std::sync::{Arc, OnceLock};

use actix_web::http::{Method, header};
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};
use utoipa::OpenApi;

use crate::auth::Needed;
use crate::fault::{Code, Fault};

use super::access::needed;
use super::answer::Timer;
use super::error::status;
use super::limit::is_costly;
use errors::errors;
use merge::merge;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "mapek",
        description = "The Execute stage of a MAPE-K loop: places containers on VMs with a proof of how good the \
                       placement is, shows the way there, and carries it out. Bodies are JSON whatever Content-Type \
                       says.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        super::topology::get,
        super::topology::put,
        super::allocation::get,
        super::allocation::delete,
        super::adopt::post,
        super::candidates::post,
        super::inspect::get,
        super::alerts::post,
        super::apps::put,
        super::apps::list,
        super::apps::get,
        super::apps::delete,
        super::by_hand::capacity,
        super::by_hand::tier,
        super::intents::post,
        super::intents::list,
        super::intents::get,
        super::intents::delete,
        super::logs::get,
        super::nodes::list,
        super::nodes::get,
        super::registration::put,
        super::registration::delete,
        super::plan::get,
        super::usage::get,
        super::translate::put,
        super::execute::put,
        super::solve::post,
        super::executions::list,
        super::executions::get,
        super::executions::cancel,
        super::executions::resume,
        super::executions::rollback,
        super::events::get,
        super::health::live,
        super::health::ready,
        super::health::metrics,
        super::schemas::get,
        description,
    ),
    components(schemas(super::answer::Error)),
    tags(
        (name = "state", description = "What is there, and what it consists of."),
        (name = "plans", description = "From a plan to containers."),
        (name = "intents", description = "What is wanted of nodes, and where tiers should be."),
        (name = "apps", description = "Apps that are put one at a time, without the whole topology."),
        (name = "executions", description = "What was done, and what is being done."),
        (name = "service", description = "The service itself.")
    )
)]
struct Described;

/// The whole description.
#[must_use]
pub fn document() -> Value {
    let mut document = serde_json::to_value(Described::openapi()).unwrap_or_default();
    let scheme = json!({ "token": {
        "type": "http", "scheme": "bearer",
        "description": "A named token with the role `read` or `write`, or `node` for one node; needed where the service has tokens."
    } });
    set(&mut document, "components/securitySchemes", scheme);
    merge(&mut document);
    // The macro has no way to say these.
    if let Some(text) = document.pointer_mut("/components/schemas/TextOrReference/oneOf/0") {
        set(text, "pattern", json!(r"\S"));
    }
    let properties = [("Hosts", "hosts/minProperties", json!(1))];
    let named = ["topology", "plan"].map(|name| {
        let example = format!("http://localhost:8000/schemas/{name}.json");
        let schema = json!({ "type": ["string", "null"], "description": "For editors: where this schema is.", "example": example });
        (if name == "plan" { "Plan" } else { "Topology" }, "$schema", schema)
    });
    for (schema, place, value) in properties.into_iter().chain(named) {
        set(
            &mut document,
            &format!("components/schemas/{schema}/properties/{place}"),
            value,
        );
    }
    timed(&mut document);
    let example = |code: Code| {
        let value = json!({ "error": code.meaning(), "code": code.as_str(), "details": [], "time": "0.00" });
        (
            code.to_string(),
            json!({ "summary": code.meaning(), "description": code.remedy(), "value": value }),
        )
    };
    let examples: serde_json::Map<String, Value> = Code::ALL.into_iter().map(example).collect();
    set(&mut document, "components/examples", json!(examples));
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, operations) in paths.into_iter().flatten() {
        for (method, operation) in operations.as_object_mut().into_iter().flatten() {
            complete(path, method, operation);
        }
    }
    document
}

/// Every JSON answer has the `time` spent, which the types of answers therefore don't have.
fn timed(document: &mut Value) {
    let mut answers = std::collections::BTreeSet::from(["Error".to_owned()]);
    let operations = document.get("paths").and_then(Value::as_object);
    for operation in operations
        .into_iter()
        .flat_map(|paths| paths.values().filter_map(Value::as_object))
    {
        let responses = operation
            .values()
            .filter_map(|operation| operation["responses"].as_object());
        for response in responses.flat_map(serde_json::Map::values) {
            let schema = response.pointer("/content/application~1json/schema/$ref");
            let name = schema
                .and_then(Value::as_str)
                .and_then(|place| place.rsplit('/').next());
            answers.extend(name.map(str::to_owned));
        }
    }
    for name in answers {
        let Some(schema) = document.pointer_mut(&format!("/components/schemas/{name}")) else {
            continue;
        };
        let time = json!({
            "type": "string", "description": "Seconds spent.", "pattern": r"^\d+\.\d\d$", "example": "0.01"
        });
        set(schema, "properties/time", time);
        if let Some(fields) = schema.as_object_mut() {
            let required = fields.entry("required").or_insert_with(|| json!([]));
            if let Some(names) = required
                .as_array_mut()
                .filter(|names| !names.contains(&json!("time")))
            {
                names.push(json!("time"));
            }
        }
    }
}

/// Every operation in the description: path, method, operation.
pub fn operations() -> impl Iterator<Item = (String, Method, Value)> {
    static ALL: OnceLock<Vec<(String, Method, Value)>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let document = document();
        let paths = document.get("paths").and_then(Value::as_object);
        let operations = paths.into_iter().flatten().flat_map(|(path, operations)| {
            let operations = operations.as_object().into_iter().flatten();
            operations.filter_map(|(method, operation)| {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).ok()?;
                Some((path.clone(), method, operation.clone()))
            })
        });
        operations.collect()
    });
    all.iter().cloned()
}

/// The names of an operation's parameters in the `query`, a `header` or the `path`.
pub fn parameters(operation: &Value, place: &str) -> Vec<String> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters
        .filter(|parameter| parameter["in"] == place)
        .filter_map(|parameter| Some(parameter["name"].as_str()?.to_owned()))
        .collect()
}

/// Puts a value at a place, such as `components/schemas`, and creates the objects on the way.
fn set(document: &mut Value, place: &str, value: Value) {
    let mut at = document;
    for key in place.split('/') {
        let Value::Object(fields) = at else { return };
        at = fields.entry(key).or_insert_with(|| json!({}));
    }
    *at = value;
}

/// Adds what all operations have in common: the roles, and the possible errors.
fn complete(path: &str, method: &str, operation: &mut Value) {
    let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    // The same call with two methods is two operations, and ids are unique.
    if method == "post" && ["translate", "execute"].contains(&id.as_str()) {
        set(operation, "operationId", json!(format!("{id}_by_post")));
    }
    let mut codes = errors(&id);
    let verb = Method::from_bytes(method.to_uppercase().as_bytes());
    let role = verb.as_ref().ok().and_then(|verb| needed(verb, path));
    match &role {
        None => set(operation, "security", json!([])),
        Some(role) => {
            set(operation, "security", json!([{ "token": [role.role()] }]));
            codes.push(Code::Unauthorized);
        }
    }
    // Requests that were meant for another host, that have an unknown query parameter, or that come
    // from other sites' pages are refused everywhere.
    codes.extend([Code::HostUnknown, Code::RequestInvalid, Code::Forbidden]);
    if verb.as_ref().is_ok_and(|verb| is_costly(verb, path)) {
        codes.push(Code::RateLimited);
    }
    // Operations with a body refuse one that never arrives or is too large; so do those without
    // one.
    if verb.as_ref().is_ok_and(|verb| *verb != Method::GET) {
        codes.extend([
            Code::JsonUnreadable,
            Code::BodyTooLarge,
            Code::RequestTimeout,
            Code::Overloaded,
        ]);
        codes.sort_unstable_by_key(|code| code.as_str());
        codes.dedup();
    }
    if role.as_ref().is_some_and(|role| *role != Needed::Read) || !codes.is_empty() && role.is_some() {
        codes.extend([Code::Stopping, Code::Internal]);
    }
    let answers: std::collections::BTreeMap<u16, Vec<Code>> =
        codes.into_iter().fold(Default::default(), |mut answers, code| {
            answers.entry(status(code).as_u16()).or_default().push(code);
            answers
        });
    for (status, codes) in answers {
        let mut answer = answer(status, &codes);
        // The answer of a service that is not ready has another shape.
        if let Some(own) = operation["responses"].get(status.to_string()) {
            answer = own.clone();
        }
        set(operation, &format!("responses/{status}"), answer);
    }
}

fn answer(status: u16, codes: &[Code]) -> Value {
    let lines = codes.iter().map(|code| format!("`{code}`: {}", code.meaning()));
    let lines: Vec<String> = lines.collect();
    let example = |code: &Code| {
        let place = format!("#/components/examples/{code}");
        (code.to_string(), json!({ "$ref": place }))
    };
    let examples: serde_json::Map<String, Value> = codes.iter().map(example).collect();
    let mut answer = json!({
        "description": lines.join(" "),
        "content": { "application/json": {
            "schema": { "$ref": "#/components/schemas/Error" }, "examples": examples } }
    });
    let header = match status {
        401 => Some((
            "WWW-Authenticate",
            "The scheme, and what is wrong with the token.",
        )),
        429 | 503 => Some(("Retry-After", "Seconds until another try is worth it.")),
        _ => None,
    };
    if let Some((name, description)) = header {
        let headers = json!({ name: { "description": description, "schema": { "type": "string" } } });
        set(&mut answer, "headers", headers);
    }
    answer
}

/// The description as it is in the repository.
///
/// # Errors
///
/// Never: it can always be written.
pub fn openapi_text() -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(&document())? + "\n")
}

/// docs/errors.md: every code with its status, meaning and remedy.
#[must_use]
pub fn errors_text() -> String {
    let mut text = "# Errors\n\n\
        Every answer that is not a success has a `code` for programs and an `error` for people, which says what was\n\
        wrong, where, and what to do. This list is made by `make openapi` from the table in `src/fault/codes.rs`.\n\n\
        | code | status | what it means | what to do |\n|---|---|---|---|\n"
        .to_owned();
    let mut codes = Code::ALL;
    codes.sort_by_key(|code| (status(*code).as_u16(), code.as_str()));
    for code in codes {
        let status = status(code).as_u16();
        text.push_str(&format!(
            "| `{code}` | {status} | {} | {} |\n",
            code.meaning(),
            code.remedy()
        ));
    }
    text
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", operation_id = "describe", tag = "service", responses(
    (status = 200, description = "OpenAPI 3.1.", content_type = "application/json", body = Object)))]
pub async fn description() -> HttpResponse {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| document().to_string());
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(text.as_str())
}

/// What the pages of `/docs` may load: nothing from elsewhere.
const POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// `/docs`, and the files that it loads.
pub async fn docs(timer: Timer, path: web::Path<String>) -> HttpResponse {
    // The validator's badge would ask a server elsewhere.
    let config = utoipa_swagger_ui::Config::from("../openapi.json").validator_url("none");
    match utoipa_swagger_ui::serve(&path, Arc::new(config)) {
        Ok(Some(file)) => HttpResponse::Ok()
            .content_type(file.content_type.clone())
            .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
            .body(file.bytes.into_owned()),
        Ok(None) => timer.fail(&Fault::new(
            Code::NotFound,
            format!("there is nothing at /docs/{path}"),
        )),
        Err(error) => timer.fail(&Fault::new(Code::Internal, error.to_string())),
    }
}

/// The pages are below `/docs/`.
pub async fn to_docs() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((header::LOCATION, "docs/"))
        .finish()
}
