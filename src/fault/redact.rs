//! Removes credentials from URLs anywhere in a text: `https://me:pw@host/x?token=t` becomes
//! `https://***@host/x?token=***`. Pure.
//!
//! A user name alone is kept where it is no secret, as in `ssh://git@host`; elsewhere it may be a
//! token.

use std::borrow::Cow;

use serde_json::Value;

/// Takes the place of a secret.
pub const STARS: &str = "***";

/// Parts of the names of query parameters that carry secrets.
const SECRET_NAMES: [&str; 8] = [
    "token",
    "secret",
    "password",
    "passwd",
    "signature",
    "credential",
    "auth",
    "key",
];

/// The text without the credentials of the URLs in it.
#[must_use]
pub fn in_text(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("://") {
        let scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let (before, url) = rest.split_at(at);
        let begin = before.trim_end_matches(scheme).len();
        let end = url
            .find(|c: char| c.is_whitespace() || c == '"')
            .unwrap_or(url.len());
        let (before, url) = rest.split_at(begin);
        let (url, _) = url.split_at(at - begin + end);
        let (url, _) = url.split_at(following(url).unwrap_or(url.len()));
        let behind = rest.get(begin + url.len()..).unwrap_or_default();
        shown.push_str(before);
        shown.push_str(&one(url));
        rest = behind;
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// The value with the credentials of all URLs in it removed. A text that is a URL from its first
/// letter to its last is treated as one, whatever odd characters its password has.
#[must_use]
pub fn in_value(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(whole(&text)),
        Value::Array(values) => values.into_iter().map(in_value).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, in_value(value)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

fn whole(text: &str) -> String {
    let plain = |scheme: &str| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match text.split_once("://") {
        Some((scheme, _)) if plain(scheme) => in_text(&one(text)).into_owned(),
        _ => in_text(text).into_owned(),
    }
}

/// The place of host and port, with what is before the `@`.
fn place(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// Where another URL begins right after this one, as in a list. Not in an odd URL, since that may
/// be part of the password there.
fn following(url: &str) -> Option<usize> {
    let scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let after = url.find("://")? + 3;
    let rest = url.get(after..)?;
    if is_odd(place(rest)) {
        return None;
    }
    let between = rest.get(..rest.find("://")?)?;
    Some(after + between.trim_end_matches(scheme).len())
}

/// One URL.
fn one(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let userinfo = match place(rest).rsplit_once('@') {
        Some((userinfo, _)) => Some(userinfo),
        // A password with a '/' in it should have been encoded; it is a secret all the same.
        None if is_odd(place(rest)) => rest.rsplit_once('@').map(|(userinfo, _)| userinfo),
        None => None,
    };
    let harmless = |user: &str| !user.contains(':') && (scheme.ends_with("ssh") || scheme == "sftp");
    match userinfo.filter(|user| !harmless(user)) {
        None => format!("{scheme}://{}", query(rest)),
        Some(user) => {
            let after = rest.get(user.len()..).unwrap_or_default();
            format!("{scheme}://{STARS}{}", query(after))
        }
    }
}

/// Whether this can be neither a host and a port, nor one with credentials in front.
fn is_odd(place: &str) -> bool {
    if place.contains('@') {
        return false;
    }
    let port = match place.rsplit_once(']') {
        Some((_, behind)) => behind.strip_prefix(':'),
        None => place.split_once(':').map(|(_, port)| port),
    };
    port.is_some_and(|port| port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Hides the values of parameters whose names suggest secrets.
fn query(rest: &str) -> String {
    let Some((before, query)) = rest.split_once('?') else {
        return rest.to_owned();
    };
    let (query, fragment) = match query.split_once('#') {
        Some((query, fragment)) => (query, Some(fragment)),
        None => (query, None),
    };
    let shown: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if is_secret(name) => format!("{name}={STARS}"),
            _ => pair.to_owned(),
        })
        .collect();
    let fragment = fragment
        .map(|fragment| format!("#{fragment}"))
        .unwrap_or_default();
    format!("{before}?{}{fragment}", shown.join("&"))
}

fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn credentials_of_urls_are_taken_out_and_nothing_else() {
        for (text, shown) in [
            ("https://me:pw@h:1/r.git", "https://***@h:1/r.git"),
            ("https://token@h/x?y@z", "https://***@h/x?y@z"),
            (
                "https://h/r?private_token=t&a=b#f",
                "https://h/r?private_token=***&a=b#f",
            ),
            ("https://me:p/w@h/r", "https://***@h/r"),
            ("https://a@b:p@h", "https://***@h"),
            ("ssh://git@h/x", "ssh://git@h/x"),
            ("ssh://git:pw@h/x", "ssh://***@h/x"),
            ("https://h:80/x@y", "https://h:80/x@y"),
            ("https://[::1]:80/x@y", "https://[::1]:80/x@y"),
            ("plain text with user:pass@host", "plain text with user:pass@host"),
            (
                "fetching \"https://a:b@h\" and http://c:d@i/ failed",
                "fetching \"https://***@h\" and http://***@i/ failed",
            ),
            ("://@", "://***@"),
            (
                "http://a/b,https://me:pw@h/c,http://d",
                "http://a/b,https://***@h/c,http://d",
            ),
            ("https://me:p://w@h/r", "https://***@h/r"),
            ("://https://me:pw@h", "://***@h"),
        ] {
            assert_eq!(in_text(text), shown);
        }
        assert_eq!(
            in_value(json!(["https://me:a b@h/r"])),
            json!(["https://***@h/r"])
        );
    }

    proptest! {
        #[test]
        fn a_password_of_letters_never_stays(
            before in "[ a-z:/@]{0,12}", password in "[A-Z0-9]{6,12}", after in "[ a-z:/@?#]{0,12}",
        ) {
            let text = format!("{before}https://me:{password}@host{after}");
            prop_assert!(!in_text(&text).contains(&password), "{}", in_text(&text));
            prop_assert!(!in_value(json!(text)).to_string().contains(&password));
        }

        #[test]
        fn hiding_twice_is_hiding_once(text in "([a-z]{1,5}://)?[ -~]{0,40}") {
            let once = in_value(json!(text));
            prop_assert_eq!(in_value(once.clone()), once);
        }
    }
}
