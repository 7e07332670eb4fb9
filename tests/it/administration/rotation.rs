//! A new secret for a client or an agent, and what becomes of the former one.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Agent, Api, Authorize, Client, Reply, on_both_databases, process::eventually,
};

/// Whose secret is rotated.
#[derive(Clone, Copy)]
enum Whose {
    Client,
    Agent,
}

const BOTH: [Whose; 2] = [Whose::Client, Whose::Agent];

impl Whose {
    /// A new one, as its path below /api/admin and its secret.
    async fn made(self, api: &Api) -> (String, String) {
        match self {
            Self::Client => {
                let client = api.create_client(json!({})).await;
                (format!("/clients/{}", client.id), client.secret.unwrap())
            }
            Self::Agent => {
                let agent = api.create_agent(json!({})).await;
                (format!("/agents/{}", agent.id), agent.secret)
            }
        }
    }

    const fn member(self) -> &'static str {
        match self {
            Self::Client => "client_secret",
            Self::Agent => "agent_secret",
        }
    }

    /// Whether the secret is taken for the one of whoever has that path.
    async fn takes(self, api: &Api, path: &str, secret: &str) -> bool {
        let id = path.rsplit('/').next().unwrap().to_owned();
        let reply = match self {
            Self::Client => {
                let call = api.post("/introspect").basic_auth(&id, Some(secret));
                api.send(call.form(&[("token", "x")])).await
            }
            Self::Agent => {
                let client = api.create_client(json!({})).await;
                let page = api.authorize(&Authorize::new(&client)).await;
                let agent = Agent {
                    id,
                    secret: secret.to_owned(),
                    owner_id: String::new(),
                    json: Value::Null,
                };
                api.authenticate(&page, &agent).await
            }
        };
        assert!([200, 401].contains(&reply.status), "{}", reply.text);
        reply.status == 200
    }
}

async fn rotate(api: &Api, path: &str, body: Option<Value>) -> Reply {
    api.admin(Method::POST, &format!("{path}/rotate-secret"), body)
        .await
}

/// Until when it is shown that the former secret is valid.
async fn shown_until(api: &Api, path: &str) -> Option<Value> {
    let shown = api.admin(Method::GET, path, None).await.expect(200);
    shown.json.get("previous_secret_expires_at").cloned()
}

