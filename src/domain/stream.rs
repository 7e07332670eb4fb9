//! Streams: what an event is about, as `kind/name`.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AgentId, ClientId, OwnerId, RequestId};

/// A stream: one subject, with an end of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum StreamId {
    /// One sign-in, from the waiting page to the last token.
    AuthRequest(RequestId),
    /// An agent.
    Agent(AgentId),
    /// A website.
    Client(ClientId),
    /// A person.
    Owner(OwnerId),
    /// A signing key, by `kid`.
    SigningKey(String),
    /// A derivation key, by its id.
    DerivationKey(String),
    /// Administration of the server, a stream for each day (UTC).
    Administration(String),
    /// What is done to the log itself, a stream for each day (UTC).
    Maintenance(String),
}

impl StreamId {
    /// Reads `kind/name`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once('/')?;
        Some(match kind {
            "auth_request" => Self::AuthRequest(name.parse().ok()?),
            "agent" => Self::Agent(name.parse().ok()?),
            "client" => Self::Client(name.parse().ok()?),
            "owner" => Self::Owner(name.parse().ok()?),
            "signing_key" if is_key_id(name) => Self::SigningKey(name.to_owned()),
            "derivation_key" if is_key_id(name) => Self::DerivationKey(name.to_owned()),
            "administration" if is_day(name) => Self::Administration(name.to_owned()),
            "maintenance" if is_day(name) => Self::Maintenance(name.to_owned()),
            _ => return None,
        })
    }

    /// Administration on the day of that moment.
    #[must_use]
    pub fn administration(at: Timestamp) -> Self {
        Self::Administration(day(at))
    }

    /// What was done to the log on the day of that moment.
    #[must_use]
    pub fn maintenance(at: Timestamp) -> Self {
        Self::Maintenance(day(at))
    }

    /// The kind of stream, the part before the slash.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::AuthRequest(_) => "auth_request",
            Self::Agent(_) => "agent",
            Self::Client(_) => "client",
            Self::Owner(_) => "owner",
            Self::SigningKey(_) => "signing_key",
            Self::DerivationKey(_) => "derivation_key",
            Self::Administration(_) => "administration",
            Self::Maintenance(_) => "maintenance",
        }
    }
}

fn is_key_id(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    !name.is_empty() && name.bytes().all(allowed)
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// As `2026-01-31`, and no other way of writing a day.
fn is_day(name: &str) -> bool {
    let day: Result<jiff::civil::Date, _> = name.parse();
    day.is_ok_and(|day| day.to_string() == name)
}

/// A text that names no stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a stream")]
pub struct InvalidStream;

impl TryFrom<String> for StreamId {
    type Error = InvalidStream;
    fn try_from(text: String) -> Result<Self, InvalidStream> {
        Self::parse(&text).ok_or(InvalidStream)
    }
}

impl From<StreamId> for String {
    fn from(stream: StreamId) -> Self {
        stream.to_string()
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::AuthRequest(id) => write!(f, "{kind}/{id}"),
            Self::Agent(id) => write!(f, "{kind}/{id}"),
            Self::Client(id) => write!(f, "{kind}/{id}"),
            Self::Owner(id) => write!(f, "{kind}/{id}"),
            Self::SigningKey(name)
            | Self::DerivationKey(name)
            | Self::Administration(name)
            | Self::Maintenance(name) => write!(f, "{kind}/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_named_by_an_id_a_key_or_a_day_and_by_no_other_text() {
        for text in [
            "agent/agent_00000000000000000000000000000000",
            "signing_key/Zm9v-_1",
            "derivation_key/1",
            "administration/2026-01-31",
            "maintenance/2026-01-31",
        ] {
            assert_eq!(StreamId::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "agent",
            "agent/ada@people.example",
            "signing_key/",
            "derivation_key/ada@people.example",
            "administration/2026-1-31",
            "administration/2026-02-30",
            "administration/today",
            "oracle/1",
        ] {
            assert_eq!(StreamId::parse(text), None, "{text}");
        }
    }
}
