//! Ended requests leave the log: their events move into a file, byte for byte, and of each a stub
//! stays with its leaf hash, so that the log can still be proved whole.

mod segment;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use sqlx::Row;
use tokio_util::sync::CancellationToken;

use segment::{Segment, Writing};

use super::{
    Append, Store, StoreError, append::Advance, as_i64, as_u64, on, projection::row_id,
    sql::archived as sql, timestamp,
};
use crate::{
    domain::{Archived, Ended, Fact, MaintenanceFact, Metadata, StreamId},
    edge,
};

/// Events looked at in one step; a segment holds streams that begin among them.
const PAGE: i64 = 2_000;
/// Events in a segment, unless one stream alone has more: one commit's work, well below the time that
/// the writer has for it.
const MOST_EVENTS: u64 = 5_000;
/// Events of the longest stream that is archived. A refresh every ten minutes for 180 days makes 26,000.
const LONGEST: u64 = 50_000;
/// Events held in memory at a time.
const READ_AT_ONCE: usize = 500;
/// How soon after the start to look at the latest.
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// How long whoever met another node at the same work lets it go on.
const MAKING_WAY: Duration = Duration::from_secs(1);

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
    let pace = pace(&retention);
    // However often it is started anew, it comes to it.
    let mut pause = pace.min(FIRST_LOOK);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => pause = pace,
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

/// What one step archives, and how far it goes.
struct Step {
    from: u64,
    to: u64,
    requests: Vec<String>,
}

impl Step {
    /// The first of the requests that have ended, `sizes` with the number of their events, as far as
    /// they fit into one segment; `None` when nothing was seen.
    fn of(
        from: u64,
        seen: Vec<(u64, Option<String>)>,
        sizes: &HashMap<String, u64>,
    ) -> Option<Self> {
        let mut step = Self {
            from,
            to: from,
            requests: Vec::new(),
        };
        let mut events = 0;
        for (position, request) in seen {
            let size = request.as_ref().and_then(|id| sizes.get(id)).copied();
            match (request, size) {
                (Some(id), Some(size)) if size <= LONGEST => {
                    if !step.requests.is_empty() && events + size > MOST_EVENTS {
                        break;
                    }
                    events += size;
                    step.requests.push(id);
                }
                (Some(id), Some(size)) => tracing::warn!(
                    request = id,
                    events = size,
                    "an ended request is too long for the archive and stays in the log"
                ),
                _ => {}
            }
            step.to = position;
        }
        (step.to > from).then_some(step)
    }
}

impl Store {
    async fn archive_all(
        &self,
        ended: Ended,
        age: Duration,
        folder: &Path,
        stop: &CancellationToken,
    ) -> Result<(), ArchiveError> {
        // Nor is a folder made anew where the data has been.
        self.files.are_there().await?;
        let before = self.now().await? - age;
        while !stop.is_cancelled() {
            match self.archive(ended, before, folder).await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                // A stream has grown, or another node was first: it may be at it for a while.
                Err(ArchiveError::Store(StoreError::Conflict)) => {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(MAKING_WAY) => {}
                    }
                }
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
        let stream = StreamId::maintenance(self.now().await?);
        let version = self.version(&stream).await?;
        let Some(step) = self.step(ended, before).await? else {
            return Ok(false);
        };
        let mut written = None;
        let mut append = Append::by(&Metadata::system())?;
        append.advance = Some(Advance {
            follower: ended.as_str(),
            from: step.from,
            to: step.to,
            statistic: None,
        });
        if !step.requests.is_empty() {
            let (segment, versions) = self.segment(&step, ended, folder).await?;
            written = Some(folder.join(&segment.name));
            append.archive.clone_from(&versions);
            append.expected = versions;
            let archived = Archived {
                requests: ended,
                after: step.from,
                to: step.to,
                streams: append.archive.len() as u64,
                events: segment.events,
                segment: segment.name,
                sha256: segment.sha256,
            };
            let fact = Fact::Maintenance(MaintenanceFact::Archived(archived));
            append.facts(stream, version, None, [(edge::new_event_id(), fact)])?;
        }
        match self.writer.append(append).await {
            Ok(_) => Ok(true),
            // It may have been committed.
            Err(error @ (StoreError::Uncertain | StoreError::Stopped)) => Err(error.into()),
            Err(error) => {
                // Nothing names it, and nothing ever will.
                if let Some(file) = written {
                    segment::remove(file).await;
                }
                Err(error.into())
            }
        }
    }

