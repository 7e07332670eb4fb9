//! What a collector of traces is sent: the program is built with the feature `otel` for this alone.
#![expect(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "the support is that of all the other tests"
)]

#[path = "../it/support/mod.rs"]
mod support;

use std::{
    net::TcpListener,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use serde_json::{Value, json};

use support::{
    Authorize, Backend, TestServer, ledger,
    process::{eventually, free_port, locked},
};

/// The trace of a caller, and its span there.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

type Received = Arc<Mutex<Vec<(String, Bytes)>>>;

/// A collector: its address, and what it was sent, with its media types.
async fn collector() -> (String, Received) {
    let received = Received::default();
    let kept = Arc::clone(&received);
    let take = move |headers: HeaderMap, body: Bytes| async move {
        let media_type = headers["content-type"].to_str().unwrap().to_owned();
        locked(&kept).push((media_type, body));
    };
    let router = Router::new().route("/v1/traces", post(take));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await });
    (format!("http://{address}"), received)
}

/// One span as it was sent.
#[derive(Debug)]
struct Span(Value);

impl Span {
    fn all_in(received: &Received) -> Vec<Self> {
        let mut spans = Vec::new();
        for (media_type, body) in locked(received).iter() {
            assert_eq!(media_type, "application/json");
            let sent: Value = serde_json::from_slice(body).unwrap();
            for resource in sent["resourceSpans"].as_array().unwrap() {
                let named = Self(resource["resource"].clone());
                assert_eq!(named.attribute("service.name"), "auth-agent");
                let scopes = resource["scopeSpans"].as_array().unwrap();
                let of = |scope: &Value| scope["spans"].as_array().unwrap().clone();
                spans.extend(scopes.iter().flat_map(of).map(Self));
            }
        }
        spans
    }

    fn name(&self) -> &str {
        self.0["name"].as_str().unwrap()
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        let attributes = self.0["attributes"].as_array().into_iter().flatten();
        attributes.filter_map(|attribute| attribute["key"].as_str())
    }

