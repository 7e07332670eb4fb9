//! Discovery, and what tells how the server is.

use prometheus_client::encoding::prometheus_text;
use serde_json::{Map, Value, json};

use super::{
    operation::{HTML, JSON, Operation, get},
    schema::{exactly, flag, list, moment, named, object, seconds, text, uri},
};
use crate::oauth::{Endpoints, ErrorCode as Code, metadata};

pub(super) const DISCOVERY: &str = "Discovery";
pub(super) const OPERATION: &str = "Operation";

const EXAMPLE: Endpoints<'_> = Endpoints {
    issuer: "https://auth.example",
};
const ALGORITHMS: [&str; 3] = ["EdDSA", "ES256", "RS256"];

/// The metadata document at one of its addresses.
pub(super) fn document(path: &str, id: &'static str) -> Operation {
    get(path, id, "What this server offers")
        .tagged(DISCOVERY)
        .says("RFC 8414 and OpenID Connect Discovery: one document at both addresses. It may be kept for five minutes.")
        .answers_json(200, named("Metadata"), "The document.", metadata(&EXAMPLE, &ALGORITHMS))
}

pub(super) fn operations() -> Vec<Operation> {
    let started_at = "2026-01-31T12:00:00Z";
    vec![
        get("/", "front", "What this server is")
            .tagged(DISCOVERY)
            .says("For whoever opens its address in a browser.")
            .answers_with(200, HTML, text(), "A page."),
        document("/.well-known/openid-configuration", "openidConfiguration"),
        document("/.well-known/oauth-authorization-server", "authorizationServerMetadata"),
        get("/.well-known/jwks.json", "keySet", "The keys that verify tokens")
            .tagged(DISCOVERY)
            .says("Every key that may still verify a live token (RFC 7517 section 5). It may be kept for five minutes; a new key is published before it signs.")
            .answers_json(200, named("KeySet"), "The keys.", json!({ "keys": [
                { "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "alg": "EdDSA", "use": "sig" },
            ] })),
        get("/openapi.json", "openapiDocument", "This description")
            .tagged(DISCOVERY)
            .answers_with(200, JSON, json!({ "type": "object" }), "An OpenAPI 3.1 document."),
        get("/openapi", "openapiPage", "This description, to be read")
            .tagged(DISCOVERY)
            .answers_with(200, HTML, text(), "A page."),
        get("/api/health", "health", "Whether the process serves")
            .tagged(OPERATION)
            .answers_json(200, named("Health"), "It does.", json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION"), "started_at": started_at })),
        get("/api/ready", "ready", "Whether the database can commit")
            .tagged(OPERATION)
            .answers_json(200, object().must("status", exactly("ready"), "").done(), "It can.", json!({ "status": "ready" }))
            .refuses(Code::TemporarilyUnavailable, "the database cannot commit right now"),
        get("/metrics", "metrics", "Figures for Prometheus")
            .tagged(OPERATION)
            .says("With an admin key of any role. Where administration has an address of its own they are there, and need no key.")
            .secured("adminKey")
            .answers_with(200, prometheus_text::CONTENT_TYPE, text(), "The figures, in the text format.")
            .refuses(Code::Unauthorized, "there is no living admin key in the Authorization header")
            .refuses(Code::ServerError, "the figures could not be written")
            .asks_the_store(),
        get("/api/stats", "statistics", "How many there are")
            .tagged(OPERATION)
            .answers_json(200, named("Statistics"), "The counts.", json!({ "total_agents": 12, "total_clients": 3, "total_sign_ins": 4711 }))
            .asks_the_store(),
    ]
}

/// Of the same kinds as those of the document itself, whatever this server's are.
fn metadata_schema() -> Value {
    let document = metadata(&EXAMPLE, &ALGORITHMS);
    let mut properties = Map::new();
    for (name, value) in document.as_object().into_iter().flatten() {
        let schema = match value {
            Value::Bool(_) => flag(),
            Value::Array(_) => list(text()),
            Value::String(_)
                if name == "issuer" || name.ends_with("_endpoint") || name == "jwks_uri" =>
            {
                uri()
            }
            _ => text(),
        };
        properties.insert(name.clone(), schema);
    }
    let required: Vec<&String> = properties.keys().collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let key = object()
        .must("kid", text(), "The key's thumbprint (RFC 7638).")
        .must("alg", super::administered::algorithms(), "")
        .must("use", exactly("sig"), "")
        .must("kty", super::schema::one_of(["OKP", "EC", "RSA"]), "")
        .may("crv", text(), "Of OKP and EC: the curve.")
        .may("x", text(), "Of OKP and EC.")
        .may("y", text(), "Of EC.")
        .may("n", text(), "Of RSA: the modulus.")
        .may("e", text(), "Of RSA: the exponent.");
    let health = object()
        .must("status", exactly("ok"), "")
        .must("version", text(), "Of the program.")
        .must("started_at", moment(), "When the process began to serve.");
    let statistics = object()
        .must("total_agents", seconds(), "Agents that are registered.")
        .must("total_clients", seconds(), "Websites that are registered.")
        .must("total_sign_ins", seconds(), "Sign-ins that were completed.");
    vec![
        ("Metadata", metadata_schema()),
        ("KeySet", object().must("keys", list(key.done()), "").done()),
        ("Health", health.done()),
        ("Statistics", statistics.done()),
    ]
}
