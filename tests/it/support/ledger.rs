//! Every secret, code and token that the tests of this run have ever held, and that none of them stands
//! where it does not belong: in a log line of any server, in any refusal or redirect with an error, in the
//! metrics, in what a job prints that did not make it.
//!
//! What is handed out is noted where answers are read; refusals are looked through there as well, logs and
//! metrics when a server is stopped or dropped and after each test that used a shared one, what other
//! processes print when they have ended.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    process::Command,
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
                    (None, Some(text)) if name == "redirect_to" => redirected(text),
                    _ => note_all(value),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(note_all),
        _ => {}
    }
}

/// Notes the code that an address carries; one that carries an error carries nothing else that is secret.
#[track_caller]
pub(crate) fn redirected(address: &str) {
    let query = address.split(['?', '&', '#']);
    for (name, value) in query.filter_map(|pair| pair.split_once('=')) {
        match name {
            "code" => note("a code", value),
            "error" => assert_none_in("a redirect with an error", address),
            _ => {}
        }
    }
}

/// Looks through an answer that refuses, and notes what any other hands out.
#[track_caller]
pub(crate) fn answered<'a>(
    status: u16,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: &str,
) {
    if status >= 400 {
        assert_none_in("a refusal", body);
    } else if let Ok(json) = serde_json::from_str(body) {
        note_all(&json);
    }
    for (name, value) in headers {
        if name.eq_ignore_ascii_case("set-cookie") {
            let cookie = value.split(';').next().unwrap_or_default();
            if let Some((_, secret)) = cookie.split_once('=') {
                note("a cookie", secret);
            }
        } else if name.eq_ignore_ascii_case("location") {
            redirected(value);
        } else if status >= 400 {
            assert_none_in("a header of a refusal", value);
        }
    }
}

/// Looks through what a job has printed, and then notes what it was the first to show: making a secret,
/// and showing it once, is what some jobs are for.
#[track_caller]
pub(crate) fn printed(job: &Command, texts: [&str; 2]) {
    for text in texts {
        assert_none_in("what a job printed", text);
    }
    for line in texts.iter().flat_map(|text| text.lines()) {
        if let Ok(json) = serde_json::from_str(line) {
            note_all(&json);
        } else if let Some(shown) = line.strip_suffix(" (shown this once)") {
            note("a secret that a job has shown", last_word(shown));
        }
    }
    let mut words = job.get_args().skip_while(|word| *word != "--secret-file");
    if let (Some(folder), Some(file)) = (job.get_current_dir(), words.nth(1)) {
        note_file("a secret in a file", &folder.join(file));
    }
}

fn last_word(text: &str) -> &str {
    text.rsplit(' ').next().unwrap_or_default()
}

/// Notes the keys that a first start leaves in a data folder.
pub(crate) fn note_keys(data: &Path) {
    note_file("the first admin key", &data.join("admin.key"));
    note_file("a master key", &data.join("master.key"));
}

fn note_file(name: &'static str, file: &Path) {
    // Most jobs and servers are told their secrets, and write none.
    if let Ok(text) = fs::read_to_string(file) {
        note(name, text.trim());
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

// What looks for them in servers, jobs and answers is tested in `harness::planted`.
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
