//! Holds every answer against the server's own description of itself, so that nothing that any test
//! gets to see is missing in it.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex},
};

use jsonschema::Validator;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};

use super::{process::locked, server::program};

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) method: &'a str,
    /// Without the query.
    pub(crate) path: &'a str,
    /// The JSON that was sent, if it was.
    pub(crate) sent: Option<&'a Value>,
    pub(crate) status: u16,
    /// By names in lower case.
    pub(crate) headers: HashMap<String, String>,
    /// `None` when it is a stream, or was not read.
    pub(crate) body: Option<&'a str>,
}

impl Answer<'_> {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn json(&self) -> Value {
        serde_json::from_str(self.body.unwrap_or_default()).unwrap_or_default()
    }
}

/// Headers by names in lower case.
pub(crate) fn plain(headers: &HeaderMap) -> HashMap<String, String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}

/// The description, as the program prints it.
pub(crate) fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
        let printed = program()
            .args(["openapi", "--issuer", "https://auth.example"])
            .output()
            .expect("the program runs");
        assert!(printed.status.success(), "{printed:?}");
        serde_json::from_slice(&printed.stdout).expect("it is JSON")
    });
    &DOCUMENT
}

/// Panics when the answer is not described.
#[track_caller]
pub(crate) fn assert_described(answer: &Answer<'_>) {
    if let Err(why) = described(answer) {
        panic!("not as described: {why}\n{answer:?}");
    }
}

/// That an event of a stream is what its path sends.
#[track_caller]
pub(crate) fn assert_event_described(path: &str, data: &Value) {
    let name = if path.ends_with("/audit-log") {
        "Event"
    } else {
        "SignInStatus"
    };
    let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
    if let Err(why) = fits(name, &schema, data, true) {
        panic!("an event of {path} is not as described: {why}: {data}");
    }
}

fn described(answer: &Answer<'_>) -> Result<(), String> {
    // Refused before anything of ours saw it.
    if answer.header("x-request-id").is_empty() {
        let protocol = matches!(answer.status, 400 | 408 | 431);
        return protocol
            .then_some(())
            .ok_or("there is no X-Request-Id".into());
    }
    let refusal = answer.json();
    let error = refusal["error"].as_str().unwrap_or_default();
    if answer.method == "OPTIONS" && answer.status == 204 {
        return Ok(());
    }
    let nothing = refusal["error_description"]
        .as_str()
        .is_some_and(|told| told.starts_with("there is nothing at "));
    let headless = answer.method == "HEAD";
    if answer.status == 404 && error == "not_found" && nothing {
        return Ok(());
    }
    if answer.status == 405 && (error == "method_not_allowed" || headless) {
        let allowed = !answer.header("allow").is_empty();
        return allowed.then_some(()).ok_or("405 without Allow".into());
    }
    // The key is asked for before the path is looked up.
    if answer.path.contains("/api/admin") && matches!(answer.status, 401 | 403) {
        let known = matches!(error, "unauthorized" | "insufficient_scope") || headless;
        return known.then_some(()).ok_or("another refusal of a key".into());
    }
    let Some((template, methods)) = found(answer.path) else {
        let gone = headless && answer.status == 404;
        return gone.then_some(()).ok_or("there is no such path".into());
    };
    let method = if headless {
        "get"
    } else {
        &*answer.method.to_lowercase()
    };
    let operation = &methods[method];
    if operation.is_null() {
        return Err("the path has no such method".into());
    }
    let told = &operation["responses"][answer.status.to_string()];
    if told.is_null() {
        let gone = headless && answer.status == 404;
        return gone
            .then_some(())
            .ok_or("the operation has no such status".into());
    }
    headers(answer, told)?;
    let place = format!("{method} {template} {}", answer.status);
    body(answer, told, &place)?;
    if let (Some(sent), 200..300) = (answer.sent, answer.status) {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        if !schema.is_null() {
            fits(&format!("{place} asked"), schema, sent, false)
                .map_err(|why| format!("what was taken: {why}"))?;
        }
    }
    Ok(())
}

