//! What the commands of a batch change: gathered command by command, written table by table.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Value, json, value::RawValue};

use super::{Answer, Known, set_projected};
use crate::{
    domain::Recorded,
    store::{
        StoreError,
        append::{Append, Committed, EventRow, Removal, VaultTable},
        database::Writable,
        projection::{Projected, Rows, Table, row_id},
        sql,
    },
};

/// Everything that a batch writes, gathered so that each table is written by one statement.
#[derive(Default)]
pub(super) struct Changes<'a> {
    events: Vec<EventRow<'a>>,
    rows: Rows,
    claims: Vec<Value>,
    vault: HashMap<VaultTable, Vec<&'a Value>>,
    retire: Vec<&'a Value>,
    archive: Vec<&'a (String, u64)>,
    remove: HashMap<Removal, Vec<&'a str>>,
    release: Vec<&'a str>,
}

impl<'a> Changes<'a> {
    /// Checks one command against what is known, and adds its share; a conflict drops that command
    /// alone.
    pub(super) fn add(&mut self, append: &'a Append, known: &mut Known, now: Timestamp) -> Answer {
        // Claims first: whoever comes second is to learn who came first, also where the loser's
        // versions tell no more than that somebody did.
        for claim in &append.claims {
            if let Some(holder) = known.claims.get(&claim.key) {
                return Err(StoreError::Claimed {
                    holder: holder.clone(),
                });
            }
        }
        if known.resealed && append.seals() {
            return Err(StoreError::Resealed);
        }
        for (stream, expected) in &append.expected {
            if known.versions.get(stream).copied().unwrap_or(0) != *expected {
                return Err(StoreError::Conflict);
            }
        }
        // From here on a failure would leave half a command in the batch: gather first, then add.
        let mut events = Vec::with_capacity(append.events.len());
        let mut committed: Vec<Committed> = Vec::with_capacity(append.events.len());
        let mut versions: HashMap<&str, u64> = HashMap::new();
        let mut position = known.head;
        for event in &append.events {
            let metadata: &RawValue = append
                .metadata
                .as_deref()
                .ok_or_else(|| StoreError::Corrupt("no metadata".into()))?;
            let version = versions
                .entry(&event.stream_text)
                .or_insert_with(|| known.versions.get(&event.stream_text).copied().unwrap_or(0));
            *version += 1;
            position += 1;
            events.push(event.row(position, *version, now, metadata)?);
            let recorded = Recorded {
                position,
                version: *version,
                id: event.id,
                occurred_at: now,
                fact: event.fact.clone(),
            };
            committed.push(Committed {
                stream: event.stream.clone(),
                recorded,
            });
        }
        let mut rows = Vec::new();
        for (stream, before) in &append.before {
            let Some(table) = Table::of(stream) else {
                continue;
            };
            let mut state = before.clone();
            let (mut first, mut version) = (0, 0);
            for event in committed.iter().filter(|event| event.stream == *stream) {
                state = Some(Projected::apply(state, &event.recorded)?);
                if first == 0 {
                    first = event.recorded.position;
                }
                version = event.recorded.version;
            }
            if let (Some(state), true) = (state, version > 0) {
                let text = stream.to_string();
                rows.push((table, state.row(row_id(&text), version, first)?));
            }
        }

        for (stream, version) in versions {
            known.versions.insert(stream.to_owned(), version);
        }
        known.head = position;
        for key in &append.release {
            // Whoever made it did so in an earlier batch: what gives it up has seen it made.
            known.claims.remove(key);
            self.release.push(key);
        }
        for claim in &append.claims {
            known.claims.insert(claim.key.clone(), claim.value.clone());
            self.claims.push(claim.row());
        }
        for (table, row) in rows {
            self.rows.push(table, row);
        }
        self.retire.extend(&append.retire);
        for (table, row) in &append.vault {
            self.vault.entry(*table).or_default().push(row);
        }
        self.events.extend(events);
        self.archive.extend(&append.archive);
        for (what, key) in &append.remove {
            self.remove.entry(*what).or_default().push(key);
        }
        Ok(committed)
    }

