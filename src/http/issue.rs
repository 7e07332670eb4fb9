//! The answer of the token endpoint (RFC 6749 §5.1): tokens minted from what the log says.

use serde::Serialize;
use serde_json::{Value, json};

use super::{ApiError, app::App};
use crate::{
    crypto::{AccessClaims, ArtefactKind, at_hash},
    domain::{
        Client, RequestId, Scope, SubjectKind,
        auth_request::{Activity, Grant, SignIn},
    },
    oauth::ErrorCode,
    store::{Person, Situation},
};

/// Who a token is about (OpenID Connect Core §2, RFC 8693 §4.1).
pub(crate) struct Subject {
    pub(crate) sub: String,
    pub(crate) act: Option<Value>,
}

impl Subject {
    pub(crate) fn of(client: &Client, sign_in: &SignIn) -> Self {
        match client.registered.subject {
            SubjectKind::Agent => Self {
                sub: sign_in.agent_id.to_string(),
                act: None,
            },
            SubjectKind::Owner => Self {
                sub: sign_in.owner_id.to_string(),
                act: Some(json!({ "sub": sign_in.agent_id })),
            },
        }
    }
}

/// What is known of the owner, by scope (OpenID Connect Core §5.4).
#[derive(Serialize, Default)]
pub(crate) struct PersonClaims {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) email_verified: Option<bool>,
}

impl PersonClaims {
    pub(crate) fn within(scope: &Scope, person: Option<&Person>) -> Self {
        let Some(person) = person else {
            return Self::default();
        };
        let (profile, email) = (scope.contains("profile"), scope.contains("email"));
        Self {
            name: profile.then(|| person.name.clone()),
            email: email.then(|| person.email.clone()),
            // Nobody has shown yet that the address is theirs.
            email_verified: email.then_some(false),
        }
    }
}

#[derive(Serialize)]
struct IdClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: String,
    iat: i64,
    exp: i64,
    auth_time: i64,
    amr: [&'static str; 1],
    sid: RequestId,
    at_hash: String,
    agent_id: String,
    model: &'a str,
    binding: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<&'a Value>,
    #[serde(flatten)]
    person: PersonClaims,
}

/// Whether the tokens of this client can be signed now. To be asked before anything is committed:
/// once the log says that tokens were issued, they must be had.
pub(crate) fn admits(app: &App, client: &Client) -> Result<(), ApiError> {
    let registered = &client.registered;
    app.minter.admits(registered.access_token_algorithm())?;
    Ok(app.minter.admits(registered.id_token_signed_response_alg)?)
}

/// The tokens of the grant as `seen`: nothing is read any more, and so nothing can be missing. A
/// repeated refresh finds the same events and so yields the same answer. `at_sign_in`: the ID token carries the `nonce` (OpenID Connect Core §12.2).
pub(crate) async fn tokens(
    app: &App,
    request: &RequestId,
    seen: &Situation,
    at_sign_in: bool,
) -> Result<Value, ApiError> {
    let gone = || ApiError::new(ErrorCode::InvalidGrant, "the grant has been revoked");
    let state = &seen.request.as_ref().ok_or_else(gone)?.state;
    let Activity { sign_in, grant } = state.active(&seen.standing).ok_or_else(gone)?;
    let client = &seen.standing.client.as_ref().ok_or_else(gone)?.state;
    let client_id = state.asked().client_id.to_string();
    let subject = Subject::of(client, sign_in);
    let current = &grant.current;

    let algorithms = [
        client.registered.access_token_algorithm(),
        client.registered.id_token_signed_response_alg,
    ];
    app.keys
        .ensure_signers(&algorithms, &seen.signing_keys)
        .await?;
    let access = access_claims(app, request, &client_id, &subject, sign_in, grant);
    let alg = client.registered.access_token_algorithm();
    let access_token = app.minter.sign(alg, "at+jwt", &access).await?;
    let mut answer = json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": current.exp - current.iat,
        "scope": current.scope,
    });
    if grant.refreshable {
        let (kind, under) = (ArtefactKind::RefreshToken, &current.derivation_key);
        app.keys.ensure(under).await?;
        let token = app.keys.issue(kind, under, request, &current.issued_by);
        // Its key has been compromised since, and the whole grant with it.
        answer["refresh_token"] = json!(token.ok_or_else(gone)?);
    }
    if current.scope.contains("openid") {
        let alg = client.registered.id_token_signed_response_alg;
        let nonce = seen
            .details
            .as_ref()
            .and_then(|details| details.nonce.as_deref());
        let claims = IdClaims {
            iss: &app.issuer,
            sub: &subject.sub,
            aud: client_id,
            iat: current.iat,
            exp: current.exp,
            auth_time: sign_in.at.as_second(),
            amr: [sign_in.method.amr()],
            sid: *request,
            at_hash: at_hash(alg, &access_token),
            agent_id: sign_in.agent_id.to_string(),
            model: &sign_in.model,
            binding: sign_in.binding.as_str(),
            nonce: nonce.filter(|_| at_sign_in),
            act: subject.act.as_ref(),
            person: PersonClaims::within(&current.scope, seen.person.as_ref()),
        };
        answer["id_token"] = json!(app.minter.sign(alg, "JWT", &claims).await?);
    }
    Ok(answer)
}

fn access_claims(
    app: &App,
    request: &RequestId,
    client_id: &str,
    subject: &Subject,
    sign_in: &SignIn,
    grant: &Grant,
) -> AccessClaims {
    let current = &grant.current;
    AccessClaims {
        iss: app.issuer.clone(),
        sub: subject.sub.clone(),
        aud: vec![app.issuer.clone()],
        client_id: client_id.to_owned(),
        scope: current.scope.to_string(),
        model: sign_in.model.clone(),
        agent_id: sign_in.agent_id,
        binding: sign_in.binding.as_str().to_owned(),
        jti: current.jti.clone(),
        sid: *request,
        iat: current.iat,
        exp: current.exp,
        auth_time: sign_in.at.as_second(),
        amr: vec![sign_in.method.amr().to_owned()],
        act: subject.act.as_ref().map(|_| crate::crypto::Actor {
            sub: sign_in.agent_id.to_string(),
        }),
    }
}
