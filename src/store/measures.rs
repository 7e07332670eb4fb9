//! What is counted while the log is written and read on.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::{
    counter::Counter,
    histogram::{Histogram, exponential_buckets},
};

use super::follower::Follower;

/// Counts of one store since it was opened.
#[derive(Debug)]
pub struct Measures {
    /// Commands in one transaction.
    pub batch: Histogram,
    /// Seconds of one transaction, commit included.
    pub commit_seconds: Histogram,
    /// Transactions that were not committed, or not known to be.
    pub commit_failures: Counter,
    /// How far each follower has read.
    read_to: [AtomicU64; Follower::ALL.len()],
}

impl Default for Measures {
    fn default() -> Self {
        Self {
            batch: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            commit_seconds: Histogram::new(exponential_buckets(0.000_1, 2.5, 13)),
            commit_failures: Counter::default(),
            read_to: Default::default(),
        }
    }
}

impl Measures {
    pub(super) fn has_read(&self, follower: Follower, to: u64) {
        self.read_to[follower as usize].store(to, Ordering::Relaxed);
    }

    /// Each follower's name, and the position that it has read to.
    pub fn followers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let read_to = |follower: Follower| self.read_to[follower as usize].load(Ordering::Relaxed);
        Follower::ALL
            .into_iter()
            .map(move |follower| (follower.name(), read_to(follower)))
    }
}
