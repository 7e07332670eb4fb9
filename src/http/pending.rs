//! How many pages may wait for one client at the same time (`http-api.md`, §6).
//!
//! The database knows how many do, but counting them takes a while when they are many. So what it
//! said last is kept, with what was opened here since: more than that cannot be waiting, and only
//! when that comes to the limit is it asked again. What other nodes open is seen when it is asked,
//! which is at least every two minutes.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::Mutex as Turn;

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
    /// What the database said, once it has.
    counted: Option<u64>,
    /// When it was asked.
    asked_at: Duration,
    /// What was opened here since.
    since: u64,
    /// Held by the one who asks for the first time; whoever comes meanwhile waits for it.
    turn: Arc<Turn<()>>,
}

impl Count {
    fn uncounted(now: Duration) -> Self {
        Self {
            counted: None,
            asked_at: now,
            since: 0,
            turn: Arc::default(),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Admitted,
    /// Nothing is known yet: the pages must be counted by one whose turn it is.
    Uncounted,
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
        let count = clients
            .entry(client)
            .or_insert_with(|| Count::uncounted(now));
        let Some(counted) = count.counted else {
            return Step::Uncounted;
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
        let count = clients
            .entry(client)
            .or_insert_with(|| Count::uncounted(now));
        count.counted = Some(counted);
        count.since = count.since.saturating_sub(included);
        if counted + count.since < self.most.load(Ordering::Relaxed) {
            count.since += 1;
            Step::Admitted
        } else {
            Step::Refused
        }
    }

    /// Looks for room, and has them counted where that is needed: by one at a time while nothing is known.
    /// If `count` fails, or its caller goes, nothing is known as before and the next one counts.
    async fn room<E>(
        &self,
        client: ClientId,
        count: impl AsyncFnOnce() -> Result<u64, E>,
    ) -> Result<Step, E> {
        let mut step = self.step(client, edge::elapsed());
        let _turn;
        if step == Step::Uncounted {
            _turn = self.turn(client).lock_owned().await;
            step = self.step(client, edge::elapsed());
        }
        let included = match step {
            Step::Uncounted => 0,
            Step::Count { included } => included,
            step => return Ok(step),
        };
        let counted = count().await?;
        Ok(self.counted(client, counted, included, edge::elapsed()))
    }

    fn turn(&self, client: ClientId) -> Arc<Turn<()>> {
        let mut clients = self.lock();
        let count = clients
            .entry(client)
            .or_insert_with(|| Count::uncounted(edge::elapsed()));
        Arc::clone(&count.turn)
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
        // Every change leaves an upper bound, or nothing counted yet: there is nothing half done.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room for one more page that waits for the client from `now` on.
///
/// # Errors
///
/// 429 when too many wait; 503 when they cannot be counted.
pub(crate) async fn admit(app: &App, client: ClientId, now: Timestamp) -> Result<(), ApiError> {
    let since = now - app.lifetimes.request;
    let count = async || app.store.pending_of(&client, since).await;
    let step = app.pending.room(client, count).await?;
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
    use std::pin::pin;

    use futures_util::FutureExt;
    use tokio::sync::oneshot::error::RecvError;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn client(id: u128) -> ClientId {
        ClientId::from_uuid(uuid::Uuid::from_u128(id))
    }

    #[test]
    fn the_database_is_asked_at_first_and_when_it_is_full() {
        let pending = Pending::new(3);
        let one = client(1);
        assert_eq!(pending.step(one, NOW), Step::Uncounted);
        assert_eq!(pending.counted(one, 1, 0, NOW), Step::Admitted);
        assert_eq!(pending.step(one, NOW), Step::Admitted);
        // Two here and one from before.
        assert_eq!(pending.step(one, NOW), Step::Refused);
        assert_eq!(pending.step(client(2), NOW), Step::Uncounted);
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
    fn what_is_opened_while_they_are_counted_again_is_not_lost() {
        let pending = Pending::new(3);
        let one = client(1);
        assert_eq!(pending.counted(one, 3, 0, NOW), Step::Refused);
        let later = NOW + RECOUNT;
        assert_eq!(pending.step(one, later), Step::Count { included: 0 });
        assert_eq!(pending.counted(one, 1, 0, later), Step::Admitted);
        assert_eq!(pending.step(one, later), Step::Admitted);
        assert_eq!(pending.step(one, later), Step::Refused);
    }

    #[tokio::test]
    async fn nobody_is_admitted_before_they_are_counted_and_one_counts() {
        // Given one that counts.
        let pending = Pending::new(3);
        let one = client(1);
        let (tell, told) = tokio::sync::oneshot::channel::<u64>();
        let mut first = pin!(pending.room(one, async || told.await));
        assert!(first.as_mut().now_or_never().is_none());
        // When another comes meanwhile.
        let mut second = pin!(pending.room(one, async || -> Result<u64, RecvError> {
            unreachable!("one counts")
        }));
        assert!(second.as_mut().now_or_never().is_none());
        // Then both go by what the first was told.
        tell.send(2).unwrap();
        assert_eq!(first.await, Ok(Step::Admitted));
        assert_eq!(second.await, Ok(Step::Refused));
    }

    #[tokio::test]
    async fn a_count_that_failed_or_was_given_up_leaves_it_to_the_next() {
        let pending = Pending::new(1);
        let one = client(1);
        // Given one that hung up while they were counted, and one whose count failed.
        {
            let mut gone = pin!(pending.room(one, async || -> Result<u64, ()> {
                std::future::pending().await
            }));
            assert!(gone.as_mut().now_or_never().is_none());
        }
        assert_eq!(pending.room(one, async || Err(())).await, Err(()));
        // When the next one comes, then they are counted.
        let full = pending.room(one, async || Ok::<_, ()>(1)).await;
        assert_eq!(full, Ok(Step::Refused));
    }

    #[test]
    fn an_old_count_is_forgotten_and_asked_for_again() {
        let pending = Pending::new(3);
        let one = client(1);
        assert_eq!(pending.step(one, NOW), Step::Uncounted);
        assert_eq!(pending.counted(one, 0, 0, NOW), Step::Admitted);
        pending.forget(NOW + BELIEVED - Duration::from_secs(1));
        assert_eq!(pending.step(one, NOW), Step::Admitted);
        pending.forget(NOW + BELIEVED);
        assert_eq!(pending.step(one, NOW), Step::Uncounted);
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
