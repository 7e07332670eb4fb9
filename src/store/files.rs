//! The files that a database on this machine is in, told from others that come to bear their names: what
//! is committed into a file that nobody can reach any more is lost with the process.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    StoreError,
    trouble::{Kind, Trouble},
};

/// What to do when a file has lost its name.
const DATABASE: &str =
    "put that very file back, and work goes on; or stop the server, and restore a backup";
const LOCK: &str = "another process could take the database; start the server again";
const WAL: &str = "stop the server in good order, which saves what is in it, and start it again";

/// A file as the system knows it, and the name it was opened by.
#[derive(Debug, Clone)]
struct Known {
    path: PathBuf,
    device: u64,
    inode: u64,
    remedy: &'static str,
}

impl Known {
    fn at(path: PathBuf, remedy: &'static str) -> io::Result<Self> {
        let found = fs::metadata(&path)?;
        Ok(Self {
            path,
            device: found.dev(),
            inode: found.ino(),
            remedy,
        })
    }

    fn is_there(&self) -> Result<(), Trouble> {
        let (path, remedy) = (self.path.display(), self.remedy);
        match fs::metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == (self.device, self.inode) => Ok(()),
            Ok(_) => Err(Trouble::new(
                Kind::Replaced,
                format!(
                    "another file is in the place of {path} than was opened there, and nothing is written: \
                     put the first one back, or start the server again to go on with this one"
                ),
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Trouble::new(
                Kind::Gone,
                format!("{path} is gone, and nothing is written: {remedy}"),
            )),
            Err(error) => Err(Trouble::new(Kind::NotOpened, format!("{path}: {error}"))),
        }
    }
}

/// All of them; none of a database that is elsewhere.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    known: Arc<Vec<Known>>,
    /// Where SQLite keeps what it has not brought into the database yet.
    wal: Option<PathBuf>,
}

impl Files {
    /// A database and its lock, just opened.
    pub(crate) fn of(database: &Path, lock: &Path) -> io::Result<Self> {
        let mut wal = fs::canonicalize(database)?.into_os_string();
        wal.push("-wal");
        Ok(Self {
            known: Arc::new(vec![
                Known::at(database.to_owned(), DATABASE)?,
                Known::at(lock.to_owned(), LOCK)?,
            ]),
            wal: Some(wal.into()),
        })
    }

    /// These, with the log of a connection that has just been opened and has read: it stays as long as that
    /// connection does.
    pub(crate) async fn with_wal(&self) -> Result<Self, StoreError> {
        let Some(wal) = self.wal.clone() else {
            return Ok(self.clone());
        };
        // First of all: that it is no connection to some other file.
        self.are_there().await?;
        let known = Arc::clone(&self.known);
        let added = apart(move || {
            let mut all = known.to_vec();
            let of_wal = |error: io::Error| {
                Trouble::new(Kind::NotOpened, format!("{}: {error}", wal.display()))
            };
            all.push(Known::at(wal.clone(), WAL).map_err(of_wal)?);
            Ok(all)
        });
        Ok(Self {
            known: Arc::new(added.await?),
            wal: self.wal.clone(),
        })
    }

    /// Whether each has its name still, and is what was opened.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] says which is not, and what to do.
    pub(crate) async fn are_there(&self) -> Result<(), StoreError> {
        if self.known.is_empty() {
            return Ok(());
        }
        let known = Arc::clone(&self.known);
        apart(move || known.iter().try_for_each(Known::is_there)).await
    }
}

/// On a thread of its own: a disk that hangs holds up nobody else.
async fn apart<T: Send + 'static>(
    look: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, StoreError> {
    let looked = tokio::task::spawn_blocking(look).await;
    let unseen =
        |error: tokio::task::JoinError| Err(Trouble::new(Kind::Unexpected, error.to_string()));
    looked
        .unwrap_or_else(unseen)
        .map_err(StoreError::Unavailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_known_by_what_it_is_and_not_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["log.db", "log.db.lock", "log.db-wal"] {
            fs::write(at(name), name).unwrap();
        }
        let files = Files::of(&at("log.db"), &at("log.db.lock")).unwrap();
        let files = files.with_wal().await.unwrap();
        files.are_there().await.unwrap();
        for name in ["log.db", "log.db.lock", "log.db-wal"] {
            let told = async || files.are_there().await.unwrap_err();
            fs::rename(at(name), at("aside")).unwrap();
            let gone = told().await;
            assert_eq!(gone.trouble(), Some(Kind::Gone));
            assert!(
                gone.to_string().contains(&format!("{name} is gone")),
                "{gone}"
            );
            fs::copy(at("aside"), at(name)).unwrap();
            assert_eq!(told().await.trouble(), Some(Kind::Replaced));
            fs::rename(at("aside"), at(name)).unwrap();
            files.are_there().await.unwrap();
        }
        Files::default()
            .with_wal()
            .await
            .unwrap()
            .are_there()
            .await
            .unwrap();
    }
}
