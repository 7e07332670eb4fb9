//! Error codes: one variant for each code of the RFCs, and ours where no RFC has one.

use std::fmt;

/// What the `error` field says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// RFC 6749 §4.1.2.1, §5.2.
    InvalidRequest,
    /// RFC 6749 §5.2.
    InvalidClient,
    /// RFC 6749 §5.2.
    InvalidGrant,
    /// RFC 6749 §5.2.
    UnauthorizedClient,
    /// RFC 6749 §5.2.
    UnsupportedGrantType,
    /// RFC 6749 §4.1.2.1.
    UnsupportedResponseType,
    /// RFC 6749 §4.1.2.1, §5.2.
    InvalidScope,
    /// RFC 8707 §2.
    InvalidTarget,
    /// OpenID Connect Core §3.1.2.6.
    LoginRequired,
    /// OpenID Connect Core §3.1.2.6.
    RequestNotSupported,
    /// OpenID Connect Core §3.1.2.6.
    RequestUriNotSupported,
    /// RFC 6749 §4.1.2.1.
    AccessDenied,
    /// RFC 6749 §4.1.2.1.
    TemporarilyUnavailable,
    /// RFC 6749 §4.1.2.1.
    ServerError,
    /// RFC 6750 §3.1.
    InvalidToken,
    /// RFC 6750 §3.1.
    InsufficientScope,
    /// RFC 7591 §3.2.2.
    InvalidRedirectUri,
    /// RFC 7591 §3.2.2.
    InvalidClientMetadata,
    /// Too many at once; as RFC 8628 §3.5 names it.
    SlowDown,
    /// An agent's credentials are not right.
    InvalidAgent,
    /// No such request.
    UnknownRequest,
    /// Older than the request's lifetime.
    RequestExpired,
    /// Another agent has authenticated it, or it was denied.
    RequestClosed,
    /// The call carries other requests' cookies and not this one's.
    BrowserMismatch,
    /// The call is not bound to the waiting browser as closely as required.
    BindingRequired,
    /// The request is another website's than the agent meant.
    OriginMismatch,
    /// No such path or thing.
    NotFound,
    /// The path does not take this method.
    MethodNotAllowed,
    /// The body is not of a type that the path takes.
    UnsupportedMediaType,
    /// The body or a header is too large.
    TooLarge,
    /// What is asked for is not possible beside what there is.
    Conflict,
    /// No valid admin key.
    Unauthorized,
    /// The browser does not hold the request's cookie.
    Forbidden,
}

impl ErrorCode {
    /// The code on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::LoginRequired => "login_required",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::AccessDenied => "access_denied",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::SlowDown => "slow_down",
            Self::InvalidAgent => "invalid_agent",
            Self::UnknownRequest => "unknown_request",
            Self::RequestExpired => "request_expired",
            Self::RequestClosed => "request_closed",
            Self::BrowserMismatch => "browser_mismatch",
            Self::BindingRequired => "binding_required",
            Self::OriginMismatch => "origin_mismatch",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::TooLarge => "too_large",
            Self::Conflict => "conflict",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A code with what the caller is told about it. The description is fit for an
/// `error_description` (RFC 6749 §5.2): printable ASCII without quotes or backslashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthError {
    /// The code.
    pub code: ErrorCode,
    /// What was wrong, and where it can, what to do.
    pub description: String,
}

impl OAuthError {
    /// Joins code and description; what RFC 6749 does not allow in a description is replaced.
    pub fn new(code: ErrorCode, description: impl AsRef<str>) -> Self {
        let description = description
            .as_ref()
            .chars()
            .map(|c| match c {
                '"' | '\\' => '\'',
                ' '..='~' => c,
                _ => '?',
            })
            .collect();
        Self { code, description }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn a_description_holds_only_what_rfc_6749_allows() {
        let error = OAuthError::new(ErrorCode::InvalidRequest, "a \"b\" \\ \r\n ü");
        assert_eq!(error.description, "a 'b' ' ?? ?");
    }

    /// Whatever these rooms say may become a description, so all of it is ASCII.
    #[test]
    fn no_message_that_we_write_is_altered() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut folders: Vec<_> = ["domain", "oauth", "http"]
            .map(|room| source.join(room))
            .into();
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.extend((!path.ends_with("tests")).then_some(path));
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                for line in code.lines() {
                    let comment = line.trim_start().starts_with("//");
                    assert!(comment || line.is_ascii(), "{}: {line}", path.display());
                }
                seen += 1;
            }
        }
        assert!(seen > 40, "the sources were not found");
    }
}
