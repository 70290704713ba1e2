//! What happened, line by line: a fingerprint always, the lines where somebody wants to read them.

use std::time::Duration;

use crate::story::clock;

pub struct Trace {
    lines: Option<Vec<String>>,
    hash: u64,
    pub count: u64,
}

impl Trace {
    pub fn new(kept: bool) -> Self {
        Self {
            lines: kept.then(Vec::new),
            hash: 0xcbf2_9ce4_8422_2325,
            count: 0,
        }
    }

    pub fn note(&mut self, at: Duration, line: &str) {
        self.count += 1;
        let stamp = at.as_nanos().to_le_bytes();
        for byte in stamp.iter().chain(line.as_bytes()) {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{}  {line}", clock(at)));
        }
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn take(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }
}
