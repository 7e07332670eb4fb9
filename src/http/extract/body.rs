//! A request's body within its bounds, and what JSON of it has to be.

use std::time::Duration;

use axum::{body::Body, extract::Request};
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::super::ApiError;
use crate::oauth::ErrorCode;

/// Largest body of a form or JSON request, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;
/// Largest body of an agent's call, in bytes.
pub(crate) const MAX_AGENT_BODY_BYTES: usize = 16 * 1024;

/// Longest time that a whole body may take to arrive, from when it is asked for. It travels with the
/// request; one that is made inside the process has its body with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyTimeout(pub(crate) Duration);

/// The media type without its parameters, lower case.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(
        value
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase(),
    )
}

/// The whole body, within bounds of size and time.
pub(crate) async fn body_within(
    request: Request,
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let within = request.extensions().get::<BodyTimeout>().copied();
    collected(request.into_body(), limit, within).await
}

async fn collected(
    body: Body,
    limit: usize,
    within: Option<BodyTimeout>,
) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let whole = Limited::new(body, limit).collect();
    let read = match within {
        None => whole.await,
        Some(BodyTimeout(within)) => {
            let Ok(read) = tokio::time::timeout(within, whole).await else {
                return Err(ApiError::too_slow(format!(
                    "the body did not arrive within {} s",
                    within.as_secs()
                )));
            };
            read
        }
    };
    match read {
        Ok(body) => Ok(Zeroizing::new(body.to_bytes().into())),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::new(
            ErrorCode::TooLarge,
            format!("the body exceeds {limit} bytes"),
        )),
        Err(_) => Err(ApiError::invalid_request("the body could not be read")),
    }
}

/// A JSON body of type `T`, within a bound.
pub(crate) async fn json_within<T: DeserializeOwned>(
    request: Request,
    limit: usize,
) -> Result<T, ApiError> {
    let media_type = media_type(request.headers());
    // The size comes before the type: a body that is not read to its end says nothing.
    let body = body_within(request, limit).await?;
    json_of(media_type.as_deref(), &body)
}

/// The same, where no body at all means that nothing is said.
pub(crate) async fn json_or_nothing<T: DeserializeOwned + Default>(
    request: Request,
    limit: usize,
) -> Result<T, ApiError> {
    let media_type = media_type(request.headers());
    let body = body_within(request, limit).await?;
    if body.is_empty() {
        return Ok(T::default());
    }
    json_of(media_type.as_deref(), &body)
}

fn json_of<T: DeserializeOwned>(media_type: Option<&str>, body: &[u8]) -> Result<T, ApiError> {
    if media_type != Some("application/json") {
        return Err(ApiError::new(
            ErrorCode::UnsupportedMediaType,
            "send the body as application/json",
        ));
    }
    if contains_nul(body) {
        return Err(ApiError::invalid_request(
            "a value contains the character U+0000",
        ));
    }
    let not_json = || ApiError::invalid_request("the body is not valid JSON");
    // An array would be read as a struct's fields in the order in which we happen to declare them.
    if matches!(body.trim_ascii_start().first(), Some(b'[')) {
        return Err(ApiError::invalid_request("the body must be an object"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        if error.inner().is_data() {
            ApiError::invalid_request(misfit(&error.path().to_string(), error.inner()))
        } else {
            not_json()
        }
    })?;
    json.end().map_err(|_| not_json())?;
    Ok(value)
}

/// A state as JSON with some members changed, as RFC 7396 does it: null takes a member away.
pub(crate) fn merged(
    mut state: serde_json::Value,
    changes: &serde_json::Map<String, serde_json::Value>,
) -> serde_json::Value {
    if let Some(members) = state.as_object_mut() {
        for (name, value) in changes {
            if value.is_null() {
                members.remove(name);
            } else {
                members.insert(name.clone(), value.clone());
            }
        }
    }
    state
}

/// JSON that has been read already as a `T`.
pub(crate) fn fitting<T: DeserializeOwned>(json: serde_json::Value) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(json).map_err(|error| {
        ApiError::invalid_request(misfit(&error.path().to_string(), error.inner()))
    })
}

