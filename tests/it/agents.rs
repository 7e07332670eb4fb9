//! POST /api/agent/authenticate: who is let in, who is refused, and in which words.

mod binding;
mod load;
mod order;
mod policy;
mod suspension;

use reqwest::{Method, RequestBuilder, header};
use serde_json::{Value, json};

use crate::support::{
    Agent, Api, Authorize, Client, Reply, WaitingPage, api::authentication, on_both_databases,
};

const PATH: &str = "/api/agent/authenticate";

/// A page of a client registered with these fields.
async fn page(api: &Api, fields: Value) -> (Client, WaitingPage) {
    let client = api.create_client(fields).await;
    let page = api.authorize(&Authorize::new(&client)).await;
    (client, page)
}

/// The body of a faultless call, with other members.
fn body(page: &WaitingPage, agent: &Agent, members: Value) -> Value {
    let mut body = authentication(&page.request_id, agent);
    body.as_object_mut()
        .unwrap()
        .extend(members.as_object().unwrap().clone());
    body
}

/// Asserts what every refusal of an agent has in common.
#[track_caller]
fn refused(reply: &Reply, status: u16, error: &str) {
    reply.refused(status, error);
    assert_eq!(reply.json["success"], false, "{}", reply.text);
    assert!(!reply.str("error_description").is_empty());
}

/// The page waits as before.
async fn still_waits(api: &Api, page: &WaitingPage) {
    assert_eq!(
        api.check_status(page).await.json,
        json!({"status": "pending"})
    );
}