    fn attribute(&self, key: &str) -> String {
        let attributes = self.0["attributes"].as_array().into_iter().flatten();
        let found = attributes.filter(|attribute| attribute["key"] == key);
        let values = found.filter_map(|attribute| attribute["value"].as_object()?.values().next());
        values
            .map(|value| value.as_str().map_or(value.to_string(), str::to_owned))
            .next()
            .unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_is_told_call_by_call_and_nothing_secret_with_it() {
    let (endpoint, received) = collector().await;
    let mut server = TestServer::start(Backend::Sqlite, |options| {
        options
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
            .env("AUTH_AGENT_LOG", "trace");
    })
    .await;
    let api = server.api();
    let client = api.create_client(json!({})).await;
    let agent = api.create_agent(json!({})).await;
    let done = api.sign_in(&client, &agent).await;
    api.refresh(&client, done.tokens.refresh())
        .await
        .expect(200);
    assert!(api.is_active(&client, &done.tokens.access_token).await);
    let strange = format!("/nowhere/{}?code={}", agent.id, done.code);
    let strange = api
        .get(&strange)
        .header("x-request-id", "call-of-a-stranger")
        .header("traceparent", format!("00-{TRACE}-{SPAN}-01"));
    api.send(strange).await.expect(404);
    // What waits is sent before it ends.
    server.stop().await;

    let spans = Span::all_in(&received);
    let named = |name: &str| {
        let found = spans.iter().find(|span| span.name() == name);
        found.unwrap_or_else(|| panic!("no {name} in {spans:#?}"))
    };
    let request = done.page.request_id.as_str();
    for (method, route, status, is_about) in [
        ("GET", "/authorize", "200", request),
        ("POST", "/api/agent/authenticate", "200", request),
        ("POST", "/token", "200", request),
        ("POST", "/introspect", "200", ""),
        ("POST", "/api/admin/clients", "201", ""),
    ] {
        let span = named(&format!("{method} {route}"));
        assert_eq!(span.0["kind"], 2, "{span:?}");
        assert_eq!(span.attribute("http.request.method"), method);
        assert_eq!(span.attribute("http.route"), route);
        assert_eq!(span.attribute("http.response.status_code"), status);
        assert_eq!(
            span.attribute("auth_agent.request_id"),
            is_about,
            "{span:?}"
        );
    }
    let within = |inner: &str, outer: &str| {
        let outer = &named(outer).0["spanId"];
        let of = |span: &&Span| span.name() == inner && span.0["parentSpanId"] == *outer;
        assert!(spans.iter().any(|span| of(&span)), "no {inner}: {spans:#?}");
    };
    within("commit", "POST /api/agent/authenticate");
    within("hash", "POST /api/agent/authenticate");

    let strange = named("GET");
    assert_eq!(
        strange.attribute("auth_agent.call_id"),
        "call-of-a-stranger"
    );
    assert_ne!(
        strange.0["traceId"], TRACE,
        "a stranger's trace is not ours"
    );
    assert_eq!(strange.0["links"][0]["traceId"], TRACE);

    for key in spans.iter().flat_map(Span::keys) {
        let known = [
            "http.request.method",
            "http.route",
            "http.response.status_code",
            "auth_agent.call_id",
            "auth_agent.request_id",
            "busy_ns",
            "idle_ns",
        ];
        assert!(known.contains(&key), "{key}");
    }
    for (_, body) in locked(&received).iter() {
        let text = String::from_utf8_lossy(body);
        ledger::assert_none_in("a trace", &text);
        for foreign in [
            &*client.id,
            &*agent.id,
            &*agent.owner_id,
            "127.0.0.1",
            "nowhere",
        ] {
            assert!(!text.contains(foreign), "{foreign} in {text}");
        }
    }
    // Log lines bear their calls' ids as before, and know nothing of these spans.
    let logs = server.logs();
    assert!(logs.contains("call-of-a-stranger") && !logs.contains("auth_agent.call_id"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trace_of_a_trusted_proxy_is_gone_on_with() {
    let (endpoint, received) = collector().await;
    let mut server = TestServer::start(Backend::Sqlite, |options| {
        options
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
            .env("OTEL_SERVICE_NAME", "sign-in")
            .flag("--trusted-proxies", "127.0.0.0/8");
    })
    .await;
    let api = server.api();
    let call = api.get("/.well-known/jwks.json");
    let call = call.header("traceparent", format!("00-{TRACE}-{SPAN}-01"));
    api.send(call).await.expect(200);
    server.stop().await;
    let bytes = |hex: &str| -> Vec<u8> {
        let pairs = hex
            .as_bytes()
            .chunks(2)
            .map(|pair| str::from_utf8(pair).unwrap());
        pairs
            .map(|pair| u8::from_str_radix(pair, 16).unwrap())
            .collect()
    };
    let received = locked(&received);
    let holds = |part: &[u8]| {
        let found = |body: &Bytes| body.windows(part.len()).any(|bytes| bytes == part);
        received.iter().any(|(_, body)| found(body))
    };
    assert!(
        received
            .iter()
            .all(|(kind, _)| kind == "application/x-protobuf")
    );
    assert!(holds(b"GET /.well-known/jwks.json"));
    assert!(holds(b"sign-in"), "the name that was given");
    assert!(holds(&bytes(TRACE)) && holds(&bytes(SPAN)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_or_silent_holds_nothing_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let away = format!("127.0.0.1:{}", free_port());
    for (collector, warnings) in [(away, 1), (silent.local_addr().unwrap().to_string(), 0)] {
        let mut server = TestServer::start(Backend::Sqlite, |options| {
            options
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}"))
                .env("OTEL_BSP_SCHEDULE_DELAY", "50")
                .env("OTEL_BSP_MAX_QUEUE_SIZE", "16")
                .env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8");
        })
        .await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let told = |server: &TestServer| server.logs().matches("traces cannot be sent").count();
        eventually("as many warnings as there should be", async || {
            api.sign_in(&client, &agent).await;
            (told(&server) == warnings).then_some(())
        })
        .await;
        let begun = Instant::now();
        for _ in 0..20 {
            api.authorize(&Authorize::new(&client)).await;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
        let begun = Instant::now();
        server.stop().await;
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
        assert_eq!(told(&server), warnings);
    }
}
