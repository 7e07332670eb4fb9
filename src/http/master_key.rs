//! Where the master key comes from, and how another one takes its place.
//!
//! Database and file cannot change in one step. So the new key first stands beside the file, then the
//! database is sealed under it, then it takes the file's place; and whoever finds the new key beside the
//! file takes that last step, if the database wants it. At any moment there is a pair that works.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::StartError;
use crate::{
    config::Config,
    crypto::MasterKey,
    edge,
    store::{Rewrap, StoreError},
};

/// What became of a new master key.
#[derive(Debug)]
pub struct Rewrapped {
    /// Fingerprint of the former key.
    pub former: String,
    /// Fingerprint of the new one.
    pub fingerprint: String,
    /// How many texts were sealed anew.
    pub sealed: u64,
    /// The file that holds the new key; `None`: it came from outside, and stays there.
    pub file: Option<PathBuf>,
}

fn file(config: &Config) -> PathBuf {
    config.data_dir.join("master.key")
}

/// Where a new key waits for the database to be sealed under it.
fn next_file(config: &Config) -> PathBuf {
    config.data_dir.join("master.key.next")
}

/// Reads a key; `None` when there is no such file.
fn read(path: &Path) -> Result<Option<MasterKey>, StartError> {
    match fs::read_to_string(path) {
        Ok(text) => MasterKey::from_base64(Zeroizing::new(text).trim())
            .map(Some)
            .map_err(|error| StartError::MasterKeyFile(path.to_owned(), error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StartError::File(path.to_owned(), error)),
    }
}

/// The master key from the environment, or from its file, which a fresh SQLite database gets.
pub(super) fn master_key(
    config: &Config,
    url: &str,
    fingerprint: Option<&str>,
    notices: &mut Vec<String>,
) -> Result<MasterKey, StartError> {
    if let Some(key) = &config.master_key {
        return Ok(key.clone());
    }
    if !url.starts_with("sqlite") {
        return Err(StartError::MasterKeyRequired);
    }
    let path = file(config);
    let of_file = |error| StartError::File(path.clone(), error);
    match (read(&path)?, fingerprint) {
        (Some(key), Some(fingerprint)) if key.fingerprint() != fingerprint => {
            let next = read(&next_file(config))?.filter(|next| next.fingerprint() == fingerprint);
            let Some(next) = next else { return Ok(key) };
            replace(&next_file(config), &path).map_err(of_file)?;
            notices.push(format!(
                "finished putting the new master key in place: {}",
                path.display()
            ));
            Ok(next)
        }
        (Some(key), fingerprint) => {
            // Of a new key that never came to anything.
            if fingerprint.is_some() {
                remove(&next_file(config))?;
            }
            Ok(key)
        }
        (None, Some(_)) => Err(StartError::MasterKeyMissing(path)),
        (None, None) => {
            let key = MasterKey::from_bytes(edge::random());
            write_secret(&path, &key.to_base64()).map_err(of_file)?;
            notices.push(format!(
                "made the master key {}: keep a copy in a safe place, nothing can be read without it",
                path.display()
            ));
            Ok(key)
        }
    }
}

/// Refuses a master key that the database was not sealed under.
pub(super) fn fits(fingerprint: Option<&str>, master_key: &MasterKey) -> Result<(), StartError> {
    match fingerprint {
        Some(database) if database != master_key.fingerprint() => Err(StartError::WrongMasterKey {
            database: database.to_owned(),
            given: master_key.fingerprint(),
        }),
        _ => Ok(()),
    }
}

/// Seals everything under a new master key, in one transaction, while no server has the database.
/// Without one given, a key that stands in the data folder is replaced by a random one.
///
/// # Errors
///
/// [`StartError`], one clear line; whatever it was, the former key fits or the new one does.
pub async fn rewrap(config: &Config, new: Option<MasterKey>) -> Result<Rewrapped, StartError> {
    let url = config.database_url();
    let mut rewrap = Rewrap::begin(&url).await?;
    let fingerprint = rewrap.fingerprint().map(ToOwned::to_owned);
    let Some(fingerprint) = fingerprint else {
        return Err(StoreError::NoDatabase("that address".to_owned()).into());
    };
    let old = master_key(config, &url, Some(&fingerprint), &mut Vec::new())?;
    fits(Some(&fingerprint), &old)?;
    let in_file = config.master_key.is_none();
    let new = match new {
        Some(new) => new,
        None if in_file => MasterKey::from_bytes(edge::random()),
        None => return Err(StartError::NewMasterKeyRequired),
    };
    if new.fingerprint() == fingerprint {
        return Err(StartError::SameMasterKey);
    }
    let (path, next) = (file(config), next_file(config));
    if in_file {
        write_secret(&next, &new.to_base64())
            .map_err(|error| StartError::File(next.clone(), error))?;
    }
    let reseal = |context: &str, sealed: &str| {
        let opened = old.open(context, sealed).ok()?;
        Some(new.seal(context, &opened, edge::random()))
    };
    let sealed = rewrap.reseal(&new.fingerprint(), reseal).await?;
    let taken = rewrap.commit().await?;
    if in_file {
        replace(&next, &path).map_err(|error| StartError::File(path.clone(), error))?;
    }
    drop(taken);
    Ok(Rewrapped {
        former: fingerprint,
        fingerprint: new.fingerprint(),
        sealed,
        file: in_file.then_some(path),
    })
}

/// Writes a secret for its owner's eyes only, whole or not at all, and durably: a database whose
/// keys it seals may be committed the next moment.
pub(super) fn write_secret(path: &Path, secret: &str) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    writeln!(file, "{secret}")?;
    file.sync_all()?;
    replace(&unfinished, path)
}

/// Gives a file another's name, durably.
pub(super) fn replace(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => fs::File::open(folder)?.sync_all(),
        _ => fs::File::open(".")?.sync_all(),
    }
}

pub(super) fn remove(path: &Path) -> Result<(), StartError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StartError::File(path.to_owned(), error))
        }
        _ => Ok(()),
    }
}
