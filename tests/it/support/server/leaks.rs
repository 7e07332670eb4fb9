//! That nothing secret stands in what a server logs and measures: looked at when it is stopped or dropped.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::{TestServer, ledger, locked};

/// How long metrics may take; a server that hangs, as some tests make it, has none.
const LIMIT: Duration = Duration::from_secs(2);

impl TestServer {
    /// That none of its log lines holds anything secret, as far as they were not looked through twice
    /// before: a line may be written a moment before its secret is known to a test.
    pub(crate) fn assert_nothing_leaked(&self) {
        ledger::note_keys(&self.data_dir());
        let text = self.output.text();
        let from = {
            let mut looked = locked(&self.looked);
            let from = looked.0;
            *looked = (looked.1, text.len());
            from
        };
        // Whole lines.
        let from = text[..from].rfind('\n').map_or(0, |end| end + 1);
        ledger::assert_none_in("a log line", &text[from..]);
    }

    /// That its metrics hold nothing secret, if it tells them.
    pub(super) fn assert_metrics_tell_nothing(&self) {
        ledger::assert_none_in("the metrics", &self.metrics().unwrap_or_default());
    }

    /// Its metrics, if it runs and tells them: some tests take away what that needs. Nothing is awaited,
    /// for nothing can be when a server is dropped.
    pub(crate) fn metrics(&self) -> Option<String> {
        self.process.as_ref()?;
        let args = &self.options.args;
        let apart = args.iter().position(|arg| arg == "--admin-listen");
        let address = match apart.and_then(|at| args.get(at + 1)) {
            Some(apart) => apart.parse().ok()?,
            None => self.address(),
        };
        let path = format!("{}/metrics", self.path());
        scrape(address, &path, self.admin_key())
    }
}

/// GET with an admin key; the whole answer, if it is a success.
fn scrape(address: SocketAddr, path: &str, admin_key: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT).ok()?;
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    let call = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {admin_key}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(call.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.starts_with("HTTP/1.1 200").then_some(answer)
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // A second panic would hide the first.
        if !std::thread::panicking() {
            let metrics = self.metrics();
            self.process = None;
            *locked(&self.looked) = (0, 0);
            self.assert_nothing_leaked();
            ledger::assert_none_in("the metrics", &metrics.unwrap_or_default());
        }
    }
}
