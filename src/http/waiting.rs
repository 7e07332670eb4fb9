//! What a waiting page and its agent ask about a request: the stream, the polling endpoint, the
//! public view.

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
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tokio::time::Instant;

use super::{
    ApiError,
    app::App,
    extract::{Caller, PathId, RequestCookies},
    layer::within_the_call,
    progress::Progress,
};
use crate::{
    domain::auth_request::Status,
    oauth::{ErrorCode, Parameters},
    push::Subscription,
};

/// A comment line keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a browser waits before it reconnects.
const RETRY: Duration = Duration::from_millis(1000);
/// Seconds after which a browser that found no free stream may try again.
const RETRY_AFTER_SECONDS: u64 = 5;
/// How long to wait before a failing database is read again for an open stream.
const PAUSE: Duration = Duration::from_secs(1);
/// A timer never sleeps longer than that, so that a clock that is set does not strand a page.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

const NO_STORE: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// GET /api/requests/{request_id}: for an agent that wants to look before it authenticates.
pub(crate) async fn look(
    State(app): State<Arc<App>>,
    PathId(request): PathId,
) -> Result<Response, ApiError> {
    let progress = Progress::read(&app, &request, &RequestCookies::default()).await?;
    Ok(([NO_STORE], Json(progress.public(&app))).into_response())
}

/// GET /api/check-status: the stream's answer by polling, any number of times.
pub(crate) async fn check_status(
    State(app): State<Arc<App>>,
    method: Method,
    caller: Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let parameters = Parameters::from_form(query.unwrap_or_default().as_bytes());
    let request = parameters
        .one("request_id")?
        .ok_or_else(|| ApiError::invalid_request("request_id is missing"))?;
    let mut progress = Progress::read(&app, request, &app.cookies(&headers)).await?;
    // HEAD takes no code away, so it makes none either: an older one would die of it.
    if method == Method::GET {
        progress = progress.with_a_living_code(&app, &caller).await?;
    }
    Ok(([NO_STORE], Json(progress.polled(&app))).into_response())
}

/// GET /api/requests/{request_id}/events: for the browser that holds the request's cookie. The
/// first event is the current state; then one for each change, until there can be none.
pub(crate) async fn events(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathId(request): PathId,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let cookies = app.cookies(&headers);
    let progress = Progress::read(&app, &request, &cookies).await?;
    if !progress.by_browser {
        return Err(ApiError::new(
            ErrorCode::Forbidden,
            "only the browser that opened this request may listen to it",
        ));
    }
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    if let Some(seen) = seen
        && progress.is_known_to_have_ended(&app, seen).await?
    {
        return Ok((StatusCode::NO_CONTENT, [NO_STORE]).into_response());
    }
    let proof = app.cookie_secret(&progress.id, &progress.request().asked().created_by);
    // Subscribe first and read second, so that nothing falls between.
    let subscription = app
        .doorbells
        .subscribe(progress.id, proof, cookies.pairs())
        .map_err(|_| {
            ApiError::new(
                ErrorCode::TemporarilyUnavailable,
                "too many streams are open",
            )
            .retry_after(RETRY_AFTER_SECONDS)
        })?;
    let browser = Browser { caller, cookies };
    let changes = within_the_call(changes(Arc::clone(&app), request, browser, subscription));
    let stream = Sse::new(changes).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    let unbuffered = (
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(([NO_STORE, unbuffered], stream).into_response())
}

/// Who listens.
struct Browser {
    caller: Caller,
    cookies: RequestCookies,
}

fn changes(
    app: Arc<App>,
    id: String,
    browser: Browser,
    mut subscription: Subscription,
) -> impl futures_util::Stream<Item = Result<Event, Infallible>> {
    let stop = app.stop.clone();
    stream! {
        let mut told: Option<Status> = None;
        let mut rung = None;
        loop {
            if stop.is_cancelled() {
                return;
            }
            let read = match Progress::read(&app, &id, &browser.cookies).await {
                Ok(progress) => progress.with_a_living_code(&app, &browser.caller).await,
                Err(error) => Err(error),
            };
            let Ok(progress) = read else {
                // Logged where it happened. The page keeps waiting; so do we.
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(PAUSE) => continue,
                }
            };
            if told != Some(progress.status) {
                let event = Event::default()
                    .event("status")
                    .id(progress.event_id())
                    .retry(RETRY)
                    .data(progress.event(&app).to_string());
                if let (Status::Authenticated, Some(rung)) = (progress.status, rung.take()) {
                    let rung: Instant = rung;
                    let seconds = rung.elapsed().as_secs_f64();
                    app.measures.steps.push_seconds.observe(seconds);
                }
                yield Ok(event);
                told = Some(progress.status);
            }
            if progress.status != Status::Pending {
                return;
            }
            let now = progress.situation.now;
            let ends_in = progress
                .request()
                .changes_at()
                .and_then(|at| Duration::try_from(at.duration_since(now)).ok())
                .unwrap_or(Duration::ZERO)
                .min(LONGEST_SLEEP);
            tokio::select! {
                () = stop.cancelled() => return,
                at = subscription.rung() => rung = at,
                () = tokio::time::sleep(ends_in) => {}
            }
        }
    }
}
