//! What a waiting page, and whoever asks about tokens, is told. Predicates over state and clock.

use jiff::Timestamp;
use serde::Serialize;

use super::{AuthRequest, Code, Grant, SignIn};
use crate::domain::{Lifetimes, Standing};

/// The status of a request as the waiting page knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Waiting for an agent.
    Pending,
    /// An agent signed in: the browser may go.
    Authenticated,
    /// The website holds its tokens.
    Completed,
    /// Nobody came in time.
    Expired,
    /// It was stopped before the website had it.
    Denied,
}

impl Status {
    /// Whether nothing will change any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Expired | Self::Denied)
    }
}

/// Whether a grant lives, and what of it.
#[derive(Debug, Clone, Copy)]
pub struct Activity<'a> {
    /// Who signed in.
    pub sign_in: &'a SignIn,
    /// The tokens.
    pub grant: &'a Grant,
}

impl AuthRequest {
    /// The status at `now`.
    #[must_use]
    pub fn status(&self, standing: &Standing, now: Timestamp) -> Status {
        match self {
            Self::Pending { asked } if now >= asked.expires_at => Status::Expired,
            Self::Pending { .. } if standing.is_client_revoked() => Status::Denied,
            Self::Pending { .. } => Status::Pending,
            // A code issued in the last moment outlives its page: it still takes the browser home.
            // This comes before any suspension: what has expired is over, whatever becomes of its agent.
            Self::Authenticated { asked, code, .. }
                if now >= asked.expires_at && now >= code.expires_at =>
            {
                Status::Expired
            }
            Self::Authenticated { sign_in, .. } if standing.cut_off(sign_in).is_some() => {
                Status::Denied
            }
            Self::Authenticated { .. } => Status::Authenticated,
            Self::Redeemed { .. } | Self::Revoked { redeemed: true, .. } => Status::Completed,
            Self::Denied { expired: true, .. } | Self::Revoked { expired: true, .. } => {
                Status::Expired
            }
            Self::Denied { .. } | Self::Revoked { .. } => Status::Denied,
        }
    }

    /// The moment at which the status changes by itself, if nothing else happens.
    #[must_use]
    pub fn changes_at(&self) -> Option<Timestamp> {
        match self {
            Self::Pending { asked } => Some(asked.expires_at),
            Self::Authenticated { asked, code, .. } => Some(asked.expires_at.max(code.expires_at)),
            Self::Redeemed { .. } | Self::Denied { .. } | Self::Revoked { .. } => None,
        }
    }

    /// The code that the browser may carry home at `now`.
    #[must_use]
    pub fn live_code(&self, standing: &Standing, now: Timestamp) -> Option<&Code> {
        match self {
            Self::Authenticated { sign_in, code, .. }
                if now < code.expires_at && standing.cut_off(sign_in).is_none() =>
            {
                Some(code)
            }
            _ => None,
        }
    }

    /// The grant, while it lives: redeemed, not revoked, not cut off.
    #[must_use]
    pub fn active(&self, standing: &Standing) -> Option<Activity<'_>> {
        match self {
            Self::Redeemed { sign_in, grant, .. } if standing.cut_off(sign_in).is_none() => {
                Some(Activity { sign_in, grant })
            }
            _ => None,
        }
    }
}

impl Activity<'_> {
    /// Whether the access token of that `jti` has not been revoked by itself. Its own `exp` is for
    /// the caller to check.
    #[must_use]
    pub fn allows_access_token(&self, jti: &str) -> bool {
        !self
            .grant
            .revoked_access_tokens
            .iter()
            .any(|token| token.jti == jti)
    }

    /// When the last of the grant runs out: its refresh token or its access token; `None` when neither
    /// lives at `now`.
    #[must_use]
    pub fn lives_until(&self, lifetimes: &Lifetimes, now: Timestamp) -> Option<Timestamp> {
        let current = &self.grant.current;
        let access = self
            .allows_access_token(&current.jti)
            .then(|| Timestamp::from_second(current.exp).ok())
            .flatten();
        let refresh = self
            .grant
            .refreshable
            .then(|| self.refresh_token_expires_at(lifetimes));
        access.max(refresh).filter(|until| *until > now)
    }

    /// When the current refresh token runs out: so long after its issue, and at the latest so long
    /// after the sign-in.
    #[must_use]
    pub fn refresh_token_expires_at(&self, lifetimes: &Lifetimes) -> Timestamp {
        let idle = self.grant.current.at + lifetimes.refresh_token_idle;
        let absolute = self.sign_in.at + lifetimes.refresh_token;
        idle.min(absolute)
    }
}
