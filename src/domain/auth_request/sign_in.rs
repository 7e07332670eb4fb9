//! Decisions up to the code: an agent authenticates; a code that ran out unfetched is replaced.

use jiff::Timestamp;

use super::{
    AgentAuthenticated, AgentRejected, AuthRequest, AuthenticationMethod, CodeIssued, Rejection,
    RequestFact, SignIn,
};
use crate::domain::{
    AgentId, Binding, Client, ClientId, Decision, Lifetimes, Standing, redirect_uri,
};

/// Refusals recorded for one request; further ones are answered but not recorded, so that nobody
/// can grow a stream at will.
pub const MAX_REJECTIONS: u8 = 5;

/// An agent that has proved who it is asks to sign in.
#[derive(Debug, Clone)]
pub struct Authenticate {
    /// The agent.
    pub agent_id: AgentId,
    /// Its own word for its model.
    pub model: String,
    /// How it proved who it is.
    pub method: AuthenticationMethod,
    /// How the call is bound to the waiting browser; `None` when it carries other requests'
    /// cookies and not this one's.
    pub binding: Option<Binding>,
    /// The website it means, by origin.
    pub expected_origin: Option<String>,
    /// The website it means, by id (compared as text: any text may come).
    pub expected_client_id: Option<String>,
    /// When, by the clock that judges lifetimes.
    pub now: Timestamp,
}

/// An answer that says yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// The binding as recorded.
    pub binding: Binding,
}

/// Why an agent may not sign in, in the order of the contract's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthenticateRefusal {
    /// The agent or its owner is suspended, or the agent revoked.
    Suspended,
    /// No such request.
    UnknownRequest,
    /// Older than the request's lifetime.
    Expired,
    /// Another agent has authenticated it, or it was denied.
    Closed,
    /// Refused by policy; the page stays open.
    Policy {
        /// Why.
        reason: Rejection,
        /// The binding that would have been enough.
        required: Binding,
    },
}

/// Decides whether the agent signs in. The checks stand in the order of the contract.
#[must_use]
pub fn authenticate(
    request: Option<&AuthRequest>,
    standing: &Standing,
    command: &Authenticate,
    lifetimes: &Lifetimes,
) -> Decision<Result<Authenticated, AuthenticateRefusal>, RequestFact> {
    use AuthenticateRefusal as Refusal;
    let refuse = |refusal| Decision::unchanged(Err(refusal));

    let (Some(agent), Some(owner)) = (&standing.agent, &standing.owner) else {
        return refuse(Refusal::Suspended);
    };
    if !agent.state.admission.is_active() || !owner.state.admission.is_active() {
        return refuse(Refusal::Suspended);
    }
    let (Some(request), Some(client)) = (request, &standing.client) else {
        return refuse(Refusal::UnknownRequest);
    };
    let asked = request.asked();
    let expired = command.now >= asked.expires_at;
    if let Some(sign_in) = request.sign_in() {
        if sign_in.agent_id == command.agent_id
            && !expired
            && is_standing(request, sign_in, standing)
        {
            return Decision::unchanged(Ok(Authenticated {
                binding: sign_in.binding,
            }));
        }
        return refuse(if expired {
            Refusal::Expired
        } else {
            Refusal::Closed
        });
    }
    if expired {
        return refuse(Refusal::Expired);
    }
    if matches!(request, AuthRequest::Denied { .. }) || client.state.is_revoked() {
        return refuse(Refusal::Closed);
    }

    let required = client
        .state
        .registered
        .minimum_binding
        .max(agent.state.registered.minimum_binding);
    let policy = check_policy(command, required, asked, &client.state, &agent.state);
    let binding = match policy {
        Ok(binding) => binding,
        Err(reason) => {
            let fact = AgentRejected {
                agent_id: command.agent_id,
                reason,
            };
            let facts = if asked.rejections < MAX_REJECTIONS {
                vec![RequestFact::AgentRejected(fact)]
            } else {
                Vec::new()
            };
            return Decision::with(facts, Err(Refusal::Policy { reason, required }));
        }
    };
    let authenticated = AgentAuthenticated {
        agent_id: command.agent_id,
        owner_id: agent.state.registered.owner_id,
        model: command.model.clone(),
        method: command.method,
        binding,
    };
    let code = CodeIssued {
        expires_at: command.now + lifetimes.code,
        derivation_key: standing.derivation_key().to_owned(),
    };
    Decision::with(
        [
            RequestFact::AgentAuthenticated(authenticated),
            RequestFact::CodeIssued(code),
        ],
        Ok(Authenticated { binding }),
    )
}

fn is_standing(request: &AuthRequest, sign_in: &SignIn, standing: &Standing) -> bool {
    !matches!(request, AuthRequest::Revoked { .. }) && standing.cut_off(sign_in).is_none()
}

fn check_policy(
    command: &Authenticate,
    required: Binding,
    asked: &super::Asked,
    client: &Client,
    agent: &crate::domain::Agent,
) -> Result<Binding, Rejection> {
    let binding = command.binding.ok_or(Rejection::BrowserMismatch)?;
    if binding < required {
        return Err(Rejection::BindingRequired);
    }
    if !means(command, asked.client_id, &asked.redirect_uri, client) {
        return Err(Rejection::OriginMismatch);
    }
    let may = &agent.registered;
    if may
        .allowed_clients
        .as_ref()
        .is_some_and(|allowed| !allowed.contains(&asked.client_id))
    {
        return Err(Rejection::ClientNotAllowed);
    }
    if may
        .allowed_scopes
        .as_ref()
        .is_some_and(|allowed| !asked.scope.is_within(allowed))
    {
        return Err(Rejection::ScopeNotAllowed);
    }
    Ok(binding)
}

/// Whether the request is of the website that the agent says it means to sign in to.
fn means(command: &Authenticate, client_id: ClientId, redirect_uri: &str, client: &Client) -> bool {
    if command
        .expected_client_id
        .as_ref()
        .is_some_and(|id| *id != client_id.to_string())
    {
        return false;
    }
    let Some(expected) = &command.expected_origin else {
        return true;
    };
    let shown = redirect_uri::display_origin(redirect_uri);
    let home = client.registered.client_uri.as_deref();
    redirect_uri::same_origin(expected, &shown)
        || home.is_some_and(|home| redirect_uri::same_origin(expected, home))
}

/// Issues a new code to the waiting browser when the former ran out unfetched and the request's
/// own lifetime has not.
#[must_use]
pub fn reissue_code(
    request: &AuthRequest,
    standing: &Standing,
    now: Timestamp,
    lifetimes: &Lifetimes,
) -> Decision<(), RequestFact> {
    match request {
        AuthRequest::Authenticated {
            asked,
            sign_in,
            code,
        } if now >= code.expires_at
            && now < asked.expires_at
            && standing.cut_off(sign_in).is_none() =>
        {
            let issued = CodeIssued {
                expires_at: now + lifetimes.code,
                derivation_key: standing.derivation_key().to_owned(),
            };
            Decision::with([RequestFact::CodeIssued(issued)], ())
        }
        _ => Decision::unchanged(()),
    }
}
