//! Every path with everything that is odd, one thing at a time.

use std::net::SocketAddr;

use url::form_urlencoded::byte_serialize;

use super::{Known, values};
use crate::support::{
    TestServer,
    raw::{Call, Raw},
    routes,
};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// Paths with ids that exist, that do not, and that are none.
pub(super) fn targets(known: &Known) -> Vec<String> {
    let mut targets = Vec::new();
    for route in routes::all() {
        if !route.contains('{') {
            targets.push(route);
            continue;
        }
        let (before, rest) = route.split_once('{').expect("it has one");
        let (_, after) = rest.split_once('}').expect("it ends");
        assert!(!after.contains('{'), "more than one parameter: {route}");
        for id in [
            &*known.page.request_id,
            &known.client.id,
            &known.agent.id,
            &known.agent.owner_id,
            "req_00000000-0000-0000-0000-000000000000",
            "x",
            "",
            "%",
            "%00",
            "%ff",
            "%2e%2e%2f",
            "a%2fb",
            "\u{202e}",
            "{}",
        ] {
            targets.push(format!("{before}{id}{after}"));
        }
        targets.push(format!("{before}{}{after}", "x".repeat(5_000)));
    }
    targets.extend(
        [
            "/",
            "//",
            "/%",
            "/nothing",
            "/authorize/",
            "/api/admin/nothing",
        ]
        .map(Into::into),
    );
    targets
}

/// The plain paths, each with an id that exists where it takes one.
pub(super) fn paths(known: &Known) -> Vec<String> {
    let id = |route: &str| match route {
        _ if route.contains("/agents/") => known.agent.id.clone(),
        _ if route.contains("/owners/") => known.agent.owner_id.clone(),
        _ if route.contains("/clients/") => known.client.id.clone(),
        _ => known.page.request_id.clone(),
    };
    let all = routes::all();
    all.iter()
        .map(|route| match route.split_once('{') {
            None => route.clone(),
            Some((before, rest)) => {
                let (_, after) = rest.split_once('}').expect("it ends");
                format!("{before}{}{after}", id(route))
            }
        })
        .collect()
}

/// With whatever lets it in where somebody has to be let in.
pub(super) fn let_in(known: &Known, path: &str, call: Call) -> Call {
    if path.starts_with("/api/admin") {
        call.header("Authorization", format!("Bearer {}", known.admin_key))
    } else if path.starts_with("/userinfo") {
        call.header("Authorization", format!("Bearer {}", known.access_token))
    } else if path.starts_with("/api/") || path.starts_with("/authorize/") {
        call.header("Cookie", &known.page.cookie)
    } else {
        call
    }
}

pub(super) fn methods(known: &Known) -> Vec<Call> {
    let mut calls = Vec::new();
    for target in targets(known) {
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW",
        ] {
            let stops_an_agent = method == "POST" && target.contains("/suspend");
            if !stops_an_agent {
                calls.push(let_in(known, &target, Call::new(method, &target)));
            }
        }
    }
    calls
}

pub(super) fn headers(known: &Known) -> Vec<Call> {
    let mut calls = Vec::new();
    for path in paths(known) {
        let post = || {
            Call::new("POST", &path)
                .header("Content-Type", JSON)
                .body("{}")
        };
        for plain in [Call::new("GET", &path), post()] {
            let plain = let_in(known, &path, plain);
            let with = |name: &str, value: &[u8]| plain.clone().without(name).header(name, value);
            for value in values::AUTHORIZATIONS {
                calls.push(with("Authorization", value));
            }
            let twice = with("Authorization", b"Bearer x").header("Authorization", "Basic eDp5");
            calls.push(twice);
            calls.push(with(
                "Authorization",
                &[b"Basic ".to_vec(), b"QUFB".repeat(5_000)].concat(),
            ));
            for value in values::COOKIES {
                let value = value.replace("ID", &known.page.request_id);
                calls.push(with("Cookie", value.as_bytes()));
            }
            calls.push(with("Cookie", b"aa_x=\xff\xfe"));
            calls.push(with("Cookie", &b"aa_x=y; ".repeat(1_000)));
            calls.push(
                with("Cookie", known.page.cookie.as_bytes()).header("Cookie", &known.page.cookie),
            );
            for value in values::EVENT_IDS {
                calls.push(with("Last-Event-ID", value));
                calls.push(with("Last-Event-ID", value).header("Accept", "text/event-stream"));
            }
            for value in [
                &b""[..],
                b"\xff",
                b"*/*;q=9",
                b"text/event-stream;q=0",
                b"application/x-ndjson",
            ] {
                calls.push(with("Accept", value));
            }
            for value in [
                &b""[..],
                b"null",
                b"\xff",
                b"https://evil.example",
                b"javascript:x",
            ] {
                calls.push(with("Origin", value));
                calls.push(with("Referer", value));
                calls.push(with("X-Request-Id", value));
                calls.push(with("Host", value));
                calls.push(with("X-Forwarded-For", value));
                calls.push(with("Sec-Purpose", value));
            }
            calls.push(with("X-Large", &b"x".repeat(30_000)));
            calls.push(with("X-Large", &b"x".repeat(600_000)));
            let many = (0..90).fold(plain.clone(), |call, number| {
                call.header(&format!("X-Many-{number}"), "x")
            });
            calls.push(many.clone());
            let too_many = (0..90).fold(many, |call, number| {
                call.header(&format!("X-More-{number}"), "x")
            });
            calls.push(too_many);
            calls.push(with("Expect", b"x"));
            calls.push(with("Upgrade", b"websocket").header("Connection", "upgrade"));
        }
        let prefetch = Call::new("GET", &path).header("Sec-Purpose", "prefetch;prerender");
        calls.push(let_in(known, &path, prefetch));
    }
    calls
}

