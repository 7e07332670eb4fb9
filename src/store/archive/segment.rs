//! A file of archived events, their texts a line each. Its name is its own, also among the nodes that share
//! a folder, so no other ever takes its place, and whoever wrote it may remove it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    panic::resume_unwind,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{super::StoreError, ArchiveError};
use crate::edge;

/// A segment that is whole and on the disk.
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) sha256: String,
    pub(super) events: u64,
}

/// A segment that is written on a thread that may block: a disk that hangs holds up nobody else.
pub(super) struct Writing {
    /// Texts, and at last that these are all.
    pages: mpsc::Sender<Option<Vec<String>>>,
    done: JoinHandle<Result<Option<Segment>, ArchiveError>>,
}

impl Writing {
    /// Begins one in that folder, which is made if it is missing. Its name will begin so.
    pub(super) fn begin(folder: &Path, begins: String) -> Self {
        let folder = folder.to_owned();
        let (pages, mut written) = mpsc::channel::<Option<Vec<String>>>(1);
        let done = tokio::task::spawn_blocking(move || {
            let mut segment = Unfinished::begin(&folder)?;
            while let Some(page) = written.blocking_recv() {
                let Some(bodies) = page else {
                    return segment.named(&begins).map(Some);
                };
                for body in bodies {
                    segment.add(&body)?;
                }
            }
            // Given up on the way.
            Ok(None)
        });
        Self { pages, done }
    }

    /// Adds events' texts; false when something went wrong, which [`Self::finish`] tells.
    pub(super) async fn add(&self, bodies: Vec<String>) -> bool {
        self.pages.send(Some(bodies)).await.is_ok()
    }

    /// Makes it durable under its name.
    pub(super) async fn finish(self) -> Result<Segment, ArchiveError> {
        let _ = self.pages.send(None).await;
        match self.done.await {
            Ok(Ok(Some(segment))) => Ok(segment),
            Ok(Err(error)) => Err(error),
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // The process is shutting down.
            Ok(Ok(None)) | Err(_) => Err(StoreError::Stopped.into()),
        }
    }
}

/// Removes a segment whose events stay in the log.
pub(super) async fn remove(file: PathBuf) {
    // Left behind it takes room, and does no harm.
    let _ = tokio::fs::remove_file(file).await;
}

/// A segment that is being written; gone when dropped before it has its name.
struct Unfinished {
    folder: PathBuf,
    path: PathBuf,
    file: BufWriter<File>,
    hash: Context,
    events: u64,
}

impl Unfinished {
    /// Begins one in that folder, which is made if it is missing.
    fn begin(folder: &Path) -> Result<Self, ArchiveError> {
        let path = folder.join(format!("{}.unfinished", edge::new_event_id()));
        let begin = || {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
        };
        let file = begin().map_err(|error| ArchiveError::File(path.clone(), error))?;
        Ok(Self {
            folder: folder.to_owned(),
            path,
            file: BufWriter::new(file),
            hash: Context::new(&SHA256),
            events: 0,
        })
    }

    /// Adds an event's text.
    fn add(&mut self, body: &str) -> Result<(), ArchiveError> {
        for bytes in [body.as_bytes(), b"\n"] {
            self.hash.update(bytes);
            self.file
                .write_all(bytes)
                .map_err(|error| self.failed(error))?;
        }
        self.events += 1;
        Ok(())
    }

    /// Makes it durable under a name that begins so.
    fn named(mut self, begins: &str) -> Result<Segment, ArchiveError> {
        let hash = self.hash.clone().finish();
        let sha256 = hex::encode(hash.as_ref());
        let name = format!("{begins}-{}.ndjson", hex::encode(edge::random::<8>()));
        let mut finish = || {
            self.file.flush()?;
            self.file.get_ref().sync_all()?;
            fs::rename(&self.path, self.folder.join(&name))?;
            File::open(&self.folder)?.sync_all()
        };
        finish().map_err(|error| self.failed(error))?;
        Ok(Segment {
            name,
            sha256,
            events: self.events,
        })
    }

    fn failed(&self, error: io::Error) -> ArchiveError {
        ArchiveError::File(self.path.clone(), error)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It has its name by now, or is of no use.
        let _ = fs::remove_file(&self.path);
    }
}
