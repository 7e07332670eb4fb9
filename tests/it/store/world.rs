//! Commands, and a store with websites, agents and pages that they are about.

use std::time::Duration;

use auth_agent::{
    domain::{
        Agent, AgentId, AuthRequest, Binding, ClientId, Decision, EventId, Fact, GrantType,
        Lifetimes, Metadata, Owner, OwnerId, Recorded, RequestFact, RequestId,
        auth_request::{
            Authenticate, AuthenticationMethod, RedeemCode, Refresh, RevokedReason, authenticate,
            redeem_code, refresh, reissue_code, revoke_access_token, revoke_grant,
        },
    },
    store::{Committed, Situation},
};
use proptest::{
    prelude::{Just, Strategy, prop, prop_oneof},
    sample::Index,
};

use crate::log::node::{Node, Place};

/// What the registered requests' challenge is (`c` 43 times), as the transformation of a verifier.
const RIGHT: &str = "ccccccccccccccccccccccccccccccccccccccccccc";
const WRONG: &str = "ddddddddddddddddddddddddddddddddddddddddddd";
const REQUESTS: usize = 3;
const AGENTS: usize = 2;

/// What may happen.
#[derive(Debug, Clone)]
pub(super) enum Command {
    Authenticate { agent: usize, bound: bool },
    Reissue,
    Redeem { which: Index, right: bool },
    Refresh { which: Index },
    RevokeGrant,
    RevokeAccessToken { which: Index },
    Suspend { agent: usize, owner: bool },
    Reinstate { agent: usize, owner: bool },
}

fn command() -> impl Strategy<Value = Command> {
    let which = proptest::arbitrary::any::<Index>;
    prop_oneof![
        4 => (0..AGENTS, prop::bool::weighted(0.8))
            .prop_map(|(agent, bound)| Command::Authenticate { agent, bound }),
        1 => Just(Command::Reissue),
        4 => (which(), prop::bool::weighted(0.8))
            .prop_map(|(which, right)| Command::Redeem { which, right }),
        4 => which().prop_map(|which| Command::Refresh { which }),
        1 => Just(Command::RevokeGrant),
        1 => which()
            .prop_map(|which| Command::RevokeAccessToken { which }),
        1 => (0..AGENTS, prop::bool::ANY)
            .prop_map(|(agent, owner)| Command::Suspend { agent, owner }),
        1 => (0..AGENTS, prop::bool::ANY)
            .prop_map(|(agent, owner)| Command::Reinstate { agent, owner }),
    ]
}

/// A place in a batch of commands, each about one of the requests; a batch is taken at once.
pub(super) fn batches() -> impl Strategy<Value = Vec<Vec<(usize, Command)>>> {
    let batch = prop::collection::vec((0..REQUESTS, command()), 1..5);
    prop::collection::vec(batch, 1..14)
}

/// The events of one request that artefacts are derived from.
#[derive(Debug, Default, Clone)]
pub(super) struct Issued {
    codes: Vec<EventId>,
    tokens: Vec<EventId>,
    access_tokens: Vec<(String, i64)>,
}

fn issued_to(log: &[Committed], request: &RequestId) -> Issued {
    let stream = format!("auth_request/{request}");
    let mut issued = Issued::default();
    for event in log
        .iter()
        .filter(|event| event.stream.to_string() == stream)
    {
        let Recorded { id, fact, .. } = &event.recorded;
        match fact {
            Fact::Request(RequestFact::CodeIssued(_)) => issued.codes.push(*id),
            Fact::Request(RequestFact::CodeRedeemed(by)) => {
                issued.tokens.push(*id);
                issued.access_tokens.push((by.jti.clone(), by.exp));
            }
            Fact::Request(RequestFact::TokenRefreshed(by)) => {
                issued.tokens.push(*id);
                issued.access_tokens.push((by.jti.clone(), by.exp));
            }
            _ => {}
        }
    }
    issued
}

/// A store, and who and what is in it.
pub(super) struct World {
    pub(super) node: Node,
    pub(super) client: ClientId,
    pub(super) agents: Vec<(AgentId, OwnerId)>,
    pub(super) requests: Vec<RequestId>,
    lifetimes: Lifetimes,
}

impl World {
    pub(super) async fn new(place: &Place) -> Self {
        let node = place.node().await;
        node.install_keys().await;
        let grants = [GrantType::AuthorizationCode, GrantType::RefreshToken];
        let client = node.client_that(&grants, None).await.unwrap();
        let mut agents = Vec::new();
        for _ in 0..AGENTS {
            let agent = node.agent().await;
            let found = node.store.agent(&agent).await.unwrap().unwrap();
            agents.push((agent, found.state.registered.owner_id));
        }
        let mut requests = Vec::new();
        for _ in 0..REQUESTS {
            requests.push(node.request(client, 1).await.unwrap());
        }
        // No grace: every second use of a refresh token is theft.
        let lifetimes = Lifetimes {
            refresh_grace: Duration::ZERO,
            ..Lifetimes::default()
        };
        let world = Self {
            node,
            client,
            agents,
            requests,
            lifetimes,
        };
        // One of them has come as far as tokens, where most of the rules are.
        let agent = Command::Authenticate {
            agent: 0,
            bound: true,
        };
        world.take(0, &agent, &Issued::default()).await;
        let known = world.issued().await;
        world
            .redeem(&world.requests[0], known[0].codes[0], RIGHT)
            .await;
        assert_eq!(world.issued().await[0].tokens.len(), 1);
        world
    }

