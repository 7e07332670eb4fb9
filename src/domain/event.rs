//! Events: the envelope around a fact, who acted, and how stored facts are read back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::{
    AdministrationFact, AgentFact, AgentId, ClientFact, ClientId, DerivationKeyFact, EventId,
    MaintenanceFact, OwnerFact, RequestFact, SigningKeyFact, StreamId,
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

/// Why a stored event could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FactError {
    /// A type or schema that this version of the program does not know.
    #[error(
        "event {position}: {stream} {type_name} schema {schema} is not known to this version of the program"
    )]
    Unknown {
        /// Place in the log.
        position: u64,
        /// Its stream.
        stream: String,
        /// Its type.
        type_name: String,
        /// Its schema version.
        schema: u32,
    },
    /// A payload that does not fit its type.
    #[error("event {position}: the payload does not fit its type: {source}")]
    Payload {
        /// Place in the log.
        position: u64,
        /// What does not fit.
        source: serde_json::Error,
    },
}

/// Turns a payload of one schema version into the next: kind of stream, type, version it reads.
/// Pure, and never changed once written.
pub type Upcaster = (&'static str, &'static str, u32, fn(Value) -> Value);

/// Every step from an older schema to the next; none has been needed so far.
const UPCASTERS: &[Upcaster] = &[];

/// The schema version that this program writes for a type of event in a kind of stream: 1, and one
/// more for each upcaster that was ever added for it.
#[must_use]
pub fn newest_schema(kind: &str, type_name: &str) -> u32 {
    newest_of(UPCASTERS, kind, type_name)
}

fn newest_of(upcasters: &[Upcaster], kind: &str, type_name: &str) -> u32 {
    let steps = upcasters
        .iter()
        .filter(|step| step.0 == kind && step.1 == type_name);
    steps.fold(1, |newest, _| newest + 1)
}

/// Reads a stored event, upcasting its payload to the newest schema.
///
/// # Errors
///
/// [`FactError`] when this version of the program does not know the event.
pub fn decode(envelope: &Envelope) -> Result<(StreamId, Recorded<Fact>), FactError> {
    decode_with(UPCASTERS, envelope)
}