fn headers(answer: &Answer<'_>, told: &Value) -> Result<(), String> {
    for name in told["headers"].as_object().into_iter().flat_map(Map::keys) {
        let required = document()["components"]["headers"][name]["required"] == true;
        if required && answer.header(&name.to_lowercase()).is_empty() {
            return Err(format!("the header {name} is missing"));
        }
    }
    Ok(())
}

fn body(answer: &Answer<'_>, told: &Value, place: &str) -> Result<(), String> {
    let content_type = answer.header("content-type");
    let Some(content) = told["content"].as_object() else {
        let empty = answer.body.is_none_or(str::is_empty);
        return empty.then_some(()).ok_or("no body is described".into());
    };
    let Some(described) = content.get(content_type) else {
        // A redirect has none beside what else the status is for.
        let none = content_type.is_empty() && answer.body.is_none_or(str::is_empty);
        let redirect = none && answer.status == 303;
        return redirect
            .then_some(())
            .ok_or(format!("{content_type} is not described"));
    };
    match answer.body {
        Some(text) if content_type == "application/json" && answer.method != "HEAD" => {
            let json = serde_json::from_str(text).map_err(|error| error.to_string())?;
            fits(place, &described["schema"], &json, true)
        }
        _ => Ok(()),
    }
}

/// The path that fits, also below an issuer's own.
fn found(path: &str) -> Option<(&'static str, &'static Value)> {
    // RFC 8414 section 3.1 puts the issuer's path behind it.
    let well_known = "/.well-known/oauth-authorization-server";
    let path = if path.starts_with(well_known) {
        well_known
    } else {
        path
    };
    let mut rest = path;
    loop {
        let paths = document()["paths"].as_object().expect("an object");
        // What is written out comes before what is a parameter.
        let mut fitting: Vec<_> = paths
            .iter()
            .filter(|(path, _)| fits_template(path, rest))
            .collect();
        fitting.sort_by_key(|(path, _)| path.matches('{').count());
        if let Some((path, methods)) = fitting.first() {
            return Some((path, methods));
        }
        rest = &rest[1 + rest.get(1..)?.find('/')?..];
    }
}

fn fits_template(template: &str, path: &str) -> bool {
    let (told, asked): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    // As the router has it: a parameter may be nothing within a path, and not at its end.
    let is_one =
        |at: usize| told[at].starts_with('{') && (!asked[at].is_empty() || at + 1 < asked.len());
    told.len() == asked.len() && (0..told.len()).all(|at| told[at] == asked[at] || is_one(at))
}

/// `whole`: no member but those that are told.
fn fits(place: &str, schema: &Value, value: &Value, whole: bool) -> Result<(), String> {
    static COMPILED: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> =
        LazyLock::new(Mutex::default);
    let known = locked(&COMPILED).get(place).cloned();
    let validator = match known {
        Some(validator) => validator,
        None => {
            let mut standing = schema.clone();
            standing["components"] = json!({ "schemas": document()["components"]["schemas"] });
            if whole {
                close(&mut standing);
            }
            let validator = jsonschema::draft202012::options()
                .should_validate_formats(true)
                .build(&standing)
                .map_err(|error| format!("the schema cannot be used: {error}"))?;
            let validator = Arc::new(validator);
            locked(&COMPILED).insert(place.to_owned(), Arc::clone(&validator));
            validator
        }
    };
    let faults: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults.join("; "))
    }
}

/// Whoever reads an answer takes what they do not know; the tests do not.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("properties").is_some_and(Value::is_object) {
                members
                    .entry("additionalProperties")
                    .or_insert(json!(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Whether a value fits a schema of the document.
pub(crate) fn example_fits(place: &str, schema: &Value, value: &Value) -> Result<(), String> {
    fits(place, schema, value, true)
}
