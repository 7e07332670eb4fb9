//! Secrets at rest: argon2id (RFC 9106), off the runtime, and once for each secret.
//!
//! A hash takes some 20 ms of a core and 19 MiB, so few run at a time, few more wait, and the next
//! is refused at once. A secret that was proved is remembered in memory as a keyed MAC: every
//! further proof of it costs one MAC and one comparison.

mod argon2id;

use std::sync::Arc;

use argon2::password_hash::Error;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use subtle::ConstantTimeEq as _;
use tokio::{sync::watch, time::Instant};
use tracing::Instrument;
use zeroize::Zeroizing;

use argon2id::Argon2id;

pub use super::offload::{Busy, Load};
use super::offload::{Offload, Place};
use super::{MacKey, Secret};
use crate::{edge, trace};

/// Bytes of random salt (RFC 9106 §3.1).
const SALT_LEN: usize = 16;
/// Proved secrets that are remembered: at some 150 bytes each, 15 MB when full.
const MEMO_CAPACITY: usize = 100_000;
const LABEL: &[u8] = b"auth-agent proved secret v1";

/// A keyed MAC over credential, hash and secret.
type Proof = [u8; 32];

/// Hashes secrets and checks them against their hashes.
#[derive(Debug)]
pub struct Hasher {
    offload: Offload,
    memo_key: MacKey,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    argon2id: Argon2id,
    /// What hashing took.
    seconds: Histogram,
    proved: Memo,
    /// Checks under way, so that a second caller with the same credential and secret waits for the
    /// first one's hash. Each ends with `Some(answer)`, or by dropping every sender.
    checks: DashMap<Proof, watch::Sender<Option<bool>>>,
}

impl Hasher {
    /// At most `permits` hashes run (0 counts as 1) and at most `queue` wait. `memo_key` may be
    /// made anew at every start: what was proved is remembered in memory alone.
    #[must_use]
    pub fn new(permits: usize, queue: usize, memo_key: MacKey) -> Self {
        let shared = Shared {
            argon2id: Argon2id::default(),
            seconds: Histogram::new(exponential_buckets(0.005, 2.0, 10)),
            proved: Memo::new(MEMO_CAPACITY),
            checks: DashMap::new(),
        };
        Self {
            offload: Offload::new(permits, queue),
            memo_key,
            shared: Arc::new(shared),
        }
    }

    /// How much is being hashed.
    #[must_use]
    pub fn load(&self) -> Load {
        self.offload.load()
    }

    /// How many secrets were refused a hash because the queue was full.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.offload.refusals()
    }

    /// Seconds that hashing took.
    #[must_use]
    pub fn seconds(&self) -> Histogram {
        self.shared.seconds.clone()
    }

    /// The secret's argon2id hash as a PHC string, under a fresh random salt.
    ///
    /// # Errors
    ///
    /// [`Busy`] at once when the queue is full; also when the 19 MiB cannot be had or the process
    /// is shutting down.
    pub async fn hash(&self, secret: &Secret) -> Result<String, Busy> {
        let turn = self.offload.admit()?.turn().await?;
        let secret = secret.clone();
        let salt = edge::random::<SALT_LEN>();
        let begun = Instant::now();
        let shared = Arc::clone(&self.shared);
        let hash = turn.run(move || shared.argon2id.hash(secret.expose().as_bytes(), &salt));
        let hash = hash.instrument(trace::hash()).await?;
        self.shared.seconds.observe(begun.elapsed().as_secs_f64());
        // With fixed parameters and salt the only way to fail is for want of memory.
        hash.map_err(|_| Busy)
    }

    /// Whether `presented` is the secret behind the hash `phc` of the credential.
    ///
    /// The first success is remembered under `credential_id` (a rotation makes a new id) and this
    /// very hash. Failures are not remembered. An unreadable hash matches nothing.
    ///
    /// # Errors
    ///
    /// [`Busy`] at once when a hash is needed and the queue is full; also when the process is
    /// shutting down. A secret proved before is never refused so.
    pub async fn verify(
        &self,
        credential_id: &str,
        presented: &str,
        phc: &str,
    ) -> Result<bool, Busy> {
        let parts = [
            LABEL,
            credential_id.as_bytes(),
            phc.as_bytes(),
            presented.as_bytes(),
        ];
        let proof = self.memo_key.mac(&parts);
        if self.shared.proved.holds(credential_id, &proof) {
            return Ok(true);
        }
        let mut answer = match self.shared.checks.entry(proof) {
            Entry::Occupied(check) => check.get().subscribe(),
            Entry::Vacant(vacant) => {
                // A check that ended since we looked has left its proof behind.
                if self.shared.proved.holds(credential_id, &proof) {
                    return Ok(true);
                }
                let place = self.offload.admit()?;
                let (sender, receiver) = watch::channel(None);
                vacant.insert(sender.clone());
                let check = Check {
                    shared: Arc::clone(&self.shared),
                    proof,
                    sender,
                    credential_id: credential_id.to_owned(),
                    presented: Zeroizing::new(presented.to_owned()),
                    phc: phc.to_owned(),
                };
                // A task of its own: others may be waiting when this caller goes away.
                tokio::spawn(check.run(place));
                receiver
            }
        };
        let answered = answer.wait_for(Option::is_some).instrument(trace::hash());
        let answer = *answered.await.map_err(|_| Busy)?;
        answer.ok_or(Busy)
    }
}

