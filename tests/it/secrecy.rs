//! What was handed out or passed through once is in no file, no table and no log line.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;

use crate::support::{Api, TestServer, Tokens, on_both_databases};

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

on_both_databases! {
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
