//! A whole answer, read to its end.

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::ledger;

/// Status, headers and body.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// The status code.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body as text.
    pub(crate) text: String,
    /// The body as JSON; `null` when it is none.
    pub(crate) json: Value,
}

impl Reply {
    /// Reads an answer to its end.
    pub(crate) async fn read(response: reqwest::Response) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.expect("the body arrives");
        Self::of(status, headers, text)
    }

    /// An answer that was read.
    pub(crate) fn of(status: u16, headers: HeaderMap, text: String) -> Self {
        let named = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
        ledger::answered(status, named, &text);
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self {
            status,
            headers,
            text,
            json,
        }
    }

    /// The same, if its status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Asserts status and `error` of a refusal.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, error: &str) {
        assert_eq!(
            (self.status, self.error()),
            (status, error),
            "{}",
            self.text
        );
    }

    /// The member `error`, or nothing.
    pub(crate) fn error(&self) -> &str {
        self.json["error"].as_str().unwrap_or_default()
    }

    /// A member that is a text.
    #[track_caller]
    pub(crate) fn str(&self, member: &str) -> &str {
        let text = self.json[member].as_str();
        text.unwrap_or_else(|| panic!("no text {member} in {}", self.text))
    }

    /// A header as text, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("headers are text"))
    }
}
