//! The text of an expression, before it is parsed: what of it is code, and where its conjuncts are.

/// The bytes that stand in no text and no comment, each with its place.
pub fn code(source: &str) -> Vec<(usize, u8)> {
    let bytes = source.as_bytes();
    let (mut code, mut at) = (Vec::new(), 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\'' | b'"' => at = after_text(source, at, byte),
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                let rest = bytes.get(at..).unwrap_or_default();
                let end = rest.iter().position(|byte| *byte == b'\n');
                at = end.map_or(bytes.len(), |end| at + end);
            }
            _ => {
                code.push((at, byte));
                at += 1;
            }
        }
    }
    code
}

/// How deep brackets are in each other, at the most.
pub fn depth(code: &[(usize, u8)]) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for (_, byte) in code {
        now = after(now, *byte);
        most = most.max(now);
    }
    most
}

/// How deep it is behind a byte.
const fn after(depth: usize, byte: u8) -> usize {
    match byte {
        b'(' | b'[' | b'{' => depth + 1,
        b')' | b']' | b'}' => depth.saturating_sub(1),
        _ => depth,
    }
}

/// How many operators there are that the parser goes one level deeper for: all but `&&` and `||`, which it
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

/// How many members, calls or places in lists follow each other at the most: `a.b[1].c` has three.
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

/// The conjuncts of an expression as its author wrote them: `a && (b || c)` is `a` and `(b || c)`. Right for one
/// that is a conjunction as a whole; whoever asks knows that.
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

/// Where a text ends that begins at `at`: with the same quote, or three of them, that no backslash stands before.
/// A raw text (`r'…'`) has no such backslashes.
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

#[cfg(test)]
mod tests {
    use super::split;

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
