//! One transaction's work: read what a batch of commands must know, drop those that conflict, write
//! the rest with a handful of set-based statements.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde_json::{Value, json, value::RawValue};
use sqlx::Row;

use super::{
    MASTER_KEY_FINGERPRINT, StoreError,
    append::{Advance, Append, Committed, EventRow, Removal, Sweep, VaultTable},
    as_i64, as_u64,
    database::{Writable, on},
    projection::{Projected, Rows, Table, row_id},
    sql,
};
use crate::{
    domain::{Envelope, EventId, Recorded},
    edge::Clock,
};

/// What one caller is told.
pub(crate) type Answer = Result<Vec<Committed>, StoreError>;

/// What a batch must know before it inserts.
pub(crate) struct Known {
    /// The last position of the log.
    pub(crate) head: u64,
    /// How far every inline projection of this program has come.
    pub(crate) projected: u64,
    /// Everything is sealed under another master key by now than this process has.
    pub(crate) resealed: bool,
    clock: Option<Timestamp>,
    versions: HashMap<String, u64>,
    claims: HashMap<String, String>,
}

/// What a batch comes to, once its transaction is committed.
pub(crate) struct Outcome {
    /// In the order of the commands.
    pub(crate) answers: Vec<Answer>,
    /// The head of the log before.
    before: u64,
}

impl Outcome {
    /// What callers are told when the batch was not committed for `reason`. Who is told of a
    /// conflict decides again, which is right whatever became of the others.
    pub(crate) fn undone(self, reason: &StoreError) -> Vec<Answer> {
        let told = |answer| match answer {
            Err(StoreError::Conflict) => Err(StoreError::Conflict),
            _ => Err(reason.again()),
        };
        self.answers.into_iter().map(told).collect()
    }

    /// Whether the events of this batch stand in the log: found by their places, known by their
    /// random ids. A batch without events is never found.
    pub(crate) async fn is_in_the_log(
        &self,
        connection: &mut Writable,
    ) -> Result<bool, StoreError> {
        let ours: Vec<EventId> = self
            .answers
            .iter()
            .flatten()
            .flatten()
            .map(|event| event.recorded.id)
            .collect();
        let to = self.before + ours.len() as u64;
        let bodies = bodies_between(connection, self.before, to).await?;
        let mut found = Vec::with_capacity(bodies.len());
        for body in &bodies {
            found.push(serde_json::from_str::<Envelope>(body)?.id);
        }
        Ok(!ours.is_empty() && found == ours)
    }
}

/// The bodies of the events in `(from, to]`.
pub(crate) async fn bodies_between(
    connection: &mut Writable,
    from: u64,
    to: u64,
) -> Result<Vec<String>, StoreError> {
    on!(Writable, connection, sql::EVENTS_BETWEEN, |c, sql| {
        let rows = sqlx::query(sql)
            .bind(as_i64(from))
            .bind(as_i64(to))
            .fetch_all(c)
            .await?;
        rows.iter()
            .map(|row| Ok(row.try_get("body")?))
            .collect::<Result<_, StoreError>>()
    })
}

/// Fingerprint of the master key that everything is sealed under at this moment of the transaction.
pub(crate) async fn sealed_under(connection: &mut Writable) -> Result<Option<String>, StoreError> {
    on!(Writable, connection, sql::SERVER_VALUE, |c, sql| {
        let row = sqlx::query(sql)
            .bind(MASTER_KEY_FINGERPRINT)
            .fetch_optional(c)
            .await?;
        Ok(row.map(|row| row.try_get("value")).transpose()?)
    })
}

