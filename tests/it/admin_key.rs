//! The door of the administration: no key, no entry, and not even a word about what lies behind it.

use reqwest::{Method, header};
use serde_json::json;

use crate::support::{Api, on_both_databases};

const CHALLENGE: &str = "Bearer realm=\"Auth Agent administration\"";

/// Paths below /api/admin, existing or not.
const PATHS: [&str; 14] = [
    "/api/admin",
    "/api/admin/",
    "/api/admin//",
    "/api/admin/?limit=1",
    "/api/admin/clients",
    "/api/admin/clients/",
    "/api/admin/clients/client_00000000000000000000000000000000",
    "/api/admin/agents/x/suspend",
    "/api/admin/owners",
    "/api/admin/audit-log",
    "/api/admin/nothing",
    "/api/admin/%63lients",
    "/api/admin/%FF",
    "/api/admin/a/b/c/d",
];

async fn nobody_enters(api: &Api) {
    for path in PATHS {
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
            Method::OPTIONS,
        ] {
            let reply = api.send(api.call(method.clone(), path)).await;
            assert_eq!(reply.status, 401, "{method} {path}: {}", reply.text);
            reply.refused(401, "unauthorized");
            assert_eq!(reply.header("www-authenticate"), CHALLENGE, "{path}");
            assert_eq!(reply.header("allow"), "", "{path}");
            let wrong = api.call(method.clone(), path).bearer_auth("guess");
            assert_eq!(api.send(wrong).await.text, reply.text, "{method} {path}");
        }
    }
}

on_both_databases! {
    async fn without_a_key_every_path_is_401(env: Env) {
        let api = env.api().await;
        nobody_enters(&api).await;
        // With one, what is not there is not there.
        for path in ["", "/", "//", "/nothing", "/clients/"] {
            api.admin(Method::GET, path, None).await.refused(404, "not_found");
        }
    }

    async fn the_same_below_an_issuer_with_a_path(env: Env) {
        let server = env.start(|options| { options.issuer("https://auth.example/tenant/one"); }).await;
        let api = server.api();
        nobody_enters(&api).await;
        api.admin(Method::GET, "/", None).await.refused(404, "not_found");
        api.admin(Method::GET, "/clients", None).await.expect(200);
    }

    async fn two_authorization_headers_are_no_key(env: Env) {
        let api = env.api().await;
        let key = format!("Bearer {}", api.admin_key);
        for second in [&*key, "Bearer x", "Basic eDp5", ""] {
            let call = api.get("/api/admin/clients").header(header::AUTHORIZATION, &key);
            let reply = api.send(call.header(header::AUTHORIZATION, second)).await;
            reply.refused(401, "unauthorized");
            assert_eq!(reply.header("www-authenticate"), CHALLENGE);
        }
    }

    async fn what_is_shown_is_for_nobodys_cache(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        for path in [
            "/clients", "/agents", "/owners", "/audit-log", "/nothing",
            &format!("/clients/{}", client.id), &format!("/agents/{}", agent.id),
            &format!("/owners/{}", agent.owner_id),
        ] {
            let reply = api.admin(Method::GET, path, None).await;
            assert_eq!(reply.header("cache-control"), "no-store", "{path}");
        }
        let body = json!({"client_name": "x", "redirect_uris": ["https://a.example/"]});
        let reply = api.admin(Method::POST, "/clients", Some(body)).await.expect(201);
        assert_eq!(reply.header("cache-control"), "no-store");
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

    async fn a_redirect_uri_that_a_browser_reads_otherwise_is_not_registered(env: Env) {
        let api = env.api().await;
        for uri in [
            "https:/example.com/cb", "https:example.com/cb", "https:///x", "https://@example.com/cb",
            "https://:@example.com/cb", "https://ex%61mple.com/cb", "https://example.com/%zz",
            "https://example.com:443/cb", "https://EXAMPLE.com/cb", "https://example.com/a/../cb",
        ] {
            let body = json!({"client_name": "x", "redirect_uris": ["https://a.example/", uri]});
            let reply = api.admin(Method::POST, "/clients", Some(body)).await;
            reply.refused(400, "invalid_redirect_uri");
            assert!(reply.str("error_description").contains(uri), "{}", reply.text);
        }
    }
}
