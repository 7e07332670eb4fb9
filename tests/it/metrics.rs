//! GET /metrics: what a sign-in moves, who may read it, and that nothing in it names anybody.

mod dashboard;
mod exposition;

use reqwest::Method;
use serde_json::json;

use crate::support::{
    Api, Authorize, Backend, TestServer, on_both_databases,
    process::{eventually, free_port},
};
use exposition::Exposition;

/// What is counted now.
async fn counted(api: &Api) -> Exposition {
    let call = api.get("/metrics").bearer_auth(&api.admin_key);
    let reply = api.send(call).await.expect(200);
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(reply.header("content-type"), kind);
    assert_eq!(reply.header("cache-control"), "no-store");
    Exposition::read(&reply.text)
}

on_both_databases! {
    async fn a_sign_in_moves_exactly_the_counts_that_it_should(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let before = counted(&api).await;
        let page = api.authorize(&Authorize::new(&client)).await;
        let mut stream = api.events(&page).await;
        assert_eq!(stream.next().await.unwrap().status(), "pending");
        assert_eq!(counted(&api).await.value("auth_agent_waiting_streams", &[]), 1.0);
        api.authenticate(&page, &agent).await.expect(200);
        assert_eq!(stream.next().await.unwrap().status(), "authenticated");
        let done = api.sign_in(&client, &agent).await;
        api.refresh(&client, done.tokens.refresh()).await.expect(200);
        assert!(api.is_active(&client, &done.tokens.access_token).await);
        api.revoke(&client, &done.tokens.access_token).await.expect(200);
        assert!(!api.is_active(&client, &done.tokens.access_token).await);
        api.redeem(&client, "nonsense", &done.asked.pkce.verifier).await.refused(400, "invalid_grant");
        let moved = counted(&api).await.since(&before);
        for (name, labels, by) in [
            ("auth_agent_authorize_total", [("outcome", "created")].as_slice(), 2.0),
            ("auth_agent_authenticate_total", &[("outcome", "authenticated")], 2.0),
            ("auth_agent_token_total", &[("grant_type", "authorization_code"), ("outcome", "issued")], 1.0),
            ("auth_agent_token_total", &[("grant_type", "authorization_code"), ("outcome", "invalid_grant")], 1.0),
            ("auth_agent_token_total", &[("grant_type", "refresh_token"), ("outcome", "issued")], 1.0),
            ("auth_agent_introspect_total", &[("outcome", "active")], 1.0),
            ("auth_agent_introspect_total", &[("outcome", "inactive")], 1.0),
            ("auth_agent_revoke_total", &[("outcome", "ok")], 1.0),
            ("auth_agent_http_requests_total", &[("route", "/token"), ("method", "POST"), ("status", "2xx")], 2.0),
            ("auth_agent_http_requests_total", &[("route", "/token"), ("method", "POST"), ("status", "4xx")], 1.0),
            ("auth_agent_http_requests_total", &[("route", "/api/requests/{request_id}/events"), ("method", "GET"), ("status", "2xx")], 1.0),
            ("auth_agent_http_request_seconds_count", &[("route", "/introspect")], 2.0),
            ("auth_agent_push_seconds_count", &[], 1.0),
        ] {
            assert_eq!(moved.value(name, labels), by, "{name} {labels:?}");
        }
        // And no other outcome of any step.
        for (step, most) in [("authorize", 2.0), ("authenticate", 2.0), ("token", 3.0), ("introspect", 2.0), ("revoke", 1.0)] {
            assert_eq!(moved.sum(&format!("auth_agent_{step}_total")), most, "{step}");
        }
        assert!(moved.value("auth_agent_commit_seconds_count", &[]) >= 5.0);
        assert!(moved.value("auth_agent_writer_batch_commands_count", &[]) >= 5.0);
        assert_eq!(moved.value("auth_agent_commit_failures_total", &[]), 0.0);
        assert!(moved.value("auth_agent_hash_seconds_count", &[]) >= 2.0, "one secret each");
        assert!(moved.value("auth_agent_log_head", &[]) >= 7.0);
        eventually("the followers to have read it all", async || {
            (counted(&api).await.sum("auth_agent_follower_lag") == 0.0).then_some(())
        })
        .await;
    }

    async fn what_is_refused_is_counted_by_its_reason(env: Env) {
        let server = env.start(|options| {
            options.env("AUTH_AGENT_LIMITS", "on").flag("--limit-failures", "1/h burst 2");
        }).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let mut agent = api.create_agent(json!({})).await;
        let page = api.authorize(&Authorize::new(&client)).await;
        agent.secret = format!("{}x", agent.secret);
        for status in [401, 401, 429] {
            assert_eq!(api.authenticate(&page, &agent).await.status, status);
        }
        let asked = api.get("/authorize?client_id=nobody");
        assert_eq!(api.send(asked).await.status, 400);
        let counted = counted(&api).await;
        for (name, labels, number) in [
            ("auth_agent_authenticate_total", [("outcome", "invalid_agent")].as_slice(), 2.0),
            ("auth_agent_authenticate_total", &[("outcome", "slow_down")], 1.0),
            ("auth_agent_authorize_total", &[("outcome", "invalid_request")], 1.0),
            ("auth_agent_limit_refusals_total", &[("limit", "failures")], 1.0),
            ("auth_agent_limit_refusals_total", &[("limit", "pending_per_client")], 0.0),
        ] {
            assert_eq!(counted.value(name, labels), number, "{name} {labels:?}");
        }
    }

    async fn no_label_names_anybody(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let client = api.create_client(json!({"client_name": "Profilio"})).await;
        let agent = api.create_agent(json!({})).await;
        let done = api.sign_in(&client, &agent).await;
        for path in [
            format!("/nowhere/{}", agent.id),
            format!("/authorize/{}", done.page.request_id),
            format!("/api/admin/agents/{}", agent.id),
            format!("/api/admin/nowhere/{}", agent.id),
            format!("/static/{}", client.id),
        ] {
            let brew = Method::from_bytes(b"BREW").unwrap();
            for method in [Method::GET, brew, Method::DELETE] {
                let call = api.call(method, &path).bearer_auth(&api.admin_key);
                if path.contains("/agents/") && !call.try_clone().unwrap().build().unwrap().method().eq("GET") {
                    continue;
                }
                api.send(call).await;
            }
        }
        let form = [("grant_type", "made-up")];
        api.token(&client, &form).await.refused(400, "unsupported_grant_type");
        let counted = counted(&api).await;
        let (request_id, secret) = (done.page.request_id.as_str(), agent.secret.as_str());
        for foreign in [
            &*client.id, &*agent.id, &*agent.owner_id, request_id, secret, &*done.code, "claude-opus",
            "Profilio", "127.0.0.1", "made-up", "BREW", "nowhere", "people.example",
        ] {
            assert!(!counted.text.contains(foreign), "{foreign} in\n{}", counted.text);
        }
        let admin = [("route", "/api/admin/agents/{id}"), ("method", "GET"), ("status", "2xx")];
        assert_eq!(counted.value("auth_agent_http_requests_total", &admin), 1.0);
        assert!(counted.samples.len() < 1_000, "{} samples", counted.samples.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_need_a_key_and_none_on_an_address_of_their_own() {
    let server = TestServer::start(Backend::Sqlite, |_| {}).await;
    let api = server.api();
    let reply = api.send(api.get("/metrics")).await;
    reply.refused(401, "unauthorized");
    assert!(reply.header("www-authenticate").starts_with("Bearer"));
    let wrong = api.get("/metrics").bearer_auth("nonsense");
    api.send(wrong).await.refused(401, "unauthorized");
    counted(&api).await;

    let apart = free_port();
    let server = TestServer::start(Backend::Sqlite, |options| {
        options
            .flag("--admin-listen", format!("127.0.0.1:{apart}"))
            .issuer("https://auth.example/auth");
    })
    .await;
    let api = server.api();
    let reply = api
        .send(api.get(&format!("http://127.0.0.1:{apart}/auth/metrics")))
        .await
        .expect(200);
    let counted = Exposition::read(&reply.text);
    // The issuer's path stands in no label.
    let ready = [
        ("route", "/api/ready"),
        ("method", "GET"),
        ("status", "2xx"),
    ];
    assert!(counted.value("auth_agent_http_requests_total", &ready) >= 1.0);
    assert!(counted.value("auth_agent_process_resident_memory_bytes", &[]) > 1_000_000.0);
    assert!(counted.value("auth_agent_process_open_fds", &[]) > 3.0);
    assert!(counted.value("auth_agent_connections", &[]) >= 1.0);
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(counted.value("auth_agent_build_info", &version), 1.0);
}
