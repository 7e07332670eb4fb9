//! The fields of a PUT: those that are given, and those that are taken back.

use serde_json::{Value, json};

use super::Failure;

/// Adds the fields that are to be taken back to their defaults. One that is given as well is a
/// contradiction.
pub(crate) fn cleared(
    changes: &mut Value,
    clear: &[String],
    fields: &[(&str, &str)],
) -> Result<(), Failure> {
    for flag in clear {
        let Some((_, field)) = fields.iter().find(|(name, _)| name == flag) else {
            continue;
        };
        if !changes[*field].is_null() {
            return Err(Failure::usage(format!(
                "--{flag} is given and cleared: do one of both"
            )));
        }
        changes[*field] = Value::Null;
    }
    Ok(())
}

/// Adds the fields that are given.
pub(crate) fn given(changes: &mut Value, fields: &[(&str, &Option<String>)]) {
    for (field, value) in fields {
        if let Some(value) = value {
            changes[*field] = json!(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_changed_or_cleared_and_not_both() {
        let fields = [("model", "model")];
        let mut changes = json!({});
        cleared(&mut changes, &["model".to_owned()], &fields).unwrap();
        assert_eq!(changes, json!({"model": null}));
        let mut changes = json!({"model": "m"});
        let told = cleared(&mut changes, &["model".to_owned()], &fields).unwrap_err();
        assert!(told.message().contains("--model"), "{told:?}");
    }
}
