//! Registering agents with the person behind them, and the kill switch.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    log::{acts, history},
    support::{Api, Reply, on_both_databases, process::arbitrary},
};

fn body(email: &str) -> Value {
    json!({"agent_name": "Errand Runner", "user_email": email, "user_name": "Ada Lovelace"})
}

async fn register(api: &Api, fields: Value) -> Reply {
    let mut body = body(&format!("ada.{:x}@people.example", arbitrary()));
    for (name, value) in fields.as_object().expect("an object") {
        body[name] = value.clone();
    }
    api.admin(Method::POST, "/agents", Some(body)).await
}

async fn shown(api: &Api, path: &str) -> Value {
    api.admin(Method::GET, path, None).await.expect(200).json
}

/// The status that an agent or owner is shown with, alone and in its list.
async fn status(api: &Api, kind: &str, id: &str) -> String {
    let alone = shown(api, &format!("/{kind}/{id}")).await;
    let list = shown(api, &format!("/{kind}?limit=500")).await;
    let member = if kind == "agents" {
        "agent_id"
    } else {
        "owner_id"
    };
    let items = list["items"].as_array().unwrap();
    let listed = items.iter().find(|item| item[member] == *id).unwrap();
    assert_eq!(alone["status"], listed["status"]);
    alone["status"].as_str().unwrap().to_owned()
}

