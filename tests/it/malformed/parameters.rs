//! Every parameter that a path takes, each in turn odd and all others as they should be.

use url::form_urlencoded::byte_serialize;

use super::{
    FORM, JSON, Known,
    matrix::{let_in, paths, stops},
    values,
};
use crate::support::raw::Call;

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
        "/api/admin/admin-keys" => vec![
            ("name", text("x")),
            ("role", text("metrics")),
            ("after", text("")),
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
