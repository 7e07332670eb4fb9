//! What was handed out or passed through once is in no file, no table and no log line.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::json;
use url::form_urlencoded;

use crate::{
    log::history,
    support::{
        Api, TestServer, Tokens, api::authentication, on_both_databases, process::arbitrary,
    },
};

/// What must be nowhere, with a name for each.
type Secrets = Vec<(&'static str, Vec<u8>)>;

fn mac_of(artefact: &str) -> &str {
    artefact
        .rsplit('.')
        .next()
        .expect("an artefact ends in its MAC")
}

/// Signs in, refreshes, asks and revokes; yields what nobody may find, and what nobody may find once
/// the sign-in is done.
async fn lives(api: &Api) -> (Secrets, Secrets) {
    let (mut never, mut not_after): (Secrets, Secrets) = (Vec::new(), Vec::new());
    let client = api.create_client(json!({})).await;
    let agent = api.create_agent(json!({})).await;
    let mut add = |name, text: &str| never.push((name, text.as_bytes().to_vec()));
    add("a client's secret", client.secret.as_deref().unwrap());
    add("an agent's secret", &agent.secret);
    add("the admin key", &api.admin_key);
    for _ in 0..20 {
        let done = api.sign_in(&client, &agent).await;
        let next = Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
        assert!(api.is_active(&client, &next.access_token).await);
        add("a code", mac_of(&done.code));
        add("a cookie", done.page.cookie.split_once('=').unwrap().1);
        add("a verifier", &done.asked.pkce.verifier);
        for tokens in [&done.tokens, &next] {
            let id_token = tokens.id_token.as_deref().unwrap();
            add("a refresh token", mac_of(tokens.refresh()));
            add("an access token", mac_of(&tokens.access_token));
            add("an ID token", mac_of(id_token));
        }
        not_after.push(("a state", done.asked.state.into_bytes()));
        not_after.push(("a nonce", done.asked.nonce.into_bytes()));
    }
    // Neither as text nor as the bytes that the text stands for.
    let raw: Secrets = never
        .iter()
        .filter_map(|(name, text)| Some((*name, BASE64_URL_SAFE_NO_PAD.decode(text).ok()?)))
        .filter(|(_, bytes)| bytes.len() >= 16)
        .collect();
    never.extend(raw);
    (never, not_after)
}

fn found(haystack: &[u8], secrets: &Secrets) -> Vec<&'static str> {
    let holds = |needle: &[u8]| {
        // The first byte is looked for by a fast search, the rest compared.
        let mut from = 0;
        while let Some(at) = haystack[from..].iter().position(|byte| *byte == needle[0]) {
            if haystack[from + at..].starts_with(needle) {
                return true;
            }
            from += at + 1;
        }
        false
    };
    let mut names: Vec<&str> = secrets
        .iter()
        .filter(|(_, needle)| holds(needle))
        .map(|(name, _)| *name)
        .collect();
    names.dedup();
    names
}

fn database_files(server: &TestServer) -> Vec<PathBuf> {
    let files = fs::read_dir(server.data_dir()).expect("the data folder is there");
    let files = files.map(|file| file.expect("an entry").path());
    files
        .filter(|file| file.file_name().unwrap().to_str().unwrap().contains(".db"))
        .collect()
}

/// Everything that the database keeps, as text or bytes.
fn contents(server: &TestServer) -> Vec<u8> {
    let Some(database) = server.postgres() else {
        let files = database_files(server);
        assert!(!files.is_empty());
        return files
            .iter()
            .flat_map(|file| fs::read(file).expect("it can be read"))
            .collect();
    };
    let output = Command::new(pg_dump())
        .arg(database.url())
        .output()
        .expect("pg_dump runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Debian keeps PostgreSQL's programs outside of `PATH`; the newest version's is taken.
fn pg_dump() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut programs: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| {
            let number = version.file_name().to_str()?.parse().ok()?;
            Some((number, version.path().join("bin/pg_dump")))
        })
        .filter(|(_, program)| program.exists())
        .collect();
    programs.sort();
    programs
        .pop()
        .map_or_else(|| Path::new("pg_dump").to_owned(), |(_, program)| program)
}

