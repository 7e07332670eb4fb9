use super::TokenAlgorithm::{ES256, EdDSA, RS256};
use super::*;

const ALL: [TokenAlgorithm; 3] = [EdDSA, ES256, RS256];

/// The key of RFC 8037 appendix A.1.
fn rfc8037_key() -> SigningKey {
    let seed = URL_SAFE_NO_PAD
        .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
        .unwrap();
    let key = ed25519_dalek::SigningKey::from_bytes(&seed.try_into().unwrap());
    SigningKey::from_pkcs8(EdDSA, key.to_pkcs8_der().unwrap().as_bytes()).unwrap()
}

#[test]
fn names_are_those_of_the_registry() {
    for (algorithm, name) in ALL.into_iter().zip(["EdDSA", "ES256", "RS256"]) {
        assert_eq!(serde_json::to_value(algorithm).unwrap(), name);
        assert_eq!(algorithm.to_string(), name);
        assert_eq!(
            serde_json::from_value::<TokenAlgorithm>(json!(name)).unwrap(),
            algorithm
        );
    }
}

#[test]
fn rfc_8037_key_thumbprint_and_signature() {
    let key = rfc8037_key();
    assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_eq!(
        key.public_jwk(),
        json!({
            "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "kid": key.kid(), "alg": "EdDSA", "use": "sig",
        })
    );
    let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    assert_eq!(
        b64(&key.sign(message).unwrap()),
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
}

#[test]
fn rfc_7638_thumbprint_of_an_rsa_key() {
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6\
             tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v\
             -65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08q\
             NLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8aw\
             apJzKnqDKgw";
    let members = [
        ("e", "AQAB".to_owned()),
        ("kty", "RSA".to_owned()),
        ("n", n.to_owned()),
    ];
    assert_eq!(
        thumbprint(&members),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
}

#[test]
fn a_key_survives_pkcs8_and_fits_no_other_algorithm() {
    for algorithm in ALL {
        let key = SigningKey::generate(algorithm).unwrap();
        let again = SigningKey::from_pkcs8(algorithm, &key.to_pkcs8()).unwrap();
        assert_eq!(again.public_jwk(), key.public_jwk());
        let made = key.sign(b"message").unwrap();
        assert!(again.verifies(b"message", &made));
        assert!(!again.verifies(b"massage", &made));
        assert!(!again.verifies(b"message", &made[1..]));
        assert!(!again.verifies(b"message", &[]));
        for other in ALL.into_iter().filter(|other| *other != algorithm) {
            assert_eq!(
                SigningKey::from_pkcs8(other, &key.to_pkcs8()).err(),
                Some(KeyError::Malformed(other))
            );
        }
        assert!(SigningKey::from_pkcs8(algorithm, &key.to_pkcs8()[1..]).is_err());
        assert!(SigningKey::from_pkcs8(algorithm, b"").is_err());
    }
}

#[test]
fn a_public_key_has_what_its_type_requires_and_nothing_private() {
    for (algorithm, members) in [
        (EdDSA, &["alg", "crv", "kid", "kty", "use", "x"][..]),
        (ES256, &["alg", "crv", "kid", "kty", "use", "x", "y"]),
        (RS256, &["alg", "e", "kid", "kty", "n", "use"]),
    ] {
        let jwk = SigningKey::generate(algorithm).unwrap().public_jwk();
        let mut names: Vec<_> = jwk.as_object().unwrap().keys().cloned().collect();
        names.sort();
        assert_eq!(names, members);
        assert_eq!(jwk["use"], "sig");
        assert_eq!(jwk["kid"].as_str().unwrap().len(), 43);
    }
}

#[test]
fn of_each_algorithm_the_first_key_signs_and_all_are_published() {
    let keys = [ES256, EdDSA, ES256].map(|algorithm| SigningKey::generate(algorithm).unwrap());
    let kids = keys.each_ref().map(|key| key.kid().to_owned());
    let ring = KeyRing::new(keys.map(Arc::new).into()).unwrap();
    assert_eq!(ring.algorithms(), [ES256, EdDSA]);
    assert_eq!(ring.signer(ES256).unwrap().kid(), kids[0]);
    assert_eq!(ring.signer(EdDSA).unwrap().kid(), kids[1]);
    assert!(ring.signer(RS256).is_none());
    let published: Vec<_> = ring.jwks()["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["kid"].clone())
        .collect();
    assert_eq!(published, kids);
    assert!(
        kids.iter()
            .all(|kid| ring.by_kid(kid).is_some_and(|key| key.kid() == kid))
    );
    assert!(ring.by_kid("").is_none());
}

#[test]
fn a_ring_needs_keys_and_each_once() {
    assert_eq!(KeyRing::new(Vec::new()).err(), Some(KeyError::Empty));
    let kid = rfc8037_key().kid().to_owned();
    assert_eq!(
        KeyRing::new(vec![Arc::new(rfc8037_key()), Arc::new(rfc8037_key())]).err(),
        Some(KeyError::Duplicate(kid))
    );
}

#[test]
fn debug_shows_no_private_key() {
    let ring = KeyRing::new(vec![Arc::new(rfc8037_key())]).unwrap();
    let shown = format!("{ring:?} {:?}", rfc8037_key());
    // The seed, as bytes, as hex and as base64url.
    for private in ["157, 97, 177", "9d61b1", "nWGxne"] {
        assert!(!shown.contains(private), "{shown}");
    }
}
