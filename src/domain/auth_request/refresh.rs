//! Decision: refreshing (RFC 6749 §6), with rotation and reuse detection (RFC 9700 §4.14).

use jiff::Timestamp;

use super::{
    AuthRequest, Grant, RefreshTokenRepeated, RefreshTokenReplayed, RequestFact, Revoked,
    RevokedReason, TokenRefreshed,
};
use crate::domain::{ClientId, Decision, EventId, Lifetimes, Scope, Standing};

/// Which of the grant's refresh tokens is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented {
    /// The one that lives.
    Current,
    /// The one before it.
    Previous,
    /// Neither: an older generation, or none of ours. The stream's history tells.
    Other,
}

impl Grant {
    /// Which of its refresh tokens is presented, as far as the state remembers.
    pub(super) fn presented(&self, presents: &dyn Fn(&EventId) -> bool) -> Presented {
        if presents(&self.current.issued_by) {
            Presented::Current
        } else if self
            .previous
            .as_ref()
            .is_some_and(|used| presents(&used.issued_by))
        {
            Presented::Previous
        } else {
            Presented::Other
        }
    }
}

/// A client that has authenticated itself presents a refresh token.
pub struct Refresh<'a> {
    /// The client.
    pub client_id: ClientId,
    /// Whether the token presented is the one derived from that event.
    pub presents: &'a dyn Fn(&EventId) -> bool,
    /// Whether the stream's history proves it to be an older generation of this grant.
    pub proved_older: bool,
    /// The narrower scope that it asks for, if any.
    pub scope: Option<&'a Scope>,
    /// The `jti` for the access token.
    pub jti: &'a str,
    /// When, by the clock that judges lifetimes.
    pub now: Timestamp,
}

/// Yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// A new generation.
    Rotated,
    /// The successor once more, exactly as it was.
    Repeated,
}

/// Why a refresh token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshRefusal {
    /// Not a token that lives.
    NotLive,
    /// Neither the current nor the previous one: the stream's history must be consulted.
    NeedsHistory,
    /// It was issued to another client.
    OtherClient,
    /// It ran out.
    Expired,
    /// It was used before, outside the grace window; the whole grant has been revoked.
    Replayed,
    /// It asks for more than was granted (`invalid_scope`).
    ScopeWidened,
    /// Its agent, owner or client has been suspended or revoked since.
    Suspended,
}

/// Decides a refresh.
#[must_use]
pub fn refresh(
    request: &AuthRequest,
    standing: &Standing,
    command: &Refresh<'_>,
    lifetimes: &Lifetimes,
) -> Decision<Result<Refreshed, RefreshRefusal>, RequestFact> {
    use RefreshRefusal as Refusal;
    let refuse = |refusal| Decision::unchanged(Err(refusal));

    let AuthRequest::Redeemed {
        asked,
        sign_in,
        grant,
    } = request
    else {
        return refuse(Refusal::NotLive);
    };
    if !grant.refreshable {
        return refuse(Refusal::NotLive);
    }
    // A stranger who holds somebody's token must not be able to end their grant with it, nor to have
    // its history searched for a guess.
    if command.client_id != asked.client_id {
        return refuse(Refusal::OtherClient);
    }
    let presented = grant.presented(command.presents);
    if presented == Presented::Other && !command.proved_older {
        return refuse(Refusal::NeedsHistory);
    }
    if standing.cut_off(sign_in).is_some() {
        return refuse(Refusal::Suspended);
    }
    let activity = super::Activity { sign_in, grant };
    let expires_at = activity.refresh_token_expires_at(lifetimes);

    match (presented, &grant.previous) {
        (Presented::Current, _) => {
            if command.now >= expires_at {
                return refuse(Refusal::Expired);
            }
            let scope = command.scope.unwrap_or(&grant.scope);
            if !scope.is_within(&grant.scope) {
                return refuse(Refusal::ScopeWidened);
            }
            let iat = command.now.as_second();
            let refreshed = TokenRefreshed {
                generation: grant.current.generation.saturating_add(1),
                scope: scope.clone(),
                jti: command.jti.to_owned(),
                iat,
                exp: iat.saturating_add_unsigned(lifetimes.access_token.as_secs()),
                derivation_key: standing.derivation_key().to_owned(),
            };
            Decision::with(
                [RequestFact::TokenRefreshed(refreshed)],
                Ok(Refreshed::Rotated),
            )
        }
        (Presented::Previous, Some(used))
            if command.now < used.used_at + lifetimes.refresh_grace =>
        {
            let facts = if used.repeated {
                Vec::new()
            } else {
                let generation = grant.current.generation;
                vec![RequestFact::RefreshTokenRepeated(RefreshTokenRepeated {
                    generation,
                })]
            };
            Decision::with(facts, Ok(Refreshed::Repeated))
        }
        _ => Decision::with(
            [
                RequestFact::RefreshTokenReplayed(RefreshTokenReplayed {}),
                RequestFact::Revoked(Revoked {
                    reason: RevokedReason::RefreshTokenReplayed,
                }),
            ],
            Err(Refusal::Replayed),
        ),
    }
}
