//! What holds for every response: its headers, its `X-Request-Id`, one log line, and that a panic
//! in one handler is a 500 for its caller and nothing to the others.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use super::ApiError;
use crate::{edge, oauth::ErrorCode};

/// The id of one HTTP request, in `X-Request-Id`, in every log line and in the events it causes.
#[derive(Debug, Clone)]
pub(crate) struct CallId(pub(crate) String);

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Wraps the whole router.
pub(crate) fn around<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .layer(CatchPanicLayer::custom(
            |panic: Box<dyn std::any::Any + Send>| {
                let words = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("no message");
                tracing::error!(panic = words, "a handler panicked");
                ApiError::new(
                    ErrorCode::ServerError,
                    "something went wrong here, not with your call",
                )
                .into_response()
            },
        ))
        .layer(middleware::from_fn(every_response))
}

async fn every_response(mut request: Request, next: Next) -> Response {
    let call_id = call_id(&request);
    request.extensions_mut().insert(CallId(call_id.clone()));
    let method = request.method().clone();
    // The path and never the query: `state`, codes and tokens travel there.
    let path = request.uri().path().to_owned();
    let span = tracing::info_span!("call", id = %call_id, %method, path);
    let mut response = async {
        let response = next.run(request).await;
        tracing::debug!(status = response.status().as_u16(), "answered");
        response
    }
    .instrument(span)
    .await;
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    if let Ok(id) = HeaderValue::try_from(call_id) {
        headers.insert(X_REQUEST_ID, id);
    }
    response
}

/// The caller's own id when it is a harmless one, else a fresh one.
fn call_id(request: &Request) -> String {
    let sent = request
        .headers()
        .get(X_REQUEST_ID)
        .and_then(|value| value.to_str().ok());
    let harmless = |id: &&str| {
        (8..=64).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    match sent.filter(harmless) {
        Some(id) => id.to_owned(),
        None => edge::new_event_id().to_string(),
    }
}

/// Cross-origin calls for what any website may read: discovery, keys, and the endpoints of public
/// clients. Never with credentials.
pub(crate) async fn open_to_all_origins(request: Request, next: Next) -> Response {
    const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let preflight = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if preflight {
        let mut response = (StatusCode::NO_CONTENT, Body::empty()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, OPTIONS"),
        );
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("authorization, content-type"),
        );
        headers.insert(
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from(A_DAY.as_secs()),
        );
        response
    } else {
        next.run(request).await
    };
    response.headers_mut().insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    response
}
