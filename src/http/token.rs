//! POST /token (RFC 6749 §3.2): a website exchanges a code, or refreshes.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, header};

use super::{
    ApiError,
    app::App,
    client_auth::{self, AuthenticatedClient},
    extract::{Caller, Form},
    issue,
    measures::outcome,
};
use crate::{
    crypto::{ArtefactKind, s256},
    domain::{
        Actor, CodeVerifier, Decision, GrantType, Metadata, Scope,
        auth_request::{RedeemCode, RedeemRefusal, Refresh, RefreshRefusal, redeem_code, refresh},
    },
    edge,
    oauth::{ErrorCode, Parameters},
    trace,
};

/// The handler.
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    Form(parameters): Form,
) -> Result<Response, ApiError> {
    let answer = answered(&app, &caller, &headers, &parameters).await;
    let grant_type = parameters.one("grant_type").unwrap_or_default();
    let outcome = outcome(&answer, "issued");
    app.measures.steps.token_came_of(grant_type, outcome);
    answer
}

async fn answered(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<Response, ApiError> {
    for name in [
        "grant_type",
        "code",
        "code_verifier",
        "redirect_uri",
        "refresh_token",
        "scope",
    ] {
        parameters.one(name)?;
    }
    let grant_type = parameters
        .one("grant_type")?
        .ok_or_else(|| ApiError::invalid_request("grant_type is missing"))?;
    let by = client_auth::authenticate(app, caller, headers, parameters).await?;
    if parameters
        .all("resource")?
        .iter()
        .any(|resource| !resource.is_empty())
    {
        return Err(ApiError::new(
            ErrorCode::InvalidTarget,
            "no resource server is registered: leave out the parameter resource",
        ));
    }
    let may_use = |grant_type| {
        if by.client.may_use(grant_type) {
            Ok(())
        } else {
            Err(ApiError::new(
                ErrorCode::UnauthorizedClient,
                "this client is not registered for that grant_type",
            ))
        }
    };
    issue::admits(app, &by.client)?;
    let body = match grant_type {
        "authorization_code" => {
            may_use(GrantType::AuthorizationCode)?;
            redeem(app, caller, &by, parameters).await?
        }
        "refresh_token" => {
            may_use(GrantType::RefreshToken)?;
            rotate(app, caller, &by, parameters).await?
        }
        _ => {
            return Err(ApiError::new(
                ErrorCode::UnsupportedGrantType,
                "grant_type must be authorization_code or refresh_token",
            ));
        }
    };
    Ok((
        [
            (header::CACHE_CONTROL, "no-store"),
            (header::PRAGMA, "no-cache"),
        ],
        Json(body),
    )
        .into_response())
}

const CUT_OFF: &str = "the agent that signed in has been suspended or revoked";

fn invalid_grant(description: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidGrant, description)
}

async fn metadata(
    app: &App,
    caller: &Caller,
    by: &AuthenticatedClient,
) -> Result<Metadata, ApiError> {
    let scope = App::day_scope(app.store.now().await?);
    let address_hash = app.address_hash(&scope, caller).await?;
    Ok(caller.metadata(Actor::Client(by.id), Some(address_hash)))
}

/// A fresh `jti`: 128 random bits.
fn new_jti() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(edge::random::<16>())
}

