//! What a first start leaves in the data folder beside the database, by which a later start notices that
//! a database is missing: none is made anew then, and no admin key takes another one's place.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{
    StartError,
    master_key::{remove, replace, write_secret},
    restore::named,
};
use crate::{config::Config, crypto::Secret};

/// In a data folder that is a database's. A master key may be put there before the first start.
const MARK: &str = "database.made";
const MARK_SAYS: &str = "A database was made here or used with this folder. Should it be missing, `auth-agent serve` makes \
     no other one unless it is told to: --new-database.";

/// What a start may do where no database is.
#[derive(Debug, Clone, Copy)]
pub struct FirstStart {
    /// A first admin key goes to a file, because there is nobody to be shown it.
    pub keeps_admin_key: bool,
    /// A database is made although the data folder says that there was one.
    pub new_database: bool,
}

/// What in the data folder says that there was a database.
pub(super) fn sign(config: &Config) -> Option<PathBuf> {
    let signs = [config.admin_key_file(), config.data_dir.join(MARK)];
    signs.into_iter().find(|sign| sign.exists())
}

/// That a database is missing where `sign` says that there was one.
pub(super) fn missing(url: &str, sign: &Path) -> StartError {
    StartError::MissingDatabase {
        at: named(url),
        sign: sign.to_owned(),
    }
}

/// Says that the folder is a database's.
pub(super) fn mark(config: &Config) {
    let mark = config.data_dir.join(MARK);
    if mark.exists() {
        return;
    }
    // A folder that holds nothing but keys may be read-only.
    if let Err(error) = write_secret(&mark, MARK_SAYS) {
        tracing::debug!(%error, "{} could not be written", mark.display());
    }
}

/// Where the first admin key waits until it counts.
fn next_file(config: &Config) -> PathBuf {
    config.data_dir.join("admin.key.next")
}

/// Keeps the first admin key, before it counts: one that nobody has is worse than a file of no use.
pub(super) fn keep(config: &Config, key: &Secret) -> Result<(), StartError> {
    let path = next_file(config);
    write_secret(&path, key.expose()).map_err(|error| StartError::File(path, error))
}

/// The key that was kept, if it was not put in its place.
pub(super) fn kept(config: &Config) -> Result<Option<Zeroizing<String>>, StartError> {
    let path = next_file(config);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(Zeroizing::new(text.trim().to_owned()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StartError::File(path, error)),
    }
}

/// Once it counts. The key of another database makes way, if one is there.
pub(super) fn counts(
    config: &Config,
    key: &str,
    notices: &mut Vec<String>,
) -> Result<(), StartError> {
    make_way(config, notices)?;
    let path = config.admin_key_file();
    // Not by the name of the file that was kept: another node may share the folder.
    write_secret(&path, key).map_err(|error| StartError::File(path.clone(), error))?;
    remove(&next_file(config))?;
    notices.push(format!(
        "made the first admin key, kept in {}",
        path.display()
    ));
    Ok(())
}

/// Once it is known that it never will.
pub(super) fn does_not_count(config: &Config, key: &str) -> Result<(), StartError> {
    match kept(config)? {
        Some(kept) if *kept == key => remove(&next_file(config)),
        _ => Ok(()),
    }
}

/// Puts the admin key of a database that is not there aside.
pub(super) fn make_way(config: &Config, notices: &mut Vec<String>) -> Result<(), StartError> {
    let path = config.admin_key_file();
    if path.exists() {
        let former = config.data_dir.join("admin.key.former");
        replace(&path, &former).map_err(|error| StartError::File(path.clone(), error))?;
        notices.push(format!(
            "put the admin key of the former database aside: {}",
            former.display()
        ));
    }
    Ok(())
}
