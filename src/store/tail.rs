//! Following the log: what fits, from a position on, as it is appended.

use std::{sync::Arc, time::Duration};

use async_stream::stream;
use futures_util::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;

use super::{AuditFilter, LogEntry, Store, StoreError};

/// How long to wait before a failing database is read again, and before one that other nodes append to
/// is.
const PAUSE: Duration = Duration::from_secs(1);

/// The events that fit, in order and each once, in pages of at most the filter's limit; none is empty.
/// It ends with `stop`, however much there is left to catch up with, with the writer, and when the log
/// comes to end before the position, as one that is put back to an earlier state.
pub fn tail(
    store: Arc<Store>,
    mut filter: AuditFilter,
    stop: CancellationToken,
) -> impl Stream<Item = Vec<LogEntry>> + Send + use<> {
    let mut head = store.head();
    let pages = stream! {
        loop {
            // Seen first and read second, so that nothing falls between.
            let here = *head.borrow_and_update();
            let read = async {
                // This node may be behind the others, and is where it appends nothing.
                let seen = if store.is_shared() { store.last_position().await? } else { here };
                Ok::<_, StoreError>((seen, store.audit(&filter).await?))
            };
            let (seen, page) = match read.await {
                Ok(read) => read,
                Err(error) => {
                    if error.is_news("tail") {
                        tracing::error!(%error, "the log could not be followed");
                    }
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            // What this node alone appends to is not put back under it, and may have more than was rung for.
            if store.is_shared() && seen < filter.after && page.is_empty() {
                // What comes to stand there now would be passed over.
                tracing::warn!(
                    after = filter.after,
                    ends = seen,
                    "the log ends before what is followed: its database was put back"
                );
                return;
            }
            let is_full = page.len() >= filter.limit as usize;
            // What did not fit need not be looked at again.
            let looked_at = if is_full { 0 } else { seen };
            let last = page.last().map_or(0, |entry| entry.position);
            filter.after = filter.after.max(last).max(looked_at);
            if !page.is_empty() {
                yield page;
            }
            if is_full {
                continue;
            }
            tokio::select! {
                changed = head.changed() => if changed.is_err() { return },
                // Another node rings no bell here.
                () = tokio::time::sleep(PAUSE), if store.is_shared() => {}
            }
        }
    };
    pages.take_until(stop.cancelled_owned())
}