/// One cold check. Leaves the list of checks when dropped, however it ends; whoever still waits
/// for an answer then hears that there is none.
struct Check {
    shared: Arc<Shared>,
    proof: Proof,
    sender: watch::Sender<Option<bool>>,
    credential_id: String,
    presented: Zeroizing<String>,
    phc: String,
}

impl Check {
    async fn run(mut self, place: Place) {
        let Ok(turn) = place.turn().await else { return };
        // Everyone who asked has gone: the hash would be for nobody.
        if self
            .shared
            .checks
            .remove_if(&self.proof, |_, sender| sender.is_closed())
            .is_some()
        {
            return;
        }
        let (presented, phc) = (
            std::mem::take(&mut self.presented),
            std::mem::take(&mut self.phc),
        );
        let begun = Instant::now();
        let shared = Arc::clone(&self.shared);
        let matched = turn
            .run(move || shared.argon2id.matches(presented.as_bytes(), &phc))
            .await;
        let seconds = begun.elapsed().as_secs_f64();
        self.shared.seconds.observe(seconds);
        let right = match matched {
            Ok(Ok(())) => true,
            Ok(Err(Error::PasswordInvalid)) => false,
            Err(Busy) | Ok(Err(Error::OutOfMemory)) => return,
            Ok(Err(reason)) => {
                let credential_id = self.credential_id.as_str();
                tracing::error!(credential_id, %reason, "a stored secret hash is unreadable");
                false
            }
        };
        if right {
            self.shared.proved.remember(&self.credential_id, self.proof);
        }
        self.sender.send_replace(Some(right));
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        let own = |_: &Proof, sender: &watch::Sender<_>| sender.same_channel(&self.sender);
        self.shared.checks.remove_if(&self.proof, own);
    }
}

/// What was proved, by credential id. When full, an arbitrary entry makes room: it costs its holder
/// one more hash.
#[derive(Debug)]
struct Memo {
    capacity: usize,
    proofs: DashMap<String, Proof>,
}

impl Memo {
    fn new(capacity: usize) -> Self {
        Self {
            capacity,
            proofs: DashMap::new(),
        }
    }

    fn holds(&self, credential_id: &str, proof: &Proof) -> bool {
        self.proofs
            .get(credential_id)
            .is_some_and(|known| known.ct_eq(proof).into())
    }

    fn remember(&self, credential_id: &str, proof: Proof) {
        while self.proofs.len() >= self.capacity && !self.proofs.contains_key(credential_id) {
            // The guard must be gone before the entry can be removed.
            let Some(some) = self.proofs.iter().next().map(|entry| entry.key().clone()) else {
                break;
            };
            self.proofs.remove(&some);
        }
        self.proofs.insert(credential_id.to_owned(), proof);
    }
}

#[cfg(test)]
mod tests;
