//! An HTTP/1.1 connection that is kept alive and costs its process as little as possible: the
//! generator runs on the cores that it measures. It speaks to the servers of this harness alone.

use std::{fmt::Write as _, io, net::SocketAddr};

use tokio::net::TcpStream;

/// Why a call failed, for people.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
/// What comes of a call.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// One connection; one call at a time.
pub(crate) struct Connection {
    host: String,
    stream: TcpStream,
    /// What has been read; the first `used` bytes of it are done with.
    buffer: Vec<u8>,
    used: usize,
}

/// A whole answer.
pub(crate) struct Response {
    /// The status code.
    pub(crate) status: u16,
    /// The status line and the headers.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: String,
}

impl Response {
    /// The same, if it is a success.
    pub(crate) fn ok(self) -> Result<Self> {
        if (200..300).contains(&self.status) {
            Ok(self)
        } else {
            Err(format!("{}\n{}", self.head, self.body).into())
        }
    }

    /// The value of the header `name`, given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            host: to.to_string(),
            stream,
            buffer: Vec::with_capacity(16 * 1024),
            used: 0,
        })
    }

    /// GET; `headers` are whole lines, each with its end.
    pub(crate) async fn get(&mut self, path: &str, headers: &str) -> Result<Response> {
        let text = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\n{headers}\r\n",
            self.host
        );
        self.call(&text).await
    }

    /// POST of a body of that type; `headers` are whole lines, each with its end.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        headers: &str,
        content_type: &str,
        body: &str,
    ) -> Result<Response> {
        self.send("POST", path, headers, content_type, body).await
    }

    /// The same with another method.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        content_type: &str,
        body: &str,
    ) -> Result<Response> {
        let mut text = String::with_capacity(256 + path.len() + headers.len() + body.len());
        write!(
            text,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\n{headers}content-type: {content_type}\r\n\
             content-length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        )?;
        self.call(&text).await
    }

    async fn call(&mut self, text: &str) -> Result<Response> {
        self.write(text.as_bytes()).await?;
        let head = self.head().await?;
        let status = status(&head)?;
        let body = match header(&head, "content-length") {
            Some(length) => self.take(length.parse()?).await?,
            None if is_chunked(&head) => {
                let mut body = Vec::new();
                while let Some(chunk) = self.chunk().await? {
                    body.extend(chunk);
                }
                body
            }
            None => Vec::new(),
        };
        Ok(Response {
            status,
            head,
            body: String::from_utf8(body)?,
        })
    }

    /// GET of a `text/event-stream`, up to its headers.
    pub(crate) async fn events(&mut self, path: &str, headers: &str) -> Result<()> {
        let text = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\n{headers}\r\n",
            self.host
        );
        self.write(text.as_bytes()).await?;
        let head = self.head().await?;
        if status(&head)? != 200 || !is_chunked(&head) {
            return Err(head.into());
        }
        Ok(())
    }

    /// The data of the next event; the servers send each event as one chunk. `None` at the end of
    /// the stream; then the connection is free for another call.
    pub(crate) async fn event(&mut self) -> Result<Option<String>> {
        while let Some(chunk) = self.chunk().await? {
            let text = String::from_utf8(chunk)?;
            if let Some(data) = text.lines().find_map(|line| line.strip_prefix("data: ")) {
                return Ok(Some(data.to_owned()));
            }
        }
        Ok(None)
    }

    async fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let line = self.until(b"\r\n").await?;
        let size = usize::from_str_radix(std::str::from_utf8(&line)?.trim_end(), 16)?;
        let mut chunk = self.take(size + 2).await?;
        chunk.truncate(size);
        Ok((size > 0).then_some(chunk))
    }

    async fn head(&mut self) -> Result<String> {
        Ok(String::from_utf8(self.until(b"\r\n\r\n").await?)?)
    }

    /// Reads up to and with `end`.
    async fn until(&mut self, end: &[u8]) -> Result<Vec<u8>> {
        let mut looked = 0;
        loop {
            let unread = &self.buffer[self.used..];
            let from = looked;
            if let Some(at) = unread[from..]
                .windows(end.len())
                .position(|window| window == end)
            {
                return self.take(from + at + end.len()).await;
            }
            looked = unread.len().saturating_sub(end.len() - 1);
            self.fill().await?;
        }
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.buffer.len() - self.used < length {
            self.fill().await?;
        }
        let taken = self.buffer[self.used..self.used + length].to_vec();
        self.used += length;
        if self.used == self.buffer.len() {
            self.buffer.clear();
            self.used = 0;
        }
        Ok(taken)
    }

    async fn fill(&mut self) -> Result<()> {
        let mut part = [0; 8 * 1024];
        loop {
            self.stream.readable().await?;
            match self.stream.try_read(&mut part) {
                Ok(0) => return Err("the server closed the connection".into()),
                Ok(length) => {
                    self.buffer.extend(&part[..length]);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.stream.try_write(bytes) {
                Ok(length) => bytes = &bytes[length..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stream.writable().await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn status(head: &str) -> Result<u16> {
    Ok(head.get(9..12).ok_or("not an HTTP/1.1 answer")?.parse()?)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn is_chunked(head: &str) -> bool {
    header(head, "transfer-encoding") == Some("chunked")
}
