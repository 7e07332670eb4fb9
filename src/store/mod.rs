//! The log and its projections, on SQLite or PostgreSQL.
//!
//! A command travels: [`Store::on_request`] loads a [`Situation`], lets `domain` decide, and hands
//! the facts to the one writer together with every version that the decision saw. When somebody
//! else was first, the decision is taken again. What the writer has answered is durable.
//!
//! [`sql`] holds every SQL text, [`vault`] what may not be in the log, [`follower`] those who read
//! on behind the head, [`maintenance`] the check and the rebuild of the projections.

mod admin_keys;
mod administration;
mod append;
mod archive;
mod audit;
mod backup;
mod batch;
mod catch_up;
mod copy;
mod database;
mod error;
mod files;
mod follower;
mod grants;
mod held;
mod keys;
mod lists;
mod lock;
pub mod maintenance;
mod measures;
mod news;
mod patience;
mod people;
mod projection;
mod readers;
mod register;
mod restore;
mod rewrap;
mod situation;
mod sql;
mod statistics;
mod subject;
mod tail;
mod trouble;
mod vault;
mod writer;

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use sqlx::Row;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub use admin_keys::{AdminKey, KeyStays, NameTaken, NewAdminKey, folded_name};
pub use append::Committed;
pub use archive::{ArchiveError, Retention, retain};
pub use audit::{AuditFilter, LogEntry};
pub use backup::{Backup, BackupError, backup};
pub use copy::Progress;
pub use database::{InvalidDatabaseUrl, sqlite_file};
pub use error::StoreError;
pub use follower::{follow, hear_others};
pub use grants::{GrantFilter, LivingGrant};
pub use held::HeldRequest;
pub use keys::{KeyMaterial, NewKey, NewKeys, Rotated};
pub use lists::{Listed, Page};
pub use measures::Measures;
pub use people::ChangedPerson;
pub use register::{
    AgentOwner, NewAgent, NewClient, NewCredential, NewOwner, NewRequest, Rotation,
};
pub use restore::WorkingCopy;
pub use rewrap::Rewrap;
pub use situation::{RequestDetails, Situation};
pub use statistics::Statistics;
pub use tail::tail;
pub use trouble::Trouble;
pub use vault::{Credential, NewDetails, Person};
pub use writer::CommitListener;

pub(crate) use lock::{in_use, leave_word, word_of_holder};

use append::Append;
use batch::sealed_under;
use database::{Pool, Target, Writable, on};
use files::Files;
use lock::FileLock;
use writer::{Writer, WriterHandle};

use crate::edge::Clock;

/// How often a decision is taken again because somebody else was first.
pub(crate) const MAX_RETRIES: usize = 64;

/// The log, its read models and the vault.
pub struct Store {
    pool: Pool,
    writer: WriterHandle,
    head: watch::Receiver<u64>,
    files: Files,
    clock: Clock,
    measures: Arc<Measures>,
    /// Fingerprint of the master key that this process seals under.
    seal: Arc<OnceLock<String>>,
}

/// The parts of a store that its owner must keep until the very end.
pub struct StoreGuard {
    writer: JoinHandle<()>,
    stop: CancellationToken,
    pool: Pool,
    _lock: Option<FileLock>,
}

impl StoreGuard {
    /// Waits until everything queued is committed and the database is closed. Whoever still holds a
    /// [`Store`] is told [`StoreError::Stopped`].
    pub async fn finished(self) {
        self.stop.cancel();
        if let Err(error) = self.writer.await {
            tracing::error!(%error, "the writer did not end well");
        }
        self.pool.close().await;
    }
}

/// A database that has been locked and looked at, and not yet touched.
pub struct Opened {
    target: Target,
    connection: Writable,
    lock: Option<FileLock>,
    fingerprint: Option<String>,
}

