//! The vault: what may not be in the log. Credentials (hashed), people, request details, keys
//! (sealed under the master key).

use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::Row;

use super::{
    Append, MASTER_KEY_FINGERPRINT, NewAdminKey, Store, StoreError,
    append::{Claim, Sweep, VaultTable},
    on, sql,
};
use crate::{
    domain::{
        AgentId, DerivationKeyFact, Fact, KeyActivated, KeyGenerated, Metadata, OwnerId, RequestId,
        SigningKeyFact, SigningKeyGenerated, StreamId,
    },
    edge,
};

/// A secret's hash. No `Debug`.
pub struct Credential {
    /// Its own id: a new one with each rotation.
    pub id: String,
    /// argon2id, as a PHC string.
    pub secret_hash: String,
}

/// The person behind an agent, as an administrator set it.
#[derive(Clone)]
pub struct Person {
    /// The address.
    pub email: String,
    /// The name.
    pub name: String,
}

/// What the vault is to keep of a request until it ends. No `Debug`.
pub struct NewDetails {
    /// The website's `state`.
    pub state: Option<String>,
    /// The website's `nonce`.
    pub nonce: Option<String>,
    /// Keyed hash of the browser's network address.
    pub address_hash: String,
    /// Which key it was hashed under.
    pub address_key: String,
    /// Keyed hash of all parameters.
    pub parameters_mac: String,
}

impl NewDetails {
    pub(crate) fn row(&self, id: &RequestId, expires_at: Timestamp) -> Value {
        json!({
            "request_id": id, "state": self.state, "nonce": self.nonce,
            "address_hash": self.address_hash, "address_key": self.address_key,
            "parameters_mac": self.parameters_mac, "expires_at": expires_at.as_microsecond(),
        })
    }
}

/// A key as stored: sealed under the master key.
pub struct KeyMaterial {
    /// `kid`, or the derivation key's id.
    pub id: String,
    /// The signing algorithm; empty for a derivation key.
    pub alg: String,
    /// The sealed private half.
    pub sealed: String,
}

/// The keys of a fresh database, made together in one commit.
pub struct NewKeys {
    /// Fingerprint of the master key that seals them.
    pub master_key_fingerprint: String,
    /// Signing keys, with the public half of each.
    pub signing: Vec<(KeyMaterial, Value)>,
    /// The derivation key.
    pub derivation: KeyMaterial,
    /// The first admin key.
    pub admin: Option<NewAdminKey>,
    /// When.
    pub now: Timestamp,
}

impl Store {
    /// Puts the keys of a fresh database in place.
    ///
    /// # Errors
    ///
    /// [`StoreError::Claimed`] when another node has just done the same;
    /// [`StoreError::Unavailable`] when nothing was committed.
    pub async fn install_keys(&self, new: NewKeys) -> Result<(), StoreError> {
        let at = new.now.as_microsecond();
        let mut append = Append::by(&Metadata::system())?;
        append.claims.push(Claim {
            key: "installed_keys".to_owned(),
            value: String::new(),
            expires_at: None,
        });
        append.vault.push((
            VaultTable::Server,
            json!({ "name": MASTER_KEY_FINGERPRINT, "value": new.master_key_fingerprint }),
        ));
        for (key, public_jwk) in new.signing {
            let row =
                json!({ "id": key.id, "alg": key.alg, "sealed": key.sealed, "created_at": at });
            append.vault.push((VaultTable::SigningKeys, row));
            let generated = SigningKeyGenerated {
                alg: key.alg,
                public_jwk,
            };
            let facts = [
                SigningKeyFact::Generated(generated),
                SigningKeyFact::Activated(KeyActivated {}),
            ];
            let facts = facts.map(|fact| (edge::new_event_id(), Fact::SigningKey(fact)));
            append.facts(StreamId::SigningKey(key.id), 0, None, facts)?;
        }
        let key = new.derivation;
        let row = json!({ "id": key.id, "sealed": key.sealed, "created_at": at });
        append.vault.push((VaultTable::DerivationKeys, row));
        let facts = [
            DerivationKeyFact::Generated(KeyGenerated {}),
            DerivationKeyFact::Activated(KeyActivated {}),
        ];
        let facts = facts.map(|fact| (edge::new_event_id(), Fact::DerivationKey(fact)));
        append.facts(StreamId::DerivationKey(key.id), 0, None, facts)?;
        if let Some(admin) = new.admin {
            let fact = admin.put(&mut append);
            let day = StreamId::Administration(new.now.strftime("%Y-%m-%d").to_string());
            append.facts(day, 0, None, [(edge::new_event_id(), fact)])?;
        }
        self.writer.append(append).await.map(drop)
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

    /// The signing keys, newest first.
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

    /// The derivation keys, newest first.
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

    /// The live credentials of an agent or client, newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn credentials(&self, holder: &str) -> Result<Vec<Credential>, StoreError> {
        on!(Pool, &self.pool, sql::CREDENTIALS, |c, sql| {
            let rows = sqlx::query(sql).bind(holder).fetch_all(c).await?;
            rows.iter()
                .map(|row| {
                    Ok(Credential {
                        id: row.try_get("id")?,
                        secret_hash: row.try_get("secret_hash")?,
                    })
                })
                .collect()
        })
    }

