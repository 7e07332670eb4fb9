//! The promise of the log, kept by test: every schema ever written has a description and a sample
//! in `events/`, and every sample is read for ever.

mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
};

use jsonschema::Validator;
use serde_json::Value;

use super::{
    AdministrationFact, AgentFact, ClientFact, DerivationKeyFact, Envelope, Fact, MaintenanceFact,
    OwnerFact, RequestFact, SigningKeyFact, decode, newest_schema,
};

/// Every kind of stream with every type that it holds.
const KINDS: [(&str, &[&str]); 8] = [
    ("auth_request", RequestFact::TYPES),
    ("agent", AgentFact::TYPES),
    ("client", ClientFact::TYPES),
    ("owner", OwnerFact::TYPES),
    ("signing_key", SigningKeyFact::TYPES),
    ("derivation_key", DerivationKeyFact::TYPES),
    ("administration", AdministrationFact::TYPES),
    ("maintenance", MaintenanceFact::TYPES),
];

/// One schema of one type, with its files.
#[derive(Debug, Clone)]
struct Kept {
    kind: &'static str,
    type_name: &'static str,
    number: u32,
}

impl Kept {
    fn every() -> Vec<Self> {
        let mut every = Vec::new();
        for (kind, types) in KINDS {
            for type_name in types {
                for number in 1..=newest_schema(kind, type_name) {
                    every.push(Self {
                        kind,
                        type_name,
                        number,
                    });
                }
            }
        }
        every
    }

    /// Those that are written today: an older payload is not what comes back.
    fn newest() -> impl Iterator<Item = Self> {
        Self::every()
            .into_iter()
            .filter(|kept| kept.number == newest_schema(kept.kind, kept.type_name))
    }

    fn file(&self, what: &str) -> PathBuf {
        let name = format!("{}.{}.{what}.json", self.type_name, self.number);
        folder().join(self.kind).join(name)
    }

    fn schema(&self) -> Value {
        read_json(&self.file("schema"))
    }

    fn validator(&self) -> Validator {
        validator(&self.schema())
    }

    /// The sample, without the line feed that ends the file.
    fn sample(&self) -> String {
        let text = read(&self.file("sample"));
        text.strip_suffix('\n')
            .expect("a sample is one line")
            .to_owned()
    }

    fn envelope(&self) -> Envelope {
        serde_json::from_str(&self.sample()).unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }

    fn payload(&self) -> Value {
        serde_json::from_str(self.envelope().payload.get()).unwrap()
    }

    /// The fact that the sample's event holds, were this its payload.
    fn decoded_with(&self, payload: &Value) -> Result<Fact, String> {
        let payload = serde_json::value::to_raw_value(payload).unwrap();
        let envelope = Envelope {
            payload,
            ..self.envelope()
        };
        decode(&envelope)
            .map(|(_, event)| event.fact)
            .map_err(|error| error.to_string())
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("events")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A validator that looks at formats too; the schema itself is checked first.
fn validator(schema: &Value) -> Validator {
    jsonschema::draft202012::meta::validate(schema).unwrap();
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(schema)
        .unwrap()
}
