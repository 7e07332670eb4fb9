//! What websites call: tokens, what can be asked about them, and their end.

use serde_json::{Value, json};

use super::{
    operation::{Operation, get, post},
    schema::{
        Object, exactly, flag, id, list, named, object, one_of, scope, seconds, text, text_like,
        uri,
    },
    sign_in::{PKCE, bindings},
};
use crate::{
    domain::{AgentId, ClientId, GrantType, RequestId},
    oauth::ErrorCode as Code,
};

pub(super) const TOKENS: &str = "Tokens";

const SECRET_IN_BODY: &str =
    "For `client_secret_post`; public clients (`none`) send `client_id` alone.";

fn credentials() -> Object {
    object()
        .may(
            "client_id",
            text(),
            "Who calls, unless the Authorization header says so.",
        )
        .may("client_secret", text(), SECRET_IN_BODY)
}

/// What a client that proves who it is can be told.
fn by_a_client(operation: Operation, schema: &Value, example: &Value) -> Operation {
    operation
        .tagged(TOKENS)
        .secured("client_secret_basic")
        .or_otherwise()
        .takes_parameters(schema, true, example)
        .refuses(Code::InvalidRequest, "a parameter is missing or repeated, or two ways of authentication are used")
        .refuses(Code::InvalidClient, "the client is not known, its authentication failed, or it is registered for another way")
        .refuses(Code::SlowDown, "too many authentications of this client failed, or too many secrets are being verified")
        .asks_the_store()
}

fn token_parameters(what: &'static str) -> Object {
    object()
        .must("token", text(), what)
        .may("token_type_hint", text(), "Taken, and of no effect.")
        .with(credentials())
}

fn userinfo(operation: Operation) -> Operation {
    operation
        .tagged(TOKENS)
        .secured("accessToken")
        .says("The claims about whom the token is of (OpenID Connect Core section 5.3).")
        .answers_json(200, named("UserInfo"), "The claims.", json!({
            "sub": "agent_6f1c2d3e4b5a69788796a5b4c3d2e1f0", "agent_id": "agent_6f1c2d3e4b5a69788796a5b4c3d2e1f0",
            "model": "claude-opus-4", "binding": "browser", "name": "Ada Lovelace",
        }))
        .refuses(Code::InvalidRequest, "the token was sent in two ways, or twice")
        .refuses(Code::InvalidToken, "the token is missing, has expired, was revoked, or is not ours")
        .refuses(Code::InsufficientScope, "the token was not granted the scope `openid`")
        .asks_the_store()
}