/// Which field does not fit, and what would. The value is not repeated: it may be a secret in the
/// wrong place.
fn misfit(path: &str, error: &serde_json::Error) -> String {
    /// Longest field name, or list of those that exist, that is shown.
    const MOST: usize = 400;
    let field = if path == "." { "the body" } else { path };
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(&*text, |(text, _)| text);
    if let Some(rest) = text.strip_prefix("unknown field `")
        && let Some((name, expected)) = rest.split_once("`, expected ")
        && !is_field_name(name)
    {
        // What looks like no name may be a secret, or a person's address.
        return format!("unknown field, expected {expected}");
    }
    let shown = match text.rsplit_once(", expected ") {
        Some((_, expected)) if expected.starts_with("struct ") => {
            format!("{field} must be an object")
        }
        Some((found, expected)) if !found.starts_with("unknown field") => {
            format!("{field} must be {expected}")
        }
        None if text.starts_with("data did not match") => {
            format!("{field} is of the wrong type")
        }
        None if path != "." && !text.contains('`') => format!("{field} is {text}"),
        _ => text.to_owned(),
    };
    shown.chars().take(MOST).collect()
}

/// The name of a field as an error shows it: quoted, or nothing, for what looks like no name may be a
/// secret, or a person's address.
pub(crate) fn shown_field(name: &str) -> String {
    if is_field_name(name) {
        format!(" `{name}`")
    } else {
        String::new()
    }
}

fn is_field_name(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// Whether JSON text holds the escape of U+0000 (bare, it is not JSON).
fn contains_nul(json: &[u8]) -> bool {
    let mut escaped = false;
    json.iter().enumerate().any(|(at, byte)| {
        let begins_escape = escaped;
        escaped = *byte == b'\\' && !escaped;
        begins_escape && json[at..].starts_with(b"u0000")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Fields {
        #[expect(dead_code, reason = "only read")]
        name: Option<String>,
        #[expect(dead_code, reason = "only read")]
        uris: Vec<String>,
        #[expect(dead_code, reason = "only read")]
        id: Option<crate::domain::ClientId>,
        #[expect(dead_code, reason = "only read")]
        binding: Option<crate::domain::Binding>,
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let begun = futures_util::stream::once(async { Ok::<_, std::convert::Infallible>("half") });
        let never = futures_util::stream::pending();
        let body = Body::from_stream(futures_util::StreamExt::chain(begun, never));
        let error = collected(body, 100, Some(BodyTimeout(Duration::ZERO)))
            .await
            .unwrap_err();
        assert_eq!(error.status, 408);
        assert_eq!(error.error.code, ErrorCode::InvalidRequest);
        let whole = collected(Body::from("whole"), 100, None).await;
        assert_eq!(**whole.unwrap(), *b"whole");
    }

    #[test]
    fn what_does_not_fit_is_named_and_not_repeated() {
        let told = |text: &str| {
            let mut json = serde_json::Deserializer::from_str(text);
            let error = serde_path_to_error::deserialize::<_, Fields>(&mut json).unwrap_err();
            misfit(&error.path().to_string(), error.inner())
        };
        assert_eq!(told(r#"{"name": 12345}"#), "name must be a string");
        assert_eq!(
            told(r#"{"uris": ["x", 12345]}"#),
            "uris[1] must be a string"
        );
        assert_eq!(
            told(r#""secret, expected x""#),
            "the body must be an object"
        );
        assert_eq!(told("{}"), "missing field `uris`");
        assert_eq!(told(r#"{"id": "x"}"#), "id is not a valid client id");
        assert_eq!(
            told(r#"{"binding": "secret"}"#),
            "binding must be one of `none`, `address`, `browser`"
        );
        assert!(told(r#"{"nmae": "x"}"#).starts_with("unknown field `nmae`, expected one of"));
        for name in [
            "cs_U-xiQ",
            "ada@people.example",
            "Ada Lovelace",
            "",
            &"x".repeat(5000),
        ] {
            let told = told(&format!(r#"{{"{name}": 1}}"#));
            assert!(
                told.starts_with("unknown field, expected one of `name`"),
                "{told}"
            );
        }
    }
}
