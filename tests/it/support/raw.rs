//! Calls as bytes on the wire, for what no client library would send.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    described::{Answer, assert_described},
    ledger,
    process::PATIENCE,
};

/// A call; nothing in it is checked or encoded.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: String,
    target: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Call {
    /// A call without headers or body.
    pub(crate) fn new(method: &str, target: impl AsRef<[u8]>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.as_ref().to_vec(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// With one more header, even if that repeats it.
    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Without a header.
    #[must_use]
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self
    }

    /// With a body; its media type is a header like any other.
    #[must_use]
    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// With more in the query.
    #[must_use]
    pub(crate) fn query(mut self, query: impl AsRef<[u8]>) -> Self {
        let joint = if self.target.contains(&b'?') {
            b'&'
        } else {
            b'?'
        };
        self.target.push(joint);
        self.target.extend_from_slice(query.as_ref());
        self
    }

    /// Path and query.
    pub(crate) fn target(&self) -> &[u8] {
        &self.target
    }

    /// Whether it has such a header.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    /// What is sent; the connection is not used again.
    pub(crate) fn bytes(&self, host: SocketAddr) -> Vec<u8> {
        let mut bytes = format!("{} ", self.method).into_bytes();
        bytes.extend_from_slice(&self.target);
        bytes.extend_from_slice(
            format!(" HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n").as_bytes(),
        );
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: ").as_bytes());
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if !self.body.is_empty() || matches!(&*self.method, "POST" | "PUT" | "PATCH") {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Sends it; `None` when the server closes the connection without a word.
    pub(crate) async fn send(&self, to: SocketAddr) -> Option<Raw> {
        let raw = Raw::of(to, &self.bytes(to), false).await?;
        raw.assert_described(&self.method, &self.target);
        Some(raw)
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Raw {
    /// Sends bytes; `cut` closes the sending side after them, for a call that never becomes whole.
    ///
    /// # Panics
    ///
    /// When the server neither answers nor closes.
    pub(crate) async fn of(to: SocketAddr, bytes: &[u8], cut: bool) -> Option<Self> {
        let mut stream = TcpStream::connect(to).await.expect("the server listens");
        // A refusal may come before everything is sent.
        let sent = stream.write_all(bytes).await;
        if cut && sent.is_ok() {
            let _ = stream.shutdown().await;
        }
        Self::read(&mut stream).await
    }

    /// Reads an answer to its end; of an event stream the head alone, for it has no end.
    pub(crate) async fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 8_192];
        loop {
            let read = timeout(PATIENCE, stream.read(&mut buffer)).await;
            let read = read.expect("the server answers or closes").unwrap_or(0);
            bytes.extend_from_slice(&buffer[..read]);
            let head = bytes.windows(4).position(|four| four == b"\r\n\r\n");
            let Some(end) = head else {
                if read == 0 {
                    return None;
                }
                continue;
            };
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            if read == 0 || head.contains("text/event-stream") {
                let status = head.split(' ').nth(1)?.parse().ok()?;
                let body = String::from_utf8_lossy(&bytes[end + 4..]).into_owned();
                let raw = Self { status, head, body };
                ledger::answered(status, raw.headers(), &raw.body);
                return Some(raw);
            }
        }
    }

    fn assert_described(&self, method: &str, target: &[u8]) {
        let target = String::from_utf8_lossy(target);
        let path = target.split(['?', '#']).next().unwrap_or_default();
        let headers = self
            .headers()
            .map(|(n, value)| (n.to_lowercase(), value.to_owned()));
        let whole = self.header("transfer-encoding").is_empty();
        assert_described(&Answer {
            method,
            path,
            sent: None,
            status: self.status,
            headers: headers.collect(),
            body: whole.then_some(&self.body),
        });
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.head.lines().skip(1);
        lines.filter_map(|line| line.split_once(": "))
    }

    /// A header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    }
}
