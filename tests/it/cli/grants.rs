//! Tokens, people and admin keys from a shell.

use std::fs;

use serde_json::json;

use super::{CREATE, job};
use crate::support::{Backend, TestServer, on_both_databases, process::completed};

on_both_databases! {
    async fn a_sign_in_is_listed_and_ended_and_a_person_changed_and_erased(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let [first, second] = [api.sign_in(&client, &agent).await, api.sign_in(&client, &agent).await];
        let listed = completed(job(&server, &["token", "list", "--agent", &agent.id]).arg("--json")).await;
        assert_eq!(listed.told()["items"].as_array().unwrap().len(), 2);
        let sid = &*first.page.request_id;
        let refused = completed(&mut job(&server, &["token", "revoke", sid])).await;
        assert!(refused.complaint(2).contains("--yes"));
        let revoked = completed(job(&server, &["token", "revoke", sid, "--yes"]).arg("--json")).await;
        assert_eq!(revoked.told(), json!({}));
        assert!(!api.is_active(&client, &first.tokens.access_token).await);
        assert!(api.is_active(&client, &second.tokens.access_token).await);
        let lines = completed(&mut job(&server, &["token", "list", "--owner", &agent.owner_id])).await;
        assert_eq!(lines.said().lines().count(), 2, "{lines:?}");

        let owner = &*agent.owner_id;
        let update = ["owner", "update", owner, "--user-name", "Ada King", "--json"];
        let changed = completed(&mut job(&server, &update)).await.told();
        assert_eq!(changed["user_name"], "Ada King");
        completed(&mut job(&server, &["owner", "delete", owner, "--yes"])).await.said();
        let gone = completed(&mut job(&server, &["owner", "show", owner, "--json"])).await.told();
        assert_eq!(gone["status"], "erased");
        assert!(!api.is_active(&client, &second.tokens.access_token).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_key_is_made_used_and_deleted() {
    let server = TestServer::start(Backend::Sqlite, |_| {}).await;
    let create = [
        "admin-key",
        "create",
        "--name",
        "look",
        "--role",
        "auditor",
        "--secret-file",
        "look.key",
    ];
    let made = completed(job(&server, &create).arg("--json")).await.told();
    let key = fs::read_to_string(server.folder().join("look.key")).unwrap();
    let key = key.trim();
    assert!(!made.to_string().contains(key));
    // Good in any folder.
    let file = fs::canonicalize(server.folder().join("look.key")).unwrap();
    assert_eq!(made["secret_file"], file.to_str().unwrap());
    let with_it = |args: &[&str]| {
        let mut command = job(&server, args);
        command.env("AUTH_AGENT_ADMIN_KEY", key);
        command
    };
    completed(&mut with_it(&["client", "list"])).await.said();
    assert_eq!(completed(&mut with_it(&CREATE)).await.status, 1);
    let listed = completed(&mut job(&server, &["admin-key", "list"])).await;
    assert!(listed.said().contains("auditor") && !listed.said().contains(key));
    let id = made["admin_key_id"].as_str().unwrap();
    completed(&mut job(&server, &["admin-key", "delete", id, "--yes"]))
        .await
        .said();
    let refused = completed(&mut with_it(&["client", "list"])).await;
    assert!(refused.complaint(1).contains("refused the admin key"));
}
