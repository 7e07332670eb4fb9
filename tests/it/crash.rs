//! `kill -9` at random moments: what was answered is in the log, what was not is whole or absent.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use auth_agent::store::maintenance;
use reqwest::{RequestBuilder, header};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::{
    log::history_after,
    sql::url_of,
    support::{
        Agent, Api, Authorize, Backend, Client, Env, Reply, WaitingPage, api::authentication,
        process::arbitrary,
    },
};

/// Sign-ins that are under way at the same time.
const AT_ONCE: usize = 6;

/// What a website and an agent were told of one sign-in before the server died.
#[derive(Debug, Clone, Default)]
struct Told {
    verifier: String,
    authenticated: bool,
    code: Option<String>,
    /// The exchange was begun; whether it was answered says `tokens`.
    exchanging: bool,
    tokens: Option<Value>,
    refreshing: bool,
    refreshed: Option<Value>,
}

type Book = Arc<Mutex<BTreeMap<String, Told>>>;

/// The answer, unless the server dies first.
async fn answer(call: RequestBuilder) -> Option<Reply> {
    let response = call.send().await.ok()?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.ok()?;
    let json = serde_json::from_str(&text).unwrap_or(Value::Null);
    Some(
        Reply {
            status,
            headers,
            text,
            json,
        }
        .expect(200),
    )
}

fn token_call(api: &Api, client: &Client, form: &[(&str, &str)]) -> RequestBuilder {
    api.post("/token")
        .basic_auth(&client.id, client.secret.as_deref())
        .form(form)
}

async fn note(book: &Book, id: &str, write: impl FnOnce(&mut Told)) {
    write(book.lock().await.entry(id.to_owned()).or_default());
}

/// Signs in again and again, writing down every answer, until the server dies.
async fn sign_in_until_it_dies(api: Api, client: Client, agent: Agent, book: Book) {
    while one_sign_in(&api, &client, &agent, &book).await.is_some() {}
}

async fn one_sign_in(api: &Api, client: &Client, agent: &Agent, book: &Book) -> Option<()> {
    let asked = Authorize::new(client);
    let opened = answer(api.get(&format!("/authorize?{}", asked.query()))).await?;
    let page = WaitingPage::of(opened);
    let id = &page.request_id;
    note(book, id, |told| {
        told.verifier.clone_from(&asked.pkce.verifier)
    })
    .await;
    if arbitrary().is_multiple_of(8) {
        return Some(());
    }
    let body = authentication(id, agent);
    let call = api.post("/api/agent/authenticate").json(&body);
    answer(call.header(header::COOKIE, &page.cookie)).await?;
    note(book, id, |told| told.authenticated = true).await;

    let call = api.get(&format!("/api/check-status?request_id={id}"));
    let reply = answer(call.header(header::COOKIE, &page.cookie)).await?;
    let code = reply.str("code").to_owned();
    note(book, id, |told| told.code = Some(code.clone())).await;
    if arbitrary().is_multiple_of(2) {
        return Some(());
    }
    note(book, id, |told| told.exchanging = true).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("code_verifier", &*asked.pkce.verifier),
    ];
    let tokens = answer(token_call(api, client, &form)).await?.json;
    note(book, id, |told| told.tokens = Some(tokens.clone())).await;
    if arbitrary().is_multiple_of(2) {
        return Some(());
    }
    note(book, id, |told| told.refreshing = true).await;
    let token = tokens["refresh_token"].as_str().expect("there is one");
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    let refreshed = answer(token_call(api, client, &form)).await?.json;
    note(book, id, |told| told.refreshed = Some(refreshed)).await;
    Some(())
}

/// A request's events are what a sign-in can be at some moment, never the half of a step.
fn makes_sense(types: &[&str]) -> bool {
    const WHOLE: [&str; 5] = [
        "Created",
        "AgentAuthenticated",
        "CodeIssued",
        "CodeRedeemed",
        "TokenRefreshed",
    ];
    WHOLE.starts_with(types) && types.last() != Some(&"AgentAuthenticated")
}

