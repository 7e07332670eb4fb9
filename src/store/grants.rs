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

/// Rows looked at in one statement.
const PAGE: i64 = 500;
/// Rows looked at for one page: of grants that have run out nothing says so but what is read.
const MOST_LOOKED_AT: usize = 10_000;

impl Store {
    /// The grants that fit and live at this moment, in the order of their requests. That one has run out, or
    /// was cut off, follows from what is read: no row says so. Where those are many a page may have fewer
    /// than asked for, even none, and a next one all the same.
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
        // One more than asked for tells whether there is a next page.
        let wanted = usize::try_from(filter.limit).unwrap_or(usize::MAX - 1) + 1;
        let mut after = filter.after.map(|id| id.to_string()).unwrap_or_default();
        let derivation_keys = self.keys().await?.deriving();
        let mut found = Vec::new();
        let mut looked_at = 0;
        while found.len() < wanted {
            let rows = self.granted(filter, &after, &derivation_keys).await?;
            let Some(&(last, ..)) = rows.last() else {
                break;
            };
            after = last.to_string();
            looked_at += rows.len();
            let living = rows.into_iter().filter_map(|(id, request, standing)| {
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
            if looked_at >= MOST_LOOKED_AT && found.len() < wanted {
                return Ok(Page {
                    items: found,
                    next: Some(last),
                });
            }
        }
        Ok(Page::cut(found, filter.limit, |grant| grant.id))
    }

    /// Requests whose code was redeemed and that have not ended, with those they depend on.
    async fn granted(
        &self,
        filter: &GrantFilter,
        after: &str,
        derivation_keys: &[LivingKey],
    ) -> Result<Vec<(RequestId, AuthRequest, Standing)>, StoreError> {
        let text = match filter {
            GrantFilter {
                agent_id: Some(_), ..
            } => sql::GRANTED_TO_AGENT,
            GrantFilter {
                owner_id: Some(_), ..
            } => sql::GRANTED_BY_OWNER,
            GrantFilter {
                client_id: Some(_), ..
            } => sql::GRANTED_TO_CLIENT,
            _ => sql::GRANTED,
        };
        on!(Pool, &self.pool, text, |c, sql| {
            let rows = sqlx::query(sql)
                .bind(after)
                .bind(filter.agent_id.map(|id| id.to_string()))
                .bind(filter.client_id.map(|id| id.to_string()))
                .bind(filter.owner_id.map(|id| id.to_string()))
                .bind(PAGE)
                .fetch_all(c)
                .await?;
            rows.iter()
                .map(|row| {
                    let read =
                        |column: &str| -> Result<String, sqlx::Error> { row.try_get(column) };
                    let id = read("id")?
                        .parse()
                        .map_err(|error| StoreError::Corrupt(format!("{error}")))?;
                    let request = serde_json::from_str(&read("request")?)?;
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
                    Ok((id, request, standing))
                })
                .collect()
        })
    }
}
