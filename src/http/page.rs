//! Pages: their headers, and the waiting page at its own address.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use maud::Markup;

use super::{
    ApiError,
    app::App,
    extract::{Caller, PathId, RequestCookies},
    progress::Progress,
};
use crate::{
    domain::{AuthRequest, Client, RequestId, auth_request::Status, display_origin},
    edge,
    oauth::ErrorCode,
    view,
};

/// Markup with the headers of every page. `nonce` admits the page's scripts.
pub(crate) fn html(status: StatusCode, page: &Markup, nonce: Option<&str>) -> Response {
    let policy = view::content_security_policy(nonce);
    let mut response = (status, page.clone()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

/// 303: whatever the method was, what follows is a GET (RFC 9700 §4.12).
pub(crate) fn see_other(to: &str) -> Response {
    match HeaderValue::try_from(to) {
        Ok(location) => (
            StatusCode::SEE_OTHER,
            [
                (header::LOCATION, location),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ],
        )
            .into_response(),
        Err(_) => ApiError::invalid_request("the redirect URI cannot be put into a header")
            .into_response(),
    }
}

/// Whether a browser only looks ahead, or makes a picture of the page, and nobody may ever come:
/// `Sec-Purpose`, and what browsers sent before it.
pub(crate) fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-purpose", "x-moz"]
        .iter()
        .flat_map(|name| headers.get_all(*name))
        .any(|value| {
            let value = value.as_bytes().to_ascii_lowercase();
            [&b"prefetch"[..], b"prerender", b"preview"]
                .iter()
                .any(|purpose| value.windows(purpose.len()).any(|part| part == *purpose))
        })
}

/// Anything but a success makes the browser ask again when somebody really goes there.
pub(crate) fn prefetch_refused(app: &App) -> Response {
    ApiError::new(
        ErrorCode::TemporarilyUnavailable,
        "a sign-in is not opened ahead of time",
    )
    .page(&app.base_path, "Not opened ahead of time")
}

/// GET /: what this server is.
pub(crate) async fn front(State(app): State<Arc<App>>) -> Response {
    let page = view::front_page(&view::FrontPage {
        base_path: &app.base_path,
        issuer: &app.issuer,
    });
    html(StatusCode::OK, &page, None)
}

/// GET /authorize/{request_id}: the same page again, for the browser that holds the cookie. HEAD and
/// prefetches are given no code, and cause none.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    method: Method,
    caller: Caller,
    PathId(request): PathId,
    headers: HeaderMap,
) -> Response {
    let held = app.cookies(&headers);
    let looks_only = method == Method::HEAD || is_prefetch(&headers);
    let mut response = match own(&app, &request, &held).await {
        Ok(_) if method == Method::HEAD => html(StatusCode::OK, &maud::html! {}, None),
        Ok(_) if looks_only => prefetch_refused(&app),
        Ok(progress) => {
            let evictions: Vec<_> = app.evictions(&progress.id, &held).collect();
            let mut response = reopened(&app, &caller, progress)
                .await
                .unwrap_or_else(|error| cannot_be_shown(&app, error));
            for cookie in evictions {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            response
        }
        Err(error) => cannot_be_shown(&app, error),
    };
    // What the page says depends on who asks.
    let cookie = HeaderValue::from_static("Cookie");
    response.headers_mut().append(header::VARY, cookie);
    response
}

fn cannot_be_shown(app: &App, error: ApiError) -> Response {
    error.page(&app.base_path, "This sign-in cannot be shown")
}

/// The request, if it is this browser's own.
async fn own(app: &App, request: &str, held: &RequestCookies) -> Result<Progress, ApiError> {
    let progress = Progress::read(app, request, held).await?;
    if progress.by_browser {
        return Ok(progress);
    }
    Err(ApiError::new(
        ErrorCode::Forbidden,
        "This page belongs to the browser that opened it. Start the sign-in again from the \
         website, in this browser.",
    ))
}

async fn reopened(app: &App, caller: &Caller, progress: Progress) -> Result<Response, ApiError> {
    let progress = progress.with_a_living_code(app, caller).await?;
    let back = progress.redirect_to(app);
    let kind = match (progress.status, &back) {
        (Status::Pending, _) => return waiting(app, &progress),
        (Status::Authenticated, Some(back)) => return Ok(see_other(back)),
        (Status::Authenticated, None) => {
            return Err(ApiError::new(
                ErrorCode::UnknownRequest,
                "An agent has signed in, but the way back to the website is not known any more. \
                 Start the sign-in again from the website.",
            ));
        }
        (Status::Completed, _) => view::OutcomeKind::Completed,
        (Status::Denied, _) => view::OutcomeKind::Denied,
        (Status::Expired, _) => view::OutcomeKind::Expired,
    };
    let page = view::outcome_page(&view::OutcomePage {
        base_path: &app.base_path,
        kind,
        client_name: progress
            .client()
            .map(|client| client.registered.client_name.as_str()),
        redirect_origin: &display_origin(&progress.request().asked().redirect_uri),
        back: back.as_deref(),
    });
    Ok(html(StatusCode::OK, &page, None))
}

fn waiting(app: &App, progress: &Progress) -> Result<Response, ApiError> {
    let client = progress
        .client()
        .ok_or_else(|| ApiError::new(ErrorCode::UnknownRequest, "the client is gone"))?;
    let now = progress.situation.now;
    Ok(waiting_page(
        app,
        &progress.id,
        progress.request(),
        client,
        now,
    ))
}

/// The waiting page of a pending request.
pub(crate) fn waiting_page(
    app: &App,
    id: &RequestId,
    request: &AuthRequest,
    client: &Client,
    now: Timestamp,
) -> Response {
    let asked = request.asked();
    let nonce = BASE64_URL_SAFE_NO_PAD.encode(edge::random::<16>());
    let left = asked
        .expires_at
        .as_millisecond()
        .saturating_sub(now.as_millisecond());
    let page = view::waiting_page(&view::WaitingPage {
        request_id: &id.to_string(),
        client_id: &asked.client_id.to_string(),
        client_name: &client.registered.client_name,
        redirect_origin: &display_origin(&asked.redirect_uri),
        scope: &asked.scope.to_string(),
        expires_at: &rfc3339(asked.expires_at),
        // Rounded up: a page that asks a moment late finds it expired, one too early would not.
        seconds_left: u64::try_from(left).unwrap_or(0).div_ceil(1000),
        issuer: &app.issuer,
        authenticate_endpoint: &format!("{}/api/agent/authenticate", app.issuer),
        base_path: &app.base_path,
        nonce: &nonce,
    });
    html(StatusCode::OK, &page, Some(&nonce))
}

/// RFC 3339, UTC, whole seconds.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
