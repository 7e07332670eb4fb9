//! The one place where an error becomes a response: its status, its headers, and whether it is
//! JSON or a page. Three texts: what the caller is told, what the operator needs (logged here), and
//! for the website, in [`super::authorize`], what may travel back to it.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;

use super::limit::OverLimit;
use crate::{
    crypto::{Busy, SignError},
    oauth::{ErrorCode, Malformed, OAuthError},
    store::StoreError,
    view,
};

/// An error on its way to the caller.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) error: OAuthError,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The agent endpoints say `"success": false` besides.
    says_success: bool,
}

const REALM: HeaderValue =
    HeaderValue::from_static("Basic realm=\"Auth Agent\", charset=\"UTF-8\"");
const ADMIN_REALM: HeaderValue =
    HeaderValue::from_static("Bearer realm=\"Auth Agent administration\"");

impl ApiError {
    pub(crate) fn new(code: ErrorCode, description: impl AsRef<str>) -> Self {
        let mut error = Self {
            status: status_of(code),
            error: OAuthError::new(code, description),
            headers: Vec::new(),
            says_success: false,
        };
        match code {
            ErrorCode::InvalidClient => error.headers.push((header::WWW_AUTHENTICATE, REALM)),
            ErrorCode::Unauthorized => error.headers.push((header::WWW_AUTHENTICATE, ADMIN_REALM)),
            ErrorCode::SlowDown | ErrorCode::TemporarilyUnavailable => {
                error = error.retry_after(1);
            }
            _ => {}
        }
        error
    }

    pub(crate) fn invalid_request(description: impl AsRef<str>) -> Self {
        Self::new(ErrorCode::InvalidRequest, description)
    }

    /// 408, for a caller that sends too slowly.
    pub(crate) fn too_slow(description: impl AsRef<str>) -> Self {
        let mut error = Self::invalid_request(description);
        error.status = StatusCode::REQUEST_TIMEOUT;
        error
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.headers
            .retain(|(name, _)| *name != header::RETRY_AFTER);
        self.headers
            .push((header::RETRY_AFTER, HeaderValue::from(seconds)));
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same for a page, where nobody knows `slow_down` (RFC 6749 §4.1.2.1).
    pub(crate) const fn for_a_browser(mut self) -> Self {
        self.error.code = ErrorCode::TemporarilyUnavailable;
        self
    }

    /// Adds `"success": false`, which agents read.
    pub(crate) const fn for_agent(mut self) -> Self {
        self.says_success = true;
        self
    }

    /// The same as a page, for a person.
    pub(crate) fn page(self, base_path: &str, title: &str) -> Response {
        let page = view::error_page(&view::ErrorPage {
            base_path,
            status: self.status.as_u16(),
            title,
            error: self.error.code.as_str(),
            description: &self.error.description,
        });
        let mut response = super::page::html(self.status, &page, None);
        response.headers_mut().extend(self.headers);
        response
    }
}

pub(super) const fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidClient
        | ErrorCode::InvalidToken
        | ErrorCode::InvalidAgent
        | ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorCode::InsufficientScope
        | ErrorCode::AccessDenied
        | ErrorCode::BrowserMismatch
        | ErrorCode::BindingRequired
        | ErrorCode::OriginMismatch
        | ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::UnknownRequest | ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::RequestExpired => StatusCode::GONE,
        ErrorCode::RequestClosed | ErrorCode::Conflict => StatusCode::CONFLICT,
        ErrorCode::SlowDown => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let OAuthError { code, description } = self.error;
        let mut body = json!({ "error": code.as_str(), "error_description": description });
        if self.says_success {
            body["success"] = json!(false);
        }
        let mut response = (self.status, Json(body)).into_response();
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<OAuthError> for ApiError {
    fn from(error: OAuthError) -> Self {
        Self::new(error.code, error.description)
    }
}

impl From<Malformed> for ApiError {
    fn from(error: Malformed) -> Self {
        Self::invalid_request(error.to_string())
    }
}

/// The operator reads the cause in the log; the caller learns that it is not their fault.
impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            // Whoever follows the keys says so and stops the server, once.
            StoreError::Resealed => Self::new(
                ErrorCode::TemporarilyUnavailable,
                "the server is shutting down: try again shortly",
            ),
            StoreError::TooLarge => Self::invalid_request("too much data for one event (32 KiB)"),
            error => {
                if error.is_news("requests") {
                    tracing::error!(%error, "the store could not serve a request");
                } else {
                    tracing::debug!(%error, "the store could not serve a request");
                }
                Self::new(
                    ErrorCode::TemporarilyUnavailable,
                    "the server cannot use its database right now: try again shortly",
                )
            }
        }
    }
}

impl From<Busy> for ApiError {
    fn from(Busy: Busy) -> Self {
        Self::new(
            ErrorCode::SlowDown,
            "too many secrets are being verified: try again in a second",
        )
    }
}

/// A wait as a person would say it, never shorter than it is.
fn in_words(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    }
}

/// Logged and counted where it was noticed.
impl From<OverLimit> for ApiError {
    fn from(OverLimit { what, wait }: OverLimit) -> Self {
        // Who comes back a moment too early would be refused again.
        let seconds = (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1);
        Self::new(
            ErrorCode::SlowDown,
            format!("too many {what}: try again in {}", in_words(seconds)),
        )
        .retry_after(seconds)
    }
}

impl From<SignError> for ApiError {
    fn from(error: SignError) -> Self {
        let code = ErrorCode::TemporarilyUnavailable;
        match error {
            // Asked before anything is committed, so this is load and no fault.
            SignError::Busy => Self::new(
                code,
                "too many tokens are being signed: try again in a second",
            ),
            error => {
                tracing::error!(%error, "a token could not be signed");
                Self::new(code, "the server cannot sign tokens right now")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_to_do_is_told_at_once_with_when_to_come_back() {
        for (error, status) in [
            (ApiError::from(Busy), 429),
            (ApiError::from(SignError::Busy), 503),
        ] {
            let response = error.into_response();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[header::RETRY_AFTER], "1");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        }
    }

    #[test]
    fn who_comes_too_often_is_told_when_to_come_back_never_too_early() {
        let cases = [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2"), (6_000, "6")];
        for (millis, seconds) in cases {
            let over = || OverLimit {
                what: "calls",
                wait: std::time::Duration::from_millis(millis),
            };
            let response = ApiError::from(over()).into_response();
            assert_eq!(response.status(), 429);
            assert_eq!(response.headers()[header::RETRY_AFTER], seconds);
            let page = ApiError::from(over()).for_a_browser();
            assert_eq!(page.error.code, ErrorCode::TemporarilyUnavailable);
            assert_eq!(page.status, 429);
        }
    }

    #[test]
    fn a_store_that_fails_does_not_say_what_was_kept() {
        let error = ApiError::from(StoreError::Stopped);
        assert_eq!(error.status, 503);
        assert!(!error.error.description.contains("lost"));
    }
}
