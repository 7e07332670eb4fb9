//! Minted tokens are also read by another implementation, and forged by it.

use futures_util::FutureExt as _;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation, decode, encode};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::TokenAlgorithm::{ES256, EdDSA, RS256};
use super::*;

const ISSUER: &str = "https://auth.example";

fn ring(algorithms: &[TokenAlgorithm]) -> Arc<KeyRing> {
    let keys = algorithms
        .iter()
        .map(|algorithm| SigningKey::generate(*algorithm).unwrap());
    Arc::new(KeyRing::new(keys.map(Arc::new).collect()).unwrap())
}

fn minter(algorithms: &[TokenAlgorithm]) -> TokenMinter {
    TokenMinter::new(ring(algorithms), ISSUER.to_owned())
}

fn claims() -> AccessClaims {
    let agent_id = AgentId::from_uuid(Uuid::from_u128(1));
    AccessClaims {
        iss: ISSUER.to_owned(),
        sub: agent_id.to_string(),
        aud: vec![ISSUER.to_owned()],
        client_id: "client_1".to_owned(),
        scope: "openid profile".to_owned(),
        model: "claude-opus-4".to_owned(),
        agent_id,
        binding: "browser".to_owned(),
        jti: "jti-1".to_owned(),
        sid: RequestId::from_uuid(Uuid::from_u128(2)),
        iat: 1_000,
        // Long ago: expiry is the caller's to judge.
        exp: 1_600,
        auth_time: 990,
        amr: vec!["pwd".to_owned()],
        act: None,
    }
}

/// Signs any header and payload with a key of the ring, as a server gone wrong would.
fn signed(
    minter: &TokenMinter,
    algorithm: TokenAlgorithm,
    header: &Value,
    claims: &Value,
) -> String {
    let message = [header, claims]
        .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
        .join(".");
    complete(minter.keys().signer(algorithm).unwrap(), message).unwrap()
}

fn header(minter: &TokenMinter, algorithm: TokenAlgorithm) -> Value {
    let ring = minter.keys();
    let kid = ring.signer(algorithm).unwrap().kid();
    json!({ "typ": "at+jwt", "alg": algorithm, "kid": kid })
}

fn with(base: &Value, name: &str, value: Value) -> Value {
    let mut changed = base.clone();
    changed[name] = value;
    changed
}

fn without(base: &Value, name: &str) -> Value {
    let mut changed = base.clone();
    changed.as_object_mut().unwrap().remove(name).unwrap();
    changed
}

#[tokio::test]
async fn what_was_minted_is_read_again_whatever_the_algorithm() {
    let minter = minter(&[EdDSA, ES256, RS256]);
    for algorithm in [EdDSA, ES256, RS256] {
        let token = minter.sign(algorithm, "at+jwt", &claims()).await.unwrap();
        let verified = minter.verify_access_token(&token).unwrap();
        assert_eq!(verified.claims, claims());
        assert!(minter.keys().by_kid(&verified.kid).is_some());
    }
}

#[tokio::test]
async fn another_implementation_verifies_them_by_our_key_set() {
    let minter = minter(&[EdDSA, ES256, RS256]);
    for (ours, theirs) in [
        (EdDSA, Algorithm::EdDSA),
        (ES256, Algorithm::ES256),
        (RS256, Algorithm::RS256),
    ] {
        let token = minter.sign(ours, "JWT", &claims()).await.unwrap();
        let parsed = jsonwebtoken::decode_header(&token).unwrap();
        let ring = minter.keys();
        let published = ring.jwks()["keys"].as_array().unwrap();
        let jwk = published
            .iter()
            .find(|key| key["kid"] == *parsed.kid.as_ref().unwrap())
            .unwrap();
        let jwk: Jwk = serde_json::from_value(jwk.clone()).unwrap();
        let mut validation = Validation::new(theirs);
        validation.validate_exp = false;
        validation.validate_aud = false;
        let read = decode::<Value>(&token, &DecodingKey::from_jwk(&jwk).unwrap(), &validation);
        let read = read.unwrap();
        assert_eq!(read.header.typ.as_deref(), Some("JWT"));
        assert_eq!(read.claims, serde_json::to_value(claims()).unwrap());
    }
}

#[tokio::test]
async fn an_algorithm_without_a_key_is_refused() {
    let minter = minter(&[EdDSA]);
    let outcome = minter.sign(RS256, "JWT", &claims()).await;
    assert!(matches!(outcome, Err(SignError::NoKey(RS256))));
    assert!(matches!(minter.admits(RS256), Err(SignError::NoKey(RS256))));
}