    async fn step(&self, ended: Ended, before: Timestamp) -> Result<Option<Step>, StoreError> {
        let from = self.checkpoint(ended.as_str()).await?;
        // Each position looked at, with the request that begins there.
        let mut seen: Vec<(u64, Option<String>)> = Vec::new();
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
                let (stream, of_type): (String, String) =
                    (row.try_get("stream")?, row.try_get("type")?);
                let begins = of_type == "Created" && stream.starts_with("auth_request/");
                let request = begins.then(|| row_id(&stream).to_owned());
                seen.push((as_u64(row.try_get("position")?), request));
            }
        });
        let among = match ended {
            Ended::Abandoned => sql::ABANDONED_AMONG,
            Ended::Finished => sql::REQUESTS_AMONG,
        };
        let begun: Vec<&String> = seen.iter().filter_map(|(_, id)| id.as_ref()).collect();
        let begun = serde_json::json!(begun).to_string();
        let sizes: HashMap<String, u64> = on!(Pool, &self.pool, among, |c, sql| {
            let rows = sqlx::query(sql).bind(&begun).fetch_all(c).await?;
            rows.iter()
                .map(|row| Ok((row.try_get("id")?, as_u64(row.try_get("version")?))))
                .collect::<Result<_, sqlx::Error>>()?
        });
        Ok(Step::of(from, seen, &sizes))
    }

    /// Writes the texts of the events of a step's requests; yields their streams with their versions.
    async fn segment(
        &self,
        step: &Step,
        ended: Ended,
        folder: &Path,
    ) -> Result<(Segment, Vec<(String, u64)>), ArchiveError> {
        let streams: Vec<String> = step
            .requests
            .iter()
            .map(|request| format!("auth_request/{request}"))
            .collect();
        let streams = serde_json::json!(streams).to_string();
        let mut versions = BTreeMap::new();
        let name = format!("{}-{}-{}", ended.as_str(), step.from, step.to);
        let segment = Writing::begin(folder, name);
        let mut after: i64 = 0;
        loop {
            let mut bodies = Vec::new();
            on!(Pool, &self.pool, sql::EVENTS_OF_STREAMS, |c, sql| {
                let rows = sqlx::query(sql)
                    .bind(&streams)
                    .bind(after)
                    .bind(READ_AT_ONCE as i64)
                    .fetch_all(c)
                    .await
                    .map_err(StoreError::from)?;
                for row in rows {
                    let of_row = || -> Result<_, sqlx::Error> {
                        let (stream, version): (String, i64) =
                            (row.try_get("stream")?, row.try_get("version")?);
                        Ok((
                            stream,
                            as_u64(version),
                            row.try_get("position")?,
                            row.try_get("body")?,
                        ))
                    };
                    let (stream, version, position, body): (_, _, _, String) =
                        of_row().map_err(StoreError::from)?;
                    bodies.push(body);
                    versions.insert(stream, version);
                    after = position;
                }
            });
            let is_last = bodies.len() < READ_AT_ONCE;
            if !segment.add(bodies).await || is_last {
                break;
            }
        }
        Ok((segment.finish().await?, versions.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(sizes: &[(&str, u64)]) -> Option<(u64, Vec<String>)> {
        // A request begins at every other position.
        let seen = sizes.iter().enumerate().flat_map(|(n, (id, _))| {
            let at = 11 + 2 * n as u64;
            [(at, Some((*id).to_owned())), (at + 1, None)]
        });
        let known = sizes.iter().filter(|(_, size)| *size > 0);
        let known = known.map(|(id, size)| ((*id).to_owned(), *size)).collect();
        Step::of(10, seen.collect(), &known).map(|step| (step.to, step.requests))
    }

    #[test]
    fn a_step_holds_what_fits_into_a_segment_and_goes_on_behind_it() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        assert_eq!(step(&[]), None);
        // Those that are gone or not of this kind are passed over.
        assert_eq!(
            step(&[("a", 3), ("b", 0), ("c", 4)]),
            Some((16, ids(&["a", "c"])))
        );
        let full = MOST_EVENTS;
        assert_eq!(
            step(&[("a", full - 1), ("b", 2), ("c", 1)]),
            Some((12, ids(&["a"])))
        );
        // A long one has a segment for itself, and one that is too long for any stays.
        assert_eq!(step(&[("a", full + 1), ("b", 1)]), Some((12, ids(&["a"]))));
        assert_eq!(
            step(&[("a", LONGEST + 1), ("b", 1)]),
            Some((14, ids(&["b"])))
        );
    }
}
