//! Every secret, code and token that the tests of this run have ever held, and that none of them stands
//! where it does not belong: in a log line of any server, in any refusal, in the metrics.
//!
//! What is handed out is noted where answers are read; refusals are looked through there as well, logs
//! when a server is dropped and after each test that used a shared one.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex},
};

use serde_json::Value;

use super::process::locked;

/// Characters that a secret is found by; shorter texts are none.
const BEGINNING: usize = 16;

type Noted = Vec<(&'static str, Box<[u8]>)>;

/// By their first characters.
static HELD: LazyLock<Mutex<HashMap<[u8; BEGINNING], Noted>>> = LazyLock::new(Mutex::default);

/// Members of answers that hold something secret.
const MEMBERS: [&str; 7] = [
    "client_secret",
    "agent_secret",
    "admin_key",
    "access_token",
    "refresh_token",
    "id_token",
    "code",
];

/// Notes a secret. Of a token or code it is the last part: the signature or MAC, without which the rest
/// is of no use.
pub(crate) fn note(name: &'static str, text: &str) {
    let secret = text.rsplit('.').next().unwrap_or(text).as_bytes();
    let Some(beginning) = secret.first_chunk::<BEGINNING>() else {
        return;
    };
    let mut held = locked(&HELD);
    let alike = held.entry(*beginning).or_default();
    if !alike.iter().any(|(_, known)| **known == *secret) {
        alike.push((name, secret.into()));
    }
}

/// Notes what an answer hands out, wherever in it.
pub(crate) fn note_all(answer: &Value) {
    match answer {
        Value::Object(members) => {
            for (name, value) in members {
                match (MEMBERS.iter().find(|known| *known == name), value.as_str()) {
                    (Some(name), Some(text)) => note(name, text),
                    (None, Some(text)) if name == "redirect_to" => note_code(text),
                    _ => note_all(value),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(note_all),
        _ => {}
    }
}

/// Notes the code that an address carries.
pub(crate) fn note_code(address: &str) {
    let query = address.split(['?', '&']);
    if let Some(code) = query.filter_map(|pair| pair.strip_prefix("code=")).next() {
        note("a code", code);
    }
}

/// Which secrets stand in a text, by their names.
fn found_in(text: &str) -> Vec<&'static str> {
    let held = locked(&HELD);
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    // Secrets are made of such characters alone: what holds another can be skipped.
    let (mut from, mut run) = (0, 0);
    for (at, byte) in bytes.iter().enumerate() {
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'/' | b'=')) {
            (from, run) = (at + 1, 0);
            continue;
        }
        run += 1;
        if run < BEGINNING {
            continue;
        }
        from = from.max(at + 1 - BEGINNING);
        let beginning = bytes[from..].first_chunk::<BEGINNING>();
        for (name, secret) in beginning.and_then(|b| held.get(b)).into_iter().flatten() {
            if bytes[from..].starts_with(secret) && !found.contains(name) {
                found.push(*name);
            }
        }
        from += 1;
    }
    found
}

/// That no secret stands in a text.
///
/// # Panics
///
/// When one does; the text is shown with it, for the test has failed and the secret is a test's.
#[track_caller]
pub(crate) fn assert_none_in(what: &str, text: &str) {
    let found = found_in(text);
    if !found.is_empty() {
        let line = text.lines().find(|line| !found_in(line).is_empty());
        panic!("{found:?} in {what}: {}", line.unwrap_or(text));
    }
}

#[test]
fn what_was_noted_is_found_wherever_it_stands_and_nothing_else_is() {
    let secret = super::process::arbitrary_text();
    let answer =
        serde_json::json!({"a": [{"client_secret": secret}], "b": "no secret at all, but long"});
    note_all(&answer);
    let jwt = format!("e30.e30.{}", super::process::arbitrary_text());
    note("a token", &jwt);
    note("short", "0123456789");
    for (text, found) in [
        (secret.clone(), vec!["client_secret"]),
        (format!("level=INFO x{secret}y"), vec!["client_secret"]),
        (
            format!("…\n{{\"token\":\"{jwt}\"}} {secret}"),
            vec!["a token", "client_secret"],
        ),
        (secret[..63].to_owned(), vec![]),
        (
            "0123456789 no secret at all, but long e30.e30.".to_owned(),
            vec![],
        ),
    ] {
        assert_eq!(found_in(&text), found, "{text}");
    }
}
