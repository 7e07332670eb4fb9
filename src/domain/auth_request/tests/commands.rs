//! What can be asked: each command with everything right, so that a story names only what is not.

use super::harness::{AGENT, CLIENT, REDIRECT_URI, RIGHT, Seen};
use crate::domain::{
    AgentId, Binding, ClientId, Decision, EventId, RequestFact, Scope,
    auth_request::{
        self, Authenticate, AuthenticateRefusal, Authenticated, AuthenticationMethod, RedeemCode,
        RedeemRefusal, Refresh, RefreshRefusal, Refreshed,
    },
};

/// An agent's call.
#[derive(Debug, Clone)]
pub(super) struct Authenticating {
    pub(super) agent_id: AgentId,
    pub(super) binding: Option<Binding>,
    pub(super) expected_origin: Option<&'static str>,
    pub(super) expected_client_id: Option<String>,
}

pub(super) const fn by(agent_id: AgentId) -> Authenticating {
    Authenticating {
        agent_id,
        binding: Some(Binding::Browser),
        expected_origin: None,
        expected_client_id: None,
    }
}

/// By [`AGENT`], with this binding.
pub(super) fn bound(binding: Option<Binding>) -> Authenticating {
    Authenticating {
        binding,
        ..by(AGENT)
    }
}

pub(super) type Answered = Decision<Result<Authenticated, AuthenticateRefusal>, RequestFact>;

pub(super) fn authenticate(call: Authenticating) -> impl Fn(&Seen) -> Answered {
    move |seen| {
        let command = Authenticate {
            agent_id: call.agent_id,
            model: "claude-opus-4".to_owned(),
            method: AuthenticationMethod::Secret,
            binding: call.binding,
            expected_origin: call.expected_origin.map(ToOwned::to_owned),
            expected_client_id: call.expected_client_id.clone(),
            now: seen.now,
        };
        let request = seen.request.as_ref();
        auth_request::authenticate(request, &seen.standing, &command, &seen.lifetimes)
    }
}

/// The waiting browser asks after a code.
pub(super) fn reissue(seen: &Seen) -> Decision<(), RequestFact> {
    auth_request::reissue_code(seen.request(), &seen.standing, seen.now, &seen.lifetimes)
}

/// A website presents a code.
#[derive(Debug, Clone, Copy)]
pub(super) struct Redeeming {
    pub(super) client_id: ClientId,
    /// The event that the presented code is derived from.
    pub(super) code: EventId,
    pub(super) hashed_verifier: &'static str,
    pub(super) redirect_uri: Option<&'static str>,
}

pub(super) const fn code(code: EventId) -> Redeeming {
    Redeeming {
        client_id: CLIENT,
        code,
        hashed_verifier: RIGHT,
        redirect_uri: Some(REDIRECT_URI),
    }
}

pub(super) fn redeem(
    call: Redeeming,
) -> impl Fn(&Seen) -> Decision<Result<(), RedeemRefusal>, RequestFact> {
    move |seen| {
        let command = RedeemCode {
            client_id: call.client_id,
            presents: &|event| *event == call.code,
            hashed_verifier: call.hashed_verifier,
            redirect_uri: call.redirect_uri,
            jti: "jti-1",
            now: seen.now,
        };
        auth_request::redeem_code(seen.request(), &seen.standing, &command, &seen.lifetimes)
    }
}

/// A website presents a refresh token.
#[derive(Debug, Clone)]
pub(super) struct Refreshing {
    pub(super) client_id: ClientId,
    /// The event that the presented token is derived from.
    pub(super) token: EventId,
    pub(super) proved_older: bool,
    pub(super) scope: Option<Scope>,
}

pub(super) const fn token(token: EventId) -> Refreshing {
    Refreshing {
        client_id: CLIENT,
        token,
        proved_older: false,
        scope: None,
    }
}

pub(super) fn refresh(
    call: Refreshing,
) -> impl Fn(&Seen) -> Decision<Result<Refreshed, RefreshRefusal>, RequestFact> {
    move |seen| {
        let generation = match seen.request() {
            auth_request::AuthRequest::Redeemed { grant, .. } => grant.current.generation + 1,
            _ => 0,
        };
        let command = Refresh {
            client_id: call.client_id,
            presents: &|event| *event == call.token,
            proved_older: call.proved_older,
            scope: call.scope.as_ref(),
            jti: &format!("jti-{generation}"),
            now: seen.now,
        };
        auth_request::refresh(seen.request(), &seen.standing, &command, &seen.lifetimes)
    }
}