on_both_databases! {
    async fn without_a_grace_the_former_secret_ends_with_the_answer(env: Env) {
        let api = env.api().await;
        for whose in BOTH {
            let (path, first) = whose.made(&api).await;
            // Proved before, and so remembered.
            assert!(whose.takes(&api, &path, &first).await);
            let mut former = first;
            for body in [None, Some(json!({})), Some(json!({"grace_seconds": 0}))] {
                let answer = rotate(&api, &path, body).await.expect(200);
                let secret = answer.str(whose.member()).to_owned();
                assert_eq!(answer.json.get("previous_secret_expires_at"), None);
                assert_eq!(shown_until(&api, &path).await, None);
                assert_eq!(answer.headers["cache-control"], "no-store");
                assert!(!whose.takes(&api, &path, &former).await);
                assert!(whose.takes(&api, &path, &secret).await);
                former = secret;
            }
        }
    }

    async fn both_secrets_are_valid_until_the_grace_is_over(env: Env) {
        let api = env.api().await;
        for whose in BOTH {
            let (path, former) = whose.made(&api).await;
            assert_eq!(shown_until(&api, &path).await, None);
            let answer = rotate(&api, &path, Some(json!({"grace_seconds": 4}))).await.expect(200);
            let until: jiff::Timestamp = answer.str("previous_secret_expires_at").parse().unwrap();
            let secret = answer.str(whose.member());
            assert!(whose.takes(&api, &path, secret).await);
            assert!(whose.takes(&api, &path, &former).await);
            eventually("the end of the grace", async || {
                (!whose.takes(&api, &path, &former).await).then_some(())
            })
            .await;
            assert!(auth_agent::edge::Clock.now() >= until);
            assert_eq!(shown_until(&api, &path).await, None);
            assert!(whose.takes(&api, &path, secret).await);
        }
    }

    async fn no_more_than_two_are_valid_at_once(env: Env) {
        let api = env.api().await;
        for whose in BOTH {
            let (path, first) = whose.made(&api).await;
            let grace = || Some(json!({"grace_seconds": 2_592_000}));
            let second = rotate(&api, &path, grace()).await.expect(200).str(whose.member()).to_owned();
            let answer = rotate(&api, &path, grace()).await.expect(200);
            let third = answer.str(whose.member()).to_owned();
            assert_eq!(shown_until(&api, &path).await, Some(answer.json["previous_secret_expires_at"].clone()));
            let mut valid = vec![];
            for secret in [&first, &second, &third] {
                valid.push(whose.takes(&api, &path, secret).await);
            }
            assert_eq!(valid, [false, true, true]);
            // A rotation without a grace ends them all.
            let last = rotate(&api, &path, None).await.expect(200).str(whose.member()).to_owned();
            assert_eq!(shown_until(&api, &path).await, None);
            assert!(!whose.takes(&api, &path, &second).await);
            assert!(!whose.takes(&api, &path, &third).await);
            assert!(whose.takes(&api, &path, &last).await);
        }
    }

    async fn the_log_tells_that_it_was_rotated_and_nothing_of_the_secret(env: Env) {
        let api = env.api().await;
        for whose in BOTH {
            let (path, _) = whose.made(&api).await;
            let first = rotate(&api, &path, None).await.expect(200);
            let second = rotate(&api, &path, Some(json!({"grace_seconds": 60}))).await.expect(200);
            let (kind, id) = path[1..].split_once("s/").unwrap();
            let events = api.audit_log(&format!("stream={kind}/{id}&type=SecretRotated")).await;
            assert_eq!(events[0]["payload"], json!({}));
            let until = second.str("previous_secret_expires_at");
            assert_eq!(events[1]["payload"], json!({"previous_expires_at": until}));
            assert_eq!(events.len(), 2);
            let shown = api.admin(Method::GET, &path, None).await.expect(200);
            let log = api.admin(Method::GET, "/audit-log?limit=500", None).await.expect(200);
            for secret in [first.str(whose.member()), second.str(whose.member())] {
                assert!(!shown.text.contains(secret) && !log.text.contains(secret));
            }
        }
    }

    async fn what_was_signed_in_lives_on(env: Env) {
        let api = env.api().await;
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let done = api.sign_in(&client, &agent).await;
        rotate(&api, &format!("/agents/{}", agent.id), None).await.expect(200);
        let answer = rotate(&api, &format!("/clients/{}", client.id), None).await.expect(200);
        let client = Client { secret: Some(answer.str("client_secret").to_owned()), ..client };
        assert!(api.is_active(&client, &done.tokens.access_token).await);
        api.refresh(&client, done.tokens.refresh()).await.expect(200);
    }

    async fn whoever_has_no_secret_or_has_ended_gets_none(env: Env) {
        let api = env.api().await;
        let public = api.create_client(json!({"token_endpoint_auth_method": "none"})).await;
        let reply = rotate(&api, &format!("/clients/{}", public.id), None).await;
        reply.refused(400, "invalid_request");
        assert!(reply.str("error_description").contains("public client"), "{}", reply.text);
        for whose in BOTH {
            let (path, _) = whose.made(&api).await;
            rotate(&api, &path, Some(json!({"grace_seconds": 3_600}))).await.expect(200);
            api.admin(Method::DELETE, &path, None).await.expect(204);
            assert_eq!(shown_until(&api, &path).await, None);
            let reply = rotate(&api, &path, None).await;
            reply.refused(400, "invalid_request");
            assert!(reply.str("error_description").contains("cannot be undone"), "{}", reply.text);
        }
    }

    async fn a_grace_has_a_bound_and_whatever_else_is_at_fault_is_named(env: Env) {
        let api = env.api().await;
        for whose in BOTH {
            let (path, secret) = whose.made(&api).await;
            for (body, named) in [
                (json!({"grace_seconds": 2_592_001}), "grace_seconds must be a whole number, 0 to 2592000"),
                (json!({"grace_seconds": -1}), "grace_seconds must be a whole number, 0 to 2592000"),
                (json!({"grace_seconds": "60"}), "grace_seconds"),
                (json!({"grace": 60}), "grace"),
                (json!([60]), "object"),
            ] {
                let reply = rotate(&api, &path, Some(body)).await;
                reply.refused(400, "invalid_request");
                assert!(reply.str("error_description").contains(named), "{}", reply.text);
            }
            assert!(whose.takes(&api, &path, &secret).await);
        }
        for path in ["/clients/x", "/agents/x"] {
            rotate(&api, path, None).await.refused(404, "not_found");
        }
    }
}
