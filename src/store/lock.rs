//! One process for each SQLite file: the operating system's lock on a file beside it, which is let
//! go even when the process is killed.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{StoreError, files::Files, sqlite_file};

/// Held as long as it lives.
#[derive(Debug)]
pub(crate) struct FileLock {
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

impl Drop for FileLock {
    /// Takes back the word that was left there, and lets go of the lock with the file.
    fn drop(&mut self) {
        // Whoever takes it next does so too.
        let _ = self.file.set_len(0);
    }
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
                // What a former holder left is true no longer.
                file.set_len(0).map_err(failed)?;
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

/// Most that is read of what a holder left.
const LONGEST_WORD: u64 = 4_096;

/// The lock of a database that is there.
fn lock_of(url: &str) -> io::Result<Option<PathBuf>> {
    let Some(file) = sqlite_file(url) else {
        return Ok(None);
    };
    let file = fs::canonicalize(file)?;
    Ok(Some(format!("{}.lock", file.display()).into()))
}

/// Leaves a word for whoever finds the SQLite file of that URL locked by this process.
pub(crate) fn leave_word(url: &str, word: &str) -> io::Result<()> {
    let Some(lock) = lock_of(url)? else {
        return Ok(());
    };
    let mut lock = OpenOptions::new().write(true).truncate(true).open(lock)?;
    lock.write_all(word.as_bytes())
}

/// What the process that has the SQLite file of that URL left there; nothing when nobody has it.
pub(crate) fn word_of_holder(url: &str) -> Option<String> {
    let lock = File::open(lock_of(url).ok()??).ok()?;
    // One that others may read or write need not be of a server of this user, who may be told to send a key.
    let private = lock.metadata().ok()?.mode() & 0o077 == 0;
    let mut word = String::new();
    (&lock).take(LONGEST_WORD).read_to_string(&mut word).ok()?;
    // Looked at only where there is something to believe: a server that starts is not kept from its lock.
    let held = || matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock));
    Some(word).filter(|word| private && !word.is_empty() && held())
}
