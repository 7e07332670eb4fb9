//! Decisions that end things: one access token, the whole grant (RFC 7009), or a page that waits.

use jiff::Timestamp;

use super::{AccessTokenRevoked, AuthRequest, Presented, RequestFact, Revoked, RevokedReason};
use crate::domain::{Decision, EventId};

/// Ends the sign-in and everything issued from it; one that has ended, or in which nobody has
/// signed in, stays as it is.
#[must_use]
pub fn revoke_grant(request: &AuthRequest, reason: RevokedReason) -> Decision<(), RequestFact> {
    match request {
        AuthRequest::Authenticated { .. } | AuthRequest::Redeemed { .. } => {
            Decision::with([RequestFact::Revoked(Revoked { reason })], ())
        }
        AuthRequest::Pending { .. } | AuthRequest::Denied { .. } | AuthRequest::Revoked { .. } => {
            Decision::unchanged(())
        }
    }
}

/// Ends a page that still waits; one that ran out, or that an agent has signed in to, stays as it is.
#[must_use]
pub fn deny(
    request: &AuthRequest,
    reason: RevokedReason,
    now: Timestamp,
) -> Decision<(), RequestFact> {
    match request {
        AuthRequest::Pending { asked } if now < asked.expires_at => {
            Decision::with([RequestFact::Revoked(Revoked { reason })], ())
        }
        _ => Decision::unchanged(()),
    }
}

/// The state does not tell whose generation a refresh token is: the stream's history must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeedsHistory;

/// Ends the grant that a refresh token belongs to, whatever its generation: whoever revokes wants it
/// dead (RFC 7009 §2.1). `presents` says whether the token is the one derived from an event;
/// `proved_older`, that the stream's history holds that event.
#[must_use]
pub fn revoke_refresh_token(
    request: &AuthRequest,
    presents: &dyn Fn(&EventId) -> bool,
    proved_older: bool,
) -> Decision<Result<(), NeedsHistory>, RequestFact> {
    let AuthRequest::Redeemed { grant, .. } = request else {
        return Decision::unchanged(Ok(()));
    };
    if grant.presented(presents) == Presented::Other && !proved_older {
        return Decision::unchanged(Err(NeedsHistory));
    }
    let Decision { facts, .. } = revoke_grant(request, RevokedReason::RevokedByClient);
    Decision::with(facts, Ok(()))
}

/// Revokes one access token of the grant. One that has run out needs no revoking, and a second time
/// changes nothing: so nobody can grow a stream at will with tokens that are dead anyway.
#[must_use]
pub fn revoke_access_token(
    request: &AuthRequest,
    jti: &str,
    exp: i64,
    now: Timestamp,
) -> Decision<(), RequestFact> {
    match request {
        AuthRequest::Redeemed { .. } if exp <= now.as_second() => Decision::unchanged(()),
        AuthRequest::Redeemed { grant, .. }
            if !grant
                .revoked_access_tokens
                .iter()
                .any(|token| token.jti == jti) =>
        {
            let fact = AccessTokenRevoked {
                jti: jti.to_owned(),
                exp,
            };
            Decision::with([RequestFact::AccessTokenRevoked(fact)], ())
        }
        _ => Decision::unchanged(()),
    }
}
