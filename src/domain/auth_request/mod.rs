//! The heart: one sign-in, from the waiting page to the last token.
//!
//! ```text
//! Pending ──AgentAuthenticated+CodeIssued──▶ Authenticated ──CodeRedeemed──▶ Redeemed
//!    │                                            │                             │
//!    ├── (expires by the clock)                   └────────── Revoked ◀─────────┘
//!    └──Revoked──▶ Denied
//! ```
//!
//! Expiry is no fact: it follows from `Created` and the clock. Neither is a suspension of the agent
//! or its owner, or the end of the website: it stands in their own streams, and [`Standing`](super::Standing) tells.

mod facts;
mod fold;
mod redeem;
mod refresh;
mod revoke;
mod sign_in;
mod status;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use facts::{
    AccessTokenRevoked, AgentAuthenticated, AgentRejected, AuthenticationMethod, CodeIssued,
    CodeRedeemed, CodeReplayed, Created, RefreshTokenRepeated, RefreshTokenReplayed, Rejection,
    RequestFact, Revoked, RevokedReason, TokenRefreshed,
};
pub use redeem::{RedeemCode, RedeemRefusal, redeem_code};
pub use refresh::{Presented, Refresh, RefreshRefusal, Refreshed, refresh};
pub use revoke::{NeedsHistory, deny, revoke_access_token, revoke_grant, revoke_refresh_token};
pub use sign_in::{
    Authenticate, AuthenticateRefusal, Authenticated, MAX_REJECTIONS, authenticate, reissue_code,
};
pub use status::{Activity, Status};

use super::{AgentId, Binding, ClientId, CodeChallenge, EventId, OwnerId, Scope};

/// What the website asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The website.
    pub client_id: ClientId,
    /// Where the browser goes back to.
    pub redirect_uri: String,
    /// What it asks for.
    pub scope: Scope,
    /// The PKCE challenge, always S256.
    pub code_challenge: CodeChallenge,
    /// The event that created the request: the browser's cookie is derived from it.
    pub created_by: EventId,
    /// When the page was opened.
    pub created_at: Timestamp,
    /// When the page ends.
    pub expires_at: Timestamp,
    /// How many refusals have been recorded, at most [`MAX_REJECTIONS`].
    pub rejections: u8,
}

/// Who signed in, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// The agent.
    pub agent_id: AgentId,
    /// The person behind it.
    pub owner_id: OwnerId,
    /// The agent's own word for its model.
    pub model: String,
    /// How the agent proved who it is.
    pub method: AuthenticationMethod,
    /// How we know that it drives the waiting browser.
    pub binding: Binding,
    /// When.
    pub at: Timestamp,
    /// Where in the log: a later suspension cuts it off.
    pub position: u64,
    /// Every key that a code or refresh token of it was derived under: the end of one cuts it off.
    pub derivation_keys: Vec<String>,
}

/// The one authorization code that lives; older ones are dead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// The event it is derived from.
    pub issued_by: EventId,
    /// The key it is derived under.
    pub derivation_key: String,
    /// When it runs out.
    pub expires_at: Timestamp,
}

/// One set of tokens: by the code (generation 1) or by a refresh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// 1 for the code's own, then one more with each refresh.
    pub generation: u32,
    /// The event that its refresh token is derived from.
    pub issued_by: EventId,
    /// The key that its refresh token is derived under.
    pub derivation_key: String,
    /// When.
    pub at: Timestamp,
    /// Scope of its access token.
    pub scope: Scope,
    /// The access token's `jti`.
    pub jti: String,
    /// The access token's `iat`, seconds since the epoch.
    pub iat: i64,
    /// The access token's `exp`, seconds since the epoch.
    pub exp: i64,
}

/// The generation before the current one, still answered for the length of the grace window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Superseded {
    /// The event that its refresh token is derived from.
    pub issued_by: EventId,
    /// When it was used; the window does not slide.
    pub used_at: Timestamp,
    /// Whether a repeat has been recorded.
    pub repeated: bool,
}

/// An access token revoked by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedAccessToken {
    /// Its `jti`.
    pub jti: String,
    /// Its `exp`: it need not be remembered longer.
    pub exp: i64,
}

/// What came of the redeemed code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The scope of the grant; a refresh may narrow an access token, never this.
    pub scope: Scope,
    /// The event that the redeemed code was derived from.
    pub code_issued_by: EventId,
    /// Whether refresh tokens are issued at all.
    pub refreshable: bool,
    /// The tokens that live.
    pub current: Issue,
    /// The ones before, within their grace window.
    pub previous: Option<Superseded>,
    /// Access tokens revoked by themselves that have not run out.
    pub revoked_access_tokens: Vec<RevokedAccessToken>,
}

/// The state of one sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AuthRequest {
    /// A page waits for an agent.
    Pending {
        /// What the website asked for.
        asked: Asked,
    },
    /// An agent proved who it is; a code waits for the browser.
    Authenticated {
        /// What the website asked for.
        asked: Asked,
        /// Who signed in.
        sign_in: SignIn,
        /// The code that lives.
        code: Code,
    },
    /// The website holds tokens.
    Redeemed {
        /// What the website asked for.
        asked: Asked,
        /// Who signed in.
        sign_in: SignIn,
        /// The tokens.
        grant: Box<Grant>,
    },
    /// The end of a page that still waited.
    Denied {
        /// What the website asked for.
        asked: Asked,
        /// Whether it had expired before.
        expired: bool,
        /// Why.
        reason: RevokedReason,
    },
    /// The end of a sign-in.
    Revoked {
        /// What the website asked for.
        asked: Asked,
        /// Who had signed in.
        sign_in: SignIn,
        /// Whether the website had redeemed its code.
        redeemed: bool,
        /// Whether it had expired before, its code unfetched.
        #[serde(default)]
        expired: bool,
        /// Why.
        reason: RevokedReason,
    },
}

impl SignIn {
    /// Notes a key that an artefact of it is derived under.
    fn under(&mut self, key: &str) {
        if !self.derivation_keys.iter().any(|known| known == key) {
            self.derivation_keys.push(key.to_owned());
        }
    }
}

impl AuthRequest {
    /// What the website asked for.
    #[must_use]
    pub const fn asked(&self) -> &Asked {
        match self {
            Self::Pending { asked }
            | Self::Authenticated { asked, .. }
            | Self::Redeemed { asked, .. }
            | Self::Denied { asked, .. }
            | Self::Revoked { asked, .. } => asked,
        }
    }

    /// Who signed in, if anybody did.
    #[must_use]
    pub const fn sign_in(&self) -> Option<&SignIn> {
        match self {
            Self::Pending { .. } | Self::Denied { .. } => None,
            Self::Authenticated { sign_in, .. }
            | Self::Redeemed { sign_in, .. }
            | Self::Revoked { sign_in, .. } => Some(sign_in),
        }
    }
}
