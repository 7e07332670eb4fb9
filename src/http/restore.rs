//! From a backup to a database, with an epoch of its own: nothing that was signed in to before lives on.
//!
//! What was answered after the backup is not in it: a grant that was revoked then would live again, a
//! refresh token that was used then could be used again. So every earlier sign-in ends with it.

use std::{fs, path::Path, sync::Arc};

use super::{
    StartError,
    admin::entry::LOCAL_OPERATOR,
    bootstrap::make_data_dir,
    first_start, keys,
    master_key::{fits, master_key},
};
use crate::{
    config::Config,
    domain::{Actor, KeyGroup, MaintenanceFact, Metadata, Restored},
    push::Doorbells,
    store::{BackupError, Opened, Progress, WorkingCopy, maintenance::Report, sqlite_file},
};

/// Why nothing was restored. A database that was not there is not there.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is something in the database.
    #[error(
        "there is a database at {0} already: move it away, or name another with --data-dir or --database-url"
    )]
    Occupied(String),
    /// The backup cannot be used.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The database, or its master key, cannot be used.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// What a restored database holds, and how far the backup went.
#[derive(Debug, serde::Serialize)]
pub struct RestoreReport {
    /// The last position of the backup; what stands behind it was written by the restoring.
    pub backup_position: u64,
    /// The database as it was read through at the end.
    #[serde(flatten)]
    pub database: Report,
}

/// Makes a database of a backup. It must be empty or not there; on SQLite the master key that the backup
/// was made under must be in its place, or in the environment.
///
/// # Errors
///
/// [`RestoreError`].
pub async fn restore(
    config: &Config,
    backup: &Path,
    progress: &mut Progress<'_>,
) -> Result<RestoreReport, RestoreError> {
    let url = config.database_url();
    // Before anything is made.
    fs::metadata(backup).map_err(|error| BackupError::File(backup.to_owned(), error))?;
    make_data_dir(config, &mut Vec::new())?;
    let new = sqlite_file(&url).filter(|file| !file.exists());
    let mut empty = Opened::open(&url).await.map_err(StartError::from)?;
    let done = if empty.master_key_fingerprint().is_some() {
        Err(RestoreError::Occupied(named(&url)))
    } else {
        restored(config, &url, backup, &mut empty, progress).await
    };
    // While the lock is held: nobody else can have begun to use it.
    if let (Err(_), Some(file)) = (&done, new) {
        for name in ["", "-wal", "-shm"] {
            let mut path = file.clone().into_os_string();
            path.push(name);
            // What was made by trying is taken away again, if it was made.
            let _ = fs::remove_file(path);
        }
    }
    empty.close().await;
    done
}

/// A database's URL without what may be secret in it.
pub(super) fn named(url: &str) -> String {
    sqlite_file(url).map_or_else(
        || "that address".to_owned(),
        |file| file.display().to_string(),
    )
}

async fn restored(
    config: &Config,
    url: &str,
    backup: &Path,
    empty: &mut Opened,
    progress: &mut Progress<'_>,
) -> Result<RestoreReport, RestoreError> {
    let copy = WorkingCopy::of(backup, &config.data_dir)?;
    let (opened, report) = copy.open(backup, progress).await?;
    let fingerprint = opened.master_key_fingerprint();
    let master_key = master_key(config, url, fingerprint, &mut Vec::new())?;
    fits(fingerprint, &master_key)?;

    let start = |error| RestoreError::Start(StartError::Store(error));
    let (store, guard) = opened
        .start(Arc::new(Doorbells::new(0)))
        .await
        .map_err(start)?;
    let local = Metadata {
        actor: Actor::AdminKey(LOCAL_OPERATOR.to_owned()),
        ..Metadata::system()
    };
    // Also those that sign: one may have been declared compromised after the backup.
    let mut keys = Vec::new();
    for group in keys::ALGORITHMS
        .map(KeyGroup::Signing)
        .into_iter()
        .chain([KeyGroup::Derivation])
    {
        let key = keys::new_key(&master_key, group).await;
        keys.push(key.map_err(StartError::from)?);
    }
    let backup_position = report.position;
    let restored = Restored {
        position: backup_position,
    };
    let began = async {
        store
            .maintained(MaintenanceFact::Restored(restored), &local)
            .await?;
        store.replace_compromised_keys(&keys, &local).await
    };
    let began = began.await;
    drop(store);
    guard.finished().await;
    began.map_err(start)?;
    let database = copy.becomes(empty, progress).await?;
    if sqlite_file(url).is_some() {
        first_start::mark(config);
    }
    Ok(RestoreReport {
        backup_position,
        database,
    })
}