async fn redeem(
    app: &App,
    caller: &Caller,
    by: &AuthenticatedClient,
    parameters: &Parameters,
) -> Result<serde_json::Value, ApiError> {
    let missing = |name: &str| ApiError::invalid_request(format!("{name} is missing"));
    let code = parameters.one("code")?.ok_or_else(|| missing("code"))?;
    let verifier = parameters
        .one("code_verifier")?
        .ok_or_else(|| missing("code_verifier"))?;
    let verifier = CodeVerifier::parse(verifier)
        .map_err(|error| ApiError::invalid_request(format!("code_verifier {error}")))?;
    let redirect_uri = parameters.one("redirect_uri")?;
    let unknown = || {
        invalid_grant(
            "the code is not valid, was issued to another client, or has been replaced by a later one",
        )
    };
    let presented = app
        .keys
        .presented(ArtefactKind::AuthorizationCode, code)
        .await?
        .ok_or_else(unknown)?;

    let hashed_verifier = s256(verifier.as_str());
    let jti = new_jti();
    let metadata = metadata(app, caller, by).await?;
    let (outcome, seen) = app
        .store
        .on_request(&presented.request_id, None, &metadata, |seen| {
            let Some(request) = seen.request_under(&presented.key_id) else {
                return Decision::unchanged(Err(RedeemRefusal::NotLive));
            };
            let command = RedeemCode {
                client_id: by.id,
                presents: &|event| app.keys.matches(&presented, event),
                hashed_verifier: &hashed_verifier,
                redirect_uri,
                jti: &jti,
                now: seen.now,
            };
            redeem_code(&request.state, &seen.standing, &command, &app.lifetimes)
        })
        .await?;
    match outcome {
        Ok(()) => {
            let request = presented.request_id;
            trace::is_about(&request);
            tracing::info!(%request, client = %by.id, "a code was exchanged");
            issue::tokens(app, &request, &seen, true).await
        }
        Err(refusal) => {
            let request = presented.request_id;
            trace::is_about(&request);
            tracing::info!(%request, client = %by.id, ?refusal, "a code was refused");
            Err(match refusal {
                // A stranger who holds somebody's code learns nothing about it.
                RedeemRefusal::NotLive | RedeemRefusal::OtherClient => unknown(),
                RedeemRefusal::Expired => {
                    invalid_grant("the code has expired: codes live for a short time only")
                }
                RedeemRefusal::OtherRedirectUri => {
                    invalid_grant("redirect_uri is not the one that the code was issued for")
                }
                RedeemRefusal::WrongVerifier => {
                    invalid_grant("code_verifier does not match the code_challenge")
                }
                RedeemRefusal::Replayed => invalid_grant(
                    "the code was used before: everything issued from it has been revoked",
                ),
                RedeemRefusal::Suspended => invalid_grant(CUT_OFF),
            })
        }
    }
}

async fn rotate(
    app: &App,
    caller: &Caller,
    by: &AuthenticatedClient,
    parameters: &Parameters,
) -> Result<serde_json::Value, ApiError> {
    let token = parameters
        .one("refresh_token")?
        .ok_or_else(|| ApiError::invalid_request("refresh_token is missing"))?;
    let scope = match parameters.one("scope")? {
        None => None,
        Some(text) => Some(
            Scope::parse(text)
                .map_err(|error| ApiError::new(ErrorCode::InvalidScope, error.to_string()))?,
        ),
    };
    // One text: a stranger is not told whether it is somebody else's.
    let unknown =
        || invalid_grant("the refresh token is not valid, or was issued to another client");
    let presented = app
        .keys
        .presented(ArtefactKind::RefreshToken, token)
        .await?
        .ok_or_else(unknown)?;
    let request = presented.request_id;
    let presents = |event: &crate::domain::EventId| app.keys.matches(&presented, event);

    let jti = new_jti();
    let metadata = metadata(app, caller, by).await?;
    let mut proved_older = false;
    loop {
        let (outcome, seen) = app
            .store
            .on_request(&request, None, &metadata, |seen| {
                let Some(state) = seen.request_under(&presented.key_id) else {
                    return Decision::unchanged(Err(RefreshRefusal::NotLive));
                };
                let command = Refresh {
                    client_id: by.id,
                    presents: &presents,
                    proved_older,
                    scope: scope.as_ref(),
                    jti: &jti,
                    now: seen.now,
                };
                refresh(&state.state, &seen.standing, &command, &app.lifetimes)
            })
            .await?;
        let refusal = match outcome {
            Ok(_) => {
                trace::is_about(&request);
                tracing::info!(%request, client = %by.id, "a grant was refreshed");
                return issue::tokens(app, &request, &seen, false).await;
            }
            Err(RefreshRefusal::NeedsHistory) if !proved_older => {
                // Neither generation that the state remembers: an old one of this grant is theft,
                // anything else is nothing to us.
                if !app.store.history_contains(&request, presents).await? {
                    return Err(unknown());
                }
                proved_older = true;
                continue;
            }
            Err(refusal) => refusal,
        };
        trace::is_about(&request);
        tracing::info!(%request, client = %by.id, ?refusal, "a refresh token was refused");
        return Err(match refusal {
            RefreshRefusal::NotLive
            | RefreshRefusal::NeedsHistory
            | RefreshRefusal::OtherClient => unknown(),
            RefreshRefusal::Expired => invalid_grant("the refresh token has expired"),
            RefreshRefusal::Replayed => {
                invalid_grant("the refresh token was used before: the whole grant has been revoked")
            }
            RefreshRefusal::ScopeWidened => ApiError::new(
                ErrorCode::InvalidScope,
                "scope may narrow what was granted, not widen it",
            ),
            RefreshRefusal::Suspended => invalid_grant(CUT_OFF),
        });
    }
}
