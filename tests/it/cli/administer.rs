//! Administration from a shell: each call has its command, and what ends something asks.

use std::fs;

use serde_json::{Value, json};

use super::{job, terminal::on_a_terminal};
use crate::support::{
    Backend, TestServer, on_both_databases,
    process::{Ended, completed},
};

async fn done(server: &TestServer, args: &[&str]) -> Ended {
    completed(&mut job(server, args)).await
}

async fn json_of(server: &TestServer, args: &[&str]) -> Value {
    completed(job(server, args).arg("--json")).await.told()
}

on_both_databases! {
    async fn a_client_is_listed_shown_changed_and_deleted(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let client = api.create_client(json!({"client_name": "Profilio"})).await;
        let agent = api.create_agent(json!({})).await;
        let signed_in = api.sign_in(&client, &agent).await;
        let id = &*client.id;

        let listed = json_of(&server, &["client", "list"]).await;
        assert_eq!((&listed["items"][0]["client_id"], &listed["next"]), (&json!(id), &json!(null)));
        let lines = done(&server, &["client", "list"]).await;
        let lines: Vec<&str> = lines.said().lines().collect();
        assert!(lines[0].starts_with("CLIENT ID") && lines[0].contains("REDIRECT URIS"), "{lines:?}");
        assert_eq!(lines[0].find("NAME"), lines[1].find("Profilio"), "{lines:?}");

        let shown = json_of(&server, &["client", "show", id]).await;
        assert_eq!(shown["client_name"], "Profilio");
        let lines = done(&server, &["client", "show", id]).await;
        assert!(lines.said().starts_with("client id:"), "{lines:?}");

        let update = ["client", "update", id, "--name", "Renamed", "--client-uri", "https://a.example"];
        assert_eq!(json_of(&server, &update).await["client_uri"], "https://a.example");
        let clear = json_of(&server, &["client", "update", id, "--clear", "client-uri"]).await;
        assert_eq!((&clear["client_name"], clear.get("client_uri").filter(|uri| !uri.is_null())), (&json!("Renamed"), None));
        let nothing = done(&server, &["client", "update", id]).await;
        assert!(nothing.complaint(2).contains("nothing to change"));
        let both = ["client", "update", id, "--scope", "openid", "--clear", "scope"];
        assert!(done(&server, &both).await.complaint(2).contains("--scope"));

        // Nobody to ask: nothing is done.
        let refused = done(&server, &["client", "delete", id]).await;
        assert!(refused.complaint(2).contains("--yes"));
        assert!(api.is_active(&client, &signed_in.tokens.access_token).await);
        done(&server, &["client", "delete", id, "--yes"]).await.said();
        assert_eq!(json_of(&server, &["client", "show", id]).await["status"], "revoked");
        let gone = done(&server, &["client", "update", id, "--name", "x"]).await;
        assert!(gone.complaint(1).contains("revoked"));
    }

    async fn an_agent_and_its_owner_are_stopped_and_given_new_secrets(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let signed_in = api.sign_in(&client, &agent).await;
        let active = async || api.is_active(&client, &signed_in.tokens.access_token).await;
        assert!(active().await);
        for (job, id) in [("agent", &*agent.id), ("owner", &*agent.owner_id)] {
            let told = done(&server, &[job, "suspend", id]).await;
            assert!(told.complaint(2).contains("--yes"));
            let told = json_of(&server, &[job, "suspend", id, "--yes"]).await;
            assert_eq!(told["status"], "suspended");
            assert!(!active().await);
            assert_eq!(json_of(&server, &[job, "show", id]).await["status"], "suspended");
            let told = done(&server, &[job, "reinstate", id]).await;
            assert!(told.said().contains("stays dead"));
            assert_eq!(json_of(&server, &[job, "list"]).await["items"][0]["status"], "active");
        }

        let other = api.create_agent(json!({"user_email": "grace@people.example"})).await;
        let agents = async |filter: &[&str]| {
            let listed = json_of(&server, &[&["agent", "list"], filter].concat()).await;
            let items = listed["items"].as_array().unwrap().iter();
            items.map(|item| item["agent_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(agents(&[]).await, [agent.id.clone(), other.id.clone()]);
        assert_eq!(agents(&["--owner", &agent.owner_id]).await, std::slice::from_ref(&agent.id));
        assert_eq!(agents(&["--user-email", "Grace@people.example"]).await, [other.id]);
        let told = done(&server, &["agent", "list", "--owner", &agent.id]).await;
        assert!(told.complaint(2).contains("is an agent, not an owner"), "{told:?}");

        let rotate = ["agent", "rotate-secret", &agent.id, "--grace", "60", "--secret-file", "new.secret"];
        let told = done(&server, &rotate).await;
        assert!(told.said().contains("stays valid until"), "{told:?}");
        let secret = fs::read_to_string(server.folder().join("new.secret")).unwrap();
        assert!(!told.stdout.contains(secret.trim()));
        let shown = json_of(&server, &["agent", "show", &agent.id]).await;
        let until = shown["previous_secret_expires_at"].as_str().unwrap();
        assert!(told.stdout.contains(until), "{told:?} {shown}");
        let lines = done(&server, &["agent", "show", &agent.id]).await;
        assert!(lines.said().contains(until), "{lines:?}");
        let mut renewed = agent.clone();
        renewed.secret = secret.trim().to_owned();
        api.sign_in(&client, &renewed).await;
        let told = json_of(&server, &["client", "rotate-secret", &client.id]).await;
        assert_ne!(told["client_secret"].as_str(), client.secret.as_deref());
        assert!(told.get("previous_secret_expires_at").is_none());

        let update = ["agent", "update", &agent.id, "--model", "m", "--capability", "errands"];
        let told = json_of(&server, &update).await;
        assert_eq!((&told["model"], &told["capabilities"]), (&json!("m"), &json!(["errands"])));
        let clear = ["agent", "update", &agent.id, "--clear", "model", "--clear", "capability"];
        let told = json_of(&server, &clear).await;
        assert!(told.get("model").is_none_or(Value::is_null), "{told}");
        assert!(told.get("capabilities").and_then(|list| list.get(0)).is_none(), "{told}");
        done(&server, &["agent", "delete", &agent.id, "--yes"]).await.said();
        assert_eq!(json_of(&server, &["agent", "show", &agent.id]).await["status"], "revoked");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_s_keys_are_a_list_like_every_other() {
    let server = TestServer::start(Backend::Sqlite, |_| {}).await;
    let listed = done(&server, &["keys", "list"]).await;
    let lines: Vec<&str> = listed.said().lines().collect();
    assert!(lines[0].starts_with("STATUS  USE"), "{listed:?}");
    let of = lines.iter().filter(|line| line.starts_with("active"));
    assert_eq!(of.count(), 4, "{listed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_is_read_to_its_end_and_an_id_of_the_wrong_kind_is_named() {
    let mut server = TestServer::start(Backend::Sqlite, |_| {}).await;
    let api = server.api();
    for _ in 0..103 {
        api.create_client(json!({"token_endpoint_auth_method": "none"}))
            .await;
    }
    let count = |listed: &Value| listed["items"].as_array().unwrap().len();
    let first = json_of(&server, &["client", "list"]).await;
    assert_eq!(count(&first), 100);
    let rest = ["client", "list", "--after", first["next"].as_str().unwrap()];
    assert_eq!(count(&json_of(&server, &rest).await), 3);
    let more = done(&server, &["client", "list", "--limit", "2"]).await;
    assert!(more.stderr.contains("--all"), "{more:?}");
    let all = json_of(&server, &["client", "list", "--all"]).await;
    assert_eq!((count(&all), &all["next"]), (103, &Value::Null));

    let told = done(
        &server,
        &["client", "show", "agent_00000000000000000000000000000001"],
    )
    .await;
    assert!(
        told.complaint(2)
            .ends_with("is an agent, not a client: try `auth-agent agent show`")
    );
    let unknown = done(
        &server,
        &["client", "show", "client_00000000000000000000000000000001"],
    )
    .await;
    assert!(unknown.complaint(1).contains("no such client"));

    // The same while no server runs.
    server.stop().await;
    assert_eq!(json_of(&server, &["client", "list", "--all"]).await, all);
    let id = all["items"][0]["client_id"].as_str().unwrap();
    done(&server, &["client", "delete", id, "--yes"])
        .await
        .said();
    assert_eq!(
        json_of(&server, &["client", "show", id]).await["status"],
        "revoked"
    );
    let follow = done(&server, &["audit", "--follow"]).await;
    assert!(follow.complaint(2).contains("no server runs"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_terminal_what_ends_something_asks_first() {
    let server = TestServer::start(Backend::Sqlite, |_| {}).await;
    let api = server.api();
    let client = api.create_client(json!({"client_name": "Profilio"})).await;
    let agent = api.create_agent(json!({})).await;
    api.sign_in(&client, &agent).await;
    let delete = ["client", "delete", &client.id];
    let Some((status, text)) = on_a_terminal(&server, &delete, "n") else {
        return;
    };
    assert_eq!(status, 1, "{text}");
    let asked = format!(
        "Delete client Profilio ({})? Its 1 sign-in ends.",
        client.id
    );
    assert!(text.contains(&asked) && text.contains("[y/N]"), "{text}");
    assert!(text.contains("nothing was done"), "{text}");
    assert_eq!(
        json_of(&server, &["client", "show", &client.id]).await["status"],
        "active"
    );
    let (status, text) = on_a_terminal(&server, &delete, "y").unwrap();
    assert_eq!(status, 0, "{text}");
    assert_eq!(
        json_of(&server, &["client", "show", &client.id]).await["status"],
        "revoked"
    );
}