on_both_databases! {
    async fn unknown_agent_and_wrong_secret_are_indistinguishable(env: Env) {
        let api = env.api().await;
        let (_, page) = page(&api, json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let other = api.create_agent(json!({})).await;
        let suspended = api.create_agent(json!({})).await;
        api.suspend(&suspended).await;
        let mut flipped = agent.secret.clone();
        let last = if flipped.pop() == Some('A') { 'B' } else { 'A' };
        flipped.push(last);
        let unknown = "agent_00000000000000000000000000000000";
        let mut answers = vec![];
        for (id, secret) in [
            (unknown, &*agent.secret),
            (unknown, "guess"),
            ("agent_x", &agent.secret),
            ("' or 1=1--", "x"),
            (&agent.id, "guess"),
            (&agent.id, &other.secret),
            (&agent.id, &flipped),
            (&agent.id, &agent.id),
            (&agent.id, &agent.secret.to_uppercase()),
            (&agent.id, &format!("{} ", agent.secret)),
            (&suspended.id, "guess"),
            (&suspended.id, &agent.secret),
        ] {
            // Neither does the request matter.
            for request in [&*page.request_id, "req_00000000000000000000000000000000", "x"] {
                let body = json!({
                    "request_id": request, "agent_id": id, "agent_secret": secret, "model": "m",
                });
                let reply = api.authenticate_with(&body, &page.cookie).await;
                refused(&reply, 401, "invalid_agent");
                let mut headers = reply.headers.clone();
                headers.remove("x-request-id");
                headers.remove("date");
                answers.push((reply.text, headers));
            }
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert_eq!(api.event_types(&page).await, ["Created"], "a failed guess is no event");
    }

    async fn one_request_one_agent(env: Env) {
        let api = env.api().await;
        let (_, page) = page(&api, json!({})).await;
        let agents = futures_util::future::join_all((0..8).map(|_| api.create_agent(json!({})))).await;
        let calls = agents.iter().map(|agent| api.authenticate(&page, agent));
        let replies = futures_util::future::join_all(calls).await;
        let winners: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
        assert_eq!(winners.len(), 1);
        for loser in replies.iter().filter(|reply| reply.status != 200) {
            refused(loser, 409, "request_closed");
        }
        assert_eq!(api.event_types(&page).await, ["Created", "AgentAuthenticated", "CodeIssued"]);
    }

    async fn authenticate_is_idempotent_for_the_same_agent(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let asked = Authorize::new(&client);
        let page = api.authorize(&asked).await;
        let agent = api.create_agent(json!({})).await;
        let first = api.authenticate(&page, &agent).await.expect(200);
        let again = || async {
            let replies = [
                api.authenticate(&page, &agent).await.expect(200),
                // A repeat need prove no binding again, nor say the same of itself.
                api.authenticate_with(&body(&page, &agent, json!({"model": "x"})), "").await.expect(200),
            ];
            for reply in replies {
                assert_eq!(reply.json, first.json);
            }
        };
        again().await;
        let code = api.callback(&page).await.get("code");
        again().await;
        assert_eq!(api.callback(&page).await.get("code"), code, "a repeat issues no code");
        api.redeem(&client, &code, &asked.pkce.verifier).await.expect(200);
        again().await;
        let expected = ["Created", "AgentAuthenticated", "CodeIssued", "CodeRedeemed"];
        assert_eq!(api.event_types(&page).await, expected);
    }

    async fn the_sign_in_records_who_with_what_and_how(env: Env) {
        let api = env.api().await;
        let (client, page) = page(&api, json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let model = "claude-opus-4 \u{2603} 日本";
        let call = body(&page, &agent, json!({"model": model}));
        let done = api.authenticate_with(&call, &page.cookie).await.expect(200);
        assert_eq!(done.json, json!({
            "success": true, "status": "authenticated", "request_id": page.request_id,
            "binding": "browser",
        }));
        assert_eq!(done.header("cache-control"), "no-store");
        let events = api.audit_log(&format!("stream=auth_request/{}", page.request_id)).await;
        let payload = &events[1]["payload"];
        assert_eq!(payload["agent_id"], agent.id);
        assert_eq!(payload["owner_id"], agent.owner_id);
        assert_eq!(payload["model"], model);
        assert_eq!(payload["method"], "secret");
        assert_eq!(payload["binding"], "browser");
        assert_eq!(events[0]["payload"]["client_id"], client.id);
        assert!(events[1]["metadata"].to_string().contains(&agent.id), "{}", events[1]);
        let call_id = done.header("x-request-id");
        assert_eq!(events[1]["metadata"]["request_id"], call_id, "the event names the call");
    }

    async fn a_model_is_1_to_128_printable_characters(env: Env) {
        let api = env.api().await;
        let (_, page) = page(&api, json!({})).await;
        let agent = api.create_agent(json!({})).await;
        for model in [
            json!(""), json!(null), json!(5), json!(["m"]), json!("m".repeat(129)), json!("ü".repeat(129)),
            json!("a\nb"), json!("a\tb"), json!("\u{7f}"), json!("\u{85}"), json!("a\0b"),
            json!("\u{200b}"), json!("\u{202e}evil"), json!("\u{feff}"), json!("\u{e0041}"),
        ] {
            let reply = api.authenticate_with(&body(&page, &agent, json!({"model": model})), "").await;
            refused(&reply, 400, "invalid_request");
            let said = reply.str("error_description");
            assert!(said.contains("model") || said.contains("U+0000"), "{model}: {said}");
        }
        let mut missing = authentication(&page.request_id, &agent);
        missing.as_object_mut().unwrap().remove("model");
        refused(&api.authenticate_with(&missing, "").await, 400, "invalid_request");
        still_waits(&api, &page).await;
        for model in ["m".to_owned(), "ü".repeat(128)] {
            let page = self::page(&api, json!({})).await.1;
            api.authenticate_with(&body(&page, &agent, json!({"model": model})), "").await.expect(200);
        }
    }

    async fn a_field_at_fault_is_named(env: Env) {
        let api = env.api().await;
        let (_, page) = page(&api, json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let fields = ["request_id", "agent_id", "agent_secret", "model"];
        let optional = ["expected_origin", "expected_client_id"];
        let long = "x".repeat(3000);
        for name in fields.into_iter().chain(optional) {
            for value in [json!(""), json!(7), json!(true), json!({}), json!(["x"]), json!(long)] {
                let mut body = authentication(&page.request_id, &agent);
                body[name] = value.clone();
                let reply = api.authenticate_with(&body, &page.cookie).await;
                refused(&reply, 400, "invalid_request");
                assert!(reply.str("error_description").contains(name), "{name} {value}: {}", reply.text);
            }
            let mut body = authentication(&page.request_id, &agent);
            body.as_object_mut().unwrap().remove(name);
            if fields.contains(&name) {
                let reply = api.authenticate_with(&body, &page.cookie).await;
                refused(&reply, 400, "invalid_request");
                assert!(reply.str("error_description").contains(name), "{name}: {}", reply.text);
            }
        }
        still_waits(&api, &page).await;
        // What is not known is for a later version of the contract, and ignored.
        let body = body(&page, &agent, json!({"unknown": [1, 2], "expected_origin": null}));
        api.authenticate_with(&body, &page.cookie).await.expect(200);
    }

    async fn no_refusal_repeats_a_secret(env: Env) {
        let server = env.server().await;
        let api = server.api();
        let (_, page) = page(&api, json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let secret = &agent.secret;
        for text in [
            json!({"request_id": page.request_id, "agent_id": secret, "agent_secret": secret, "model": "m"})
                .to_string(),
            json!({"agent_secret": [secret]}).to_string(),
            json!({secret: secret}).to_string(),
            format!(r#"{{"agent_secret": "{secret}"#),
            format!(r#"{{"agent_secret": {secret}}}"#),
            format!(r#""{secret}""#),
            secret.clone(),
        ] {
            let call = api.post(PATH).header(header::CONTENT_TYPE, "application/json").body(text);
            let reply = api.send(call).await;
            assert!((400..500).contains(&reply.status));
            assert!(!reply.text.contains(secret.as_str()), "{}", reply.text);
        }
        assert!(!server.logs().contains(secret.as_str()));
    }
}
