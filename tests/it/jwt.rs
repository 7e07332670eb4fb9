//! Reading, checking and forging JSON Web Tokens, as a website or an attacker would.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode,
    jwk::{Jwk, JwkSet},
};
use serde_json::Value;

use crate::support::Api;

fn part(token: &str, place: usize) -> Value {
    let part = token.split('.').nth(place).expect("a JWT has three parts");
    let json = BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .expect("a part is base64url");
    serde_json::from_slice(&json).expect("a part is JSON")
}

/// The protected header, unverified.
pub(crate) fn header(token: &str) -> Value {
    part(token, 0)
}

/// The claims, unverified.
pub(crate) fn claims(token: &str) -> Value {
    part(token, 1)
}

/// A token of these parts, as they are.
pub(crate) fn assemble(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let [header, claims, signature] = [
        header.to_string().as_bytes(),
        claims.to_string().as_bytes(),
        signature,
    ]
    .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{claims}.{signature}")
}

/// The published keys.
pub(crate) async fn key_set(api: &Api) -> JwkSet {
    let reply = api
        .send(api.get("/.well-known/jwks.json"))
        .await
        .expect(200);
    serde_json::from_value(reply.json).expect("a key set (RFC 7517 §5)")
}

/// The published key that a token names.
pub(crate) async fn key_of(api: &Api, token: &str) -> Jwk {
    let kid = header(token)["kid"]
        .as_str()
        .expect("a token names its key")
        .to_owned();
    key_set(api)
        .await
        .find(&kid)
        .expect("the key is published")
        .clone()
}

/// The claims of a token whose signature, issuer, audience and lifetime are right.
pub(crate) async fn verified(api: &Api, token: &str, audience: &str) -> Value {
    let key = key_of(api, token).await;
    let algorithm: Algorithm = header(token)["alg"]
        .as_str()
        .expect("an alg")
        .parse()
        .expect("known");
    let published = key
        .common
        .key_algorithm
        .expect("a key says its algorithm")
        .to_string();
    assert_eq!(published, header(token)["alg"]);
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[&api.issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["iss", "aud", "exp"]);
    let key = DecodingKey::from_jwk(&key).expect("a usable key");
    decode::<Value>(token, &key, &validation)
        .expect("the token verifies")
        .claims
}