/// Reads, in one statement, the versions and claims that the batch depends on.
pub(crate) async fn check_first(
    connection: &mut Writable,
    batch: &[&Append],
) -> Result<Known, StoreError> {
    let streams: HashSet<&str> = batch
        .iter()
        .flat_map(|a| a.expected.iter().map(|(stream, _)| stream.as_str()))
        .collect();
    let claims: HashSet<&str> = batch
        .iter()
        .flat_map(|a| a.claims.iter().map(|claim| claim.key.as_str()))
        .collect();
    let (streams, claims) = (json!(streams).to_string(), json!(claims).to_string());
    let mut known = Known {
        head: 0,
        projected: 0,
        resealed: false,
        clock: None,
        versions: HashMap::new(),
        claims: HashMap::new(),
    };
    on!(Writable, connection, sql::CHECK_FIRST, |c, sql| {
        let rows = sqlx::query(sql)
            .bind(&streams)
            .bind(&claims)
            .fetch_all(c)
            .await?;
        for row in rows {
            let kind: String = row.try_get("kind")?;
            let name: String = row.try_get("name")?;
            let number: i64 = row.try_get("number")?;
            match kind.as_str() {
                "head" => known.head = as_u64(number),
                "projected" => known.projected = as_u64(number),
                "clock" => known.clock = Timestamp::from_microsecond(number).ok(),
                "stream" => {
                    known.versions.insert(name, as_u64(number));
                }
                _ => {
                    known.claims.insert(name, row.try_get("value")?);
                }
            }
        }
    });
    Ok(known)
}

/// Writes what does not conflict, inside the caller's transaction.
pub(crate) async fn write(
    connection: &mut Writable,
    batch: &[&Append],
    mut known: Known,
    clock: &Clock,
) -> Result<Outcome, StoreError> {
    let now = known.clock.unwrap_or_else(|| clock.now());
    let before = known.head;
    let mut changes = Changes::default();
    let answers = batch
        .iter()
        .map(|append| changes.add(append, &mut known, now))
        .collect();
    changes.write(connection, before, known.head).await?;
    if batch.iter().any(|append| append.probe) {
        connection.run(sql::PROBE, None).await?;
    }
    for append in batch {
        if let Some(advance) = append.advance {
            move_on(connection, advance).await?;
        }
        for sweep in &append.sweeps {
            run_sweep(connection, *sweep).await?;
        }
    }
    Ok(Outcome { answers, before })
}

/// Everything that a batch writes, gathered so that each table is written by one statement.
#[derive(Default)]
struct Changes<'a> {
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
    fn add(&mut self, append: &'a Append, known: &mut Known, now: Timestamp) -> Answer {
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

    async fn write(
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

/// Moves the checkpoints of this program's inline projections, and of no others: a program that
/// projects more finds out what it has missed.
pub(crate) async fn set_projected(
    connection: &mut Writable,
    position: u64,
) -> Result<(), StoreError> {
    on!(Writable, connection, sql::SET_PROJECTED, |c, sql| {
        sqlx::query(sql).bind(as_i64(position)).execute(c).await?;
    });
    Ok(())
}

async fn move_on(connection: &mut Writable, advance: Advance) -> Result<(), StoreError> {
    let moved = on!(
        Writable,
        &mut *connection,
        sql::ADVANCE_CHECKPOINT,
        |c, sql| {
            sqlx::query(sql)
                .bind(as_i64(advance.to))
                .bind(advance.follower)
                .bind(as_i64(advance.from))
                .execute(c)
                .await?
                .rows_affected()
        }
    );
    if let (1.., Some((name, count))) = (moved, advance.statistic) {
        on!(Writable, connection, sql::ADD_STATISTIC, |c, sql| {
            sqlx::query(sql).bind(count).bind(name).execute(c).await?;
        });
    }
    Ok(())
}

async fn run_sweep(connection: &mut Writable, sweep: Sweep) -> Result<(), StoreError> {
    let (texts, before): (&[sql::Text], _) = match sweep {
        Sweep::Requests(before) => (
            &[
                sql::SWEEP_DETAILS,
                sql::SWEEP_CLAIMS,
                sql::SWEEP_CREDENTIALS,
            ],
            before,
        ),
        Sweep::AddressKeys(before) => (&[sql::SWEEP_ADDRESS_KEYS], before),
    };
    for text in texts {
        on!(Writable, &mut *connection, text, |c, sql| {
            sqlx::query(sql)
                .bind(before.as_microsecond())
                .execute(c)
                .await?;
        });
    }
    Ok(())
}
