//! One transaction's work: read what a batch of commands must know, drop those that conflict, write
//! the rest with a handful of set-based statements.

mod changes;

use std::collections::{HashMap, HashSet};

use changes::Changes;
use jiff::Timestamp;
use serde_json::json;
use sqlx::Row;

use super::{
    MASTER_KEY_FINGERPRINT, StoreError,
    append::{Advance, Append, Committed, Sweep},
    as_i64, as_u64,
    database::{Writable, on},
    sql,
};
use crate::{
    domain::{Envelope, EventId},
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

/// Fingerprint of the master key that everything is sealed under at this moment, where the tables are there
/// and a master key has been chosen.
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
    let answers: Vec<Answer> = batch
        .iter()
        .map(|append| changes.add(append, &mut known, now))
        .collect();
    changes.write(connection, before, known.head).await?;
    if batch.iter().any(|append| append.probe) {
        connection.run(sql::PROBE, None).await?;
    }
    // What was refused leaves no trace: a checkpoint that went on without its work would never come back.
    let accepted = batch
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| answer.is_ok());
    for (append, _) in accepted {
        if let Some(advance) = append.advance {
            move_on(connection, advance).await?;
        }
        for sweep in &append.sweeps {
            run_sweep(connection, *sweep).await?;
        }
    }
    Ok(Outcome { answers, before })
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