/// Sends secrets and names to wherever they do not belong; yields them, and the answers.
async fn misplaced(api: &Api) -> (Secrets, Vec<String>) {
    let mark = format!("{:x}", arbitrary());
    let (person, agent_name) = (format!("Person {mark}"), format!("Agent {mark}"));
    let email = format!("mail.{mark}@people.example");
    let client = api.create_client(json!({})).await;
    let named = json!({"agent_name": agent_name, "user_name": person, "user_email": email});
    let agent = api.create_agent(named).await;
    let done = api.sign_in(&client, &agent).await;
    api.userinfo(&done.tokens.access_token).await.expect(200);
    for path in ["/agents", "/owners"] {
        api.admin(Method::GET, path, None).await.expect(200);
    }
    let secret = client.secret.as_deref().unwrap();
    let refresh = done.tokens.refresh();
    let secrets = [
        ("a client's secret", secret),
        ("an agent's secret", &agent.secret),
        ("the admin key", &api.admin_key),
        ("a refresh token", refresh),
        ("an access token", &done.tokens.access_token),
        ("a verifier", &done.asked.pkce.verifier),
        ("an address", &email),
        ("a person's name", &person),
        ("an agent's name", &agent_name),
    ];
    let mut answers = Vec::new();
    for (_, text) in secrets {
        let parameters = [
            "grant_type",
            "code",
            "code_verifier",
            "redirect_uri",
            "refresh_token",
            "scope",
            "resource",
            "client_id",
            "client_secret",
            "token",
            "token_type_hint",
            "access_token",
            "unknown",
        ];
        for path in ["/token", "/revoke", "/introspect", "/userinfo"] {
            for name in parameters {
                // A token of its own client where it belongs does what it is for.
                if matches!((path, name), ("/revoke", "token")) {
                    continue;
                }
                let mut form = vec![(name, text), ("grant_type", "authorization_code")];
                form.dedup_by_key(|(name, _)| *name);
                let call = api.post(path).basic_auth(&client.id, Some(secret));
                answers.push(api.send(call.form(&form)).await);
                answers.push(api.send(api.post(path).json(&json!({name: text}))).await);
            }
            answers.push(api.send(api.post(path).json(&json!({text: 1}))).await);
            answers.push(api.send(api.post(path).body(text.to_owned())).await);
            answers.push(
                api.send(
                    api.post(path)
                        .basic_auth(text, Some(text))
                        .form(&[("x", text)]),
                )
                .await,
            );
            answers.push(api.send(api.post(path).header("authorization", text)).await);
        }
        for path in ["/clients", "/agents"] {
            for body in [
                json!({text: text}),
                json!({"scope": text, "allowed_scopes": text}),
                json!(text),
            ] {
                answers.push(api.admin(Method::POST, path, Some(body)).await);
            }
        }
        let binding = json!({
            "client_name": "x", "redirect_uris": ["https://a.example/"], "minimum_binding": text,
        });
        answers.push(api.admin(Method::POST, "/clients", Some(binding)).await);
        for name in [
            "stream",
            "type",
            "agent_id",
            "client_id",
            "since",
            "until",
            "after",
            "limit",
        ] {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair(name, text)
                .finish();
            let call = api.get(&format!("/api/admin/audit-log?{query}"));
            answers.push(api.send(call.bearer_auth(&api.admin_key)).await);
        }
        let mut call = authentication(&done.page.request_id, &agent);
        for name in [
            "request_id",
            "agent_id",
            "expected_origin",
            "expected_client_id",
        ] {
            call[name] = json!(text);
            answers.push(api.authenticate_with(&call, "").await);
        }
    }
    let answers = answers.into_iter().filter(|reply| reply.status >= 400);
    let secrets = secrets.map(|(name, text)| (name, text.as_bytes().to_vec()));
    (secrets.into(), answers.map(|reply| reply.text).collect())
}

on_both_databases! {
    async fn what_is_sent_to_where_it_does_not_belong_is_in_no_log_event_or_refusal(env: Env) {
        let mut server = env.start(|options| { options.env("AUTH_AGENT_LOG", "trace"); }).await;
        let api = server.api();
        let (secrets, answers) = misplaced(&api).await;
        let events = history(&api, "").await;
        server.stop().await;
        let logs = server.logs();
        assert!(logs.contains("DEBUG") && events.len() > 10 && answers.len() > 100);
        // The search finds what is there.
        assert_eq!(found(logs.as_bytes(), &vec![("a level", b"DEBUG".to_vec())]), ["a level"]);
        let leaks: Vec<&str> = logs
            .lines()
            .filter(|line| !found(line.as_bytes(), &secrets).is_empty())
            .take(5)
            .collect();
        assert!(leaks.is_empty(), "{leaks:#?}");
        for event in events {
            assert_eq!(found(event.to_string().as_bytes(), &secrets), [""; 0], "{event}");
        }
        for answer in answers {
            assert_eq!(found(answer.as_bytes(), &secrets), [""; 0], "{answer}");
        }
    }

    async fn nothing_that_was_handed_out_is_in_the_database_or_a_log_line(env: Env) {
        let mut server = env.start(|_| {}).await;
        let (never, not_after) = lives(&server.api()).await;
        let everything = contents(&server);
        // The search finds what is there.
        let there = vec![("an event", b"AgentAuthenticated".to_vec())];
        assert_eq!(found(&everything, &there), ["an event"]);
        assert_eq!(found(&everything, &never), [""; 0]);
        server.stop().await;
        let everything = contents(&server);
        assert_eq!(found(&everything, &there), ["an event"]);
        assert_eq!(found(&everything, &never), [""; 0]);
        assert_eq!(found(&everything, &not_after), [""; 0]);
        let logs = server.logs().into_bytes();
        assert!(!logs.is_empty());
        assert_eq!(found(&logs, &never), [""; 0]);
        assert_eq!(found(&logs, &not_after), [""; 0]);
    }
}
