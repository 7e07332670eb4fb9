//! What is counted while requests are served. Each count is a handle on its own number: nothing is
//! looked up or written out when it is moved.

use std::sync::atomic::AtomicI64;

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

/// Connections, and why they were closed from here.
#[derive(Debug, Default)]
pub(super) struct Connections {
    pub(super) open: Gauge<i64, AtomicI64>,
    pub(super) slow_heads: Counter,
    pub(super) slow_bodies: Counter,
    pub(super) idle: Counter,
    pub(super) unread: Counter,
}

/// A connection that is open until this is dropped.
pub(super) struct Open<'a>(&'a Connections);

impl Connections {
    pub(super) fn opened(&self) -> Open<'_> {
        self.open.inc();
        Open(self)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.dec();
    }
}
