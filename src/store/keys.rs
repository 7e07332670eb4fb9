//! Signing and derivation keys: their streams, and the vault's rows, sealed under the master key.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::Row;

use super::{
    Append, MASTER_KEY_FINGERPRINT, MAX_RETRIES, NewAdminKey, ROOT_KEY, Store, StoreError,
    append::{Claim, Removal, VaultTable},
    as_u64, on,
    projection::Projected,
    sql,
};
use crate::{
    domain::{
        DerivationKeyFact, DueStep, Fact, KeyActivated, KeyCompromised, KeyGenerated, KeyGroup,
        KeyRetired, KeySchedule, Keys, KnownKey, Metadata, RotationPending, SigningKeyFact,
        SigningKeyGenerated, StreamId,
    },
    edge,
};

/// A key as stored: sealed under the master key.
pub struct KeyMaterial {
    /// `kid`, or the derivation key's id.
    pub id: String,
    /// The signing algorithm; empty for a derivation key.
    pub alg: String,
    /// The sealed private half.
    pub sealed: String,
}

/// A key on its way into log and vault.
pub struct NewKey {
    /// What it is for.
    pub group: KeyGroup,
    /// The key, sealed.
    pub material: KeyMaterial,
    /// The public half; null for a derivation key.
    pub public_jwk: Value,
}

/// The keys of a fresh database, made together in one commit.
pub struct NewKeys {
    /// Fingerprint of the master key that seals them.
    pub master_key_fingerprint: String,
    /// The root key, sealed.
    pub sealed_root_key: String,
    /// A signing key for each algorithm, and the derivation key.
    pub keys: Vec<NewKey>,
    /// The first admin key.
    pub admin: Option<NewAdminKey>,
    /// When.
    pub now: Timestamp,
}

/// What came of asking for new keys.
pub type Rotated = Result<(), RotationPending>;

fn stream_of(group: KeyGroup, id: &str) -> StreamId {
    match group {
        KeyGroup::Signing(_) => StreamId::SigningKey(id.to_owned()),
        KeyGroup::Derivation => StreamId::DerivationKey(id.to_owned()),
    }
}

fn activated(group: KeyGroup) -> Fact {
    match group {
        KeyGroup::Signing(_) => Fact::SigningKey(SigningKeyFact::Activated(KeyActivated {})),
        KeyGroup::Derivation => Fact::DerivationKey(DerivationKeyFact::Activated(KeyActivated {})),
    }
}

fn retired(group: KeyGroup) -> Fact {
    match group {
        KeyGroup::Signing(_) => Fact::SigningKey(SigningKeyFact::Retired(KeyRetired {})),
        KeyGroup::Derivation => Fact::DerivationKey(DerivationKeyFact::Retired(KeyRetired {})),
    }
}

fn compromised(group: KeyGroup) -> Fact {
    match group {
        KeyGroup::Signing(_) => Fact::SigningKey(SigningKeyFact::Compromised(KeyCompromised {})),
        KeyGroup::Derivation => {
            Fact::DerivationKey(DerivationKeyFact::Compromised(KeyCompromised {}))
        }
    }
}

impl NewKey {
    /// Adds the key to an append, in use at once or published only.
    fn add_to(&self, append: &mut Append, now: Timestamp, at_once: bool) -> Result<(), StoreError> {
        let KeyMaterial { id, alg, sealed } = &self.material;
        let at = now.as_microsecond();
        let (table, row, generated) = match self.group {
            KeyGroup::Signing(_) => {
                let generated = SigningKeyGenerated {
                    alg: alg.clone(),
                    public_jwk: self.public_jwk.clone(),
                };
                (
                    VaultTable::SigningKeys,
                    json!({ "id": id, "alg": alg, "sealed": sealed, "created_at": at }),
                    Fact::SigningKey(SigningKeyFact::Generated(generated)),
                )
            }
            KeyGroup::Derivation => (
                VaultTable::DerivationKeys,
                json!({ "id": id, "sealed": sealed, "created_at": at }),
                Fact::DerivationKey(DerivationKeyFact::Generated(KeyGenerated {})),
            ),
        };
        append.vault.push((table, row));
        let mut facts = vec![generated];
        if at_once {
            facts.push(activated(self.group));
        }
        let facts = facts.into_iter().map(|fact| (edge::new_event_id(), fact));
        append.facts(stream_of(self.group, id), 0, None, facts)
    }
}

