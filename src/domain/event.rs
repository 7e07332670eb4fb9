//! Events: the envelope around a fact, and who acted.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    AdministrationFact, AgentFact, AgentId, ClientFact, ClientId, DerivationKeyFact, EventId,
    MaintenanceFact, OwnerFact, RequestFact, SigningKeyFact,
};

/// Declares the facts of one kind of stream: an enum whose variants are named as the log's event
/// types, each around its payload.
macro_rules! facts {
    ($(#[$doc:meta])* $name:ident { $($variant:ident($payload:ty)),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $(
                #[doc = concat!("`", stringify!($variant), "`")]
                $variant($payload)
            ),+
        }

        impl $name {
            /// Every type of event that this kind of stream holds.
            pub const TYPES: &'static [&'static str] = &[$(stringify!($variant)),+];

            /// The event's type as it stands in the log.
            #[must_use]
            pub const fn type_name(&self) -> &'static str {
                match self { $(Self::$variant(_) => stringify!($variant)),+ }
            }

            /// The payload as JSON text.
            ///
            /// # Errors
            ///
            /// When a payload cannot be written as JSON, which no payload of ours can bring about.
            pub fn payload(&self) -> serde_json::Result<Box<serde_json::value::RawValue>> {
                match self { $(Self::$variant(payload) => serde_json::value::to_raw_value(payload)),+ }
            }

            /// Reads a payload of the newest schema.
            ///
            /// # Errors
            ///
            /// `None` inside `Ok` when the type is not one of this kind; an error when the payload
            /// does not fit its type.
            pub fn read(type_name: &str, payload: serde_json::Value) -> serde_json::Result<Option<Self>> {
                match type_name {
                    $(stringify!($variant) => serde_json::from_value(payload).map(Self::$variant).map(Some),)+
                    _ => Ok(None),
                }
            }
        }
    };
}
pub(crate) use facts;

/// An administrator was shown a new secret for an agent or client, once. At most two are valid: one
/// that was in its grace already ends with this event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRotated {
    /// Until when the former secret is valid beside the new one; absent: it ended with this event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_expires_at: Option<Timestamp>,
}

/// Whether any kind of stream holds events of that type.
#[must_use]
pub fn is_event_type(type_name: &str) -> bool {
    [
        RequestFact::TYPES,
        AgentFact::TYPES,
        ClientFact::TYPES,
        OwnerFact::TYPES,
        SigningKeyFact::TYPES,
        DerivationKeyFact::TYPES,
        AdministrationFact::TYPES,
        MaintenanceFact::TYPES,
    ]
    .iter()
    .any(|types| types.contains(&type_name))
}

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "id", rename_all = "snake_case")]
pub enum Actor {
    /// The browser on the waiting page.
    Browser,
    /// An agent that proved who it is.
    Agent(AgentId),
    /// A website that authenticated itself, or a public one that named itself.
    Client(ClientId),
    /// A named admin key.
    AdminKey(String),
    /// The server itself.
    System,
}

/// What is known of the act that an event came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Who acted.
    pub actor: Actor,
    /// Keyed hash of the caller's network address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_hash: Option<String>,
    /// The `X-Request-Id` of the HTTP request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Metadata {
    /// The server itself acted.
    #[must_use]
    pub const fn system() -> Self {
        Self {
            actor: Actor::System,
            address_hash: None,
            request_id: None,
        }
    }
}

/// The whole of an event as it is written, once, into the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope {
    /// Place in the whole log, from 1, dense.
    pub position: u64,
    /// 128 random bits.
    pub id: EventId,
    /// The stream, as text.
    pub stream: String,
    /// Place in the stream, from 1, dense.
    pub version: u64,
    /// The event's type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Version of the payload's schema.
    pub schema: u32,
    /// When, UTC, to the microsecond; never used for ordering.
    pub occurred_at: Timestamp,
    /// The fact.
    pub payload: Box<RawValue>,
    /// Who acted.
    pub metadata: Metadata,
}

/// A fact with its place in the log, as folds see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded<F> {
    /// Place in the whole log.
    pub position: u64,
    /// Place in the stream.
    pub version: u64,
    /// The event's random name.
    pub id: EventId,
    /// When it was recorded.
    pub occurred_at: Timestamp,
    /// The fact.
    pub fact: F,
}

/// A fact of any stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Of an auth request.
    Request(RequestFact),
    /// Of an agent.
    Agent(AgentFact),
    /// Of a client.
    Client(ClientFact),
    /// Of an owner.
    Owner(OwnerFact),
    /// Of a signing key.
    SigningKey(SigningKeyFact),
    /// Of a derivation key.
    DerivationKey(DerivationKeyFact),
    /// Of the server itself.
    Administration(AdministrationFact),
    /// Of the log itself.
    Maintenance(MaintenanceFact),
}

impl Fact {
    /// The event's type as it stands in the log.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Request(fact) => fact.type_name(),
            Self::Agent(fact) => fact.type_name(),
            Self::Client(fact) => fact.type_name(),
            Self::Owner(fact) => fact.type_name(),
            Self::SigningKey(fact) => fact.type_name(),
            Self::DerivationKey(fact) => fact.type_name(),
            Self::Administration(fact) => fact.type_name(),
            Self::Maintenance(fact) => fact.type_name(),
        }
    }

    /// The payload as JSON text.
    ///
    /// # Errors
    ///
    /// When a payload cannot be written as JSON, which no payload of ours can bring about.
    pub fn payload(&self) -> serde_json::Result<Box<RawValue>> {
        match self {
            Self::Request(fact) => fact.payload(),
            Self::Agent(fact) => fact.payload(),
            Self::Client(fact) => fact.payload(),
            Self::Owner(fact) => fact.payload(),
            Self::SigningKey(fact) => fact.payload(),
            Self::DerivationKey(fact) => fact.payload(),
            Self::Administration(fact) => fact.payload(),
            Self::Maintenance(fact) => fact.payload(),
        }
    }
}