pub(super) fn operations() -> Vec<Operation> {
    let asked = object()
        .must(
            "grant_type",
            one_of([GrantType::AuthorizationCode, GrantType::RefreshToken]),
            "",
        )
        .may(
            "code",
            text(),
            "With `authorization_code`: from the callback. It lives for a minute and works once.",
        )
        .may(
            "code_verifier",
            text_like(PKCE),
            "With `authorization_code` (RFC 7636 section 4.5).",
        )
        .may(
            "redirect_uri",
            uri(),
            "With `authorization_code`: if sent, the one that was asked with.",
        )
        .may(
            "refresh_token",
            text(),
            "With `refresh_token`: the newest one; each use rotates it.",
        )
        .may(
            "scope",
            scope(),
            "With `refresh_token`: narrows the access token, not the grant.",
        )
        .may(
            "resource",
            text(),
            "No resource server is registered: any value is `invalid_target`.",
        )
        .with(credentials())
        .done();
    let redeem = json!({
        "grant_type": "authorization_code", "code": "ac_...",
        "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    });
    let token = json!({ "token": "rt_..." });
    let form = object()
        .may(
            "access_token",
            text(),
            "Unless it is in the Authorization header (RFC 6750 section 2.2).",
        )
        .done();
    vec![
        by_a_client(post("/token", "token", "Exchange a code, or refresh"), &asked, &redeem)
            .says("RFC 6749 section 3.2. A used refresh token that is presented again within 10 s gets the same answer again; later it is theft, and the whole grant is revoked. So it is when a code is used twice.")
            .answers_json(200, named("Tokens"), "The tokens.", json!({
                "access_token": "eyJ...", "token_type": "Bearer", "expires_in": 600,
                "refresh_token": "rt_...", "scope": "openid profile", "id_token": "eyJ...",
            }))
            .refuses(Code::InvalidGrant, "code or refresh token is not valid, has expired, was used before, or is another client's")
            .refuses(Code::UnauthorizedClient, "the client is not registered for that grant type")
            .refuses(Code::UnsupportedGrantType, "there is no such grant type")
            .refuses(Code::InvalidScope, "the scope is malformed, or wider than what was granted")
            .refuses(Code::InvalidTarget, "a resource is asked for"),
        by_a_client(post("/introspect", "introspect", "Ask whether a token lives"), &token_parameters("An access or refresh token.").done(), &token)
            .says("RFC 7662, for clients that have a secret. A client sees tokens issued to it, or whose audience it is; every other one is inactive to it.")
            .answers_json(200, named("Introspection"), "What is known of the token; of an inactive one nothing else.", json!({ "active": false })),
        by_a_client(post("/revoke", "revoke", "Revoke a token"), &token_parameters("An access token ends alone, a refresh token with its grant.").done(), &token)
            .says("RFC 7009. A token that is not the caller's, or none at all, is answered alike. From the answer on no node calls the token active.")
            .answers(200, "It is not, or no longer, valid."),
        userinfo(get("/userinfo", "userinfo", "Claims about a token's subject")),
        userinfo(post("/userinfo", "userinfoByForm", "Claims, with the token in a form"))
            .or_otherwise()
            .takes_parameters(&form, false, &json!({ "access_token": "eyJ..." })),
    ]
}

fn claims() -> Object {
    object()
        .must(
            "sub",
            text(),
            "The agent's id, or its owner's for clients that ask for that.",
        )
        .must("agent_id", id(AgentId::PREFIX), "Who signed in.")
        .must("model", text(), "The model that it said it is.")
        .must(
            "binding",
            bindings(),
            "How the server knows that it drove the waiting browser.",
        )
        .may(
            "act",
            object().must("sub", id(AgentId::PREFIX), "").done(),
            "The agent as the actor, when `sub` is its owner (RFC 8693 section 4.1).",
        )
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let tokens = object()
        .must("access_token", text(), "A JWT (RFC 9068).")
        .must("token_type", exactly("Bearer"), "")
        .must(
            "expires_in",
            seconds(),
            "Seconds for which the access token lives.",
        )
        .must("scope", scope(), "What the access token is good for.")
        .may("refresh_token", text(), "For clients that may refresh.")
        .may(
            "id_token",
            text(),
            "With the scope `openid`: a JWT (OpenID Connect Core section 2).",
        );
    let audience = json!({ "type": ["string", "array"], "items": { "type": "string" } });
    let introspection = claims()
        .with(
            object()
                .must("iss", uri(), "This server.")
                .must("client_id", id(ClientId::PREFIX), "To whom it was issued.")
                .must("scope", scope(), "What it is good for.")
                .must(
                    "sid",
                    id(RequestId::PREFIX),
                    "The sign-in that it comes from.",
                )
                .must(
                    "iat",
                    seconds(),
                    "When it was issued, in seconds since the epoch.",
                )
                .must("exp", seconds(), "When it ends.")
                .must("auth_time", seconds(), "When the agent authenticated.")
                .must("amr", list(text()), "How it did (RFC 8176).")
                .may("aud", audience, "Of an access token: who may take it.")
                .may("jti", text(), "Of an access token: its own id.")
                .may("token_type", exactly("Bearer"), "Of an access token."),
        )
        .partly()
        .must("active", flag(), "Whether it lives.");
    let person = object()
        .may("name", text(), "The owner's, with the scope `profile`.")
        .may("email", text(), "The owner's, with the scope `email`.")
        .may(
            "email_verified",
            flag(),
            "Whether the address has been shown to be theirs.",
        );
    vec![
        ("Tokens", tokens.done()),
        ("Introspection", introspection.done()),
        ("UserInfo", claims().with(person).done()),
    ]
}
