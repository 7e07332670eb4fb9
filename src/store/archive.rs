//! Ended requests leave the log: their events move into a file, byte for byte, and of each a stub
//! stays with its leaf hash, so that the log can still be proved whole.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use sqlx::Row;
use tokio_util::sync::CancellationToken;

use super::{
    Append, Store, StoreError, append::Advance, as_i64, as_u64, on, projection::row_id,
    sql::archived as sql, timestamp,
};
use crate::{
    domain::{Archived, Ended, Fact, MaintenanceFact, Metadata, StreamId},
    edge,
};

/// Events looked at in one step; a segment holds the streams that begin among them.
const PAGE: i64 = 2_000;

/// For how long requests stay in the log, and where they go.
#[derive(Debug, Clone)]
pub struct Retention {
    /// Since their begin, for requests that no agent signed in to; `None`: for ever.
    pub abandoned: Option<Duration>,
    /// Since their begin, for sign-ins; `None`: for ever. Longer than any of their tokens can live.
    pub finished: Option<Duration>,
    /// The folder of the segments; made when there is something to put there.
    pub folder: PathBuf,
}

/// Why nothing was archived; nothing has left the log then.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The database does not answer, or would not commit.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The segment cannot be written.
    #[error("cannot write {}: {}", .0.display(), .1)]
    File(PathBuf, io::Error),
}

/// How often to look: a small part of the shortest retention, between a second and an hour.
fn pace(retention: &Retention) -> Duration {
    const PARTS: u32 = 168;
    let shortest = [retention.abandoned, retention.finished]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(Duration::MAX);
    (shortest / PARTS).clamp(Duration::from_secs(1), Duration::from_secs(60 * 60))
}

/// Archives what has served its time, until `stop`.
pub async fn retain(store: std::sync::Arc<Store>, retention: Retention, stop: CancellationToken) {
    let kinds = [
        (Ended::Abandoned, retention.abandoned),
        (Ended::Finished, retention.finished),
    ];
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pace(&retention)) => {}
        }
        for (ended, age) in kinds {
            let Some(age) = age else { continue };
            match store
                .archive_all(ended, age, &retention.folder, &stop)
                .await
            {
                Ok(()) | Err(ArchiveError::Store(StoreError::Stopped)) => {}
                Err(error) => tracing::warn!(
                    %error,
                    requests = ended.as_str(),
                    "ended requests could not be archived; they stay in the log"
                ),
            }
        }
    }
}

/// What one step found.
struct Step {
    from: u64,
    to: u64,
    requests: Vec<String>,
}