#[test]
fn audience_and_actor_have_the_form_that_the_standards_ask_for() {
    let one = serde_json::to_value(claims()).unwrap();
    assert_eq!(one["aud"], ISSUER);
    assert!(one.get("act").is_none());

    let several = AccessClaims {
        aud: vec!["https://api.example".to_owned(), ISSUER.to_owned()],
        act: Some(Actor {
            sub: "agent_1".to_owned(),
        }),
        ..claims()
    };
    let json = serde_json::to_value(&several).unwrap();
    assert_eq!(json["aud"], json!(["https://api.example", ISSUER]));
    assert_eq!(json["act"], json!({ "sub": "agent_1" }));
    assert_eq!(
        serde_json::from_value::<AccessClaims>(json).unwrap(),
        several
    );
}

#[test]
fn the_type_must_be_an_access_tokens() {
    let minter = minter(&[EdDSA]);
    let (header, claims) = (
        header(&minter, EdDSA),
        serde_json::to_value(claims()).unwrap(),
    );
    let accepted = |header: &Value| {
        minter
            .verify_access_token(&signed(&minter, EdDSA, header, &claims))
            .is_some()
    };
    for typ in [
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "Application/At+Jwt",
    ] {
        assert!(accepted(&with(&header, "typ", json!(typ))), "{typ}");
    }
    for typ in ["JWT", "jwt", "", "at+jwt ", "logout+jwt", "text/at+jwt"] {
        assert!(!accepted(&with(&header, "typ", json!(typ))), "{typ}");
    }
    for name in ["typ", "alg", "kid"] {
        assert!(!accepted(&without(&header, name)), "{name}");
    }
    assert!(!accepted(&with(&header, "crit", json!(["exp"]))));
}

#[test]
fn an_unknown_key_is_refused_even_when_the_token_brings_it_along() {
    let (ours, theirs) = (minter(&[EdDSA]), minter(&[EdDSA]));
    let claims = serde_json::to_value(claims()).unwrap();
    let header = header(&theirs, EdDSA);
    let jwk = theirs.keys().signer(EdDSA).unwrap().public_jwk();
    assert!(
        ours.verify_access_token(&signed(&theirs, EdDSA, &header, &claims))
            .is_none()
    );
    let header = with(&header, "jwk", jwk);
    assert!(
        ours.verify_access_token(&signed(&theirs, EdDSA, &header, &claims))
            .is_none()
    );
    let ring = ours.keys();
    let kid = ring.signer(EdDSA).unwrap().kid();
    let header = with(&header, "kid", json!(kid));
    assert!(
        ours.verify_access_token(&signed(&theirs, EdDSA, &header, &claims))
            .is_none()
    );
}

#[test]
fn the_algorithm_is_the_keys_own() {
    let minter = minter(&[EdDSA, ES256, RS256]);
    let claims = serde_json::to_value(claims()).unwrap();
    for key in [EdDSA, ES256, RS256] {
        for alg in [
            "EdDSA", "ES256", "RS256", "RS512", "PS256", "HS256", "none", "eddsa", "",
        ] {
            let header = with(&header(&minter, key), "alg", json!(alg));
            let token = signed(&minter, key, &header, &claims);
            assert_eq!(
                minter.verify_access_token(&token).is_some(),
                alg == key.as_str(),
                "{alg}"
            );
        }
    }
}

#[test]
fn none_is_no_algorithm() {
    let minter = minter(&[EdDSA]);
    let claims = serde_json::to_value(claims()).unwrap();
    for alg in ["none", "None", "NONE", "EdDSA"] {
        let header = with(&header(&minter, EdDSA), "alg", json!(alg));
        let message = [&header, &claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let message = message.join(".");
        for token in [
            message.clone(),
            format!("{message}."),
            format!("{message}.AAAA"),
        ] {
            assert!(minter.verify_access_token(&token).is_none(), "{token}");
        }
    }
}

#[test]
fn a_public_key_is_no_hmac_secret() {
    let minter = minter(&[RS256, EdDSA, ES256]);
    for key in [RS256, EdDSA, ES256] {
        let jwk = minter.keys().signer(key).unwrap().public_jwk();
        let member = |name: &str| jwk[name].as_str().unwrap_or_default().to_owned();
        let raw = |name: &str| URL_SAFE_NO_PAD.decode(member(name)).unwrap();
        for secret in [
            jwk.to_string().into_bytes(),
            member("n").into_bytes(),
            raw("n"),
            raw("x"),
        ] {
            let mut header = jsonwebtoken::Header::new(Algorithm::HS256);
            header.typ = Some("at+jwt".to_owned());
            header.kid = Some(member("kid"));
            let token = encode(&header, &claims(), &EncodingKey::from_secret(&secret)).unwrap();
            assert!(minter.verify_access_token(&token).is_none());
            let (_, rest) = token.split_once('.').unwrap();
            let lying = URL_SAFE_NO_PAD.encode(super::tests::header(&minter, key).to_string());
            assert!(
                minter
                    .verify_access_token(&format!("{lying}.{rest}"))
                    .is_none()
            );
        }
    }
}

#[test]
fn claims_must_be_whole_and_ours() {
    let minter = minter(&[EdDSA]);
    let header = header(&minter, EdDSA);
    let good = serde_json::to_value(claims()).unwrap();
    let accepted = |claims: &Value| {
        minter
            .verify_access_token(&signed(&minter, EdDSA, &header, claims))
            .is_some()
    };
    assert!(accepted(&good));
    assert!(accepted(&with(&good, "later_addition", json!({ "x": 1 }))));
    for name in good.as_object().unwrap().keys() {
        assert!(!accepted(&without(&good, name)), "{name}");
    }
    for (name, value) in [
        ("iss", json!("https://auth.example/")),
        ("iss", json!("https://other.example")),
        ("iss", json!([ISSUER])),
        ("aud", json!(1)),
        ("agent_id", json!("agent_1")),
        ("agent_id", json!("client_00000000000000000000000000000001")),
        ("sid", json!("req_1")),
        ("exp", json!("1600")),
        ("act", json!("agent_1")),
    ] {
        assert!(!accepted(&with(&good, name, value)), "{name}");
    }
    assert!(!accepted(&json!([])));
    assert!(!accepted(&json!("claims")));
}

#[tokio::test]
async fn other_spellings_and_sizes_are_refused() {
    let minter = minter(&[EdDSA]);
    let token = minter.sign(EdDSA, "at+jwt", &claims()).await.unwrap();
    for other in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        format!("{token}="),
        format!("{token}."),
        format!(".{token}"),
        format!(" {token}"),
        format!("{token}\n"),
        token.replacen('.', "..", 1),
        token.rsplit_once('.').unwrap().0.to_owned(),
    ] {
        assert!(minter.verify_access_token(&other).is_none(), "{other}");
    }
    let long = AccessClaims {
        model: "m".repeat(TOKEN_MAX),
        ..claims()
    };
    let long = minter.sign(EdDSA, "at+jwt", &long).await.unwrap();
    assert!(minter.verify_access_token(&long).is_none());
}

