//! `/schemas/…`: JSON Schemas of the documents that people write, for editors. They are taken from
//! the API's description, and complete in themselves.

use std::collections::BTreeSet;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

use crate::fault::{Code, Fault};

use super::answer::Timer;
use super::openapi::document;

/// Where the description has its schemas, and where a schema of its own has them.
const THERE: &str = "#/components/schemas/";
const HERE: &str = "#/$defs/";

/// The JSON Schema of a document, `topology.json` or `plan.json`.
///
/// Editors check and complete a file that names it: `"$schema": "http://localhost:8000/schemas/topology.json"`.
#[utoipa::path(get, path = "/schemas/{name}", operation_id = "get_schema", tag = "service",
    params(("name" = String, Path, description = "`topology.json` or `plan.json`.", pattern = r"^(topology|plan)\.json$")),
    responses((status = 200, description = "JSON Schema, draft 2020-12.", content_type = "application/schema+json",
        body = Object)))]
pub async fn get(timer: Timer, name: web::Path<String>) -> HttpResponse {
    let schema = match name.as_str() {
        "topology.json" => alone("topology", "Topology"),
        "plan.json" => alone("plan", "Plan"),
        _ => None,
    };
    match schema {
        Some(schema) => HttpResponse::Ok()
            .content_type("application/schema+json")
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .body(schema.to_string()),
        None => timer.fail(&Fault::new(
            Code::NotFound,
            format!("there is no schema {name}; there are topology.json and plan.json"),
        )),
    }
}

/// The schema with that name, and everything that it refers to.
fn alone(name: &str, of: &str) -> Option<Value> {
    let description = document();
    let schemas = description.pointer("/components/schemas")?.as_object()?;
    let (mut needed, mut open) = (BTreeSet::new(), vec![of.to_owned()]);
    while let Some(next) = open.pop() {
        let text = schemas.get(&next)?.to_string();
        let names = text
            .split(THERE)
            .skip(1)
            .filter_map(|rest| rest.split('"').next());
        open.extend(
            names
                .filter(|name| needed.insert((*name).to_owned()))
                .map(str::to_owned),
        );
    }
    let definitions: Map<String, Value> = needed
        .iter()
        .filter_map(|name| Some((name.clone(), local(schemas.get(name)?))))
        .collect();
    let mut whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:mapek:schemas:{name}"),
        "title": format!("A {name} of mapek"),
    });
    let own = local(schemas.get(of)?);
    let fields = whole.as_object_mut()?;
    fields.extend(own.as_object()?.clone());
    fields.insert("$defs".to_owned(), Value::Object(definitions));
    Some(whole)
}

/// With references to its own definitions, and with OpenAPI's `example` as `examples`.
fn local(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| match (key.as_str(), value) {
                ("$ref", Value::String(place)) => (key.clone(), json!(place.replace(THERE, HERE))),
                ("example", example) => ("examples".to_owned(), json!([example])),
                (_, value) => (key.clone(), local(value)),
            };
            Value::Object(fields.iter().map(field).collect())
        }
        Value::Array(values) => values.iter().map(local).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema.clone(),
    }
}
