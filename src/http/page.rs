//! Pages: their headers, and the waiting page at its own address.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use maud::Markup;

use super::{ApiError, app::App, extract::PathId, progress::Progress};
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

/// GET /authorize/{request_id}: the same page again, for the browser that holds the cookie.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    PathId(request): PathId,
    headers: HeaderMap,
) -> Response {
    match reopened(&app, &request, &headers).await {
        Ok(response) => response,
        Err(error) => error.page(&app.base_path, "This sign-in cannot be shown"),
    }
}

async fn reopened(app: &App, request: &str, headers: &HeaderMap) -> Result<Response, ApiError> {
    let progress = Progress::read(app, request, &app.cookies(headers)).await?;
    let progress = progress.with_a_living_code(app).await?;
    if !progress.by_browser {
        return Err(ApiError::new(
            ErrorCode::Forbidden,
            "This page belongs to the browser that opened it. Start the sign-in again from the \
             website, in this browser.",
        ));
    }
    let back = progress.redirect_to(app);
    match (progress.status, &back) {
        (Status::Pending, _) => Ok(waiting(app, &progress)),
        (Status::Authenticated, Some(back)) => Ok(see_other(back)),
        (status, _) => {
            let kind = match status {
                Status::Completed => view::OutcomeKind::Completed,
                Status::Denied => view::OutcomeKind::Denied,
                _ => view::OutcomeKind::Expired,
            };
            let origin = display_origin(&progress.request().asked().redirect_uri);
            let page = view::outcome_page(&view::OutcomePage {
                base_path: &app.base_path,
                kind,
                client_name: progress
                    .client()
                    .map(|client| client.registered.client_name.as_str()),
                redirect_origin: Some(&origin),
                back: back.as_deref(),
            });
            Ok(html(StatusCode::OK, &page, None))
        }
    }
}

fn waiting(app: &App, progress: &Progress) -> Response {
    let Some(client) = progress.client() else {
        return ApiError::new(ErrorCode::UnknownRequest, "the client is gone")
            .page(&app.base_path, "This sign-in cannot be shown");
    };
    waiting_page(
        app,
        &progress.id,
        progress.request(),
        client,
        progress.situation.now,
    )
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
        status: view::PageStatus::Pending,
    });
    html(StatusCode::OK, &page, Some(&nonce))
}

/// RFC 3339, UTC, whole seconds.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