on_both_databases! {
    async fn a_secret_is_shown_once_and_never_again(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let agent = api.create_agent(json!({})).await;
        for path in [
            format!("/agents/{}", agent.id),
            "/agents?limit=500".to_owned(),
            "/owners?limit=500".to_owned(),
            format!("/owners/{}", agent.owner_id),
            "/audit-log?limit=500".to_owned(),
        ] {
            let reply = api.admin(Method::GET, &path, None).await.expect(200);
            assert!(reply.text.contains(&agent.owner_id), "{path}");
            assert!(!reply.text.contains(&agent.secret), "{path}: {}", reply.text);
            assert!(!reply.text.contains("agent_secret"), "{path}");
        }
        assert!(agent.secret.len() >= 43, "at least 256 bits");
    }

    async fn an_address_may_be_of_any_script_and_an_accent_is_written_in_two_ways(env: Env) {
        let api = env.api().await;
        let unique = format!("{:x}", arbitrary());
        let one = register(&api, body(&format!("ren\u{e9}+{unique}@b\u{fc}cher.example"))).await.expect(201);
        let same = register(&api, body(&format!("rene\u{301}+{unique}@bu\u{308}cher.example"))).await.expect(201);
        assert_eq!(one.str("owner_id"), same.str("owner_id"));
        let capital = register(&api, body(&format!("J\u{30c}o+{unique}@b.example"))).await.expect(201);
        let small = register(&api, body(&format!("\u{1f0}o+{unique}@b.example"))).await.expect(201);
        assert_eq!(capital.str("owner_id"), small.str("owner_id"));
        for (local, domain) in [
            ("\u{938}\u{902}\u{92a}\u{930}\u{94d}\u{915}", "\u{921}\u{93e}\u{91f}\u{93e}.\u{92d}\u{93e}\u{930}\u{924}"),
            ("\u{e17}\u{e35}\u{e48}", "\u{e17}\u{e35}\u{e48}.\u{e44}\u{e17}\u{e22}"),
        ] {
            register(&api, body(&format!("{local}+{unique}@{domain}"))).await.expect(201);
        }
    }

    async fn an_address_that_differs_by_case_alone_is_the_same_person(env: Env) {
        let api = env.api().await;
        let unique = format!("{:x}", arbitrary());
        let one = register(&api, body(&format!("Ada.{unique}@People.Example"))).await.expect(201);
        let email = format!("ada.{unique}@people.example");
        let other = register(&api, body(&email)).await.expect(201);
        let third = register(&api, body(&format!("  ADA.{unique}@PEOPLE.EXAMPLE "))).await.expect(201);
        assert_eq!(one.str("owner_id"), other.str("owner_id"));
        assert_eq!(one.str("owner_id"), third.str("owner_id"));
        assert_ne!(one.str("agent_id"), other.str("agent_id"));
        // The address stays as it was first written.
        let owner = shown(&api, &format!("/owners/{}", one.str("owner_id"))).await;
        assert_eq!(owner["user_email"], format!("Ada.{unique}@People.Example"));
        assert_eq!(owner["user_name"], "Ada Lovelace");
        assert_eq!(owner["email_verified"], false);
        let stranger = register(&api, body(&format!("x{email}"))).await.expect(201);
        assert_ne!(one.str("owner_id"), stranger.str("owner_id"));
    }

    async fn many_agents_made_at_once_for_one_address_have_one_owner(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        for round in 0..5 {
            let email = format!("ada{round}@people.example");
            let made = join_all((0..6).map(|_| register(&api, body(&email)))).await;
            let owners: Vec<String> =
                made.into_iter().map(|reply| reply.expect(201).str("owner_id").to_owned()).collect();
            assert!(owners.iter().all(|owner| *owner == owners[0]), "{owners:?}");
            let list = shown(&api, "/owners?limit=500").await;
            let items = list["items"].as_array().unwrap();
            let same = items.iter().filter(|owner| owner["user_email"] == *email).count();
            assert_eq!(same, 1);
            assert_eq!(items.len(), round + 1);
            let stream = format!("stream=owner/{}", owners[0]);
            assert_eq!(history(&api, &stream).await.len(), 1);
        }
    }

    async fn what_an_agent_may_do_is_kept_as_given(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let fields = json!({
            "model": "claude-opus-4",
            "capabilities": ["browse", "buy"],
            "allowed_scopes": ["openid", "profile"],
            "allowed_clients": [client.id],
            "minimum_binding": "browser",
        });
        let made = register(&api, fields).await.expect(201);
        let agent = shown(&api, &format!("/agents/{}", made.str("agent_id"))).await;
        for (member, value) in [
            ("agent_name", json!("Errand Runner")),
            ("user_name", json!("Ada Lovelace")),
            ("model", json!("claude-opus-4")),
            ("capabilities", json!(["browse", "buy"])),
            ("allowed_scopes", json!("openid profile")),
            ("allowed_clients", json!([client.id])),
            ("minimum_binding", json!("browser")),
            ("status", json!("active")),
            ("owner_id", made.json["owner_id"].clone()),
        ] {
            assert_eq!(agent[member], value, "{member}");
        }
    }

    async fn whatever_is_at_fault_is_named_and_nothing_is_made(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let before = acts(&api, "").await;
        let stranger = auth_agent::edge::new_client_id().to_string();
        for (fields, named) in [
            (json!({"allowed_clients": [stranger]}), &*stranger),
            (json!({"allowed_clients": ["x"]}), "allowed_clients"),
            (json!({"allowed_clients": "x"}), "allowed_clients"),
            (json!({"allowed_clients": vec![stranger.clone(); 201]}), "allowed_clients"),
            (json!({"allowed_scopes": ["a\"b"]}), "allowed_scopes"),
            (json!({"allowed_scopes": 7}), "allowed_scopes"),
            (json!({"agent_name": ""}), "agent_name"),
            (json!({"agent_name": "x".repeat(129)}), "agent_name"),
            (json!({"user_name": "a\u{200b}b"}), "user_name"),
            (json!({"user_email": "nobody"}), "user_email"),
            (json!({"user_email": "@people.example"}), "user_email"),
            (json!({"user_email": "a@b@c"}), "user_email"),
            (json!({"user_email": "a b@c"}), "user_email"),
            (json!({"user_email": "<a@b.example>"}), "user_email"),
            (json!({"user_email": "Ada <a@b.example>"}), "user_email"),
            (json!({"user_email": "mailto:a@b.example"}), "user_email"),
            (json!({"user_email": "a@b.example,c@d.example"}), "user_email"),
            (json!({"user_email": "\"x@y.example"}), "user_email"),
            (json!({"user_email": "a@b..example"}), "user_email"),
            (json!({"user_email": "a@-b-"}), "user_email"),
            (json!({"user_email": "a@[127.0.0.1]"}), "user_email"),
            (json!({"user_email": format!("{}@b", "a".repeat(255))}), "user_email"),
            (json!({"model": ""}), "model"),
            (json!({"capabilities": [7]}), "capabilities[0]"),
            (json!({"capabilities": vec!["x"; 33]}), "capabilities"),
            (json!({"minimum_binding": "some"}), "minimum_binding"),
            (json!({"agent_secret": "mine"}), "agent_secret"),
            (json!({"owner_id": "owner_x"}), "owner_id"),
        ] {
            let reply = register(&api, fields).await.expect(400);
            let told = reply.str("error_description");
            assert!(told.contains(named), "{named}: {told}");
        }
        assert_eq!(acts(&api, "").await, before);
        assert_eq!(shown(&api, "/owners").await["items"], json!([]));
    }

    async fn suspending_twice_is_suspending_once(env: Env) {
        let api = env.api().await;
        let agent = api.create_agent(json!({})).await;
        for (kind, id, stream) in [
            ("agents", &agent.id, "agent"),
            ("owners", &agent.owner_id, "owner"),
        ] {
            let call = async |verb: &str| {
                let reply = api.admin(Method::POST, &format!("/{kind}/{id}/{verb}"), None).await;
                reply.expect(200).str("status").to_owned()
            };
            assert_eq!(status(&api, kind, id).await, "active");
            for (verb, then) in [
                ("reinstate", "active"),
                ("suspend", "suspended"),
                ("suspend", "suspended"),
                ("reinstate", "active"),
                ("reinstate", "active"),
                ("suspend", "suspended"),
            ] {
                assert_eq!(call(verb).await, then);
                assert_eq!(status(&api, kind, id).await, then);
            }
            let events = history(&api, &format!("stream={stream}/{id}")).await;
            let types: Vec<_> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
            assert_eq!(types, ["Registered", "Suspended", "Reinstated", "Suspended"]);
        }
    }

    async fn a_reinstated_agent_may_sign_in_where_it_was_refused(env: Env) {
        let api = env.api().await;
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let page = api.authorize(&crate::support::Authorize::new(&client)).await;
        api.suspend(&agent).await;
        api.authenticate(&page, &agent).await.refused(403, "access_denied");
        api.reinstate(&agent).await;
        api.authenticate(&page, &agent).await.expect(200);
    }

    async fn an_unknown_agent_or_owner_is_404_whatever_is_done_to_it(env: Env) {
        let api = env.api().await;
        let agent = api.create_agent(json!({})).await;
        let (no_agent, no_owner) =
            (auth_agent::edge::new_agent_id().to_string(), auth_agent::edge::new_owner_id().to_string());
        for (kind, ids) in [
            ("agents", [&*no_agent, "x", &agent.owner_id, "%00", "%ff"]),
            ("owners", [&*no_owner, "x", &agent.id, "%00", "%ff"]),
        ] {
            for id in ids {
                let path = format!("/{kind}/{id}");
                api.admin(Method::GET, &path, None).await.refused(404, "not_found");
                for verb in ["suspend", "reinstate"] {
                    let path = format!("{path}/{verb}");
                    api.admin(Method::POST, &path, None).await.refused(404, "not_found");
                }
            }
        }
    }

    async fn a_fault_of_an_agent_is_an_invalid_request_and_of_a_client_invalid_metadata(env: Env) {
        let api = env.api().await;
        let agent = json!({
            "agent_name": "x", "user_name": "Ada", "user_email": "ada@people.example",
        });
        for (name, value) in [
            ("agent_name", json!("\u{3164}")), ("user_name", json!("a\u{FE0F}")), ("model", json!("")),
            ("capabilities", json!([""])), ("user_email", json!("x")),
        ] {
            let mut body = agent.clone();
            body[name] = value;
            let reply = api.admin(Method::POST, "/agents", Some(body)).await;
            reply.refused(400, "invalid_request");
            assert!(reply.str("error_description").contains(name), "{}", reply.text);
        }
        let body = json!({"client_name": "", "redirect_uris": ["https://a.example/"]});
        let reply = api.admin(Method::POST, "/clients", Some(body)).await;
        reply.refused(400, "invalid_client_metadata");
        // An array is no object, however its members are ordered.
        let listed = json!(["x", "ada@people.example", "Ada"]);
        api.admin(Method::POST, "/agents", Some(listed)).await.refused(400, "invalid_request");
        let listed = json!(["x", ["https://a.example/"]]);
        api.admin(Method::POST, "/clients", Some(listed)).await.refused(400, "invalid_request");
    }

    async fn a_new_name_is_not_lost_to_another_change_at_the_same_time(env: Env) {
        let api = env.api().await;
        let agent = api.create_agent(json!({})).await;
        let path = format!("/agents/{}", agent.id);
        for round in 0..20 {
            let (name, model) = (format!("Name {round}"), format!("Model {round}"));
            let change = |fields| api.admin(Method::PUT, &path, Some(fields));
            let (renamed, other) = tokio::join!(
                change(json!({"agent_name": name})),
                change(json!({"model": model})),
            );
            assert_eq!(renamed.expect(200).str("agent_name"), name);
            other.expect(200);
            let agent = shown(&api, &path).await;
            assert_eq!((&agent["agent_name"], &agent["model"]), (&json!(name), &json!(model)));
        }
    }
}
