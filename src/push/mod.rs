//! Who waits for which request. A doorbell only: what has happened is read from the store, so that
//! nothing is pushed before it is durable, and nothing falls between subscribing and reading.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use dashmap::{DashMap, Entry};
use prometheus_client::metrics::counter::Counter;
use subtle::ConstantTimeEq;
use tokio::{sync::watch, time::Instant};
use zeroize::Zeroizing;

use crate::{
    domain::{RequestId, StreamId},
    store::{CommitListener, Committed},
};

/// Streams that one browser may hold open: an HTTP/1.1 browser opens six connections to a host, and
/// the seventh page would hang.
pub const STREAMS_PER_BROWSER: usize = 4;

/// The waiting pages of this process.
pub struct Doorbells {
    waiting: DashMap<RequestId, Bell>,
    /// Held while a place is counted and taken, so that of many who come at once none is overlooked.
    entrance: Mutex<()>,
    open: AtomicUsize,
    limit: usize,
    refused_to_browser: Counter,
    refused_to_process: Counter,
}

/// One request's door.
struct Bell {
    rung: watch::Sender<Instant>,
    /// What only the request's browser can present.
    proof: Zeroizing<String>,
}

impl Bell {
    fn is_proved_by(&self, presented: &str) -> bool {
        self.proof.as_bytes().ct_eq(presented.as_bytes()).into()
    }
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
    rung: Option<watch::Receiver<Instant>>,
}

impl fmt::Debug for Doorbells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorbells")
            .field("open", &self.open())
            .finish_non_exhaustive()
    }
}

impl Doorbells {
    /// `limit`: streams that the process may hold open.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            waiting: DashMap::new(),
            entrance: Mutex::new(()),
            open: AtomicUsize::new(0),
            limit,
            refused_to_browser: Counter::default(),
            refused_to_process: Counter::default(),
        }
    }

    /// Waits at a request's door, as the browser that has proved to be the request's by `proof`.
    /// `held` is what the browser presents as proofs of other requests: streams open for those that
    /// it proves count as this browser's.
    ///
    /// # Errors
    ///
    /// [`TooMany`] when a bound is reached.
    pub fn subscribe<'a>(
        self: &Arc<Self>,
        request: RequestId,
        proof: Zeroizing<String>,
        held: impl IntoIterator<Item = (&'a RequestId, &'a str)>,
    ) -> Result<Subscription, TooMany> {
        let _alone = self.entrance.lock().unwrap_or_else(PoisonError::into_inner);
        let mut proved = vec![request];
        for (other, presented) in held {
            let is_proved = || {
                let bell = self.waiting.get(other);
                bell.is_some_and(|bell| bell.is_proved_by(presented))
            };
            if !proved.contains(other) && is_proved() {
                proved.push(*other);
            }
        }
        let by_browser: usize = proved
            .iter()
            .filter_map(|held| self.waiting.get(held))
            .map(|bell| bell.rung.receiver_count())
            .sum();
        if by_browser >= STREAMS_PER_BROWSER {
            self.refused_to_browser.inc();
            return Err(TooMany::ForBrowser);
        }
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.limit {
            self.open.fetch_sub(1, Ordering::Relaxed);
            self.refused_to_process.inc();
            return Err(TooMany::ForProcess);
        }
        // Subscribing holds the entry, so that a leaving neighbour cannot remove it in between.
        let rung = self
            .waiting
            .entry(request)
            .or_insert_with(|| Bell {
                rung: watch::channel(Instant::now()).0,
                proof,
            })
            .rung
            .subscribe();
        Ok(Subscription {
            doorbells: Arc::clone(self),
            request,
            rung: Some(rung),
        })
    }

    /// How many streams were not opened: by the bound of a browser, and by that of the process.
    #[must_use]
    pub fn refused(&self) -> [u64; 2] {
        [&self.refused_to_browser, &self.refused_to_process].map(Counter::get)
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
            bell.rung.send_replace(Instant::now());
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

    fn put_back(&self) {
        let now = Instant::now();
        for bell in &self.waiting {
            bell.rung.send_replace(now);
        }
    }
}

