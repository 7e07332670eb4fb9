//! Whose network address a call has: the peer's, or what a trusted proxy says (security.md, threat 1).

use super::*;
use crate::support::{Agent, Env, TestServer, api::authentication};

const FORWARDED: &str = "x-forwarded-for";

/// A server behind proxies on loopback, which is where the tests call from.
async fn proxied(env: Env) -> TestServer {
    env.start(|options| {
        options
            .issuer("https://auth.example")
            .flag("--trusted-proxies", "127.0.0.0/8,fd00::/8");
    })
    .await
}

/// Opens a page through a proxy that says where from.
async fn opened_from(api: &Api, client: &Client, forwarded: &[&[u8]]) -> WaitingPage {
    let path = format!("/authorize?{}", Authorize::new(client).query());
    let mut call = api.get(&path);
    for value in forwarded {
        call = call.header(FORWARDED, *value);
    }
    WaitingPage::of(api.send(call).await)
}

/// Authenticates without a cookie, through a proxy that says where from.
async fn called_from(api: &Api, page: &WaitingPage, agent: &Agent, forwarded: &[&[u8]]) -> Reply {
    let mut call = api.post("/api/agent/authenticate");
    for value in forwarded {
        call = call.header(FORWARDED, *value);
    }
    api.send(call.json(&authentication(&page.request_id, agent)))
        .await
}

on_both_databases! {
    async fn a_trusted_proxy_says_where_a_call_comes_from(env: Env) {
        let server = proxied(env).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        for (browser, call) in [
            (&b"192.0.2.1"[..], &[&b"192.0.2.1"[..]][..]),
            (b"192.0.2.1", &[b"192.0.2.1:4711"]),
            (b"192.0.2.1", &[b"198.51.100.9, 192.0.2.1, 127.0.0.9"]),
            (b"192.0.2.1", &[b"198.51.100.9", b"192.0.2.1, fd00::7"]),
            (b"2001:db8:0:1::1", &[b"2001:db8:0:1:ffff::2"]),
            (b"[2001:db8:0:1::1]:443", &[b"2001:db8:0:1::9"]),
        ] {
            let page = opened_from(&api, &client, &[browser]).await;
            let done = called_from(&api, &page, &agent, call).await.expect(200);
            assert_eq!(done.str("binding"), "address");
        }
        let page = opened_from(&api, &client, &[b"192.0.2.1"]).await;
        for elsewhere in [
            &[&b"192.0.2.2"[..]][..],
            // What the caller adds itself stands to the left of what the proxy has seen.
            &[b"192.0.2.1, 198.51.100.9"],
            &[b"192.0.2.1", b"198.51.100.9"],
            &[b"192.0.2.1, 198.51.100.9, 127.0.0.1"],
            &[b"2001:db8:0:2::1"],
        ] {
            let refused = called_from(&api, &page, &agent, elsewhere).await;
            refused.refused(403, "binding_required");
        }
        called_from(&api, &page, &agent, &[b"192.0.2.1"]).await.expect(200);
    }

    async fn what_is_no_address_is_not_believed_and_no_error(env: Env) {
        let server = proxied(env).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        for malformed in [
            &[][..],
            &[&b""[..]],
            &[b"unknown"],
            &[b"192.0.2.1, unknown"],
            &[b"192.0.2.1,"],
            &[b"\xff\xfe"],
            &[b"127.0.0.1"],
            &[b"192.0.2.1/32"],
        ] {
            // The same words of the proxy twice say nothing: everybody may come through it.
            let page = opened_from(&api, &client, malformed).await;
            let refused = called_from(&api, &page, &agent, malformed).await;
            refused.refused(403, "binding_required");
            api.authenticate(&page, &agent).await.expect(200);
        }
    }

    async fn behind_an_unknown_proxy_no_call_is_bound_by_address(env: Env) {
        let server = env.start(|options| { options.issuer("https://auth.example"); }).await;
        let api = server.api();
        let (strict, lax) = (json!({}), json!({"minimum_binding": "none"}));
        let client = api.create_client(strict.clone()).await;
        let agent = api.create_agent(strict).await;
        for forwarded in [&[][..], &[&b"192.0.2.1"[..]]] {
            let page = opened_from(&api, &client, forwarded).await;
            let refused = called_from(&api, &page, &agent, forwarded).await;
            refused.refused(403, "binding_required");
            let told = refused.str("error_description");
            assert!(told.contains("cookie"), "the way out: {told}");
            assert!(!told.contains("network address"), "no way out here: {told}");
            let done = api.authenticate(&page, &agent).await.expect(200);
            assert_eq!(done.str("binding"), "browser");
        }
        let client = api.create_client(lax.clone()).await;
        let agent = api.create_agent(lax).await;
        let page = opened_from(&api, &client, &[]).await;
        let done = called_from(&api, &page, &agent, &[]).await.expect(200);
        assert_eq!(done.str("binding"), "none");
    }

    async fn a_peer_that_is_no_trusted_proxy_is_not_believed(env: Env) {
        let server = env.start(|options| {
            options.issuer("https://auth.example").flag("--trusted-proxies", "192.0.2.0/24");
        }).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let page = opened_from(&api, &client, &[b"198.51.100.9"]).await;
        let refused = called_from(&api, &page, &agent, &[b"198.51.100.9"]).await;
        refused.refused(403, "binding_required");
    }
}

#[test]
fn networks_that_cannot_be_read_are_refused_at_start_in_one_line() {
    for value in ["nonsense", "10.0.0.0/8,", "10.0.0.0/33", "0.0.0.0/0", ""] {
        let folder = tempfile::tempdir().unwrap();
        let output = crate::support::server::program()
            .current_dir(folder.path())
            .env("AUTH_AGENT_TRUSTED_PROXIES", value)
            .arg("serve")
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{value}: {told}");
        assert!(told.contains("--trusted-proxies"), "{told}");
        assert_eq!(told.trim_end().lines().count(), 1, "{told}");
        assert!(!folder.path().join("data").exists(), "something was made");
    }
}
