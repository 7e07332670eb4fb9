//! What can be asked about a token, ending one, and forging one: /introspect, /revoke, /userinfo.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    artefacts::master_key,
    jwt,
    sql::sql,
    support::{
        Agent, Api, Authorize, Client, SignIn, TestServer, Tokens, on_both_databases, sign_in::Auth,
    },
};

async fn fresh(api: &Api, fields: Value) -> (Client, Agent, SignIn) {
    let client = api.create_client(fields).await;
    let agent = api.create_agent(json!({})).await;
    let done = api.sign_in(&client, &agent).await;
    (client, agent, done)
}

/// Signs in for one scope.
async fn scoped(api: &Api, scope: &str) -> (Client, Tokens) {
    let client = api.create_client(json!({})).await;
    let agent = api.create_agent(json!({})).await;
    let asked = Authorize::new(&client).with("scope", scope);
    let page = api.authorize(&asked).await;
    api.authenticate(&page, &agent).await.expect(200);
    let code = api.callback(&page).await.get("code");
    let tokens = Tokens::of(api.redeem(&client, &code, &asked.pkce.verifier).await);
    (client, tokens)
}

/// A forged or foreign token is inactive, opens nothing, and revokes nothing.
async fn is_worthless(api: &Api, client: &Client, token: &str) {
    assert!(!api.is_active(client, token).await, "{token}");
    let reply = api.userinfo(token).await;
    reply.refused(401, "invalid_token");
    assert!(
        reply
            .header("www-authenticate")
            .contains(r#"error="invalid_token""#)
    );
    assert_eq!(api.revoke(client, token).await.status, 200);
}

on_both_databases! {
    async fn introspection_tells_a_client_of_its_own_tokens(env: Env) {
        let api = env.api().await;
        let (client, agent, done) = fresh(&api, json!({})).await;
        let token = &done.tokens.access_token;
        let told = api.introspect(&client, token).await.expect(200).json;
        let mut expected = jwt::claims(token);
        expected["active"] = json!(true);
        expected["token_type"] = json!("Bearer");
        assert_eq!(told, expected);

        let told = api.introspect(&client, done.tokens.refresh()).await.expect(200).json;
        assert_eq!(told["active"], true);
        for (name, value) in [
            ("client_id", &client.id), ("sub", &agent.id), ("agent_id", &agent.id),
            ("sid", &done.page.request_id), ("iss", &api.issuer),
        ] {
            assert_eq!(told[name], **value, "{name}");
        }
        assert_eq!(told["scope"], "openid profile email");
        assert_eq!(told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap(), 30 * 86_400);
    }

    async fn introspection_shows_a_client_only_its_own(env: Env) {
        let api = env.api().await;
        let (_, _, done) = fresh(&api, json!({})).await;
        let other = api.create_client(json!({})).await;
        for token in [&*done.tokens.access_token, done.tokens.refresh()] {
            for hint in ["access_token", "refresh_token", "other"] {
                let form = [("token", token), ("token_type_hint", hint)];
                let reply = api.form(&other, "/introspect", &form).await.expect(200);
                assert_eq!(reply.json, json!({"active": false}));
            }
        }
    }

    async fn a_wrong_hint_is_no_hindrance(env: Env) {
        let api = env.api().await;
        let (client, _, done) = fresh(&api, json!({})).await;
        for token in [&*done.tokens.access_token, done.tokens.refresh()] {
            for hint in ["access_token", "refresh_token", "other", ""] {
                let form = [("token", token), ("token_type_hint", hint)];
                let reply = api.form(&client, "/introspect", &form).await.expect(200);
                assert_eq!(reply.json["active"], true);
            }
        }
    }

    async fn an_inactive_token_is_told_nothing_else_about(env: Env) {
        let api = env.api().await;
        let (client, agent, done) = fresh(&api, json!({})).await;
        api.suspend(&agent).await;
        let id_token = done.tokens.id_token.as_deref().unwrap();
        for token in [&*done.tokens.access_token, done.tokens.refresh(), id_token, &*done.code, "x"] {
            let reply = api.introspect(&client, token).await.expect(200);
            assert_eq!(reply.json, json!({"active": false}));
        }
    }

    async fn an_expired_access_token_is_inactive(env: Env) {
        let server = env.start(|options| { options.flag("--access-token-lifetime", 2); }).await;
        let api = server.api();
        let (client, _, done) = fresh(&api, json!({})).await;
        let token = &done.tokens.access_token;
        crate::support::process::eventually("the token to run out", async || {
            (!api.is_active(&client, token).await).then_some(())
        })
        .await;
        api.userinfo(token).await.refused(401, "invalid_token");
        assert_eq!(done.tokens.json["expires_in"], 2);
        Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
    }

    async fn introspection_needs_a_client_with_a_secret(env: Env) {
        let api = env.api().await;
        let public = json!({"token_endpoint_auth_method": "none"});
        let (client, _, done) = fresh(&api, public).await;
        api.introspect(&client, &done.tokens.access_token).await.refused(401, "invalid_client");
        let reply = api.send(api.post("/introspect").form(&[("token", "x")])).await;
        reply.refused(401, "invalid_client");
        let (client, _, done) = fresh(&api, json!({})).await;
        let silent = Client { auth: Auth::None, ..client.clone() };
        api.introspect(&silent, &done.tokens.access_token).await.refused(401, "invalid_client");
        let wrong = Client { secret: Some("wrong".into()), ..client.clone() };
        api.introspect(&wrong, &done.tokens.access_token).await.refused(401, "invalid_client");
        api.form(&client, "/introspect", &[]).await.refused(400, "invalid_request");
        let twice = [("token", "x"), ("token", "x")];
        api.form(&client, "/introspect", &twice).await.refused(400, "invalid_request");
    }

    async fn revoking_a_refresh_token_ends_the_grant(env: Env) {
        let api = env.api().await;
        for public in [json!({}), json!({"token_endpoint_auth_method": "none"})] {
            let (client, _, done) = fresh(&api, public).await;
            let next = Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
            assert_eq!(api.revoke(&client, next.refresh()).await.status, 200);
            for tokens in [&done.tokens, &next] {
                api.refresh(&client, tokens.refresh()).await.refused(400, "invalid_grant");
                api.userinfo(&tokens.access_token).await.refused(401, "invalid_token");
                if client.secret.is_some() {
                    assert!(!api.is_active(&client, &tokens.access_token).await);
                    assert!(!api.is_active(&client, tokens.refresh()).await);
                }
            }
            assert_eq!(api.revoke(&client, next.refresh()).await.status, 200);
        }
    }

    async fn revoking_an_older_refresh_token_ends_the_grant_as_well(env: Env) {
        let api = env.api().await;
        let stranger = api.create_client(json!({})).await;
        for generations in [1, 2, 3] {
            let (client, _, done) = fresh(&api, json!({})).await;
            let mut last = done.tokens.clone();
            for _ in 0..generations {
                last = Tokens::of(api.refresh(&client, last.refresh()).await);
            }
            assert_eq!(api.revoke(&stranger, done.tokens.refresh()).await.status, 200);
            assert!(api.is_active(&client, last.refresh()).await);
            assert_eq!(api.revoke(&client, done.tokens.refresh()).await.status, 200);
            assert!(!api.is_active(&client, last.refresh()).await);
            assert!(!api.is_active(&client, &last.access_token).await);
        }
    }

    async fn revoking_an_access_token_ends_that_token_alone(env: Env) {
        let api = env.api().await;
        let (client, _, done) = fresh(&api, json!({})).await;
        let next = Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
        assert_eq!(api.revoke(&client, &done.tokens.access_token).await.status, 200);
        assert!(!api.is_active(&client, &done.tokens.access_token).await);
        api.userinfo(&done.tokens.access_token).await.refused(401, "invalid_token");
        assert!(api.is_active(&client, &next.access_token).await);
        assert_eq!(api.revoke(&client, &next.access_token).await.status, 200);
        assert!(!api.is_active(&client, &next.access_token).await);
        assert!(!api.is_active(&client, &done.tokens.access_token).await);
        let last = Tokens::of(api.refresh(&client, next.refresh()).await);
        assert!(api.is_active(&client, &last.access_token).await);
    }

    async fn revoking_what_is_foreign_or_unknown_is_answered_alike_and_revokes_nothing(env: Env) {
        let api = env.api().await;
        let (client, _, done) = fresh(&api, json!({})).await;
        let other = api.create_client(json!({})).await;
        let public = api.create_client(json!({"token_endpoint_auth_method": "none"})).await;
        let id_token = done.tokens.id_token.as_deref().unwrap();
        let mut answers = Vec::new();
        for stranger in [&other, &public] {
            for token in [&*done.tokens.access_token, done.tokens.refresh(), "x", id_token] {
                let reply = api.revoke(stranger, token).await;
                answers.push((reply.status, reply.text));
            }
        }
        assert!(answers.iter().all(|answer| *answer == (200, String::new())), "{answers:?}");
        assert!(api.is_active(&client, &done.tokens.access_token).await);
        assert!(api.is_active(&client, done.tokens.refresh()).await);
        // Nor does its own client end a sign-in with what is no token.
        for token in [&*done.code, id_token, &done.page.request_id] {
            assert_eq!(api.revoke(&client, token).await.status, 200);
        }
        assert!(api.is_active(&client, done.tokens.refresh()).await);
    }

    async fn revocation_needs_client_authentication(env: Env) {
        let api = env.api().await;
        let (client, _, done) = fresh(&api, json!({})).await;
        let token = done.tokens.refresh();
        let silent = Client { auth: Auth::None, ..client.clone() };
        api.revoke(&silent, token).await.refused(401, "invalid_client");
        let wrong = Client { secret: Some("wrong".into()), ..client.clone() };
        api.revoke(&wrong, token).await.refused(401, "invalid_client");
        let reply = api.send(api.post("/revoke").form(&[("token", token)])).await;
        reply.refused(401, "invalid_client");
        api.form(&client, "/revoke", &[]).await.refused(400, "invalid_request");
        assert!(api.is_active(&client, token).await);
    }

    async fn alg_none_is_refused(env: Env) {
        let api = env.api().await;
        let (client, _, done) = fresh(&api, json!({})).await;
        let token = &done.tokens.access_token;
        for alg in ["none", "None", "NONE", ""] {
            let mut header = jwt::header(token);
            header["alg"] = json!(alg);
            is_worthless(&api, &client, &jwt::assemble(&header, &jwt::claims(token), b"")).await;
            is_worthless(&api, &client, &jwt::assemble(&header, &jwt::claims(token), b"x")).await;
        }
        let (unsigned, _) = token.rsplit_once('.').unwrap();
        is_worthless(&api, &client, &format!("{unsigned}.")).await;
        is_worthless(&api, &client, unsigned).await;
        assert!(api.is_active(&client, token).await);
    }

    async fn hmac_confusion_is_refused(env: Env) {
        let api = env.api().await;
        let (client, _, done) = fresh(&api, json!({})).await;
        let token = &done.tokens.access_token;
        for key in jwt::key_set(&api).await.keys {
            // Whatever of the public half an attacker might take for the shared secret.
            let value = serde_json::to_value(&key).unwrap();
            let mut secrets = vec![value.to_string().into_bytes()];
            for name in ["n", "x"] {
                if let Some(text) = value[name].as_str() {
                    secrets.push(text.as_bytes().to_vec());
                    secrets.push(BASE64_URL_SAFE_NO_PAD.decode(text).unwrap());
                }
            }
            for secret in secrets {
                for alg in [Algorithm::HS256, Algorithm::HS512] {
                    let mut header = Header::new(alg);
                    header.typ = Some("at+jwt".into());
                    header.kid = key.common.key_id.clone();
                    let secret = EncodingKey::from_secret(&secret);
                    let forged = encode(&header, &jwt::claims(token), &secret).unwrap();
                    is_worthless(&api, &client, &forged).await;
                }
            }
        }
    }

    async fn the_alg_is_pinned_to_the_key(env: Env) {
        let server = env.server().await;
        let api = server.api();
        let (client, _, done) = fresh(&api, json!({})).await;
        let token = &done.tokens.access_token;
        let key = own_key(server, jwt::header(token)["kid"].as_str().unwrap()).await;
        let signed = |alg: &str| {
            let mut header = jwt::header(token);
            header["alg"] = json!(alg);
            let unsigned = jwt::assemble(&header, &jwt::claims(token), b"");
            let signature = key.sign(unsigned.trim_end_matches('.').as_bytes());
            jwt::assemble(&header, &jwt::claims(token), signature.as_ref())
        };
        // The very key signs what each header says, so nothing but its `alg` is wrong.
        assert!(api.is_active(&client, &signed("EdDSA")).await, "the key is the server's own");
        for alg in ["RS256", "ES256", "ES384", "PS256", "HS256", "none", "Ed25519", "eddsa", ""] {
            is_worthless(&api, &client, &signed(alg)).await;
        }
    }

    async fn an_unknown_kid_is_refused_without_a_lookup_elsewhere(env: Env) {
        let api = env.api().await;
        let (client, _, done) = fresh(&api, json!({})).await;
        let token = &done.tokens.access_token;
        // A trap: whoever looked the key up elsewhere would come by here.
        let trap = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        trap.set_nonblocking(true).unwrap();
        let elsewhere = format!("http://{}/jwks.json", trap.local_addr().unwrap());
        let (key, jwk) = foreign_key();
        let headers = [
            json!({"typ": "at+jwt", "alg": "EdDSA", "kid": "other"}),
            json!({"typ": "at+jwt", "alg": "EdDSA", "kid": jwt::header(token)["kid"]}),
            json!({"typ": "at+jwt", "alg": "EdDSA"}),
            json!({"typ": "at+jwt", "alg": "EdDSA", "kid": "other", "jku": elsewhere}),
            json!({"typ": "at+jwt", "alg": "EdDSA", "kid": elsewhere, "x5u": elsewhere}),
            json!({"typ": "at+jwt", "alg": "EdDSA", "kid": "other", "jwk": jwk}),
        ];
        for header in headers {
            let unsigned = jwt::assemble(&header, &jwt::claims(token), b"");
            let signature = key.sign(unsigned.trim_end_matches('.').as_bytes());
            let forged = jwt::assemble(&header, &jwt::claims(token), signature.as_ref());
            is_worthless(&api, &client, &forged).await;
        }
        assert!(trap.accept().is_err(), "a key was looked up elsewhere");
    }

    async fn a_tampered_token_is_refused(env: Env) {
        let api = env.api().await;
        let (client, _, done) = fresh(&api, json!({})).await;
        let stranger = api.create_client(json!({})).await;
        let token = &done.tokens.access_token;
        let parts: Vec<&str> = token.split('.').collect();
        for (name, value) in [
            ("exp", json!(9_999_999_999_u64)), ("scope", json!("openid profile email admin")),
            ("client_id", json!(stranger.id)), ("sub", json!("agent_x")), ("aud", json!("x")),
        ] {
            let mut claims = jwt::claims(token);
            claims[name] = value;
            let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
            let forged = format!("{}.{claims}.{}", parts[0], parts[2]);
            is_worthless(&api, &client, &forged).await;
            is_worthless(&api, &stranger, &forged).await;
        }
        for place in 0..3 {
            let mut parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
            let middle = parts[place].len() / 2;
            let other = if parts[place].as_bytes()[middle] == b'A' { "B" } else { "A" };
            parts[place].replace_range(middle..=middle, other);
            is_worthless(&api, &client, &parts.join(".")).await;
        }
        for text in [format!("{token}."), format!("{token}="), format!(".{token}"), "..".into()] {
            is_worthless(&api, &client, &text).await;
        }
        assert!(api.is_active(&client, token).await);
    }

    async fn an_id_token_is_no_access_token(env: Env) {
        let api = env.api().await;
        let eddsa = json!({"id_token_signed_response_alg": "EdDSA"});
        let (client, _, done) = fresh(&api, eddsa).await;
        let id_token = done.tokens.id_token.as_deref().unwrap();
        assert!(!api.is_active(&client, id_token).await);
        api.userinfo(id_token).await.refused(401, "invalid_token");
    }

    async fn a_token_is_never_accepted_in_a_query(env: Env) {
        let api = env.api().await;
        let (client, _, done) = fresh(&api, json!({})).await;
        let token = &done.tokens.access_token;
        for method in [Method::GET, Method::POST] {
            let reply = api.send(api.call(method, &format!("/userinfo?access_token={token}"))).await;
            assert_eq!(reply.status, 401, "{}", reply.text);
        }
        let secret = client.secret.as_deref();
        for path in ["/introspect", "/revoke"] {
            let call = api.post(&format!("{path}?token={token}")).basic_auth(&client.id, secret);
            api.send(call).await.refused(400, "invalid_request");
        }
        assert!(api.is_active(&client, token).await);
        let admin = format!("/api/admin/clients?access_token={}", api.admin_key);
        assert_eq!(api.send(api.get(&admin)).await.status, 401);
    }

    async fn userinfo_answers_in_header_and_body(env: Env) {
        let api = env.api().await;
        let (_, agent, done) = fresh(&api, json!({})).await;
        let token = &done.tokens.access_token;
        let told = api.userinfo(token).await.expect(200).json;
        assert_eq!((&told["sub"], &told["agent_id"]), (&json!(agent.id), &json!(agent.id)));
        assert_eq!((&told["name"], &told["email_verified"]), (&json!("Ada Lovelace"), &json!(false)));
        assert_eq!((&told["model"], &told["binding"]), (&json!("claude-opus-4"), &json!("browser")));
        let by_post = api.send(api.post("/userinfo").bearer_auth(token)).await.expect(200);
        assert_eq!(by_post.json, told);
        let call = api.post("/userinfo").form(&[("access_token", token)]);
        assert_eq!(api.send(call).await.expect(200).json, told);
        let call = api.post("/userinfo").bearer_auth(token).form(&[("access_token", token)]);
        api.send(call).await.refused(400, "invalid_request");
    }

    async fn userinfo_challenges_as_rfc_6750_says(env: Env) {
        let api = env.api().await;
        // Nothing was sent, so nothing is said to be wrong (RFC 6750 §3.1).
        let reply = api.send(api.get("/userinfo")).await;
        assert_eq!(reply.status, 401);
        assert!(reply.header("www-authenticate").starts_with("Bearer realm="));
        assert!(!reply.header("www-authenticate").contains("error"));

        let twice = api.get("/userinfo").bearer_auth("x").bearer_auth("y");
        let reply = api.send(twice).await;
        reply.refused(400, "invalid_request");
        assert!(reply.header("www-authenticate").contains(r#"error="invalid_request""#));

        let reply = api.userinfo("x").await;
        reply.refused(401, "invalid_token");
        assert!(reply.header("www-authenticate").contains(r#"error="invalid_token""#));

        let (client, tokens) = scoped(&api, "profile email").await;
        assert!(api.is_active(&client, &tokens.access_token).await);
        let reply = api.userinfo(&tokens.access_token).await;
        reply.refused(403, "insufficient_scope");
        assert!(reply.header("www-authenticate").contains(r#"error="insufficient_scope""#));
        assert_eq!(reply.json.get("email"), None);
    }
}

/// The server's own Ed25519 key, as somebody who holds its master key can have it.
async fn own_key(server: &TestServer, kid: &str) -> aws_lc_rs::signature::Ed25519KeyPair {
    let sealed = format!("select sealed from signing_keys where id = '{kid}'");
    let sealed = sql(server, &sealed).await.remove(0);
    let context = format!("signing_key/{kid}");
    let pkcs8 = master_key(server)
        .open(&context, &sealed)
        .expect("it opens");
    aws_lc_rs::signature::Ed25519KeyPair::from_pkcs8(&pkcs8).expect("it is a key")
}

/// A key that is not the server's, and its public half.
fn foreign_key() -> (aws_lc_rs::signature::Ed25519KeyPair, Value) {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    let key = Ed25519KeyPair::generate().expect("a key can be made");
    let x = BASE64_URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
    (key, jwk)
}
