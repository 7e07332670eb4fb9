//! Reading the whole log stream by stream, and folding each.

use sqlx::Row;

use super::{
    super::{
        StoreError,
        append::leaf_hash_of,
        as_i64, as_u64,
        database::{Writable, on},
        follower::{SIGN_IN, is_sign_in},
        projection::{Projected, Table},
        sql,
    },
    Report,
};
use crate::domain::{Envelope, decode};

/// Events read at a time.
const PAGE: i64 = 2_000;

/// What a stream's events yield.
pub(super) struct Folded {
    pub(super) stream: String,
    pub(super) table: Table,
    pub(super) state: Projected,
    pub(super) version: u64,
    pub(super) first: u64,
}

/// A walk through the log, stream by stream.
#[derive(Default)]
pub(super) struct Walk {
    stream: String,
    version: u64,
    open: Option<Folded>,
    /// Whether the stream is one of stubs.
    archived: bool,
    ended: bool,
    /// Sign-ins up to `counted_to`.
    sign_ins: u64,
    counted_to: u64,
}

struct Stored {
    position: i64,
    stream: String,
    version: i64,
    type_name: String,
    occurred_at: i64,
    body: String,
    leaf_hash: String,
}

impl Walk {
    /// From the log's beginning; sign-ins are counted up to that position.
    pub(super) fn counting_to(position: u64) -> Self {
        Self {
            counted_to: position,
            ..Self::default()
        }
    }

    /// The sign-ins passed so far.
    pub(super) const fn sign_ins(&self) -> u64 {
        self.sign_ins
    }

    /// The streams that end on the next page; `None` after the last.
    pub(super) async fn next(
        &mut self,
        connection: &mut Writable,
        report: &mut Report,
    ) -> Result<Option<Vec<Folded>>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        let page: Vec<Stored> = on!(Writable, connection, sql::LOG_BY_STREAM, |c, sql| {
            let rows = sqlx::query(sql)
                .bind(&self.stream)
                .bind(as_i64(self.version))
                .bind(PAGE)
                .fetch_all(c)
                .await?;
            rows.iter()
                .map(|row| {
                    Ok(Stored {
                        position: row.try_get("position")?,
                        stream: row.try_get("stream")?,
                        version: row.try_get("version")?,
                        type_name: row.try_get("type")?,
                        occurred_at: row.try_get("occurred_at")?,
                        body: row.try_get("body")?,
                        leaf_hash: row.try_get("leaf_hash")?,
                    })
                })
                .collect::<Result<_, sqlx::Error>>()?
        });
        let mut done = Vec::new();
        if page.is_empty() {
            self.ended = true;
            done.extend(self.open.take());
            return Ok(Some(done));
        }
        for stored in page {
            report.events += 1;
            let version = as_u64(stored.version);
            let begins = stored.stream != self.stream;
            if begins {
                report.streams += 1;
                self.archived = stored.body.is_empty();
                done.extend(self.open.take());
            }
            let expected = if begins { 1 } else { self.version + 1 };
            if version != expected {
                report.differs(format!("{} jumps to version {version}", stored.stream));
            }
            self.stream.clone_from(&stored.stream);
            self.version = version;
            self.fold(&stored, report);
        }
        Ok(Some(done))
    }

    /// A stub: the whole stream is archived, and yields no row.
    fn pass(&mut self, stored: &Stored, report: &mut Report) {
        let position = as_u64(stored.position);
        if !self.archived || !stored.stream.starts_with("auth_request/") {
            report.differs(format!("event {position}: the body is gone"));
        }
        if stored.type_name == SIGN_IN && position <= self.counted_to {
            self.sign_ins += 1;
        }
    }

    fn fold(&mut self, stored: &Stored, report: &mut Report) {
        let position = as_u64(stored.position);
        if stored.body.is_empty() {
            return self.pass(stored, report);
        }
        if self.archived {
            report.differs(format!("{} is archived in part", stored.stream));
        }
        if leaf_hash_of(&stored.body) != stored.leaf_hash {
            report.differs(format!(
                "event {position}: the body does not have the stored hash"
            ));
        }
        let read = serde_json::from_str::<Envelope>(&stored.body)
            .map_err(StoreError::from)
            .and_then(|envelope| Ok((decode(&envelope)?, envelope)));
        let ((stream, recorded), envelope) = match read {
            Ok(read) => read,
            Err(error) => return report.differs(format!("event {position}: {error}")),
        };
        let copies_agree = envelope.position == position
            && envelope.stream == stored.stream
            && envelope.version == as_u64(stored.version)
            && envelope.type_name == stored.type_name
            && envelope.occurred_at.as_microsecond() == stored.occurred_at;
        if !copies_agree {
            report.differs(format!("event {position}: a column differs from the body"));
        }
        if is_sign_in(&recorded.fact) && position <= self.counted_to {
            self.sign_ins += 1;
        }
        let Some(table) = Table::of(&stream) else {
            return;
        };
        let (before, first) = match self.open.take() {
            Some(open) => (Some(open.state), open.first),
            None => (None, position),
        };
        match Projected::apply(before, &recorded) {
            Ok(state) => {
                let (stream, version) = (stored.stream.clone(), recorded.version);
                self.open = Some(Folded {
                    stream,
                    table,
                    state,
                    version,
                    first,
                });
            }
            Err(error) => report.differs(error.to_string()),
        }
    }
}
