//! How often a caller may come (`http-api.md`, §6): token buckets by network address and by the thing
//! at stake, in this process's memory. What is over a limit is refused at once, and leaves no event.
//!
//! Where a caller's own address is not known ([`Caller::address_is_its_own`]), everybody who comes
//! through the same proxy has the same one. Limits by address are not applied to such calls: a single
//! stranger could use them up for all. The limits of clients and of agents hold for every call.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::extract::Caller;
use crate::{
    config,
    domain::{AgentId, ClientId, FullAt, Limit},
    edge,
};

/// Buckets that one limit keeps: with 24 bytes each, some 3 MB when full.
const MOST_BUCKETS: usize = 100_000;

/// A call that comes too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OverLimit {
    /// What there was too much of.
    pub(crate) what: &'static str,
    /// When the next such call will be admitted.
    pub(crate) wait: Duration,
}

/// Every limit that counts calls.
pub(crate) struct Limits {
    requests_per_address: Buckets,
    requests_per_client: Buckets,
    failures: Buckets,
    calls_per_agent: Buckets,
}

impl Limits {
    pub(crate) fn new(set: &config::Limits) -> Self {
        Self {
            requests_per_address: Buckets::new(
                "sign-ins begun from this network address",
                set.requests_per_address,
            ),
            requests_per_client: Buckets::new(
                "sign-ins begun at this website",
                set.requests_per_client,
            ),
            failures: Buckets::new(
                "failed authentications with this id from this network address",
                set.failures,
            ),
            calls_per_agent: Buckets::new("calls by this agent", set.calls_per_agent),
        }
    }

    /// Puts other limits in force. What was counted under a limit that changes is forgotten: it would
    /// mean something else under the new one.
    pub(crate) fn set(&self, set: &config::Limits) {
        self.requests_per_address.set(set.requests_per_address);
        self.requests_per_client.set(set.requests_per_client);
        self.failures.set(set.failures);
        self.calls_per_agent.set(set.calls_per_agent);
    }

    /// Counts a request that is about to be opened at /authorize. The address is asked first, so that
    /// what one address asks too often takes nothing from the website's other visitors.
    pub(crate) fn admit_request(
        &self,
        caller: &Caller,
        client: &ClientId,
    ) -> Result<(), OverLimit> {
        if caller.address_is_its_own {
            self.requests_per_address.take(&caller.network())?;
        }
        self.requests_per_client.take(client)
    }

    /// Each limit that counts calls, and how many it has refused.
    pub(crate) fn refusals(&self) -> [(&'static str, u64); 4] {
        [
            ("requests_per_address", &self.requests_per_address),
            ("requests_per_client", &self.requests_per_client),
            ("failures", &self.failures),
            ("calls_per_agent", &self.calls_per_agent),
        ]
        .map(|(name, buckets)| (name, buckets.ever_refused.load(Ordering::Relaxed)))
    }

    /// Whether a caller may try to authenticate as `id`, any text. Counts nothing: only
    /// [`Self::authentication_failed`] does. Calls that are checked at the same moment may all be
    /// wrong, so a few more than the burst can be; the hash queue bounds how many.
    pub(crate) fn admit_authentication(&self, caller: &Caller, id: &str) -> Result<(), OverLimit> {
        if caller.address_is_its_own {
            self.failures.look(&(caller.network(), id))
        } else {
            Ok(())
        }
    }

    /// Counts a failure. It is the address's with this id alone, so that nobody can lock out an agent
    /// that calls from elsewhere.
    pub(crate) fn authentication_failed(&self, caller: &Caller, id: &str) {
        if caller.address_is_its_own {
            // One that is beyond the burst by a hair was answered already.
            let _ = self.failures.take(&(caller.network(), id));
        }
    }

    /// Counts a call of an agent that has proved who it is.
    pub(crate) fn admit_call(&self, agent: &AgentId) -> Result<(), OverLimit> {
        self.calls_per_agent.take(agent)
    }

    /// Forgets the buckets that are full again, and tells the operator what was refused since the
    /// last time: one line for each limit, however many calls there were.
    pub(crate) fn sweep(&self) {
        for buckets in [
            &self.requests_per_address,
            &self.requests_per_client,
            &self.failures,
            &self.calls_per_agent,
        ] {
            buckets.forget_full(edge::elapsed());
            let refused = buckets.refused.swap(0, Ordering::Relaxed);
            if refused > 0 {
                tracing::warn!(refused, "too many {}", buckets.what);
            }
        }
    }
}

/// The buckets of one limit, by what they are counted for.
struct Buckets {
    what: &'static str,
    limit: RwLock<Limit>,
    /// Calls that found no token since the last sweep.
    refused: AtomicU64,
    /// The same since the start.
    ever_refused: AtomicU64,
    /// Keys are kept as hashes under a random key: they are of any length and may name people, and
    /// nobody who does not know that key can make two meet.
    hasher: RandomState,
    full_at: Mutex<HashMap<u64, FullAt>>,
}

impl Buckets {
    fn new(what: &'static str, limit: Limit) -> Self {
        Self {
            what,
            limit: RwLock::new(limit),
            refused: AtomicU64::new(0),
            ever_refused: AtomicU64::new(0),
            hasher: RandomState::new(),
            full_at: Mutex::default(),
        }
    }

