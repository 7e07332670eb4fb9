//! The two databases behind one small enum: how each is opened, and how a statement is run on it.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use sqlx::{
    Connection, PgPool, Row, SqlitePool,
    migrate::{MigrateError, Migrator},
    pool::PoolOptions,
    postgres::{PgConnectOptions, PgConnection},
    sqlite::{
        SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions,
        SqliteSynchronous,
    },
};

use super::{StoreError, sql};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Readers on SQLite: each is a thread of its own; two cores are kept busy by few.
const SQLITE_READERS: u32 = 4;
/// Readers of one node on PostgreSQL.
const POSTGRES_READERS: u32 = 16;

/// A disk may stall for a while under a heavy load.
const SQLITE_PATIENCE: Duration = Duration::from_secs(30);
/// Longer than any timeout that the database itself enforces on the writer's connection.
const POSTGRES_PATIENCE: Duration = Duration::from_secs(5);

/// Runs one body of code on whichever database it is: `$c` is the connection or pool, `$sql` the
/// statement's text for it.
macro_rules! on {
    ($kind:ident, $database:expr, $text:expr, |$c:ident, $sql:ident| $body:expr) => {
        match $database {
            $crate::store::database::$kind::Sqlite($c) => {
                let $sql = $text.sqlite;
                $body
            }
            $crate::store::database::$kind::Postgres($c) => {
                let $sql = $text.postgres;
                $body
            }
        }
    };
}
pub(crate) use on;

/// Where readers read.
#[derive(Debug, Clone)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// A connection that may write.
pub(crate) enum Writable {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// How to open the database.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Sqlite(Box<SqliteConnectOptions>),
    Postgres(Box<PgConnectOptions>),
}

/// A URL that names no database of ours.
#[derive(Debug, thiserror::Error)]
#[error("the database URL must begin with sqlite:// or postgres:// ({0})")]
pub struct InvalidDatabaseUrl(String);

/// The file of a `sqlite:` URL.
///
/// `None` for every other URL, and for a database that lives in memory: it would be gone with the
/// process, and each of its connections would have another one.
#[must_use]
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix("sqlite:")?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    (!path.is_empty() && path != ":memory:").then(|| PathBuf::from(path))
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, InvalidDatabaseUrl> {
        if let Some(file) = sqlite_file(url) {
            let options = SqliteConnectOptions::new()
                .filename(file)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                // What is deleted is overwritten: a request's `state` and `nonce` leave the file.
                .pragma("secure_delete", "on")
                .busy_timeout(Duration::from_secs(5));
            return Ok(Self::Sqlite(Box::new(options)));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url)
                .map_err(|error| InvalidDatabaseUrl(error.to_string()))?
                .application_name("auth-agent")
                // Notices ("already exists, skipping") tell an operator nothing.
                .options([
                    ("synchronous_commit", "on"),
                    ("client_min_messages", "warning"),
                ]);
            return Ok(Self::Postgres(Box::new(options)));
        }
        Err(InvalidDatabaseUrl("unknown scheme".to_owned()))
    }

    /// A SQLite file that is whole by itself once it is closed, without files beside it.
    pub(crate) fn single_file(file: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Delete)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5));
        Self::Sqlite(Box::new(options))
    }

    /// Opens a connection for the writer: short patience on PostgreSQL, so that a stalled node
    /// cannot hold up the cluster.
    pub(crate) async fn writable(&self) -> Result<Writable, sqlx::Error> {
        match self {
            Self::Sqlite(options) => SqliteConnection::connect_with(options)
                .await
                .map(Writable::Sqlite),
            Self::Postgres(options) => {
                let options = options.as_ref().clone().options([
                    ("lock_timeout", "2s"),
                    ("statement_timeout", "2s"),
                    ("idle_in_transaction_session_timeout", "2s"),
                    // The database's own end: it lets go of a node that has gone silent.
                    ("tcp_user_timeout", "5s"),
                ]);
                PgConnection::connect_with(&options)
                    .await
                    .map(Writable::Postgres)
            }
        }
    }

    /// How long the writer waits for an answer before it takes the database for gone.
    pub(crate) const fn patience(&self) -> Duration {
        match self {
            Self::Sqlite(_) => SQLITE_PATIENCE,
            Self::Postgres(_) => POSTGRES_PATIENCE,
        }
    }

    /// Opens a connection without the writer's timeouts, for long jobs.
    pub(crate) async fn patient(&self) -> Result<Writable, sqlx::Error> {
        match self {
            Self::Sqlite(_) => self.writable().await,
            Self::Postgres(options) => PgConnection::connect_with(options)
                .await
                .map(Writable::Postgres),
        }
    }

    pub(crate) fn pool(&self) -> Pool {
        match self {
            Self::Sqlite(options) => Pool::Sqlite(
                SqlitePoolOptions::new()
                    .max_connections(SQLITE_READERS)
                    .connect_lazy_with(options.as_ref().clone().pragma("query_only", "on")),
            ),
            Self::Postgres(options) => Pool::Postgres(
                PoolOptions::new()
                    .max_connections(POSTGRES_READERS)
                    .acquire_timeout(Duration::from_secs(5))
                    .connect_lazy_with(options.as_ref().clone()),
            ),
        }
    }
}

