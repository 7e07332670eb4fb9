//! Each refusal is its own clear answer, and they come in the order of the contract's table.

use super::*;

/// A call whose faults are switched on one by one, from the last check to the first.
struct Faults<'a> {
    api: &'a Api,
    page: &'a WaitingPage,
    agent: &'a Agent,
}

impl Faults<'_> {
    async fn call(&self, change: impl FnOnce(&mut Value), cookies: &str) -> Reply {
        let mut body = authentication(&self.page.request_id, self.agent);
        change(&mut body);
        self.api.authenticate_with(&body, cookies).await
    }
}

fn json_call(api: &Api, media_type: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
    api.post(PATH)
        .header(header::CONTENT_TYPE, media_type)
        .body(body)
}

on_both_databases! {
    async fn size_type_and_syntax_come_first(env: Env) {
        let api = env.api().await;
        let large = format!("{{\"x\": \"{}", "x".repeat(16 * 1024));
        for media_type in ["application/json", "text/plain"] {
            refused(&api.send(json_call(&api, media_type, large.clone())).await, 413, "too_large");
        }
        for media_type in
            ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "", "text/json"]
        {
            let reply = api.send(json_call(&api, media_type, "{")).await;
            refused(&reply, 415, "unsupported_media_type");
        }
        refused(&api.send(api.post(PATH).body("{}")).await, 415, "unsupported_media_type");
        for body in ["", "{", "null", "[]", "\"x\"", "{\"a\":1,}", "{}{}", "\u{feff}{}", "{'a':1}"] {
            let reply = api.send(json_call(&api, "application/json", body)).await;
            refused(&reply, 400, "invalid_request");
        }
        let reply = api.send(json_call(&api, "application/json; charset=utf-8", "{}")).await;
        refused(&reply, 400, "invalid_request");
    }

    async fn a_body_of_16_kib_is_read_and_one_byte_more_is_not(env: Env) {
        let api = env.api().await;
        let (_, page) = page(&api, json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let mut text = authentication(&page.request_id, &agent).to_string();
        text.push_str(&" ".repeat(16 * 1024 - text.len()));
        let more = format!("{text} ");
        let call = |text| api.send(json_call(&api, "application/json", text));
        assert_eq!(call(more).await.status, 413);
        call(text).await.expect(200);
    }

    async fn the_refusals_come_in_the_order_of_the_contract(env: Env) {
        let api = env.api().await;
        let (client, page) = page(&api, json!({})).await;
        let agent = api.create_agent(json!({"allowed_clients": []})).await;
        let other = api.authorize(&Authorize::new(&client)).await;
        let faults = Faults { api: &api, page: &page, agent: &agent };
        let origin = |body: &mut Value| body["expected_origin"] = json!("https://other.example");

        // From the last check to the first, each fault hides those before it in this list.
        let reply = faults.call(|_| (), &page.cookie).await;
        refused(&reply, 403, "access_denied");
        refused(&faults.call(origin, &page.cookie).await, 403, "origin_mismatch");
        refused(&faults.call(origin, &other.cookie).await, 403, "browser_mismatch");

        let winner = api.create_agent(json!({})).await;
        api.authenticate(&page, &winner).await.expect(200);
        refused(&faults.call(origin, &other.cookie).await, 409, "request_closed");
        let unknown = |body: &mut Value| {
            origin(body);
            body["request_id"] = json!("req_00000000000000000000000000000000");
        };
        refused(&faults.call(unknown, &other.cookie).await, 404, "unknown_request");
        api.suspend(&agent).await;
        refused(&faults.call(unknown, &other.cookie).await, 403, "access_denied");
        let guess = |body: &mut Value| {
            unknown(body);
            body["agent_secret"] = json!("guess");
        };
        refused(&faults.call(guess, &other.cookie).await, 401, "invalid_agent");
        let faulty = |body: &mut Value| {
            guess(body);
            body["model"] = json!("");
        };
        refused(&faults.call(faulty, &other.cookie).await, 400, "invalid_request");
    }

    async fn expired_comes_before_closed_and_before_policy(env: Env) {
        let server = env.start(|options| { options.flag("--request-lifetime", 5); }).await;
        let api = server.api();
        let winner = api.create_agent(json!({})).await;
        let late = api.create_agent(json!({"minimum_binding": "browser"})).await;
        let (client, page) = page(&api, json!({})).await;
        api.authenticate(&page, &winner).await.expect(200);
        let fresh = api.authorize(&Authorize::new(&client)).await;
        let last = api.events(&fresh).await.rest().await.pop().unwrap();
        assert_eq!(last.status(), "expired");
        // Closed before, and both under a binding that is not enough.
        for page in [&page, &fresh] {
            let reply = api.authenticate_with(&body(page, &late, json!({})), "").await;
            refused(&reply, 410, "request_expired");
            // That it has expired is told only to who proves who it is.
            let guess = body(page, &late, json!({"agent_secret": "guess"}));
            let reply = api.authenticate_with(&guess, &page.cookie).await;
            refused(&reply, 401, "invalid_agent");
        }
        // Until then the winner got the same answer again; no longer.
        refused(&api.authenticate(&page, &winner).await, 410, "request_expired");
    }

    async fn an_unknown_request_is_404_whatever_it_looks_like(env: Env) {
        let api = env.api().await;
        let agent = api.create_agent(json!({})).await;
        for id in ["req_00000000000000000000000000000000", "x", "req_", "%", "' or 1=1--", "\u{202e}"] {
            let reply = api.authenticate_with(&authentication(id, &agent), "").await;
            refused(&reply, 404, "unknown_request");
        }
    }
}
