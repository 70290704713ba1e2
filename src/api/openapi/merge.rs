//! Flattens schemas: a type that serde flattens into another becomes part of the same object.

use serde_json::{Map, Value, json};

/// Writes what is flattened into the object that contains it: `allOf` becomes one object. Schemas
/// that nothing refers to any more are removed.
pub fn merge(document: &mut Value) {
    let Some(schemas) = document.pointer("/components/schemas").cloned() else {
        return;
    };
    merge_in(document, &schemas);
    loop {
        let text = document.to_string();
        let Some(Value::Object(schemas)) = document.pointer_mut("/components/schemas") else {
            return;
        };
        let before = schemas.len();
        schemas.retain(|name, _| text.contains(&format!("{THERE}{name}\"")) || name == "Error");
        if schemas.len() == before {
            return;
        }
    }
}

/// Where schemas are.
const THERE: &str = "#/components/schemas/";

fn merge_in(schema: &mut Value, schemas: &Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::Array(parts)) = fields.remove("allOf") {
                for part in parts {
                    take_in(fields, part, schemas, true);
                }
            }
            fields.values_mut().for_each(|value| merge_in(value, schemas));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| merge_in(value, schemas)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Adds the properties of a part to the whole; those of an optional part become optional.
fn take_in(whole: &mut Map<String, Value>, part: Value, schemas: &Value, needed: bool) {
    let Value::Object(mut part) = part else { return };
    if let Some(name) = part.get("$ref").and_then(Value::as_str) {
        let name = name.trim_start_matches(THERE);
        return take_in(whole, schemas[name].clone(), schemas, needed);
    }
    if let Some(Value::Array(kinds)) = part.remove("oneOf") {
        let object = kinds.into_iter().find(|kind| kind["type"] != "null");
        return take_in(whole, object.unwrap_or_default(), schemas, false);
    }
    if let Some(Value::Array(parts)) = part.remove("allOf") {
        for part in parts {
            take_in(whole, part, schemas, needed);
        }
    }
    for (key, value) in part {
        match (key.as_str(), value) {
            ("properties", Value::Object(more)) => {
                let all = whole.entry(key).or_insert_with(|| json!({}));
                if let Some(all) = all.as_object_mut() {
                    all.extend(more);
                }
            }
            ("required", Value::Array(more)) => {
                if let (true, Some(all)) = (
                    needed,
                    whole.entry(key).or_insert_with(|| json!([])).as_array_mut(),
                ) {
                    all.extend(more);
                }
            }
            ("description" | "example" | "examples", _) => {}
            (_, value) => {
                whole.insert(key, value);
            }
        }
    }
}
