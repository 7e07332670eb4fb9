//! DELETE: the end of a client or an agent, with all that hangs on it.

use reqwest::Method;
use serde_json::json;

use crate::support::{Api, Authorize, on_both_databases, process::eventually};

async fn delete(api: &Api, path: &str) {
    let reply = api.admin(Method::DELETE, path, None).await;
    assert_eq!((reply.status, &*reply.text), (204, ""), "{path}");
}

async fn status(api: &Api, path: &str) -> String {
    let shown = api.admin(Method::GET, path, None).await.expect(200);
    shown.str("status").to_owned()
}

/// Waits until the request's own stream tells how it ended.
async fn ended(api: &Api, request: &str) -> String {
    eventually("the end in the request's own stream", async || {
        let events = api
            .audit_log(&format!("stream=auth_request/{request}&type=Revoked"))
            .await;
        let reason = events.first()?["payload"]["reason"].as_str()?;
        Some(reason.to_owned())
    })
    .await
}

on_both_databases! {
    async fn a_revoked_client_is_unknown_everywhere_and_takes_its_sign_ins_with_it(env: Env) {
        let api = env.api().await;
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let other = api.create_client(json!({})).await;
        let done = api.sign_in(&client, &agent).await;
        let elsewhere = api.sign_in(&other, &agent).await;
        let (asked, page, callback) = api.code(&client, &agent).await;
        let path = format!("/clients/{}", client.id);
        assert_eq!(status(&api, &path).await, "active");
        delete(&api, &path).await;

        assert_eq!(status(&api, &path).await, "revoked");
        let refused = api.open(&Authorize::new(&client), "").await;
        assert_eq!(refused.status, 400);
        assert!(refused.text.contains("not one that is registered here"), "{}", refused.text);
        let code = callback.get("code");
        api.redeem(&client, &code, &asked.pkce.verifier).await.refused(401, "invalid_client");
        api.refresh(&client, done.tokens.refresh()).await.refused(401, "invalid_client");
        for token in [&*done.tokens.access_token, done.tokens.refresh()] {
            api.introspect(&client, token).await.refused(401, "invalid_client");
            api.revoke(&client, token).await.refused(401, "invalid_client");
        }
        api.userinfo(&done.tokens.access_token).await.refused(401, "invalid_token");
        // The browser is told, and not sent to an address that nobody vouches for any more.
        assert_eq!(api.check_status(&page).await.json["status"], "denied");
        assert_eq!(api.check_status(&page).await.json.get("redirect_to"), None);
        api.authenticate(&page, &agent).await.refused(409, "request_closed");
        for request in [&done.page.request_id, &page.request_id] {
            assert_eq!(ended(&api, request).await, "client_revoked");
        }
        assert_eq!(api.check_status(&page).await.json, json!({"status": "denied"}));
        api.userinfo(&elsewhere.tokens.access_token).await.expect(200);
    }

    async fn a_public_client_that_was_revoked_is_unknown_too(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({"token_endpoint_auth_method": "none"})).await;
        let agent = api.create_agent(json!({})).await;
        let done = api.sign_in(&client, &agent).await;
        delete(&api, &format!("/clients/{}", client.id)).await;
        api.refresh(&client, done.tokens.refresh()).await.refused(401, "invalid_client");
        api.revoke(&client, done.tokens.refresh()).await.refused(401, "invalid_client");
    }

    async fn a_page_that_waits_for_a_revoked_client_hears_of_it_at_once(env: Env) {
        let api = env.api().await;
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let page = api.authorize(&Authorize::new(&client)).await;
        let mut stream = api.events(&page).await;
        assert_eq!(stream.next().await.unwrap().status(), "pending");
        delete(&api, &format!("/clients/{}", client.id)).await;
        assert_eq!(api.check_status(&page).await.json, json!({"status": "denied"}));
        let told = stream.next().await.expect("the stream wakes");
        assert_eq!(told.data, json!({"status": "denied"}));
        assert_eq!(stream.next().await, None, "the stream closes");
        api.authenticate(&page, &agent).await.refused(409, "request_closed");
        assert_eq!(ended(&api, &page.request_id).await, "client_revoked");
        assert_eq!(api.check_status(&page).await.json, json!({"status": "denied"}));
        // A browser that knows does not come back for more.
        let again = api.sse(&page.request_id, Some(&page.cookie), Some(&told.id)).await;
        assert_eq!(again.status, 204);
    }

    async fn a_revoked_agent_never_signs_in_again(env: Env) {
        let api = env.api().await;
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let sibling = api.create_agent(json!({})).await;
        let done = api.sign_in(&client, &agent).await;
        let theirs = api.sign_in(&client, &sibling).await;
        let (asked, page, callback) = api.code(&client, &agent).await;
        let waiting = api.authorize(&Authorize::new(&client)).await;
        let path = format!("/agents/{}", agent.id);
        delete(&api, &path).await;

        assert_eq!(status(&api, &path).await, "revoked");
        for step in ["reinstate", "suspend", "reinstate"] {
            let reply = api.admin(Method::POST, &format!("{path}/{step}"), None).await;
            reply.refused(400, "invalid_request");
            assert!(reply.str("error_description").contains("cannot be undone"), "{}", reply.text);
            assert_eq!(status(&api, &path).await, "revoked");
        }
        let reply = api.authenticate(&waiting, &agent).await;
        reply.refused(403, "access_denied");
        let guess = crate::support::Agent { secret: "guess".into(), ..agent.clone() };
        api.authenticate(&waiting, &guess).await.refused(401, "invalid_agent");
        for token in [&*done.tokens.access_token, done.tokens.refresh()] {
            assert!(!api.is_active(&client, token).await);
        }
        api.refresh(&client, done.tokens.refresh()).await.refused(400, "invalid_grant");
        let code = callback.get("code");
        api.redeem(&client, &code, &asked.pkce.verifier).await.refused(400, "invalid_grant");
        assert_eq!(api.check_status(&page).await.json["status"], "denied");
        assert_eq!(ended(&api, &done.page.request_id).await, "agent_revoked");
        // Nobody else is touched: not even the page that the agent did not sign in to.
        api.authenticate(&waiting, &sibling).await.expect(200);
        assert!(api.is_active(&client, &theirs.tokens.access_token).await);
    }

    async fn a_suspended_agent_can_be_revoked_as_well(env: Env) {
        let api = env.api().await;
        let agent = api.create_agent(json!({})).await;
        api.suspend(&agent).await;
        delete(&api, &format!("/agents/{}", agent.id)).await;
        assert_eq!(status(&api, &format!("/agents/{}", agent.id)).await, "revoked");
    }

    async fn ending_twice_is_one_event_by_whoever_did_it(env: Env) {
        let api = env.api().await;
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        for (kind, id) in [("client", &client.id), ("agent", &agent.id)] {
            for _ in 0..2 {
                delete(&api, &format!("/{kind}s/{id}")).await;
            }
            let events = api.audit_log(&format!("stream={kind}/{id}")).await;
            let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
            assert_eq!(types, ["Registered", "Revoked"]);
            assert_eq!(events[1]["metadata"]["actor"]["type"], "admin_key");
            assert_eq!(events[1]["payload"], json!({}));
        }
    }

    async fn nobody_can_be_allowed_a_client_that_was_revoked(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        delete(&api, &format!("/clients/{}", client.id)).await;
        let body = json!({
            "agent_name": "x", "user_name": "Ada", "user_email": "ada@people.example",
            "allowed_clients": [client.id],
        });
        let reply = api.admin(Method::POST, "/agents", Some(body)).await;
        reply.refused(400, "invalid_request");
        assert!(reply.str("error_description").contains("allowed_clients"), "{}", reply.text);
    }

    async fn an_id_that_is_nobodys_is_404(env: Env) {
        let api = env.api().await;
        let (no_client, no_agent) =
            (auth_agent::edge::new_client_id().to_string(), auth_agent::edge::new_agent_id().to_string());
        for path in ["/clients/x", "/agents/x"].map(str::to_owned).into_iter().chain([
            format!("/clients/{no_client}"),
            format!("/clients/{no_agent}"),
            format!("/agents/{no_agent}"),
            format!("/agents/{no_client}"),
        ]) {
            api.admin(Method::DELETE, &path, None).await.refused(404, "not_found");
        }
    }
}
