//! The text of an expression before it is parsed: which parts of it are code, and where its
//! conjuncts are.

/// The bytes that are in no text and no comment, each with its place.
pub fn code(source: &str) -> Vec<(usize, u8)> {
    let bytes = source.as_bytes();
    let (mut code, mut at) = (Vec::new(), 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\'' | b'"' => at = after_text(source, at, byte),
            b'/' if bytes.get(at + 1) == Some(&b'/') => at = after_comment(bytes, at),
            _ => {
                code.push((at, byte));
                at += 1;
            }
        }
    }
    code
}

/// The place of the first incomplete token: a text without its end, with an unknown escape, or
/// right after a name or number; half an operator. The parser skips part of such a thing and reads
/// on from there, so it is no longer clear what is code and what is text, and nothing can be
/// counted.
pub fn broken(source: &str) -> Option<usize> {
    let bytes = source.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let next = bytes.get(at + 1).copied();
        match byte {
            b'\'' | b'"' => {
                let end = after_text(source, at, byte);
                if !is_text(source, at, end) {
                    return Some(at);
                }
                at = end;
            }
            b'/' if next == Some(b'/') => at = after_comment(bytes, at),
            b'<' | b'>' | b'!' if next == Some(b'=') => at += 2,
            b'=' | b'&' | b'|' if next == Some(byte) => at += 2,
            b'=' | b'&' | b'|' | b'`' => return Some(at),
            _ => at += 1,
        }
    }
    None
}

/// How deeply brackets are nested at most.
pub fn depth(code: &[(usize, u8)]) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for (_, byte) in code {
        now = after(now, *byte);
        most = most.max(now);
    }
    most
}

/// The depth after a byte.
const fn after(depth: usize, byte: u8) -> usize {
    match byte {
        b'(' | b'[' | b'{' => depth + 1,
        b')' | b']' | b'}' => depth.saturating_sub(1),
        _ => depth,
    }
}

/// How many operators make the parser go one level deeper: all except `&&` and `||`, which it
/// balances.
pub fn operators(code: &[(usize, u8)]) -> usize {
    let (mut count, mut before) = (0, (0, b' '));
    let mut word = Vec::new();
    for &(at, byte) in code.iter().chain([&(usize::MAX, b' ')]) {
        let follows = before.0 + 1 == at;
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            if !follows {
                count += usize::from(std::mem::take(&mut word) == b"in");
            }
            word.push(byte);
        } else {
            count += usize::from(std::mem::take(&mut word) == b"in");
            let compares = |byte: u8| b"<>=".contains(&byte);
            let one_with = follows && (compares(before.1) || before.1 == b'!');
            count += usize::from(b"+-*/%!?".contains(&byte) || (compares(byte) && !one_with));
        }
        before = (at, byte);
    }
    count
}

/// How many members, calls or list places follow each other at most: `a.b[1].c` has three.
pub fn chain(code: &[(usize, u8)]) -> usize {
    let (mut chains, mut most) = (vec![0_usize], 0);
    for (_, byte) in code {
        match byte {
            b'(' | b'[' | b'{' => {
                add(&mut chains);
                most = most.max(chains.last().copied().unwrap_or_default());
                chains.push(0);
            }
            b')' | b']' | b'}' if chains.len() > 1 => drop(chains.pop()),
            b'.' => add(&mut chains),
            b'+' | b'-' | b'*' | b'/' | b'%' | b'!' | b'?' | b':' | b',' | b'<' | b'>' | b'=' | b'&'
            | b'|' => {
                if let Some(last) = chains.last_mut() {
                    *last = 0;
                }
            }
            _ => {}
        }
        most = most.max(chains.last().copied().unwrap_or_default());
    }
    most
}

fn add(chains: &mut [usize]) {
    if let Some(last) = chains.last_mut() {
        *last += 1;
    }
}

/// The conjuncts of an expression as its author wrote them: `a && (b || c)` is `a` and `(b || c)`.
/// Correct only if the whole is a conjunction; the caller knows that.
pub fn split(source: &str) -> Vec<&str> {
    let code = code(source);
    let (mut parts, mut begin, mut depth) = (Vec::new(), 0, 0);
    for pair in code.windows(2) {
        let [(at, byte), (next, following)] = *pair else {
            continue;
        };
        depth = after(depth, byte);
        if depth == 0 && (byte, following) == (b'&', b'&') && next == at + 1 {
            parts.extend(source.get(begin..at));
            begin = next + 1;
        }
    }
    parts.extend(source.get(begin..));
    parts.into_iter().map(str::trim).collect()
}

