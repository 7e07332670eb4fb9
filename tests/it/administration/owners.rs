//! Owners: a person changes, and is erased.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Api, Authorize, Reply, on_both_databases,
    process::{arbitrary, eventually},
};

fn address() -> String {
    format!("ada.{:x}@people.example", arbitrary())
}

async fn put(api: &Api, owner: &str, body: Value) -> Reply {
    api.admin(Method::PUT, &format!("/owners/{owner}"), Some(body))
        .await
}

async fn shown(api: &Api, owner: &str) -> Value {
    api.admin(Method::GET, &format!("/owners/{owner}"), None)
        .await
        .expect(200)
        .json
}

async fn erase(api: &Api, owner: &str) {
    let reply = api
        .admin(Method::DELETE, &format!("/owners/{owner}"), None)
        .await;
    assert_eq!((reply.status, &*reply.text), (204, ""));
}

async fn types(api: &Api, stream: &str) -> Vec<String> {
    let events = api.audit_log(&format!("stream={stream}")).await;
    for event in &events {
        assert_eq!(
            event["metadata"]["actor"],
            json!({"type": "admin_key", "id": "environment"})
        );
    }
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect()
}

on_both_databases! {
    async fn a_person_changes_in_what_is_given_and_the_log_names_neither(env: Env) {
        let api = env.api().await;
        let (first, second) = (address(), address());
        let (client, agent) = (
            api.create_client(json!({})).await,
            api.create_agent(json!({"user_email": first})).await,
        );
        let owner = &agent.owner_id;
        let changed = put(&api, owner, json!({"user_email": second})).await.expect(200).json;
        let expected = json!({
            "owner_id": owner, "user_name": "Ada Lovelace", "user_email": second,
            "email_verified": false, "status": "active",
        });
        assert_eq!(changed, expected);
        assert_eq!(shown(&api, owner).await, expected);
        put(&api, owner, json!({"user_name": "Ada King"})).await.expect(200);
        put(&api, owner, json!({"user_name": "Ada King", "user_email": second})).await.expect(200);
        put(&api, owner, json!({})).await.expect(200);
        let stream = format!("owner/{owner}");
        assert_eq!(types(&api, &stream).await, ["Registered", "AddressChanged", "Renamed"]);
        let told = json!(api.audit_log(&format!("stream={stream}")).await).to_string();
        for text in [&*first, &*second, "Ada"] {
            assert!(!told.contains(text), "{told}");
        }
        // Sign-ins tell the new ones; the id stays.
        let done = api.sign_in(&client, &agent).await;
        let claims = api.userinfo(&done.tokens.access_token).await.expect(200).json;
        assert_eq!((&claims["email"], &claims["name"]), (&json!(second), &json!("Ada King")));
        assert_eq!(claims["email_verified"], false);
        // The former address is somebody else's to have; the new one finds the owner.
        assert_ne!(api.create_agent(json!({"user_email": first})).await.owner_id, *owner);
        let again = api.create_agent(json!({"user_email": second.to_uppercase()})).await;
        assert_eq!(again.owner_id, *owner);
    }

    async fn an_address_belongs_to_one(env: Env) {
        let api = env.api().await;
        let (theirs, mine) = (address(), address());
        let other = api.create_agent(json!({"user_email": theirs})).await;
        let agent = api.create_agent(json!({"user_email": mine})).await;
        let reply = put(&api, &agent.owner_id, json!({"user_email": theirs.to_uppercase()})).await;
        reply.refused(409, "conflict");
        assert!(reply.str("error_description").contains(&other.owner_id), "{}", reply.text);
        assert_eq!(shown(&api, &agent.owner_id).await["user_email"], *mine);
        // Another spelling of one's own is none of anybody else's.
        put(&api, &agent.owner_id, json!({"user_email": mine.to_uppercase()})).await.expect(200);
        for body in [
            json!({"user_email": "x"}), json!({"user_email": null}), json!({"user_name": ""}),
            json!({"user_name": 7}), json!({"name": "x"}), json!({"owner_id": "x"}), json!([]),
        ] {
            put(&api, &agent.owner_id, body).await.refused(400, "invalid_request");
        }
        put(&api, "x", json!({})).await.refused(404, "not_found");
        // Exchanged at once, each has one in the end.
        let (a, b) = tokio::join!(
            put(&api, &agent.owner_id, json!({"user_email": "same@people.example"})),
            put(&api, &other.owner_id, json!({"user_email": "same@people.example"})),
        );
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        for owner in [&agent.owner_id, &other.owner_id] {
            put(&api, owner, json!({"user_email": address()})).await.expect(200);
        }
    }

    async fn who_is_erased_is_known_nowhere_and_their_agents_have_ended(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let mark = format!("{:x}", arbitrary());
        let email = format!("{mark}@people.example");
        let named = json!({
            "user_email": email, "user_name": format!("Person {mark}"), "agent_name": format!("Agent {mark}"),
        });
        let agent = api.create_agent(named.clone()).await;
        let sibling = api.create_agent(named.clone()).await;
        let (stranger, owner) = (api.create_agent(json!({})).await, &agent.owner_id);
        let done = api.sign_in(&client, &agent).await;
        let theirs = api.sign_in(&client, &stranger).await;
        let (asked, page, callback) = api.code(&client, &sibling).await;
        let waiting = api.authorize(&Authorize::new(&client)).await;
        erase(&api, owner).await;

        for token in [&*done.tokens.access_token, done.tokens.refresh()] {
            assert!(!api.is_active(&client, token).await);
        }
        api.refresh(&client, done.tokens.refresh()).await.refused(400, "invalid_grant");
        api.userinfo(&done.tokens.access_token).await.refused(401, "invalid_token");
        let code = callback.get("code");
        api.redeem(&client, &code, &asked.pkce.verifier).await.refused(400, "invalid_grant");
        assert_eq!(api.check_status(&page).await.json["status"], "denied");
        for agent in [&agent, &sibling] {
            api.authenticate(&waiting, agent).await.refused(401, "invalid_agent");
            let path = format!("/agents/{}", agent.id);
            let seen = api.admin(Method::GET, &path, None).await.expect(200).json;
            assert_eq!((&seen["status"], &seen["agent_name"]), (&json!("revoked"), &Value::Null));
            assert_eq!(seen.get("user_email"), None);
            for step in ["reinstate", "rotate-secret"] {
                let reply = api.admin(Method::POST, &format!("{path}/{step}"), None).await;
                reply.refused(400, "invalid_request");
            }
            assert_eq!(types(&api, &format!("agent/{}", agent.id)).await, ["Registered", "Revoked"]);
        }
        let expected = json!({
            "owner_id": owner, "user_name": null, "user_email": null, "email_verified": false,
            "status": "erased",
        });
        assert_eq!(shown(&api, owner).await, expected);
        let owners = api.admin(Method::GET, "/owners", None).await.expect(200);
        assert_eq!(owners.json["items"][0], expected);
        for (method, step) in [(Method::POST, "/suspend"), (Method::POST, "/reinstate"), (Method::PUT, "")] {
            let body = (method == Method::PUT).then(|| json!({"user_name": "x"}));
            let reply = api.admin(method, &format!("/owners/{owner}{step}"), body).await;
            reply.refused(400, "invalid_request");
            assert!(reply.str("error_description").contains("erased"), "{}", reply.text);
        }
        erase(&api, owner).await;
        assert_eq!(types(&api, &format!("owner/{owner}")).await, ["Registered", "Erased"]);
        let ended = eventually("the end in the sign-in's own stream", async || {
            let query = format!("stream=auth_request/{}&type=Revoked", done.page.request_id);
            api.audit_log(&query).await.first().cloned()
        }).await;
        assert_eq!(ended["payload"]["reason"], "owner_erased");
        // Nobody else is touched, and whoever comes with the address is somebody new.
        assert!(api.is_active(&client, &theirs.tokens.access_token).await);
        let fresh = api.create_agent(named).await;
        assert_ne!(fresh.owner_id, *owner);
        erase(&api, &fresh.owner_id).await;
        let tables = [
            "select count(*) from people where email like '%MARK%' or name like '%MARK%'",
            "select count(*) from agent_profiles where agent_name like '%MARK%'",
        ].map(|text| text.replace("MARK", &mark)).into_iter().chain([
            format!("select count(*) from credentials where holder in ('{}', '{}')", agent.id, sibling.id),
            format!("select count(*) from address_keys where scope = 'agent/{}'", agent.id),
        ]);
        for text in tables {
            assert_eq!(crate::sql::sql(&server, &text).await, ["0"], "{text}");
        }
        // The log is whole, and still fits its read models.
        let mut check = server.command();
        let output = check.args(["projections", "check"]).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }

    async fn an_agent_that_is_registered_meanwhile_is_no_agent_of_an_erased_owner(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        for _ in 0..6 {
            let email = address();
            let body = json!({"user_email": email});
            let owner = api.create_agent(body.clone()).await.owner_id;
            let register = (0..4).map(|_| api.create_agent(body.clone()));
            let (agents, ()) = tokio::join!(futures_util::future::join_all(register), erase(&api, &owner));
            assert_eq!(shown(&api, &owner).await["status"], "erased");
            for agent in agents {
                let path = format!("/agents/{}", agent.id);
                let seen = api.admin(Method::GET, &path, None).await.expect(200).json;
                let dead = seen["owner_id"] == *owner;
                assert_eq!(seen["status"], if dead { "revoked" } else { "active" }, "{seen}");
            }
        }
    }

    async fn an_id_that_is_nobodys_is_404(env: Env) {
        let api = env.api().await;
        let nobody = auth_agent::edge::new_owner_id().to_string();
        for id in ["x", &nobody] {
            let path = format!("/owners/{id}");
            api.admin(Method::DELETE, &path, None).await.refused(404, "not_found");
            api.admin(Method::PUT, &path, Some(json!({}))).await.refused(404, "not_found");
        }
    }
}
