//! Named admin keys: what each role may, and that making and revoking one counts at once.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    log::{acts, node::Place},
    support::{
        Api, on_both_databases,
        process::{Process, eventually, free_port},
        routes,
        server::program,
    },
};

/// Makes a key; yields the whole answer, and a client that uses it.
async fn made(api: &Api, name: &str, role: &str) -> (Value, Api) {
    let body = json!({"name": name, "role": role});
    let reply = api
        .admin(Method::POST, "/admin-keys", Some(body))
        .await
        .expect(201);
    let mut other = api.clone();
    reply.str("admin_key").clone_into(&mut other.admin_key);
    (reply.json, other)
}

async fn delete(api: &Api, id: &Value) -> crate::support::Reply {
    api.admin(
        Method::DELETE,
        &format!("/admin-keys/{}", id.as_str().unwrap()),
        None,
    )
    .await
}

on_both_databases! {
    async fn a_key_is_shown_once_and_what_it_does_is_recorded_under_its_name(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let (key, other) = made(&api, "Ada's laptop", "admin").await;
        let value = key["admin_key"].as_str().unwrap();
        let id = key["admin_key_id"].as_str().unwrap();
        let path = format!("/admin-keys/{id}");
        let mut shown = key.clone();
        shown.as_object_mut().unwrap().remove("admin_key");
        assert_eq!(api.admin(Method::GET, &path, None).await.expect(200).json, shown);
        let listed = other.admin(Method::GET, "/admin-keys", None).await.expect(200);
        assert_eq!(listed.json, json!({"items": [shown], "next": null}));
        let agent = other.create_agent(json!({})).await;
        let events = api.audit_log(&format!("stream=agent/{}", agent.id)).await;
        assert_eq!(events[0]["metadata"]["actor"], json!({"type": "admin_key", "id": "Ada's laptop"}));

        assert_eq!(delete(&api, &key["admin_key_id"]).await.status, 204);
        other.admin(Method::GET, "/agents", None).await.refused(401, "unauthorized");
        delete(&api, &key["admin_key_id"]).await.refused(404, "not_found");
        api.admin(Method::GET, &path, None).await.refused(404, "not_found");
        let events = acts(&api, "").await;
        let told = |type_name: &str| {
            events.iter().find(|event| event["type"] == type_name).expect("it is told")
        };
        let (born, gone) = (told("AdminKeyCreated"), told("AdminKeyRevoked"));
        assert_eq!(born["payload"], json!({"admin_key_id": id, "name": "Ada's laptop", "role": "admin"}));
        assert_eq!(gone["payload"], json!({"admin_key_id": id, "name": "Ada's laptop"}));
        for event in [born, gone] {
            assert_eq!(event["metadata"]["actor"]["id"], "environment");
        }
        assert!(!json!(events).to_string().contains(value));
        // The name is free again.
        made(&api, "Ada's laptop", "metrics").await;
    }

    async fn each_role_may_what_it_is_for_whatever_the_path(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let (_, auditor) = made(&api, "auditor", "auditor").await;
        let (_, metrics) = made(&api, "metrics", "metrics").await;
        let agent = api.create_agent(json!({})).await;
        let mut paths = routes::administration();
        paths.extend(["/api/admin", "/api/admin/nothing"].map(str::to_owned));
        for path in &paths {
            let path = path.replace("{id}", &agent.id);
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
                let method: Method = method.parse().unwrap();
                let reads = matches!(method.as_str(), "GET" | "HEAD");
                for (who, refused) in [(&auditor, !reads), (&metrics, true)] {
                    let call = who.call(method.clone(), &path).bearer_auth(&who.admin_key);
                    let reply = who.send(call).await;
                    assert_eq!(reply.status == 403, refused, "{method} {path}: {}", reply.text);
                    if !refused {
                        continue;
                    }
                    let challenge = reply.header("www-authenticate");
                    assert!(challenge.starts_with("Bearer realm="), "{challenge}");
                    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
                    assert_eq!(reply.header("allow"), "");
                    if method != Method::HEAD {
                        assert_eq!(reply.str("error"), "insufficient_scope");
                    }
                }
            }
        }
        // Nothing was changed, and the readings are recorded under the auditor's name.
        auditor.admin(Method::GET, &format!("/agents/{}", agent.id), None).await.expect(200);
        auditor.audit_log("type=Registered").await;
        let read = api.audit_log("type=AuditLogRead").await;
        assert!(read.iter().any(|event| event["metadata"]["actor"]["id"] == "auditor"));
        let revoked = api.audit_log("type=Revoked").await;
        assert_eq!(revoked.len(), 0);
    }

    async fn a_name_is_taken_once_and_some_are_the_server_s_own(env: Env) {
        let api = env.api().await;
        let name = format!("name {:x}", crate::support::process::arbitrary());
        made(&api, &name, "metrics").await;
        let create = async |body: Value| api.admin(Method::POST, "/admin-keys", Some(body)).await;
        let reply = create(json!({"name": name, "role": "admin"})).await;
        reply.refused(409, "conflict");
        assert!(reply.str("error_description").contains("take another"), "{}", reply.text);
        let alike = name.to_uppercase().replace(' ', "  ");
        create(json!({"name": alike, "role": "admin"})).await.refused(409, "conflict");
        let long = "x".repeat(65);
        for name in ["environment", "Local  Operator", "", " ", "a\u{7}b", "a\u{202e}b", &long] {
            let reply = create(json!({"name": name, "role": "admin"})).await;
            reply.refused(400, "invalid_request");
            assert!(reply.str("error_description").contains("name"), "{}", reply.text);
        }
        for body in [json!({"name": "x"}), json!({"name": "x", "role": "root"})] {
            let reply = create(body).await;
            reply.refused(400, "invalid_request");
            assert!(reply.str("error_description").contains("role"), "{}", reply.text);
        }
        for path in ["/admin-keys/x", &format!("/admin-keys/{}", auth_agent::edge::new_agent_id())] {
            api.admin(Method::GET, path, None).await.refused(404, "not_found");
            api.admin(Method::DELETE, path, None).await.refused(404, "not_found");
        }
    }

    async fn of_those_who_take_one_name_at_once_one_has_it(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let body = json!({"name": "one", "role": "auditor"});
        let all = (0..8).map(|_| api.admin(Method::POST, "/admin-keys", Some(body.clone())));
        let replies = futures_util::future::join_all(all).await;
        let mut statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    }

    async fn the_last_key_that_may_change_anything_stays(env: Env) {
        let place = Place::new(env).await;
        let port = free_port();
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut command = program();
        let master_key = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, [7; 32]);
        command
            .arg("serve")
            .current_dir(folder.path())
            .env("AUTH_AGENT_DATABASE_URL", place.url())
            .env("AUTH_AGENT_MASTER_KEY", &master_key)
            .env("AUTH_AGENT_LISTEN", format!("127.0.0.1:{port}"));
        let _process = Process::start(&mut command);
        let base = format!("http://127.0.0.1:{port}");
        let mut api = Api::new(base.clone(), base, String::new());
        eventually("the server is ready", async || api.is_ready().await.then_some(())).await;
        let kept = std::fs::read_to_string(folder.path().join("data/admin.key")).expect("a key");
        kept.trim().clone_into(&mut api.admin_key);
        let listed = api.admin(Method::GET, "/admin-keys", None).await.expect(200).json;
        let first = &listed["items"][0];
        assert_eq!((&first["name"], &first["role"]), (&json!("first"), &json!("admin")));
        let first = &first["admin_key_id"];
        made(&api, "auditor", "auditor").await;
        delete(&api, first).await.refused(409, "conflict");
        let (second, other) = made(&api, "second", "admin").await;
        // Two that end each other at once: one of them stays.
        let (one, two) = tokio::join!(delete(&api, &second["admin_key_id"]), delete(&other, first));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses[0], 204, "{statuses:?}");
        assert!([401, 409].contains(&statuses[1]), "{statuses:?}");
    }

    async fn a_tail_ends_with_the_key_that_opened_it(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let (key, other) = made(&api, "tail", "auditor").await;
        let mut tail = other.tail("type=Registered", None).await;
        api.create_agent(json!({})).await;
        tail.next().await.expect("an event");
        tail.next().await.expect("of the agent and of its owner");
        assert_eq!(delete(&api, &key["admin_key_id"]).await.status, 204);
        api.create_agent(json!({})).await;
        assert_eq!(tail.next().await, None);
    }
}
