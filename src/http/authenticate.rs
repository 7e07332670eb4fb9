//! POST /api/agent/authenticate: an agent signs in to the website whose page is waiting.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::header;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    ApiError,
    app::App,
    extract::{Caller, MAX_AGENT_BODY_BYTES, RequestCookies, json_within},
    measures::{came_of, outcome},
};
use crate::{
    crypto::SecretKind,
    domain::{
        Actor, AgentId, Binding, RequestId,
        auth_request::{
            Authenticate, AuthenticateRefusal, AuthenticationMethod, Rejection, authenticate,
        },
        is_invisible,
    },
    oauth::ErrorCode,
    store::Situation,
    trace,
};

/// The call. Fields are checked by hand, so that the answer names the one at fault.
#[derive(Deserialize)]
struct Call {
    request_id: Option<String>,
    agent_id: Option<String>,
    agent_secret: Option<Zeroizing<String>>,
    model: Option<String>,
    expected_origin: Option<String>,
    expected_client_id: Option<String>,
}

/// Longest value of a field, in bytes, where nothing narrower applies.
pub(super) const MAX_FIELD_BYTES: usize = 2_048;
/// Longest `model`, in characters.
pub(super) const MAX_MODEL_CHARACTERS: usize = 128;

#[derive(Serialize)]
struct Done {
    success: bool,
    status: &'static str,
    request_id: RequestId,
    binding: Binding,
}

/// The handler. Its checks stand in the order of the contract; everything about the request itself
/// is told only to an agent that has proved who it is.
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let answer = signed_in(&app, &caller, request).await;
    let outcome = outcome(&answer, "authenticated");
    came_of(&app.measures.steps.authenticate, outcome);
    answer.map_err(ApiError::for_agent)
}

async fn signed_in(app: &App, caller: &Caller, request: Request) -> Result<Response, ApiError> {
    let cookies = app.cookies(request.headers());
    let call: Call = json_within(request, MAX_AGENT_BODY_BYTES).await?;
    let agent_id = required("agent_id", call.agent_id.as_deref())?;
    let request_id = required("request_id", call.request_id.as_deref())?;
    let secret = required(
        "agent_secret",
        call.agent_secret.as_deref().map(String::as_str),
    )?;
    let model = model(required("model", call.model.as_deref())?)?;
    let expected_origin = optional("expected_origin", call.expected_origin)?;
    let expected_client_id = optional("expected_client_id", call.expected_client_id)?;

    let refused = || {
        ApiError::new(
            ErrorCode::InvalidAgent,
            "the agent is not known or its secret is wrong",
        )
    };
    app.limits.admit_authentication(caller, agent_id)?;
    if !app.proves(SecretKind::Agent, agent_id, secret).await? {
        app.limits.authentication_failed(caller, agent_id);
        app.failures.count(agent_id);
        return Err(refused());
    }
    let agent_id: AgentId = agent_id.parse().map_err(|_| refused())?;
    app.limits.admit_call(&agent_id)?;
    // A text that is no id is no request; but a suspended agent is not told even that.
    let request: Option<RequestId> = request_id.parse().ok();
    request.as_ref().inspect(|request| trace::is_about(request));
    let request = request.unwrap_or_else(|| RequestId::from_uuid(uuid::Uuid::nil()));

    let bound = Bound::new(app, caller, cookies).await?;
    let address_hash = app.agent_address_hash(&agent_id, caller).await?;
    let metadata = caller.metadata(Actor::Agent(agent_id), Some(address_hash));
    let (outcome, _) = app
        .store
        .on_request(&request, Some(&agent_id), &metadata, |seen| {
            let command = Authenticate {
                agent_id,
                model: model.to_owned(),
                method: AuthenticationMethod::Secret,
                binding: bound.binding(app, &request, seen),
                expected_origin: expected_origin.clone(),
                expected_client_id: expected_client_id.clone(),
                now: seen.now,
            };
            let state = seen.request.as_ref().map(|request| &request.state);
            authenticate(state, &seen.standing, &command, &app.lifetimes)
        })
        .await?;
    match outcome {
        Ok(authenticated) => {
            tracing::info!(%request, agent = %agent_id, "an agent signed in");
            let body = Done {
                success: true,
                status: "authenticated",
                request_id: request,
                binding: authenticated.binding,
            };
            Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
        }
        Err(refusal) => Err(told(&refusal, caller.address_is_its_own)),
    }
}

fn required<'a>(name: &str, value: Option<&'a str>) -> Result<&'a str, ApiError> {
    match value {
        None | Some("") => Err(ApiError::invalid_request(format!("{name} is missing"))),
        Some(text) if text.len() > MAX_FIELD_BYTES => Err(ApiError::invalid_request(format!(
            "{name} is longer than {MAX_FIELD_BYTES} bytes"
        ))),
        Some(text) => Ok(text),
    }
}