    fn set(&self, limit: Limit) {
        let mut held = self.limit.write().unwrap_or_else(PoisonError::into_inner);
        if *held != limit {
            *held = limit;
            self.lock().clear();
        }
    }

    fn take(&self, key: &impl Hash) -> Result<(), OverLimit> {
        self.at(key, edge::elapsed(), true)
    }

    fn look(&self, key: &impl Hash) -> Result<(), OverLimit> {
        self.at(key, edge::elapsed(), false)
    }

    fn at(&self, key: &impl Hash, now: Duration, takes: bool) -> Result<(), OverLimit> {
        // Held until the bucket is written, so that none is counted under a limit that has gone.
        let limit = self.limit.read().unwrap_or_else(PoisonError::into_inner);
        if limit.is_off() {
            return Ok(());
        }
        let key = self.hasher.hash_one(key);
        let mut buckets = self.lock();
        let bucket = buckets.get(&key).copied();
        match limit.take(bucket, now) {
            Ok(after) if takes => {
                if bucket.is_none() && buckets.len() >= MOST_BUCKETS {
                    forget_fuller_half(&mut buckets);
                }
                buckets.insert(key, after);
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(wait) => {
                drop(buckets);
                self.refused.fetch_add(1, Ordering::Relaxed);
                self.ever_refused.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(?wait, "too many {}", self.what);
                Err(OverLimit {
                    what: self.what,
                    wait,
                })
            }
        }
    }

    fn forget_full(&self, now: Duration) {
        let mut buckets = self.lock();
        buckets.retain(|_, full_at| *full_at > now);
        buckets.shrink_to_fit();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, FullAt>> {
        // Every change is one insertion or removal: there is nothing half done to be afraid of.
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room in a flood of keys. The emptiest buckets stay: whoever is being held back would have to
/// empty as many others to be forgotten. Half at a time, so that a flood does not pay for it with
/// every call.
fn forget_fuller_half(buckets: &mut HashMap<u64, FullAt>) {
    let mut moments: Vec<FullAt> = buckets.values().copied().collect();
    let middle = moments.len() / 2;
    let (_, median, _) = moments.select_nth_unstable(middle);
    buckets.retain(|_, full_at| *full_at > *median);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn buckets(limit: &str) -> Buckets {
        Buckets::new("calls in a test", limit.parse().unwrap())
    }

    fn caller(address: &str, address_is_its_own: bool) -> Caller {
        Caller {
            address: address.parse().unwrap(),
            address_is_its_own,
            call_id: String::new(),
        }
    }

    /// One failure, or request, or call in an hour.
    fn strict() -> Limits {
        let limit = "1/h burst 1".parse().unwrap();
        Limits::new(&config::Limits {
            requests_per_address: limit,
            requests_per_client: limit,
            pending_per_client: 0,
            failures: limit,
            calls_per_agent: limit,
        })
    }

    #[test]
    fn each_key_has_a_bucket_of_its_own_and_looking_takes_nothing() {
        let buckets = buckets("1/h burst 2");
        for _ in 0..10 {
            buckets.at(&"a", NOW, false).unwrap();
        }
        assert!(buckets.lock().is_empty());
        buckets.at(&"a", NOW, true).unwrap();
        buckets.at(&"a", NOW, true).unwrap();
        let over = buckets.at(&"a", NOW, true).unwrap_err();
        assert_eq!(over.wait, Duration::from_secs(3_600));
        assert_eq!(buckets.at(&"a", NOW, false), Err(over));
        buckets.at(&"b", NOW, true).unwrap();
        assert_eq!(buckets.refused.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_bucket_that_is_full_again_is_forgotten() {
        let buckets = buckets("1/s burst 2");
        for key in 0..1_000 {
            buckets.at(&key, NOW, true).unwrap();
        }
        buckets.forget_full(NOW);
        assert_eq!(buckets.lock().len(), 1_000);
        buckets.forget_full(NOW + Duration::from_secs(1));
        assert_eq!(buckets.lock().len(), 0);
        assert_eq!(buckets.lock().capacity(), 0);
    }

    #[test]
    fn a_flood_of_keys_takes_bounded_memory_and_does_not_free_who_is_held_back() {
        let buckets = buckets("1/h burst 2");
        buckets.at(&"guesser", NOW, true).unwrap();
        buckets.at(&"guesser", NOW, true).unwrap();
        for key in 0..3 * MOST_BUCKETS as u64 {
            let now = NOW + Duration::from_nanos(key);
            buckets.at(&key, now, true).unwrap();
            assert!(buckets.lock().len() <= MOST_BUCKETS);
        }
        assert!(buckets.lock().capacity() < 3 * MOST_BUCKETS);
        buckets.at(&"guesser", NOW, false).unwrap_err();
    }

    #[test]
    fn a_failure_counts_for_its_id_from_its_network_alone() {
        let limits = strict();
        let from = |address| caller(address, true);
        limits.authentication_failed(&from("192.0.2.1"), "agent");
        limits.authentication_failed(&from("2001:db8:0:1::1"), "agent");
        for (address, id, admitted) in [
            ("192.0.2.1", "agent", false),
            ("::ffff:192.0.2.1", "agent", false),
            ("2001:db8:0:1:ffff::2", "agent", false),
            ("192.0.2.1", "another", true),
            ("192.0.2.2", "agent", true),
            ("2001:db8:0:2::1", "agent", true),
        ] {
            let told = limits.admit_authentication(&from(address), id);
            assert_eq!(told.is_ok(), admitted, "{address} {id}");
        }
    }

    #[test]
    fn callers_behind_one_proxy_are_not_throttled_as_one() {
        let limits = strict();
        let proxied = caller("127.0.0.1", false);
        let client = ClientId::from_uuid(uuid::Uuid::from_u128(1));
        let another = ClientId::from_uuid(uuid::Uuid::from_u128(2));
        limits.authentication_failed(&proxied, "agent");
        limits.authentication_failed(&proxied, "agent");
        limits.admit_authentication(&proxied, "agent").unwrap();
        limits.admit_request(&proxied, &client).unwrap();
        limits.admit_request(&proxied, &another).unwrap();
        let over = limits.admit_request(&proxied, &client).unwrap_err();
        assert_eq!(over.what, "sign-ins begun at this website");
    }

    #[test]
    fn what_one_address_asks_too_often_is_not_counted_against_the_website() {
        let limits = strict();
        let clients = [1, 2].map(|id| ClientId::from_uuid(uuid::Uuid::from_u128(id)));
        let visitor = caller("192.0.2.1", true);
        limits.admit_request(&visitor, &clients[0]).unwrap();
        let over = limits.admit_request(&visitor, &clients[1]).unwrap_err();
        assert_eq!(over.what, "sign-ins begun from this network address");
        limits
            .admit_request(&caller("192.0.2.2", true), &clients[1])
            .unwrap();
    }

    #[test]
    fn a_limit_that_changes_begins_anew_and_the_others_go_on() {
        let limits = strict();
        let caller = caller("192.0.2.1", true);
        let agent = AgentId::from_uuid(uuid::Uuid::from_u128(1));
        limits.authentication_failed(&caller, "agent");
        limits.admit_call(&agent).unwrap();
        let other = config::Limits {
            failures: "1/h burst 2".parse().unwrap(),
            calls_per_agent: "1/h burst 1".parse().unwrap(),
            ..config::Limits::OFF
        };
        limits.set(&other);
        limits.authentication_failed(&caller, "agent");
        limits.admit_authentication(&caller, "agent").unwrap();
        limits.authentication_failed(&caller, "agent");
        limits.admit_authentication(&caller, "agent").unwrap_err();
        limits.admit_call(&agent).unwrap_err();
    }

    #[test]
    fn what_is_switched_off_keeps_nothing() {
        let limits = Limits::new(&config::Limits::OFF);
        let caller = caller("192.0.2.1", true);
        for _ in 0..1_000 {
            limits.authentication_failed(&caller, "agent");
        }
        limits.admit_authentication(&caller, "agent").unwrap();
        assert!(limits.failures.lock().is_empty());
    }
}
