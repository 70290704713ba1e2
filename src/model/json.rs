//! JSON as people send it, read strictly: a name that occurs twice in one object is a mistake. If
//! the last one simply won, a plan that names an app twice would remove what the first occurrence
//! asks for.

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};

/// Reads a document.
///
/// # Errors
///
/// When it is not JSON, or has a name twice in one object; with line and column.
pub fn read(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice::<Strict>(bytes).map(|Strict(value)| value)
}

/// A value in which no name occurs twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Part.deserialize(deserializer).map(Self)
    }
}

struct Part;

impl<'de> DeserializeSeed<'de> for Part {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Part)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                // As JSON, cut to the length of a line.
                let short: String = name.chars().take(80).collect();
                return Err(A::Error::custom(format!(
                    "{} occurs twice in one object; keep one of them,",
                    Value::String(short)
                )));
            }
            let value = members.next_value_seed(Part)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_stands_twice_in_one_object_is_refused_with_its_place() {
        for (text, place) in [
            (r#"{"a": 1, "a": 1}"#, "\"a\""),
            (r#"{"x": [{"b": {}, "c": 2, "b": {}}]}"#, "\"b\""),
            (r#"{"\u0061": 1, "a": 2}"#, "\"a\""),
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{place} occurs twice")), "{error}");
            assert!(error.contains("at line 1 column"), "{error}");
        }
    }

    #[test]
    fn everything_else_is_read_as_it_always_is() {
        let text = r#"{"b": [1, -2, 3.5, 1e3, 18446744073709551615, true, null, "ü\n"], "a": {"b": {}}, "": {"b": []}}"#;
        let plain: Value = serde_json::from_str(text).unwrap();
        assert_eq!(read(text.as_bytes()).unwrap(), plain);
        assert_eq!(read(text.as_bytes()).unwrap().to_string(), plain.to_string());
        for bad in ["", "{", "[1,]", "{\"a\" 1}", "1e400", "\"\\ud800\"", "{} x"] {
            let plain = serde_json::from_str::<Value>(bad).unwrap_err();
            assert_eq!(read(bad.as_bytes()).unwrap_err().to_string(), plain.to_string());
        }
        let deep = "[".repeat(200);
        let plain = serde_json::from_str::<Value>(&deep).unwrap_err();
        assert_eq!(read(deep.as_bytes()).unwrap_err().to_string(), plain.to_string());
    }
}
