//! `backup`: the whole database in one file, beside a running server; `restore`: and back.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Failure, Output, progress::Progress};
use crate::{
    config::Config,
    http::{self, RestoreError, RestoreReport, StartError},
    store::{self, Backup, BackupError, StoreError, sqlite_file},
};

/// Copy the whole database into one file, beside a running server
///
/// The copy is of one moment, and is checked like `projections check` does before it gets its name.
/// It is a SQLite file whatever the original is, and `auth-agent restore` makes either of it. The
/// master key is not in it: keep a copy of that elsewhere. Codes and refresh tokens cannot be made
/// from it, but it holds names, addresses and hashes of secrets.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  auth-agent backup /var/backups/auth-agent-$(date +%F).db")]
pub(crate) struct BackupJob {
    /// The file to make; nothing is overwritten
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    config: Config,
}

/// Make a database of a backup
///
/// The database, SQLite or PostgreSQL, must be empty or not there; the master key that the backup was made
/// under must be in its place. Every sign-in from before ends: codes, tokens and grants are dead, for what
/// happened to them after the backup is not known; there are new signing keys, too. Agents, clients, owners,
/// admin keys and the log are as they were: suspend, revoke and rotate again what was after the backup.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  auth-agent restore /var/backups/auth-agent-2026-01-31.db --data-dir ./restored"
)]
pub(crate) struct RestoreJob {
    /// What `auth-agent backup` made
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    config: Config,
}

/// Restores.
pub(crate) async fn restore(job: RestoreJob, output: Output) -> Result<(), Failure> {
    let failed = |error: RestoreError| match error {
        RestoreError::Start(error @ StartError::Store(StoreError::Locked(_))) => {
            Failure::usage(error)
        }
        RestoreError::Start(error) => error.into(),
        error => Failure::usage(error),
    };
    let mut config = job.config;
    config.read_environment()?;
    config.validate()?;
    let mut progress = Progress::new(output);
    let mut counted = |what, done, total| progress.at(what, done, total);
    let report = http::restore(&config, &job.file, &mut counted).await;
    drop(progress);
    let report = report.map_err(failed)?;
    output.json(&json!(report));
    let RestoreReport {
        backup_position,
        database,
    } = report;
    output.line(format!(
        "Restored {}: its {backup_position} events and {} more that the restoring wrote, read through and found \
         whole. All sign-ins from before have ended, and there are new keys; agents sign in anew with the secrets that \
         they have. What was suspended, revoked, deleted or rotated after the backup is not: do it again, admin keys \
         too.",
        job.file.display(),
        database.events.saturating_sub(backup_position),
    ));
    output.line(format!(
        "Start it with `auth-agent serve`. Administration takes an admin key from before: the one of the backup's \
         time, in {} or in AUTH_AGENT_ADMIN_KEY. {}",
        config.admin_key_file().display(),
        if sqlite_file(&config.database_url()).is_some() {
            "Without one, `auth-agent admin-key create --name NAME --role admin` makes one before the start."
        } else {
            "Without one, start with a new key of your own in AUTH_AGENT_ADMIN_KEY."
        }
    ));
    Ok(())
}

/// Makes it.
pub(crate) async fn run(job: BackupJob, output: Output) -> Result<(), Failure> {
    let failed = |error: BackupError| match error {
        BackupError::Exists(_) | BackupError::Store(StoreError::NoDatabase(_)) => {
            Failure::usage(error)
        }
        error => Failure::failed(error),
    };
    let mut progress = Progress::new(output);
    let mut counted = |what, done, total| progress.at(what, done, total);
    let made = store::backup(&job.config.database_url(), &job.file, &mut counted).await;
    drop(progress);
    let made = made.map_err(failed)?;
    output.json(&json!(made));
    let Backup {
        file,
        bytes,
        sha256,
        position,
        rows,
    } = made;
    output.line(format!(
        "Made {}: {rows} rows, the log up to position {position}, {bytes} bytes, SHA-256 {sha256}.\n\
         It was read through and found whole. It is of use only with the master key: keep a copy of \
         that elsewhere.",
        file.display()
    ));
    Ok(())
}
