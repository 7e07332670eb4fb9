//! What browsers and agents call, from the waiting page to the code.

use serde_json::{Value, json};

use super::{
    operation::{EVENTS, FORM, HTML, JSON, Operation, get, post},
    schema::{
        Object, exactly, id, moment, named, object, one_of, or_null, scope, text, text_like,
        text_of, uri,
    },
};
use crate::{
    domain::{Binding, ClientId, RequestId, auth_request::Status},
    http::authenticate::{MAX_FIELD_BYTES, MAX_MODEL_CHARACTERS},
    oauth::{ErrorCode as Code, MAX_NONCE_BYTES, MAX_STATE_BYTES},
};

pub(super) const SIGN_IN: &str = "Sign-in";
pub(super) const AGENTS: &str = "Agents";

/// RFC 7636 §4.1, §4.2.
pub(super) const PKCE: &str = "^[A-Za-z0-9._~-]{43,128}$";
const REQUEST: &str = "req_0190a0c4d2f17c3e9a5b6c7d8e9f0a1b";
const AGENT: &str = "agent_6f1c2d3e4b5a69788796a5b4c3d2e1f0";
const CLIENT: &str = "client_0f1e2d3c4b5a69788796a5b4c3d2e1f0";

pub(super) fn bindings() -> Value {
    one_of([Binding::None, Binding::Address, Binding::Browser])
}

fn statuses() -> Value {
    one_of([
        Status::Pending,
        Status::Authenticated,
        Status::Completed,
        Status::Expired,
        Status::Denied,
    ])
}

fn authorization_request() -> Object {
    object()
        .must("response_type", exactly("code"), "")
        .must("client_id", id(ClientId::PREFIX), "")
        .must("redirect_uri", uri(), "One that is registered, letter by letter; the port of a public client's loopback address is free (RFC 8252 section 7.3).")
        .may("scope", scope(), "Absent: all that the client is registered for.")
        .may("state", text_of(0, MAX_STATE_BYTES), "Comes back unchanged; counted in bytes.")
        .must("code_challenge", text_like(PKCE), "PKCE (RFC 7636).")
        .must("code_challenge_method", exactly("S256"), "")
        .may("nonce", text_of(0, MAX_NONCE_BYTES), "For the ID token; counted in bytes.")
        .may("response_mode", exactly("query"), "")
        .may("prompt", text(), "`none` is answered with `login_required`: every sign-in needs the agent.")
        .may("max_age", text_like("^[0-9]+$"), "Any is met: every sign-in authenticates anew.")
        .may("login_hint", text(), "Taken, and of no effect.")
        .may("resource", text(), "No resource server is registered: any value is `invalid_target` (RFC 8707).")
}

/// Both ways of beginning a sign-in.
fn begins(mut operation: Operation) -> Operation {
    operation = operation
        .tagged(SIGN_IN)
        .on_a_page()
        .answers(303, "To the redirect URI with `error`, `error_description`, `state` and `iss`, for a fault that the website is told: `invalid_request`, `unsupported_response_type`, `invalid_scope`, `invalid_target`, `login_required`, `request_not_supported` or `request_uri_not_supported`.")
        .bearing(303, "Location")
        .refuses(Code::InvalidRequest, "client or redirect URI is missing, repeated or not registered, so nobody may be redirected")
        .refuses_as(http::StatusCode::TOO_MANY_REQUESTS, Code::TemporarilyUnavailable, "too many sign-ins are begun from this address or for this client, or too many wait for it")
        .asks_the_store();
    operation
}

fn with_parameters(mut operation: Operation) -> Operation {
    let schema = authorization_request().done();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let mut schema = schema.clone();
        let description = schema["description"].as_str().unwrap_or(match &**name {
            "response_type" => "RFC 6749 section 4.1.1.",
            "client_id" => "The website.",
            _ => "The one value that is taken.",
        });
        let description = description.to_owned();
        if let Some(members) = schema.as_object_mut() {
            members.remove("description");
        }
        operation = if required.contains(&json!(name)) {
            operation.query_with(name, schema, &description)
        } else {
            operation.query(name, schema, &description)
        };
    }
    operation
}

fn request_id() -> Value {
    id(RequestId::PREFIX)
}

