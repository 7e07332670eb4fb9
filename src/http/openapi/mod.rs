//! The description of the whole surface (OpenAPI 3.1), as JSON and as a page.
//!
//! A table for each family of endpoints says what its operations take and answer. Codes, statuses, bounds
//! and names of values come from the code that answers, so that they cannot drift from it; that nothing is
//! missing is shown by the tests, whose client holds every answer it gets against this document.

mod administered;
mod administration;
mod keys;
mod operation;
mod operators;
mod schema;
mod sign_in;
mod tokens;

use std::sync::{Arc, OnceLock};

use axum::{
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use maud::Markup;
use serde_json::{Map, Value, json};

use super::{app::App, page::html};
use crate::view;
use operation::refusal;

/// It changes with the program alone.
const CACHED: (HeaderName, HeaderValue) = (
    header::CACHE_CONTROL,
    HeaderValue::from_static("public, max-age=300"),
);

const IN_JSON: (HeaderName, HeaderValue) = (
    header::CONTENT_TYPE,
    HeaderValue::from_static(operation::JSON),
);

const WHAT: &str = "Sign in with Google, for AI agents: an OAuth 2.1 and OpenID Connect server whose users are autonomous agents.\n\n\
    Every answer bears an `X-Request-Id`, which stands in the server's logs. A refusal is JSON with `error` and `error_description`, \
    or a page where a person is looking. An unknown path is 404 `not_found`, a wrong method 405 `method_not_allowed` with `Allow`; \
    HEAD is answered wherever GET is. Request headers may be 32 KiB; more is 431. What no caller can cause is 500 `server_error`. \
    `/token`, `/userinfo`, `/revoke`, discovery and the sign-in button may be called from any origin (CORS), without credentials.";

/// The groups, in the order of the page.
const TAGS: [(&str, &str); 11] = [
    (
        sign_in::SIGN_IN,
        "What a browser calls, from the website's link to the way back.",
    ),
    (
        sign_in::AGENTS,
        "What an agent calls: look at a sign-in, and prove who it is.",
    ),
    (
        tokens::TOKENS,
        "What a website's backend calls: exchange, refresh, ask about and revoke tokens.",
    ),
    (
        operators::DISCOVERY,
        "What clients read to find their way: metadata, keys, this description.",
    ),
    (
        administration::CLIENTS,
        "The websites that agents sign in to.",
    ),
    (administration::AGENTS, "The agents, who sign in."),
    (administration::OWNERS, "The people behind the agents."),
    (administration::ADMIN_KEYS, "Who may administer."),
    (
        administration::KEYS,
        "The keys that tokens are signed with and derived from.",
    ),
    (
        administration::LOG,
        "Sign-ins that live, and all that ever happened.",
    ),
    (operators::OPERATION, "How the server is."),
];

fn schemas() -> Map<String, Value> {
    let families = [
        sign_in::schemas(),
        tokens::schemas(),
        operators::schemas(),
        administered::schemas(),
        keys::schemas(),
    ];
    let mut schemas: Map<String, Value> = families
        .into_iter()
        .flatten()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect();
    let general = ["not_found", "method_not_allowed", "server_error"];
    schemas.insert("GeneralRefusal".to_owned(), refusal(&general).done());
    schemas
}

/// Answers that any path may give, beside those of its operations.
fn general_answers() -> Value {
    let answer = |description: &str| {
        json!({
            "description": description,
            "content": { operation::JSON: { "schema": schema::named("GeneralRefusal") } },
        })
    };
    let mut wrong_method = answer("The path does not take this method: see `Allow`.");
    wrong_method["headers"] = json!({ "Allow": { "$ref": "#/components/headers/Allow" } });
    json!({
        "UnknownPath": answer("There is nothing at this path."),
        "WrongMethod": wrong_method,
        "ServerError": answer("Something went wrong in the server, not with the call."),
    })
}

fn headers() -> Value {
    let header = |description: &str, schema: Value| json!({ "description": description, "required": true, "schema": schema });
    let mut cookie = header(
        "The request's cookie: it binds the sign-in to this browser.",
        schema::text(),
    );
    // A reload that brings it along need not be given it again.
    cookie["required"] = json!(false);
    json!({
        "X-Request-Id": header("The call's id, the caller's own if it sent a harmless one.", schema::text()),
        "WWW-Authenticate": header("How to prove who calls.", schema::text()),
        "Retry-After": header("Seconds after which to try again.", schema::integer(1, 86_400)),
        "Location": header("Where the browser goes.", schema::text()),
        "Allow": header("The methods that the path takes.", schema::text()),
        "ETag": header("What tells this content from another.", schema::text()),
        "Set-Cookie": cookie,
    })
}

fn security_schemes(issuer: &str) -> Value {
    let cookie = if issuer.starts_with("https:") {
        "__Host-aa_{request_id}"
    } else {
        "aa_{request_id}"
    };
    json!({
        "adminKey": {
            "type": "http", "scheme": "bearer",
            "description": "An admin key. Its role decides what it opens.",
        },
        "client_secret_basic": {
            "type": "http", "scheme": "basic",
            "description": "A client's id and secret, both form-encoded (RFC 6749 section 2.3.1). The other ways, `client_secret_post` and `none`, are parameters of the body.",
        },
        "accessToken": {
            "type": "openIdConnect", "openIdConnectUrl": format!("{issuer}/.well-known/openid-configuration"),
            "description": "An access token with the scope `openid`, as `Authorization: Bearer`.",
        },
        "requestCookie": {
            "type": "apiKey", "in": "cookie", "name": cookie,
            "description": "The cookie that /authorize gave the browser, one for each sign-in, named after its request id.",
        },
    })
}

/// The description of a server by its issuer.
#[must_use]
pub fn openapi(issuer: &str) -> Value {
    let families = [
        sign_in::operations(),
        tokens::operations(),
        operators::operations(),
        administration::operations(),
    ];
    let mut paths = Map::new();
    for operation in families.into_iter().flatten() {
        let method = operation.method;
        let path = paths
            .entry(operation.path.clone())
            .or_insert_with(|| json!({}));
        path[method] = operation.done();
    }
    // Under an issuer with a path RFC 8414 section 3.1 puts the well-known part first.
    let origin_ends = issuer.find("://").map_or(0, |at| at + 3);
    if let Some(at) = issuer[origin_ends..].find('/') {
        let (origin, below) = issuer.split_at(origin_ends + at);
        let path = format!("/.well-known/oauth-authorization-server{below}");
        let document = operators::document(&path, "authorizationServerMetadataOfPath");
        paths.insert(
            path,
            json!({ "servers": [{ "url": origin }], "get": document.done() }),
        );
    }
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Auth Agent",
            "version": env!("CARGO_PKG_VERSION"),
            "description": WHAT,
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": issuer }],
        "tags": TAGS.map(|(name, description)| json!({ "name": name, "description": description })),
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "responses": general_answers(),
            "headers": headers(),
            "securitySchemes": security_schemes(issuer),
        },
    })
}

/// The description as it is served, made once.
#[derive(Default)]
pub(crate) struct Described {
    document: OnceLock<Bytes>,
    page: OnceLock<Markup>,
}

impl Described {
    fn document(&self, issuer: &str) -> Bytes {
        let made = || openapi(issuer).to_string().into();
        self.document.get_or_init(made).clone()
    }

    fn page(&self, issuer: &str, base_path: &str) -> &Markup {
        let made = || view::openapi_page(base_path, &openapi(issuer));
        self.page.get_or_init(made)
    }
}

/// GET /openapi.json.
pub(crate) async fn document(State(app): State<Arc<App>>) -> Response {
    let document = app.described.document(&app.issuer);
    ([CACHED, IN_JSON], document).into_response()
}

/// GET /openapi.
pub(crate) async fn page(State(app): State<Arc<App>>) -> Response {
    let page = app.described.page(&app.issuer, &app.base_path);
    html(StatusCode::OK, page, None)
}
