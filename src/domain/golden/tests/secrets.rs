//! What never enters the log has no place to stand in: no schema has a field for it.
//!
//! Names are checked word by word, and a field of free text must be listed here with the reason why
//! it may be one: so nobody adds a place for a secret without stopping here.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::{Kept, folder, read_json};

/// Words that stand for something that belongs in the vault, or nowhere.
const FORBIDDEN: &[&str] = &[
    "address",
    "agent_name",
    "assertion",
    "birthdate",
    "bytes",
    "code",
    "codes",
    "cookie",
    "credential",
    "credentials",
    "d",
    "device",
    "email",
    "emails",
    "hash",
    "host",
    "ip",
    "jwt",
    "key",
    "keys",
    "login",
    "mac",
    "mail",
    "name",
    "names",
    "nonce",
    "otp",
    "password",
    "person",
    "phone",
    "pin",
    "private",
    "query",
    "salt",
    "seal",
    "sealed",
    "secret",
    "secrets",
    "seed",
    "session",
    "state",
    "token",
    "tokens",
    "user",
    "username",
    "verifier",
];

/// Fields that hold such a word in their name and not the thing.
const HARMLESS: &[(&str, &str)] = &[
    // The id of a key.
    ("auth_request/CodeIssued.derivation_key", "key"),
    ("auth_request/CodeRedeemed.derivation_key", "key"),
    ("auth_request/TokenRefreshed.derivation_key", "key"),
    // The S256 challenge is a hash that the browser's address line shows anyway (RFC 7636 §4.2).
    ("auth_request/Created.code_challenge", "code"),
    // A website's name; and how it authenticates, not what with.
    ("client/Registered.client_name", "name"),
    ("client/Updated.client_name", "name"),
    ("client/Registered.token_endpoint_auth_method", "token"),
    ("client/Updated.token_endpoint_auth_method", "token"),
    ("client/Registered.id_token_signed_response_alg", "token"),
    ("client/Updated.id_token_signed_response_alg", "token"),
    (
        "client/Registered.access_token_signed_response_alg",
        "token",
    ),
    ("client/Updated.access_token_signed_response_alg", "token"),
    // The name of an admin key, as an administrator gave it: who acted must be told by it.
    ("administration/AdminKeyCreated.name", "name"),
    ("administration/AdminKeyRevoked.name", "name"),
    // And its id, which opens nothing.
    ("administration/AdminKeyCreated.admin_key_id", "key"),
    ("administration/AdminKeyRevoked.admin_key_id", "key"),
    // Keyed, under a key that is erased with the owner or after a day's retention.
    ("envelope.metadata.address_hash", "address"),
    ("envelope.metadata.address_hash", "hash"),
];

/// Fields that take free text.
const FREE_TEXT: &[&str] = &[
    // The agent's own word, bounded and printable.
    "auth_request/AgentAuthenticated.model",
    "agent/Registered.model",
    "agent/Updated.model",
    "agent/Registered.capabilities[]",
    "agent/Updated.capabilities[]",
    // Addresses of websites: what an administrator registered, to the letter.
    "auth_request/Created.redirect_uri",
    "client/Registered.redirect_uris[]",
    "client/Updated.redirect_uris[]",
    "client/Registered.client_uri",
    "client/Updated.client_uri",
    "client/Registered.client_name",
    "client/Updated.client_name",
    // Random names of tokens: a token is signed, and cannot be made from its `jti`.
    "auth_request/CodeRedeemed.jti",
    "auth_request/TokenRefreshed.jti",
    "auth_request/AccessTokenRevoked.jti",
    // Members of a public key.
    "signing_key/Generated.public_jwk.kid",
    "signing_key/Generated.public_jwk.alg",
    "signing_key/Generated.public_jwk.x",
    "signing_key/Generated.public_jwk.y",
    "signing_key/Generated.public_jwk.n",
    "signing_key/Generated.public_jwk.e",
    // Names of admin keys.
    "administration/AdminKeyCreated.name",
    "administration/AdminKeyRevoked.name",
    "envelope.metadata.actor.id",
];

/// Every field of every schema, with its path and its own schema; objects are looked into.
fn fields() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for kept in Kept::every() {
        let schema = kept.schema();
        look_into(
            &format!("{}/{}", kept.kind, kept.type_name),
            &schema,
            &mut found,
        );
    }
    let mut envelope = read_json(&folder().join("envelope.1.schema.json"));
    // What the payload may be is said by the other schemas.
    envelope["properties"]["payload"] = json!({ "const": {} });
    look_into("envelope", &envelope, &mut found);
    found
}

fn look_into(path: &str, schema: &Value, found: &mut Vec<(String, Value)>) {
    let kind = schema["type"].as_str();
    assert!(
        [
            "$ref",
            "$dynamicRef",
            "anyOf",
            "allOf",
            "patternProperties",
            "prefixItems",
            "if"
        ]
        .iter()
        .all(|keyword| schema.get(*keyword).is_none()),
        "{path} says in a way that is not looked into what it may hold"
    );
    if let Some(choices) = schema["oneOf"].as_array() {
        choices
            .iter()
            .for_each(|choice| look_into(path, choice, found));
    } else if kind == Some("object") {
        assert_eq!(
            schema["additionalProperties"], false,
            "{path} may hold anything"
        );
        for (name, field) in schema["properties"].as_object().unwrap() {
            let path = format!("{path}.{name}");
            found.push((path.clone(), field.clone()));
            look_into(&path, field, found);
        }
    } else if kind == Some("array") {
        let path = format!("{path}[]");
        found.push((path.clone(), schema["items"].clone()));
        look_into(&path, &schema["items"], found);
    } else {
        let plain = matches!(kind, Some("string" | "integer" | "boolean"));
        assert!(
            plain || schema.get("const").is_some(),
            "{path} may be of any type"
        );
    }
}

#[test]
fn no_field_is_named_as_what_never_enters_the_log() {
    let fields = fields();
    let mut excused = BTreeSet::new();
    for (path, _) in &fields {
        let name = path.rsplit('.').next().unwrap().trim_end_matches("[]");
        for word in name
            .split('_')
            .chain([name])
            .filter(|word| FORBIDDEN.contains(word))
        {
            assert!(
                HARMLESS.contains(&(path, word)),
                "{path} looks as if it held a {word}"
            );
            excused.insert((path.as_str(), word));
        }
    }
    assert_eq!(
        excused,
        HARMLESS.iter().copied().collect(),
        "an excuse is left over"
    );
}

#[test]
fn free_text_stands_only_where_it_is_known_to() {
    let free: BTreeSet<String> = fields()
        .into_iter()
        .filter(|(_, schema)| schema["type"] == "string")
        .filter(|(_, schema)| {
            ["enum", "const", "pattern"]
                .iter()
                .all(|bound| schema.get(*bound).is_none())
        })
        .map(|(path, _)| path)
        .collect();
    assert_eq!(
        free,
        FREE_TEXT.iter().map(|path| (*path).to_owned()).collect()
    );
}

#[test]
fn no_schema_of_a_key_takes_a_private_member() {
    // RFC 7518 §6.2.2, §6.3.2 and §6.4.1.
    let kept = Kept::every()
        .into_iter()
        .find(|kept| kept.kind == "signing_key")
        .unwrap();
    let validator = kept.validator();
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        let mut payload = kept.payload();
        assert!(validator.is_valid(&payload));
        payload["public_jwk"][member] = json!("AQAB");
        assert!(!validator.is_valid(&payload), "{member} is taken");
    }
}
