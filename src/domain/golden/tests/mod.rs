//! Files and samples: complete, fitting, and read for ever.

mod folding;
mod schemas;
mod secrets;

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;

use super::{Kept, folder, read_json, validator};
use crate::domain::decode;

#[test]
fn every_schema_has_its_files_and_no_file_is_left_over() {
    let mut wanted: BTreeSet<PathBuf> = Kept::every()
        .iter()
        .flat_map(|kept| [kept.file("schema"), kept.file("sample")])
        .collect();
    wanted.insert(folder().join("README.md"));
    wanted.insert(folder().join("envelope.1.schema.json"));

    let mut found = BTreeSet::new();
    let mut folders = vec![folder()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path);
            }
        }
    }
    let left_over: Vec<_> = found.difference(&wanted).collect();
    let missing: Vec<_> = wanted.difference(&found).collect();
    assert!(
        left_over.is_empty() && missing.is_empty(),
        "+ {left_over:?}, - {missing:?}"
    );
}

#[test]
fn every_sample_fits_its_schemas() {
    let envelope = validator(&read_json(&folder().join("envelope.1.schema.json")));
    for kept in Kept::every() {
        let sample: Value = serde_json::from_str(&kept.sample()).unwrap();
        for (validator, instance) in [
            (&envelope, &sample),
            (&kept.validator(), &sample["payload"]),
        ] {
            let faults: Vec<_> = validator
                .iter_errors(instance)
                .map(|error| error.to_string())
                .collect();
            assert!(faults.is_empty(), "{kept:?}: {faults:?}");
        }
        assert_eq!(sample["type"], kept.type_name);
        assert_eq!(sample["schema"], kept.number);
        let stream = sample["stream"].as_str().unwrap();
        assert_eq!(stream.split_once('/').unwrap().0, kept.kind);
    }
}

#[test]
fn every_sample_is_read_and_the_newest_are_written_again_byte_by_byte() {
    for kept in Kept::every() {
        let (stream, event) =
            decode(&kept.envelope()).unwrap_or_else(|error| panic!("{kept:?}: {error}"));
        assert_eq!(stream.to_string(), kept.envelope().stream);
        assert_eq!(event.fact.type_name(), kept.type_name);
    }
    for kept in Kept::newest() {
        let envelope = kept.envelope();
        let (_, event) = decode(&envelope).unwrap();
        assert_eq!(
            event.fact.payload().unwrap().get(),
            envelope.payload.get(),
            "{kept:?}"
        );
        assert_eq!(
            serde_json::to_string(&envelope).unwrap(),
            kept.sample(),
            "{kept:?}"
        );
    }
}
