//! The grants that live, for administration.

use jiff::Timestamp;
use sqlx::Row;

use super::{Page, Store, StoreError, on, sql};
use crate::domain::{
    AgentId, AuthRequest, ClientId, Lifetimes, LivingKey, OwnerId, RequestId, Standing, Versioned,
};

/// Which grants are asked for; each filter narrows.
#[derive(Debug, Clone, Default)]
pub struct GrantFilter {
    /// Only those after this one.
    pub after: Option<RequestId>,
    /// Only those of this agent.
    pub agent_id: Option<AgentId>,
    /// Only those of this client.
    pub client_id: Option<ClientId>,
    /// Only those of this owner's agents.
    pub owner_id: Option<OwnerId>,
    /// At most so many.
    pub limit: u32,
}

/// A grant that lives.
#[derive(Debug, Clone)]
pub struct LivingGrant {
    /// Its sign-in.
    pub id: RequestId,
    /// The fold of it.
    pub request: AuthRequest,
    /// Those it depends on.
    pub standing: Standing,
    /// When the last of it runs out.
    pub expires_at: Timestamp,
}

/// Requests looked at in one statement.
const PAGE: usize = 1_000;
/// Statements for one page of the list: those that have run out are looked at too, and may be many.
const STATEMENTS: usize = 5;

impl GrantFilter {
    /// The text that looks at the fewest requests, as a rule.
    const fn text(&self) -> sql::Text {
        match self {
            Self {
                agent_id: Some(_), ..
            } => sql::GRANTED_BY_AGENT,
            Self {
                owner_id: Some(_), ..
            } => sql::GRANTED_OF_OWNER,
            Self {
                client_id: Some(_), ..
            } => sql::GRANTED_AT_CLIENT,
            _ => sql::GRANTED,
        }
    }
}

/// A request that was looked at; of one that fits more than its id.
type LookedAt = (RequestId, Option<(AuthRequest, Standing)>);

impl Store {
    /// The grants that fit and live at this moment, in the order of their requests. That one has run out, or
    /// was cut off, follows from what is read: no row says so. So only so many are looked at for one page,
    /// which may hold fewer than asked for, or none, and still have a next one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn list_grants(
        &self,
        filter: &GrantFilter,
        lifetimes: &Lifetimes,
    ) -> Result<Page<LivingGrant, RequestId>, StoreError> {
        let now = self.now().await?;
        let derivation_keys = self.keys().await?.deriving();
        // One more than asked for tells whether there is a next page.
        let wanted = usize::try_from(filter.limit).unwrap_or(usize::MAX - 1) + 1;
        let mut after = filter.after;
        let mut found = Vec::new();
        for _ in 0..STATEMENTS {
            let rows = self.granted(filter, after, &derivation_keys).await?;
            let is_last = rows.len() < PAGE;
            after = rows.last().map(|(id, _)| *id).or(after);
            let living = rows.into_iter().filter_map(|(id, granted)| {
                let (request, standing) = granted?;
                let activity = request.active(&standing)?;
                let expires_at = activity.lives_until(lifetimes, now)?;
                Some(LivingGrant {
                    id,
                    request,
                    standing,
                    expires_at,
                })
            });
            found.extend(living);
            if is_last || found.len() >= wanted {
                return Ok(Page::cut(found, filter.limit, |grant| grant.id));
            }
        }
        Ok(Page {
            items: found,
            next: after,
        })
    }

    /// The requests behind one, with those they depend on.
    async fn granted(
        &self,
        filter: &GrantFilter,
        after: Option<RequestId>,
        derivation_keys: &[LivingKey],
    ) -> Result<Vec<LookedAt>, StoreError> {
        on!(Pool, &self.pool, filter.text(), |c, sql| {
            let rows = sqlx::query(sql)
                .bind(after.map(|id| id.to_string()).unwrap_or_default())
                .bind(i64::try_from(PAGE).unwrap_or(i64::MAX))
                .bind(filter.agent_id.map(|id| id.to_string()))
                .bind(filter.client_id.map(|id| id.to_string()))
                .bind(filter.owner_id.map(|id| id.to_string()))
                .fetch_all(c)
                .await?;
            rows.iter()
                .map(|row| {
                    let id = row.try_get::<String, _>("id")?;
                    let id = id
                        .parse()
                        .map_err(|error| StoreError::Corrupt(format!("{error}")))?;
                    let Some(request) = row.try_get::<Option<String>, _>("request")? else {
                        return Ok((id, None));
                    };
                    let request = serde_json::from_str(&request)?;
                    let read =
                        |column: &str| -> Result<String, sqlx::Error> { row.try_get(column) };
                    // Only what they let through is looked at here, never a version.
                    let standing = Standing {
                        client: Some(Versioned {
                            version: 0,
                            state: serde_json::from_str(&read("client")?)?,
                        }),
                        agent: Some(Versioned {
                            version: 0,
                            state: serde_json::from_str(&read("agent")?)?,
                        }),
                        owner: Some(Versioned {
                            version: 0,
                            state: serde_json::from_str(&read("owner")?)?,
                        }),
                        derivation_keys: derivation_keys.to_vec(),
                    };
                    Ok((id, Some((request, standing))))
                })
                .collect()
        })
    }
}
