//! The vault: what may not be in the log. Credentials (hashed), people, request details, address keys
//! (sealed under the master key); signing and derivation keys are in [`super::keys`].

use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::Row;

use super::{
    Append, Store, StoreError,
    append::{Sweep, VaultTable},
    on, sql,
};
use crate::domain::{AgentId, OwnerId, RequestId};

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

impl Store {
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

    /// Until when the former secret of an agent or client is valid beside the new one; `None` when it has one
    /// alone.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn former_secret_until(&self, holder: &str) -> Result<Option<Timestamp>, StoreError> {
        on!(Pool, &self.pool, sql::FORMER_CREDENTIAL, |c, sql| {
            let row = sqlx::query(sql).bind(holder).fetch_one(c).await?;
            let until: Option<i64> = row.try_get("number")?;
            until
                .map(Timestamp::from_microsecond)
                .transpose()
                .map_err(|error| StoreError::Corrupt(error.to_string()))
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

    pub(super) async fn text(
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
