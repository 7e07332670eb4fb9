//! Any sequence of commands through the real store keeps the log's promises: positions and versions
//! dense, the stored states those that the log folds to, one redemption, nothing after the end.

use std::{collections::HashMap, time::Duration};

use auth_agent::{
    domain::{
        Agent, AgentId, AuthRequest, Binding, Client, Decision, EventId, Fact, GrantType,
        Lifetimes, Metadata, Owner, OwnerId, Recorded, RequestFact, RequestId,
        auth_request::{
            Authenticate, AuthenticationMethod, RedeemCode, Refresh, RevokedReason, authenticate,
            redeem_code, refresh, reissue_code, revoke_access_token, revoke_grant,
        },
    },
    store::{Committed, Situation, Store, maintenance},
};
use proptest::{
    prelude::{Just, ProptestConfig, Strategy, prop, prop_oneof, proptest},
    sample::Index,
};

use crate::{
    log::{Node, Place},
    support::{Backend, Env},
};

/// What the registered requests' challenge is (`c` 43 times), as the transformation of a verifier.
const RIGHT: &str = "ccccccccccccccccccccccccccccccccccccccccccc";
const WRONG: &str = "ddddddddddddddddddddddddddddddddddddddddddd";
const REQUESTS: usize = 3;
const AGENTS: usize = 2;

