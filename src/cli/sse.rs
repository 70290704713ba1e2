//! Reads a stream of Server-Sent Events, however it is split into pieces. Pure.

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The position in the stream after it.
    pub id: Option<String>,
    /// Its kind.
    pub kind: String,
    /// Its content.
    pub data: String,
}

/// What has come and is not a complete event yet.
#[derive(Debug, Default)]
pub struct Reader {
    pending: Vec<u8>,
    next: Message,
    has_data: bool,
    place: Option<String>,
}

impl Reader {
    /// The position in the stream after everything that was read completely. A stream may give it
    /// without an event, too.
    #[must_use]
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// Takes a piece, and returns the events that it completes. Lines that are not text are read as
    /// well as possible.
    pub fn take(&mut self, piece: &[u8]) -> Vec<Message> {
        self.pending.extend_from_slice(piece);
        let mut events = Vec::new();
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            if let Some(event) = self.line(line.trim_end_matches(['\r', '\n'])) {
                events.push(event);
            }
        }
        events
    }

    fn line(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let mut event = std::mem::take(&mut self.next);
            self.place = event.id.take().or(self.place.take());
            event.id.clone_from(&self.place);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if self.has_data {
                    self.next.data.push('\n');
                }
                self.next.data.push_str(value);
                self.has_data = true;
            }
            "event" => value.clone_into(&mut self.next.kind),
            "id" => self.next.id = Some(value.to_owned()),
            // Comments and unknown fields.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &str = ": mapek\n\nid: 7\nevent: drift\ndata: {\"a\":\ndata: \"ü\"}\n\n: still here\n\nevent: x\r\ndata:y\r\n\r\nid: 9\n\n";

    fn expected() -> Vec<Message> {
        let message = |id: Option<&str>, kind: &str, data: &str| Message {
            id: id.map(str::to_owned),
            kind: kind.to_owned(),
            data: data.to_owned(),
        };
        vec![
            message(Some("7"), "drift", "{\"a\":\n\"ü\"}"),
            message(Some("7"), "x", "y"),
        ]
    }

    #[test]
    fn a_place_without_an_event_is_kept_once_it_is_whole() {
        let mut reader = Reader::default();
        assert_eq!(reader.take(b": mapek\nid: 41\n"), []);
        assert_eq!(reader.place(), None);
        assert_eq!(reader.take(b"\nid: 4"), []);
        assert_eq!(reader.place(), Some("41"));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(cuts in proptest::collection::vec(0..STREAM.len(), 0..8)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let (mut reader, mut events, mut from) = (Reader::default(), Vec::new(), 0);
            for cut in cuts.into_iter().chain([STREAM.len()]) {
                events.extend(reader.take(STREAM.as_bytes().get(from..cut).unwrap_or_default()));
                from = cut;
            }
            prop_assert_eq!(events, expected());
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            Reader::default().take(&bytes);
        }
    }
}
