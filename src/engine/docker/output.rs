//! A command's output, kept within limits. Pure.

use std::collections::VecDeque;

use crate::engine::Tell;
use crate::fault::{Flow, Secrets};

/// Most bytes kept of one command's output: half from its beginning, half from its end.
pub const MOST: usize = 64 * 1024;

/// Collects output; what does not fit is cut out of the middle.
#[derive(Debug, Default)]
pub struct Output {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    cut: u64,
}

impl Output {
    /// Adds more output.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = (MOST / 2).saturating_sub(self.head.len());
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(MOST / 2);
        self.tail.drain(..over);
        self.cut = self.cut.saturating_add(u64::try_from(over).unwrap_or(u64::MAX));
    }

    /// Whether nothing was said so far.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// The text so far, without the secrets; bytes that are not UTF-8 become replacement
    /// characters.
    pub fn text(&self, secrets: &Secrets) -> String {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        if self.cut == 0 {
            let whole = [self.head.as_slice(), &tail].concat();
            return secrets.mask(&String::from_utf8_lossy(&whole));
        }
        format!(
            "{}\n[… {} bytes left out …]\n{}",
            secrets.mask_head(&String::from_utf8_lossy(&self.head)),
            self.cut,
            secrets.mask_tail(&String::from_utf8_lossy(&tail))
        )
    }
}

/// Keeps what a command says, and passes it on where somebody listens.
pub struct Ear<'t> {
    /// What is kept.
    pub output: Output,
    aloud: Option<(Flow, Tell<'t>)>,
}

impl<'t> Ear<'t> {
    /// Where `aloud`, what may be shown is passed on as it comes.
    pub fn new(aloud: Option<(Secrets, Tell<'t>)>) -> Self {
        Self {
            output: Output::default(),
            aloud: aloud.map(|(secrets, tell)| (Flow::new(secrets), tell)),
        }
    }

    /// Hears what was said next.
    pub fn push(&mut self, bytes: &[u8]) {
        self.output.push(bytes);
        if let Some((flow, tell)) = &mut self.aloud {
            pass(tell, &flow.push(bytes));
        }
    }

    /// Nothing was said for a while.
    pub fn pause(&mut self) {
        if let Some((flow, tell)) = &mut self.aloud {
            pass(tell, &flow.pause());
        }
    }

    /// Nothing more is said.
    pub fn end(&mut self) {
        if let Some((flow, tell)) = &mut self.aloud {
            pass(tell, &flow.end());
        }
    }
}

fn pass(tell: Tell<'_>, shown: &[u8]) {
    if !shown.is_empty() {
        tell(&String::from_utf8_lossy(shown));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_output_is_kept_whole_even_across_the_seam() {
        let mut output = Output::default();
        let text = "é".repeat(MOST / 2);
        for byte in text.as_bytes() {
            output.push(&[*byte]);
        }
        assert_eq!(output.text(&Secrets::default()), text);
    }

    proptest! {
        #[test]
        fn long_output_keeps_both_ends_and_counts_what_is_gone(sizes in proptest::collection::vec(0_usize..40_000, 0..12)) {
            let mut output = Output::default();
            let mut all = Vec::new();
            for (index, size) in sizes.iter().enumerate() {
                let letter = b'a' + u8::try_from(index).unwrap_or(0);
                let piece = vec![letter; *size];
                output.push(&piece);
                all.extend(piece);
            }
            let text = output.text(&Secrets::default());
            let all = String::from_utf8_lossy(&all).into_owned();
            if all.len() <= MOST {
                prop_assert_eq!(text, all);
            } else {
                let (head, tail) = (all.get(..MOST / 2), all.get(all.len() - MOST / 2..));
                prop_assert!(head.is_some_and(|head| text.starts_with(head)));
                prop_assert!(tail.is_some_and(|tail| text.ends_with(tail)));
                let note = format!("{} bytes left out", all.len() - MOST);
                prop_assert!(text.contains(&note));
            }
        }
    }
}
