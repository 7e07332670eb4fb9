//! What can be asked about a token, and ending one: introspection (RFC 7662), revocation
//! (RFC 7009), UserInfo (OpenID Connect Core §5.3).

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    ApiError,
    app::App,
    client_auth,
    extract::{Caller, Form},
    issue::{PersonClaims, Subject},
    measures::{came_of, outcome},
};
use crate::{
    crypto::{ArtefactKind, Presented, Verified},
    domain::{
        Actor, ClientId, Decision, EventId, RequestFact, RequestId, Scope, Versioned,
        auth_request::{AuthRequest, NeedsHistory, revoke_access_token, revoke_refresh_token},
    },
    oauth::{ErrorCode, Parameters},
    store::Situation,
    trace,
};

fn no_store(body: Value) -> Response {
    (
        [
            (header::CACHE_CONTROL, "no-store"),
            (header::PRAGMA, "no-cache"),
        ],
        Json(body),
    )
        .into_response()
}

/// A token of ours, as presented; that it lives is not said.
enum Token {
    Access(Box<Verified>),
    Refresh(Presented),
}

impl Token {
    /// `None` when it is none of ours.
    async fn read(app: &App, text: &str) -> Result<Option<Self>, ApiError> {
        if let Some(verified) = app.keys.verified(text).await? {
            return Ok(Some(Self::Access(Box::new(verified))));
        }
        let presented = app.keys.presented(ArtefactKind::RefreshToken, text).await?;
        Ok(presented.map(Self::Refresh))
    }

    /// The request, unless what was presented is by a key that has ended.
    fn request_in<'a>(&self, seen: &'a Situation) -> Option<&'a Versioned<AuthRequest>> {
        match self {
            Self::Access(verified) if !seen.signing_keys.contains(&verified.kid) => None,
            Self::Access(_) => seen.request.as_ref(),
            Self::Refresh(presented) => seen.request_under(&presented.key_id),
        }
    }

    const fn request(&self) -> &RequestId {
        match self {
            Self::Access(verified) => &verified.claims.sid,
            Self::Refresh(presented) => &presented.request_id,
        }
    }
}

/// Whether an access token lives: not run out, not revoked, its key and its sign-in not ended or cut
/// off. The keys are those of the database, which know of a compromise before this node may.
fn lives(Verified { claims, kid }: &Verified, seen: &Situation) -> bool {
    claims.exp > seen.now.as_second()
        && seen.signing_keys.contains(kid)
        && seen.request.as_ref().is_some_and(|request| {
            request
                .state
                .active(&seen.standing)
                .is_some_and(|activity| activity.allows_access_token(&claims.jti))
        })
}

/// POST /introspect. A client sees tokens issued to it, or whose audience it is; every other token
/// is inactive to it, and inactive says nothing else.
pub(crate) async fn introspect(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    Form(parameters): Form,
) -> Result<Response, ApiError> {
    let answer = introspected(&app, &caller, &headers, &parameters).await;
    let outcome = match &answer {
        Ok(Some(_)) => "active",
        Ok(None) => "inactive",
        Err(error) => error.error.code.as_str(),
    };
    came_of(&app.measures.steps.introspect, outcome);
    let active = answer?;
    Ok(no_store(
        active.unwrap_or_else(|| json!({ "active": false })),
    ))
}

