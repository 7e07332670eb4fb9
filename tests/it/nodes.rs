//! Two servers on one PostgreSQL database: every node may be asked anything.

use std::{fs, process::Command};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::Method;
use serde_json::json;

use crate::{
    log::{history, node::Place},
    support::{
        Api, Authorize, Backend, Env, TestServer, Tokens,
        process::{Process, arbitrary_text, eventually, free_port},
        server::program,
    },
};

/// A second node beside a server, with the same issuer, keys and database.
pub(crate) async fn beside(server: &TestServer) -> (Process, Api) {
    let folder = server.folder().join("second");
    fs::create_dir(&folder).expect("a folder can be made");
    let port = free_port();
    let mut command: Command = server.command();
    command
        .arg("serve")
        .env("AUTH_AGENT_DATA_DIR", folder.join("data"))
        .env("AUTH_AGENT_LISTEN", format!("127.0.0.1:{port}"))
        .env("AUTH_AGENT_ISSUER", server.issuer());
    let process = Process::start(&mut command);
    let base = format!("http://127.0.0.1:{port}");
    let api = Api::new(base, server.issuer(), server.admin_key().to_owned());
    eventually("the second node", async || {
        api.is_ready().await.then_some(())
    })
    .await;
    (process, api)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_must_return_to_the_node_that_began_it() {
    let server = TestServer::start(Backend::Postgres, |_| {}).await;
    let one = server.api();
    let (_process, two) = beside(&server).await;
    let client = one.create_client(json!({})).await;
    let agent = two.create_agent(json!({})).await;
    for (a, b) in [(&one, &two), (&two, &one)] {
        let asked = Authorize::new(&client);
        let page = a.authorize(&asked).await;
        b.authenticate(&page, &agent).await.expect(200);
        let code = a.callback(&page).await.get("code");
        let tokens = Tokens::of(b.redeem(&client, &code, &asked.pkce.verifier).await);
        let next = Tokens::of(a.refresh(&client, tokens.refresh()).await);
        let again = Tokens::of(b.refresh(&client, tokens.refresh()).await);
        assert_eq!(next.refresh(), again.refresh());
        assert_eq!(next.access_token, again.access_token);
        assert!(a.is_active(&client, &next.access_token).await);
        assert!(b.is_active(&client, &next.access_token).await);
        b.userinfo(&next.access_token).await.expect(200);
        // What one node has answered, every node knows.
        a.revoke(&client, &next.access_token).await.expect(200);
        assert!(!b.is_active(&client, &next.access_token).await);
        b.revoke(&client, next.refresh()).await.expect(200);
        assert!(!a.is_active(&client, next.refresh()).await);
        a.refresh(&client, next.refresh())
            .await
            .refused(400, "invalid_grant");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_on_one_node_is_one_on_all_once_it_is_answered() {
    let server = TestServer::start(Backend::Postgres, |_| {}).await;
    let one = server.api();
    let (_process, two) = beside(&server).await;
    let client = one.create_client(json!({})).await;
    for _ in 0..10 {
        let agent = one.create_agent(json!({})).await;
        let done = two.sign_in(&client, &agent).await;
        one.suspend(&agent).await;
        assert!(!two.is_active(&client, &done.tokens.access_token).await);
        two.refresh(&client, done.tokens.refresh())
            .await
            .refused(400, "invalid_grant");
        two.userinfo(&done.tokens.access_token)
            .await
            .refused(401, "invalid_token");
        // Two followers read on, and the end is written once all the same.
        let stream = format!("stream=auth_request/{}", done.page.request_id);
        let events = eventually("the end in the log", async || {
            let events = history(&two, &stream).await;
            (events.last()?["type"] == "Revoked").then_some(events)
        })
        .await;
        assert_eq!(
            events
                .iter()
                .filter(|event| event["type"] == "Revoked")
                .count(),
            1
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_makes_or_ends_for_administrators_all_nodes_know_once_it_is_answered() {
    let server = TestServer::start(Backend::Postgres, |_| {}).await;
    let one = server.api();
    let (_process, two) = beside(&server).await;
    let client = one.create_client(json!({})).await;
    for number in 0..5 {
        let name = format!("key {number}");
        let body = json!({"name": name, "role": "auditor"});
        let made = one.admin(Method::POST, "/admin-keys", Some(body)).await;
        let made = made.expect(201);
        let mut other = two.clone();
        made.str("admin_key").clone_into(&mut other.admin_key);
        other.admin(Method::GET, "/agents", None).await.expect(200);
        let path = format!("/admin-keys/{}", made.str("admin_key_id"));
        one.admin(Method::DELETE, &path, None).await.expect(204);
        let refused = other.admin(Method::GET, "/agents", None).await;
        refused.refused(401, "unauthorized");

        let agent = one.create_agent(json!({})).await;
        let done = two.sign_in(&client, &agent).await;
        let path = format!("/tokens/{}", done.page.request_id);
        one.admin(Method::DELETE, &path, None).await.expect(204);
        assert!(!two.is_active(&client, &done.tokens.access_token).await);

        let done = two.sign_in(&client, &agent).await;
        let page = two.authorize(&Authorize::new(&client)).await;
        let path = format!("/owners/{}", agent.owner_id);
        one.admin(Method::DELETE, &path, None).await.expect(204);
        assert!(!two.is_active(&client, &done.tokens.access_token).await);
        two.authenticate(&page, &agent)
            .await
            .refused(401, "invalid_agent");
        two.refresh(&client, done.tokens.refresh())
            .await
            .refused(400, "invalid_grant");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_are_dense_whichever_node_appends() {
    let server = TestServer::start(Backend::Postgres, |_| {}).await;
    let one = server.api();
    let (_process, two) = beside(&server).await;
    let client = one.create_client(json!({})).await;
    let agent = one.create_agent(json!({})).await;
    let sign_ins = (0..40).map(|number| {
        let api = if number % 2 == 0 { &one } else { &two };
        let (client, agent) = (&client, &agent);
        async move { api.sign_in(client, agent).await }
    });
    futures_util::future::join_all(sign_ins).await;
    let events = history(&two, "").await;
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event["position"], index + 1);
    }
    assert!(events.len() >= 40 * 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_on_one_node_is_pushed_what_an_agent_did_on_another() {
    let server = TestServer::start(Backend::Postgres, |_| {}).await;
    let one = server.api();
    let (_process, two) = beside(&server).await;
    let client = one.create_client(json!({})).await;
    let agent = one.create_agent(json!({})).await;
    let page = one.authorize(&Authorize::new(&client)).await;
    let mut events = one.events(&page).await;
    assert_eq!(events.next().await.expect("an event").status(), "pending");
    two.authenticate(&page, &agent).await.expect(200);
    let pushed = events.next().await.expect("an event");
    assert_eq!(pushed.status(), "authenticated");
    assert!(
        pushed.data["redirect_to"]
            .as_str()
            .is_some_and(|to| to.contains("code="))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_start_at_once_on_an_empty_database_share_one_set_of_keys() {
    for _ in 0..3 {
        let place = Place::new(Env {
            backend: Backend::Postgres,
        })
        .await;
        let key = arbitrary_text();
        let master_key = BASE64_STANDARD.encode(&key.as_bytes()[..32]);
        let started: Vec<(Process, Api, tempfile::TempDir)> = (0..2)
            .map(|_| {
                let folder = tempfile::tempdir().expect("a folder can be made");
                let port = free_port();
                let mut command = program();
                command
                    .arg("serve")
                    .current_dir(folder.path())
                    .env("AUTH_AGENT_DATABASE_URL", place.url())
                    .env("AUTH_AGENT_MASTER_KEY", &master_key)
                    .env("AUTH_AGENT_LISTEN", format!("127.0.0.1:{port}"))
                    .env("AUTH_AGENT_ISSUER", "https://auth.example");
                let process = Process::start(&mut command);
                let base = format!("http://127.0.0.1:{port}");
                let api = Api::new(base, "https://auth.example".into(), String::new());
                (process, api, folder)
            })
            .collect();
        let mut sets = Vec::new();
        for (_, api, _) in &started {
            eventually("the node is ready", async || {
                api.is_ready().await.then_some(())
            })
            .await;
            sets.push(
                api.send(api.get("/.well-known/jwks.json"))
                    .await
                    .expect(200)
                    .json,
            );
        }
        assert_eq!(sets[0], sets[1]);
        // One of them made the first admin key; the other keeps none that opens nothing.
        let kept = started
            .iter()
            .filter(|(.., folder)| folder.path().join("data/admin.key").exists());
        assert_eq!(kept.count(), 1);
    }
}
