//! Who waits for which request. A doorbell only: what has happened is read from the store, so that
//! nothing is pushed before it is durable, and nothing falls between subscribing and reading.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use dashmap::{DashMap, Entry};
use tokio::sync::watch;

use crate::{
    domain::{RequestId, StreamId},
    store::{CommitListener, Committed},
};

/// Streams that one browser may hold open: an HTTP/1.1 browser opens six connections to a host, and
/// the seventh page would hang.
pub const STREAMS_PER_BROWSER: usize = 4;

/// The waiting pages of this process.
#[derive(Debug)]
pub struct Doorbells {
    waiting: DashMap<RequestId, watch::Sender<()>>,
    open: AtomicUsize,
    limit: usize,
}

/// Why no further stream is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMany {
    /// This browser holds as many as it may.
    ForBrowser,
    /// The process holds as many as it can.
    ForProcess,
}

/// A place at a request's door. Dropping it leaves.
#[derive(Debug)]
pub struct Subscription {
    doorbells: Arc<Doorbells>,
    request: RequestId,
    rung: Option<watch::Receiver<()>>,
}

impl Doorbells {
    /// `limit`: streams that the process may hold open.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            waiting: DashMap::new(),
            open: AtomicUsize::new(0),
            limit,
        }
    }

    /// Waits at a request's door. `held` are the requests whose cookies the browser holds: streams
    /// open for any of them count as this browser's.
    ///
    /// # Errors
    ///
    /// [`TooMany`] when a bound is reached.
    pub fn subscribe(
        self: &Arc<Self>,
        request: RequestId,
        held: &[RequestId],
    ) -> Result<Subscription, TooMany> {
        let others = held.iter().filter(|held| **held != request);
        let by_browser: usize = others
            .chain([&request])
            .filter_map(|held| self.waiting.get(held))
            .map(|bell| bell.receiver_count())
            .sum();
        if by_browser >= STREAMS_PER_BROWSER {
            return Err(TooMany::ForBrowser);
        }
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.limit {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(TooMany::ForProcess);
        }
        // Subscribing holds the entry, so that a leaving neighbour cannot remove it in between.
        let rung = self
            .waiting
            .entry(request)
            .or_insert_with(|| watch::channel(()).0)
            .subscribe();
        Ok(Subscription {
            doorbells: Arc::clone(self),
            request,
            rung: Some(rung),
        })
    }

    /// How many streams are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

impl Doorbells {
    fn ring(&self, stream: &StreamId) {
        if let StreamId::AuthRequest(request) = stream
            && let Some(bell) = self.waiting.get(request)
        {
            bell.send_replace(());
        }
    }
}

impl CommitListener for Doorbells {
    fn committed(&self, events: &[Committed]) {
        events.iter().for_each(|event| self.ring(&event.stream));
    }

    fn appended_elsewhere(&self, streams: &[StreamId]) {
        streams.iter().for_each(|stream| self.ring(stream));
    }
}

impl Subscription {
    /// Waits until the bell rings; one that rang since the last call counts.
    pub async fn rung(&mut self) {
        if let Some(rung) = &mut self.rung {
            // The sender lives as long as anybody waits.
            let _ = rung.changed().await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.doorbells.open.fetch_sub(1, Ordering::Relaxed);
        if let Entry::Occupied(entry) = self.doorbells.waiting.entry(self.request) {
            // Given up while the entry is held, so that of two who leave at once the second is last.
            self.rung = None;
            if entry.get().receiver_count() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge;

    fn request() -> RequestId {
        edge::new_request_id(edge::Clock.now())
    }

    #[test]
    fn bounds_hold_for_a_browser_and_for_the_process_and_places_are_given_back() {
        let doorbells = Arc::new(Doorbells::new(6));
        let held: Vec<RequestId> = (0..5).map(|_| request()).collect();
        let mut places: Vec<_> = held[..4]
            .iter()
            .map(|id| doorbells.subscribe(*id, &held).unwrap())
            .collect();
        assert_eq!(
            doorbells.subscribe(held[4], &held).unwrap_err(),
            TooMany::ForBrowser
        );
        places.pop();
        places.push(doorbells.subscribe(held[4], &held).unwrap());
        let other = request();
        let _fifth = doorbells.subscribe(other, &[other]).unwrap();
        let another = request();
        let sixth = doorbells.subscribe(another, &[another]).unwrap();
        let last = request();
        assert_eq!(
            doorbells.subscribe(last, &[last]).unwrap_err(),
            TooMany::ForProcess
        );
        drop(sixth);
        assert!(doorbells.subscribe(last, &[last]).is_ok());
        drop(places);
        assert_eq!(doorbells.open(), 1);
        assert_eq!(doorbells.waiting.len(), 1);
    }
}
