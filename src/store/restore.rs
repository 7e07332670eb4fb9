//! A backup on its way back: a working copy of it, which becomes a database when all is done.

use std::{fs::File, io, path::Path};

use super::{
    BackupError, Opened, StoreError,
    backup::Unfinished,
    copy::{Progress, copy_all},
    database::Target,
    maintenance::{Report, check_on},
    trouble::Kind,
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
        // Under a name and with a mode of its own, whatever those of the backup are.
        let mut from = File::open(backup).map_err(of_file)?;
        let copy = Unfinished::beside(&folder.join("restoring")).map_err(of_file)?;
        let copied = File::options()
            .write(true)
            .open(&copy.0)
            .and_then(|mut to| io::copy(&mut from, &mut to));
        copied.map_err(of_file)?;
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
        let other = |error: StoreError| match error.trouble() {
            // Not a database, or none of ours.
            Some(Kind::Damaged | Kind::Command) => BackupError::NoBackup(backup.to_owned()),
            _ if matches!(error, StoreError::Migration(_)) => {
                BackupError::NoBackup(backup.to_owned())
            }
            _ => error.into(),
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

    /// Makes of an empty database what the copy is, in one transaction that is committed once it was read
    /// through.
    ///
    /// # Errors
    ///
    /// [`BackupError`]; there is nothing in the database's tables then.
    pub async fn becomes(
        self,
        empty: &mut Opened,
        progress: &mut Progress<'_>,
    ) -> Result<Report, BackupError> {
        empty.migrate().await?;
        let mut from = Target::single_file(&self.0.0).writable().await?;
        let (target, to) = (&empty.target, &mut empty.connection);
        let copied = copy_all(&mut from, (target, to), None, progress).await;
        from.close().await;
        copied.map(|(_, report)| report)
    }
}