impl Store {
    async fn archive_all(
        &self,
        ended: Ended,
        age: Duration,
        folder: &Path,
        stop: &CancellationToken,
    ) -> Result<(), ArchiveError> {
        let before = self.now().await? - age;
        while !stop.is_cancelled() {
            match self.archive(ended, before, folder).await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                // A stream has grown, or another node was first.
                Err(ArchiveError::Store(StoreError::Conflict)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// One step: archives the requests that have ended so among the next events, all of them older than
    /// `before`. `false` when there are no such events.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`]; nothing has left the log then. [`StoreError::Conflict`] when it is to be tried
    /// again.
    pub async fn archive(
        &self,
        ended: Ended,
        before: Timestamp,
        folder: &Path,
    ) -> Result<bool, ArchiveError> {
        // First of all: whoever else archives meanwhile appends to this stream, and this one conflicts.
        let today = self.now().await?.strftime("%Y-%m-%d").to_string();
        let stream = StreamId::Maintenance(today);
        let version = self.version(&stream).await?;
        let Some(step) = self.step(ended, before).await? else {
            return Ok(false);
        };
        let mut append = Append::by(&Metadata::system())?;
        append.advance = Some(Advance {
            follower: ended.as_str(),
            from: step.from,
            to: step.to,
            statistic: None,
        });
        if !step.requests.is_empty() {
            let (versions, bodies) = self.whole(&step.requests).await?;
            let events = bodies.lines().count() as u64;
            let hash = digest(&SHA256, bodies.as_bytes());
            let sha256: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
            let (from, to) = (step.from, step.to);
            let segment = format!("{}-{from}-{to}-{}.ndjson", ended.as_str(), &sha256[..16]);
            let file = folder.join(&segment);
            write(folder, &file, bodies.as_bytes())
                .map_err(|error| ArchiveError::File(file, error))?;
            append.archive = versions.iter().map(|(stream, _)| stream.clone()).collect();
            append.expected = versions;
            let archived = Archived {
                requests: ended,
                after: from,
                to,
                streams: append.archive.len() as u64,
                events,
                segment,
                sha256,
            };
            let fact = Fact::Maintenance(MaintenanceFact::Archived(archived));
            append.facts(stream, version, None, [(edge::new_event_id(), fact)])?;
        }
        self.writer.append(append).await?;
        Ok(true)
    }

    async fn step(&self, ended: Ended, before: Timestamp) -> Result<Option<Step>, StoreError> {
        let from = self.checkpoint(ended.as_str()).await?;
        let mut to = from;
        let mut begun: Vec<String> = Vec::new();
        on!(Pool, &self.pool, sql::EVENTS_TO_ARCHIVE, |c, sql| {
            let rows = sqlx::query(sql)
                .bind(as_i64(from))
                .bind(PAGE)
                .fetch_all(c)
                .await?;
            for row in rows {
                if timestamp(row.try_get("occurred_at")?)? >= before {
                    break;
                }
                to = as_u64(row.try_get("position")?);
                let (stream, of_type): (String, String) =
                    (row.try_get("stream")?, row.try_get("type")?);
                if of_type == "Created" && stream.starts_with("auth_request/") {
                    begun.push(row_id(&stream).to_owned());
                }
            }
        });
        if to == from {
            return Ok(None);
        }
        let among = match ended {
            Ended::Abandoned => sql::ABANDONED_AMONG,
            Ended::Finished => sql::REQUESTS_AMONG,
        };
        let begun = serde_json::json!(begun).to_string();
        let requests = on!(Pool, &self.pool, among, |c, sql| {
            let rows = sqlx::query(sql).bind(&begun).fetch_all(c).await?;
            rows.iter()
                .map(|row| row.try_get("id"))
                .collect::<Result<_, sqlx::Error>>()?
        });
        Ok(Some(Step { from, to, requests }))
    }

    /// The streams of those requests with their versions, and the texts of their events, a line each.
    async fn whole(&self, requests: &[String]) -> Result<(Vec<(String, u64)>, String), StoreError> {
        let streams: Vec<String> = requests
            .iter()
            .map(|request| format!("auth_request/{request}"))
            .collect();
        let streams = serde_json::json!(streams).to_string();
        let mut versions = std::collections::BTreeMap::new();
        let mut bodies = String::new();
        on!(Pool, &self.pool, sql::STREAMS_WHOLE, |c, sql| {
            let rows = sqlx::query(sql).bind(&streams).fetch_all(c).await?;
            for row in rows {
                let (stream, body): (String, &str) = (row.try_get("stream")?, row.try_get("body")?);
                versions.insert(stream, as_u64(row.try_get("version")?));
                bodies.push_str(body);
                bodies.push('\n');
            }
        });
        Ok((versions.into_iter().collect(), bodies))
    }
}

/// Writes a segment durably, whole or not at all. A name stands for its content, so one that is there
/// already is the same.
fn write(folder: &Path, file: &Path, content: &[u8]) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let unfinished = file.with_extension(format!("{}.unfinished", edge::new_event_id()));
    let written = (|| {
        let mut open = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)?;
        open.write_all(content)?;
        open.sync_all()?;
        fs::rename(&unfinished, file)?;
        File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        // Whatever is left of it is of no use.
        let _ = fs::remove_file(&unfinished);
    }
    written
}
