//! The one writer of a process: it owns the write connection, takes what has queued up, checks and
//! appends it all in one transaction, commits once, and answers everyone. Group commit: the cost of
//! making things durable is shared by all who wait for it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json, value::RawValue};
use sqlx::Row;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    StoreError,
    append::{Advance, Append, Committed, EventRow, Sweep, VaultTable},
    catch_up::catch_up,
    database::{Target, Writable, on},
    projection::{Projected, Rows, Table, row_id},
    sql,
};
use crate::{
    domain::{Envelope, Recorded},
    edge::Clock,
};

/// Commands in one transaction at most: enough to share the cost of the commit, few enough that
/// nobody waits long for the others.
const MAX_BATCH: usize = 256;
/// Commands that may wait for the writer; beyond it callers wait to be let in.
const QUEUE: usize = 4_096;
/// How long to wait before the database is tried again after it failed to answer.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

type Answer = Result<Vec<Committed>, StoreError>;
type Job = (Append, oneshot::Sender<Answer>);

/// Told what has been committed, in order, before those who asked for it are answered.
pub trait CommitListener: Send + Sync + 'static {
    /// `events` are durable.
    fn committed(&self, events: &[Committed]);
}

/// The way to the writer.
#[derive(Debug, Clone)]
pub(crate) struct WriterHandle {
    jobs: mpsc::Sender<Job>,
}

impl WriterHandle {
    /// Has it all committed, or none of it.
    pub(crate) async fn append(&self, append: Append) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.jobs
            .send((append, answer))
            .await
            .map_err(|_| StoreError::Stopped)?;
        answered.await.map_err(|_| StoreError::Stopped)?
    }
}

pub(crate) struct Writer {
    target: Target,
    connection: Option<Writable>,
    jobs: mpsc::Receiver<Job>,
    head: watch::Sender<u64>,
    listener: Arc<dyn CommitListener>,
    clock: Clock,
}

impl Writer {
    pub(crate) fn new(
        target: Target,
        connection: Writable,
        head: watch::Sender<u64>,
        listener: Arc<dyn CommitListener>,
        clock: Clock,
    ) -> (Self, WriterHandle) {
        let (sender, jobs) = mpsc::channel(QUEUE);
        let writer = Self {
            target,
            connection: Some(connection),
            jobs,
            head,
            listener,
            clock,
        };
        (writer, WriterHandle { jobs: sender })
    }

