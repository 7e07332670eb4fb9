//! What can go wrong with the store.

use std::path::Path;

use sqlx::migrate::MigrateError;

use super::{
    news::is_news,
    sqlite_file,
    trouble::{Kind, Trouble},
};
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
    #[error(transparent)]
    Unavailable(Trouble),
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
    Migration(Box<MigrateError>),
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
    /// The lock file cannot be made, or the database's.
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
    /// The same failure for another caller, once the writer has told of it in the log.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Uncertain => Self::Uncertain,
            Self::Resealed => Self::Resealed,
            Self::Unavailable(trouble) => Self::Unavailable(trouble.told()),
            Self::Corrupt(what) => Self::Corrupt(what.clone()),
            other => Self::Corrupt(other.to_string()),
        }
    }

    /// The same, of the database at that URL.
    #[must_use]
    pub(crate) fn of(self, url: &str) -> Self {
        match sqlite_file(url) {
            Some(file) => self.at(&file),
            None => self,
        }
    }

    /// The same, of the database in that file.
    #[must_use]
    pub(crate) fn at(self, file: &Path) -> Self {
        match self {
            Self::Unavailable(trouble) => Self::Unavailable(trouble.at(file)),
            other => other,
        }
    }

    /// What is the matter with the database, if that is it.
    pub(crate) const fn trouble(&self) -> Option<Kind> {
        match self {
            Self::Unavailable(trouble) => Some(trouble.kind),
            _ => None,
        }
    }

    /// Whether the log is to be told that `part` of the server has met it: not when the writer has told of
    /// it. That the database cannot be used, whoever met it first tells for all; everything else is told
    /// for each part. Whoever asks tells, or counts as having told.
    #[must_use]
    pub fn is_news(&self, part: &str) -> bool {
        match self {
            Self::Unavailable(Trouble { is_told: true, .. }) => false,
            Self::Unavailable(trouble) => is_news(&trouble.to_string()),
            error => is_news(&format!("{part}: {error}")),
        }
    }

    /// Whether the data of one command was at fault, so that others may fare better alone.
    pub(crate) const fn is_of_one_command(&self) -> bool {
        matches!(self.trouble(), None | Some(Kind::Command))
    }

    /// Whether the connection itself is of no more use, and what was asked last may have been done.
    /// Everything else is a clear refusal.
    pub(crate) const fn is_of_the_connection(&self) -> bool {
        matches!(self.trouble(), Some(Kind::Unreachable | Kind::Unexpected))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(Trouble::of(&error))
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        let trouble = match &error {
            MigrateError::VersionMissing(version) => {
                return Self::NewerDatabase { version: *version };
            }
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                Some(Trouble::of(error))
            }
            _ => None,
        };
        match trouble {
            Some(trouble) if trouble.kind != Kind::Command => Self::Unavailable(trouble),
            _ => Self::Migration(Box::new(error)),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}
