//! Loading the keys: which there are by the log, and what of them opens.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{KeysError, context};
use crate::{
    crypto::{DerivationKeys, KeyRing, MasterKey, SigningKey},
    domain::{KeyGroup, KeySchedule, KeyStatus, Keys, KnownKey, TokenAlgorithm},
    store::{KeyMaterial, Store},
};

/// Everything read at one time.
pub(super) struct Loaded {
    mark: u64,
    /// Whether a step of some key comes by itself.
    awaits: bool,
    pub(super) ring: Arc<KeyRing>,
    pub(super) derivation: Arc<DerivationKeys>,
    /// Ids of the keys that there were.
    pub(super) ended: HashSet<String>,
    /// Stored keys that do not open and are not the ones in use.
    unreadable: HashSet<String>,
}

pub(super) async fn load(
    store: &Store,
    master_key: &MasterKey,
    issuer: &str,
    schedule: &KeySchedule,
    known: Option<&KeyRing>,
) -> Result<Loaded, KeysError> {
    // First: what changes while the rest is read is read again.
    let mark = store.keys_mark().await?;
    let keys = store.keys().await?;
    // One that is not in use is no reason to refuse all that the others are for.
    let mut unreadable = HashSet::new();
    let mut left_out = |stored: &KeyMaterial| {
        let in_use = |known: &KnownKey| keys.status(known) == KeyStatus::Active;
        if keys.0.iter().any(|k| k.id == stored.id && in_use(k)) {
            return Err(KeysError::Stored(stored.id.clone()));
        }
        unreadable.insert(stored.id.clone());
        Ok(())
    };
    let mut signing = HashMap::new();
    for stored in store.signing_keys().await? {
        let opened = match known.and_then(|ring| ring.by_kid(&stored.id)) {
            Some(key) => Some(Arc::clone(key)),
            None => signing_key(master_key, &stored).map(Arc::new),
        };
        match opened {
            Some(key) => drop(signing.insert(stored.id, key)),
            None => left_out(&stored)?,
        }
    }
    let mut derivation = Vec::new();
    for stored in store.derivation_keys().await? {
        match derivation_key(master_key, &stored) {
            Some(key) => derivation.push((stored.id, key)),
            None => left_out(&stored)?,
        }
    }
    let unusable = |error: String| KeysError::Unusable(error);
    let derivation =
        DerivationKeys::new(issuer, derivation).map_err(|error| unusable(error.to_string()))?;
    let active = keys.active(KeyGroup::Derivation);
    if !active.is_some_and(|active| derivation.knows(&active.id)) {
        return Err(unusable(
            "the derivation key that codes and refresh tokens are made with is missing".to_owned(),
        ));
    }
    let ring = KeyRing::new(in_order(&keys, &mut signing));
    Ok(Loaded {
        mark,
        awaits: keys
            .0
            .iter()
            .any(|known| keys.due(known, schedule).is_some()),
        ring: Arc::new(ring.map_err(|error| unusable(error.to_string()))?),
        derivation: Arc::new(derivation),
        ended: keys
            .0
            .iter()
            .filter(|known| !known.key.lives())
            .map(|known| known.id.clone())
            .collect(),
        unreadable,
    })
}

fn signing_key(master_key: &MasterKey, stored: &KeyMaterial) -> Option<SigningKey> {
    let algorithm: TokenAlgorithm = stored.alg.parse().ok()?;
    let context = context(KeyGroup::Signing(algorithm), &stored.id);
    let pkcs8 = master_key.open(&context, &stored.sealed).ok()?;
    SigningKey::from_pkcs8(algorithm, &pkcs8).ok()
}

fn derivation_key(master_key: &MasterKey, stored: &KeyMaterial) -> Option<[u8; 32]> {
    let context = context(KeyGroup::Derivation, &stored.id);
    let opened = master_key.open(&context, &stored.sealed).ok()?;
    opened.as_slice().try_into().ok()
}

/// The signing keys that have not ended: those that sign, then those that follow, then those that only
/// verify.
fn in_order(keys: &Keys, signing: &mut HashMap<String, Arc<SigningKey>>) -> Vec<Arc<SigningKey>> {
    let mut order = Vec::new();
    for status in [KeyStatus::Active, KeyStatus::Next, KeyStatus::Retiring] {
        for known in keys.0.iter().rev() {
            if keys.status(known) == status {
                order.extend(signing.remove(&known.id));
            }
        }
    }
    order
}

/// What is remembered of having loaded the keys.
#[derive(Clone)]
pub(super) struct Last {
    pub(super) mark: u64,
    pub(super) awaits: bool,
    pub(super) unreadable: HashSet<String>,
}

impl Last {
    /// Tells of the keys that do not open, of each once.
    pub(super) fn of(loaded: &Loaded, before: Option<&Self>) -> Self {
        for id in &loaded.unreadable {
            if !before.is_some_and(|before| before.unreadable.contains(id)) {
                tracing::error!(
                    key = id,
                    "a stored key cannot be opened with this master key and is left out: declare its \
                     kind compromised if it is lost"
                );
            }
        }
        Self {
            mark: loaded.mark,
            awaits: loaded.awaits,
            unreadable: loaded.unreadable.clone(),
        }
    }
}