#[tokio::test]
async fn rsa_over_the_bound_is_busy_at_once_and_others_go_on() {
    let minter = TokenMinter::with_bounds(ring(&[RS256, EdDSA]), ISSUER.to_owned(), 1, 1);
    let claims = claims();
    let running = minter.rsa.admit().unwrap().turn().await.unwrap();
    let mut waiting = Box::pin(minter.sign(RS256, "JWT", &claims));
    assert!(waiting.as_mut().now_or_never().is_none());
    assert!(matches!(minter.admits(RS256), Err(SignError::Busy)));
    assert!(minter.admits(EdDSA).is_ok());
    // What has been promised waits for its turn instead.
    let mut promised = Box::pin(minter.sign(RS256, "JWT", &claims));
    assert!(promised.as_mut().now_or_never().is_none());
    assert!(matches!(
        minter.sign(EdDSA, "JWT", &claims).now_or_never(),
        Some(Ok(_))
    ));
    drop(running);
    assert!(waiting.await.is_ok());
    assert!(promised.await.is_ok());
    assert!(minter.sign(RS256, "JWT", &claims).await.is_ok());
}

#[test]
fn at_hash_is_the_left_half_of_the_algorithms_hash() {
    // The example of OpenID Connect Core appendix A.4.
    let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
    assert_eq!(at_hash(RS256, token), "77QmUPtjPfzWtF2AnpK9RQ");
    assert_eq!(at_hash(ES256, token), at_hash(RS256, token));
    // 32 of SHA-512's 64 bytes are 43 characters.
    assert_eq!(at_hash(EdDSA, token).len(), 43);
    assert_eq!(
        at_hash(EdDSA, "abc"),
        "3a81oZNherrMQXNJriBBMRLm-k6JqX6iCp7u5ktV05o"
    );
}

#[test]
fn debug_shows_no_private_key() {
    let minter = minter(&[EdDSA, ES256, RS256]);
    let shown = format!("{minter:?}");
    for algorithm in [EdDSA, ES256, RS256] {
        let pkcs8 = minter.keys().signer(algorithm).unwrap().to_pkcs8();
        let tail = &pkcs8[pkcs8.len() - 8..];
        assert!(
            !shown.contains(format!("{tail:?}").trim_matches(['[', ']'])),
            "{shown}"
        );
    }
}

proptest! {
    #[test]
    fn one_changed_byte_is_refused(at: prop::sample::Index, with in 1_u8..0x7f) {
        let minter = minter(&[EdDSA]);
        let header = header(&minter, EdDSA);
        let claims = serde_json::to_value(claims()).unwrap();
        let mut bytes = signed(&minter, EdDSA, &header, &claims).into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != with);
        bytes[at] = with;
        let token = String::from_utf8(bytes).unwrap();
        prop_assert!(minter.verify_access_token(&token).is_none());
    }

    #[test]
    fn any_text_is_taken_without_harm(text in "([A-Za-z0-9_.-]{0,80}|.{0,80})") {
        prop_assert!(minter(&[EdDSA]).verify_access_token(&text).is_none());
    }
}
