//! What can go wrong with the store.

use crate::domain::FactError;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else's append came first; the decision must be taken again. Retried inside.
    #[error("the stream changed while a decision was taken")]
    Conflict,
    /// A unique claim is held by somebody; `holder` is what they noted with it.
    #[error("already claimed")]
    Claimed {
        /// The value that the holder stored with the claim.
        holder: String,
    },
    /// An event or state would exceed its bound.
    #[error("an event may not exceed 32 KiB")]
    TooLarge,
    /// The database does not answer or cannot commit.
    #[error("the database is not available: {0}")]
    Unavailable(#[from] sqlx::Error),
    /// The answer to a commit was lost, and it could not be found out in time whether it took place.
    #[error("it is not known whether the database committed")]
    Uncertain,
    /// The writer has stopped: the process is shutting down.
    #[error("the server is shutting down")]
    Stopped,
    /// A stored event cannot be read by this program.
    #[error(transparent)]
    Fact(#[from] FactError),
    /// Stored text that is not what this program wrote.
    #[error("stored data cannot be read: {0}")]
    Corrupt(String),
    /// The tables were made by a newer program.
    #[error(
        "the database was made by a newer version of auth-agent (it has migration {version}, which this version does not know): install that version"
    )]
    NewerDatabase {
        /// The migration that this program lacks.
        version: i64,
    },
    /// The tables could not be made.
    #[error("the database could not be set up: {0}")]
    Migration(Box<sqlx::migrate::MigrateError>),
    /// Another process has the SQLite file.
    #[error(
        "{0} is in use by another auth-agent process: stop it first, or use another --data-dir or --database-url"
    )]
    Locked(String),
    /// Nodes have the PostgreSQL database.
    #[error(
        "{0} connections of other auth-agent processes are open on this database: stop every node first"
    )]
    Connected(u64),
    /// Everything was sealed under another master key while this process ran: what it would write could
    /// not be opened by anybody.
    #[error(
        "the database is sealed under another master key by now (keys rewrap): start this node again with that one"
    )]
    Resealed,
    /// The lock file cannot be made.
    #[error("cannot lock {0}: {1}")]
    Lock(String, std::io::Error),
    /// There is nothing to check or rebuild.
    #[error("there is no log at {0}: nothing was made")]
    NoDatabase(String),
    /// The URL names no database of ours.
    #[error(transparent)]
    Url(#[from] super::InvalidDatabaseUrl),
}

impl StoreError {
    /// The same failure for another caller.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Uncertain => Self::Uncertain,
            Self::Resealed => Self::Resealed,
            other => Self::Unavailable(sqlx::Error::Protocol(other.to_string())),
        }
    }

    /// Whether the data of one command was at fault, so that others may fare better alone.
    pub(crate) fn is_of_one_command(&self) -> bool {
        /// SQLite's primary codes: an error in a statement (also malformed JSON), too big, a
        /// constraint, a mismatch.
        const SQLITE: [u32; 4] = [1, 18, 19, 20];
        /// PostgreSQL's classes: data exception, integrity constraint violation.
        const POSTGRES: [&str; 2] = ["22", "23"];
        match self {
            Self::Unavailable(sqlx::Error::Database(error)) => {
                let code = error.code().unwrap_or_default();
                match error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
                    Some(_) => POSTGRES.iter().any(|class| code.starts_with(class)),
                    None => code
                        .parse()
                        .is_ok_and(|code: u32| SQLITE.contains(&(code & 0xff))),
                }
            }
            Self::Unavailable(_) => false,
            _ => true,
        }
    }

    /// Whether the connection itself is of no more use.
    pub(crate) fn is_of_the_connection(&self) -> bool {
        match self {
            // Only a statement was refused; PostgreSQL says so too when it ends the session (57P…).
            Self::Unavailable(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| code.starts_with("57P"))
            }
            Self::Unavailable(_) => true,
            _ => false,
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}
