//! Reads a `text/event-stream` as a browser's EventSource does (HTML Standard, §9.2).

use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::time::timeout;

use super::{
    described::{self, Answer, assert_described, assert_event_described},
    ledger,
    process::PATIENCE,
};

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SseEvent {
    /// `id`, or nothing.
    pub(crate) id: String,
    /// `event`, or nothing.
    pub(crate) event: String,
    /// `data`, which is JSON here.
    pub(crate) data: Value,
}

impl SseEvent {
    /// The member `status` of its data.
    #[track_caller]
    pub(crate) fn status(&self) -> &str {
        self.data["status"].as_str().expect("an event has a status")
    }
}

type Chunks = Pin<Box<dyn Stream<Item = reqwest::Result<Vec<u8>>> + Send>>;

/// An open stream, or the refusal of one.
pub(crate) struct Sse {
    /// The status code.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// Comments seen so far.
    pub(crate) comments: usize,
    /// `retry`, if it was said.
    pub(crate) retry: Option<u64>,
    chunks: Chunks,
    buffer: Vec<u8>,
    path: String,
}

impl Sse {
    pub(crate) fn new(response: reqwest::Response) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let path = response.url().path().to_owned();
        assert_described(&Answer {
            method: "GET",
            path: &path,
            sent: None,
            status,
            headers: described::plain(&headers),
            body: None,
        });
        let chunks = response
            .bytes_stream()
            .map(|chunk| chunk.map(|bytes| bytes.to_vec()));
        let chunks: Chunks = Box::pin(chunks);
        Self {
            status,
            headers,
            comments: 0,
            retry: None,
            chunks,
            buffer: Vec::new(),
            path,
        }
    }

    /// The next event; `None` when the server closed the stream, or the connection broke.
    ///
    /// # Panics
    ///
    /// When neither comes.
    pub(crate) async fn next(&mut self) -> Option<SseEvent> {
        let mut event = SseEvent {
            id: String::new(),
            event: String::new(),
            data: Value::Null,
        };
        let mut data: Option<String> = None;
        loop {
            let line = timeout(PATIENCE, self.line())
                .await
                .expect("waited in vain for an event")?;
            if line.is_empty() {
                if let Some(data) = data {
                    event.data = serde_json::from_str(&data).expect("data is JSON");
                    ledger::note_all(&event.data);
                    assert_event_described(&self.path, &event.data);
                    return Some(event);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" => self.comments += 1,
                "id" => value.clone_into(&mut event.id),
                "event" => value.clone_into(&mut event.event),
                "retry" => self.retry = value.parse().ok(),
                "data" => match &mut data {
                    None => data = Some(value.to_owned()),
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                },
                other => panic!("no such field: {other}"),
            }
        }
    }

    /// All events up to the end of the stream.
    pub(crate) async fn rest(mut self) -> Vec<SseEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.truncate(end);
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Some(String::from_utf8(line).expect("a stream is UTF-8"));
            }
            let chunk = self.chunks.next().await?.ok()?;
            self.buffer.extend(chunk);
        }
    }
}