impl Pool {
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl Writable {
    /// [`Target::patience`] of the database it is connected to.
    pub(crate) const fn patience(&self) -> Duration {
        match self {
            Self::Sqlite(_) => SQLITE_PATIENCE,
            Self::Postgres(_) => POSTGRES_PATIENCE,
        }
    }

    /// Runs a statement with at most one parameter, a JSON array; yields the number of rows.
    pub(crate) async fn run(
        &mut self,
        text: sql::Text,
        parameter: Option<&str>,
    ) -> Result<u64, sqlx::Error> {
        on!(Writable, self, text, |c, sql| {
            let query = sqlx::query(sql);
            let query = match parameter {
                Some(parameter) => query.bind(parameter),
                None => query,
            };
            query.execute(c).await.map(|done| done.rows_affected())
        })
    }

    /// Starts a transaction that holds the one write lock, before anything is read.
    pub(crate) async fn begin(&mut self) -> Result<(), sqlx::Error> {
        self.run(sql::BEGIN, None).await?;
        if let Self::Postgres(connection) = self {
            sqlx::query(sql::LOCK_CLUSTER).execute(connection).await?;
        }
        Ok(())
    }

    /// Ends the session in an orderly way.
    pub(crate) async fn close(self) {
        let closed = match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::Postgres(connection) => connection.close().await,
        };
        if let Err(error) = closed {
            tracing::warn!(%error, "a database connection did not close well");
        }
    }

    /// Refuses tables that a newer program made: this one would misread them.
    ///
    /// # Errors
    ///
    /// [`StoreError::NewerDatabase`]. Nothing is changed.
    pub(crate) async fn is_not_newer(&mut self) -> Result<(), StoreError> {
        let applied: Vec<i64> = on!(Writable, self, sql::MIGRATIONS, |c, sql| {
            let rows = sqlx::query(sql).fetch_all(c).await?;
            rows.iter()
                .map(|row| row.try_get("version"))
                .collect::<Result<_, sqlx::Error>>()?
        });
        let unknown = applied
            .into_iter()
            .find(|version| !MIGRATIONS.version_exists(*version));
        match unknown {
            Some(version) => Err(StoreError::NewerDatabase { version }),
            None => Ok(()),
        }
    }

    /// Brings the tables to this program's version.
    pub(crate) async fn migrate(&mut self) -> Result<(), StoreError> {
        let done = match self {
            Self::Sqlite(connection) => MIGRATIONS.run(&mut *connection).await,
            Self::Postgres(connection) => MIGRATIONS.run(&mut *connection).await,
        };
        done.map_err(|error| match error {
            MigrateError::VersionMissing(version) => StoreError::NewerDatabase { version },
            other => StoreError::Migration(Box::new(other)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pragma(connection: &mut SqliteConnection, name: &'static str) -> String {
        let row = sqlx::query(name).fetch_one(connection).await.unwrap();
        row.try_get::<String, _>(0)
            .or_else(|_| row.try_get::<i64, _>(0).map(|number| number.to_string()))
            .unwrap()
    }

    #[tokio::test]
    async fn durable_means_durable_on_the_writer_s_connection() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("log.db").display());
        let Ok(Writable::Sqlite(mut connection)) = Target::parse(&url).unwrap().writable().await
        else {
            panic!("it opens");
        };
        assert_eq!(pragma(&mut connection, "pragma journal_mode").await, "wal");
        // 2 is FULL.
        assert_eq!(pragma(&mut connection, "pragma synchronous").await, "2");
        assert_eq!(pragma(&mut connection, "pragma secure_delete").await, "1");
    }

    #[test]
    fn a_url_names_a_file_or_a_server_and_nothing_else() {
        for url in [
            "sqlite::memory:",
            "sqlite://:memory:",
            "sqlite:",
            "mysql://x",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
        assert!(Target::parse("sqlite:///var/lib/auth-agent.db").is_ok());
        assert!(Target::parse("postgres://u:p@127.0.0.1/db").is_ok());
    }
}
