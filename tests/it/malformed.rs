//! Nothing that a caller sends makes a 500, a panic, or a server that no longer works.

mod framing;
mod matrix;
mod parameters;
mod values;
mod wild;

use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::support::{
    Api, Authorize, TestServer, WaitingPage, on_both_databases,
    raw::{Call, Raw},
};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// Calls under way at the same time.
const AT_ONCE: usize = 8;

/// Ids, secrets and tokens of this server, so that what is odd gets past the first check.
struct Known {
    admin_key: String,
    client: crate::support::Client,
    agent: crate::support::Agent,
    page: WaitingPage,
    asked: Authorize,
    code: String,
    access_token: String,
    refresh_token: String,
}

impl Known {
    async fn of(server: &TestServer) -> Self {
        let api = server.api();
        let client = api
            .create_client(json!({"id_token_signed_response_alg": "EdDSA"}))
            .await;
        let agent = api.create_agent(json!({})).await;
        let done = api.sign_in(&client, &agent).await;
        let asked = Authorize::new(&client);
        let page = api.authorize(&asked).await;
        Self {
            admin_key: server.admin_key().to_owned(),
            code: done.code,
            access_token: done.tokens.access_token.clone(),
            refresh_token: done.tokens.refresh().to_owned(),
            client,
            agent,
            page,
            asked,
        }
    }
}

/// Sends them all; none may come back as the server's fault.
async fn survives(server: &TestServer, calls: Vec<Call>) {
    let count = calls.len();
    let answers: Vec<(Call, Option<Raw>)> = stream::iter(calls)
        .map(|call| async move {
            let answer = call.send(server.address()).await;
            (call, answer)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut unanswered = 0;
    for (call, answer) in &answers {
        let Some(answer) = answer else {
            unanswered += 1;
            continue;
        };
        // The documented 503s: what a browser fetches ahead of its user creates nothing, and a browser
        // holds four streams at most.
        let documented = call.has("sec-purpose") || answer.body.contains("too many streams");
        assert!(
            answer.status < 500 || answer.status == 503 && documented,
            "{answer:?} to\n{}",
            String::from_utf8_lossy(&call.bytes(server.address()))
        );
    }
    // A connection may be cut where a body is too large to be read; it is not the rule.
    assert!(
        unanswered * 50 <= count,
        "{unanswered} of {count} had no answer"
    );
}

/// The server still is what it was.
async fn still_works(server: &TestServer, api: &Api) {
    assert!(api.is_ready().await);
    let logs = server.logs();
    assert!(!logs.contains("panicked"), "{logs}");
    let client = api.create_client(json!({})).await;
    let agent = api.create_agent(json!({})).await;
    let done = api.sign_in(&client, &agent).await;
    assert!(api.is_active(&client, &done.tokens.access_token).await);
}

on_both_databases! {
    async fn never_a_500_never_a_panic(env: Env) {
        let server = env.start(|_| {}).await;
        let known = Known::of(&server).await;
        survives(&server, matrix::methods(&known)).await;
        survives(&server, matrix::headers(&known)).await;
        survives(&server, matrix::bodies(&known)).await;
        survives(&server, parameters::parameters(&known)).await;
        framing::sent(&server).await;
        still_works(&server, &server.api()).await;
    }

    async fn nor_by_anything_that_comes_by_chance(env: Env) {
        let server = env.start(|_| {}).await;
        let known = Known::of(&server).await;
        let seed = wild::seed();
        println!("the seed: AUTH_AGENT_TEST_SEED={seed}");
        survives(&server, wild::calls(seed, &known, 3_000)).await;
        still_works(&server, &server.api()).await;
    }

    async fn what_is_refused_says_so_in_its_own_words(env: Env) {
        let server = env.server().await;
        let post = |media_type: &str, body: Vec<u8>| {
            Call::new("POST", "/token").header("Content-Type", media_type).body(body)
        };
        let deep = [b"[".repeat(20_000), b"]".repeat(20_000)].concat();
        for (call, status, error) in [
            (post(FORM, vec![b'x'; 65_537]), 413, "\"error\""),
            (post(JSON, deep), 400, "invalid_request"),
            (post(JSON, b"{\"grant_type\":\"\\u0000\"}".to_vec()), 400, "invalid_request"),
            (post(FORM, b"grant_type=%00".to_vec()), 400, "invalid_request"),
            (post("text/plain", b"grant_type=x".to_vec()), 415, "\"error\""),
            (Call::new("BREW", "/token"), 405, "method_not_allowed"),
            (Call::new("GET", "/%ff"), 404, "not_found"),
            (Call::new("GET", "/%"), 404, "not_found"),
        ] {
            let answer = call.send(server.address()).await.expect("it is answered");
            assert_eq!(answer.status, status, "{call:?}: {answer:?}");
            assert!(answer.body.contains(error), "{call:?}: {answer:?}");
            assert_eq!(answer.header("content-type"), "application/json");
            assert!(!answer.header("x-request-id").is_empty());
        }
    }
}
