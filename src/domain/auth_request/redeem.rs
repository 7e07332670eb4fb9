//! Decision: exchanging a code (RFC 6749 §4.1.3, OAuth 2.1 §4.1.3).

use jiff::Timestamp;

use super::{AuthRequest, CodeRedeemed, CodeReplayed, RequestFact, Revoked, RevokedReason};
use crate::domain::{ClientId, Decision, EventId, GrantType, Lifetimes, Standing};

/// A client that has authenticated itself presents a code.
pub struct RedeemCode<'a> {
    /// The client.
    pub client_id: ClientId,
    /// Whether the code presented is the one derived from that event.
    pub presents: &'a dyn Fn(&EventId) -> bool,
    /// The S256 transformation of the verifier it presented.
    pub hashed_verifier: &'a str,
    /// The redirect URI it repeated, if any.
    pub redirect_uri: Option<&'a str>,
    /// The `jti` for the access token.
    pub jti: &'a str,
    /// When, by the clock that judges lifetimes.
    pub now: Timestamp,
}

/// Why a code is refused; all are `invalid_grant`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedeemRefusal {
    /// Not a code that lives: unknown, replaced by a later one, or of an ended sign-in.
    NotLive,
    /// It ran out.
    Expired,
    /// It was issued to another client.
    OtherClient,
    /// The redirect URI is not the one it was issued for.
    OtherRedirectUri,
    /// The verifier does not meet the challenge.
    WrongVerifier,
    /// It was used before; everything issued from it has been revoked.
    Replayed,
    /// Its agent, owner or client has been suspended or revoked since.
    Suspended,
}

/// Decides an exchange. A failed attempt consumes nothing; a second use *with the right verifier*
/// ends everything that came of the first (RFC 9700 §4.5).
#[must_use]
pub fn redeem_code(
    request: &AuthRequest,
    standing: &Standing,
    command: &RedeemCode<'_>,
    lifetimes: &Lifetimes,
) -> Decision<Result<(), RedeemRefusal>, RequestFact> {
    use RedeemRefusal as Refusal;
    let refuse = |refusal| Decision::unchanged(Err(refusal));
    let asked = request.asked();

    let issued_by = match request {
        AuthRequest::Authenticated { code, .. } => &code.issued_by,
        AuthRequest::Redeemed { grant, .. } => &grant.code_issued_by,
        AuthRequest::Pending { .. } | AuthRequest::Denied { .. } | AuthRequest::Revoked { .. } => {
            return refuse(Refusal::NotLive);
        }
    };
    if !(command.presents)(issued_by) {
        return refuse(Refusal::NotLive);
    }
    if command.client_id != asked.client_id {
        return refuse(Refusal::OtherClient);
    }
    if command
        .redirect_uri
        .is_some_and(|uri| uri != asked.redirect_uri)
    {
        return refuse(Refusal::OtherRedirectUri);
    }
    if !asked.code_challenge.is_met_by(command.hashed_verifier) {
        return refuse(Refusal::WrongVerifier);
    }
    match request {
        AuthRequest::Redeemed { .. } => Decision::with(
            [
                RequestFact::CodeReplayed(CodeReplayed {}),
                RequestFact::Revoked(Revoked {
                    reason: RevokedReason::CodeReplayed,
                }),
            ],
            Err(Refusal::Replayed),
        ),
        AuthRequest::Authenticated { sign_in, code, .. } => {
            if standing.cut_off(sign_in).is_some() {
                return refuse(Refusal::Suspended);
            }
            if command.now >= code.expires_at {
                return refuse(Refusal::Expired);
            }
            let refreshable = standing
                .client
                .as_ref()
                .is_some_and(|client| client.state.may_use(GrantType::RefreshToken));
            let iat = command.now.as_second();
            let redeemed = CodeRedeemed {
                scope: asked.scope.clone(),
                jti: command.jti.to_owned(),
                iat,
                exp: iat.saturating_add_unsigned(lifetimes.access_token.as_secs()),
                refreshable,
                derivation_key: standing.derivation_key().to_owned(),
            };
            Decision::with([RequestFact::CodeRedeemed(redeemed)], Ok(()))
        }
        AuthRequest::Pending { .. } | AuthRequest::Denied { .. } | AuthRequest::Revoked { .. } => {
            refuse(Refusal::NotLive)
        }
    }
}
