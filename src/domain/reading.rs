//! How stored events are read back: upcast to the newest schema, or refused.

use serde_json::Value;

use super::{
    AdministrationFact, AgentFact, ClientFact, DerivationKeyFact, Envelope, Fact, MaintenanceFact,
    OwnerFact, Recorded, RequestFact, SigningKeyFact, StreamId,
};

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