    /// Writes it all, each table once, in the order that they need of each other.
    pub(super) async fn write(
        self,
        connection: &mut Writable,
        before: u64,
        head: u64,
    ) -> Result<(), StoreError> {
        if head > before {
            let events = serde_json::to_string(&self.events)?;
            connection.run(sql::INSERT_EVENTS, Some(&events)).await?;
            set_projected(connection, head).await?;
        }
        if !self.release.is_empty() {
            // Before they are made again.
            let keys = json!(self.release).to_string();
            connection.run(sql::DELETE_CLAIMS, Some(&keys)).await?;
        }
        if !self.claims.is_empty() {
            let claims = Value::Array(self.claims).to_string();
            connection.run(sql::INSERT_CLAIMS, Some(&claims)).await?;
        }
        for (text, rows) in self.rows.statements() {
            connection.run(text, Some(&rows)).await?;
        }
        if !self.retire.is_empty() {
            // Before the new ones are there.
            let holders = serde_json::to_string(&self.retire)?;
            for text in [sql::END_CREDENTIALS, sql::EXPIRE_CREDENTIALS] {
                connection.run(text, Some(&holders)).await?;
            }
        }
        for (table, rows) in self.vault {
            connection
                .run(insert_into(table), Some(&serde_json::to_string(&rows)?))
                .await?;
        }
        for (what, keys) in self.remove {
            let keys = json!(keys).to_string();
            connection.run(delete_from(what), Some(&keys)).await?;
        }
        archive(connection, &self.archive).await?;
        Ok(())
    }
}

const fn delete_from(what: Removal) -> sql::Text {
    match what {
        Removal::RequestDetails => sql::DELETE_DETAILS,
        Removal::Credentials => sql::DELETE_CREDENTIALS,
        Removal::Person => sql::DELETE_PEOPLE,
        Removal::AgentProfile => sql::DELETE_PROFILES,
        Removal::AddressKey => sql::DELETE_ADDRESS_KEYS,
        Removal::AdminKey => sql::DELETE_ADMIN_KEYS,
        Removal::SigningKey => sql::DELETE_SIGNING_KEYS,
        Removal::DerivationKey => sql::DELETE_DERIVATION_KEYS,
    }
}

/// Leaves stubs of whole streams, so many in one statement that none takes long, and takes their rows away.
async fn archive(connection: &mut Writable, streams: &[&(String, u64)]) -> Result<(), StoreError> {
    const AT_ONCE: u64 = 2_000;
    let mut parts: Vec<Vec<Value>> = vec![Vec::new()];
    let mut room = AT_ONCE;
    for (stream, version) in streams {
        let mut after = 0;
        while after < *version {
            if room == 0 {
                parts.push(Vec::new());
                room = AT_ONCE;
            }
            let to = (*version).min(after + room);
            let part = json!({ "stream": stream, "after": after, "to": to });
            if let Some(parts) = parts.last_mut() {
                parts.push(part);
            }
            room -= to - after;
            after = to;
        }
    }
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let part = serde_json::to_string(part)?;
        connection
            .run(sql::archived::LEAVE_STUBS, Some(&part))
            .await?;
    }
    let ids: Vec<&str> = streams.iter().map(|(stream, _)| row_id(stream)).collect();
    if !ids.is_empty() {
        let ids = json!(ids).to_string();
        connection
            .run(sql::archived::DELETE_REQUESTS, Some(&ids))
            .await?;
    }
    Ok(())
}

const fn insert_into(table: VaultTable) -> sql::Text {
    match table {
        VaultTable::RequestDetails => sql::INSERT_DETAILS,
        VaultTable::Credentials => sql::INSERT_CREDENTIALS,
        VaultTable::People => sql::INSERT_PEOPLE,
        VaultTable::AgentProfiles => sql::INSERT_PROFILES,
        VaultTable::AddressKeys => sql::INSERT_ADDRESS_KEYS,
        VaultTable::SigningKeys => sql::INSERT_SIGNING_KEYS,
        VaultTable::DerivationKeys => sql::INSERT_DERIVATION_KEYS,
        VaultTable::AdminKeys => sql::INSERT_ADMIN_KEYS,
        VaultTable::Server => sql::INSERT_SERVER_VALUES,
    }
}
