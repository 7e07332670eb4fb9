//! The audit log: events as they were written, filtered, paged by position, or followed live.

use std::{convert::Infallible, sync::Arc, time::Duration};

use async_stream::stream;
use axum::{
    Json,
    extract::{RawQuery, State},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use http::{HeaderMap, header};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Paging;
use crate::{
    http::{ApiError, app::App},
    store::AuditFilter,
};

/// A comment line keeps proxies from closing a quiet tail.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long to wait before a failing database is read again for an open tail.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct Answer {
    items: Vec<Box<RawValue>>,
    next: Option<String>,
}

/// The position that an event stands at.
fn position(event: &RawValue) -> Option<u64> {
    let event: crate::domain::Envelope = serde_json::from_str(event.get()).ok()?;
    Some(event.position)
}

/// GET /api/admin/audit-log: JSON, one event a line, or a live tail, as `Accept` asks.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    query: RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (paging, parameters) = Paging::read(&query)?;
    let text = |name| {
        parameters
            .one(name)
            .map(|value| value.map(ToOwned::to_owned))
    };
    let moment = |name| -> Result<Option<Timestamp>, ApiError> {
        let Some(text) = parameters.one(name)? else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| {
            ApiError::invalid_request(format!("{name} must be a time as in 2026-01-31T12:00:00Z"))
        })
    };
    let mut filter = AuditFilter {
        after: paging.after,
        limit: paging.limit,
        stream: text("stream")?,
        type_name: text("type")?,
        agent_id: text("agent_id")?,
        client_id: text("client_id")?,
        since: moment("since")?,
        until: moment("until")?,
    };
    let accepted = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    let asks_for = |media_type| accepted.is_some_and(|accept| accept.contains(media_type));
    let no_store = (header::CACHE_CONTROL, "no-store");
    if asks_for("text/event-stream") {
        let seen = headers
            .get("last-event-id")
            .and_then(|id| id.to_str().ok()?.parse().ok());
        if let Some(seen) = seen {
            filter.after = seen;
        } else if parameters.one("after")?.is_none() {
            filter.after = app.store.last_position().await?;
        }
        let tail = Sse::new(tail(app, filter)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
        return Ok(([no_store], tail).into_response());
    }
    // One more than asked for tells whether there is a next page.
    filter.limit += 1;
    let mut items = app.store.audit(&filter).await?;
    let more = items.len() > paging.limit as usize;
    items.truncate(paging.limit as usize);
    if asks_for("application/x-ndjson") {
        let lines: String = items.iter().flat_map(|event| [event.get(), "\n"]).collect();
        let media_type = (header::CONTENT_TYPE, "application/x-ndjson");
        return Ok(([no_store, media_type], lines).into_response());
    }
    let next = items
        .last()
        .filter(|_| more)
        .and_then(|last| position(last));
    let next = next.map(|position| position.to_string());
    Ok(([no_store], Json(Answer { items, next })).into_response())
}

/// The events that fit, from now on; `id` is the position, so that a reconnect resumes without loss.
fn tail(
    app: Arc<App>,
    mut filter: AuditFilter,
) -> impl futures_util::Stream<Item = Result<Event, Infallible>> {
    let stop = app.stop.clone();
    let mut head = app.store.head();
    stream! {
        loop {
            // Marked as seen first and read second, so that nothing falls between.
            head.borrow_and_update();
            let Ok(events) = app.store.audit(&filter).await else {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(PAUSE) => continue,
                }
            };
            let full = events.len() >= filter.limit as usize;
            for event in events {
                filter.after = position(&event).unwrap_or(filter.after);
                let id = filter.after.to_string();
                yield Ok(Event::default().event("event").id(id).data(event.get()));
            }
            if full {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                changed = head.changed() => if changed.is_err() { return },
                // Another node rings no bell here.
                () = tokio::time::sleep(PAUSE), if app.store.is_shared() => {}
            }
        }
    }
}