fn decode_with(
    upcasters: &[Upcaster],
    envelope: &Envelope,
) -> Result<(StreamId, Recorded<Fact>), FactError> {
    let position = envelope.position;
    let unknown = || FactError::Unknown {
        position,
        stream: envelope.stream.clone(),
        type_name: envelope.type_name.clone(),
        schema: envelope.schema,
    };
    let refused = |source| FactError::Payload { position, source };
    let stream = StreamId::parse(&envelope.stream).ok_or_else(unknown)?;
    let name = envelope.type_name.as_str();
    let mut payload: Value = serde_json::from_str(envelope.payload.get()).map_err(refused)?;
    let mut schema = envelope.schema;
    while let Some((.., step)) = upcasters.iter().find(|(kind, type_name, from, _)| {
        *kind == stream.kind() && *type_name == name && *from == schema
    }) {
        payload = step(payload);
        schema += 1;
    }
    // Neither a newer schema nor one that no step leads on from is guessed at.
    if schema != newest_of(upcasters, stream.kind(), name) {
        return Err(unknown());
    }
    let fact = match stream {
        StreamId::AuthRequest(_) => RequestFact::read(name, payload).map(|f| f.map(Fact::Request)),
        StreamId::Agent(_) => AgentFact::read(name, payload).map(|f| f.map(Fact::Agent)),
        StreamId::Client(_) => ClientFact::read(name, payload).map(|f| f.map(Fact::Client)),
        StreamId::Owner(_) => OwnerFact::read(name, payload).map(|f| f.map(Fact::Owner)),
        StreamId::SigningKey(_) => {
            SigningKeyFact::read(name, payload).map(|f| f.map(Fact::SigningKey))
        }
        StreamId::DerivationKey(_) => {
            DerivationKeyFact::read(name, payload).map(|f| f.map(Fact::DerivationKey))
        }
        StreamId::Administration(_) => {
            AdministrationFact::read(name, payload).map(|f| f.map(Fact::Administration))
        }
        StreamId::Maintenance(_) => {
            MaintenanceFact::read(name, payload).map(|f| f.map(Fact::Maintenance))
        }
    };
    let fact = fact.map_err(refused)?.ok_or_else(unknown)?;
    let recorded = Recorded {
        position,
        version: envelope.version,
        id: envelope.id,
        occurred_at: envelope.occurred_at,
        fact,
    };
    Ok((stream, recorded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(schema: u32, payload: &str) -> Envelope {
        serde_json::from_str(&format!(
            r#"{{"position":1,"id":"{:032x}","stream":"administration/2026-01-31","version":1,
                "type":"AuditLogRead","schema":{schema},"occurred_at":"2026-01-31T12:00:00Z",
                "payload":{payload},"metadata":{{"actor":{{"type":"system"}}}}}}"#,
            7
        ))
        .unwrap()
    }

    #[test]
    fn an_older_schema_is_upcast_step_by_step_when_it_is_read() {
        let rename: fn(Value) -> Value = |old| serde_json::json!({ "after": old["from"] });
        let wrap: fn(Value) -> Value = |old| serde_json::json!({ "from": old["n"] });
        let steps: [Upcaster; 2] = [
            ("administration", "AuditLogRead", 1, wrap),
            ("administration", "AuditLogRead", 2, rename),
        ];
        let (_, event) = decode_with(&steps, &stored(1, r#"{"n":7}"#)).unwrap();
        let Fact::Administration(AdministrationFact::AuditLogRead(read)) = event.fact else {
            panic!("another fact");
        };
        assert_eq!(read.after, 7);
    }

    #[test]
    fn each_type_counts_its_own_schemas() {
        let same: fn(Value) -> Value = |old| old;
        let steps: [Upcaster; 2] = [
            ("agent", "Registered", 1, same),
            ("agent", "Registered", 2, same),
        ];
        assert_eq!(newest_of(&steps, "agent", "Registered"), 3);
        assert_eq!(newest_of(&steps, "agent", "Suspended"), 1);
        assert_eq!(newest_of(&steps, "client", "Registered"), 1);
        // A type that did not change is written and read as before.
        assert!(decode_with(&steps, &stored(1, r#"{"after":1}"#)).is_ok());
    }

    #[test]
    fn an_event_of_a_newer_program_is_refused_not_guessed() {
        for schema in [0, 2, u32::MAX] {
            let event = stored(schema, r#"{"after":1}"#);
            assert!(
                matches!(decode(&event), Err(FactError::Unknown { .. })),
                "{schema}"
            );
        }
        let other = stored(1, r#"{"after":1}"#);
        let unknown_type = Envelope {
            type_name: "AdminKeyBlessed".to_owned(),
            ..other.clone()
        };
        assert!(matches!(
            decode(&unknown_type),
            Err(FactError::Unknown { .. })
        ));
        let unknown_kind = Envelope {
            stream: "oracle/2026-01-31".to_owned(),
            ..other
        };
        assert!(matches!(
            decode(&unknown_kind),
            Err(FactError::Unknown { .. })
        ));
        assert!(matches!(
            decode(&stored(1, r#"{}"#)),
            Err(FactError::Payload { .. })
        ));
    }

    #[test]
    fn a_schema_that_no_step_leads_on_from_is_refused() {
        let same: fn(Value) -> Value = |old| old;
        let steps: [Upcaster; 1] = [("administration", "AuditLogRead", 2, same)];
        let event = stored(1, r#"{"after":1}"#);
        assert!(matches!(
            decode_with(&steps, &event),
            Err(FactError::Unknown { .. })
        ));
    }
}
