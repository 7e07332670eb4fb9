//! Failed guesses of agents' secrets: counted here, in this process's memory, and summed up in the log
//! from time to time ([`CredentialFailures`]), so that an auditor sees them and nobody can grow the log.
//!
//! Whether there is such an agent is asked later, not by the call that failed: its answer must take as
//! long for an id that is unknown.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{AgentId, CREDENTIAL_FAILURES_APART, CredentialFailures, Metadata, NotSummedUp},
    edge::{self, Clock},
    store::{Store, StoreError},
};

/// How often it is looked whether something is to be summed up.
const PACE: Duration = Duration::from_secs(60);
/// How often at most unknown ids are sorted out when there are many.
const CROWDED_PACE: Duration = Duration::from_secs(1);
/// Ids that are counted at a time: some 1 MB when full.
const MOST_COUNTED: usize = 10_000;

/// The failures of one id since they were last summed up.
#[derive(Debug, Clone, PartialEq)]
struct Tally {
    failures: CredentialFailures,
    /// When the first came, in time that only goes forward.
    began: Duration,
    /// Whether there is such an agent.
    known: bool,
}

impl Tally {
    /// Whether its window has ended, for failures that began by then.
    fn is_due(&self, began_by: Option<Duration>) -> bool {
        self.known && began_by.is_some_and(|began_by| self.began <= began_by)
    }

    fn add(&mut self, other: &Self) {
        let (own, others) = (&mut self.failures, &other.failures);
        own.count += others.count;
        own.since = own.since.min(others.since);
        own.until = own.until.max(others.until);
        self.began = self.began.min(other.began);
        self.known |= other.known;
    }
}

#[derive(Debug, Default)]
struct Tallies {
    of: HashMap<AgentId, Tally>,
    /// Failures that found no room.
    lost: u64,
}

impl Tallies {
    fn add(&mut self, id: AgentId, tally: Tally) {
        if let Some(held) = self.of.get_mut(&id) {
            held.add(&tally);
        } else if self.of.len() < MOST_COUNTED {
            self.of.insert(id, tally);
        } else {
            self.lost += tally.failures.count;
        }
    }
}

/// What was counted and is not in the log yet.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    tallies: Mutex<Tallies>,
    crowded: Notify,
}

impl Failures {
    /// Counts a failure with this id; a text that is no id is no agent's.
    pub(crate) fn count(&self, id: &str) {
        if let Ok(id) = id.parse() {
            self.count_at(id, Clock.now(), edge::elapsed());
        }
    }

    fn count_at(&self, id: AgentId, now: Timestamp, elapsed: Duration) {
        let failures = CredentialFailures {
            count: 1,
            since: now,
            until: now,
        };
        let mut tallies = self.lock();
        tallies.add(
            id,
            Tally {
                failures,
                began: elapsed,
                known: false,
            },
        );
        if tallies.of.len() >= MOST_COUNTED / 2 {
            self.crowded.notify_one();
        }
    }

