//! PUT: what is given changes, the rest stays.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Api, Authorize, Reply, Tokens, on_both_databases};

async fn put(api: &Api, path: &str, body: Value) -> Reply {
    api.admin(Method::PUT, path, Some(body)).await
}

async fn shown(api: &Api, path: &str) -> Value {
    api.admin(Method::GET, path, None).await.expect(200).json
}

on_both_databases! {
    async fn a_client_changes_in_what_is_given_and_the_log_holds_all_of_it(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({"client_uri": "https://profilio.example/"})).await;
        let path = format!("/clients/{}", client.id);
        let mut expected = shown(&api, &path).await;
        let answer = put(&api, &path, json!({"client_name": "Other", "client_uri": null})).await;
        expected["client_name"] = json!("Other");
        expected.as_object_mut().unwrap().remove("client_uri");
        assert_eq!(answer.expect(200).json, expected);
        assert_eq!(shown(&api, &path).await, expected);
        // The same again is no event.
        put(&api, &path, json!({"client_name": "Other"})).await.expect(200);
        put(&api, &path, json!({})).await.expect(200);
        let events = api.audit_log(&format!("stream=client/{}", client.id)).await;
        assert_eq!(events.len(), 2);
        assert_eq!(events[1]["type"], "Updated");
        assert_eq!(events[1]["payload"]["client_name"], "Other");
        assert_eq!(events[1]["payload"]["redirect_uris"], expected["redirect_uris"]);
        assert_eq!(events[1]["metadata"]["actor"]["type"], "admin_key");
    }

    async fn a_page_keeps_the_redirect_uri_that_it_was_opened_with(env: Env) {
        let api = env.api().await;
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let asked = Authorize::new(&client);
        let page = api.authorize(&asked).await;
        let path = format!("/clients/{}", client.id);
        let elsewhere = json!({"redirect_uris": ["https://elsewhere.example/cb"]});
        put(&api, &path, elsewhere).await.expect(200);
        api.authenticate(&page, &agent).await.expect(200);
        let callback = api.callback(&page).await;
        assert!(callback.url.as_str().starts_with(&client.redirect_uri), "{}", callback.url);
        let code = callback.get("code");
        Tokens::of(api.redeem(&client, &code, &asked.pkce.verifier).await);
        // What is opened from here on must name the new one.
        assert_eq!(api.open(&Authorize::new(&client), "").await.status, 400);
    }

    async fn without_the_grant_type_nothing_is_refreshed(env: Env) {
        let api = env.api().await;
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let done = api.sign_in(&client, &agent).await;
        let path = format!("/clients/{}", client.id);
        put(&api, &path, json!({"grant_types": ["authorization_code"]})).await.expect(200);
        let refused = api.refresh(&client, done.tokens.refresh()).await;
        refused.refused(400, "unauthorized_client");
        assert!(api.is_active(&client, &done.tokens.access_token).await);
    }

    async fn an_agent_changes_in_what_is_given_its_name_too(env: Env) {
        let api = env.api().await;
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let path = format!("/agents/{}", agent.id);
        let mut expected = shown(&api, &path).await;
        put(&api, &path, json!({"agent_name": "Other", "allowed_clients": []})).await.expect(200);
        expected["agent_name"] = json!("Other");
        expected["allowed_clients"] = json!([]);
        assert_eq!(shown(&api, &path).await, expected);
        let page = api.authorize(&Authorize::new(&client)).await;
        api.authenticate(&page, &agent).await.refused(403, "access_denied");
        put(&api, &path, json!({"allowed_clients": null})).await.expect(200);
        api.authenticate(&page, &agent).await.expect(200);
        // A new name is told as an event, and is not in it.
        put(&api, &path, json!({"agent_name": "Third"})).await.expect(200);
        put(&api, &path, json!({"agent_name": "Third"})).await.expect(200);
        let events = api.audit_log(&format!("stream=agent/{}", agent.id)).await;
        let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["Registered", "Updated", "Updated", "Updated"]);
        assert!(!format!("{events:?}").contains("Third"));
    }

    async fn a_change_is_held_to_what_a_new_one_is_held_to(env: Env) {
        let api = env.api().await;
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let public = api.create_client(json!({"token_endpoint_auth_method": "none"})).await;
        let (client, agent) = (format!("/clients/{}", client.id), format!("/agents/{}", agent.id));
        let public = format!("/clients/{}", public.id);
        for (path, body, named) in [
            (&client, json!({"redirect_url": "https://a.example/"}), "redirect_url"),
            (&client, json!({"client_id": "x"}), "client_id"),
            (&client, json!({"redirect_uris": ["http://example.com"]}), "http://example.com"),
            (&client, json!({"redirect_uris": ["https://a.example/", 7]}), "redirect_uris[1]"),
            (&client, json!({"client_name": null}), "client_name"),
            (&client, json!({"grant_types": ["refresh_token"]}), "grant_types"),
            (&client, json!({"token_endpoint_auth_method": "none"}), "token_endpoint_auth_method"),
            (&public, json!({"token_endpoint_auth_method": null}), "token_endpoint_auth_method"),
            (&client, json!(["x"]), "object"),
            (&agent, json!({"user_email": "ada@people.example"}), "user_email"),
            (&agent, json!({"owner_id": "x"}), "owner_id"),
            (&agent, json!({"agent_name": ""}), "agent_name"),
            (&agent, json!({"minimum_binding": "some"}), "minimum_binding"),
            (&agent, json!({"capabilities": vec!["x"; 33]}), "capabilities"),
            (&agent, json!({"allowed_clients": [auth_agent::edge::new_client_id()]}), "allowed_clients"),
        ] {
            let before = shown(&api, path).await;
            let reply = put(&api, path, body).await.expect(400);
            let told = reply.str("error_description");
            assert!(told.contains(named), "{named}: {told}");
            assert_eq!(shown(&api, path).await, before);
        }
        for path in [&client, &agent] {
            api.admin(Method::DELETE, path, None).await.expect(204);
            let reply = put(&api, path, json!({"minimum_binding": "none"})).await;
            assert!(reply.expect(400).str("error_description").contains("cannot be undone"));
        }
        for path in ["/clients/x", "/agents/x"] {
            put(&api, path, json!({})).await.refused(404, "not_found");
        }
    }
}