async fn introspected(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<Option<Value>, ApiError> {
    let by = client_auth::authenticate(app, caller, headers, parameters).await?;
    if by.client.is_public() {
        return Err(ApiError::new(
            ErrorCode::InvalidClient,
            "introspection needs a client that has a secret",
        ));
    }
    let text = required_token(parameters)?;
    Ok(match Token::read(app, text).await? {
        Some(token) => {
            let seen = app.store.situation(token.request(), None).await?;
            described(app, &token, &seen, &by.id)
        }
        None => None,
    })
}

fn required_token(parameters: &Parameters) -> Result<&str, ApiError> {
    parameters.one("token_type_hint")?;
    parameters
        .one("token")?
        .ok_or_else(|| ApiError::invalid_request("token is missing"))
}

fn described(app: &App, token: &Token, seen: &Situation, by: &ClientId) -> Option<Value> {
    let state = &seen.request.as_ref()?.state;
    let client = &seen.standing.client.as_ref()?.state;
    let activity = state.active(&seen.standing)?;
    let issued_to = state.asked().client_id;
    match token {
        Token::Access(verified) => {
            let claims = &verified.claims;
            let for_it = issued_to == *by || claims.aud.contains(&by.to_string());
            if !for_it || !lives(verified, seen) {
                return None;
            }
            let mut answer = serde_json::to_value(claims).ok()?;
            answer["active"] = json!(true);
            answer["token_type"] = json!("Bearer");
            Some(answer)
        }
        Token::Refresh(presented) => {
            let expires_at = activity.refresh_token_expires_at(&app.lifetimes);
            let current = &activity.grant.current;
            let live = activity.grant.refreshable
                && issued_to == *by
                && seen.standing.derives_under(&presented.key_id)
                && app.keys.matches(presented, &current.issued_by)
                && seen.now < expires_at;
            if !live {
                return None;
            }
            let subject = Subject::of(client, activity.sign_in);
            let mut answer = json!({
                "active": true,
                "iss": app.issuer,
                "client_id": issued_to,
                "sub": subject.sub,
                "scope": activity.grant.scope,
                "sid": presented.request_id,
                "agent_id": activity.sign_in.agent_id,
                "model": activity.sign_in.model,
                "binding": activity.sign_in.binding,
                "iat": current.at.as_second(),
                "exp": expires_at.as_second(),
                "auth_time": activity.sign_in.at.as_second(),
                "amr": [activity.sign_in.method.amr()],
            });
            if let Some(act) = subject.act {
                answer["act"] = act;
            }
            Some(answer)
        }
    }
}

/// POST /revoke. A refresh token ends its grant, an access token ends itself. A token that is not
/// the caller's, or none at all, is answered alike: there is nothing to revoke.
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    Form(parameters): Form,
) -> Result<Response, ApiError> {
    let answer = revoked(&app, &caller, &headers, &parameters).await;
    came_of(&app.measures.steps.revoke, outcome(&answer, "ok"));
    answer
}