    /// Sums up what is due, until the server is to stop.
    pub(crate) async fn keep(self: Arc<Self>, store: Arc<Store>, stop: CancellationToken) {
        loop {
            let crowded = async {
                self.crowded.notified().await;
                tokio::time::sleep(CROWDED_PACE).await;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PACE) => {}
                () = crowded => {}
            }
            let began_by = edge::elapsed().checked_sub(CREDENTIAL_FAILURES_APART);
            let round = async {
                self.sort_out(&store).await?;
                self.sum_up(&store, began_by).await
            };
            // A round that has begun is ended: what it took must not be lost.
            tell(round.await);
            let lost = std::mem::take(&mut self.lock().lost);
            if lost > 0 {
                tracing::warn!(
                    lost,
                    "so many ids were tried that some failed authentications were not counted"
                );
            }
        }
    }

    /// Sums up what may be, though its window has not ended, and says what may not. To be called when
    /// nobody is answered any more.
    pub(crate) async fn finish(&self, store: &Store, within: Duration) {
        let last = async {
            self.sort_out(store).await?;
            self.sum_up(store, Some(edge::elapsed())).await
        };
        if let Ok(result) = tokio::time::timeout(within, last).await {
            tell(result);
        }
        let tallies = self.lock();
        let agents = tallies.of.len();
        let failures: u64 = tallies.of.values().map(|held| held.failures.count).sum();
        if agents > 0 {
            tracing::warn!(
                agents,
                failures,
                "failed authentications were counted and are not in the log"
            );
        }
    }

    /// Forgets the ids of which there is no agent.
    async fn sort_out(&self, store: &Store) -> Result<(), StoreError> {
        let new = self.ids(|tally| !tally.known);
        for id in new {
            let known = store.agent(&id).await?.is_some();
            let mut tallies = self.lock();
            if !known {
                tallies.of.remove(&id);
            } else if let Some(tally) = tallies.of.get_mut(&id) {
                tally.known = true;
            }
        }
        self.lock().of.shrink_to_fit();
        Ok(())
    }

    /// Writes one event for each known agent whose failures began by then, where the last is old enough.
    /// What is not written is kept for the next round.
    async fn sum_up(&self, store: &Store, began_by: Option<Duration>) -> Result<(), StoreError> {
        for id in self.ids(|tally| tally.is_due(began_by)) {
            let now = store.now().await?;
            let Some(tally) = self.lock().of.remove(&id) else {
                continue;
            };
            let mut taken = Taken {
                from: self,
                id,
                tally: Some(tally.clone()),
            };
            let decide =
                |agent: &crate::domain::Agent| agent.sum_up_failures(tally.failures.clone(), now);
            match store.on_agent(&id, &Metadata::system(), decide).await {
                // Or others are quicker with this agent: at a later round.
                Ok(Some(Err(NotSummedUp::TooSoon))) | Err(StoreError::Conflict) => {}
                // In the log, or of nobody any more.
                Ok(Some(Ok(()) | Err(NotSummedUp::Revoked)) | None) => taken.tally = None,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn ids(&self, which: impl Fn(&Tally) -> bool) -> Vec<AgentId> {
        let tallies = self.lock();
        let found = tallies.of.iter().filter(|(_, tally)| which(tally));
        found.map(|(id, _)| *id).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Tallies> {
        // A sum that a panic left half done is a sum that is off by one at worst.
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A tally on its way into the log, which goes back if it does not get there.
struct Taken<'a> {
    from: &'a Failures,
    id: AgentId,
    tally: Option<Tally>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(tally) = self.tally.take() {
            self.from.lock().add(self.id, tally);
        }
    }
}

fn tell(result: Result<(), StoreError>) {
    match result {
        Ok(()) | Err(StoreError::Stopped) => {}
        Err(error) if !error.is_news("failures") => {
            tracing::debug!(%error, "failed authentications could not be summed up");
        }
        Err(error) => tracing::warn!(%error, "failed authentications could not be summed up"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(number: u128) -> AgentId {
        AgentId::from_uuid(uuid::Uuid::from_u128(number))
    }

    fn at(seconds: u64) -> (Timestamp, Duration) {
        let elapsed = Duration::from_secs(seconds);
        (Timestamp::UNIX_EPOCH + elapsed, elapsed)
    }

    #[test]
    fn what_goes_back_is_added_to_what_came_meanwhile() {
        let failures = Failures::default();
        for second in [3, 5] {
            let (now, elapsed) = at(second);
            failures.count_at(agent(1), now, elapsed);
        }
        let tally = failures.lock().of.remove(&agent(1));
        let taken = Taken {
            from: &failures,
            id: agent(1),
            tally,
        };
        let (now, elapsed) = at(9);
        failures.count_at(agent(1), now, elapsed);
        drop(taken);
        let all = CredentialFailures {
            count: 3,
            since: at(3).0,
            until: at(9).0,
        };
        let held = failures.lock().of[&agent(1)].clone();
        assert_eq!((held.failures, held.began), (all, at(3).1));
    }

    #[test]
    fn a_flood_of_ids_takes_bounded_memory_and_hides_no_guess_at_an_id_that_is_counted() {
        let failures = Failures::default();
        let (now, elapsed) = at(1);
        for number in 0..3 * MOST_COUNTED as u128 {
            failures.count_at(agent(number), now, elapsed);
        }
        failures.count_at(agent(0), now, elapsed);
        let tallies = failures.lock();
        assert_eq!(tallies.of.len(), MOST_COUNTED);
        assert_eq!(tallies.lost, 2 * MOST_COUNTED as u64);
        assert_eq!(tallies.of[&agent(0)].failures.count, 2);
    }

    #[test]
    fn a_window_ends_five_minutes_after_its_first_failure_and_unknown_ids_are_never_due() {
        let failures = Failures::default();
        for second in [100, 399] {
            let (now, elapsed) = at(second);
            failures.count_at(agent(1), now, elapsed);
        }
        let mut tally = failures.lock().of[&agent(1)].clone();
        let due = |tally: &Tally, second| {
            tally.is_due(at(second).1.checked_sub(CREDENTIAL_FAILURES_APART))
        };
        assert!(!due(&tally, 400) && !due(&tally, 10_000));
        tally.known = true;
        assert!(!due(&tally, 200) && !due(&tally, 399));
        assert!(due(&tally, 400) && due(&tally, 10_000));
    }

    #[test]
    fn a_text_that_is_no_id_is_not_counted() {
        let failures = Failures::default();
        for text in ["", "agent_x", "' or 1=1--"] {
            failures.count(text);
        }
        assert!(failures.lock().of.is_empty());
    }
}
