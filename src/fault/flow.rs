//! Masks a text that comes in pieces, such as a log that is followed. Pure.
//!
//! What could still turn out to be a secret is held back until more has come: the last word, and whatever a secret may have
//! begun in. So a secret that comes in two pieces is masked like one that comes in one.

use super::Secrets;

/// A word that is longer than this is passed on before its end.
const LONGEST_WORD: usize = 16 * 1024;

/// A text in pieces, and what of it must not be shown.
pub struct Flow {
    secrets: Secrets,
    held: Vec<u8>,
}

impl Flow {
    /// Nothing has come so far.
    #[must_use]
    pub const fn new(secrets: Secrets) -> Self {
        Self {
            secrets,
            held: Vec::new(),
        }
    }

    /// Takes the next piece, and answers with what may be shown by now. Bytes that are no UTF-8 pass as they are.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        let end = self.end_of_words();
        self.take(end)
    }

    /// Nothing has come for a while: answers with the last word, too, unless a secret may have begun in it.
    pub fn pause(&mut self) -> Vec<u8> {
        let word = self
            .held
            .rsplit(u8::is_ascii_whitespace)
            .next()
            .unwrap_or_default();
        // The credentials of a URL end with its host, which may still be to come.
        let end = if word.contains(&b':') {
            self.end_of_words()
        } else {
            self.before_a_secret(self.held.len())
        };
        self.take(end)
    }

    /// Nothing more comes: answers with the rest.
    pub fn end(&mut self) -> Vec<u8> {
        self.take(self.held.len())
    }

    /// Whether all that has come was shown.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn take(&mut self, end: usize) -> Vec<u8> {
        let rest = self.held.split_off(end);
        let done = std::mem::replace(&mut self.held, rest);
        let mut shown = Vec::with_capacity(done.len());
        for chunk in done.utf8_chunks() {
            shown.extend_from_slice(self.secrets.mask(chunk.valid()).as_bytes());
            shown.extend_from_slice(chunk.invalid());
        }
        shown
    }

    /// Where the last word begins, or the secret that may be under way there.
    fn end_of_words(&self) -> usize {
        let space = |from: &[u8]| {
            from.iter()
                .rposition(u8::is_ascii_whitespace)
                .map_or(0, |at| at + 1)
        };
        let mut end = space(&self.held);
        if self.held.len() - end > LONGEST_WORD {
            let character = self
                .held
                .iter()
                .rposition(|byte| byte & 0b1100_0000 != 0b1000_0000);
            return self.before_a_secret(character.unwrap_or_default());
        }
        loop {
            let before = self.before_a_secret(end);
            if before == end {
                return end;
            }
            end = space(self.held.get(..before).unwrap_or_default());
        }
    }

    /// The last place up to `end` at which no secret is cut in two.
    fn before_a_secret(&self, mut end: usize) -> usize {
        loop {
            let spans = |secret: &str| -> Option<usize> {
                let secret = secret.as_bytes();
                let first = (end + 1).saturating_sub(secret.len());
                (first..end).find(|at| {
                    let there = self.held.get(*at..).unwrap_or_default();
                    let length = there.len().min(secret.len());
                    there.get(..length) == secret.get(..length)
                })
            };
            match self.secrets.all().filter_map(spans).min() {
                Some(earlier) => end = earlier,
                None => return end,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secrets() -> Secrets {
        let entries = [
            "A=abcab",
            "B=two words of it",
            "C=line one\nline two",
            "D=postgres://u:geheim@db/x",
            "E=7",
            "F=ünïcode",
        ];
        Secrets::of(&entries.map(str::to_owned), &[])
    }

    fn in_pieces(text: &str, cuts: &[usize], pauses: bool) -> String {
        let mut flow = Flow::new(secrets());
        let (mut shown, mut rest) = (Vec::new(), text.as_bytes());
        for cut in cuts {
            let (piece, behind) = rest.split_at((*cut).min(rest.len()));
            shown.extend(flow.push(piece));
            if pauses {
                shown.extend(flow.pause());
            }
            rest = behind;
        }
        shown.extend(flow.push(rest));
        shown.extend(flow.end());
        assert!(flow.is_empty());
        String::from_utf8_lossy(&shown).into_owned()
    }

    #[test]
    fn what_is_no_secret_is_shown_as_soon_as_its_word_is_over() {
        let mut flow = Flow::new(secrets());
        assert_eq!(flow.push(b"hello wor"), b"hello ");
        assert_eq!(flow.push(b"ld\n"), b"world\n");
        assert_eq!(flow.push(b"Password: "), b"Password: ");
        assert_eq!(flow.push(b"ready? two"), b"ready? ");
        assert_eq!(flow.push(b" words of"), b"");
        assert_eq!(flow.push(b" course\n"), b"two words of course\n");
        assert_eq!(flow.push(b"$"), b"");
        assert_eq!(flow.pause(), b"$");
        assert_eq!(flow.push(b"abca"), b"");
        assert_eq!(flow.pause(), b"");
        assert_eq!(flow.push(b"b "), b"*** ");
        assert_eq!(flow.push(b"\xff\xfe done\n"), b"\xff\xfe done\n");
    }

    #[test]
    fn a_word_without_an_end_is_passed_on_within_bounds() {
        let mut flow = Flow::new(secrets());
        let mut shown = Vec::new();
        for _ in 0..64 {
            shown.extend(flow.push(&[b'x'; 1024]));
        }
        assert!(shown.len() >= 47 * 1024, "{}", shown.len());
        shown.extend(flow.push(b"abc"));
        shown.extend(flow.push("ab".as_bytes()));
        shown.extend(flow.end());
        let text = String::from_utf8_lossy(&shown).into_owned();
        assert!(text.ends_with("x***") && !text.contains("abcab"));
    }

    proptest! {
        #[test]
        fn however_a_text_is_cut_it_is_masked_as_a_whole(
            parts in proptest::collection::vec(prop_oneof![
                Just("abcab"), Just("abc"), Just("ab"), Just(" "), Just("\n"), Just("two words of it"), Just("two words"), Just("line one"),
                Just("line two"), Just("postgres://u:geheim@db/x"), Just("geheim"), Just("https://me:pw@host/"), Just("E=7"), Just("E=77"),
                Just("ünïcode"), Just("ünï"), Just("x"),
            ], 0..14),
            cuts in proptest::collection::vec(0_usize..9, 0..30),
        ) {
            let text = parts.concat();
            prop_assert_eq!(in_pieces(&text, &cuts, false), secrets().mask(&text));
            let paused = in_pieces(&text, &cuts, true);
            for secret in ["abcab", "two words of it", "line two", "geheim", "ünïcode"] {
                prop_assert!(!paused.contains(secret), "{:?} of {:?}", paused, text);
            }
        }
    }
}
