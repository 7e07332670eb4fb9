//! Tokens that are forged or foreign are worth nothing, wherever they are shown.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::fresh;
use crate::{
    artefacts::master_key,
    jwt,
    sql::sql,
    support::{Api, Client, TestServer, on_both_databases},
};

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
