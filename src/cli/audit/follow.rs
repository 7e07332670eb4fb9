//! The live tail: events as they are appended, over cuts and restarts of the server.

use std::time::Duration;

use super::{PATH, tell};
use crate::cli::{
    Failure, Output,
    admin::{Remote, StreamError},
    signals::StopSignals,
};

/// The server writes a comment at least every 15 seconds: a stream that is silent for longer is cut.
const SILENCE: Duration = Duration::from_secs(45);
/// How long to wait before trying again.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest event that is taken; the log holds none over 32 KiB.
const MOST_BYTES: usize = 1024 * 1024;

/// Follows until Ctrl-C, which is how it is meant to end, or until nobody reads on.
pub(super) async fn run(
    remote: &Remote,
    query: Vec<(&'static str, String)>,
    after: Option<String>,
    output: Output,
) -> Result<(), Failure> {
    let mut signals = StopSignals::catch()
        .map_err(|error| Failure::failed(format!("cannot catch signals: {error}")))?;
    tokio::select! {
        ended = follow(remote, query, after, output) => ended,
        () = signals.next() => Ok(()),
    }
}

/// Only a refusal ends it, and a reader who has gone.
async fn follow(
    remote: &Remote,
    mut query: Vec<(&'static str, String)>,
    after: Option<String>,
    output: Output,
) -> Result<(), Failure> {
    query.extend(after.map(|after| ("after", after)));
    let mut seen: Option<String> = None;
    let mut opened = false;
    loop {
        match remote.stream(&path(&query), seen.as_deref()).await {
            Ok(mut response) => {
                opened = true;
                let mut events = Events::default();
                while let Ok(Ok(Some(bytes))) =
                    tokio::time::timeout(SILENCE, response.chunk()).await
                {
                    for event in events.read(&bytes) {
                        if let Ok(told) = serde_json::from_str(&event.data) {
                            tell(&told, output);
                        }
                        if output.untold().is_some() {
                            return Ok(());
                        }
                        // The first says where the tail begins, and no more.
                        seen = event.id.or(seen);
                    }
                    if events.unread.len() > MOST_BYTES {
                        return Err(Failure::failed("the server sends what is no event"));
                    }
                }
                output.hint("the stream was cut: trying again");
            }
            Err(StreamError::Cut(failure)) if !opened => return Err(failure),
            Err(StreamError::Cut(_)) => {}
            Err(StreamError::Refused(failure)) => return Err(failure),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn path(query: &[(&'static str, String)]) -> String {
    let pairs = query.iter().map(|(name, value)| (*name, value.as_str()));
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    format!("{PATH}?{query}")
}

/// One server-sent event.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    id: Option<String>,
    data: String,
}

/// Server-sent events out of bytes that come in any pieces.
#[derive(Debug, Default)]
struct Events {
    unread: Vec<u8>,
    event: Event,
}

impl Events {
    /// The events that are complete now.
    fn read(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.unread.extend_from_slice(bytes);
        let mut complete = Vec::new();
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                complete.extend(Some(event).filter(|event| *event != Event::default()));
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => self.event.id = Some(value.to_owned()),
                "data" => self.event.data.push_str(value),
                _ => {}
            }
        }
        complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_out_of_any_pieces() {
        let text = b"id: 6\n\n: comment\n\nevent: event\nid: 7\ndata: {\"a\":1}\n\nid: 8\r\ndata: {}\r\n\r\nid: 9\n";
        let event = |id: &str, data: &str| Event {
            id: Some(id.to_owned()),
            data: data.to_owned(),
        };
        for size in 1..text.len() {
            let mut events = Events::default();
            let read: Vec<Event> = text
                .chunks(size)
                .flat_map(|piece| events.read(piece))
                .collect();
            assert_eq!(
                read,
                [event("6", ""), event("7", "{\"a\":1}"), event("8", "{}")]
            );
        }
    }
}
