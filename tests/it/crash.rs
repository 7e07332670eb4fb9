//! `kill -9` at random moments: what was answered is in the log, what was not is whole or absent.

use std::{collections::BTreeMap, sync::Arc};

use auth_agent::store::maintenance;
use reqwest::{Method, RequestBuilder, header};
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};

use crate::{
    log::history_after,
    sql::url_of,
    support::{
        Agent, Api, Authorize, Backend, Client, Env, Reply, WaitingPage,
        api::authentication,
        described,
        process::{PATIENCE, arbitrary},
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
    revoking: bool,
    revoked: bool,
}

/// What a website, an agent and an administrator were told before the server died.
#[derive(Debug, Default)]
struct Book {
    sign_ins: Mutex<BTreeMap<String, Told>>,
    /// Agents that were registered, with their owners' addresses.
    agents: Mutex<Vec<(Agent, String)>>,
    /// How many answers there were in all.
    answers: watch::Sender<usize>,
}

impl Book {
    async fn note(&self, id: &str, write: impl FnOnce(&mut Told)) {
        write(self.sign_ins.lock().await.entry(id.to_owned()).or_default());
    }

    /// The answer, unless the server dies first.
    async fn answer(&self, call: RequestBuilder, expected: u16) -> Option<Reply> {
        let (http, request) = call.build_split();
        let request = request.expect("the call is whole");
        let (method, path) = (
            request.method().to_string(),
            request.url().path().to_owned(),
        );
        let response = http.execute(request).await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let reply = Reply::of(status, headers, response.text().await.ok()?);
        described::assert_described(&described::Answer {
            method: &method,
            path: &path,
            sent: None,
            status,
            headers: described::plain(&reply.headers),
            body: Some(&reply.text),
        });
        let reply = reply.expect(expected);
        let reply = reply.expect(expected);
        self.answers.send_modify(|answers| *answers += 1);
        Some(reply)
    }
}

fn token_call(api: &Api, client: &Client, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
    api.post(path)
        .basic_auth(&client.id, client.secret.as_deref())
        .form(form)
}

/// Signs in again and again, writing down every answer, until the server dies.
async fn sign_in_until_it_dies(api: Api, client: Client, agent: Agent, book: Arc<Book>) {
    while one_sign_in(&api, &client, &agent, &book).await.is_some() {}
}

async fn one_sign_in(api: &Api, client: &Client, agent: &Agent, book: &Book) -> Option<()> {
    let asked = Authorize::new(client);
    let call = api.get(&format!("/authorize?{}", asked.query()));
    let page = WaitingPage::of(book.answer(call, 200).await?);
    let id = &page.request_id;
    book.note(id, |told| told.verifier.clone_from(&asked.pkce.verifier))
        .await;
    if arbitrary().is_multiple_of(8) {
        return Some(());
    }
    let body = authentication(id, agent);
    let call = api.post("/api/agent/authenticate").json(&body);
    book.answer(call.header(header::COOKIE, &page.cookie), 200)
        .await?;
    book.note(id, |told| told.authenticated = true).await;

    let call = api.get(&format!("/api/check-status?request_id={id}"));
    let reply = book
        .answer(call.header(header::COOKIE, &page.cookie), 200)
        .await?;
    let code = reply.str("code").to_owned();
    book.note(id, |told| told.code = Some(code.clone())).await;
    if arbitrary().is_multiple_of(2) {
        return Some(());
    }
    book.note(id, |told| told.exchanging = true).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("code_verifier", &*asked.pkce.verifier),
    ];
    let tokens = book
        .answer(token_call(api, client, "/token", &form), 200)
        .await?
        .json;
    book.note(id, |told| told.tokens = Some(tokens.clone()))
        .await;
    let mut token = tokens["refresh_token"].as_str()?.to_owned();
    if arbitrary().is_multiple_of(2) {
        book.note(id, |told| told.refreshing = true).await;
        let form = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
        let refreshed = book
            .answer(token_call(api, client, "/token", &form), 200)
            .await?
            .json;
        refreshed["refresh_token"].as_str()?.clone_into(&mut token);
        book.note(id, |told| told.refreshed = Some(refreshed)).await;
    }
    if arbitrary().is_multiple_of(3) {
        book.note(id, |told| told.revoking = true).await;
        let form = [("token", &*token)];
        book.answer(token_call(api, client, "/revoke", &form), 200)
            .await?;
        book.note(id, |told| told.revoked = true).await;
    }
    Some(())
}

