//! Every path with everything that is odd, one thing at a time.

use super::{FORM, JSON, Known, values};
use crate::support::{raw::Call, routes};

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
            // Whoever is known is needed to the end.
            let stops_an_agent = method == "POST" && target.contains("/suspend")
                || method == "DELETE" && target.starts_with("/api/admin/");
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
pub(super) fn stops(call: &Call) -> bool {
    call.target().ends_with(b"/suspend")
}
