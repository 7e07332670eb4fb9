//! Admin keys: a row of the vault for each that lives, and a fact in the day's stream for each that is
//! made or revoked. They are looked up for each call, so that either counts on every node at once.

use jiff::{Timestamp, ToSpan};
use serde_json::json;
use sqlx::Row;

use super::{
    Append, MAX_RETRIES, Page, Store, StoreError,
    append::{Removal, VaultTable},
    on, sql, timestamp,
};
use crate::{
    domain::{
        AdminKeyCreated, AdminKeyId, AdminKeyRevoked, AdminRole, AdministrationFact, Fact,
        Metadata, StreamId,
    },
    edge,
};

/// An admin key that lives. Its value is nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminKey {
    /// Its id.
    pub id: AdminKeyId,
    /// The name that it acts under.
    pub name: String,
    /// What it lets its holder do.
    pub role: AdminRole,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An admin key to be made. No `Debug`.
pub struct NewAdminKey {
    /// The key.
    pub key: AdminKey,
    /// Keyed hash of its value.
    pub secret_mac: String,
}

impl NewAdminKey {
    /// Its row in the vault, and the fact that tells of it.
    pub(super) fn put(self, append: &mut Append) -> Fact {
        let AdminKey {
            id,
            name,
            role,
            created_at,
        } = self.key;
        let row = json!({
            "id": id, "name": name, "role": role, "secret_mac": self.secret_mac,
            "created_at": created_at.as_microsecond(),
        });
        append.vault.push((VaultTable::AdminKeys, row));
        let admin_key_id = id;
        Fact::Administration(AdministrationFact::AdminKeyCreated(AdminKeyCreated {
            admin_key_id,
            name,
            role,
        }))
    }
}

/// A name as people tell it from others: capitals and the width of a space make no difference.
#[must_use]
pub fn folded_name(name: &str) -> String {
    let words: Vec<&str> = name.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

/// Why an admin key was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameTaken;

/// Why an admin key was not revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStays {
    /// There is none of that id.
    Unknown,
    /// It is the last one that may change anything.
    LastAdmin,
}

impl Store {
    /// Makes an admin key, unless a living one has its name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when nothing was committed.
    pub async fn make_admin_key(
        &self,
        key: &AdminKey,
        secret_mac: &str,
        metadata: &Metadata,
    ) -> Result<Result<(), NameTaken>, StoreError> {
        self.decide_on_admin_keys(metadata, |living, append| {
            if living
                .iter()
                .any(|other| folded_name(&other.name) == folded_name(&key.name))
            {
                return Err(NameTaken);
            }
            let new = NewAdminKey {
                key: key.clone(),
                secret_mac: secret_mac.to_owned(),
            };
            Ok(new.put(append))
        })
        .await
    }

    /// Revokes an admin key: no node takes it from here on. Unless there is `another_way` in, the last
    /// key of role admin stays.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when nothing was committed.
    pub async fn revoke_admin_key(
        &self,
        id: &AdminKeyId,
        another_way: bool,
        metadata: &Metadata,
    ) -> Result<Result<(), KeyStays>, StoreError> {
        self.decide_on_admin_keys(metadata, |living, append| {
            let key = living.iter().find(|key| key.id == *id);
            let key = key.ok_or(KeyStays::Unknown)?;
            let mut admins = living.iter().filter(|key| key.role == AdminRole::Admin);
            if !another_way && key.role == AdminRole::Admin && admins.nth(1).is_none() {
                return Err(KeyStays::LastAdmin);
            }
            append.remove.push((Removal::AdminKey, id.to_string()));
            let revoked = AdminKeyRevoked {
                admin_key_id: *id,
                name: key.name.clone(),
            };
            Ok(Fact::Administration(AdministrationFact::AdminKeyRevoked(
                revoked,
            )))
        })
        .await
    }

    /// Decides about the keys that live, and appends to the stream of today. Whoever else made or revoked
    /// one meanwhile was first: also where their today is the day before or after.
    async fn decide_on_admin_keys<E>(
        &self,
        metadata: &Metadata,
        decide: impl Fn(&[AdminKey], &mut Append) -> Result<Fact, E>,
    ) -> Result<Result<(), E>, StoreError> {
        for _ in 0..MAX_RETRIES {
            let now = self.now().await?;
            let mut append = Append::by(metadata)?;
            for day in [now - 24.hours(), now + 24.hours()].map(StreamId::administration) {
                let version = self.version(&day).await?;
                append.expected.push((day.to_string(), version));
            }
            let today = StreamId::administration(now);
            let version = self.version(&today).await?;
            // Read after the versions: what is newer than they say is a conflict.
            let living = self.admin_keys().await?;
            let fact = match decide(&living, &mut append) {
                Ok(fact) => fact,
                Err(refused) => return Ok(Err(refused)),
            };
            append.facts(today, version, None, [(edge::new_event_id(), fact)])?;
            match self.writer.append(append).await {
                Err(StoreError::Conflict) => {}
                done => return done.map(|_| Ok(())),
            }
        }
        Err(StoreError::Conflict)
    }

    async fn admin_keys(&self) -> Result<Vec<AdminKey>, StoreError> {
        Ok(self.list_admin_keys(None, u32::MAX).await?.items)
    }

    /// The keys that live, in the order in which they were made, after a cursor.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn list_admin_keys(
        &self,
        after: Option<AdminKeyId>,
        limit: u32,
    ) -> Result<Page<AdminKey, AdminKeyId>, StoreError> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        // One more than asked for tells whether there is a next page.
        let wanted = i64::from(limit) + 1;
        let found: Vec<AdminKey> = on!(Pool, &self.pool, sql::ADMIN_KEYS, |c, sql| {
            let rows = sqlx::query(sql)
                .bind(&after)
                .bind(wanted)
                .fetch_all(c)
                .await?;
            rows.iter().map(read).collect::<Result<_, StoreError>>()?
        });
        Ok(Page::cut(found, limit, |key| key.id))
    }

    /// The key of that id, while it lives.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn admin_key(&self, id: &AdminKeyId) -> Result<Option<AdminKey>, StoreError> {
        self.one_admin_key(sql::ADMIN_KEY, &id.to_string()).await
    }

    /// The key whose value has that keyed hash, while it lives.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn admin_key_by_mac(&self, mac: &str) -> Result<Option<AdminKey>, StoreError> {
        self.one_admin_key(sql::ADMIN_KEY_BY_MAC, mac).await
    }

    async fn one_admin_key(
        &self,
        text: sql::Text,
        by: &str,
    ) -> Result<Option<AdminKey>, StoreError> {
        on!(Pool, &self.pool, text, |c, sql| {
            let row = sqlx::query(sql).bind(by).fetch_optional(c).await?;
            row.as_ref().map(read).transpose()
        })
    }
}

fn read<R: Row>(row: &R) -> Result<AdminKey, StoreError>
where
    for<'a> &'a str: sqlx::ColumnIndex<R>,
    for<'a> String: sqlx::Decode<'a, R::Database> + sqlx::Type<R::Database>,
    for<'a> i64: sqlx::Decode<'a, R::Database> + sqlx::Type<R::Database>,
{
    let (id, role): (String, String) = (row.try_get("id")?, row.try_get("role")?);
    let corrupt = |what: String| StoreError::Corrupt(format!("an admin key: {what}"));
    Ok(AdminKey {
        id: id.parse().map_err(|error| corrupt(format!("{error}")))?,
        name: row.try_get("name")?,
        role: role.parse().map_err(|error| corrupt(format!("{error}")))?,
        created_at: timestamp(row.try_get("created_at")?)?,
    })
}