impl Subscription {
    /// Waits until the bell rings, and says when it did; one that rang since the last call counts.
    pub async fn rung(&mut self) -> Option<Instant> {
        let rung = self.rung.as_mut()?;
        // The sender lives as long as anybody waits.
        rung.changed().await.ok()?;
        Some(*rung.borrow_and_update())
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.doorbells.open.fetch_sub(1, Ordering::Relaxed);
        if let Entry::Occupied(entry) = self.doorbells.waiting.entry(self.request) {
            // Given up while the entry is held, so that of two who leave at once the second is last.
            self.rung = None;
            if entry.get().rung.receiver_count() == 0 {
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

    fn proof(of: RequestId) -> String {
        format!("proof of {of}")
    }

    /// A browser that holds these requests comes for one of them.
    fn come(
        doorbells: &Arc<Doorbells>,
        request: RequestId,
        held: &[RequestId],
    ) -> Result<Subscription, TooMany> {
        let presented: Vec<_> = held.iter().map(|id| (*id, proof(*id))).collect();
        let presented = presented.iter().map(|(id, proof)| (id, proof.as_str()));
        doorbells.subscribe(request, Zeroizing::new(proof(request)), presented)
    }

    #[test]
    fn bounds_hold_for_a_browser_and_for_the_process_and_places_are_given_back() {
        let doorbells = Arc::new(Doorbells::new(6));
        let held: Vec<RequestId> = (0..5).map(|_| request()).collect();
        let mut places: Vec<_> = held[..4]
            .iter()
            .map(|id| come(&doorbells, *id, &held).unwrap())
            .collect();
        assert_eq!(
            come(&doorbells, held[4], &held).unwrap_err(),
            TooMany::ForBrowser
        );
        places.pop();
        places.push(come(&doorbells, held[4], &held).unwrap());
        let other = request();
        let _fifth = come(&doorbells, other, &[other]).unwrap();
        let another = request();
        let sixth = come(&doorbells, another, &[another]).unwrap();
        let last = request();
        assert_eq!(
            come(&doorbells, last, &[last]).unwrap_err(),
            TooMany::ForProcess
        );
        drop(sixth);
        assert!(come(&doorbells, last, &[last]).is_ok());
        drop(places);
        assert_eq!(doorbells.open(), 1);
        assert_eq!(doorbells.waiting.len(), 1);
    }

    #[test]
    fn only_what_a_browser_proves_counts_and_counts_once() {
        let doorbells = Arc::new(Doorbells::new(100));
        let (theirs, mine) = (request(), request());
        let _theirs: Vec<_> = (0..STREAMS_PER_BROWSER)
            .map(|_| come(&doorbells, theirs, &[]).unwrap())
            .collect();
        let proved = proof(theirs);
        let forged = [(&theirs, "forged"), (&theirs, "")];
        let own = || Zeroizing::new(proof(mine));
        let _first = doorbells.subscribe(mine, own(), forged).unwrap();
        let both = [(&theirs, "planted"), (&theirs, proved.as_str())];
        assert_eq!(
            doorbells.subscribe(mine, own(), both).unwrap_err(),
            TooMany::ForBrowser
        );
        // A request named many times is still one.
        let (busy, again) = (request(), request());
        let _busy: Vec<_> = (0..2)
            .map(|_| come(&doorbells, busy, &[]).unwrap())
            .collect();
        assert!(come(&doorbells, again, &[busy, busy, busy, again]).is_ok());
    }

    #[test]
    fn of_many_who_come_at_once_no_more_enter_than_may() {
        for _ in 0..50 {
            let doorbells = Arc::new(Doorbells::new(100));
            let held: Vec<RequestId> = (0..16).map(|_| request()).collect();
            let start = std::sync::Barrier::new(held.len());
            let entered: Vec<_> = std::thread::scope(|scope| {
                let comers: Vec<_> = held
                    .iter()
                    .map(|id| {
                        let (doorbells, held, start) = (&doorbells, &held, &start);
                        scope.spawn(move || {
                            start.wait();
                            come(doorbells, *id, held).ok()
                        })
                    })
                    .collect();
                comers
                    .into_iter()
                    .filter_map(|comer| comer.join().unwrap())
                    .collect()
            });
            assert_eq!(entered.len(), STREAMS_PER_BROWSER);
        }
    }
}
