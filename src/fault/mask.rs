//! Removes known values from a text: those of a container's environment from what is quoted of it
//! (its log, its health check, its hooks), and a repository's credentials from git's messages.
//! Pure.
//!
//! A value is found as it is, as it looks in JSON, and line by line if it has several lines. In a
//! value that is a URL, user and password are also found by themselves. If a container turns a
//! value into something else, such as Base64, that can't be recognised. Very short values would
//! remove half of every text, so they are removed only after their name, as in `PIN=123`.

use super::{STARS, in_text};

/// Values with fewer characters than this could occur by chance.
const SHORTEST: usize = 4;

/// The values of a container that must not be shown.
#[derive(Clone, Default)]
pub struct Secrets {
    /// Longest first, so that none is masked only in part.
    texts: Vec<String>,
    /// Short ones, with the names that they have: `NAME=value`.
    short: Vec<String>,
}

impl Secrets {
    /// The values of an environment, given as `NAME=value`, except those that come from the image,
    /// which are no secret.
    pub fn of(environment: &[String], image: &[String]) -> Self {
        let mut secrets = Self::default();
        for entry in environment.iter().filter(|entry| !image.contains(entry)) {
            if let Some((_, value)) = entry.split_once('=') {
                secrets.add(entry, value);
            }
        }
        secrets.texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        secrets.texts.dedup();
        secrets
    }

    fn add(&mut self, entry: &str, value: &str) {
        let whole = value.trim();
        if whole.is_empty() {
            return;
        }
        if whole.chars().count() < SHORTEST {
            self.short.push(entry.trim_end().to_owned());
            return;
        }
        let json = serde_json::Value::from(whole).to_string();
        let json = json.trim_matches('"').to_owned();
        let credentials = whole.split_once("://").and_then(|(_, rest)| {
            let place = rest.split(['?', '#']).next().unwrap_or_default();
            place.rsplit_once('@').map(|(credentials, _)| credentials)
        });
        let password = credentials.and_then(|both| both.split_once(':'));
        let decoded = password.map(|(_, password)| percent_encoding::percent_decode_str(password));
        let decoded = decoded.map(|password| password.decode_utf8_lossy().into_owned());
        let parts = whole.lines().map(str::trim);
        let parts = parts
            .chain(credentials)
            .chain(password.map(|(_, password)| password))
            .chain(decoded.as_deref())
            .filter(|part| part.chars().count() >= SHORTEST)
            .map(str::to_owned);
        self.texts
            .extend([whole.to_owned(), json].into_iter().chain(parts));
    }

    /// All of them, also those that are masked only behind their names.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().chain(&self.short).map(String::as_str)
    }

    /// The text without them.
    pub fn mask(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for secret in &self.texts {
            shown = shown.replace(secret.as_str(), STARS);
        }
        for entry in &self.short {
            shown = behind_its_name(&shown, entry);
        }
        in_text(&shown).into_owned()
    }

    /// The beginning of a text that was cut off at its end, without them and without the part of
    /// one that the cut may have left.
    pub fn mask_head(&self, head: &str) -> String {
        let head = self.mask(head.trim_end_matches(char::REPLACEMENT_CHARACTER));
        let cut = self.texts.iter().filter_map(|secret| {
            let ends = secret.char_indices().map(|(at, _)| at).rev();
            ends.filter(|at| *at > 0)
                .find(|at| secret.get(..*at).is_some_and(|part| head.ends_with(part)))
        });
        let cut = cut.max().unwrap_or_default();
        let kept = head.get(..head.len() - cut).unwrap_or_default();
        let stars = if cut > 0 { STARS } else { "" };
        format!("{kept}{stars}")
    }

    /// The end of a text that was cut off at its beginning.
    pub fn mask_tail(&self, tail: &str) -> String {
        let tail = self.mask(tail.trim_start_matches(char::REPLACEMENT_CHARACTER));
        let cut = self.texts.iter().filter_map(|secret| {
            let begins = secret.char_indices().map(|(at, _)| at).skip(1);
            let rest = begins.filter_map(|at| secret.get(at..));
            rest.map(|part| (part.len(), tail.starts_with(part)))
                .find_map(|(length, there)| there.then_some(length))
        });
        let cut = cut.max().unwrap_or_default();
        let kept = tail.get(cut..).unwrap_or_default();
        let stars = if cut > 0 { STARS } else { "" };
        format!("{stars}{kept}")
    }
}

/// Masks the value of `NAME=value` if it is not the beginning of a longer value.
fn behind_its_name(text: &str, entry: &str) -> String {
    let name = entry.split_once('=').map_or(entry, |(name, _)| name);
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once(entry) {
        shown.push_str(before);
        if after.starts_with(|c: char| c.is_alphanumeric()) {
            shown.push_str(entry);
        } else {
            shown.push_str(&format!("{name}={STARS}"));
        }
        rest = after;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(entries: &[&str]) -> Secrets {
        let entries: Vec<String> = entries.iter().map(|&entry| entry.to_owned()).collect();
        Secrets::of(&entries, &["PATH=/usr/bin".to_owned()])
    }

    #[test]
    fn values_are_masked_wherever_they_stand() {
        let known = secrets(&[
            "PASSWORD=geheim 1",
            "LONGER=geheim 12",
            "KEY=first line\nsecond line\n",
            "QUOTED=a\"b\"c",
            "DB=postgres://app:p%40ssw0rd@db:5432/shop",
            "PATH=/usr/bin",
            "EMPTY=",
        ]);
        for (said, shown) in [
            ("PASSWORD=geheim 1\n", "PASSWORD=***\n"),
            ("xgeheim 12y", "x***y"),
            ("first line\nsecond line", "***"),
            ("1: second line", "1: ***"),
            (r#"{"q":"a\"b\"c"}"#, r#"{"q":"***"}"#),
            ("no such user app:p%40ssw0rd", "no such user ***"),
            ("wrong password p@ssw0rd", "wrong password ***"),
            ("other https://me:pw@host/", "other https://***@host/"),
            ("PATH=/usr/bin and nothing else", "PATH=/usr/bin and nothing else"),
        ] {
            assert_eq!(known.mask(said), shown);
        }
    }

    #[test]
    fn short_values_are_masked_only_behind_their_names() {
        let known = secrets(&["PIN=123", "ON=1"]);
        assert_eq!(
            known.mask("PIN=123 of 1234, ON=1\nPIN=1234"),
            "PIN=*** of 1234, ON=***\nPIN=1234"
        );
    }

    #[test]
    fn a_cut_leaves_no_part_of_a_value() {
        let known = secrets(&["PASSWORD=geheim-ä-1"]);
        assert_eq!(known.mask_head("it is geheim-ä"), "it is ***");
        assert_eq!(known.mask_tail("heim-ä-1 it was"), "*** it was");
        assert_eq!(known.mask_head("all of it"), "all of it");
        assert_eq!(known.mask_tail("all of it"), "all of it");
        assert_eq!(known.mask_head("geheim-ä-1 and"), "*** and");
        let twice = secrets(&["PASSWORD=abcab"]);
        assert_eq!(twice.mask_head("it is abcab"), "it is ***");
        assert_eq!(twice.mask_tail("abcab it was"), "*** it was");
    }
}
