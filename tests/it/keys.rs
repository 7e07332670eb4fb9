//! Signing and derivation keys: new ones that nobody notices, compromised ones that end everything at
//! once, and a new master key.

mod nodes;

use std::{
    fs,
    process::Output,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, jwk::JwkSet};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    artefacts::master_key,
    jwt,
    log::acts,
    sql::sql,
    support::{
        Api, Backend, TestServer, Tokens, on_both_databases, process::eventually, server::Options,
    },
};

/// Keys that move on within seconds.
fn quick(options: &mut Options) {
    options
        .flag("--key-publish-ahead", 3)
        .flag("--access-token-lifetime", 3);
}

async fn keys(api: &Api) -> Vec<Value> {
    let reply = api.admin(Method::GET, "/keys", None).await.expect(200);
    reply.json["items"].as_array().unwrap().clone()
}

async fn rotate(api: &Api, body: Value) -> Vec<Value> {
    let reply = api.admin(Method::POST, "/keys/rotate", Some(body)).await;
    reply.expect(200).json["items"].as_array().unwrap().clone()
}

/// Ids of the keys of that use and status.
fn of(keys: &[Value], purpose: &str, status: &str) -> Vec<String> {
    let found = keys
        .iter()
        .filter(|key| key["use"] == purpose && key["status"] == status);
    found
        .map(|key| key["key_id"].as_str().unwrap().to_owned())
        .collect()
}

async fn until(api: &Api, purpose: &str, status: &str, many: usize) {
    eventually("keys to go on", async || {
        (of(&keys(api).await, purpose, status).len() == many).then_some(())
    })
    .await;
}

/// A website that keeps the key set for as long as it is allowed to.
struct Website {
    kept: JwkSet,
    until: Instant,
}

impl Website {
    async fn fetched(api: &Api) -> Self {
        let reply = api
            .send(api.get("/.well-known/jwks.json"))
            .await
            .expect(200);
        let age = reply.header("cache-control").rsplit_once('=').unwrap().1;
        Self {
            until: Instant::now() + Duration::from_secs(age.parse().unwrap()),
            kept: serde_json::from_value(reply.json).unwrap(),
        }
    }

    async fn verifies(&mut self, api: &Api, token: &str, audience: &str) -> Result<(), String> {
        if Instant::now() >= self.until {
            *self = Self::fetched(api).await;
        }
        let header = jwt::header(token);
        let key = self.kept.find(header["kid"].as_str().unwrap());
        let key = key.ok_or_else(|| format!("{header} is not in the key set"))?;
        let algorithm: Algorithm = header["alg"].as_str().unwrap().parse().unwrap();
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[audience]);
        let key = DecodingKey::from_jwk(key).unwrap();
        let verified = decode::<Value>(token, &key, &validation);
        verified.map(drop).map_err(|error| error.to_string())
    }
}

