//! Who did it: whatever changes something is in the log under the name of the key that was used, each
//! operation of the router, and so each that will be added.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    log::{acts, history_after},
    support::{on_both_databases, routes},
};

/// A call that changes something.
struct Act {
    method: &'static str,
    /// As the router has it.
    path: &'static str,
    /// What stands for `{id}`.
    id: String,
    body: Option<Value>,
    /// The types of the events that it leaves.
    leaves: &'static [&'static str],
}

fn act(
    (method, path): (&'static str, &'static str),
    id: &str,
    body: Option<Value>,
    leaves: &'static [&'static str],
) -> Act {
    let id = id.to_owned();
    Act {
        method,
        path,
        id,
        body,
        leaves,
    }
}

/// The operations below /api/admin that change something.
fn changing() -> BTreeSet<(String, String)> {
    let all = routes::operations().into_iter();
    all.filter(|(path, method)| path.starts_with("/api/admin/") && method != "get")
        .collect()
}

on_both_databases! {
    async fn every_change_bears_the_name_of_the_key_that_made_it(env: Env) {
        const GRACE: &str = "Grace's terminal";
        let server = env.start(|_| {}).await;
        let api = server.api();
        let key = async |name: &str| {
            let body = json!({"name": name, "role": "admin"});
            api.admin(Method::POST, "/admin-keys", Some(body)).await.expect(201)
        };
        let mut grace = api.clone();
        key(GRACE).await.str("admin_key").clone_into(&mut grace.admin_key);
        let spare = key("to be revoked").await.str("admin_key_id").to_owned();
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let (owner, sid) = (agent.owner_id.clone(), api.sign_in(&client, &agent).await.page.request_id);
        let new_client = json!({"client_name": "x", "redirect_uris": ["https://x.example/cb"]});
        let new_agent = json!({
            "agent_name": "x", "user_email": "x@people.example", "user_name": "x",
        });
        let (client, agent) = (&*client.id, &*agent.id);
        let acts_of_grace = [
            act(("post", "/api/admin/clients"), "", Some(new_client), &["Registered"]),
            act(("put", "/api/admin/clients/{id}"), client, Some(json!({"client_name": "y"})), &["Updated"]),
            act(("post", "/api/admin/clients/{id}/rotate-secret"), client, None, &["SecretRotated"]),
            act(("post", "/api/admin/agents"), "", Some(new_agent), &["Registered", "Registered"]),
            act(("put", "/api/admin/agents/{id}"), agent, Some(json!({"model": "y"})), &["Updated"]),
            act(("post", "/api/admin/agents/{id}/rotate-secret"), agent, None, &["SecretRotated"]),
            act(("delete", "/api/admin/tokens/{id}"), &sid, None, &["Revoked"]),
            act(("post", "/api/admin/agents/{id}/suspend"), agent, None, &["Suspended"]),
            act(("post", "/api/admin/agents/{id}/reinstate"), agent, None, &["Reinstated"]),
            act(("delete", "/api/admin/agents/{id}"), agent, None, &["Revoked"]),
            act(("delete", "/api/admin/clients/{id}"), client, None, &["Revoked"]),
            act(("put", "/api/admin/owners/{id}"), &owner, Some(json!({"user_name": "y"})), &["Renamed"]),
            act(("post", "/api/admin/owners/{id}/suspend"), &owner, None, &["Suspended"]),
            act(("post", "/api/admin/owners/{id}/reinstate"), &owner, None, &["Reinstated"]),
            act(("delete", "/api/admin/owners/{id}"), &owner, None, &["Erased"]),
            act(
                ("post", "/api/admin/admin-keys"), "", Some(json!({"name": "x", "role": "metrics"})),
                &["AdminKeyCreated"],
            ),
            act(("delete", "/api/admin/admin-keys/{id}"), &spare, None, &["AdminKeyRevoked"]),
            act(
                ("post", "/api/admin/keys/rotate"), "", Some(json!({"use": "signing", "alg": "EdDSA"})),
                &["Generated"],
            ),
        ];
        let named = |act: &Act| (act.path.to_owned(), act.method.to_owned());
        let known: BTreeSet<_> = acts_of_grace.iter().map(named).collect();
        assert_eq!(known, changing(), "add what was added to the router, with the events that it leaves");

        for Act { method, path, id, body, leaves } in acts_of_grace {
            let before = acts(&api, "").await.last().map_or(0, |last| last["position"].as_u64().unwrap());
            let below = path.strip_prefix("/api/admin").unwrap().replace("{id}", &id);
            let reply = grace.admin(method.to_uppercase().parse().unwrap(), &below, body).await;
            assert!((200..300).contains(&reply.status), "{method} {path}: {}", reply.text);
            let mut left = history_after(&api, before, "").await;
            left.retain(|event| event["type"] != "AuditLogRead");
            let types: Vec<&str> = left.iter().map(|event| event["type"].as_str().unwrap()).collect();
            assert_eq!(types, leaves, "{method} {path}");
            for event in left {
                let metadata = &event["metadata"];
                assert_eq!(metadata["actor"], json!({"type": "admin_key", "id": GRACE}), "{method} {path}: {event}");
                assert_eq!(metadata["request_id"], reply.header("x-request-id"), "{method} {path}: {event}");
            }
        }
    }
}
