//! Binding: how we know that the agent drives the browser that waits (security.md, threat 1).

use std::net::Ipv4Addr;

use super::*;
use crate::support::TestServer;

/// Authenticates from another network address than the tests' browsers have.
async fn from_elsewhere(
    server: &TestServer,
    page: &WaitingPage,
    agent: &Agent,
    headers: &[(&str, &str)],
) -> Reply {
    let client = reqwest::Client::builder().local_address(Some(Ipv4Addr::new(127, 0, 0, 2).into()));
    let client = client.no_proxy().build().unwrap();
    let mut call = client.post(format!("{}{PATH}", server.base_url()));
    for (name, value) in headers {
        call = call.header(*name, *value);
    }
    let call = call.json(&authentication(&page.request_id, agent));
    server.api().send(call).await
}

const LEVELS: [&str; 3] = ["none", "address", "browser"];

on_both_databases! {
    async fn a_call_is_bound_by_cookie_by_address_or_not_at_all(env: Env) {
        let server = env.server().await;
        let api = server.api();
        let agent = api.create_agent(json!({"minimum_binding": "none"})).await;
        let fields = json!({"minimum_binding": "none"});
        let (_, by_cookie) = page(&api, fields.clone()).await;
        let done = from_elsewhere(server, &by_cookie, &agent, &[("cookie", &by_cookie.cookie)]).await;
        assert_eq!(done.expect(200).str("binding"), "browser");
        let (_, by_address) = page(&api, fields.clone()).await;
        let done = api.authenticate_with(&authentication(&by_address.request_id, &agent), "").await;
        assert_eq!(done.expect(200).str("binding"), "address");
        let (_, unbound) = page(&api, fields).await;
        let done = from_elsewhere(server, &unbound, &agent, &[]).await;
        assert_eq!(done.expect(200).str("binding"), "none");
    }

    async fn the_stricter_of_client_and_agent_decides(env: Env) {
        let server = env.server().await;
        let api = server.api();
        for (of_agent, agent_level) in LEVELS.iter().enumerate() {
            let agent = api.create_agent(json!({"minimum_binding": agent_level})).await;
            for (of_client, client_level) in LEVELS.iter().enumerate() {
                let client = api.create_client(json!({"minimum_binding": client_level})).await;
                for (of_call, level) in LEVELS.iter().enumerate() {
                    let page = api.authorize(&Authorize::new(&client)).await;
                    let reply = match of_call {
                        0 => from_elsewhere(server, &page, &agent, &[]).await,
                        1 => api.authenticate_with(&body(&page, &agent, json!({})), "").await,
                        _ => api.authenticate(&page, &agent).await,
                    };
                    if of_call >= of_agent.max(of_client) {
                        assert_eq!(reply.expect(200).str("binding"), *level);
                    } else {
                        refused(&reply, 403, "binding_required");
                        assert!(reply.str("error_description").contains("cookie"), "the way out");
                        still_waits(&api, &page).await;
                    }
                }
            }
        }
    }

    async fn by_default_a_call_from_elsewhere_needs_the_cookie(env: Env) {
        let server = env.server().await;
        let api = server.api();
        let (_, page) = page(&api, json!({})).await;
        let agent = api.create_agent(json!({})).await;
        assert_eq!(agent.json["minimum_binding"], "address");
        // One of the two alone does not lower it.
        let lax = api.create_agent(json!({"minimum_binding": "none"})).await;
        for agent in [&agent, &lax] {
            let reply = from_elsewhere(server, &page, agent, &[]).await;
            refused(&reply, 403, "binding_required");
        }
        from_elsewhere(server, &page, &agent, &[("cookie", &page.cookie)]).await.expect(200);
    }

    async fn forwarded_addresses_are_believed_from_nobody(env: Env) {
        let server = env.server().await;
        let api = server.api();
        let (_, page) = page(&api, json!({})).await;
        let agent = api.create_agent(json!({})).await;
        for (name, value) in [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-for", "127.0.0.1, 127.0.0.2"),
            ("x-forwarded-for", "127.0.0.2, 127.0.0.1"),
            ("forwarded", "for=127.0.0.1"),
            ("forwarded", "for=127.0.0.1;proto=https;host=auth.example, for=127.0.0.1"),
            ("x-real-ip", "127.0.0.1"),
            ("cf-connecting-ip", "127.0.0.1"),
            ("true-client-ip", "127.0.0.1"),
            ("x-client-ip", "127.0.0.1"),
        ] {
            let reply = from_elsewhere(server, &page, &agent, &[(name, value)]).await;
            refused(&reply, 403, "binding_required");
        }
        // Nor can a call from the same address be made to look foreign.
        let call = api.post(PATH).header("x-forwarded-for", "192.0.2.1");
        let done = api.send(call.json(&authentication(&page.request_id, &agent))).await.expect(200);
        assert_eq!(done.str("binding"), "address");
    }

    async fn cookies_of_other_requests_alone_are_a_browser_mismatch(env: Env) {
        let api = env.api().await;
        let (client, page) = page(&api, json!({"minimum_binding": "none"})).await;
        let other = api.authorize(&Authorize::new(&client)).await;
        let agent = api.create_agent(json!({"minimum_binding": "none"})).await;
        let body = authentication(&page.request_id, &agent);
        let forged = other.cookie.replace(&other.request_id, &page.request_id);
        let both = format!("{}; {forged}", other.cookie);
        for cookies in [&other.cookie, &forged, &both] {
            let reply = api.authenticate_with(&body, cookies).await;
            refused(&reply, 403, "browser_mismatch");
        }
        still_waits(&api, &page).await;
        // Cookies of others besides its own do not matter, nor do strangers'.
        let cookies = format!("theme=dark; {}; {}", other.cookie, page.cookie);
        let done = api.authenticate_with(&body, &cookies).await.expect(200);
        assert_eq!(done.str("binding"), "browser");
    }

    async fn cookies_of_strangers_say_nothing_about_the_browser(env: Env) {
        let api = env.api().await;
        let (_, page) = page(&api, json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let body = authentication(&page.request_id, &agent);
        let done = api.authenticate_with(&body, "theme=dark; session=aa_req; aa_x=y").await;
        assert_eq!(done.expect(200).str("binding"), "address");
    }
}
