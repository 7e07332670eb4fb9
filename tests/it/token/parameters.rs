//! Parameters that are repeated, unreadable, of another type or too many, in a form and in JSON, at
//! every endpoint that takes them.

use reqwest::RequestBuilder;
use serde_json::Value;

use super::*;
use crate::support::{Agent, SignIn};

/// Where a form or a JSON object of parameters is taken.
const ENDPOINTS: [&str; 4] = ["/token", "/introspect", "/revoke", "/userinfo"];

async fn granted(api: &Api) -> (Client, Agent, SignIn) {
    let client = api.create_client(json!({})).await;
    let agent = api.create_agent(json!({})).await;
    let done = api.sign_in(&client, &agent).await;
    (client, agent, done)
}

fn text(api: &Api, path: &str, media_type: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
    let call = api.post(path).header(header::CONTENT_TYPE, media_type);
    call.body(body)
}

/// A body as bytes, in the name of a client.
fn form_of(api: &Api, client: &Client, path: &str, body: Vec<u8>) -> RequestBuilder {
    let call = text(api, path, "application/x-www-form-urlencoded", body);
    call.basic_auth(&client.id, client.secret.as_deref())
}

/// Refused because of that parameter, which is named.
#[track_caller]
fn is_at_fault(reply: &Reply, name: &str) {
    reply.refused(400, "invalid_request");
    let said = reply.str("error_description");
    assert!(said.contains(name), "{name}: {said}");
}

