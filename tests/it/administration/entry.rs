//! No key, no entry: not even an answer that tells what exists.

use std::net::SocketAddr;

use auth_agent::edge;
use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::Method;
use serde_json::json;

use crate::support::{
    Api, TestServer, on_both_databases,
    process::free_port,
    raw::{Call, Raw},
    routes,
};

const METHODS: [&str; 8] = [
    "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "BREW",
];

/// Every path below /api/admin with ids that exist, that do not, and that are none; and paths that
/// are none.
async fn paths(api: &Api) -> Vec<String> {
    let client = api.create_client(json!({})).await;
    let agent = api.create_agent(json!({})).await;
    let ids = [
        client.id,
        agent.id,
        agent.owner_id,
        edge::new_agent_id().to_string(),
        edge::new_owner_id().to_string(),
        edge::new_client_id().to_string(),
        "x".to_owned(),
        "%00".to_owned(),
        "%ff".to_owned(),
    ];
    let mut paths: Vec<String> = [
        "/api/admin",
        "/api/admin/",
        "/api/admin//",
        "/api/admin/nothing",
        "/api/admin/nothing/at/all",
        "/api/admin/clients/",
        "/api/admin/agents//suspend",
        "/api/admin/%ff",
        "/api/admin/./clients",
        "/api/admin/../health",
    ]
    .map(str::to_owned)
    .to_vec();
    for route in routes::administration() {
        if route.contains("{id}") {
            paths.extend(ids.iter().map(|id| route.replace("{id}", id)));
        } else {
            paths.push(route);
        }
    }
    assert!(
        paths.iter().all(|path| !path.contains('{')),
        "an unknown parameter: {paths:?}"
    );
    paths
}

async fn sent(server: &TestServer, call: &Call) -> Raw {
    sent_to(server.address(), call).await
}

async fn sent_to(address: SocketAddr, call: &Call) -> Raw {
    call.send(address).await.expect("it is answered")
}

/// The one answer to whoever has no key, in all that could tell anything.
fn what_it_tells(answer: &Raw) -> [&str; 5] {
    [
        answer.header("www-authenticate"),
        answer.header("content-type"),
        answer.header("allow"),
        answer.header("access-control-allow-origin"),
        answer.header("cache-control"),
    ]
}

/// Holds an answer against the one to a plain call.
#[track_caller]
fn is_refused(plain: &Raw, method: &str, path: &str, answer: &Raw) {
    assert_eq!(answer.status, 401, "{method} {path}: {answer:?}");
    assert_eq!(
        what_it_tells(answer),
        what_it_tells(plain),
        "{method} {path}"
    );
    if method != "HEAD" {
        assert_eq!(answer.body, plain.body, "{method} {path}");
    }
}

