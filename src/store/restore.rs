//! A backup on its way back: a working copy of it, which becomes a database when all is done.

use std::{fs, io, path::Path};

use super::{
    BackupError, Opened, StoreError,
    backup::Unfinished,
    copy::{Progress, copy_all},
    database::Target,
    maintenance::{Report, check_on},
};

/// A backup, copied to be worked on. The copy is gone when this is dropped.
pub struct WorkingCopy(Unfinished);

impl WorkingCopy {
    /// Copies a backup into a folder, for its owner's eyes only. The backup itself is not touched.
    ///
    /// # Errors
    ///
    /// [`BackupError::File`] when it cannot be read, or the copy not be written.
    pub fn of(backup: &Path, folder: &Path) -> Result<Self, BackupError> {
        let of_file = |error| BackupError::File(backup.to_owned(), error);
        let name = backup
            .file_name()
            .ok_or_else(|| of_file(io::ErrorKind::InvalidInput.into()))?;
        let copy = Unfinished::beside(&folder.join(name)).map_err(of_file)?;
        fs::copy(backup, &copy.0).map_err(of_file)?;
        Ok(Self(copy))
    }

    /// Opens the copy, brings it to this program's version, and reads it through like `projections check`
    /// does.
    ///
    /// # Errors
    ///
    /// [`BackupError::NoBackup`] when it is something else, [`BackupError::Differs`] when it is damaged.
    pub async fn open(
        &self,
        backup: &Path,
        progress: &mut Progress<'_>,
    ) -> Result<(Opened, Report), BackupError> {
        let other = |error: StoreError| match error {
            // Not a database, or none of ours.
            StoreError::Unavailable(sqlx::Error::Database(_)) | StoreError::Migration(_) => {
                BackupError::NoBackup(backup.to_owned())
            }
            error => error.into(),
        };
        let url = format!("sqlite://{}", self.0.0.display());
        let mut opened = Opened::open(&url).await.map_err(other)?;
        if opened.fingerprint.is_none() {
            return Err(BackupError::NoBackup(backup.to_owned()));
        }
        opened.migrate().await.map_err(other)?;
        let mut counted = |done, total| progress("checking", done, total);
        let report = check_on(&mut opened.connection, &mut counted).await?;
        match report.differences {
            0 => Ok((opened, report)),
            differences => Err(BackupError::Differs { differences }),
        }
    }

    /// Makes of an empty database what the copy is, in one transaction, and reads it through.
    ///
    /// # Errors
    ///
    /// [`BackupError`]; the database is empty then as before.
    pub async fn becomes(
        self,
        mut empty: Opened,
        progress: &mut Progress<'_>,
    ) -> Result<Report, BackupError> {
        empty.migrate().await?;
        let mut from = Target::single_file(&self.0.0)
            .writable()
            .await
            .map_err(StoreError::from)?;
        copy_all(&mut from, &mut empty.connection, None, progress).await?;
        from.close().await;
        let mut counted = |done, total| progress("checking", done, total);
        let report = check_on(&mut empty.connection, &mut counted).await?;
        empty.close().await;
        Ok(report)
    }
}