/// The vault's row of a key.
fn removal(known: &KnownKey) -> (Removal, String) {
    let what = match known.key.group {
        KeyGroup::Signing(_) => Removal::SigningKey,
        KeyGroup::Derivation => Removal::DerivationKey,
    };
    (what, known.id.clone())
}

/// Adds one fact about a key that is there.
fn step(append: &mut Append, known: &KnownKey, fact: Fact) -> Result<(), StoreError> {
    append.facts(
        stream_of(known.key.group, &known.id),
        known.version,
        Some(Projected::Key(known.key.clone())),
        [(edge::new_event_id(), fact)],
    )
}

impl Store {
    /// Puts the keys of a fresh database in place.
    ///
    /// # Errors
    ///
    /// [`StoreError::Claimed`] when another node has just done the same;
    /// [`StoreError::Unavailable`] when nothing was committed.
    pub async fn install_keys(&self, new: NewKeys) -> Result<(), StoreError> {
        // A second one is refused by the claim below.
        let _ = self.seal.set(new.master_key_fingerprint.clone());
        let mut append = Append::by(&Metadata::system())?;
        append.claims.push(Claim {
            key: "installed_keys".to_owned(),
            value: String::new(),
            expires_at: None,
        });
        for (name, value) in [
            (MASTER_KEY_FINGERPRINT, new.master_key_fingerprint),
            (ROOT_KEY, new.sealed_root_key),
        ] {
            append
                .vault
                .push((VaultTable::Server, json!({ "name": name, "value": value })));
        }
        for key in &new.keys {
            key.add_to(&mut append, new.now, true)?;
        }
        if let Some(admin) = new.admin {
            let fact = admin.put(&mut append);
            let day = StreamId::administration(new.now);
            append.facts(day, 0, None, [(edge::new_event_id(), fact)])?;
        }
        self.writer.append(append).await.map(drop)
    }