    /// The person that an owner id stands for.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn person(&self, owner: &OwnerId) -> Result<Option<Person>, StoreError> {
        on!(Pool, &self.pool, sql::PERSON, |c, sql| {
            let row = sqlx::query(sql)
                .bind(owner.to_string())
                .fetch_optional(c)
                .await?;
            row.map(|row| {
                Ok(Person {
                    email: row.try_get("email")?,
                    name: row.try_get("name")?,
                })
            })
            .transpose()
        })
    }

    /// The owner with that address, by the keyed hash of the normalised address.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn owner_by_email(&self, email_key: &str) -> Result<Option<OwnerId>, StoreError> {
        let id = self
            .text(sql::OWNER_BY_EMAIL, email_key, "owner_id")
            .await?;
        id.map(|id| {
            id.parse()
                .map_err(|error| StoreError::Corrupt(format!("{error}")))
        })
        .transpose()
    }

    /// The name of an agent.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn agent_name(&self, agent: &AgentId) -> Result<Option<String>, StoreError> {
        self.text(sql::PROFILE, &agent.to_string(), "agent_name")
            .await
    }

    /// The key that addresses are hashed under, sealed, for `day/<date>` or `agent/<id>`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn address_key(&self, scope: &str) -> Result<Option<String>, StoreError> {
        self.text(sql::ADDRESS_KEY, scope, "sealed").await
    }

    /// Offers an address key for a scope; the first one offered stays.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when nothing was committed.
    pub async fn offer_address_key(
        &self,
        scope: &str,
        sealed: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let row = json!({ "scope": scope, "sealed": sealed, "created_at": now.as_microsecond() });
        let vault = vec![(VaultTable::AddressKeys, row)];
        self.writer
            .append(Append {
                vault,
                ..Append::default()
            })
            .await
            .map(drop)
    }

    /// Removes what is kept for requests that ended before `requests`, and daily address keys made
    /// before `address_keys`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when nothing was committed.
    pub async fn sweep(
        &self,
        requests: Timestamp,
        address_keys: Timestamp,
    ) -> Result<(), StoreError> {
        let sweeps = vec![Sweep::Requests(requests), Sweep::AddressKeys(address_keys)];
        self.writer
            .append(Append {
                sweeps,
                ..Append::default()
            })
            .await
            .map(drop)
    }

    async fn text(
        &self,
        text: sql::Text,
        key: &str,
        column: &str,
    ) -> Result<Option<String>, StoreError> {
        on!(Pool, &self.pool, text, |c, sql| {
            let row = sqlx::query(sql).bind(key).fetch_optional(c).await?;
            row.map(|row| row.try_get(column))
                .transpose()
                .map_err(StoreError::from)
        })
    }
}
