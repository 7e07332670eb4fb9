//! The schemas say what the program does: no field, no word and no demand more or less.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::Kept;

fn properties(schema: &Value) -> &serde_json::Map<String, Value> {
    schema["properties"].as_object().unwrap()
}

fn words(list: &Value) -> BTreeSet<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect()
}

#[test]
fn every_sample_shows_all_that_its_schema_knows() {
    for kept in Kept::every() {
        let schema = kept.schema();
        assert_eq!(schema["additionalProperties"], false, "{kept:?}");
        let known: BTreeSet<_> = properties(&schema).keys().cloned().collect();
        let shown: BTreeSet<_> = kept
            .payload()
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        assert_eq!(known, shown, "{kept:?}");
        assert!(schema["description"].is_string(), "{kept:?}");
        for (name, property) in properties(&schema) {
            assert!(
                property["description"].is_string(),
                "{kept:?}: what is {name}?"
            );
        }
    }
}

#[test]
fn the_schemas_demand_what_the_program_demands_and_no_more() {
    for kept in Kept::newest() {
        let (schema, validator, sample) = (kept.schema(), kept.validator(), kept.payload());
        let required = words(&schema["required"]);
        for name in properties(&schema).keys() {
            let mut without = sample.clone();
            without.as_object_mut().unwrap().remove(name);
            let optional = !required.contains(name.as_str());
            assert_eq!(
                kept.decoded_with(&without).is_ok(),
                optional,
                "{kept:?} without {name}"
            );
            assert_eq!(
                validator.is_valid(&without),
                optional,
                "{kept:?} without {name}"
            );
            if let Ok(fact) = kept.decoded_with(&without) {
                // What is absent is not written as null, or as something empty.
                let written: Value = serde_json::from_str(fact.payload().unwrap().get()).unwrap();
                assert_eq!(written, without);
            }
        }
        let mut more = sample;
        more["something_else"] = json!(1);
        assert!(!validator.is_valid(&more), "{kept:?} takes anything");
    }
}

#[test]
fn the_schemas_list_every_word_that_the_program_knows() {
    for kept in Kept::newest() {
        let schema = kept.schema();
        for (name, property) in properties(&schema) {
            let in_list = property.get("enum").is_none();
            let listed = property
                .get("enum")
                .or_else(|| property["items"].get("enum"));
            let Some(listed) = listed else { continue };
            let with = |word: &str| {
                let mut payload = kept.payload();
                payload[name] = if in_list { json!([word]) } else { json!(word) };
                kept.decoded_with(&payload)
            };
            for word in words(listed) {
                let read = with(word);
                assert!(
                    read.is_ok(),
                    "{kept:?} {name}: {word} is not known: {read:?}"
                );
            }
            // serde names the words that it would have taken, each between backquotes. Where it
            // takes any text (a signing key's `alg`) the schema may know fewer.
            if let Err(refusal) = with("?") {
                let known: BTreeSet<&str> = refusal
                    .split('`')
                    .skip(1)
                    .step_by(2)
                    .filter(|word| *word != "?")
                    .collect();
                assert_eq!(words(listed), known, "{kept:?} {name}: {refusal}");
            }
        }
    }
}
