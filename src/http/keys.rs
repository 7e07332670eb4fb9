//! The keys that this process works with: loaded from the store, and loaded anew whenever this node
//! or another one has made, put to use or ended one.
//!
//! Which key works is for the log to say, never for this memory. A node that has not heard of a key
//! yet looks for it before it refuses anything: when it is to derive under it, and when somebody
//! presents what was made with it.

mod keep;
mod load;

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::sync::{Mutex, Notify, watch};
use zeroize::Zeroizing;

use crate::{
    crypto::{
        ArtefactKind, DerivationKeys, MasterKey, Presented, SigningKey, TokenMinter, Verified,
    },
    domain::{EventId, KeyGroup, KeySchedule, RequestId, TokenAlgorithm},
    edge,
    oauth::ErrorCode,
    store::{KeyMaterial, NewKey, Store, StoreError},
};

use self::load::{Last, load};
use super::ApiError;

/// The algorithms that there is a signing key for.
pub(crate) const ALGORITHMS: [TokenAlgorithm; 3] = [
    TokenAlgorithm::EdDSA,
    TokenAlgorithm::ES256,
    TokenAlgorithm::RS256,
];
/// Longest that clients and proxies may keep the key set.
const LONGEST_JWKS_AGE: u64 = 300;
/// How long whoever presented it waits for that.
const PATIENCE: Duration = Duration::from_secs(2);

/// A key that cannot be made, or a stored one that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be opened or read.
    #[error("the stored key {0} cannot be read")]
    Stored(String),
    /// In words.
    #[error("{0}")]
    Unusable(String),
    /// Whether there is such a key cannot be said at the moment.
    #[error(transparent)]
    NotLoaded(#[from] NotLoaded),
}

/// The keys could not be loaded, or not in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the keys could not be loaded in time")]
pub(crate) struct NotLoaded;

impl From<KeysError> for ApiError {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Store(error) => error.into(),
            KeysError::NotLoaded(NotLoaded) => Self::new(
                ErrorCode::TemporarilyUnavailable,
                "the server cannot look for that key right now: try again shortly",
            ),
            other => {
                tracing::error!(error = %other, "the keys cannot be used");
                Self::new(
                    ErrorCode::TemporarilyUnavailable,
                    "the server's keys cannot be read",
                )
            }
        }
    }
}

/// What a key is sealed for.
fn context(group: KeyGroup, id: &str) -> String {
    match group {
        KeyGroup::Signing(_) => format!("signing_key/{id}"),
        KeyGroup::Derivation => format!("derivation_key/{id}"),
    }
}

/// Makes a key and seals it. A derivation key is given a random id, so that no id is ever used twice,
/// also after a restore from a backup.
pub(crate) async fn new_key(master_key: &MasterKey, group: KeyGroup) -> Result<NewKey, KeysError> {
    let unusable = |error: String| KeysError::Unusable(error);
    let seal = |id: &str, key: &[u8]| master_key.seal(&context(group, id), key, edge::random());
    Ok(match group {
        KeyGroup::Signing(algorithm) => {
            // Finding the primes of an RSA key takes a while.
            let key = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm))
                .await
                .map_err(|error| unusable(error.to_string()))?
                .map_err(|error| unusable(error.to_string()))?;
            let id = key.kid().to_owned();
            let sealed = seal(&id, &key.to_pkcs8());
            NewKey {
                group,
                public_jwk: key.public_jwk(),
                material: KeyMaterial {
                    id,
                    alg: algorithm.as_str().to_owned(),
                    sealed,
                },
            }
        }
        KeyGroup::Derivation => {
            let key = Zeroizing::new(edge::random::<32>());
            let id = format!("{:012x}", u64::from_be_bytes(edge::random()) >> 16);
            let sealed = seal(&id, key.as_slice());
            NewKey {
                group,
                public_jwk: serde_json::Value::Null,
                material: KeyMaterial {
                    id,
                    alg: String::new(),
                    sealed,
                },
            }
        }
    })
}

/// The keys of a running server.
pub(crate) struct LiveKeys {
    store: Arc<Store>,
    master_key: MasterKey,
    issuer: String,
    pub(crate) schedule: KeySchedule,
    pub(crate) minter: Arc<TokenMinter>,
    derivation: RwLock<Arc<DerivationKeys>>,
    /// Ids of the keys that there were.
    ended: RwLock<HashSet<String>>,
    /// What was loaded last; held while loading, so that an older set never replaces a newer.
    loaded: Mutex<Last>,
    /// Somebody presented what names an unknown key.
    asked: Notify,
    /// How the last time ended that keys were loaded because somebody asked; it is told each time.
    answered: watch::Sender<Result<(), NotLoaded>>,
}

impl LiveKeys {
    /// Loads the keys.
    pub(crate) async fn open(
        store: Arc<Store>,
        master_key: MasterKey,
        issuer: String,
        schedule: KeySchedule,
    ) -> Result<Self, KeysError> {
        let loaded = load(&store, &master_key, &issuer, &schedule, None).await?;
        let last = Last::of(&loaded, None);
        Ok(Self {
            store,
            master_key,
            schedule,
            minter: Arc::new(TokenMinter::new(loaded.ring, issuer.clone())),
            issuer,
            derivation: RwLock::new(loaded.derivation),
            ended: RwLock::new(loaded.ended),
            loaded: Mutex::new(last),
            asked: Notify::new(),
            answered: watch::Sender::new(Ok(())),
        })
    }