/// Where a text that begins at `at` ends: at the same quote, or three of them, without a backslash
/// in front. In a raw text (`r'…'`) backslashes mean nothing.
fn after_text(source: &str, at: usize, quote: u8) -> usize {
    let bytes = source.as_bytes();
    let before = |back: usize| at.checked_sub(back).and_then(|place| bytes.get(place)).copied();
    let raw = matches!(before(1), Some(b'r' | b'R'))
        && !before(2).is_some_and(|byte| byte.is_ascii_alphanumeric() && !matches!(byte, b'b' | b'B'));
    let triple = [quote; 3];
    let long = bytes.get(at..at + 3) == Some(&triple);
    let mut place = if long { at + 3 } else { at + 1 };
    while let Some(&byte) = bytes.get(place) {
        if byte == b'\\' && !raw {
            place += 2;
        } else if long && bytes.get(place..place + 3) == Some(&triple) {
            return place + 3;
        } else if !long && byte == quote {
            return place + 1;
        } else {
            place += 1;
        }
    }
    bytes.len()
}

/// Where a comment that begins at `at` ends: before the end of its line.
fn after_comment(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let end = rest.iter().position(|byte| *byte == b'\n');
    end.map_or(bytes.len(), |end| at + end)
}

/// Whether what begins with a quote at `at` and ends before `end` is a valid text of the language.
fn is_text(source: &str, at: usize, end: usize) -> bool {
    let bytes = source.as_bytes();
    let before = bytes.get(..at).unwrap_or_default().iter().rev();
    let word = before.take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_');
    let prefix = source.get(at - word.count()..at).unwrap_or_default();
    let prefix = prefix.to_ascii_lowercase();
    let quote = bytes.get(at).copied().unwrap_or_default();
    let triple = [quote; 3];
    let long = bytes.get(at..at + 3) == Some(&triple);
    let quotes = if long { 3 } else { 1 };
    let last = end.saturating_sub(quotes);
    let (Some(inside), Some(closing)) = (bytes.get(at + quotes..last), bytes.get(last..end)) else {
        return false;
    };
    ["", "r", "b", "br"].contains(&prefix.as_str())
        && closing.iter().all(|byte| *byte == quote)
        && (long || !inside.iter().any(|byte| matches!(byte, b'\n' | b'\r')))
        && (prefix.ends_with('r') || has_true_escapes(inside))
}

/// Whether every backslash in a text begins an escape.
fn has_true_escapes(inside: &[u8]) -> bool {
    let mut at = 0;
    while let Some(&byte) = inside.get(at) {
        let behind = inside.get(at + 2..).unwrap_or_default();
        let length = match (byte, inside.get(at + 1)) {
            (b'\\', Some(b'x' | b'X')) => digits(behind, 2, 16),
            (b'\\', Some(b'u')) => digits(behind, 4, 16),
            (b'\\', Some(b'U')) => digits(behind, 8, 16),
            (b'\\', Some(b'0'..=b'3')) => digits(behind, 2, 8),
            (b'\\', Some(letter)) => b"abfnrtv\"'\\?`".contains(letter).then_some(2),
            (b'\\', None) => None,
            _ => Some(1),
        };
        let Some(length) = length else { return false };
        at += length;
    }
    true
}

/// The length of an escape with this many digits, if they are there.
fn digits(behind: &[u8], count: usize, radix: u32) -> Option<usize> {
    let digits = behind.get(..count)?;
    let all = digits.iter().all(|digit| char::from(*digit).is_digit(radix));
    all.then_some(2 + count)
}

#[cfg(test)]
mod tests {
    use super::{broken, split};

    #[test]
    fn tokens_that_are_not_complete_are_found() {
        for source in [
            "a == 'b' && c <= 1 || !d && e != \"f\" && g >= h",
            r"a == r'\' && b'\x41\101' == '''it's\n''' && br'\' == ''",
            "// it's\n'a' == \"\"\"\n'\"\"\"",
            r"'\u00e4\U0001F4A5\'\\'",
            "",
        ] {
            assert_eq!(broken(source), None, "{source}");
        }
        for (source, at) in [
            ("'", 0),
            ("a == 'b", 5),
            ("[1 '\n, ((('", 3),
            ("['a\r']", 1),
            (r"'\'", 0),
            (r"'\q'", 0),
            (r"'\u12'", 0),
            (r"'\400'", 0),
            ("\"\\", 0),
            ("'''a'", 0),
            ("''''", 0),
            (r"'''a\'''", 0),
            (r"[1r'\', '", 3),
            ("name'a'", 4),
            ("a & 'b'", 2),
            ("a == b | 'c'", 7),
            ("a = 'b'", 2),
            ("`a' == 'b'", 0),
        ] {
            assert_eq!(broken(source), Some(at), "{source}");
        }
    }

    #[test]
    fn what_stands_in_brackets_or_text_is_not_split() {
        let cases: [(&str, &[&str]); 6] = [
            ("a && b", &["a", "b"]),
            ("a && (b && c) && d", &["a", "(b && c)", "d"]),
            ("x == 'a && b' && y", &["x == 'a && b'", "y"]),
            (r"x == 'it\'s && ' && y", &[r"x == 'it\'s && '", "y"]),
            (r"x == r'\' && y", &[r"x == r'\'", "y"]),
            (
                "x == '''it's && ''' && [a && b]",
                &["x == '''it's && '''", "[a && b]"],
            ),
        ];
        for (source, parts) in cases {
            assert_eq!(split(source), parts, "{source}");
        }
    }
}
