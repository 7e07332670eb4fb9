//! How often a caller may come (`http-api.md`, §6). The limits here are so slow that nothing is won
//! back while a test runs.

mod counted;

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::{
    log::acts,
    support::{
        Agent, Api, Authorize, Client, Env, Reply, TestServer, WaitingPage, api::authentication,
        on_both_databases, process::eventually,
    },
};

/// No such request: told to agents that have proved who they are, and to nobody else.
const NOWHERE: &str = "req_00000000000000000000000000000000";
const SIGN_IN: &str = "/api/agent/authenticate";

/// A server with one limit, behind a proxy on loopback that says where calls come from.
async fn limited(env: Env, limit: &str, value: &str) -> TestServer {
    env.start(|options| {
        options
            .issuer("https://auth.example")
            .flag("--trusted-proxies", "127.0.0.0/8")
            .env("AUTH_AGENT_LIMITS", "on")
            .env("AUTH_AGENT_LOG", "debug");
        for name in [
            "requests-per-address",
            "requests-per-client",
            "pending-per-client",
            "failures",
            "calls-per-agent",
        ] {
            let value = if name == limit { value } else { "0" };
            options.flag(&format!("--limit-{name}"), value);
        }
    })
    .await
}

/// A call that the proxy passes on from there.
fn from(address: &str, call: RequestBuilder) -> RequestBuilder {
    call.header("x-forwarded-for", address)
}

/// An agent's call that can only come to 404.
async fn sign_in(api: &Api, address: &str, id: &str, secret: &str) -> Reply {
    let body = json!({
        "request_id": NOWHERE, "agent_id": id, "agent_secret": secret, "model": "a model",
    });
    api.send(from(address, api.post(SIGN_IN).json(&body))).await
}

#[track_caller]
fn held_back(reply: &Reply, error: &str) {
    reply.refused(429, error);
    comes_back_within_the_hour(reply);
}

#[track_caller]
fn comes_back_within_the_hour(reply: &Reply) {
    let seconds: u64 = reply.header("retry-after").parse().expect("seconds");
    assert!((1..=3_600).contains(&seconds), "{seconds}");
}

/// Another secret that looks like it.
fn guess(agent: &Agent) -> String {
    format!("{}x", agent.secret)
}

async fn begin(api: &Api, address: &str, asked: &Authorize, cookie: &str) -> Reply {
    let mut call = from(address, api.get(&format!("/authorize?{}", asked.query())));
    if !cookie.is_empty() {
        call = call.header("cookie", cookie);
    }
    api.send(call).await
}

#[track_caller]
fn held_back_on_a_page(reply: &Reply) {
    assert_eq!(reply.status, 429, "{}", reply.text);
    assert!(reply.header("content-type").starts_with("text/html"));
    assert!(
        reply.text.contains("temporarily_unavailable"),
        "{}",
        reply.text
    );
    assert_eq!(reply.header("location"), "");
    assert_eq!(reply.header("set-cookie"), "");
    comes_back_within_the_hour(reply);
}

/// Waits until the server has said that so many times.
async fn told(server: &TestServer, what: &str, times: usize) {
    eventually(what, async || {
        (server.logs().matches(what).count() == times).then_some(())
    })
    .await;
}

/// How many requests the log says were opened.
async fn opened(api: &Api) -> usize {
    acts(api, "type=Created").await.len()
}

