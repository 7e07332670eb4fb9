//! Reading the log: one stream, onwards from a position, or filtered for an auditor.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::Row;

use super::{
    Store, StoreError,
    append::Committed,
    as_i64, as_u64, head, on,
    sql::{self, audit::Audited},
};
use crate::domain::{Envelope, EventId, RequestId, StreamId, decode};

/// Which events an auditor asks for; each filter narrows.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only events after this position.
    pub after: u64,
    /// Only this stream, as `kind/id`.
    pub stream: Option<String>,
    /// Only this type.
    pub type_name: Option<String>,
    /// Only this agent: its own stream, and every sign-in of it.
    pub agent_id: Option<String>,
    /// Only this client: its own stream, and every request of it.
    pub client_id: Option<String>,
    /// Recorded at or after.
    pub since: Option<Timestamp>,
    /// Recorded before.
    pub until: Option<Timestamp>,
    /// At most so many.
    pub limit: u32,
}

/// A query with an auditor's filters.
macro_rules! filtered {
    ($sql:expr, $filter:expr) => {
        sqlx::query($sql)
            .bind(as_i64($filter.after))
            .bind(i64::from($filter.limit))
            .bind(&$filter.stream)
            .bind(&$filter.type_name)
            .bind(&$filter.agent_id)
            .bind(&$filter.client_id)
            .bind($filter.since.map(Timestamp::as_microsecond))
            .bind($filter.until.map(Timestamp::as_microsecond))
    };
}

/// An event as an auditor reads it.
#[derive(Debug)]
pub struct LogEntry {
    /// Where it stands in the log.
    pub position: u64,
    /// Its type.
    pub type_name: String,
    /// The very text that was written; of one that was archived, what is left of it, with
    /// `"archived": true`.
    pub text: Box<RawValue>,
}

/// With no more events behind the position they are read in their order, whatever is asked of them.
const FEW: u64 = 200;
/// Most events of an agent or a client that are read, stream by stream, for one page.
const MOST: u64 = 5_000;

/// What the log still holds of an archived event.
#[derive(Serialize)]
struct Stub<'a> {
    position: u64,
    stream: String,
    version: u64,
    #[serde(rename = "type")]
    type_name: &'a str,
    leaf_hash: String,
    archived: bool,
}

