//! Bringing the inline projections up to the head of the log, when events were appended by a
//! program that did not project them.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;
use sqlx::Row;

use super::{
    StoreError,
    database::{Writable, on},
    projection::{Projected, Rows, Table, row_id},
    sql,
    writer::{as_i64, as_u64, set_checkpoint},
};
use crate::domain::{Envelope, Fact, Recorded, decode};

/// A projection's row as stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredRow {
    pub(crate) version: u64,
    pub(crate) position: u64,
    pub(crate) client_id: Option<String>,
    pub(crate) agent_id: Option<String>,
    pub(crate) owner_id: Option<String>,
    pub(crate) state: String,
}

/// The rows of one table by id.
pub(crate) async fn stored_rows(
    connection: &mut Writable,
    table: Table,
    ids: &[&str],
) -> Result<HashMap<String, StoredRow>, StoreError> {
    let ids = json!(ids).to_string();
    on!(Writable, connection, table.rows(), |c, sql| {
        let rows = sqlx::query(sql).bind(&ids).fetch_all(c).await?;
        rows.into_iter()
            .map(|row| {
                let stored = StoredRow {
                    version: as_u64(row.try_get("version")?),
                    position: as_u64(row.try_get("position")?),
                    client_id: row.try_get("client_id")?,
                    agent_id: row.try_get("agent_id")?,
                    owner_id: row.try_get("owner_id")?,
                    state: row.try_get("state")?,
                };
                Ok((row.try_get("id")?, stored))
            })
            .collect()
    })
}

/// Applies the events in `(from, to]` to the inline projections, inside the caller's transaction.
pub(crate) async fn catch_up(
    connection: &mut Writable,
    from: u64,
    to: u64,
) -> Result<(), StoreError> {
    let bodies: Vec<String> = on!(Writable, &mut *connection, sql::EVENTS_BETWEEN, |c, sql| {
        let rows = sqlx::query(sql)
            .bind(as_i64(from))
            .bind(as_i64(to))
            .fetch_all(c)
            .await?;
        rows.iter()
            .map(|row| row.try_get("body"))
            .collect::<Result<_, _>>()?
    });
    let mut streams: BTreeMap<(Table, String), Vec<Recorded<Fact>>> = BTreeMap::new();
    for body in &bodies {
        let envelope: Envelope = serde_json::from_str(body)?;
        let (stream, recorded) = decode(&envelope)?;
        if let Some(table) = Table::of(&stream) {
            let id = row_id(&envelope.stream).to_owned();
            streams.entry((table, id)).or_default().push(recorded);
        }
    }
    let mut rows = Rows::default();
    for ((table, id), events) in streams {
        let stored = stored_rows(connection, table, &[id.as_str()])
            .await?
            .remove(&id);
        let (mut version, mut first) = (0, 0);
        let mut state: Option<Projected> = None;
        if let Some(stored) = stored {
            (version, first) = (stored.version, stored.position);
            state = Some(table.read(&stored.state)?);
        }
        for event in events.iter().filter(|event| event.version > version) {
            state = Some(Projected::apply(state, event)?);
            if first == 0 {
                first = event.position;
            }
        }
        let last = events
            .last()
            .map_or(version, |event| event.version.max(version));
        if let Some(state) = state {
            rows.push(table, state.row(&id, last, first)?);
        }
    }
    for (text, rows) in rows.statements() {
        connection.run(text, Some(&rows)).await?;
    }
    set_checkpoint(connection, "inline", to).await
}
