//! Readers of a PostgreSQL database, none of which is waited for without end.
//!
//! The network, or what stands in it, may go silent while an answer is awaited: then no timeout of the
//! database's own is ever heard of. And a connection that was given up in the middle of an answer is not
//! used again, nor asked whether it could be.

use std::time::Duration;

use async_stream::try_stream;
use futures_util::{TryStreamExt, future::BoxFuture, stream::BoxStream};
use sqlx::{
    Describe, Either, Execute, Executor, PgConnection, PgPool, Postgres, SqlStr,
    pool::{PoolConnection, PoolOptions},
    postgres::{PgConnectOptions, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout, timeout_at},
};

use super::patience::timed_out;

/// Readers of one node.
const MOST: u32 = 16;
/// Readers that look through much: others are never kept from reading by them.
const MOST_UNHURRIED: u32 = 2;
/// How long a reader is waited for, or the answer when it is given back.
const READER: Duration = Duration::from_secs(5);
/// How long the answer to most of what is asked may take, which is little.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long what looks through much may take.
const LONG_PATIENCE: Duration = Duration::from_secs(60);

/// Readers, as an executor of statements.
#[derive(Debug, Clone)]
pub(crate) struct Readers {
    pool: PgPool,
    /// Those that look through much.
    unhurried: PgPool,
    patience: Duration,
}

impl Readers {
    /// Connects when somebody reads.
    pub(crate) fn new(options: PgConnectOptions) -> Self {
        // The database gives up when nobody waits any more: it does not see by itself who has gone.
        let pool = |most, patience: Duration| {
            let limit = format!("{}s", patience.as_secs());
            PoolOptions::new()
                .max_connections(most)
                .acquire_timeout(READER)
                .connect_lazy_with(options.clone().options([("statement_timeout", limit)]))
        };
        Self {
            pool: pool(MOST, PATIENCE),
            unhurried: pool(MOST_UNHURRIED, LONG_PATIENCE),
            patience: PATIENCE,
        }
    }

    /// The same for what looks through much.
    pub(crate) fn unhurried(&self) -> Self {
        Self {
            pool: self.unhurried.clone(),
            unhurried: self.unhurried.clone(),
            patience: LONG_PATIENCE,
        }
    }

    pub(crate) async fn close(&self) {
        // Those in use may be silent.
        let all = async { tokio::join!(self.pool.close(), self.unhurried.close()) };
        let _ = timeout(READER, all).await;
    }

    async fn reader(&self) -> Result<Reader, sqlx::Error> {
        Ok(Reader {
            connection: Some(self.pool.acquire().await?),
            is_done: false,
            until: Instant::now() + self.patience,
        })
    }
}

/// A connection while it is read from.
struct Reader {
    connection: Option<PoolConnection<Postgres>>,
    /// Whether all is read that was asked for.
    is_done: bool,
    until: Instant,
}

impl Reader {
    fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        // It is there until it is dropped.
        self.connection
            .as_deref_mut()
            .ok_or(sqlx::Error::PoolClosed)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        match Handle::try_current() {
            // It is asked whether it still answers, and not waited for without end either.
            Ok(runtime) if self.is_done => {
                runtime.spawn(timeout(READER, connection.return_to_pool()));
            }
            // Its place is free at once.
            _ => drop(connection.detach()),
        }
    }
}

/// One answer to one question, within the patience for it.
macro_rules! answer {
    ($readers:expr, |$connection:ident| $asked:expr) => {{
        let readers = $readers.clone();
        Box::pin(async move {
            let mut reader = readers.reader().await?;
            let until = reader.until;
            let $connection = reader.connection()?;
            let answer = timeout_at(until, $asked)
                .await
                .unwrap_or_else(|_| Err(timed_out()))?;
            reader.is_done = true;
            Ok(answer)
        })
    }};
}

impl<'p> Executor<'p> for &'_ Readers {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        let readers = self.clone();
        Box::pin(try_stream! {
            let mut reader = readers.reader().await?;
            let until = reader.until;
            {
                let mut answers = reader.connection()?.fetch_many(query);
                while let Some(answer) = timeout_at(until, answers.try_next())
                    .await
                    .unwrap_or_else(|_| Err(timed_out()))?
                {
                    yield answer;
                }
            }
            reader.is_done = true;
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        answer!(self, |connection| connection.fetch_optional(query))
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'p: 'e,
    {
        answer!(self, |connection| connection.prepare_with(sql, parameters))
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        'p: 'e,
    {
        answer!(self, |connection| connection.describe(sql))
    }
}
