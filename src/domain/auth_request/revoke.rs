//! Decisions that end things: one access token, or the whole grant (RFC 7009).

use jiff::Timestamp;

use super::{AccessTokenRevoked, AuthRequest, RequestFact, Revoked, RevokedReason};
use crate::domain::Decision;

/// Ends the sign-in and everything issued from it; one that has ended, or in which nobody has
/// signed in, stays as it is.
#[must_use]
pub fn revoke_grant(request: &AuthRequest, reason: RevokedReason) -> Decision<(), RequestFact> {
    match request {
        AuthRequest::Authenticated { .. } | AuthRequest::Redeemed { .. } => {
            Decision::with([RequestFact::Revoked(Revoked { reason })], ())
        }
        AuthRequest::Pending { .. } | AuthRequest::Revoked { .. } => Decision::unchanged(()),
    }
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