/// Holds what was told against the log.
fn agrees(told: &Told, types: &[&str]) {
    let holds = |name: &str| types.contains(&name);
    assert!(makes_sense(types), "half a step: {types:?}");
    assert!(holds("Created"));
    for (answered, name) in [
        (told.authenticated, "AgentAuthenticated"),
        (told.authenticated, "CodeIssued"),
        (told.tokens.is_some(), "CodeRedeemed"),
        (told.refreshed.is_some(), "TokenRefreshed"),
    ] {
        assert!(
            !answered || holds(name),
            "{name} was answered and is lost: {types:?}"
        );
    }
    assert!(told.exchanging || !holds("CodeRedeemed"));
    assert!(told.refreshing || !holds("TokenRefreshed"));
}

/// Every code that was answered works once, unless it has been used already.
async fn works_exactly_once(api: &Api, client: &Client, told: &Told, types: &[&str]) {
    let Some(code) = &told.code else { return };
    if let Some(tokens) = told.refreshed.as_ref().or(told.tokens.as_ref()) {
        if told.refreshed.is_some() == told.refreshing {
            let token = tokens["refresh_token"].as_str().expect("there is one");
            assert!(
                api.is_active(client, token).await,
                "an answered token is dead"
            );
        }
        return;
    }
    let reply = api.redeem(client, code, &told.verifier).await;
    if types.contains(&"CodeRedeemed") {
        // Committed, and the answer lost with the server: it does not work a second time.
        reply.refused(400, "invalid_grant");
    } else {
        reply.expect(200);
        api.redeem(client, code, &told.verifier)
            .await
            .refused(400, "invalid_grant");
    }
}

/// Kills the server so often, and looks each time.
async fn survives(env: Env, deaths: usize) {
    let set = |options: &mut crate::support::Options| {
        options
            .flag("--code-lifetime", 600)
            .flag("--request-lifetime", 3_600);
    };
    let mut server = env.start(set).await;
    let client = server
        .api()
        .create_client(json!({"id_token_signed_response_alg": "EdDSA"}))
        .await;
    let agent = server.api().create_agent(json!({})).await;
    let (mut position, mut steps) = (0, 0);
    for _ in 0..deaths {
        let book = Book::default();
        let load: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let (api, client, agent) = (server.api(), client.clone(), agent.clone());
                tokio::spawn(sign_in_until_it_dies(api, client, agent, Arc::clone(&book)))
            })
            .collect();
        // The moment is any moment; nothing is expected to have happened by then.
        tokio::time::sleep(Duration::from_millis(20 + arbitrary() % 500)).await;
        server.kill9();
        for one in load {
            one.await.expect("the load has nothing to complain about");
        }
        server.restart().await;

        let api = server.api();
        let events = history_after(&api, position, "").await;
        let mut streams: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for event in &events {
            position += 1;
            assert_eq!(event["position"], position, "positions are dense");
            if let Some(id) = event["stream"]
                .as_str()
                .unwrap()
                .strip_prefix("auth_request/")
            {
                streams
                    .entry(id)
                    .or_default()
                    .push(event["type"].as_str().unwrap());
            }
        }
        let book = book.lock().await;
        for types in streams.values() {
            assert!(makes_sense(types), "half a step: {types:?}");
        }
        for (id, told) in book.iter() {
            let types = streams.get(id.as_str()).cloned().unwrap_or_default();
            agrees(told, &types);
            works_exactly_once(&api, &client, told, &types).await;
            steps += types.len();
        }
        let report = maintenance::check(&url_of(&server))
            .await
            .expect("the check runs");
        assert_eq!((report.differences, &report.told), (0, &Vec::new()));
        // What the looking itself appended.
        position = report.position;
    }
    assert!(
        steps > deaths * 5,
        "the load did next to nothing: {steps} steps"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_deaths_on_sqlite_lose_nothing_that_was_answered() {
    survives(
        Env {
            backend: Backend::Sqlite,
        },
        50,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_deaths_on_postgresql_lose_nothing_that_was_answered() {
    survives(
        Env {
            backend: Backend::Postgres,
        },
        10,
    )
    .await;
}
