//! The audit log: events as they were written, filtered, paged by position, or followed live. That
//! it was read is itself an event.

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
use futures_util::Stream;
use http::{HeaderMap, header};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Administrator, MAX_LIMIT, Paging, filter};
use crate::{
    domain::{AdministrationFact, AuditLogRead, StreamId, is_event_type},
    http::{
        ApiError,
        app::App,
        extract::{Caller, preferred},
    },
    oauth::Parameters,
    store::{AuditFilter, tail},
};

/// A comment line keeps proxies from closing a quiet tail.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// What the events may be chosen by.
const FILTERS: [&str; 7] = [
    "stream",
    "type",
    "agent_id",
    "client_id",
    "since",
    "until",
    "last",
];

/// As what the log can be read: a page, one event a line, or a live tail.
const PAGE: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const TAIL: &str = "text/event-stream";

#[derive(Serialize)]
struct Answer {
    items: Vec<Box<RawValue>>,
    next: Option<String>,
}

fn moment(parameters: &Parameters, name: &'static str) -> Result<Option<Timestamp>, ApiError> {
    let text = parameters.one(name)?;
    text.map(str::parse).transpose().map_err(|_| {
        ApiError::invalid_request(format!("{name} must be a time as in 2026-01-31T12:00:00Z"))
    })
}

/// What is asked for, as the log will tell it.
fn asked(paging: &Paging<u64>, parameters: &Parameters) -> Result<AuditLogRead, ApiError> {
    let stream = match parameters.one("stream")? {
        None => None,
        Some(text) => Some(
            StreamId::parse(text)
                .ok_or_else(|| ApiError::invalid_request("stream is not the name of a stream"))?,
        ),
    };
    let type_name = parameters.one("type")?;
    if type_name.is_some_and(|name| !is_event_type(name)) {
        return Err(ApiError::invalid_request("type is not a type of event"));
    }
    Ok(AuditLogRead {
        after: paging.after.unwrap_or_default(),
        limit: Some(paging.limit),
        stream,
        type_name: type_name.map(ToOwned::to_owned),
        agent_id: filter(parameters, "agent_id")?,
        client_id: filter(parameters, "client_id")?,
        since: moment(parameters, "since")?,
        until: moment(parameters, "until")?,
    })
}

/// How many of the newest events are asked for, instead of a part of the log by its place.
fn last(parameters: &Parameters) -> Result<Option<u32>, ApiError> {
    let Some(text) = parameters.one("last")? else {
        return Ok(None);
    };
    if parameters.one("after")?.is_some() || parameters.one("limit")?.is_some() {
        return Err(ApiError::invalid_request(
            "last goes with neither after nor limit: it says where to begin and how many",
        ));
    }
    let number = text.parse().ok();
    let number = number.filter(|number| (1..=MAX_LIMIT).contains(number));
    let number = number.ok_or_else(|| ApiError::invalid_request("last must be 1 to 500"))?;
    Ok(Some(number))
}

/// Where a tail was cut.
fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(id) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let position = id.to_str().ok().and_then(|id| id.parse().ok());
    position.map(Some).ok_or_else(|| {
        ApiError::invalid_request("Last-Event-ID must be the position of an event of this log")
    })
}

/// Refuses to read on behind the end: whoever has come that far has read a log that was put back since, and
/// would never be told of what takes those places now.
async fn is_in_the_log(app: &App, position: u64) -> Result<(), ApiError> {
    // What this node knows of the log is enough, unless it can be put back under it.
    if !app.store.is_shared() && position <= *app.store.head().borrow() {
        return Ok(());
    }
    let end = app.store.last_position().await?;
    if position <= end {
        return Ok(());
    }
    Err(ApiError::invalid_request(format!(
        "the log ends at position {end}, before {position}: if it was restored, read on after the \
         position that its newest Restored event names"
    )))
}

/// GET /api/admin/audit-log: JSON, one event a line, or a live tail, as `Accept` asks.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    caller: Caller,
    query: RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (paging, parameters) = Paging::<u64>::read(&query, &FILTERS)?;
    let wanted = preferred(&headers, &[PAGE, LINES, TAIL]);
    let mut reading = asked(&paging, &parameters)?;
    let mut filter = AuditFilter {
        after: paging.after.unwrap_or_default(),
        limit: paging.limit,
        stream: reading.stream.as_ref().map(ToString::to_string),
        type_name: reading.type_name.clone(),
        agent_id: reading.agent_id.map(|id| id.to_string()),
        client_id: reading.client_id.map(|id| id.to_string()),
        since: reading.since,
        until: reading.until,
    };
    let last = last(&parameters)?;
    if let Some(last) = last {
        filter.limit = last;
        filter.after = app.store.audit_newest(&filter).await?;
        (reading.after, reading.limit) = (filter.after, Some(last));
    }
    let record = async |reading| {
        let fact = AdministrationFact::AuditLogRead(reading);
        let metadata = administrator.acts(&app, &caller).await?;
        app.store.administered(fact, &metadata).await?;
        Ok::<_, ApiError>(())
    };
    if wanted == TAIL {
        if let Some(seen) = last_event_id(&headers)? {
            filter.after = seen;
        } else if last.is_none() && parameters.one("after")?.is_none() {
            filter.after = app.store.last_position().await?;
        }
        is_in_the_log(&app, filter.after).await?;
        (reading.after, reading.limit) = (filter.after, None);
        record(reading).await?;
        let events = Sse::new(followed(app, administrator, filter))
            .keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
        return Ok(events.into_response());
    }
    is_in_the_log(&app, filter.after).await?;
    // One more than asked for tells whether there is a next page.
    let limit = filter.limit as usize;
    filter.limit += 1;
    let mut page = app.store.audit(&filter).await?;
    let more = page.len() > limit;
    page.truncate(limit);
    // Reading nothing, or nothing but the readings, is not told: else whoever reads page by page, or
    // asks again every second, would write what they then read, and never come to an end.
    if page.iter().any(|entry| entry.type_name != "AuditLogRead") {
        record(reading).await?;
    }
    let last = page.last().map(|entry| entry.position);
    let items: Vec<Box<RawValue>> = page.into_iter().map(|entry| entry.text).collect();
    if wanted == LINES {
        let lines: String = items.iter().flat_map(|event| [event.get(), "\n"]).collect();
        let media_type = (header::CONTENT_TYPE, LINES);
        return Ok(([media_type], lines).into_response());
    }
    let next = last.filter(|_| more).map(|position| position.to_string());
    Ok(Json(Answer { items, next }).into_response())
}

/// The events that fit, from now on; `id` is the position, so that a reconnect resumes without loss,
/// also one before the first event.
fn followed(
    app: Arc<App>,
    administrator: Administrator,
    filter: AuditFilter,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let begin = Event::default().id(filter.after.to_string());
    let pages = tail(Arc::clone(&app.store), filter, app.stop.clone());
    stream! {
        yield Ok(begin);
        for await page in pages {
            // A key that was revoked meanwhile shows nothing more.
            if !administrator.lives(&app).await.unwrap_or(false) {
                return;
            }
            for entry in page {
                let id = entry.position.to_string();
                yield Ok(Event::default().event("event").id(id).data(entry.text.get()));
            }
        }
    }
}