on_both_databases! {
    async fn without_a_key_every_path_and_method_has_one_and_the_same_answer(env: Env) {
        let server = env.server().await;
        let plain = sent(server, &Call::new("GET", "/api/admin/clients")).await;
        assert_eq!(plain.status, 401);
        assert!(plain.header("www-authenticate").starts_with("Bearer "), "{plain:?}");
        assert_eq!(plain.header("content-type"), "application/json");
        for path in paths(&server.api()).await {
            for method in METHODS {
                let call = Call::new(method, &path);
                is_refused(&plain, method, &path, &sent(server, &call).await);
            }
        }
        // Nor does a browser of another origin learn anything.
        let preflight = Call::new("OPTIONS", "/api/admin/clients")
            .header("Origin", "https://evil.example")
            .header("Access-Control-Request-Method", "GET");
        is_refused(&plain, "OPTIONS", "preflight", &sent(server, &preflight).await);
    }

    async fn the_same_at_an_address_of_administrations_own(env: Env) {
        let apart = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let server = env.start(|options| { options.flag("--admin-listen", apart); }).await;
        let api = Api::new(format!("http://{apart}"), server.issuer(), server.admin_key().to_owned());
        let plain = sent_to(apart, &Call::new("GET", "/api/admin/clients")).await;
        assert_eq!(plain.status, 401);
        for path in paths(&api).await {
            for method in METHODS {
                let call = Call::new(method, &path);
                is_refused(&plain, method, &path, &sent_to(apart, &call).await);
                // At the main address there is nothing to be refused.
                let main = server.address();
                let elsewhere = Raw::of(main, &call.bytes(main), false).await;
                assert_eq!(elsewhere.map(|answer| answer.status), Some(404), "{method} {path}");
            }
        }
        // With the key it is all there.
        api.admin(Method::GET, "/nothing", None).await.refused(404, "not_found");
    }

    async fn whatever_is_not_the_key_in_its_header_is_no_key(env: Env) {
        let server = env.server().await;
        let (api, key) = (server.api(), server.admin_key());
        let basic = |text: String| format!("Basic {}", BASE64_STANDARD.encode(text));
        let mut almost = key.to_owned();
        almost.pop();
        let with = |values: &[String]| {
            let call = Call::new("GET", "/api/admin/clients");
            values.iter().fold(call, |call, value| call.header("Authorization", value))
        };
        let right = format!("Bearer {key}");
        // The right key does come in, or the rest would show nothing.
        assert_eq!(sent(server, &with(std::slice::from_ref(&right))).await.status, 200);
        let plain = sent(server, &with(&[])).await;
        let wrong = "Bearer wrong".to_owned();
        let mut calls: Vec<Call> = [
            vec![wrong.clone()],
            vec![format!("Bearer {almost}")],
            vec![format!("Bearer {key}x")],
            vec![format!("Bearer {}", key.to_uppercase())],
            vec!["Bearer".to_owned()],
            vec![format!("Bearer {key} {key}")],
            vec![key.to_owned()],
            vec![format!("Token {key}")],
            vec![basic(format!("{key}:"))],
            vec![basic(format!(":{key}"))],
            vec![basic(format!("admin:{key}"))],
            vec![right.clone(), right.clone()],
            vec![right.clone(), wrong.clone()],
            vec![wrong, right.clone()],
        ]
        .iter()
        .map(|values| with(values))
        .collect();
        for query in ["access_token", "key", "admin_key", "authorization"] {
            calls.push(with(&[]).query(format!("{query}={key}")));
        }
        calls.push(with(&[]).header("Cookie", format!("admin_key={key}; access_token={key}")));
        calls.push(with(&[]).header("X-Api-Key", key));
        // RFC 6750 §2.2 is not offered either.
        let form = Call::new("POST", "/api/admin/agents")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(format!("access_token={key}"));
        calls.push(form);
        // Neither is what an agent, a client or a sign-in has.
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let done = api.sign_in(&client, &agent).await;
        let secret = client.secret.as_deref().unwrap();
        for text in [secret, &agent.secret, &done.tokens.access_token, done.tokens.refresh()] {
            calls.push(with(&[format!("Bearer {text}")]));
        }
        for call in calls {
            let answer = sent(server, &call).await;
            let sent = String::from_utf8_lossy(&call.bytes(server.address())).into_owned();
            is_refused(&plain, "GET", &sent, &answer);
        }
    }

    async fn with_a_key_an_unknown_path_is_404_and_a_wrong_method_405(env: Env) {
        let api = env.api().await;
        for path in ["", "/", "//", "/nothing", "/clients/", "/clients/x/y"] {
            api.admin(Method::GET, path, None).await.refused(404, "not_found");
        }
        let reply = api.admin(Method::PUT, "/clients", None).await;
        reply.refused(405, "method_not_allowed");
        assert!(reply.header("allow").contains("POST"), "{:?}", reply.headers);
    }

    async fn the_same_below_an_issuer_with_a_path(env: Env) {
        let server = env.start(|options| { options.issuer("https://auth.example/tenant/one"); }).await;
        let plain = sent(&server, &Call::new("GET", "/tenant/one/api/admin/clients")).await;
        for path in ["", "/", "//", "/nothing", "/clients/x", "/agents//suspend"] {
            let path = format!("/tenant/one/api/admin{path}");
            for method in METHODS {
                let call = Call::new(method, &path);
                is_refused(&plain, method, &path, &sent(&server, &call).await);
            }
        }
        let api = server.api();
        api.admin(Method::GET, "/", None).await.refused(404, "not_found");
        api.admin(Method::GET, "/clients", None).await.expect(200);
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
}