#[derive(Debug, Clone)]
enum Command {
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
fn batches() -> impl Strategy<Value = Vec<Vec<(usize, Command)>>> {
    let batch = prop::collection::vec((0..REQUESTS, command()), 1..5);
    prop::collection::vec(batch, 1..14)
}

/// The events of one request that artefacts are derived from.
#[derive(Debug, Default, Clone)]
struct Issued {
    codes: Vec<EventId>,
    tokens: Vec<EventId>,
    access_tokens: Vec<(String, i64)>,
}

fn issued(log: &[Committed], request: &RequestId) -> Issued {
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

struct World {
    node: Node,
    client: auth_agent::domain::ClientId,
    agents: Vec<(AgentId, OwnerId)>,
    requests: Vec<RequestId>,
    lifetimes: Lifetimes,
}

impl World {
    async fn new(place: &Place) -> Self {
        let node = place.node().await;
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
        Self {
            node,
            client,
            agents,
            requests,
            lifetimes,
        }
    }

    async fn log(&self) -> Vec<Committed> {
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

    async fn take(&self, request: usize, command: &Command, issued: &Issued) {
        let id = self.requests[request];
        let lifetimes = &self.lifetimes;
        let jti = format!("{:?}", auth_agent::edge::new_event_id());
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
                self.decide(&id, None, |request, seen| {
                    let command = RedeemCode {
                        client_id: self.client,
                        presents: &|event| *event == code,
                        hashed_verifier: if *right { RIGHT } else { WRONG },
                        redirect_uri: None,
                        jti: &jti,
                        now: seen.now,
                    };
                    redeem_code(request, &seen.standing, &command, lifetimes).facts
                })
                .await;
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

fn pick<T: Clone>(from: &[T], which: Index) -> Option<T> {
    (!from.is_empty()).then(|| which.get(from).clone())
}

/// The state that a stream's events fold to.
fn folded<S, F>(
    log: &[Committed],
    stream: &str,
    of: impl Fn(&Fact) -> Option<F>,
    apply: impl Fn(Option<S>, &Recorded<F>) -> Option<S>,
) -> (u64, Option<S>) {
    let (mut version, mut state) = (0, None);
    for event in log
        .iter()
        .filter(|event| event.stream.to_string() == stream)
    {
        let recorded = &event.recorded;
        let fact = of(&recorded.fact).expect("a fact of its stream");
        let recorded = Recorded {
            position: recorded.position,
            version: recorded.version,
            id: recorded.id,
            occurred_at: recorded.occurred_at,
            fact,
        };
        state = Some(apply(state, &recorded).expect("a fact that can follow"));
        version = recorded.version;
    }
    (version, state)
}

/// Positions and versions are dense, and the moments never run backwards.
fn is_dense(log: &[Committed]) {
    let mut versions: HashMap<String, u64> = HashMap::new();
    for (index, event) in log.iter().enumerate() {
        assert_eq!(
            event.recorded.position,
            index as u64 + 1,
            "positions are dense"
        );
        let version = versions.entry(event.stream.to_string()).or_default();
        *version += 1;
        assert_eq!(event.recorded.version, *version, "versions are dense");
    }
}

/// What the store keeps is what the log folds to.
async fn agrees(world: &World, store: &Store, log: &[Committed]) {
    for request in &world.requests {
        let stream = format!("auth_request/{request}");
        let of = |fact: &Fact| match fact {
            Fact::Request(fact) => Some(fact.clone()),
            _ => None,
        };
        let (version, state) = folded(log, &stream, of, AuthRequest::apply);
        let seen = store.situation(request, None).await.unwrap();
        let stored = seen.request.as_ref().unwrap();
        assert_eq!(
            (stored.version, Some(&stored.state)),
            (version, state.as_ref())
        );
        one_life(log, &stream, &seen);
    }
    for (agent, owner) in &world.agents {
        let of = |fact: &Fact| match fact {
            Fact::Agent(fact) => Some(fact.clone()),
            _ => None,
        };
        let (version, state) = folded(log, &format!("agent/{agent}"), of, Agent::apply);
        let stored = store.agent(agent).await.unwrap().unwrap();
        assert_eq!((stored.version, Some(stored.state)), (version, state));
        let of = |fact: &Fact| match fact {
            Fact::Owner(fact) => Some(fact.clone()),
            _ => None,
        };
        let (version, state) = folded(log, &format!("owner/{owner}"), of, Owner::apply);
        let stored = store.owner(owner).await.unwrap().unwrap();
        assert_eq!((stored.version, Some(stored.state)), (version, state));
    }
    let of = |fact: &Fact| match fact {
        Fact::Client(fact) => Some(fact.clone()),
        _ => None,
    };
    let (version, state) = folded(log, &format!("client/{}", world.client), of, Client::apply);
    let stored = store.client(&world.client).await.unwrap().unwrap();
    assert_eq!((stored.version, Some(stored.state)), (version, state));
}

/// One redemption at most; nothing follows the end, and nothing lives after it or after a suspension.
fn one_life(log: &[Committed], stream: &str, seen: &Situation) {
    let its: Vec<_> = log
        .iter()
        .filter(|e| e.stream.to_string() == stream)
        .collect();
    let types: Vec<_> = its
        .iter()
        .map(|event| event.recorded.fact.type_name())
        .collect();
    let count = |name: &str| types.iter().filter(|t| **t == name).count();
    for once in ["Created", "AgentAuthenticated", "CodeRedeemed", "Revoked"] {
        assert!(count(once) <= 1, "{once} at most once: {types:?}");
    }
    let ended = types.iter().position(|name| *name == "Revoked");
    assert!(
        ended.is_none_or(|at| at + 1 == types.len()),
        "the end is the end: {types:?}"
    );
    let state = &seen.request.as_ref().unwrap().state;
    let cut_off = state
        .sign_in()
        .is_some_and(|sign_in| seen.standing.cut_off(sign_in.position).is_some());
    if ended.is_some() || cut_off {
        assert!(state.active(&seen.standing).is_none(), "the dead stay dead");
        assert!(state.live_code(&seen.standing, seen.now).is_none());
    } else {
        let issued = count("CodeRedeemed") == 1;
        assert_eq!(state.active(&seen.standing).is_some(), issued);
    }
}

async fn whatever_happens(batches: Vec<Vec<(usize, Command)>>) {
    let place = Place::new(Env {
        backend: Backend::Sqlite,
    })
    .await;
    let world = World::new(&place).await;
    for batch in &batches {
        let log = world.log().await;
        let known: Vec<Issued> = world.requests.iter().map(|id| issued(&log, id)).collect();
        // At once: decisions are taken on states that others are changing.
        let commands = batch
            .iter()
            .map(|(request, command)| world.take(*request, command, &known[*request]));
        futures_util::future::join_all(commands).await;
        let log = world.log().await;
        is_dense(&log);
        agrees(&world, &world.node.store, &log).await;
    }
    // What was heard in commits is the log, in its order.
    let log = world.log().await;
    let heard = world.node.heard();
    let positions: Vec<u64> = heard.iter().map(|event| event.recorded.position).collect();
    assert_eq!(positions, (1..=log.len() as u64).collect::<Vec<_>>());
    world.node.stop().await;
    let report = maintenance::check(&place.url()).await.unwrap();
    assert_eq!((report.differences, report.told), (0, Vec::new()));
    assert_eq!(report.events, log.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 64,
        ..ProptestConfig::with_cases(48)
    })]

    #[test]
    fn any_commands_in_any_order_and_at_once_keep_the_log_s_promises(batches in batches()) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime starts");
        runtime.block_on(whatever_happens(batches));
    }
}
