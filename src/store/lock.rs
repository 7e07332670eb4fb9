//! One process for each SQLite file: the operating system's lock on a file beside it, which is let
//! go even when the process is killed.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::{StoreError, files::Files, sqlite_file};

/// Held as long as it lives.
#[derive(Debug)]
pub(crate) struct FileLock {
    #[expect(dead_code, reason = "dropping the file lets go of the lock")]
    file: File,
    path: PathBuf,
    database: PathBuf,
}

/// Opens a file for its owner's eyes only, and makes it when it is not there. What SQLite makes
/// beside a database has the database's mode.
pub(super) fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
}

impl FileLock {
    pub(crate) fn take(database: &Path) -> Result<Self, StoreError> {
        let name = database.display().to_string();
        // By whatever name a file is reached, it has one lock.
        let file = match fs::canonicalize(database) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => database.to_owned(),
            Err(error) => return Err(StoreError::Lock(name, error)),
        };
        let path = format!("{}.lock", file.display());
        let failed = |error| StoreError::Lock(path.clone(), error);
        let file = private(Path::new(&path)).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {
                // One that is there is not opened here: closing it would give up SQLite's own locks.
                if !database.exists() {
                    private(database).map_err(failed)?;
                }
                Ok(Self {
                    file,
                    path: path.into(),
                    database: database.to_owned(),
                })
            }
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked(name)),
            Err(TryLockError::Error(error)) => Err(StoreError::Lock(path, error)),
        }
    }

    /// The database and this lock, as they are now.
    pub(crate) fn files(&self) -> Result<Files, StoreError> {
        let failed = |error| StoreError::Lock(self.database.display().to_string(), error);
        Files::of(&self.database, &self.path).map_err(failed)
    }
}

/// Says so when another process has the SQLite file of that URL; nothing is made where there is
/// none.
pub(crate) fn in_use(url: &str) -> Option<StoreError> {
    let file = sqlite_file(url).filter(|file| file.exists())?;
    FileLock::take(&file)
        .err()
        .filter(|error| matches!(error, StoreError::Locked(_)))
}
