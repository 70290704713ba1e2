//! Ports and volumes, in their short and long forms.

use serde_json::{Map, Value, json};

use super::Notes;

/// `ports` in Docker's notation.
pub fn ports(notes: &mut Notes, path: &str, value: &Value) -> Value {
    let mut ports = Vec::new();
    if !value.is_array() && !value.is_null() {
        notes.problem(path, "should be a list");
    }
    for (index, port) in value.as_array().into_iter().flatten().enumerate() {
        let place = format!("{path}[{index}]");
        let text = match port {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Object(fields) => match long_port(notes, &place, fields) {
                Some(text) => text,
                None => continue,
            },
            _ => {
                notes.problem(&place, "should be a port such as \"8080:80\"");
                continue;
            }
        };
        let (numbers, _) = text.split_once('/').unwrap_or((&text, ""));
        if numbers.contains(':') {
            ports.push(text);
        } else {
            notes.ignored(
                &place,
                "it names no port of the host; write \"HOST:CONTAINER\" to publish it",
            );
        }
    }
    json!(ports)
}

fn long_port(notes: &mut Notes, place: &str, fields: &Map<String, Value>) -> Option<String> {
    let number = |key: &str| match fields.get(key)? {
        Value::String(text) => Some(text.clone()),
        other => other.as_u64().map(|number| number.to_string()),
    };
    let Some(target) = number("target") else {
        notes.problem(place, "target is missing: the port of the container");
        return None;
    };
    for key in fields.keys() {
        if ![
            "target",
            "published",
            "protocol",
            "host_ip",
            "mode",
            "name",
            "app_protocol",
        ]
        .contains(&key.as_str())
        {
            notes.ignored(&format!("{place}.{key}"), "it has no counterpart");
        }
    }
    if fields.get("mode").is_some_and(|mode| mode == "ingress") {
        notes.warn(
            &format!("{place}.mode"),
            "is taken as host: the port is published where the container is",
        );
    }
    let mut text = String::new();
    if let Some(address) = fields.get("host_ip").and_then(Value::as_str) {
        text = format!("{address}:");
    }
    if let Some(published) = number("published") {
        text = format!("{text}{published}:");
    }
    text.push_str(&target);
    if let Some(protocol) = fields.get("protocol").and_then(Value::as_str) {
        text = format!("{text}/{protocol}");
    }
    Some(text)
}

/// `volumes` in Docker's notation, and file systems in memory.
pub fn volumes(notes: &mut Notes, path: &str, value: &Value) -> (Value, Vec<String>) {
    let (mut volumes, mut tmpfs) = (Vec::new(), Vec::new());
    if !value.is_array() && !value.is_null() {
        notes.problem(path, "should be a list");
    }
    for (index, volume) in value.as_array().into_iter().flatten().enumerate() {
        let place = format!("{path}[{index}]");
        match volume {
            Value::String(text) if !text.contains(':') => {
                notes.ignored(
                    &place,
                    "it has no name: name it, as in data:/path, so that it is found again",
                );
            }
            Value::String(text) if text.starts_with('.') || text.starts_with('~') => {
                notes.problem(&place, "is relative to a folder that machines do not have; give an absolute path, or a volume's name");
            }
            Value::String(text) => volumes.push(text.clone()),
            Value::Object(fields) => {
                let text = |key: &str| fields.get(key).and_then(Value::as_str);
                let Some(target) = text("target") else {
                    notes.problem(&place, "target is missing: the path in the container");
                    continue;
                };
                for key in fields.keys() {
                    if !["type", "source", "target", "read_only"].contains(&key.as_str()) {
                        notes.ignored(&format!("{place}.{key}"), "it has no counterpart");
                    }
                }
                match (text("type"), text("source")) {
                    (Some("tmpfs"), _) => tmpfs.push(target.to_owned()),
                    (_, Some(source)) => {
                        let read_only = fields.get("read_only").is_some_and(|only| only == true);
                        let options = if read_only { ":ro" } else { "" };
                        volumes.push(format!("{source}:{target}{options}"));
                    }
                    (_, None) => notes.ignored(&place, "it has no source"),
                }
            }
            _ => notes.problem(&place, "should be a volume such as \"data:/path\""),
        }
    }
    (json!(volumes), tmpfs)
}
