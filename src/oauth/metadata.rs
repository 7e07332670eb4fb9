//! The metadata document (RFC 8414 §2, OpenID Connect Discovery §3): only what is true of this
//! server.

use serde_json::{Value, json};

/// Scopes with a meaning of their own; a client may be registered for others besides.
pub const SCOPES_SUPPORTED: &[&str] = &["openid", "profile", "email", "offline_access"];

/// Absolute addresses of the endpoints.
#[derive(Debug, Clone)]
pub struct Endpoints<'a> {
    /// The issuer, to which each path is added.
    pub issuer: &'a str,
}

/// The document, with exactly the signing algorithms that have a key.
#[must_use]
pub fn metadata(endpoints: &Endpoints<'_>, algorithms: &[&str]) -> Value {
    let issuer = endpoints.issuer;
    let at = |path: &str| format!("{issuer}{path}");
    let client_authentication = ["client_secret_basic", "client_secret_post", "none"];
    json!({
        "issuer": issuer,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "introspection_endpoint": at("/introspect"),
        "revocation_endpoint": at("/revoke"),
        "userinfo_endpoint": at("/userinfo"),
        "jwks_uri": at("/.well-known/jwks.json"),
        "scopes_supported": SCOPES_SUPPORTED,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
        "token_endpoint_auth_methods_supported": client_authentication,
        "revocation_endpoint_auth_methods_supported": client_authentication,
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "prompt_values_supported": ["login", "consent", "select_account"],
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "amr", "sid", "act",
            "agent_id", "model", "binding", "name", "email", "email_verified",
        ],
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "agent_authentication_endpoint": at("/api/agent/authenticate"),
        "agent_authentication_methods_supported": ["agent_secret"],
    })
}