on_both_databases! {
    async fn no_token_fails_while_all_signing_keys_are_rotated_three_times(env: Env) {
        let server = env.start(quick).await;
        let api = server.api();
        let agent = api.create_agent(json!({})).await;
        let mut clients = Vec::new();
        for alg in ["RS256", "ES256", "EdDSA"] {
            clients.push(api.create_client(json!({"id_token_signed_response_alg": alg})).await);
        }
        let (done, count) = (AtomicBool::new(false), AtomicUsize::new(0));
        let sign_ins = clients.iter().map(|client| {
            let (api, agent, done, count) = (&api, &agent, &done, &count);
            async move {
                let mut website = Website::fetched(api).await;
                while !done.load(Ordering::Relaxed) {
                    let tokens = api.sign_in(client, agent).await.tokens;
                    let id_token = tokens.id_token.as_deref().unwrap();
                    website.verifies(api, id_token, &client.id).await.unwrap();
                    website.verifies(api, &tokens.access_token, &api.issuer).await.unwrap();
                    assert!(api.is_active(client, &tokens.access_token).await);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let rotations = async {
            for round in 1..=3 {
                let before = keys(&api).await;
                let after = rotate(&api, json!({"use": "signing"})).await;
                assert_eq!(of(&after, "signing", "next").len(), 3);
                assert_eq!(of(&after, "signing", "active"), of(&before, "signing", "active"));
                let second = api.admin(Method::POST, "/keys/rotate", Some(json!({"use": "signing", "alg": "EdDSA"}))).await;
                second.refused(409, "conflict");
                let all = api.admin(Method::POST, "/keys/rotate", Some(json!({"use": "signing"}))).await;
                assert_eq!(all.status, 409);
                let at = after.iter().find(|key| key["status"] == "next").unwrap()["activates_at"].as_str().unwrap();
                let told = all.str("error_description");
                assert!(told.contains("EdDSA") && told.contains(at), "{told}");
                until(&api, "signing", "next", 0).await;
                until(&api, "signing", "retired", 3 * round).await;
            }
            done.store(true, Ordering::Relaxed);
        };
        tokio::join!(futures_util::future::join_all(sign_ins), rotations);
        assert!(count.load(Ordering::Relaxed) > 20);
        // Whoever asked stands in the log, and the clock's steps are the server's own.
        let actor = |event: &Value| event["metadata"]["actor"].clone();
        let made = acts(&api, "type=Generated").await;
        let asked = made.iter().filter(|event| actor(event)["id"] == "environment");
        assert_eq!(asked.count(), 9);
        let retired = acts(&api, "type=Retired").await;
        assert_eq!(retired.len(), 9);
        assert!(retired.iter().all(|event| actor(event)["type"] == "system"));
        assert_eq!(jwt::key_set(&api).await.keys.len(), 3);
    }

    async fn a_derivation_rotation_is_noticed_by_nobody(env: Env) {
        let server = env.start(|options| {
            quick(options);
            options.flag("--refresh-grace", 60);
        }).await;
        let api = server.api();
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let done = api.sign_in(&client, &agent).await;
        let (asked, _, callback) = api.code(&client, &agent).await;
        let used = api.sign_in(&client, &agent).await;
        let next = Tokens::of(api.refresh(&client, used.tokens.refresh()).await);

        let former = of(&keys(&api).await, "derivation", "active").remove(0);
        rotate(&api, json!({"use": "derivation"})).await;
        until(&api, "derivation", "retiring", 1).await;
        let active = of(&keys(&api).await, "derivation", "active").remove(0);
        assert_ne!(active, former);
        // The very same answer, of before.
        let again = Tokens::of(api.refresh(&client, used.tokens.refresh()).await);
        assert_eq!(again.refresh(), next.refresh());
        assert_eq!(again.access_token, next.access_token);
        let redeemed = Tokens::of(api.redeem(&client, &callback.get("code"), &asked.pkce.verifier).await);
        assert!(redeemed.refresh().starts_with(&format!("rt_{active}.")));
        let refreshed = Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
        assert!(refreshed.refresh().starts_with(&format!("rt_{active}.")));
        Tokens::of(api.refresh(&client, refreshed.refresh()).await);
        let (_, _, callback) = api.code(&client, &agent).await;
        assert!(callback.get("code").starts_with(&format!("ac_{active}.")));
    }

    async fn a_compromised_derivation_key_ends_all_that_was_ever_under_it(env: Env) {
        let mut server = env.start(|_| {}).await;
        let api = server.api();
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let done = api.sign_in(&client, &agent).await;
        let (asked, _, callback) = api.code(&client, &agent).await;
        let code = callback.get("code");
        rotate(&api, json!({"use": "derivation", "compromised": true})).await;
        for after_a_restart in [false, true] {
            if after_a_restart {
                server.restart().await;
            }
            let api = server.api();
            api.redeem(&client, &code, &asked.pkce.verifier).await.refused(400, "invalid_grant");
            api.refresh(&client, done.tokens.refresh()).await.refused(400, "invalid_grant");
            assert!(!api.is_active(&client, done.tokens.refresh()).await);
            assert!(!api.is_active(&client, &done.tokens.access_token).await);
            api.userinfo(&done.tokens.access_token).await.refused(401, "invalid_token");
            let new = api.sign_in(&client, &agent).await;
            Tokens::of(api.refresh(&client, new.tokens.refresh()).await);
        }
        let api = server.api();
        let stream = format!("stream=auth_request/{}", done.page.request_id);
        eventually("the end in the log", async || {
            let events = acts(&api, &stream).await;
            (events.last()?["payload"]["reason"] == "key_compromised").then_some(())
        })
        .await;
        let events = acts(&api, "type=Compromised").await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0]["metadata"]["actor"]["id"], "environment");
    }

    async fn a_compromised_signing_key_is_gone_at_once(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let done = api.sign_in(&client, &agent).await;
        let kid = jwt::header(&done.tokens.access_token)["kid"].as_str().unwrap().to_owned();
        let after = rotate(&api, json!({"use": "signing", "compromised": true})).await;
        assert_eq!(of(&after, "signing", "compromised").len(), 3);
        assert_eq!(of(&after, "signing", "active").len(), 3);
        assert!(jwt::key_set(&api).await.find(&kid).is_none());
        assert!(!api.is_active(&client, &done.tokens.access_token).await);
        api.userinfo(&done.tokens.access_token).await.refused(401, "invalid_token");
        // The grant lives: the next access token is by another key.
        let next = Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
        api.userinfo(&next.access_token).await.expect(200);
        jwt::verified(&api, &next.access_token, &api.issuer).await;
    }

    async fn under_a_master_key_that_is_not_the_databases_no_key_is_written(env: Env) {
        let mut server = env.start(|_| {}).await;
        let api = server.api();
        let kept = "select id from signing_keys union all select id from derivation_keys order by id";
        let before = sql(&server, kept).await;
        sql(&server, "update server set value = 'of another one' where name = 'master_key_fingerprint'").await;
        for body in [
            json!({"use": "signing", "compromised": true}),
            json!({"use": "derivation"}),
        ] {
            // A node that has noticed by itself is on its way out.
            let call = api.call(Method::POST, "/api/admin/keys/rotate").bearer_auth(&api.admin_key).json(&body);
            if let Ok(reply) = call.send().await {
                assert_eq!(reply.status(), 503);
            }
        }
        assert_eq!(sql(&server, kept).await, before);
        if env.backend == Backend::Postgres {
            assert_eq!(server.process().end(Duration::from_secs(60)).await.code(), Some(1));
            assert_eq!(server.logs().matches("is sealed under another master key by now").count(), 1);
        }
    }

    async fn a_key_that_does_not_open_is_left_out_unless_it_is_the_one_in_use(env: Env) {
        let mut server = env.start(quick).await;
        let api = server.api();
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let after = rotate(&api, json!({"use": "signing", "alg": "EdDSA"})).await;
        let next = of(&after, "signing", "next").remove(0);
        server.stop().await;
        sql(&server, &format!("update signing_keys set sealed = 'nothing' where id = '{next}'")).await;
        server.restart().await;
        let api = server.api();
        api.sign_in(&client, &agent).await;
        assert_eq!(server.logs().matches("is left out").count(), 1);
        // It is not put to use either.
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(of(&keys(&api).await, "signing", "next"), [next.as_str()]);
        rotate(&api, json!({"use": "signing", "alg": "EdDSA", "compromised": true})).await;
        assert_eq!(of(&keys(&api).await, "signing", "active").len(), 3);
        server.stop().await;
        sql(&server, "update derivation_keys set sealed = 'nothing'").await;
        let refused = server.command().arg("serve").output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }

    async fn tokens_of_a_key_that_has_ended_are_refused_without_looking_for_it(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let done = api.sign_in(&client, &agent).await;
        for purpose in ["signing", "derivation"] {
            rotate(&api, json!({"use": purpose, "compromised": true})).await;
        }
        let begun = Instant::now();
        for _ in 0..20 {
            assert!(!api.is_active(&client, &done.tokens.access_token).await);
            assert!(!api.is_active(&client, done.tokens.refresh()).await);
        }
        // Looking for a key takes a quarter of a second at least.
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    async fn what_is_asked_for_wrongly_is_refused_and_no_private_half_is_shown(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        for body in [
            json!({}),
            json!({"use": "encryption"}),
            json!({"use": "signing", "alg": "HS256"}),
            json!({"use": "derivation", "alg": "RS256"}),
            json!({"use": "signing", "compromised": "yes"}),
            json!({"use": "signing", "more": 1}),
        ] {
            let reply = api.admin(Method::POST, "/keys/rotate", Some(body)).await;
            reply.refused(400, "invalid_request");
        }
        let filtered = api.admin(Method::GET, "/keys?use=signing", None).await;
        filtered.refused(400, "invalid_request");
        let shown = keys(&api).await;
        assert_eq!(shown.len(), 4);
        for key in &shown {
            let names: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
            for name in names {
                assert!(["key_id", "use", "alg", "status", "created_at", "activated_at"].contains(&name), "{name}");
            }
        }
    }

    async fn a_new_master_key_changes_nothing_but_itself(env: Env) {
        let mut server = env.start(|_| {}).await;
        let api = server.api();
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let done = api.sign_in(&client, &agent).await;
        let running = rewrap(&server);
        assert_eq!(running.status.code(), Some(2), "{running:?}");
        server.stop().await;

        let former = master_key(&server);
        let did = rewrap(&server);
        assert!(did.status.success(), "{did:?}");
        let told: Value = serde_json::from_slice(&did.stdout).unwrap();
        assert_eq!(told["former_fingerprint"], former.fingerprint());
        let file = server.data_dir().join("master.key");
        match server.backend() {
            Backend::Sqlite => {
                assert_ne!(master_key(&server).fingerprint(), former.fingerprint());
                // Killed between the database and the file: the next start goes on.
                let new = fs::read_to_string(&file).unwrap();
                fs::write(server.data_dir().join("master.key.next"), &new).unwrap();
                fs::write(&file, former.to_base64().as_str()).unwrap();
                server.restart().await;
                assert_eq!(fs::read_to_string(&file).unwrap(), new);
                // Killed before the database: what was to come is forgotten.
                server.stop().await;
                let other = auth_agent::crypto::MasterKey::from_bytes([7; 32]);
                fs::write(server.data_dir().join("master.key.next"), other.to_base64().as_str()).unwrap();
            }
            Backend::Postgres => {
                // The former key is refused.
                let mut command = server.command();
                let refused = command.arg("serve").output().unwrap();
                assert_eq!(refused.status.code(), Some(2));
            }
        }
        server.restart_with(|options| {
            if env.backend == Backend::Postgres {
                options.env("AUTH_AGENT_MASTER_KEY", NEW_KEY);
            }
        }).await;
        assert!(!server.data_dir().join("master.key.next").exists());
        let api = server.api();
        assert!(api.is_active(&client, &done.tokens.access_token).await);
        api.userinfo(&done.tokens.access_token).await.expect(200);
        Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
        // Secrets, addresses and the admin key are what they were.
        api.sign_in(&client, &agent).await;
        let same = json!({"user_email": agent.json["user_email"].as_str().unwrap_or("ada@people.example")});
        api.create_agent(same).await;
    }
}

/// Base64 of 32 bytes.
const NEW_KEY: &str = "Tk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk4=";

fn rewrap(server: &TestServer) -> Output {
    let mut command = server.command();
    command.args(["keys", "rewrap", "--json"]);
    if server.backend() == Backend::Postgres {
        command.env("AUTH_AGENT_NEW_MASTER_KEY", NEW_KEY);
    }
    command.output().expect("the program runs")
}