    /// Makes keys known, each of which will follow the one in use in its group.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when nothing was committed.
    pub async fn publish_keys(
        &self,
        new: &[NewKey],
        metadata: &Metadata,
    ) -> Result<Rotated, StoreError> {
        for _ in 0..MAX_RETRIES {
            let (keys, now) = (self.keys().await?, self.now().await?);
            let mut append = Append::by(metadata)?;
            for key in new {
                let former = match keys.rotate(key.group) {
                    Ok(former) => former,
                    Err(pending) => return Ok(Err(pending)),
                };
                if let Some(former) = former {
                    let stream = stream_of(key.group, &former.id).to_string();
                    append.expected.push((stream, former.version));
                    // Each key is followed once, whoever asks at the same time.
                    append.claims.push(Claim {
                        key: format!("key_after/{}", former.id),
                        value: String::new(),
                        expires_at: None,
                    });
                }
                key.add_to(&mut append, now, false)?;
            }
            match self.writer.append(append).await {
                Ok(_) => return Ok(Ok(())),
                // Whoever was first is found when it is looked again.
                Err(StoreError::Claimed { .. } | StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Ends every key of the groups that the new keys are of, with all that was made with them, and
    /// puts the new ones to use in the same commit.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when nothing was committed.
    pub async fn replace_compromised_keys(
        &self,
        new: &[NewKey],
        metadata: &Metadata,
    ) -> Result<(), StoreError> {
        for _ in 0..MAX_RETRIES {
            let (keys, now) = (self.keys().await?, self.now().await?);
            let mut append = Append::by(metadata)?;
            for key in new {
                for known in keys.living(key.group) {
                    step(&mut append, known, compromised(key.group))?;
                    append.remove.push(removal(known));
                }
                key.add_to(&mut append, now, true)?;
            }
            match self.writer.append(append).await {
                Err(StoreError::Conflict) => {}
                done => return done.map(drop),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Appends the steps that are due, and says whether there were any. Another node may do so at the
    /// same time: each step is taken once. `may` is asked for each step that is to come, with what is left
    /// until it is due, and says whether it may be taken once it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when nothing was committed.
    pub async fn take_due_steps(
        &self,
        schedule: &KeySchedule,
        mut may: impl FnMut(&str, DueStep, Duration) -> bool,
    ) -> Result<bool, StoreError> {
        let (keys, now) = (self.keys().await?, self.now().await?);
        let mut taken = false;
        for known in &keys.0 {
            let Some((due, at)) = keys.due(known, schedule) else {
                continue;
            };
            let left = Duration::try_from(at.duration_since(now)).unwrap_or_default();
            // No more than the whole, however far behind the clock is.
            let left = left.min(schedule.awaited(due, known.key.group));
            if !may(&known.id, due, left) || at > now {
                continue;
            }
            let group = known.key.group;
            let mut append = Append::by(&Metadata::system())?;
            match due {
                DueStep::Activate => step(&mut append, known, activated(group))?,
                DueStep::Retire => {
                    step(&mut append, known, retired(group))?;
                    append.remove.push(removal(known));
                }
            }
            match self.writer.append(append).await {
                Ok(_) => tracing::info!(key = known.id, ?group, step = ?due, "a key went on"),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
            taken = true;
        }
        Ok(taken)
    }

    /// Every key there has been.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn keys(&self) -> Result<Keys, StoreError> {
        on!(Pool, &self.pool, sql::KEYS, |c, sql| {
            let rows = sqlx::query(sql).fetch_all(c).await?;
            let known = rows.iter().map(|row| {
                let body: String = row.try_get("body")?;
                Ok(KnownKey {
                    id: row.try_get("id")?,
                    version: as_u64(row.try_get("version")?),
                    key: serde_json::from_str(&body)?,
                })
            });
            known.collect::<Result<_, StoreError>>().map(Keys)
        })
    }

    /// A number that grows with every event about a key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn keys_mark(&self) -> Result<u64, StoreError> {
        on!(Pool, &self.pool, sql::KEYS_MARK, |c, sql| {
            let row = sqlx::query(sql).fetch_one(c).await?;
            Ok(as_u64(row.try_get("number")?))
        })
    }

    /// Fingerprint of the master key that the database's keys are under.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn master_key_fingerprint(&self) -> Result<Option<String>, StoreError> {
        self.text(sql::SERVER_VALUE, MASTER_KEY_FINGERPRINT, "value")
            .await
    }

    /// Whether everything is still sealed under the master key that this process has.
    ///
    /// # Errors
    ///
    /// [`StoreError::Resealed`] when it is not, [`StoreError::Unavailable`] when the database does not
    /// answer.
    pub async fn check_seal(&self) -> Result<(), StoreError> {
        let under = self.master_key_fingerprint().await?;
        if under.as_ref() == self.seal.get() {
            Ok(())
        } else {
            Err(StoreError::Resealed)
        }
    }

    /// The root key, sealed; `None` when the database has none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn root_key(&self) -> Result<Option<String>, StoreError> {
        self.text(sql::SERVER_VALUE, ROOT_KEY, "value").await
    }

    /// The signing keys that have not ended.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn signing_keys(&self) -> Result<Vec<KeyMaterial>, StoreError> {
        on!(Pool, &self.pool, sql::SIGNING_KEYS, |c, sql| {
            let rows = sqlx::query(sql).fetch_all(c).await?;
            rows.iter()
                .map(|row| {
                    Ok(KeyMaterial {
                        id: row.try_get("id")?,
                        alg: row.try_get("alg")?,
                        sealed: row.try_get("sealed")?,
                    })
                })
                .collect()
        })
    }

    /// The derivation keys that have not ended.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn derivation_keys(&self) -> Result<Vec<KeyMaterial>, StoreError> {
        on!(Pool, &self.pool, sql::DERIVATION_KEYS, |c, sql| {
            let rows = sqlx::query(sql).fetch_all(c).await?;
            rows.iter()
                .map(|row| {
                    Ok(KeyMaterial {
                        id: row.try_get("id")?,
                        alg: String::new(),
                        sealed: row.try_get("sealed")?,
                    })
                })
                .collect()
        })
    }
}