    /// Works until every handle is gone and everything queued is committed.
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while self.jobs.recv_many(&mut batch, MAX_BATCH).await > 0 {
            self.work(std::mem::take(&mut batch)).await;
        }
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
    }

    async fn work(&mut self, batch: Vec<Job>) {
        let appends: Vec<&Append> = batch.iter().map(|(append, _)| append).collect();
        let answers = match self.commit(&appends).await {
            Ok(answers) => answers,
            // Nobody could be served: the lock was not had, or the connection is gone.
            Err(Failure {
                error,
                stage: Stage::Begin,
            }) => {
                tracing::error!(%error, "the database cannot be written");
                tokio::time::sleep(RECONNECT_PAUSE).await;
                appends.iter().map(|_| Err(again(&error))).collect()
            }
            Err(Failure {
                error,
                stage: Stage::Commit,
            }) => {
                tracing::error!(%error, "the answer to a commit was lost");
                self.recover(&appends, &error).await
            }
            // One command may have poisoned the batch: each gets a transaction of its own.
            Err(Failure {
                error,
                stage: Stage::Body,
            }) if appends.len() > 1 => {
                tracing::warn!(%error, "a batch failed and is tried command by command");
                let mut answers = Vec::with_capacity(appends.len());
                for append in &appends {
                    answers.push(match self.commit(&[append]).await {
                        Ok(mut one) => one.pop().unwrap_or(Err(StoreError::Stopped)),
                        Err(Failure {
                            error,
                            stage: Stage::Commit,
                        }) => self
                            .recover(&[append], &error)
                            .await
                            .pop()
                            .unwrap_or(Err(StoreError::Stopped)),
                        Err(Failure { error, .. }) => Err(again(&error)),
                    });
                }
                answers
            }
            Err(Failure {
                error,
                stage: Stage::Body,
            }) => {
                tracing::error!(%error, "a command could not be committed");
                vec![Err(error)]
            }
        };
        let committed: Vec<Committed> = answers
            .iter()
            .filter_map(|answer| answer.as_ref().ok())
            .flatten()
            .cloned()
            .collect();
        if let Some(last) = committed.last() {
            self.head.send_replace(last.recorded.position);
            self.listener.committed(&committed);
        }
        for ((_, caller), answer) in batch.into_iter().zip(answers) {
            // A caller that has gone away needs no answer.
            let _ = caller.send(answer);
        }
    }

    /// A connection that holds the write lock, in a transaction that has begun.
    async fn begun(&mut self) -> Result<Writable, StoreError> {
        if let Some(mut connection) = self.connection.take()
            && connection.begin().await.is_ok()
        {
            return Ok(connection);
        }
        // The connection was gone (dropping it ends whatever it had begun): a fresh one may do.
        let mut connection = self.target.writable().await?;
        connection.begin().await?;
        Ok(connection)
    }

    /// One transaction for the whole batch.
    async fn commit(&mut self, batch: &[&Append]) -> Result<Vec<Answer>, Failure> {
        let mut connection = match self.begun().await {
            Ok(connection) => connection,
            Err(error) => {
                return Err(Failure {
                    error,
                    stage: Stage::Begin,
                });
            }
        };
        match self.transact(&mut connection, batch).await {
            Ok(answers) => match connection.run(sql::COMMIT, None).await {
                Ok(_) => {
                    self.connection = Some(connection);
                    Ok(answers)
                }
                Err(error) => {
                    let _ = connection.run(sql::ROLLBACK, None).await;
                    Err(Failure {
                        error: error.into(),
                        stage: Stage::Commit,
                    })
                }
            },
            Err(error) => {
                if connection.run(sql::ROLLBACK, None).await.is_ok() {
                    self.connection = Some(connection);
                }
                Err(Failure {
                    error,
                    stage: Stage::Body,
                })
            }
        }
    }

    async fn transact(
        &self,
        connection: &mut Writable,
        batch: &[&Append],
    ) -> Result<Vec<Answer>, StoreError> {
        let mut known = check_first(connection, batch).await?;
        if known.checkpoint < known.head {
            catch_up(connection, known.checkpoint, known.head).await?;
        }
        let now = known.clock.unwrap_or_else(|| self.clock.now());
        let first = known.head;
        let mut changes = Changes::default();
        let answers: Vec<Answer> = batch
            .iter()
            .map(|append| changes.add(append, &mut known, now))
            .collect();
        changes.write(connection, first, known.head).await?;
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
        Ok(answers)
    }

    /// Finds out what became of a batch whose commit was not answered: a committed event is found
    /// by its place and known by its random id.
    async fn recover(&mut self, batch: &[&Append], error: &StoreError) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(batch.len());
        for append in batch {
            let answer = match self.find(append).await {
                Ok(Some(committed)) => Ok(committed),
                Ok(None) | Err(_) => Err(again(error)),
            };
            answers.push(answer);
        }
        answers
    }

    async fn find(&mut self, append: &Append) -> Result<Option<Vec<Committed>>, StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.target.writable().await?,
        };
        let mut found = Vec::with_capacity(append.events.len());
        let mut versions: HashMap<&str, u64> = append
            .expected
            .iter()
            .map(|(stream, version)| (stream.as_str(), *version))
            .collect();
        for event in &append.events {
            let version = versions.entry(event.stream_text.as_str()).or_default();
            *version += 1;
            let wanted = as_i64(*version);
            let body: Option<String> = on!(Writable, &mut connection, sql::EVENT_AT, |c, sql| {
                sqlx::query(sql)
                    .bind(&event.stream_text)
                    .bind(wanted)
                    .fetch_optional(c)
                    .await?
                    .map(|row| row.try_get("body"))
                    .transpose()?
            });
            let Some(body) = body else { break };
            let envelope: Envelope = serde_json::from_str(&body)?;
            if envelope.id != event.id {
                break;
            }
            found.push(Committed {
                stream: event.stream.clone(),
                recorded: Recorded {
                    position: envelope.position,
                    version: envelope.version,
                    id: event.id,
                    occurred_at: envelope.occurred_at,
                    fact: event.fact.clone(),
                },
            });
        }
        self.connection = Some(connection);
        let whole = !found.is_empty() && found.len() == append.events.len();
        Ok(whole.then_some(found))
    }
}

