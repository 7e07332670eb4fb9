//! Lists for administration, paged by the order in which things were registered, and counts.

use std::{fmt::Display, str::FromStr};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::Row;
use uuid::Builder;

use super::{Store, StoreError, as_i64, as_u64, on, sql};
use crate::domain::{Agent, AgentId, Client, ClientId, Owner, OwnerId, RequestId};

/// One entry of a list. No `Debug`: it says who somebody is.
pub struct Listed<I, S> {
    /// Its id.
    pub id: I,
    /// Its state.
    pub state: S,
    /// Its name in the vault, where it has one.
    pub name: Option<String>,
    /// Its address in the vault, where it has one.
    pub email: Option<String>,
}

/// Part of a list whose cursor is a `C`.
pub struct Page<T, C = u64> {
    /// The entries.
    pub items: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// That there is nothing.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            items: Vec::new(),
            next: None,
        }
    }

    /// What was found, which is one more than the limit where there is a next page.
    pub(super) fn cut(mut found: Vec<T>, limit: u32, cursor: impl Fn(&T) -> C) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(cursor);
        Self { items: found, next }
    }
}

/// A column that not every list has.
fn if_selected(column: Result<Option<String>, sqlx::Error>) -> Result<Option<String>, sqlx::Error> {
    match column {
        Err(sqlx::Error::ColumnNotFound(_)) => Ok(None),
        column => column,
    }
}

impl Store {
    /// Clients after a cursor.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn list_clients(
        &self,
        after: u64,
        limit: u32,
    ) -> Result<Page<Listed<ClientId, Client>>, StoreError> {
        self.list(sql::LIST_CLIENTS, after, limit, None).await
    }

    /// Agents after a cursor; of an owner alone, if one is named.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn list_agents(
        &self,
        after: u64,
        limit: u32,
        owner: Option<&OwnerId>,
    ) -> Result<Page<Listed<AgentId, Agent>>, StoreError> {
        match owner {
            None => self.list(sql::LIST_AGENTS, after, limit, None).await,
            Some(owner) => {
                let owner = owner.to_string();
                self.list(sql::LIST_AGENTS_OF_OWNER, after, limit, Some(owner))
                    .await
            }
        }
    }

    /// Owners after a cursor.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn list_owners(
        &self,
        after: u64,
        limit: u32,
    ) -> Result<Page<Listed<OwnerId, Owner>>, StoreError> {
        self.list(sql::LIST_OWNERS, after, limit, None).await
    }

    async fn list<I, S>(
        &self,
        text: sql::Text,
        after: u64,
        limit: u32,
        of: Option<String>,
    ) -> Result<Page<Listed<I, S>>, StoreError>
    where
        I: std::str::FromStr<Err: std::fmt::Display>,
        S: DeserializeOwned,
    {
        // One more than asked for tells whether there is a next page.
        let wanted = i64::from(limit) + 1;
        let found: Vec<(u64, Listed<I, S>)> = on!(Pool, &self.pool, text, |c, sql| {
            let mut query = sqlx::query(sql).bind(as_i64(after)).bind(wanted);
            if let Some(of) = of {
                query = query.bind(of);
            }
            let rows = query.fetch_all(c).await?;
            rows.iter()
                .map(|row| {
                    let id: String = row.try_get("id")?;
                    let body: String = row.try_get("body")?;
                    let listed = Listed {
                        id: id
                            .parse()
                            .map_err(|e: I::Err| StoreError::Corrupt(e.to_string()))?,
                        state: serde_json::from_str(&body)?,
                        name: if_selected(row.try_get("name"))?,
                        email: if_selected(row.try_get("email"))?,
                    };
                    Ok((as_u64(row.try_get("position")?), listed))
                })
                .collect::<Result<_, StoreError>>()?
        });
        let Page { items, next } = Page::cut(found, limit, |(position, _)| *position);
        Ok(Page {
            items: items.into_iter().map(|(_, listed)| listed).collect(),
            next,
        })
    }

    /// How many requests of a client that were opened at `since` or later still wait. One that was
    /// denied counts as well.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn pending_of(&self, client: &ClientId, since: Timestamp) -> Result<u64, StoreError> {
        let millis = u64::try_from(since.as_millisecond()).unwrap_or(0);
        let first = Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid();
        on!(Pool, &self.pool, sql::PENDING_OF_CLIENT, |c, sql| {
            let row = sqlx::query(sql)
                .bind(client.to_string())
                .bind(RequestId::from_uuid(first).to_string())
                .fetch_one(c)
                .await?;
            Ok(as_u64(row.try_get("number")?))
        })
    }

    pub(crate) async fn requests_of_agent(
        &self,
        agent: &AgentId,
        after: &str,
    ) -> Result<Vec<RequestId>, StoreError> {
        self.request_ids(sql::REQUESTS_OF_AGENT, &agent.to_string(), after)
            .await
    }

    pub(crate) async fn requests_of_client(
        &self,
        client: &ClientId,
        after: &str,
    ) -> Result<Vec<RequestId>, StoreError> {
        self.request_ids(sql::REQUESTS_OF_CLIENT, &client.to_string(), after)
            .await
    }

    pub(crate) async fn requests_of_owner(
        &self,
        owner: &OwnerId,
        after: &str,
    ) -> Result<Vec<RequestId>, StoreError> {
        self.request_ids(sql::REQUESTS_OF_OWNER, &owner.to_string(), after)
            .await
    }

    /// Sign-ins that have not ended, under any of the derivation keys.
    pub(crate) async fn sign_ins_under(
        &self,
        keys: &[&str],
        after: &str,
    ) -> Result<Vec<RequestId>, StoreError> {
        let keys = serde_json::to_string(keys)?;
        self.request_ids(sql::SIGN_INS_UNDER, &keys, after).await
    }

    async fn request_ids(
        &self,
        text: sql::Text,
        holder: &str,
        after: &str,
    ) -> Result<Vec<RequestId>, StoreError> {
        const PAGE: i64 = 200;
        self.ids(text, holder, after, PAGE).await
    }

    /// The next ids behind one, at most so many, of what somebody has.
    pub(super) async fn ids<I>(
        &self,
        text: sql::Text,
        holder: &str,
        after: &str,
        most: i64,
    ) -> Result<Vec<I>, StoreError>
    where
        I: FromStr<Err: Display>,
    {
        on!(Pool, &self.pool, text, |c, sql| {
            let rows = sqlx::query(sql)
                .bind(holder)
                .bind(after)
                .bind(most)
                .fetch_all(c)
                .await?;
            rows.iter()
                .map(|row| {
                    let id: String = row.try_get("id")?;
                    id.parse()
                        .map_err(|error: I::Err| StoreError::Corrupt(error.to_string()))
                })
                .collect()
        })
    }
}