    /// Loads the keys anew. To be called after this process has changed one.
    pub(crate) async fn reload(&self) -> Result<(), KeysError> {
        let mut last = self.loaded.lock().await;
        let ring = self.minter.keys();
        let loaded = load(
            &self.store,
            &self.master_key,
            &self.issuer,
            &self.schedule,
            Some(&ring),
        )
        .await?;
        *last = Last::of(&loaded, Some(&last));
        self.minter.replace_keys(loaded.ring);
        // A set of keys is put in its place whole: there is nothing half done.
        *self
            .derivation
            .write()
            .unwrap_or_else(PoisonError::into_inner) = loaded.derivation;
        *self.ended.write().unwrap_or_else(PoisonError::into_inner) = loaded.ended;
        Ok(())
    }

    /// How long the key set may be kept: far less than a key is published before it signs.
    pub(crate) fn jwks_age(&self) -> u64 {
        LONGEST_JWKS_AGE.min(self.schedule.signing_ahead.as_secs() / 3)
    }

    /// A new key, sealed.
    pub(crate) async fn new_key(&self, group: KeyGroup) -> Result<NewKey, KeysError> {
        new_key(&self.master_key, group).await
    }

    // ---- artefacts and tokens ----------------------------------------------------------------

    fn derivation(&self) -> Arc<DerivationKeys> {
        Arc::clone(
            &self
                .derivation
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Makes sure that a key that the log names is loaded.
    pub(crate) async fn ensure(&self, key_id: &str) -> Result<(), KeysError> {
        if !self.derivation().knows(key_id) {
            self.reload().await?;
        }
        Ok(())
    }

    /// Makes sure that keys sign that were `living` at the moment of the decision: another node may have
    /// ended those that sign here, and what they sign now is refused everywhere.
    pub(crate) async fn ensure_signers(
        &self,
        algorithms: &[TokenAlgorithm],
        living: &[String],
    ) -> Result<(), KeysError> {
        let signs = |algorithm: &TokenAlgorithm| {
            let signer = self.minter.signs_with(*algorithm);
            signer.is_none_or(|kid| living.contains(&kid))
        };
        if !algorithms.iter().all(signs) {
            self.reload().await?;
        }
        Ok(())
    }

    /// The artefact that an event issued under a key, once that is loaded.
    pub(crate) fn issue(
        &self,
        kind: ArtefactKind,
        key_id: &str,
        request: &RequestId,
        event: &EventId,
    ) -> Option<String> {
        self.derivation().issue(kind, key_id, request, event)
    }

    /// Whether the event issued what is presented.
    pub(crate) fn matches(&self, presented: &Presented, event: &EventId) -> bool {
        self.derivation().matches(presented, event)
    }

    /// Reads an artefact under a key that there is; `None` when it is not one. One of an unknown key is
    /// looked for, since another node may just have made it.
    ///
    /// # Errors
    ///
    /// [`NotLoaded`] when it cannot be said: nothing is told to be worthless that may not be.
    pub(crate) async fn presented(
        &self,
        kind: ArtefactKind,
        text: &str,
    ) -> Result<Option<Presented>, KeysError> {
        let Some(presented) = Presented::parse(kind, text) else {
            return Ok(None);
        };
        let is_there = || self.derivation().knows(&presented.key_id);
        let known = self.look_for(&presented.key_id, is_there).await?;
        Ok(known.then_some(presented))
    }

    /// Reads an access token of ours; its key is looked for likewise.
    ///
    /// # Errors
    ///
    /// As [`Self::presented`].
    pub(crate) async fn verified(&self, token: &str) -> Result<Option<Verified>, KeysError> {
        if let Some(kid) = self.minter.unknown_key(token) {
            self.look_for(&kid, || self.minter.unknown_key(token).is_none())
                .await?;
        }
        Ok(self.minter.verify_access_token(token))
    }

    /// Whether a key is there, if need be once the keys were loaded anew: twice, since the first time
    /// may have begun before it was asked for. One that has ended does not come back.
    async fn look_for(&self, id: &str, is_there: impl Fn() -> bool) -> Result<bool, NotLoaded> {
        for _ in 0..2 {
            if is_there() {
                return Ok(true);
            }
            if self.has_ended(id) {
                return Ok(false);
            }
            self.ask().await?;
        }
        Ok(is_there())
    }

    fn has_ended(&self, id: &str) -> bool {
        let ended = self.ended.read().unwrap_or_else(PoisonError::into_inner);
        ended.contains(id)
    }

    /// Waits until the keys have been loaded once more, together with whoever else asks. Whatever is
    /// presented, that is a few times a second at most.
    async fn ask(&self) -> Result<(), NotLoaded> {
        // Where no other node is, everything is known.
        if !self.store.is_shared() {
            return Ok(());
        }
        let mut answered = self.answered.subscribe();
        self.asked.notify_one();
        match tokio::time::timeout(PATIENCE, answered.changed()).await {
            Ok(Ok(())) => *answered.borrow(),
            _ => Err(NotLoaded),
        }
    }
}
