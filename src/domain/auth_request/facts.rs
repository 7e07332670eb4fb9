//! The facts of a sign-in. Payloads carry no secret, code, token, `state`, `nonce` or name.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{AgentId, Binding, ClientId, CodeChallenge, OwnerId, Scope, event::facts};

/// A valid `GET /authorize` that is no reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// The website.
    pub client_id: ClientId,
    /// Where the browser goes back to.
    pub redirect_uri: String,
    /// What it asks for.
    pub scope: Scope,
    /// The PKCE challenge (RFC 7636 §4.2).
    pub code_challenge: CodeChallenge,
    /// When the page ends.
    pub expires_at: Timestamp,
}

/// Why policy refused an agent that had proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// The call carried other requests' cookies and not this one's.
    BrowserMismatch,
    /// The call was not bound to the waiting browser as closely as required.
    BindingRequired,
    /// The agent meant another website.
    OriginMismatch,
    /// The agent's allow list does not name the client.
    ClientNotAllowed,
    /// The agent's allow list does not cover the scope.
    ScopeNotAllowed,
}

/// An agent proved who it is and was refused by policy. The page stays open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRejected {
    /// The agent.
    pub agent_id: AgentId,
    /// Why.
    pub reason: Rejection,
}

/// How an agent proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticationMethod {
    /// By its secret; `amr` `pwd` (RFC 8176 §2).
    Secret,
}

impl AuthenticationMethod {
    /// The `amr` value (RFC 8176 §2).
    #[must_use]
    pub const fn amr(self) -> &'static str {
        match self {
            Self::Secret => "pwd",
        }
    }
}

/// An agent proved who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentAuthenticated {
    /// The agent.
    pub agent_id: AgentId,
    /// The person behind it.
    pub owner_id: OwnerId,
    /// The agent's own word for its model.
    pub model: String,
    /// How it proved who it is.
    pub method: AuthenticationMethod,
    /// How we know that it drives the waiting browser.
    pub binding: Binding,
}

/// A code was issued, derived from this event's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeIssued {
    /// When it runs out.
    pub expires_at: Timestamp,
    /// Id of the key that it is derived under.
    pub derivation_key: String,
}

/// The one successful exchange. The first refresh token is derived from this event's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRedeemed {
    /// What was granted.
    pub scope: Scope,
    /// The access token's `jti`.
    pub jti: String,
    /// The access token's `iat`, seconds since the epoch.
    pub iat: i64,
    /// The access token's `exp`, seconds since the epoch.
    pub exp: i64,
    /// Whether a refresh token was issued with it.
    pub refreshable: bool,
    /// Id of the key that its refresh token is derived under.
    pub derivation_key: String,
}

/// A redeemed code came again with the right verifier: a theft signal (RFC 9700 §4.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeReplayed {}

/// A refresh token was used; the next is derived from this event's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRefreshed {
    /// 2 for the first refresh.
    pub generation: u32,
    /// Scope of the access token.
    pub scope: Scope,
    /// The access token's `jti`.
    pub jti: String,
    /// The access token's `iat`, seconds since the epoch.
    pub iat: i64,
    /// The access token's `exp`, seconds since the epoch.
    pub exp: i64,
    /// Id of the key that its refresh token is derived under.
    pub derivation_key: String,
}

/// The first repeat of a refresh within its grace window; it got the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshTokenRepeated {
    /// The generation that was answered again.
    pub generation: u32,
}

/// A used refresh token came again outside its grace window: a theft signal (RFC 9700 §4.14).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshTokenReplayed {}

/// One access token was revoked by itself (RFC 7009).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessTokenRevoked {
    /// Its `jti`.
    pub jti: String,
    /// Its `exp`, seconds since the epoch.
    pub exp: i64,
}

/// Why a sign-in ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokedReason {
    /// The website revoked its refresh token (RFC 7009).
    RevokedByClient,
    /// Its code was used twice.
    CodeReplayed,
    /// A refresh token was used twice.
    RefreshTokenReplayed,
    /// Its agent was suspended.
    AgentSuspended,
    /// Its agent was revoked.
    AgentRevoked,
    /// Its agent's owner was suspended.
    OwnerSuspended,
    /// Its agent's owner was erased.
    OwnerErased,
    /// An administrator ended it.
    Admin,
    /// The website was revoked.
    ClientRevoked,
    /// A key that its code or a refresh token of it was derived under was compromised.
    KeyCompromised,
}

/// The end: nobody signs in to it, no code and no token of it lives from here on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Why.
    pub reason: RevokedReason,
}

facts! {
    /// What can happen in a sign-in.
    RequestFact {
        Created(Created),
        AgentRejected(AgentRejected),
        AgentAuthenticated(AgentAuthenticated),
        CodeIssued(CodeIssued),
        CodeRedeemed(CodeRedeemed),
        CodeReplayed(CodeReplayed),
        TokenRefreshed(TokenRefreshed),
        RefreshTokenRepeated(RefreshTokenRepeated),
        RefreshTokenReplayed(RefreshTokenReplayed),
        AccessTokenRevoked(AccessTokenRevoked),
        Revoked(Revoked),
    }
}

impl RequestFact {
    /// Whether a code or refresh token is derived from it.
    #[must_use]
    pub const fn issues(&self) -> bool {
        matches!(
            self,
            Self::CodeIssued(_) | Self::CodeRedeemed(_) | Self::TokenRefreshed(_)
        )
    }
}
