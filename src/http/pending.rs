//! How many pages may wait for one client at the same time (`http-api.md`, §6).
//!
//! The database knows how many do, but counting them takes a while when they are many. So what it
//! said last is kept, with what was opened here since: more than that cannot be waiting, and only
//! when that comes to the limit is it asked again. What other nodes open is seen when it is asked,
//! which is at least every two minutes.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;

use super::{ApiError, app::App, limit::OverLimit};
use crate::{domain::ClientId, edge};

/// How long a client that is at its limit waits until its pages are counted again.
const RECOUNT: Duration = Duration::from_secs(5);
/// How long a count is believed. Sweeps come once a minute.
const BELIEVED: Duration = Duration::from_secs(60);
const WHAT: &str = "sign-ins waiting at this website";

/// What is known of each client that was asked for lately.
pub(crate) struct Pending {
    /// Pages that may wait for one client; 0 for any number.
    most: AtomicU64,
    clients: Mutex<HashMap<ClientId, Count>>,
    refused: AtomicU64,
}

struct Count {
    /// What the database said; `None` until it has answered, however often it was asked.
    counted: Option<u64>,
    /// When it was asked.
    asked_at: Duration,
    /// What was opened here since.
    since: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Admitted,
    /// The pages must be counted; how many of those opened here the count will include.
    Count {
        included: u64,
    },
    Refused,
}

impl Pending {
    pub(crate) fn new(most: u64) -> Self {
        Self {
            most: AtomicU64::new(most),
            clients: Mutex::default(),
            refused: AtomicU64::new(0),
        }
    }

