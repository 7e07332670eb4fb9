//! Reading an event stream (WHATWG HTML §9.2.6).

use std::mem;

use crate::cli::Failure;

/// An event as it was dispatched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Event {
    /// The last id seen.
    pub(super) id: String,
    /// Its type, `message` unless named.
    pub(super) event: String,
    /// Its lines of data.
    pub(super) data: String,
}

/// Bytes go in as they come, events come out when they are whole.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    after_cr: bool,
    begun: bool,
    id: String,
    event: String,
    data: Vec<String>,
}

/// A line longer than that is not one of a server of ours.
const MAX_LINE_BYTES: usize = 64 * 1024;

impl Parser {
    /// Takes in what has arrived, and yields the events that it completes.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, Failure> {
        let mut events = Vec::new();
        for &byte in bytes {
            match byte {
                // The second half of CR LF, however they were cut apart.
                b'\n' if mem::take(&mut self.after_cr) => {}
                b'\n' | b'\r' => {
                    self.after_cr = byte == b'\r';
                    events.extend(self.end_line());
                }
                byte => {
                    self.after_cr = false;
                    if self.line.len() >= MAX_LINE_BYTES {
                        return Err(Failure::failed("a line of the event stream is too long"));
                    }
                    self.line.push(byte);
                }
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let first = !mem::replace(&mut self.begun, true);
        let line = if first {
            line.strip_prefix('\u{feff}').unwrap_or(&line)
        } else {
            &line
        };
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => self.data.push(value.to_owned()),
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            // Comments, `retry`, and fields that do not exist.
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Event> {
        let event = mem::take(&mut self.event);
        let data = mem::take(&mut self.data);
        if data.is_empty() {
            return None;
        }
        let event = if event.is_empty() {
            "message".to_owned()
        } else {
            event
        };
        Some(Event {
            id: self.id.clone(),
            event,
            data: data.join("\n"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\u{feff}retry: 1000\n: keep-alive\n\nid: 1\nevent: status\n\
        data: {\"status\":\"pending\"}\n\n:\r\n\r\nid: 3\revent:status\rdata: a\rdata:  b\r\r\
        event: nothing\n\ndata\n\nunknown: x\ndata: last\n\ndata: never finished\n";

    fn expected() -> Vec<Event> {
        let event = |id: &str, event: &str, data: &str| Event {
            id: id.into(),
            event: event.into(),
            data: data.into(),
        };
        vec![
            event("1", "status", "{\"status\":\"pending\"}"),
            event("3", "status", "a\n b"),
            event("3", "message", ""),
            event("3", "message", "last"),
        ]
    }

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut() {
        for size in 1..=STREAM.len() {
            let mut parser = Parser::default();
            let chunks = STREAM.as_bytes().chunks(size);
            let events: Vec<Event> = chunks
                .flat_map(|chunk| parser.feed(chunk).unwrap())
                .collect();
            assert_eq!(events, expected(), "cut into {size}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        assert!(Parser::default().feed(&[b'x'; MAX_LINE_BYTES + 1]).is_err());
    }
}