on_both_databases! {
    async fn a_repeated_name_of_a_json_object_is_a_repeated_parameter(env: Env) {
        let api = env.api().await;
        let (client, _, done) = granted(&api).await;
        let (asked, _, callback) = api.code(&client, &api.create_agent(json!({})).await).await;
        let code = callback.get("code");
        let credentials = format!(
            r#""client_id":"{}","client_secret":"{}""#, client.id, client.secret.as_deref().unwrap()
        );
        let verifier = &asked.pkce.verifier;
        let json = |path, members: String| {
            text(&api, path, "application/json", format!("{{{credentials},{members}}}"))
        };
        let exchange = format!(
            r#""grant_type":"authorization_code","code":"{code}","code_verifier":"{verifier}""#
        );
        for (name, value) in [
            ("grant_type", "authorization_code"), ("code", &*code), ("code_verifier", verifier),
            ("client_id", &*client.id), ("client_secret", client.secret.as_deref().unwrap()),
            ("redirect_uri", "x"), ("refresh_token", "x"), ("scope", "openid"),
        ] {
            let twice = match name {
                "redirect_uri" | "refresh_token" | "scope" => {
                    format!(r#"{exchange},"{name}":"{value}","{name}":"{value}""#)
                }
                _ => format!(r#"{exchange},"{name}":"{value}""#),
            };
            is_at_fault(&api.send(json("/token", twice)).await, name);
        }
        let (access, refresh) = (&done.tokens.access_token, done.tokens.refresh());
        for path in ["/introspect", "/revoke"] {
            for token in [&**access, refresh] {
                let twice = format!(r#""token":"x","token":"{token}""#);
                is_at_fault(&api.send(json(path, twice)).await, "token");
            }
        }
        let twice = format!(r#"{{"access_token":"x","access_token":"{access}"}}"#);
        let reply = api.send(text(&api, "/userinfo", "application/json", twice)).await;
        is_at_fault(&reply, "access_token");
        // None of it did anything.
        assert!(api.is_active(&client, access).await && api.is_active(&client, refresh).await);
        Tokens::of(api.send(json("/token", exchange)).await);
    }

    async fn a_repeated_parameter_of_a_form_is_refused_whichever_it_is(env: Env) {
        let api = env.api().await;
        let (client, _, done) = granted(&api).await;
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", done.tokens.refresh()),
            ("scope", "openid"),
            ("client_id", &client.id),
            ("client_secret", client.secret.as_deref().unwrap()),
        ];
        for (name, value) in form {
            for value in [value, "", "other"] {
                let mut twice = form.to_vec();
                twice.push((name, value));
                is_at_fault(&api.send(api.post("/token").form(&twice)).await, name);
            }
        }
        let body = format!("access_token=x&access_token={}", done.tokens.access_token);
        let call = text(&api, "/userinfo", "application/x-www-form-urlencoded", body);
        is_at_fault(&api.send(call).await, "access_token");
        // Unknown ones may come as often as they like.
        let mut more = form.to_vec();
        more.extend([("extra", "1"), ("extra", "2")]);
        Tokens::of(api.send(api.post("/token").form(&more)).await);
    }

    async fn json_is_taken_at_every_endpoint(env: Env) {
        let api = env.api().await;
        let (client, _, done) = granted(&api).await;
        let secret = client.secret.as_deref();
        let send = async |path: &str, body: Value| {
            api.send(api.post(path).basic_auth(&client.id, secret).json(&body)).await
        };
        let refresh = json!({
            "grant_type": "refresh_token", "refresh_token": done.tokens.refresh(), "scope": "openid",
        });
        let next = Tokens::of(send("/token", refresh).await);
        assert_eq!(next.json["scope"], "openid");
        let told = send("/introspect", json!({"token": next.access_token})).await.expect(200);
        assert_eq!(told.json["active"], true);
        let call = api.post("/userinfo").json(&json!({"access_token": next.access_token}));
        api.send(call).await.expect(200);
        let revoked = send("/revoke", json!({"token": next.refresh(), "token_type_hint": null})).await;
        assert_eq!(revoked.status, 200);
        assert!(!api.is_active(&client, &next.access_token).await);
    }

    async fn only_a_known_member_of_json_must_be_a_string(env: Env) {
        let api = env.api().await;
        let (client, _, done) = granted(&api).await;
        let secret = client.secret.as_deref();
        let good = json!({
            "grant_type": "refresh_token", "refresh_token": done.tokens.refresh(),
            "extra": {"x": [1, null]}, "more": 1.5, "yes": true, "list": [["x"], 2],
        });
        let send = async |body: &Value| {
            api.send(api.post("/token").basic_auth(&client.id, secret).json(body)).await
        };
        for name in ["grant_type", "refresh_token", "scope", "client_id"] {
            for value in [json!(1), json!(false), json!({}), json!([1])] {
                let mut body = good.clone();
                body[name] = value;
                is_at_fault(&send(&body).await, name);
            }
        }
        Tokens::of(send(&good).await);
    }

    async fn bytes_that_are_no_utf_8_are_a_fault_of_their_own_parameter_alone(env: Env) {
        let api = env.api().await;
        let (client, _, done) = granted(&api).await;
        let refresh = format!("grant_type=refresh_token&refresh_token={}", done.tokens.refresh());
        for bad in [&b"%FF"[..], b"%C3", b"\xFF", b"a%80b"] {
            for (path, known, name) in [
                ("/token", &*refresh, "scope"), ("/token", "grant_type=refresh_token", "refresh_token"),
                ("/introspect", "token_type_hint=", "token"), ("/revoke", "", "token"),
            ] {
                let body = [known.as_bytes(), b"&", name.as_bytes(), b"=", bad].concat();
                is_at_fault(&api.send(form_of(&api, &client, path, body)).await, name);
            }
        }
        let body = [refresh.as_bytes(), b"&extra=%FF&%FF=x&\xFF"].concat();
        Tokens::of(api.send(form_of(&api, &client, "/token", body)).await);
    }

    async fn u_0000_is_refused_wherever_it_stands(env: Env) {
        let api = env.api().await;
        let (client, _, done) = granted(&api).await;
        for body in ["token=%00", "token=x&extra=a%00b", "token=x&%00=1", "token=x&extra=\0"] {
            for path in ["/token", "/introspect", "/revoke"] {
                let call = form_of(&api, &client, path, body.as_bytes().to_vec());
                api.send(call).await.refused(400, "invalid_request");
            }
        }
        let call = api.post("/userinfo").form(&[("access_token", "\0")]);
        api.send(call).await.refused(400, "invalid_request");
        let nul = json!({"token": "a\0"});
        let call = api.post("/revoke").basic_auth(&client.id, client.secret.as_deref()).json(&nul);
        api.send(call).await.refused(400, "invalid_request");
        assert!(api.is_active(&client, done.tokens.refresh()).await);
    }

    async fn a_body_over_64_kib_is_too_large_everywhere(env: Env) {
        let api = env.api().await;
        let padded = |length: usize| format!("x={}", "x".repeat(length - 2));
        for path in ENDPOINTS {
            for media_type in ["application/x-www-form-urlencoded", "application/json", "text/plain"] {
                let call = text(&api, path, media_type, padded(64 * 1024 + 1));
                api.send(call).await.refused(413, "too_large");
            }
            let call = text(&api, path, "application/x-www-form-urlencoded", padded(64 * 1024));
            let reply = api.send(call).await;
            assert!(matches!(reply.status, 400 | 401), "{path}: {}", reply.text);
        }
    }
}
