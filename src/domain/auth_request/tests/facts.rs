//! The facts, as most stories need them. Times are seconds since the page was opened.

use super::harness::{AGENT, CLIENT, KEY, MINUTE, OWNER, REDIRECT_URI, RIGHT, at};
use crate::domain::{
    AgentFact, AgentId, AgentRegistered, AgentReinstated, AgentRevoked, AgentSuspended, Binding,
    ClientFact, ClientRegistered, ClientRevoked, CodeChallenge, GrantType, OwnerFact, OwnerId,
    OwnerReinstated, OwnerSuspended, RequestFact, Scope, SubjectKind, TokenAlgorithm,
    auth_request::{
        AgentAuthenticated, AuthenticationMethod, CodeIssued, CodeRedeemed, Created, Revoked,
        RevokedReason, TokenRefreshed,
    },
};

pub(super) fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

/// The page is opened.
pub(super) fn created() -> RequestFact {
    created_for(REDIRECT_URI)
}

pub(super) fn created_for(redirect_uri: &str) -> RequestFact {
    RequestFact::Created(Created {
        client_id: CLIENT,
        redirect_uri: redirect_uri.to_owned(),
        scope: scope("openid profile"),
        code_challenge: CodeChallenge::parse(RIGHT).unwrap(),
        expires_at: at(10 * MINUTE),
    })
}

/// [`AGENT`] signs in with the browser's cookie.
pub(super) fn authenticated() -> RequestFact {
    authenticated_by(AGENT, OWNER, Binding::Browser)
}

pub(super) fn authenticated_by(
    agent_id: AgentId,
    owner_id: OwnerId,
    binding: Binding,
) -> RequestFact {
    RequestFact::AgentAuthenticated(AgentAuthenticated {
        agent_id,
        owner_id,
        model: "claude-opus-4".to_owned(),
        method: AuthenticationMethod::Secret,
        binding,
    })
}

pub(super) fn code_until(seconds: i64) -> RequestFact {
    RequestFact::CodeIssued(CodeIssued {
        expires_at: at(seconds),
        derivation_key: KEY.to_owned(),
    })
}

/// The exchange of the code at that time.
pub(super) fn redeemed(seconds: i64) -> RequestFact {
    redeemed_as(seconds, true)
}

pub(super) fn redeemed_as(seconds: i64, refreshable: bool) -> RequestFact {
    let iat = at(seconds).as_second();
    RequestFact::CodeRedeemed(CodeRedeemed {
        scope: scope("openid profile"),
        jti: "jti-1".to_owned(),
        iat,
        exp: iat + 10 * MINUTE,
        refreshable,
        derivation_key: KEY.to_owned(),
    })
}

/// A refresh at that time, which made that generation.
pub(super) fn refreshed(generation: u32, seconds: i64) -> RequestFact {
    refreshed_to(generation, seconds, "openid profile")
}

pub(super) fn refreshed_to(generation: u32, seconds: i64, to: &str) -> RequestFact {
    let iat = at(seconds).as_second();
    RequestFact::TokenRefreshed(TokenRefreshed {
        generation,
        scope: scope(to),
        jti: format!("jti-{generation}"),
        iat,
        exp: iat + 10 * MINUTE,
        derivation_key: KEY.to_owned(),
    })
}

pub(super) fn revoked(reason: RevokedReason) -> RequestFact {
    RequestFact::Revoked(Revoked { reason })
}

pub(super) fn suspended() -> AgentFact {
    AgentFact::Suspended(AgentSuspended {})
}

pub(super) fn reinstated() -> AgentFact {
    AgentFact::Reinstated(AgentReinstated {})
}

pub(super) fn agent_revoked() -> AgentFact {
    AgentFact::Revoked(AgentRevoked {})
}

pub(super) fn client_revoked() -> ClientFact {
    ClientFact::Revoked(ClientRevoked {})
}

pub(super) fn owner_suspended() -> OwnerFact {
    OwnerFact::Suspended(OwnerSuspended {})
}

pub(super) fn owner_reinstated() -> OwnerFact {
    OwnerFact::Reinstated(OwnerReinstated {})
}

pub(super) fn registered_client() -> ClientRegistered {
    ClientRegistered {
        client_name: "Profilio".to_owned(),
        redirect_uris: vec![REDIRECT_URI.to_owned()],
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        token_endpoint_auth_method: None,
        scope: scope("openid profile email"),
        id_token_signed_response_alg: TokenAlgorithm::RS256,
        access_token_signed_response_alg: None,
        subject: SubjectKind::Agent,
        minimum_binding: Binding::Address,
        client_uri: None,
    }
}

pub(super) fn registered_agent(owner_id: OwnerId) -> AgentRegistered {
    AgentRegistered {
        owner_id,
        model: None,
        capabilities: Vec::new(),
        allowed_scopes: None,
        allowed_clients: None,
        minimum_binding: Binding::Address,
    }
}