/// How far a transaction came before it failed.
enum Stage {
    Begin,
    Body,
    Commit,
}

struct Failure {
    error: StoreError,
    stage: Stage,
}

/// The same failure for another caller.
fn again(error: &StoreError) -> StoreError {
    StoreError::Unavailable(sqlx::Error::Protocol(error.to_string()))
}

/// What a batch must know before it inserts.
struct Known {
    head: u64,
    checkpoint: u64,
    clock: Option<Timestamp>,
    versions: HashMap<String, u64>,
    claims: HashMap<String, String>,
}

async fn check_first(connection: &mut Writable, batch: &[&Append]) -> Result<Known, StoreError> {
    let streams: HashSet<&str> = batch
        .iter()
        .flat_map(|a| a.expected.iter().map(|(stream, _)| stream.as_str()))
        .collect();
    let claims: HashSet<&str> = batch
        .iter()
        .flat_map(|a| a.claims.iter().map(|(key, _)| key.as_str()))
        .collect();
    let (streams, claims) = (json!(streams).to_string(), json!(claims).to_string());
    let mut known = Known {
        head: 0,
        checkpoint: 0,
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
                "checkpoint" => known.checkpoint = as_u64(number),
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

/// Everything that a batch writes, gathered so that each table is written by one statement.
#[derive(Default)]
struct Changes<'a> {
    events: Vec<EventRow<'a>>,
    rows: Rows,
    claims: Vec<Value>,
    vault: HashMap<VaultTable, Vec<&'a Value>>,
    forget: Vec<&'a str>,
}

impl<'a> Changes<'a> {
    /// Checks one command against what is known, and adds its share; a conflict drops that command
    /// alone.
    fn add(&mut self, append: &'a Append, known: &mut Known, now: Timestamp) -> Answer {
        for (stream, expected) in &append.expected {
            if known.versions.get(stream).copied().unwrap_or(0) != *expected {
                return Err(StoreError::Conflict);
            }
        }
        for (key, _) in &append.claims {
            if let Some(holder) = known.claims.get(key) {
                return Err(StoreError::Claimed {
                    holder: holder.clone(),
                });
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
        for (key, value) in &append.claims {
            known.claims.insert(key.clone(), value.clone());
            self.claims.push(json!({ "key": key, "value": value }));
        }
        for (table, row) in rows {
            self.rows.push(table, row);
        }
        for (table, row) in &append.vault {
            self.vault.entry(*table).or_default().push(row);
        }
        self.events.extend(events);
        self.forget.extend(append.forget.iter().map(String::as_str));
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
            set_checkpoint(connection, "inline", head).await?;
        }
        if !self.claims.is_empty() {
            let claims = Value::Array(self.claims).to_string();
            connection.run(sql::INSERT_CLAIMS, Some(&claims)).await?;
        }
        for (text, rows) in self.rows.statements() {
            connection.run(text, Some(&rows)).await?;
        }
        for (table, rows) in self.vault {
            connection
                .run(insert_into(table), Some(&serde_json::to_string(&rows)?))
                .await?;
        }
        if !self.forget.is_empty() {
            let ids = json!(self.forget).to_string();
            connection.run(sql::DELETE_DETAILS, Some(&ids)).await?;
        }
        Ok(())
    }
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

pub(crate) async fn set_checkpoint(
    connection: &mut Writable,
    name: &str,
    position: u64,
) -> Result<(), StoreError> {
    on!(Writable, connection, sql::SET_CHECKPOINT, |c, sql| {
        sqlx::query(sql)
            .bind(as_i64(position))
            .bind(name)
            .execute(c)
            .await?;
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
    let (text, before) = match sweep {
        Sweep::Details(before) => (sql::SWEEP_DETAILS, before),
        Sweep::AddressKeys(before) => (sql::SWEEP_ADDRESS_KEYS, before),
    };
    on!(Writable, connection, text, |c, sql| {
        sqlx::query(sql)
            .bind(before.as_microsecond())
            .execute(c)
            .await?;
    });
    Ok(())
}

/// Positions and versions never exceed what the databases' integers hold.
pub(crate) fn as_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Positions and versions are never negative.
pub(crate) fn as_u64(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