/// Registers agents, each with an owner of its own, until the server dies.
async fn register_until_it_dies(api: Api, book: Arc<Book>) {
    loop {
        let email = format!("ada.{:x}@people.example", arbitrary());
        let body = json!({"agent_name": "x", "user_email": email, "user_name": "x"});
        let call = api
            .post("/api/admin/agents")
            .bearer_auth(&api.admin_key)
            .json(&body);
        let Some(reply) = book.answer(call, 201).await else {
            return;
        };
        let agent = Agent {
            id: reply.str("agent_id").to_owned(),
            secret: reply.str("agent_secret").to_owned(),
            owner_id: reply.str("owner_id").to_owned(),
            json: reply.json,
        };
        book.agents.lock().await.push((agent, email));
    }
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
    let (types, ended) = match types {
        // Only what holds tokens is revoked here.
        [before @ .., "Revoked"] => (before, before.contains(&"CodeRedeemed")),
        types => (types, true),
    };
    ended && WHOLE.starts_with(types) && types.last() != Some(&"AgentAuthenticated")
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
        (told.revoked, "Revoked"),
    ] {
        assert!(
            !answered || holds(name),
            "{name} was answered and is lost: {types:?}"
        );
    }
    assert!(told.exchanging || !holds("CodeRedeemed"));
    assert!(told.refreshing || !holds("TokenRefreshed"));
    assert!(told.revoking || !holds("Revoked"));
}

/// Every code that was answered works once, unless it has been used already.
async fn works_exactly_once(api: &Api, client: &Client, told: &Told, types: &[&str]) {
    let Some(code) = &told.code else { return };
    if let Some(tokens) = told.refreshed.as_ref().or(told.tokens.as_ref()) {
        if told.refreshed.is_some() == told.refreshing {
            let token = tokens["refresh_token"].as_str().expect("there is one");
            let revoked = types.contains(&"Revoked");
            assert_eq!(
                api.is_active(client, token).await,
                !revoked,
                "what was answered lives, what was revoked does not"
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

/// Every agent in the log is whole, with owner, name and address; every one that was answered is
/// there, and its secret works.
async fn agents_are_whole(api: &Api, client: &Client, book: &Book, events: &[Value]) {
    let known = book.agents.lock().await;
    let registered = |stream: &str| {
        let mut its = events.iter().filter(|event| event["stream"] == *stream);
        its.any(|event| event["type"] == "Registered")
    };
    for (agent, email) in known.iter() {
        assert!(
            registered(&format!("agent/{}", agent.id)),
            "an answered agent is lost"
        );
        assert!(registered(&format!("owner/{}", agent.owner_id)));
        let path = format!("/agents/{}", agent.id);
        let shown = api.admin(Method::GET, &path, None).await.expect(200);
        assert_eq!(shown.json["user_email"], *email);
    }
    for event in events.iter().filter(|event| event["type"] == "Registered") {
        let stream = event["stream"].as_str().unwrap();
        if let Some(id) = stream.strip_prefix("agent/") {
            let shown = api.admin(Method::GET, &format!("/agents/{id}"), None).await;
            let shown = shown.expect(200);
            assert!(shown.json["user_email"].is_string() && shown.json["agent_name"].is_string());
            let owner = event["payload"]["owner_id"].as_str().unwrap();
            assert!(
                registered(&format!("owner/{owner}")),
                "an agent without its owner"
            );
        }
    }
    if let Some((agent, _)) = known.last() {
        let page = api.authorize(&Authorize::new(client)).await;
        api.authenticate(&page, agent).await.expect(200);
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
    let mut position = 0;
    for _ in 0..deaths {
        let book = Arc::new(Book::default());
        let mut answers = book.answers.subscribe();
        let mut load: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let (api, client, agent) = (server.api(), client.clone(), agent.clone());
                tokio::spawn(sign_in_until_it_dies(api, client, agent, Arc::clone(&book)))
            })
            .collect();
        load.push(tokio::spawn(register_until_it_dies(
            server.api(),
            Arc::clone(&book),
        )));
        // Any moment, counted in answers and not in seconds: as much has been done on a slow machine
        // as on a fast one, and all of the load is somewhere between two answers.
        let moment = usize::try_from(arbitrary() % 120).unwrap();
        let reached = answers.wait_for(|answers| *answers >= moment);
        let reached = tokio::time::timeout(PATIENCE, reached).await;
        reached.expect("the load gets on").expect("it is counted");
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
        for types in streams.values() {
            assert!(makes_sense(types), "half a step: {types:?}");
        }
        agents_are_whole(&api, &client, &book, &events).await;
        for (id, told) in book.sign_ins.lock().await.iter() {
            let types = streams.get(id.as_str()).cloned().unwrap_or_default();
            agrees(told, &types);
            works_exactly_once(&api, &client, told, &types).await;
        }
        let report = maintenance::check(&url_of(&server))
            .await
            .expect("the check runs");
        assert_eq!((report.differences, &report.told), (0, &Vec::new()));
        // What the looking itself appended.
        position = report.position;
    }
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
async fn fifty_deaths_on_postgresql_lose_nothing_that_was_answered() {
    survives(
        Env {
            backend: Backend::Postgres,
        },
        50,
    )
    .await;
}
