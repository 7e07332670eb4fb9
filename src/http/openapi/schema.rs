//! The few kinds of JSON Schema (2020-12) that the document needs, each as one word.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::domain::Scope;

/// Any text.
pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

/// A text of so many characters.
pub(super) fn text_of(least: usize, most: usize) -> Value {
    json!({ "type": "string", "minLength": least, "maxLength": most })
}

/// A text that matches a regular expression.
pub(super) fn text_like(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

/// An id that begins with `prefix`.
pub(super) fn id(prefix: &str) -> Value {
    text_like(&format!("^{prefix}[0-9a-f]{{32}}$"))
}

/// Words of RFC 6749 §3.3, separated by single spaces.
pub(super) fn scope() -> Value {
    let mut scope = text_like(r"^[!#-\[\]-~]+( [!#-\[\]-~]+)*$");
    scope["maxLength"] = json!(Scope::MAX_BYTES);
    scope
}

/// An address.
pub(super) fn uri() -> Value {
    json!({ "type": "string", "format": "uri" })
}

/// RFC 3339, UTC.
pub(super) fn moment() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

/// Seconds since the epoch (RFC 7519 §2).
pub(super) fn seconds() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// A whole number within bounds.
pub(super) fn integer(least: u64, most: u64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most })
}

/// True or false.
pub(super) fn flag() -> Value {
    json!({ "type": "boolean" })
}

/// One of some values, as they are written.
pub(super) fn one_of<T: Serialize>(values: impl IntoIterator<Item = T>) -> Value {
    let values: Vec<Value> = values.into_iter().map(|value| json!(value)).collect();
    json!({ "type": "string", "enum": values })
}

/// That value and no other.
pub(super) fn exactly(value: impl Serialize) -> Value {
    json!({ "const": value })
}

/// A list.
pub(super) fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// A list of so many items.
pub(super) fn list_of(items: Value, least: usize, most: usize) -> Value {
    json!({ "type": "array", "items": items, "minItems": least, "maxItems": most })
}

/// The same, or null.
pub(super) fn or_null(mut schema: Value) -> Value {
    schema["type"] = json!([schema["type"], "null"]);
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.push(Value::Null);
    }
    schema
}

/// An object whose members may be null where they need not be there.
pub(super) fn with_nulls(mut schema: Value) -> Value {
    let required = schema["required"].clone();
    let is_required = |name: &str| {
        let mut names = required.as_array().into_iter().flatten();
        names.any(|required| required == name)
    };
    if let Some(members) = schema["properties"].as_object_mut() {
        for (name, member) in members {
            if !is_required(name) {
                *member = or_null(member.take());
            }
        }
    }
    schema
}

/// The same with the value that holds when nothing is said.
pub(super) fn or(mut schema: Value, default: impl Serialize) -> Value {
    schema["default"] = json!(default);
    schema
}

/// A schema of the document by its name.
pub(super) fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A page of a list.
pub(super) fn page_of(name: &str) -> Value {
    object()
        .must("items", list(named(name)), "In the order of the list.")
        .must(
            "next",
            json!({ "type": ["string", "null"] }),
            "Send it as `after` for the next page; null on the last one.",
        )
        .done()
}

/// An object, told member by member.
#[derive(Default)]
pub(super) struct Object {
    properties: Map<String, Value>,
    required: Vec<&'static str>,
    closed: bool,
}

/// Begins an object.
pub(super) fn object() -> Object {
    Object::default()
}

impl Object {
    /// A member that is always there.
    pub(super) fn must(mut self, name: &'static str, schema: Value, description: &str) -> Self {
        self.required.push(name);
        self.may(name, schema, description)
    }

    /// A member that may be there.
    pub(super) fn may(mut self, name: &'static str, mut schema: Value, description: &str) -> Self {
        // A description beside $ref is allowed since OpenAPI 3.1.
        if !description.is_empty() {
            schema["description"] = json!(description);
        }
        self.properties.insert(name.to_owned(), schema);
        self
    }

    /// With the members of another one besides.
    pub(super) fn with(mut self, other: Self) -> Self {
        self.properties.extend(other.properties);
        self.required.extend(other.required);
        self
    }

    /// Without saying that any member must be there.
    pub(super) fn partly(mut self) -> Self {
        self.required.clear();
        self
    }

    /// No other member is taken.
    pub(super) const fn closed(mut self) -> Self {
        self.closed = true;
        self
    }

    /// The schema.
    pub(super) fn done(self) -> Value {
        let mut schema = json!({ "type": "object", "properties": self.properties });
        if !self.required.is_empty() {
            schema["required"] = json!(self.required);
        }
        if self.closed {
            schema["additionalProperties"] = json!(false);
        }
        schema
    }
}