on_both_databases! {
    async fn who_guesses_is_held_back_and_the_agent_elsewhere_is_not(env: Env) {
        let server = limited(env, "failures", "1/h burst 3").await;
        let api = server.api();
        let (agent, other) = (api.create_agent(json!({})).await, api.create_agent(json!({})).await);
        let before = acts(&api, "").await;
        let guessed = guess(&agent);
        // What is right counts for nothing.
        for _ in 0..10 {
            sign_in(&api, "192.0.2.1", &agent.id, &agent.secret).await.refused(404, "unknown_request");
        }
        for _ in 0..3 {
            sign_in(&api, "192.0.2.1", &agent.id, &guessed).await.refused(401, "invalid_agent");
        }
        for secret in [&guessed, &agent.secret] {
            let reply = sign_in(&api, "192.0.2.1", &agent.id, secret).await;
            held_back(&reply, "slow_down");
            assert_eq!(reply.json["success"], false);
        }
        // The same agent from elsewhere, and another one from there.
        for (address, agent) in [("192.0.2.2", &agent), ("2001:db8::1", &agent), ("192.0.2.1", &other)] {
            sign_in(&api, address, &agent.id, &agent.secret).await.refused(404, "unknown_request");
        }
        assert_eq!(acts(&api, "").await, before);
        // Each is told to whoever looks closely.
        told(&server, "too many failed authentications", 2).await;
        for secret in [&guessed, &agent.secret] {
            assert!(!server.logs().contains(secret.as_str()), "a secret was logged");
        }
    }

    async fn unknown_agents_are_held_back_like_known_ones(env: Env) {
        let server = limited(env, "failures", "1/h burst 2").await;
        let api = server.api();
        let agent = api.create_agent(json!({})).await;
        let unknown = NOWHERE.replace("req", "agent");
        let mut answers = vec![];
        for id in [agent.id.as_str(), &unknown, "no id at all"] {
            let mut statuses = vec![];
            for _ in 0..4 {
                statuses.push(sign_in(&api, "192.0.2.1", id, "guess").await.status);
            }
            answers.push(statuses);
        }
        assert_eq!(answers, vec![vec![401, 401, 429, 429]; 3]);
    }

    async fn a_body_that_cannot_be_read_is_told_before_a_limit(env: Env) {
        let server = limited(env, "failures", "1/h burst 1").await;
        let api = server.api();
        let agent = api.create_agent(json!({})).await;
        sign_in(&api, "192.0.2.1", &agent.id, "guess").await.refused(401, "invalid_agent");
        held_back(&sign_in(&api, "192.0.2.1", &agent.id, "guess").await, "slow_down");
        let call = |media_type, body: String| {
            let call = api.post(SIGN_IN).header("content-type", media_type).body(body);
            api.send(from("192.0.2.1", call))
        };
        let whole = authentication(NOWHERE, &agent).to_string();
        call("application/json", " ".repeat(16 * 1024 + 1)).await.refused(413, "too_large");
        call("text/plain", whole.clone()).await.refused(415, "unsupported_media_type");
        let partly = json!({"agent_id": agent.id, "agent_secret": agent.secret}).to_string();
        call("application/json", partly).await.refused(400, "invalid_request");
        held_back(&call("application/json", whole).await, "slow_down");
    }

    async fn whose_address_is_not_known_is_not_held_back_for_others(env: Env) {
        let server = limited(env, "failures", "1/h burst 1").await;
        let api = server.api();
        let agent = api.create_agent(json!({})).await;
        for nobody in ["unknown", "127.0.0.9"] {
            for _ in 0..3 {
                sign_in(&api, nobody, &agent.id, &guess(&agent)).await.refused(401, "invalid_agent");
            }
            sign_in(&api, nobody, &agent.id, &agent.secret).await.refused(404, "unknown_request");
        }
    }

    async fn a_client_that_guesses_is_held_back_at_every_endpoint_together(env: Env) {
        let server = limited(env, "failures", "1/h burst 3").await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let other = api.create_client(json!({"token_endpoint_auth_method": "client_secret_post"})).await;
        let call = async |address: &str, path: &str, client: &Client, secret: Option<&str>| {
            let secret = secret.or(client.secret.as_deref());
            let form = [("grant_type", "authorization_code"), ("token", "x")];
            let call = api.post(path).basic_auth(&client.id, secret).form(&form);
            api.send(from(address, call)).await
        };
        let paths = ["/token", "/introspect", "/revoke"];
        for path in paths {
            call("192.0.2.1", path, &client, Some("guess")).await.refused(401, "invalid_client");
        }
        for path in paths {
            for secret in [Some("guess"), None] {
                held_back(&call("192.0.2.1", path, &client, secret).await, "slow_down");
            }
            // No guess, though not let in: it holds the secret and sends it in the wrong way.
            for _ in 0..2 {
                call("192.0.2.1", path, &other, None).await.refused(401, "invalid_client");
            }
        }
        call("192.0.2.2", "/revoke", &client, None).await.expect(200);
        call("192.0.2.2", "/introspect", &client, None).await.expect(200);
    }

    async fn an_agent_that_calls_too_often_is_told_so_and_nobody_can_spend_its_calls(env: Env) {
        let server = limited(env, "calls-per-agent", "1/h burst 2").await;
        let api = server.api();
        let (agent, other) = (api.create_agent(json!({})).await, api.create_agent(json!({})).await);
        for _ in 0..5 {
            sign_in(&api, "192.0.2.1", &agent.id, &guess(&agent)).await.refused(401, "invalid_agent");
        }
        let client = api.create_client(json!({})).await;
        let page = api.authorize(&Authorize::new(&client)).await;
        api.authenticate(&page, &agent).await.expect(200);
        sign_in(&api, "192.0.2.2", &agent.id, &agent.secret).await.refused(404, "unknown_request");
        // Wherever it calls from; also when it only repeats itself.
        for address in ["192.0.2.1", "192.0.2.3"] {
            held_back(&sign_in(&api, address, &agent.id, &agent.secret).await, "slow_down");
        }
        held_back(&api.authenticate(&page, &agent).await, "slow_down");
        sign_in(&api, "192.0.2.1", &agent.id, "guess").await.refused(401, "invalid_agent");
        sign_in(&api, "192.0.2.1", &other.id, &other.secret).await.refused(404, "unknown_request");
    }

    async fn who_opens_too_many_pages_is_told_on_a_page_and_may_reload_those_it_has(env: Env) {
        let server = limited(env, "requests-per-address", "1/h burst 2").await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let other = api.create_client(json!({})).await;
        let asked = Authorize::new(&client);
        let page = WaitingPage::of(begin(&api, "192.0.2.1", &asked, "").await);
        begin(&api, "192.0.2.1", &Authorize::new(&other), "").await.expect(200);
        let too_many = Authorize::new(&client);
        held_back_on_a_page(&begin(&api, "192.0.2.1", &too_many, "").await);
        let form = from("192.0.2.1", api.post("/authorize").form(&too_many.params));
        held_back_on_a_page(&api.send(form).await);
        for _ in 0..5 {
            let reload = begin(&api, "192.0.2.1", &asked, &page.cookie).await;
            assert_eq!(WaitingPage::of(reload).request_id, page.request_id);
        }
        // What opens nothing is not counted, nor held back.
        let head = api.call(Method::HEAD, &format!("/authorize?{}", too_many.query()));
        api.send(from("192.0.2.1", head)).await.expect(200);
        begin(&api, "192.0.2.1", &too_many.clone().without("state").with("scope", "no such"), "")
            .await
            .expect(303);
        begin(&api, "192.0.2.2", &too_many, "").await.expect(200);
        assert_eq!(opened(&api).await, 3);
    }

    async fn a_website_that_is_flooded_leaves_the_others_alone(env: Env) {
        let server = limited(env, "requests-per-client", "1/h burst 3").await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let other = api.create_client(json!({})).await;
        for address in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
            begin(&api, address, &Authorize::new(&client), "").await.expect(200);
        }
        held_back_on_a_page(&begin(&api, "192.0.2.3", &Authorize::new(&client), "").await);
        begin(&api, "192.0.2.3", &Authorize::new(&other), "").await.expect(200);
        assert_eq!(opened(&api).await, 4);
    }

    async fn pages_that_wait_for_one_client_are_bounded_also_after_a_restart(env: Env) {
        let mut server = limited(env, "pending-per-client", "3").await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let other = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let asked = Authorize::new(&client);
        let page = WaitingPage::of(begin(&api, "192.0.2.1", &asked, "").await);
        for address in ["192.0.2.2", "192.0.2.3"] {
            begin(&api, address, &Authorize::new(&client), "").await.expect(200);
        }
        held_back_on_a_page(&begin(&api, "192.0.2.4", &Authorize::new(&client), "").await);
        begin(&api, "192.0.2.4", &Authorize::new(&other), "").await.expect(200);
        begin(&api, "192.0.2.1", &asked, &page.cookie).await.expect(200);
        assert_eq!(opened(&api).await, 4);
        // One of them waits no longer: there is room for one more, whoever counts.
        api.authenticate(&page, &agent).await.expect(200);
        server.restart().await;
        let api = server.api();
        begin(&api, "192.0.2.4", &Authorize::new(&client), "").await.expect(200);
        held_back_on_a_page(&begin(&api, "192.0.2.4", &Authorize::new(&client), "").await);
        assert_eq!(opened(&api).await, 5);
    }

    async fn off_lifts_every_limit_and_is_told_at_start(env: Env) {
        let mut server = env.start(|options| {
            options.flag("--limits", "off").flag("--limit-failures", "1/h burst 1");
        }).await;
        let api = server.api();
        let agent = api.create_agent(json!({})).await;
        let guesses = async |answers: &[u16]| {
            for answer in answers {
                sign_in(&api, "", &agent.id, "guess").await.expect(*answer);
            }
        };
        guesses(&[401; 5]).await;
        told(&server, "limits are off", 1).await;
        server.restart_with(|options| { options.env("AUTH_AGENT_LIMITS", "on"); }).await;
        // The flag comes first.
        guesses(&[401; 3]).await;
        told(&server, "limits are off", 2).await;
    }
}