impl Store {
    /// The events that fit, in order.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn audit(&self, filter: &AuditFilter) -> Result<Vec<LogEntry>, StoreError> {
        let text = self.walk(filter).await?.onward;
        on!(Pool, &self.pool.unhurried(), text, |c, sql| {
            let rows = filtered!(sql, filter).fetch_all(c).await?;
            rows.iter()
                .map(|row| {
                    let body: String = row.try_get("body")?;
                    let position = as_u64(row.try_get("position")?);
                    let type_name: String = row.try_get("type")?;
                    let text = if body.is_empty() {
                        serde_json::value::to_raw_value(&Stub {
                            position,
                            stream: row.try_get("stream")?,
                            version: as_u64(row.try_get("version")?),
                            type_name: &type_name,
                            leaf_hash: row.try_get("leaf_hash")?,
                            archived: true,
                        })?
                    } else {
                        RawValue::from_string(body)?
                    };
                    Ok(LogEntry {
                        position,
                        type_name,
                        text,
                    })
                })
                .collect()
        })
    }

    /// The position behind which the newest of the events that fit stand, as many as the filter's limit.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn audit_newest(&self, filter: &AuditFilter) -> Result<u64, StoreError> {
        let text = self.walk(filter).await?.newest;
        on!(Pool, &self.pool.unhurried(), text, |c, sql| {
            let row = filtered!(sql, filter).fetch_one(c).await?;
            Ok(as_u64(row.try_get("number")?).saturating_sub(1))
        })
    }

    /// The way to the events that fit on which the fewest are looked at.
    async fn walk(&self, filter: &AuditFilter) -> Result<Audited, StoreError> {
        let behind = self.head.borrow().saturating_sub(filter.after);
        if behind <= FEW {
            return Ok(sql::audit::IN_ORDER);
        }
        if filter.stream.is_some() {
            return Ok(sql::audit::OF_STREAM);
        }
        for (holder, events, audited) in [
            (
                &filter.agent_id,
                sql::audit::EVENTS_OF_AGENT,
                sql::audit::OF_AGENT,
            ),
            (
                &filter.client_id,
                sql::audit::EVENTS_OF_CLIENT,
                sql::audit::OF_CLIENT,
            ),
        ] {
            let Some(holder) = holder else { continue };
            let events = on!(Pool, &self.pool, events, |c, sql| {
                // A request has one event at least.
                let query = sqlx::query(sql).bind(holder).bind(as_i64(MOST + 1));
                as_u64(query.fetch_one(c).await?.try_get("number")?)
            });
            if events <= MOST.min(behind) {
                return Ok(audited);
            }
        }
        Ok(sql::audit::IN_ORDER)
    }

    /// The version of the event by which a website took its tokens, if it did.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn redeemed_at(&self, request: &RequestId) -> Result<Option<u64>, StoreError> {
        let stream = StreamId::AuthRequest(*request).to_string();
        on!(Pool, &self.pool, sql::audit::REDEEMED_AT, |c, sql| {
            let row = sqlx::query(sql).bind(&stream).fetch_optional(c).await?;
            Ok(row
                .map(|row| row.try_get("number").map(as_u64))
                .transpose()?)
        })
    }

    /// Whether a refresh token of the request was derived from an event that `matches`: the long
    /// memory behind the two generations that the projection keeps.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn history_contains(
        &self,
        request: &RequestId,
        matches: impl Fn(&EventId) -> bool,
    ) -> Result<bool, StoreError> {
        const PAGE: i64 = 500;
        /// All that is asked of an envelope here.
        #[derive(Deserialize)]
        struct Named {
            id: EventId,
        }
        let stream = StreamId::AuthRequest(*request).to_string();
        let mut after: i64 = 0;
        loop {
            let mut read = 0;
            on!(Pool, &self.pool, sql::ISSUING_EVENTS, |c, sql| {
                let rows = sqlx::query(sql)
                    .bind(&stream)
                    .bind(after)
                    .bind(PAGE)
                    .fetch_all(c)
                    .await?;
                for row in rows {
                    let body: String = row.try_get("body")?;
                    if matches(&serde_json::from_str::<Named>(&body)?.id) {
                        return Ok(true);
                    }
                    after = row.try_get("version")?;
                    read += 1;
                }
            });
            if read < PAGE {
                return Ok(false);
            }
        }
    }

    /// The streams that have grown after a position, at most `limit` events further, and the last
    /// position read; `None` when there is nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub(crate) async fn streams_after(
        &self,
        position: u64,
        limit: u32,
    ) -> Result<Option<(u64, Vec<StreamId>)>, StoreError> {
        let rows: Vec<(i64, String)> = on!(Pool, &self.pool, sql::STREAMS_AFTER, |c, sql| {
            let rows = sqlx::query(sql)
                .bind(as_i64(position))
                .bind(i64::from(limit))
                .fetch_all(c)
                .await?;
            rows.iter()
                .map(|row| Ok((row.try_get("position")?, row.try_get("stream")?)))
                .collect::<Result<_, StoreError>>()?
        });
        let Some((last, _)) = rows.last() else {
            return Ok(None);
        };
        let last = as_u64(*last);
        // A kind of stream that a newer program writes has no subscribers here.
        let streams = rows
            .iter()
            .filter_map(|(_, stream)| StreamId::parse(stream))
            .collect();
        Ok(Some((last, streams)))
    }

    /// The events after a position, at most `limit`, decoded.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fact`] when a newer program wrote one of them.
    pub async fn events_after(
        &self,
        position: u64,
        limit: u32,
    ) -> Result<Vec<Committed>, StoreError> {
        let bodies: Vec<String> = on!(Pool, &self.pool, sql::EVENTS_AFTER, |c, sql| {
            let rows = sqlx::query(sql)
                .bind(as_i64(position))
                .bind(i64::from(limit))
                .fetch_all(c)
                .await?;
            rows.iter()
                .map(|row| row.try_get("body"))
                .collect::<Result<_, _>>()?
        });
        bodies
            .iter()
            .map(|body| {
                let envelope: Envelope = serde_json::from_str(body)?;
                let (stream, recorded) = decode(&envelope)?;
                Ok(Committed { stream, recorded })
            })
            .collect()
    }

    /// The last position of the log as the database has it now, whoever appended it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn last_position(&self) -> Result<u64, StoreError> {
        head(&self.pool).await
    }

    pub(crate) async fn checkpoint(&self, name: &str) -> Result<u64, StoreError> {
        on!(Pool, &self.pool, sql::CHECKPOINT, |c, sql| {
            let row = sqlx::query(sql).bind(name).fetch_one(c).await?;
            Ok(as_u64(row.try_get("number")?))
        })
    }
}
