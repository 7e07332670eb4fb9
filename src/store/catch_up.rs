//! Bringing the inline projections up to the head of the log, when events were appended by a
//! program that did not project them.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;
use sqlx::Row;

use super::{
    StoreError, as_u64,
    batch::{bodies_between, set_projected},
    database::{Writable, on},
    projection::{Projected, Rows, Table, row_id},
};
use crate::domain::{Envelope, Fact, Recorded, decode};

/// Events applied in one transaction.
const PAGE: u64 = 1_000;

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

/// Applies the next events in `(from, head]` to the inline projections, inside the caller's
/// transaction: not more than a page of them, so that a transaction stays short.
pub(crate) async fn page(
    connection: &mut Writable,
    from: u64,
    head: u64,
) -> Result<(), StoreError> {
    let to = head.min(from + PAGE);
    let mut streams: BTreeMap<Table, BTreeMap<String, Vec<Recorded<Fact>>>> = BTreeMap::new();
    for body in bodies_between(connection, from, to).await? {
        let envelope: Envelope = serde_json::from_str(&body)?;
        let (stream, recorded) = decode(&envelope)?;
        if let Some(table) = Table::of(&stream) {
            let id = row_id(&envelope.stream).to_owned();
            let events = streams.entry(table).or_default().entry(id).or_default();
            events.push(recorded);
        }
    }
    let mut rows = Rows::default();
    for (table, streams) in streams {
        let ids: Vec<&str> = streams.keys().map(String::as_str).collect();
        let mut stored = stored_rows(connection, table, &ids).await?;
        for (id, events) in streams {
            let (mut version, mut first, mut state) = match stored.remove(&id) {
                Some(row) => (row.version, row.position, Some(table.read(&row.state)?)),
                None => (0, 0, None),
            };
            // What is projected already is not projected twice.
            for event in events.iter().filter(|event| event.version > version) {
                state = Some(Projected::apply(state, event)?);
                if first == 0 {
                    first = event.position;
                }
            }
            version = events
                .iter()
                .map(|event| event.version)
                .fold(version, u64::max);
            if let Some(state) = state {
                rows.push(table, state.row(&id, version, first)?);
            }
        }
    }
    for (text, rows) in rows.statements() {
        connection.run(text, Some(&rows)).await?;
    }
    set_projected(connection, to).await
}