    /// What artefacts each request's events stand for.
    pub(super) async fn issued(&self) -> Vec<Issued> {
        let log = self.log().await;
        let each = self.requests.iter();
        each.map(|request| issued_to(&log, request)).collect()
    }

    pub(super) async fn log(&self) -> Vec<Committed> {
        self.node.store.events_after(0, 100_000).await.unwrap()
    }

    async fn decide(
        &self,
        request: &RequestId,
        agent: Option<&AgentId>,
        decide: impl Fn(&AuthRequest, &Situation) -> Vec<RequestFact>,
    ) {
        let system = Metadata::system();
        let done = self.node.store.on_request(request, agent, &system, |seen| {
            let request = &seen.request.as_ref().expect("it is there").state;
            Decision::with(decide(request, seen), ())
        });
        done.await.expect("it is committed");
    }

    pub(super) async fn take(&self, request: usize, command: &Command, issued: &Issued) {
        let id = self.requests[request];
        let lifetimes = &self.lifetimes;
        let jti = new_jti();
        match command {
            Command::Authenticate { agent, bound } => {
                let (agent, _) = self.agents[*agent];
                let decide = |request: &AuthRequest, seen: &Situation| {
                    let command = Authenticate {
                        agent_id: agent,
                        model: "claude-opus-4".to_owned(),
                        method: AuthenticationMethod::Secret,
                        binding: bound.then_some(Binding::Browser),
                        expected_origin: None,
                        expected_client_id: None,
                        now: seen.now,
                    };
                    authenticate(Some(request), &seen.standing, &command, lifetimes).facts
                };
                self.decide(&id, Some(&agent), decide).await;
            }
            Command::Reissue => {
                self.decide(&id, None, |request, seen| {
                    reissue_code(request, &seen.standing, seen.now, lifetimes).facts
                })
                .await;
            }
            Command::Redeem { which, right } => {
                let Some(code) = pick(&issued.codes, *which) else {
                    return;
                };
                let verifier = if *right { RIGHT } else { WRONG };
                self.redeem(&id, code, verifier).await;
            }
            Command::Refresh { which } => {
                let Some(token) = pick(&issued.tokens, *which) else {
                    return;
                };
                self.decide(&id, None, |request, seen| {
                    let command = Refresh {
                        client_id: self.client,
                        presents: &|event| *event == token,
                        proved_older: true,
                        scope: None,
                        jti: &jti,
                        now: seen.now,
                    };
                    refresh(request, &seen.standing, &command, lifetimes).facts
                })
                .await;
            }
            Command::RevokeGrant => {
                self.decide(&id, None, |request, _| {
                    revoke_grant(request, RevokedReason::RevokedByClient).facts
                })
                .await;
            }
            Command::RevokeAccessToken { which } => {
                let Some((jti, exp)) = pick(&issued.access_tokens, *which) else {
                    return;
                };
                self.decide(&id, None, |request, seen| {
                    revoke_access_token(request, &jti, exp, seen.now).facts
                })
                .await;
            }
            Command::Suspend { agent, owner } => self.switch(*agent, *owner, true).await,
            Command::Reinstate { agent, owner } => self.switch(*agent, *owner, false).await,
        }
    }

    async fn redeem(&self, id: &RequestId, code: EventId, hashed_verifier: &str) {
        let jti = new_jti();
        self.decide(id, None, |request, seen| {
            let command = RedeemCode {
                client_id: self.client,
                presents: &|event| *event == code,
                hashed_verifier,
                redirect_uri: None,
                jti: &jti,
                now: seen.now,
            };
            redeem_code(request, &seen.standing, &command, &self.lifetimes).facts
        })
        .await;
    }

    async fn switch(&self, agent: usize, owner: bool, suspend: bool) {
        let (agent, its_owner) = self.agents[agent];
        let (store, system) = (&self.node.store, Metadata::system());
        if owner {
            let decide = |owner: &Owner| {
                if suspend {
                    owner.suspend()
                } else {
                    owner.reinstate()
                }
            };
            store.on_owner(&its_owner, &system, decide).await.unwrap();
        } else {
            let decide = |agent: &Agent| {
                if suspend {
                    agent.suspend()
                } else {
                    agent.reinstate()
                }
            };
            store.on_agent(&agent, &system, decide).await.unwrap();
        }
    }
}

fn new_jti() -> String {
    format!("{:?}", auth_agent::edge::new_event_id())
}

fn pick<T: Clone>(from: &[T], which: Index) -> Option<T> {
    (!from.is_empty()).then(|| which.get(from).clone())
}
