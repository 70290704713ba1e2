//! Keeps secrets out of answers.

use serde_json::Value;

/// The document with user names and passwords taken out of URLs.
pub fn without_secrets(document: &Value) -> Value {
    match document {
        Value::String(text) => Value::String(without_userinfo(text)),
        Value::Array(values) => values.iter().map(without_secrets).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), without_secrets(value)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => document.clone(),
    }
}

/// `https://user:password@host` as `https://***@host`. A user alone, as in `ssh://git@host`, is no
/// secret; before `http` it may be a token, so there it goes too.
fn without_userinfo(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let Some((userinfo, _)) = authority.rsplit_once('@') else {
        return text.to_owned();
    };
    if !userinfo.contains(':') && !scheme.starts_with("http") {
        return text.to_owned();
    }
    let after = rest.get(userinfo.len()..).unwrap_or_default();
    format!("{scheme}://***{after}")
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn passwords_and_tokens_in_urls_are_taken_out_wherever_they_stand() {
        let document = json!({
            "a": "https://user:pass@example.test/hooks.git",
            "b": ["https://token@example.test/x?y@z", "ssh://git@example.test/x"],
            "c": { "d": "plain text with user:pass@host", "e": 5 }
        });
        let shown = without_secrets(&document);
        assert_eq!(shown["a"], "https://***@example.test/hooks.git");
        assert_eq!(shown["b"][0], "https://***@example.test/x?y@z");
        assert_eq!(shown["b"][1], "ssh://git@example.test/x");
        assert_eq!(shown["c"], document["c"]);
    }
}