pub(super) fn bodies(known: &Known) -> Vec<Call> {
    let mut calls = Vec::new();
    for path in paths(known) {
        let post = |body: &[u8]| let_in(known, &path, Call::new("POST", &path).body(body));
        for body in values::bodies() {
            if body.is_empty() && path.ends_with("/suspend") {
                continue;
            }
            calls.push(post(&body));
            for media_type in [FORM, JSON] {
                calls.push(post(&body).header("Content-Type", media_type));
            }
        }
        for media_type in values::MEDIA_TYPES {
            for body in [&b""[..], b"{}", b"a=b"] {
                calls.push(post(body).header("Content-Type", media_type));
            }
        }
        calls.push(
            post(b"{}")
                .header("Content-Type", JSON)
                .header("Content-Type", FORM),
        );
    }
    calls.retain(|call| !stops(call));
    calls
}

/// A POST that would suspend for good whom the calls after it need.
fn stops(call: &Call) -> bool {
    call.target().ends_with(b"/suspend")
}

type Fields = Vec<(&'static str, String)>;

/// What a path takes, by name, with values that work.
fn fields(known: &Known, path: &str) -> Fields {
    let text = |value: &str| value.to_owned();
    let client = [
        ("client_id", known.client.id.clone()),
        (
            "client_secret",
            known.client.secret.clone().unwrap_or_default(),
        ),
    ];
    match path {
        "/authorize" => {
            let names = [
                "response_type",
                "client_id",
                "redirect_uri",
                "scope",
                "state",
                "nonce",
                "code_challenge",
                "code_challenge_method",
            ];
            let value = |name: &str| {
                let found = known.asked.params.iter().find(|(n, _)| n == name);
                found.expect("it is asked for").1.clone()
            };
            let mut fields: Fields = names.map(|name| (name, value(name))).to_vec();
            fields.extend(
                ["prompt", "max_age", "login_hint", "resource", "request_uri"]
                    .map(|n| (n, text(""))),
            );
            fields
        }
        "/token" => [
            vec![
                ("grant_type", text("authorization_code")),
                ("code", known.code.clone()),
                ("code_verifier", "v".repeat(43)),
                ("redirect_uri", known.client.redirect_uri.clone()),
                ("refresh_token", known.refresh_token.clone()),
                ("scope", text("openid")),
            ],
            client.to_vec(),
        ]
        .concat(),
        "/revoke" | "/introspect" => [
            vec![
                ("token", known.access_token.clone()),
                ("token_type_hint", text("access_token")),
            ],
            client.to_vec(),
        ]
        .concat(),
        "/userinfo" => vec![("access_token", known.access_token.clone())],
        "/api/check-status" => vec![("request_id", known.page.request_id.clone())],
        "/api/agent/authenticate" => vec![
            (
                "request_id",
                text("req_00000000-0000-0000-0000-000000000000"),
            ),
            ("agent_id", known.agent.id.clone()),
            ("agent_secret", known.agent.secret.clone()),
            ("model", text("claude-opus-4")),
            ("expected_origin", text("https://profilio.example")),
            ("expected_client_id", known.client.id.clone()),
        ],
        "/api/admin/clients" => vec![
            ("client_name", text("x")),
            ("redirect_uris", text("https://a.example")),
            ("grant_types", text("authorization_code")),
            ("response_types", text("code")),
            ("token_endpoint_auth_method", text("none")),
            ("scope", text("openid")),
            ("id_token_signed_response_alg", text("EdDSA")),
            ("subject", text("agent")),
            ("minimum_binding", text("none")),
            ("client_uri", text("https://a.example")),
            ("after", text("0")),
            ("limit", text("1")),
        ],
        "/api/admin/agents" => vec![
            ("agent_name", text("x")),
            ("user_email", text("x@people.example")),
            ("user_name", text("x")),
            ("model", text("x")),
            ("capabilities", text("x")),
            ("allowed_scopes", text("openid")),
            ("allowed_clients", known.client.id.clone()),
            ("minimum_binding", text("none")),
            ("after", text("0")),
            ("limit", text("1")),
        ],
        _ => [
            "after",
            "limit",
            "stream",
            "type",
            "agent_id",
            "client_id",
            "since",
            "until",
        ]
        .map(|name| (name, text("1")))
        .to_vec(),
    }
}

fn pairs(fields: &Fields, odd: &str, value: &[u8]) -> Vec<u8> {
    let mut query = Vec::new();
    for (name, known) in fields {
        if !query.is_empty() {
            query.push(b'&');
        }
        query.extend_from_slice(name.as_bytes());
        query.push(b'=');
        if *name == odd {
            query.extend_from_slice(value);
        } else {
            query.extend(byte_serialize(known.as_bytes()).flat_map(str::bytes));
        }
    }
    query
}

fn object(fields: &Fields, odd: &str, value: &[u8]) -> Vec<u8> {
    let mut body = vec![b'{'];
    for (name, known) in fields {
        if ["after", "limit"].contains(name) {
            continue;
        }
        if body.len() > 1 {
            body.push(b',');
        }
        body.extend_from_slice(format!("{name:?}:").as_bytes());
        let list = [
            "redirect_uris",
            "grant_types",
            "response_types",
            "capabilities",
            "allowed_clients",
        ];
        if *name == odd {
            body.extend_from_slice(value);
        } else if list.contains(name) {
            body.extend_from_slice(serde_json::json!([known]).to_string().as_bytes());
        } else {
            body.extend_from_slice(serde_json::json!(known).to_string().as_bytes());
        }
    }
    body.push(b'}');
    body
}

/// Each parameter in turn is odd, and all others as they should be.
pub(super) fn parameters(known: &Known) -> Vec<Call> {
    let mut calls = Vec::new();
    for path in paths(known) {
        let fields = fields(known, &path);
        let call = |method: &str| let_in(known, &path, Call::new(method, &path));
        for (odd, _) in &fields {
            for value in values::encoded() {
                let pairs = pairs(&fields, odd, &value);
                let for_target = |byte: &u8| *byte > b' ' && *byte != b'"' && *byte != 0x7f;
                let in_target: Vec<u8> = pairs.iter().copied().filter(for_target).collect();
                calls.push(call("GET").query(&in_target));
                let twice = [&in_target[..], b"&", odd.as_bytes(), b"=x"].concat();
                calls.push(call("GET").query(&twice));
                if !fields.iter().any(|(name, _)| *name == "stream") {
                    calls.push(call("POST").header("Content-Type", FORM).body(&pairs));
                }
            }
            if fields.iter().any(|(name, _)| *name == "stream") {
                continue;
            }
            for value in values::json() {
                let body = object(&fields, odd, &value);
                calls.push(call("POST").header("Content-Type", JSON).body(&body));
            }
        }
    }
    calls.retain(|call| !stops(call));
    calls
}

/// What is no HTTP, or not all of it.
pub(super) async fn framing(server: &TestServer) {
    let to: SocketAddr = server.address();
    let head = "POST /token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let mut texts: Vec<Vec<u8>> = [
        String::new(),
        "\r\n\r\n".to_owned(),
        "GET".to_owned(),
        "GET / HTTP/1.1\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "GET  / HTTP/1.1\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
        "GET / HTTP/1.0\r\n\r\n".to_owned(),
        "GET x HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET http://evil.example/api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
        "GET * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
        "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
        "CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nbad header\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\n: x\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n".to_owned(),
        format!("{head}{form}Content-Length: 99\r\n\r\ngrant_type=x"),
        format!("{head}{form}Content-Length: -1\r\n\r\n"),
        format!("{head}{form}Content-Length: 1\r\nContent-Length: 2\r\n\r\nx"),
        format!("{head}{form}Content-Length: 99999999999999999999\r\n\r\n"),
        format!("{head}{form}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("{head}{form}Transfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n"),
        format!("{head}{form}Transfer-Encoding: chunked\r\n\r\n5\r\nabc"),
        format!("{head}{form}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n"),
        format!("{head}{form}Transfer-Encoding: gzip, x\r\n\r\nabc"),
        format!("{head}{form}Transfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\nTrailer: \u{0}\r\n\r\n"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\u{0}\u{0}\u{4}\u{8}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}".to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec();
    texts.push(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec());
    texts.push(b"GET /\xff\xfe HTTP/1.1\r\nHost: \xff\r\nConnection: close\r\n\r\n".to_vec());
    texts.push(
        [
            b"GET /".to_vec(),
            b"x".repeat(200_000),
            b" HTTP/1.1\r\n\r\n".to_vec(),
        ]
        .concat(),
    );
    for text in texts {
        if let Some(answer) = Raw::of(to, &text, true).await {
            let sent = String::from_utf8_lossy(&text[..text.len().min(300)]).into_owned();
            assert!(answer.status < 500, "{answer:?} to {sent:?}");
        }
    }
}
