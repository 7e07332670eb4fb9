//! A backup: the whole database as it stood at one moment, in one file, read through before it is
//! called one.
//!
//! The file is a SQLite database whatever the original is. The keys that codes and refresh tokens are
//! derived under are not in it, and the other keys are sealed under the master key: it holds people and
//! hashes of secrets all the same, and is for its owner's eyes only.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};

use super::{
    StoreError,
    copy::{Progress, copy_all},
    database::Target,
    lock::private,
    maintenance::{Report, existing},
    sql::copied::LEFT_OUT,
};
use crate::{domain::hex, edge};

/// What was made.
#[derive(Debug, serde::Serialize)]
pub struct Backup {
    /// Where it is.
    pub file: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// The last position of the log in it.
    pub position: u64,
    /// Rows in it, of all tables.
    pub rows: u64,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database cannot be read, or the copy not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be made or read.
    #[error("cannot use {}: {}", .0.display(), .1)]
    File(PathBuf, io::Error),
    /// Nothing is ever overwritten.
    #[error("{} is there already: name a file that is not", .0.display())]
    Exists(PathBuf),
    /// It holds no log of ours.
    #[error("{} is no backup", .0.display())]
    NoBackup(PathBuf),
    /// The log and its read models do not agree.
    #[error(
        "the copy was not kept: {differences} differences were found in it; `auth-agent projections check` tells of them"
    )]
    Differs {
        /// How many.
        differences: u64,
    },
}

impl From<sqlx::Error> for BackupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Copies the database at `url` into `file`, beside a running server, and checks the copy like
/// `projections check` does. Everything that was answered before it began is in it. Until it is whole
/// and on the disk there is no file of that name; a job that is killed leaves one that ends in
/// `.unfinished`.
///
/// # Errors
///
/// [`BackupError`]; there is no file then.
pub async fn backup(
    url: &str,
    file: &Path,
    progress: &mut Progress<'_>,
) -> Result<Backup, BackupError> {
    let of_file = |error| BackupError::File(file.to_owned(), error);
    if file.try_exists().map_err(of_file)? {
        return Err(BackupError::Exists(file.to_owned()));
    }
    let unfinished = Unfinished::beside(file).map_err(of_file)?;
    let (rows, report) = copied(url, &unfinished.0, progress).await?;
    let bytes = fs::metadata(&unfinished.0).map_err(of_file)?.len();
    let sha256 = hashed(&unfinished.0).map_err(of_file)?;
    unfinished.becomes(file)?;
    Ok(Backup {
        file: file.to_owned(),
        bytes,
        sha256,
        position: report.position,
        rows,
    })
}

async fn copied(
    url: &str,
    file: &Path,
    progress: &mut Progress<'_>,
) -> Result<(u64, Report), BackupError> {
    let mut from = existing(url).await?;
    let target = Target::single_file(file);
    let (mut to, _) = target.opened().await?;
    let migrated = to.migrate().await;
    migrated.map_err(|error| target.told(error))?;
    let copied = copy_all(&mut from, (&target, &mut to), Some(LEFT_OUT), progress).await;
    from.close().await;
    to.close().await;
    copied.map_err(|error| match error {
        BackupError::Store(error) => BackupError::Store(error.of(url)),
        other => other,
    })
}

/// SHA-256 of a file, in hex.
fn hashed(file: &Path) -> io::Result<String> {
    struct Hash(Context);
    impl io::Write for Hash {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut hash = Hash(Context::new(&SHA256));
    io::copy(&mut File::open(file)?, &mut hash)?;
    Ok(hex(hash.0.finish().as_ref()))
}

/// A file that is not yet what it is to be; gone when dropped before.
pub(super) struct Unfinished(pub(super) PathBuf);

impl Unfinished {
    pub(super) fn beside(file: &Path) -> io::Result<Self> {
        let mut name = file
            .file_name()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?
            .to_owned();
        name.push(format!(".{}.unfinished", edge::new_event_id()));
        let unfinished = Self(file.with_file_name(name));
        private(&unfinished.0)?;
        Ok(unfinished)
    }

    /// Gives it its name, durably; one that has come to be there meanwhile is not overwritten.
    fn becomes(self, file: &Path) -> Result<(), BackupError> {
        let of_file = |error| BackupError::File(file.to_owned(), error);
        File::open(&self.0)
            .and_then(|file| file.sync_all())
            .map_err(of_file)?;
        let named = fs::hard_link(&self.0, file).or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Err(error),
            // A file system without links: the name is taken first, by an empty file.
            _ => {
                fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .open(file)?;
                fs::rename(&self.0, file)
            }
        });
        named.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => BackupError::Exists(file.to_owned()),
            _ => of_file(error),
        })?;
        drop(self);
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(of_file)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        for name in ["", "-journal", "-wal", "-shm", ".lock"] {
            let mut file = self.0.clone().into_os_string();
            file.push(name);
            // There may be none, or a disk that is gone.
            let _ = fs::remove_file(file);
        }
    }
}
