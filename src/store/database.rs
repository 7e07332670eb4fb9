//! The two databases behind one small enum: how each is opened, and how a statement is run on it.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use sqlx::{
    Connection, Row, SqlitePool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgConnection},
    sqlite::{
        SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions,
        SqliteSynchronous,
    },
};

use super::{StoreError, files::Files, readers::Readers, sql, trouble::Trouble};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Readers on SQLite: each is a thread of its own; two cores are kept busy by few.
const SQLITE_READERS: u32 = 4;

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
    Postgres(Readers),
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
                // It is made under its lock, and never again: what is gone comes back or stays away.
                .create_if_missing(false)
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

    /// A SQLite file that is whole by itself once it is closed, without files beside it. It is there, be
    /// it empty.
    pub(crate) fn single_file(file: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(false)
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

    /// Opens it for a long job, and tells whether it has tables.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] names the file that cannot be opened, and why.
    pub(crate) async fn opened(&self) -> Result<(Writable, bool), StoreError> {
        let open = async {
            let mut connection = self.patient().await?;
            let tables: i64 = on!(Writable, &mut connection, sql::HAS_TABLES, |c, sql| {
                sqlx::query(sql).fetch_one(c).await?.try_get("number")?
            });
            Ok((connection, tables > 0))
        };
        open.await.map_err(|error: sqlx::Error| {
            let trouble = Trouble::of(&error);
            StoreError::Unavailable(match self.file() {
                Some(file) => trouble.of_opening(file),
                None => trouble,
            })
        })
    }

    /// A failure of this database, by its name.
    pub(crate) fn told(&self, error: StoreError) -> StoreError {
        match self.file() {
            Some(file) => error.at(file),
            None => error,
        }
    }

    /// The file of a SQLite database.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(options) => Some(options.get_filename()),
            Self::Postgres(_) => None,
        }
    }

    /// Readers of these files, whatever comes to bear their names.
    pub(crate) fn pool(&self, files: &Files) -> Pool {
        match self {
            Self::Sqlite(options) => {
                let files = files.clone();
                let same_file = move || {
                    let files = files.clone();
                    async move {
                        let looked = files.are_there().await;
                        looked.map_err(|error| sqlx::Error::Protocol(error.to_string()))
                    }
                };
                Pool::Sqlite(
                    SqlitePoolOptions::new()
                        .max_connections(SQLITE_READERS)
                        // Once opened they stay: a file is not opened anew that may be another one.
                        .idle_timeout(None)
                        .max_lifetime(None)
                        .after_connect(move |_, _| Box::pin(same_file()))
                        .connect_lazy_with(options.as_ref().clone().pragma("query_only", "on")),
                )
            }
            Self::Postgres(options) => Pool::Postgres(Readers::new(options.as_ref().clone())),
        }
    }
}

impl Pool {
    /// Opens all readers of a file, while it is there.
    pub(crate) async fn open(&self) -> Result<(), sqlx::Error> {
        if let Self::Sqlite(pool) = self {
            let mut readers = Vec::new();
            for _ in 0..SQLITE_READERS {
                readers.push(pool.acquire().await?);
            }
        }
        Ok(())
    }

    /// The same for a statement that looks through much, which may take longer.
    pub(crate) fn unhurried(&self) -> Self {
        match self {
            Self::Sqlite(pool) => Self::Sqlite(pool.clone()),
            Self::Postgres(readers) => Self::Postgres(readers.unhurried()),
        }
    }

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
        Ok(done?)
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
        let file = folder.path().join("log.db");
        std::fs::write(&file, "").unwrap();
        let url = format!("sqlite://{}", file.display());
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