impl Opened {
    /// Takes the lock of a SQLite file, connects, and reads which master key the database was made
    /// with.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] when another process has it, [`StoreError::Url`] and
    /// [`StoreError::Unavailable`] when it cannot be opened.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let target = Target::parse(url)?;
        let lock = sqlite_file(url)
            .map(|file| FileLock::take(&file))
            .transpose()?;
        let (mut connection, has_tables) = target.opened().await?;
        let fingerprint = if has_tables {
            let found = sealed_under(&mut connection).await;
            found.map_err(|error| target.told(error))?
        } else {
            None
        };
        Ok(Self {
            target,
            connection,
            lock,
            fingerprint,
        })
    }

    /// Fingerprint of the master key that the database was made with; `None` for a new one.
    #[must_use]
    pub fn master_key_fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// Makes the tables or brings them up to date.
    ///
    /// # Errors
    ///
    /// [`StoreError::NewerDatabase`] before anything is changed, when a newer program made them.
    pub async fn migrate(&mut self) -> Result<(), StoreError> {
        let migrated = self.connection.migrate().await;
        migrated.map_err(|error| self.target.told(error))
    }

    /// Closes the database as it was found.
    pub async fn close(self) {
        self.connection.close().await;
    }

    /// Starts the writer. `listener` hears of every commit.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn start(
        self,
        listener: Arc<dyn CommitListener>,
    ) -> Result<(Store, StoreGuard), StoreError> {
        let Self {
            target,
            connection,
            lock,
            fingerprint,
        } = self;
        let named = target.clone();
        let started = Self::started(target, connection, lock, fingerprint, listener);
        started.await.map_err(|error| named.told(error))
    }

    async fn started(
        target: Target,
        connection: Writable,
        lock: Option<FileLock>,
        fingerprint: Option<String>,
        listener: Arc<dyn CommitListener>,
    ) -> Result<(Store, StoreGuard), StoreError> {
        let clock = Clock;
        let files = lock.as_ref().map(FileLock::files).transpose()?;
        let files = files.unwrap_or_default();
        let pool = target.pool(&files);
        pool.open().await?;
        let position = head(&pool).await?;
        let (head_sender, head) = watch::channel(position);
        // The connection without a writer's limits has served its purpose.
        connection.close().await;
        let connection = target.writable().await?;
        let stop = CancellationToken::new();
        let measures = Arc::<Measures>::default();
        let seal = Arc::new(fingerprint.map_or_else(OnceLock::new, OnceLock::from));
        let (writer, handle) = Writer::new(
            target,
            files.clone(),
            (connection, files.with_wal().await?),
            head_sender,
            listener,
            clock,
            Arc::clone(&measures),
            Arc::clone(&seal),
            stop.clone(),
        );
        let store = Store {
            pool: pool.clone(),
            writer: handle,
            head,
            files,
            clock,
            measures,
            seal,
        };
        let guard = StoreGuard {
            writer: tokio::spawn(writer.run()),
            stop,
            pool,
            _lock: lock,
        };
        // An empty append makes the writer apply what lies beyond the projections' checkpoint.
        store.writer.append(Append::default()).await?;
        Ok((store, guard))
    }
}

const MASTER_KEY_FINGERPRINT: &str = "master_key_fingerprint";
const ROOT_KEY: &str = "root_key";

async fn head(pool: &Pool) -> Result<u64, StoreError> {
    on!(Pool, pool, sql::HEAD, |c, sql| {
        Ok(as_u64(
            sqlx::query(sql).fetch_one(c).await?.try_get("number")?,
        ))
    })
}

impl Store {
    /// The moment by the clock that judges lifetimes: the database's on PostgreSQL, so that nodes
    /// agree.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        match &self.pool {
            Pool::Sqlite(_) => Ok(self.clock.now()),
            Pool::Postgres(pool) => {
                let row = sqlx::query(sql::DATABASE_CLOCK).fetch_one(pool).await?;
                timestamp(row.try_get("number")?)
            }
        }
    }

    /// Whether other nodes may append to the same log.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self.pool, Pool::Postgres(_))
    }

    /// Whether a write can be committed right now, and be read.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when not.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let probe = Append {
            probe: true,
            ..Append::default()
        };
        // Who cannot read cannot sign anybody in either.
        tokio::try_join!(self.writer.append(probe), head(&self.pool)).map(drop)
    }

    /// What was counted since it was opened.
    #[must_use]
    pub fn measures(&self) -> &Measures {
        &self.measures
    }

    /// Commands that wait for the writer.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.writer.queued()
    }

    /// The last position of the log, as far as this process has seen.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<u64> {
        self.head.clone()
    }
}

/// Positions and versions never exceed what the databases' integers hold.
fn as_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Positions and versions are never negative.
fn as_u64(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn timestamp(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros).map_err(|error| StoreError::Corrupt(error.to_string()))
}
