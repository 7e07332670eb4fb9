//! Keys of several nodes: what one does, all know.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};

use super::{NEW_KEY, rewrap, rotate};
use crate::{
    jwt,
    nodes::beside,
    sql::url_of,
    support::{Authorize, Backend, TestServer, Tokens, process::eventually},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_made_or_compromised_on_one_node_are_so_on_all() {
    let server = TestServer::start(Backend::Postgres, |_| {}).await;
    let one = server.api();
    let (_process, two) = beside(&server).await;
    let client = one.create_client(json!({})).await;
    let agent = one.create_agent(json!({})).await;
    for _ in 0..3 {
        let done = two.sign_in(&client, &agent).await;
        let (asked, _, callback) = two.code(&client, &agent).await;
        rotate(&one, json!({"use": "derivation", "compromised": true})).await;
        // At once, wherever it is asked.
        assert!(!two.is_active(&client, &done.tokens.access_token).await);
        two.userinfo(&done.tokens.access_token)
            .await
            .refused(401, "invalid_token");
        two.refresh(&client, done.tokens.refresh())
            .await
            .refused(400, "invalid_grant");
        two.redeem(&client, &callback.get("code"), &asked.pkce.verifier)
            .await
            .refused(400, "invalid_grant");
        // The other node derives under the new key although it may not have heard of it.
        let asked = Authorize::new(&client);
        let page = one.authorize(&asked).await;
        one.authenticate(&page, &agent).await.expect(200);
        let code = one.callback(&page).await.get("code");
        let tokens = Tokens::of(two.redeem(&client, &code, &asked.pkce.verifier).await);
        Tokens::of(two.refresh(&client, tokens.refresh()).await);

        let done = one.sign_in(&client, &agent).await;
        rotate(&two, json!({"use": "signing", "compromised": true})).await;
        assert!(!one.is_active(&client, &done.tokens.access_token).await);
        one.userinfo(&done.tokens.access_token)
            .await
            .refused(401, "invalid_token");
        let next = Tokens::of(two.refresh(&client, done.tokens.refresh()).await);
        one.userinfo(&next.access_token).await.expect(200);
        let sets = async || (jwt::key_set(&one).await, jwt::key_set(&two).await);
        eventually("one set of keys", async || {
            let (a, b) = sets().await;
            (a == b).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_slept_through_a_new_master_key_spoils_nothing() {
    let mut server = TestServer::start(Backend::Postgres, |_| {}).await;
    let api = server.api();
    let (client, agent) = (
        api.create_client(json!({})).await,
        api.create_agent(json!({})).await,
    );
    let done = api.sign_in(&client, &agent).await;
    server.process().signal("STOP");
    let sessions = "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where datname = current_database() and application_name = 'auth-agent'";
    server.postgres().unwrap().sql(sessions);
    let left = "select count(*) from pg_stat_activity
        where datname = current_database() and application_name = 'auth-agent'";
    eventually("the sessions to end", async || {
        (server.postgres().unwrap().sql(left).trim() == "0").then_some(())
    })
    .await;
    let did = rewrap(&server);
    assert!(did.status.success(), "{did:?}");

    // Asked before it wakes, so that it is the first thing that it hears of.
    let asked = {
        let body = json!({"use": "derivation", "compromised": true});
        let call = api.call(Method::POST, "/api/admin/keys/rotate");
        let call = call.bearer_auth(&api.admin_key).json(&body);
        tokio::spawn(call.send())
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.process().signal("CONT");
    if let Ok(reply) = asked.await.unwrap() {
        assert_eq!(reply.status(), 503);
    }
    let ended = server.process().end(Duration::from_secs(60)).await;
    assert_eq!(ended.code(), Some(1));
    let told = "is sealed under another master key by now";
    assert_eq!(server.logs().matches(told).count(), 1, "{}", server.logs());

    server.kill9();
    server
        .restart_with(|options| {
            options.env("AUTH_AGENT_MASTER_KEY", NEW_KEY);
        })
        .await;
    let api = server.api();
    assert!(api.is_active(&client, &done.tokens.access_token).await);
    Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
    rotate(&api, json!({"use": "signing", "compromised": true})).await;
    api.sign_in(&client, &agent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_node_signs_with_a_key_that_another_has_declared_compromised() {
    let server = TestServer::start(Backend::Postgres, |_| {}).await;
    let one = server.api();
    let (_process, two) = beside(&server).await;
    let client = one.create_client(json!({})).await;
    let agent = one.create_agent(json!({})).await;
    for _ in 0..5 {
        let done = one.sign_in(&client, &agent).await;
        let (asked, _, callback) = one.code(&client, &agent).await;
        let code = callback.get("code");
        rotate(&one, json!({"use": "signing", "compromised": true})).await;
        let (redeemed, refreshed) = tokio::join!(
            two.redeem(&client, &code, &asked.pkce.verifier),
            two.refresh(&client, done.tokens.refresh()),
        );
        for tokens in [redeemed, refreshed].map(Tokens::of) {
            for api in [&one, &two] {
                assert!(api.is_active(&client, &tokens.access_token).await);
                api.userinfo(&tokens.access_token).await.expect(200);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_keys_cannot_be_looked_for_nothing_is_called_worthless() {
    let server = TestServer::start(Backend::Postgres, |_| {}).await;
    let api = server.api();
    let client = api.create_client(json!({})).await;
    let agent = api.create_agent(json!({})).await;
    let done = api.sign_in(&client, &agent).await;
    let (asked, _, callback) = api.code(&client, &agent).await;
    // Of a key that this node has not heard of, be it one that another has made.
    let under_another = |artefact: &str| {
        let (label, rest) = artefact.split_once('_').unwrap();
        let (_, rest) = rest.split_once('.').unwrap();
        format!("{label}_0123456789ab.{rest}")
    };
    let code = under_another(&callback.get("code"));
    let token = under_another(done.tokens.refresh());
    let mut held = PgConnection::connect(&url_of(&server)).await.unwrap();
    held.execute("begin; lock table derivation_keys in access exclusive mode")
        .await
        .unwrap();
    let refusals = [
        api.refresh(&client, &token).await,
        api.redeem(&client, &code, &asked.pkce.verifier).await,
        api.revoke(&client, &token).await,
        api.form(&client, "/introspect", &[("token", &*token)])
            .await,
    ];
    for refusal in refusals {
        refusal.refused(503, "temporarily_unavailable");
        assert!(!refusal.header("retry-after").is_empty());
    }
    // Nor what is known.
    Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
    held.close().await.unwrap();
    eventually("keys to be looked for", async || {
        let reply = api.refresh(&client, &token).await;
        (reply.status != 503).then(|| reply.refused(400, "invalid_grant"))
    })
    .await;
    assert_eq!(api.revoke(&client, &token).await.status, 200);
    assert!(!api.is_active(&client, &token).await);
}