    /// Lets so many wait from now on; those that wait already go on waiting.
    pub(crate) fn set(&self, most: u64) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// How many pages were refused since the start.
    pub(crate) fn refusals(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Looks for room with what is known.
    fn step(&self, client: ClientId, now: Duration) -> Step {
        let most = self.most.load(Ordering::Relaxed);
        if most == 0 {
            return Step::Admitted;
        }
        let mut clients = self.lock();
        let count = clients.entry(client).or_insert(Count {
            counted: None,
            asked_at: now,
            since: 0,
        });
        let Some(counted) = count.counted else {
            // Whoever asked first may have gone away, or was not answered: each asks until one is.
            return Step::Count { included: 0 };
        };
        if counted + count.since < most {
            count.since += 1;
            Step::Admitted
        } else if now.saturating_sub(count.asked_at) >= RECOUNT {
            // One asks; whoever comes meanwhile hears that it is full.
            count.asked_at = now;
            Step::Count {
                included: count.since,
            }
        } else {
            Step::Refused
        }
    }

    /// Looks again once they are counted.
    fn counted(&self, client: ClientId, counted: u64, included: u64, now: Duration) -> Step {
        let mut clients = self.lock();
        let count = clients.entry(client).or_insert(Count {
            counted: None,
            asked_at: now,
            since: included,
        });
        count.counted = Some(counted);
        count.since = count.since.saturating_sub(included);
        if counted + count.since < self.most.load(Ordering::Relaxed) {
            count.since += 1;
            Step::Admitted
        } else {
            Step::Refused
        }
    }

    /// Forgets counts that are no longer believed.
    pub(crate) fn sweep(&self) {
        self.forget(edge::elapsed());
    }

    fn forget(&self, now: Duration) {
        self.lock()
            .retain(|_, count| now.saturating_sub(count.asked_at) < BELIEVED);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ClientId, Count>> {
        // Every change leaves a count that is an upper bound: there is nothing half done.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room for one more page that waits for the client from `now` on.
///
/// # Errors
///
/// 429 when too many wait; 503 when they cannot be counted.
pub(crate) async fn admit(app: &App, client: ClientId, now: Timestamp) -> Result<(), ApiError> {
    let step = match app.pending.step(client, edge::elapsed()) {
        Step::Count { included } => {
            let since = now - app.lifetimes.request;
            let counted = app.store.pending_of(&client, since).await?;
            app.pending
                .counted(client, counted, included, edge::elapsed())
        }
        step => step,
    };
    if step == Step::Admitted {
        return Ok(());
    }
    app.pending.refused.fetch_add(1, Ordering::Relaxed);
    tracing::debug!(%client, "too many {WHAT}");
    Err(ApiError::from(OverLimit {
        what: WHAT,
        wait: RECOUNT,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn client(id: u128) -> ClientId {
        ClientId::from_uuid(uuid::Uuid::from_u128(id))
    }

    #[test]
    fn the_database_is_asked_at_first_and_when_it_is_full() {
        let pending = Pending::new(3);
        let one = client(1);
        assert_eq!(pending.step(one, NOW), Step::Count { included: 0 });
        assert_eq!(pending.counted(one, 1, 0, NOW), Step::Admitted);
        assert_eq!(pending.step(one, NOW), Step::Admitted);
        // Two here and one from before.
        assert_eq!(pending.step(one, NOW), Step::Refused);
        assert_eq!(pending.step(client(2), NOW), Step::Count { included: 0 });
        let later = NOW + RECOUNT;
        assert_eq!(pending.step(one, later), Step::Count { included: 2 });
        assert_eq!(pending.step(one, later), Step::Refused);
        // An agent has signed in to one of them meanwhile.
        assert_eq!(pending.counted(one, 2, 2, later), Step::Admitted);
        assert_eq!(pending.step(one, later), Step::Refused);
        let later = later + RECOUNT;
        assert_eq!(pending.step(one, later), Step::Count { included: 1 });
        assert_eq!(pending.counted(one, 3, 1, later), Step::Refused);
    }

    #[test]
    fn nobody_is_admitted_uncounted() {
        let pending = Pending::new(3);
        let one = client(1);
        // The first is not answered, or goes away meanwhile.
        for _ in 0..5 {
            assert_eq!(pending.step(one, NOW), Step::Count { included: 0 });
        }
        // Two asked at the same time: neither is in the other's count.
        assert_eq!(pending.counted(one, 1, 0, NOW), Step::Admitted);
        assert_eq!(pending.counted(one, 1, 0, NOW), Step::Admitted);
        assert_eq!(pending.step(one, NOW), Step::Refused);
    }

    #[test]
    fn what_is_opened_while_they_are_counted_again_is_not_lost() {
        let pending = Pending::new(2);
        let one = client(1);
        pending.step(one, NOW);
        assert_eq!(pending.counted(one, 1, 0, NOW), Step::Admitted);
        let later = NOW + RECOUNT;
        assert_eq!(pending.step(one, later), Step::Count { included: 1 });
        pending.set(3);
        assert_eq!(pending.step(one, later), Step::Admitted);
        assert_eq!(pending.counted(one, 2, 1, later), Step::Refused);
    }

    #[test]
    fn an_old_count_is_forgotten_and_asked_for_again() {
        let pending = Pending::new(3);
        let one = client(1);
        pending.step(one, NOW);
        pending.counted(one, 0, 0, NOW);
        pending.forget(NOW + BELIEVED - Duration::from_secs(1));
        assert_eq!(pending.step(one, NOW), Step::Admitted);
        pending.forget(NOW + BELIEVED);
        assert_eq!(pending.step(one, NOW), Step::Count { included: 0 });
        // It went while they were being counted.
        pending.forget(NOW + BELIEVED);
        assert_eq!(pending.counted(one, 2, 0, NOW), Step::Admitted);
        assert_eq!(pending.step(one, NOW), Step::Refused);
    }

    #[test]
    fn zero_switches_it_off() {
        let pending = Pending::new(0);
        for _ in 0..100 {
            assert_eq!(pending.step(client(1), NOW), Step::Admitted);
        }
        assert!(pending.lock().is_empty());
    }
}