fn optional(name: &str, value: Option<String>) -> Result<Option<String>, ApiError> {
    match value {
        Some(text) if text.is_empty() => Err(ApiError::invalid_request(format!(
            "{name} is empty: leave it out or name the website"
        ))),
        Some(text) => required(name, Some(&text)).map(|text| Some(text.to_owned())),
        None => Ok(None),
    }
}

fn model(text: &str) -> Result<&str, ApiError> {
    let printable = text.chars().all(|c| !c.is_control() && !is_invisible(c));
    if printable && (1..=MAX_MODEL_CHARACTERS).contains(&text.chars().count()) {
        Ok(text)
    } else {
        Err(ApiError::invalid_request(format!(
            "model must be 1 to {MAX_MODEL_CHARACTERS} printable characters"
        )))
    }
}

/// `knows_address`: whether the caller's own network address is known, so that calling from the right
/// one would help.
fn told(refusal: &AuthenticateRefusal, knows_address: bool) -> ApiError {
    use AuthenticateRefusal as Refusal;
    match refusal {
        Refusal::Suspended => ApiError::new(
            ErrorCode::AccessDenied,
            "this agent or its owner is suspended or revoked: ask the administrator",
        ),
        Refusal::UnknownRequest => ApiError::new(
            ErrorCode::UnknownRequest,
            "no such request: take the request id from the waiting page",
        ),
        Refusal::Expired => ApiError::new(
            ErrorCode::RequestExpired,
            "this request has expired: start the sign-in again at the website",
        ),
        Refusal::Closed => ApiError::new(
            ErrorCode::RequestClosed,
            "another agent has authenticated this request, or it was denied: start the sign-in \
             again at the website",
        ),
        Refusal::Policy { reason, required } => by_policy(*reason, *required, knows_address),
    }
}

fn by_policy(reason: Rejection, required: Binding, knows_address: bool) -> ApiError {
    match reason {
        Rejection::BrowserMismatch => ApiError::new(
            ErrorCode::BrowserMismatch,
            "this call carries cookies of other requests and not of this one: it comes from \
             another browser than the one that waits",
        ),
        Rejection::BindingRequired => ApiError::new(
            ErrorCode::BindingRequired,
            if required == Binding::Browser || !knows_address {
                "this sign-in must be bound to the waiting browser: send that browser's cookie for \
                 this request with the call"
            } else {
                "this sign-in must be bound to the waiting browser: send that browser's cookie for \
                 this request with the call, or call from the browser's network address"
            },
        ),
        Rejection::OriginMismatch => ApiError::new(
            ErrorCode::OriginMismatch,
            "this request is of another website than the one expected: do not sign in to it",
        ),
        Rejection::ClientNotAllowed => ApiError::new(
            ErrorCode::AccessDenied,
            "this agent may not sign in to this website: an administrator can allow it",
        ),
        Rejection::ScopeNotAllowed => ApiError::new(
            ErrorCode::AccessDenied,
            "this agent may not be granted the scope that the website asks for",
        ),
    }
}

/// What a call brings along to show that it comes from the waiting browser.
struct Bound {
    cookies: RequestCookies,
    /// The caller's address under the key of each day on which a living request may have begun; none
    /// when only a proxy's address is known.
    hashes: Vec<(String, String)>,
}

impl Bound {
    async fn new(app: &App, caller: &Caller, cookies: RequestCookies) -> Result<Self, ApiError> {
        if !caller.address_is_its_own {
            let hashes = Vec::new();
            return Ok(Self { cookies, hashes });
        }
        let now = app.store.now().await?;
        let mut scopes = vec![
            App::day_scope(now),
            App::day_scope(now - app.lifetimes.request),
        ];
        scopes.dedup();
        let mut hashes = Vec::with_capacity(scopes.len());
        for scope in scopes {
            let hash = app.address_hash(&scope, caller).await?;
            hashes.push((scope, hash));
        }
        Ok(Self { cookies, hashes })
    }

    /// `None` when the call carries other requests' cookies and not this one's.
    fn binding(&self, app: &App, request: &RequestId, seen: &Situation) -> Option<Binding> {
        let state = &seen.request.as_ref()?.state;
        if app.holds_cookie(&self.cookies, request, state) {
            return Some(Binding::Browser);
        }
        if !self.cookies.is_empty() {
            return None;
        }
        let same_network = seen.details.as_ref().is_some_and(|details| {
            self.hashes
                .iter()
                .any(|(scope, hash)| *scope == details.address_key && *hash == details.address_hash)
        });
        Some(if same_network {
            Binding::Address
        } else {
            Binding::None
        })
    }
}