pub(super) fn operations() -> Vec<Operation> {
    let form = authorization_request().done();
    let asked = json!({
        "response_type": "code", "client_id": CLIENT, "redirect_uri": "https://profilio.example/callback",
        "scope": "openid profile", "state": "af0ifjsldkj", "code_challenge_method": "S256",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    });
    let authenticated = json!({
        "success": true, "status": "authenticated", "request_id": REQUEST, "binding": "browser",
    });
    vec![
        with_parameters(begins(get("/authorize", "authorize", "Begin a sign-in")))
            .says("A website sends its visitor's browser here (RFC 6749 section 4.1.1). A reload by the same browser finds the same sign-in. HEAD and prefetches create nothing. Unknown parameters are ignored.")
            .answers_with(200, HTML, text(), "The waiting page. It tells the agent all it needs, and goes back to the website by itself.")
            .bearing(200, "Set-Cookie")
            .answers(303, "Or to `/authorize/{request_id}`, once an agent has signed in."),
        begins(post("/authorize", "authorizeByForm", "Begin a sign-in with a form"))
            .takes(&[FORM], &form, true, &asked)
            .says("The same with the parameters in a form (OpenID Connect Core section 3.1.2.1).")
            .answers(303, "Otherwise to `/authorize/{request_id}`, the page's own address."),
        get("/authorize/{request_id}", "showSignIn", "Show a waiting page again")
            .tagged(SIGN_IN)
            .says("For the browser that opened it and no other. A finished sign-in says how it ended.")
            .secured("requestCookie")
            .path("request_id", request_id(), "The sign-in.")
            .on_a_page()
            .answers_with(200, HTML, text(), "The waiting page, or how the sign-in ended.")
            .answers(303, "To the website with a code: an agent has signed in.")
            .bearing(303, "Location")
            .refuses(Code::Forbidden, "another browser opened this page")
            .refuses(Code::UnknownRequest, "no such request, or the way back is not known any more")
            .asks_the_store(),
        get("/api/requests/{request_id}", "lookAtRequest", "Look at a sign-in")
            .tagged(AGENTS)
            .says("What the waiting page tells agents, and how far the sign-in is: for an agent that wants to look before it authenticates. It holds nothing secret.")
            .path("request_id", request_id(), "The sign-in.")
            .answers_json(200, named("SignInRequest"), "The sign-in.", json!({
                "request_id": REQUEST, "client_id": CLIENT, "client_name": "Profilio",
                "redirect_origin": "https://profilio.example", "scope": "openid profile",
                "expires_at": "2026-01-31T12:10:00Z", "issuer": "https://auth.example",
                "authenticate_endpoint": "https://auth.example/api/agent/authenticate", "status": "pending",
            }))
            .refuses(Code::UnknownRequest, "no such request")
            .asks_the_store(),
        get("/api/requests/{request_id}/events", "followRequest", "Follow a sign-in")
            .tagged(SIGN_IN)
            .says("Server-sent events for the waiting page: first the current state, then one `status` event for each change. `data` is a `SignInStatus` without `code`, `state` and `redirect_uri`; `id` is for `Last-Event-ID`. A comment line comes every 15 s. The stream ends after `authenticated` and after a final state.")
            .secured("requestCookie")
            .path("request_id", request_id(), "The sign-in.")
            .header("Last-Event-ID", text(), "The last event that was seen.")
            .answers_with(200, EVENTS, text(), "The stream.")
            .answers(204, "`Last-Event-ID` has seen how it ended: there is nothing more to wait for.")
            .refuses(Code::Forbidden, "another browser opened this request")
            .refuses(Code::UnknownRequest, "no such request")
            .refuses(Code::TemporarilyUnavailable, "the browser, or the server, has too many streams open")
            .asks_the_store(),
        get("/api/check-status", "checkStatus", "Ask how far a sign-in is")
            .tagged(SIGN_IN)
            .says("The stream's answer by polling, any number of times. Without the request's cookie it is the status alone.")
            .secured("requestCookie")
            .or_otherwise()
            .query_with("request_id", request_id(), "The sign-in.")
            .answers_json(200, named("SignInStatus"), "How far it is.", json!({ "status": "pending" }))
            .refuses(Code::InvalidRequest, "`request_id` is missing or repeated")
            .refuses(Code::UnknownRequest, "no such request")
            .asks_the_store(),
        get("/static/{name}", "file", "A file that pages load")
            .tagged(SIGN_IN)
            .says("The name carries a hash of the content, so the answer may be kept for ever.")
            .path("name", text(), "As a page names it.")
            .answers_with(200, "text/javascript; charset=utf-8", text(), "The file.")
            .answers_with(200, "text/css; charset=utf-8", text(), "The file.")
            .answers_with(200, "image/svg+xml", text(), "The file.")
            .refuses(Code::NotFound, "no such file"),
        get("/widget/signin-button.js", "signInButton", "The sign-in button")
            .tagged(SIGN_IN)
            .says("A script that defines the element `<auth-agent-signin>`, for websites of any origin: as a module or as a classic script. It may be kept for an hour; asked for with its version it may be kept for ever, and a website may pin it by its hash (Subresource Integrity).")
            .query("v", text(), "The version that is wanted: the ETag without its quotes. Another version gets what there is, not to be kept.")
            .header("If-None-Match", text(), "What the caller has already.")
            .answers_with(200, "text/javascript; charset=utf-8", text(), "The script.")
            .bearing(200, "ETag")
            .answers(304, "The caller has it already.")
            .bearing(304, "ETag"),
        post("/api/agent/authenticate", "authenticate", "Sign in")
            .tagged(AGENTS)
            .says("An agent proves who it is, and so signs in to the website whose page is waiting. The checks are made in the order in which the contract lists them; what concerns the request is told only to an agent that has proved who it is. Repeating the call gives the same answer.")
            .secured("requestCookie")
            .or_otherwise()
            .answering_an_agent()
            .takes(&[JSON], &named("Authentication"), true, &json!({
                "request_id": REQUEST, "agent_id": AGENT, "agent_secret": "as_...", "model": "claude-opus-4",
                "expected_origin": "https://profilio.example",
            }))
            .answers_json(200, named("Authenticated"), "Done: the page goes back to the website with a code.", authenticated)
            .refuses(Code::SlowDown, "a limit is reached, or too many secrets are being verified")
            .refuses(Code::InvalidAgent, "the agent is not known, or its secret is wrong")
            .refuses(Code::AccessDenied, "the agent or its owner is suspended or revoked, or it may not sign in to this website or with this scope")
            .refuses(Code::UnknownRequest, "no such request")
            .refuses(Code::RequestExpired, "the request is older than its lifetime")
            .refuses(Code::RequestClosed, "another agent has authenticated it, or it was denied")
            .refuses(Code::BrowserMismatch, "the call carries cookies of other requests and not of this one")
            .refuses(Code::BindingRequired, "the call is not bound to the waiting browser as closely as the client or the agent requires")
            .refuses(Code::OriginMismatch, "the request is another website's than the one expected")
            .asks_the_store(),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let request = object()
        .must("request_id", request_id(), "")
        .must("client_id", id(ClientId::PREFIX), "The website.")
        .must("client_name", or_null(text()), "The website's own word for itself; null when it is known no more.")
        .must("redirect_origin", text(), "Scheme, host and port of the redirect URI (no port for loopback); the bare scheme for a private-use one.")
        .must("scope", scope(), "What the website asks for.")
        .must("expires_at", moment(), "Until when an agent may sign in.")
        .must("issuer", uri(), "This server.")
        .must("authenticate_endpoint", uri(), "Where to sign in.")
        .must("status", statuses(), "How far it is.");
    let status = object()
        .must("status", statuses(), "How far it is.")
        .may(
            "redirect_to",
            uri(),
            "Where the browser goes now, when it may: with a code, or with `error=access_denied`.",
        )
        .may(
            "code",
            or_null(text()),
            "The code, once an agent has signed in.",
        )
        .may("state", or_null(text()), "As the website sent it.")
        .may("redirect_uri", text(), "As the website sent it.");
    let authentication = object()
        .must(
            "request_id",
            text_of(1, MAX_FIELD_BYTES),
            "From the waiting page.",
        )
        .must("agent_id", text_of(1, MAX_FIELD_BYTES), "Who signs in.")
        .must("agent_secret", text_of(1, MAX_FIELD_BYTES), "Its secret.")
        .must(
            "model",
            text_of(1, MAX_MODEL_CHARACTERS),
            "The model that it runs on, in printable characters: its own word, recorded as such.",
        )
        .may(
            "expected_origin",
            or_null(text_of(1, MAX_FIELD_BYTES)),
            "The website that it means to sign in to, as an origin.",
        )
        .may(
            "expected_client_id",
            or_null(text_of(1, MAX_FIELD_BYTES)),
            "The same as a client id.",
        );
    let authenticated = object()
        .must("success", exactly(true), "")
        .must("status", exactly("authenticated"), "")
        .must("request_id", request_id(), "")
        .must(
            "binding",
            bindings(),
            "How the server knows that the agent drives the waiting browser.",
        );
    vec![
        ("SignInRequest", request.done()),
        ("SignInStatus", status.done()),
        ("Authentication", authentication.done()),
        ("Authenticated", authenticated.done()),
    ]
}
