//! What an agent means to sign in to, and what it may; a refused agent closes no page.

use super::*;

on_both_databases! {
    async fn an_expected_origin_must_be_the_requests(env: Env) {
        let api = env.api().await;
        let agent = api.create_agent(json!({})).await;
        let client = api.create_client(json!({
            "redirect_uris": ["https://profilio.example:8443/callback"],
            "client_uri": "https://www.profilio.example/welcome",
        })).await;
        for origin in [
            "https://profilio.example", "https://profilio.example:443", "http://profilio.example:8443",
            "https://evil.example", "https://profilio.example.evil.example:8443",
            "https://evil.example/https://profilio.example:8443", "profilio.example:8443", "null", "*",
            "https://profilio.example:8443@evil.example", "http://www.profilio.example", "\u{202e}",
            "https://sub.profilio.example:8443",
        ] {
            let page = api.authorize(&Authorize::new(&client)).await;
            let call = body(&page, &agent, json!({"expected_origin": origin}));
            refused(&api.authenticate_with(&call, &page.cookie).await, 403, "origin_mismatch");
            still_waits(&api, &page).await;
        }
        for origin in [
            "https://profilio.example:8443", "HTTPS://Profilio.EXAMPLE:8443", "https://profilio.example:8443/",
            "https://www.profilio.example", "https://www.profilio.example:443/",
        ] {
            let page = api.authorize(&Authorize::new(&client)).await;
            let call = body(&page, &agent, json!({"expected_origin": origin}));
            api.authenticate_with(&call, &page.cookie).await.expect(200);
        }
    }

    async fn an_expected_client_must_be_the_requests(env: Env) {
        let api = env.api().await;
        let agent = api.create_agent(json!({})).await;
        let (client, page) = page(&api, json!({})).await;
        let other = api.create_client(json!({})).await;
        for id in [&*other.id, "client_x", "x", &client.id.to_uppercase()] {
            let call = body(&page, &agent, json!({"expected_client_id": id}));
            refused(&api.authenticate_with(&call, &page.cookie).await, 403, "origin_mismatch");
        }
        still_waits(&api, &page).await;
        // Both must fit when both are given.
        let both = json!({"expected_client_id": client.id, "expected_origin": "https://x.example"});
        let reply = api.authenticate_with(&body(&page, &agent, both), &page.cookie).await;
        refused(&reply, 403, "origin_mismatch");
        let call = body(&page, &agent, json!({"expected_client_id": client.id}));
        api.authenticate_with(&call, &page.cookie).await.expect(200);
    }

    async fn a_loopback_website_is_expected_with_or_without_its_port(env: Env) {
        let api = env.api().await;
        let agent = api.create_agent(json!({})).await;
        let client =
            api.create_client(json!({"redirect_uris": ["http://127.0.0.1:7777/cb"]})).await;
        for origin in ["http://127.0.0.1", "http://127.0.0.1:7777"] {
            let page = api.authorize(&Authorize::new(&client)).await;
            let call = body(&page, &agent, json!({"expected_origin": origin}));
            api.authenticate_with(&call, &page.cookie).await.expect(200);
        }
        for origin in ["https://127.0.0.1", "http://localhost", "http://127.0.0.2"] {
            let page = api.authorize(&Authorize::new(&client)).await;
            let call = body(&page, &agent, json!({"expected_origin": origin}));
            refused(&api.authenticate_with(&call, &page.cookie).await, 403, "origin_mismatch");
        }
    }

    async fn an_agent_signs_in_to_the_clients_on_its_list_alone(env: Env) {
        let api = env.api().await;
        let (listed, other) = (api.create_client(json!({})).await, api.create_client(json!({})).await);
        let agent = api.create_agent(json!({"allowed_clients": [listed.id]})).await;
        let free = api.create_agent(json!({})).await;
        let page = api.authorize(&Authorize::new(&other)).await;
        refused(&api.authenticate(&page, &agent).await, 403, "access_denied");
        still_waits(&api, &page).await;
        api.authenticate(&page, &free).await.expect(200);
        let page = api.authorize(&Authorize::new(&listed)).await;
        api.authenticate(&page, &agent).await.expect(200);
    }

    async fn an_agent_is_granted_no_scope_beyond_its_list(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        for scopes in [json!("openid profile"), json!(["openid", "profile"])] {
            let agent = api.create_agent(json!({"allowed_scopes": scopes})).await;
            let asked = Authorize::new(&client);
            let page = api.authorize(&asked).await;
            refused(&api.authenticate(&page, &agent).await, 403, "access_denied");
            still_waits(&api, &page).await;
            let page = api.authorize(&asked.with("scope", "profile openid")).await;
            api.authenticate(&page, &agent).await.expect(200);
        }
    }

    async fn a_refused_agent_cannot_close_a_page_nor_grow_its_stream(env: Env) {
        let api = env.api().await;
        let (client, page) = page(&api, json!({"minimum_binding": "address"})).await;
        let other = api.authorize(&Authorize::new(&client)).await;
        let lured = api.create_agent(json!({})).await;
        let strict = api.create_agent(json!({"minimum_binding": "browser"})).await;
        let barred = api.create_agent(json!({"allowed_clients": []})).await;
        let mut stream = api.events(&page).await;
        assert_eq!(stream.next().await.unwrap().status(), "pending");
        for _ in 0..3 {
            let foreign = json!({"expected_origin": "https://other.example"});
            let call = body(&page, &lured, foreign);
            refused(&api.authenticate_with(&call, "").await, 403, "origin_mismatch");
            let call = authentication(&page.request_id, &strict);
            refused(&api.authenticate_with(&call, "").await, 403, "binding_required");
            let call = authentication(&page.request_id, &lured);
            refused(&api.authenticate_with(&call, &other.cookie).await, 403, "browser_mismatch");
            refused(&api.authenticate(&page, &barred).await, 403, "access_denied");
            refused(&api.authenticate_with(&json!({
                "request_id": page.request_id, "agent_id": lured.id, "agent_secret": "guess", "model": "m",
            }), "").await, 401, "invalid_agent");
        }
        still_waits(&api, &page).await;
        let mut expected = vec!["Created"];
        expected.extend(["AgentRejected"; 5]);
        assert_eq!(api.event_types(&page).await, expected, "at most five for a request");
        let events = api.audit_log(&format!("stream=auth_request/{}", page.request_id)).await;
        let reasons: Vec<_> =
            events[1..5].iter().map(|event| event["payload"]["reason"].as_str().unwrap()).collect();
        let known =
            ["origin_mismatch", "binding_required", "browser_mismatch", "client_not_allowed"];
        assert_eq!(reasons, known);
        api.authenticate(&page, &strict).await.expect(200);
        assert_eq!(stream.next().await.unwrap().status(), "authenticated");
    }
}
