//! Folding: what each fact makes of the state before it. Transitions consume the state.

use super::{
    Asked, AuthRequest, Code, Grant, Issue, RequestFact, RevokedAccessToken, SignIn, Superseded,
};
use crate::domain::Recorded;

impl AuthRequest {
    /// Adds one fact; `None` when the fact cannot follow, which the log never contains.
    #[must_use]
    pub fn apply(state: Option<Self>, event: &Recorded<RequestFact>) -> Option<Self> {
        match state {
            None => Self::created(event),
            Some(Self::Pending { asked }) => Self::pending(asked, event),
            Some(Self::Authenticated {
                asked,
                sign_in,
                code,
            }) => Self::authenticated(asked, sign_in, code, event),
            Some(Self::Redeemed {
                asked,
                sign_in,
                grant,
            }) => Self::redeemed(asked, sign_in, grant, event),
            Some(Self::Denied { .. } | Self::Revoked { .. }) => None,
        }
    }

    fn created(event: &Recorded<RequestFact>) -> Option<Self> {
        let RequestFact::Created(created) = &event.fact else {
            return None;
        };
        let asked = Asked {
            client_id: created.client_id,
            redirect_uri: created.redirect_uri.clone(),
            scope: created.scope.clone(),
            code_challenge: created.code_challenge.clone(),
            created_by: event.id,
            created_at: event.occurred_at,
            expires_at: created.expires_at,
            rejections: 0,
        };
        Some(Self::Pending { asked })
    }

    fn pending(asked: Asked, event: &Recorded<RequestFact>) -> Option<Self> {
        match &event.fact {
            RequestFact::AgentRejected(_) => {
                let rejections = asked.rejections.saturating_add(1);
                Some(Self::Pending {
                    asked: Asked {
                        rejections,
                        ..asked
                    },
                })
            }
            RequestFact::AgentAuthenticated(by) => {
                let sign_in = SignIn {
                    agent_id: by.agent_id,
                    owner_id: by.owner_id,
                    model: by.model.clone(),
                    method: by.method,
                    binding: by.binding,
                    at: event.occurred_at,
                    position: event.position,
                    derivation_keys: Vec::new(),
                };
                // Its code follows in the same commit; until that fact is folded there is none.
                let code = Code {
                    issued_by: event.id,
                    derivation_key: String::new(),
                    expires_at: event.occurred_at,
                };
                Some(Self::Authenticated {
                    asked,
                    sign_in,
                    code,
                })
            }
            RequestFact::Revoked(end) => Some(Self::Denied {
                expired: event.occurred_at >= asked.expires_at,
                asked,
                reason: end.reason,
            }),
            _ => None,
        }
    }

    fn authenticated(
        asked: Asked,
        mut sign_in: SignIn,
        code: Code,
        event: &Recorded<RequestFact>,
    ) -> Option<Self> {
        match &event.fact {
            RequestFact::CodeIssued(issued) => {
                sign_in.under(&issued.derivation_key);
                let code = Code {
                    issued_by: event.id,
                    derivation_key: issued.derivation_key.clone(),
                    expires_at: issued.expires_at,
                };
                Some(Self::Authenticated {
                    asked,
                    sign_in,
                    code,
                })
            }
            RequestFact::CodeRedeemed(redeemed) => {
                sign_in.under(&redeemed.derivation_key);
                let current = Issue {
                    generation: 1,
                    issued_by: event.id,
                    derivation_key: redeemed.derivation_key.clone(),
                    at: event.occurred_at,
                    scope: redeemed.scope.clone(),
                    jti: redeemed.jti.clone(),
                    iat: redeemed.iat,
                    exp: redeemed.exp,
                };
                let grant = Box::new(Grant {
                    scope: redeemed.scope.clone(),
                    code_issued_by: code.issued_by,
                    refreshable: redeemed.refreshable,
                    current,
                    previous: None,
                    revoked_access_tokens: Vec::new(),
                });
                Some(Self::Redeemed {
                    asked,
                    sign_in,
                    grant,
                })
            }
            RequestFact::Revoked(end) => Some(Self::Revoked {
                expired: event.occurred_at >= asked.expires_at.max(code.expires_at),
                asked,
                sign_in,
                redeemed: false,
                reason: end.reason,
            }),
            _ => None,
        }
    }

    fn redeemed(
        asked: Asked,
        mut sign_in: SignIn,
        mut grant: Box<Grant>,
        event: &Recorded<RequestFact>,
    ) -> Option<Self> {
        match &event.fact {
            RequestFact::TokenRefreshed(refreshed) => {
                sign_in.under(&refreshed.derivation_key);
                let next = Issue {
                    generation: refreshed.generation,
                    issued_by: event.id,
                    derivation_key: refreshed.derivation_key.clone(),
                    at: event.occurred_at,
                    scope: refreshed.scope.clone(),
                    jti: refreshed.jti.clone(),
                    iat: refreshed.iat,
                    exp: refreshed.exp,
                };
                let used = std::mem::replace(&mut grant.current, next);
                grant.previous = Some(Superseded {
                    issued_by: used.issued_by,
                    used_at: event.occurred_at,
                    repeated: false,
                });
            }
            RequestFact::RefreshTokenRepeated(_) => {
                grant.previous.as_mut()?.repeated = true;
            }
            RequestFact::AccessTokenRevoked(revoked) => {
                let now = event.occurred_at.as_second();
                grant.revoked_access_tokens.retain(|token| token.exp > now);
                grant.revoked_access_tokens.push(RevokedAccessToken {
                    jti: revoked.jti.clone(),
                    exp: revoked.exp,
                });
            }
            RequestFact::CodeReplayed(_) | RequestFact::RefreshTokenReplayed(_) => {}
            RequestFact::Revoked(end) => {
                return Some(Self::Revoked {
                    asked,
                    sign_in,
                    redeemed: true,
                    expired: false,
                    reason: end.reason,
                });
            }
            _ => return None,
        }
        Some(Self::Redeemed {
            asked,
            sign_in,
            grant,
        })
    }
}