async fn revoked(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<Response, ApiError> {
    let by = client_auth::authenticate(app, caller, headers, parameters).await?;
    let text = required_token(parameters)?;
    if let Some(token) = Token::read(app, text).await? {
        let scope = App::day_scope(app.store.now().await?);
        let address_hash = app.address_hash(&scope, caller).await?;
        let metadata = caller.metadata(Actor::Client(by.id), Some(address_hash));
        let end = async |proved_older| {
            let end = |seen: &Situation| match token.request_in(seen) {
                Some(request) if request.state.asked().client_id == by.id => {
                    end(app, &token, &request.state, proved_older, seen.now)
                }
                _ => Decision::unchanged(Ok(())),
            };
            let request = token.request();
            let outcome = app.store.on_request(request, None, &metadata, end).await;
            outcome.map(|(ended, seen)| {
                let request = seen.request;
                let is_its_own =
                    request.is_some_and(|request| request.state.asked().client_id == by.id);
                (ended, is_its_own)
            })
        };
        let (ended, is_its_own) = end(false).await?;
        if let (Err(NeedsHistory), Token::Refresh(presented)) = (ended, &token) {
            let matches = |event: &_| app.keys.matches(presented, event);
            let request = &presented.request_id;
            if app.store.history_contains(request, matches).await? {
                // Proved once, that needs no further proof.
                let _ = end(true).await?;
            }
        }
        if is_its_own {
            let request = token.request();
            trace::is_about(request);
            tracing::info!(%request, client = %by.id, "a token was revoked");
        }
    }
    Ok((StatusCode::OK, [(header::CACHE_CONTROL, "no-store")]).into_response())
}

fn end(
    app: &App,
    token: &Token,
    request: &AuthRequest,
    proved_older: bool,
    now: Timestamp,
) -> Decision<Result<(), NeedsHistory>, RequestFact> {
    match token {
        Token::Access(verified) => {
            let claims = &verified.claims;
            let Decision { facts, .. } = revoke_access_token(request, &claims.jti, claims.exp, now);
            Decision::with(facts, Ok(()))
        }
        Token::Refresh(presented) => {
            let presents = |event: &EventId| app.keys.matches(presented, event);
            revoke_refresh_token(request, &presents, proved_older)
        }
    }
}

/// GET or POST /userinfo with an access token in the header, or in a form's body (RFC 6750 §2.1,
/// §2.2); never in the query.
pub(crate) async fn userinfo(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let in_header = bearer(request.headers()).map_err(challenged)?;
    let in_body = if request.method() == Method::POST {
        let Form(parameters) = <Form as axum::extract::FromRequest<()>>::from_request(request, &())
            .await
            .map_err(challenged)?;
        parameters
            .one("access_token")
            .map_err(|e| challenged(e.into()))?
            .map(|token| Zeroizing::new(token.to_owned()))
    } else {
        None
    };
    let text = match (in_header, in_body) {
        (Some(_), Some(_)) => {
            let error = ApiError::invalid_request("the access token was sent in two ways");
            return Err(challenged(error));
        }
        (Some(text), None) | (None, Some(text)) => text,
        (None, None) => {
            let error = ApiError::new(ErrorCode::InvalidToken, "an access token is missing");
            let plain = HeaderValue::from_static("Bearer realm=\"Auth Agent\"");
            return Err(error.header(header::WWW_AUTHENTICATE, plain));
        }
    };
    let invalid = || {
        challenged(ApiError::new(
            ErrorCode::InvalidToken,
            "the access token has expired, was revoked, or is not ours",
        ))
    };
    let verified = app.keys.verified(&text).await?.ok_or_else(invalid)?;
    let claims = &verified.claims;
    let seen = app.store.situation(&claims.sid, None).await?;
    if !lives(&verified, &seen) || !claims.aud.contains(&app.issuer) {
        return Err(invalid());
    }
    let scope = Scope::parse(&claims.scope).map_err(|_| invalid())?;
    if !scope.contains("openid") {
        return Err(challenged(ApiError::new(
            ErrorCode::InsufficientScope,
            "the access token was not granted the scope openid",
        )));
    }
    let person = PersonClaims::within(&scope, seen.person.as_ref());
    let mut answer = serde_json::to_value(person).unwrap_or_else(|_| json!({}));
    answer["sub"] = json!(claims.sub);
    answer["agent_id"] = json!(claims.agent_id);
    answer["model"] = json!(claims.model);
    answer["binding"] = json!(claims.binding);
    if let Some(act) = &claims.act {
        answer["act"] = json!({ "sub": act.sub });
    }
    Ok(no_store(answer))
}

/// The token of an `Authorization: Bearer` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<Zeroizing<String>>, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(ApiError::invalid_request(
            "the Authorization header is repeated",
        ));
    }
    let token = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| Zeroizing::new(token.trim().to_owned()));
    Ok(token.filter(|token| !token.is_empty()))
}

/// Adds the challenge of RFC 6750 §3 that says what was wrong.
fn challenged(error: ApiError) -> ApiError {
    let value = format!(
        "Bearer realm=\"Auth Agent\", error=\"{}\", error_description=\"{}\"",
        error.error.code, error.error.description
    );
    match HeaderValue::try_from(value) {
        Ok(value) => error.header(header::WWW_AUTHENTICATE, value),
        Err(_) => error,
    }
}
