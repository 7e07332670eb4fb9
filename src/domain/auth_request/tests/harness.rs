//! A world of two agents of one owner, a third of another, two websites and one sign-in.
//!
//! [`World`] is a log without a database: it assigns positions, versions, event ids and times, and
//! keeps the fold of every stream. A story goes `given([…]).at(30).when(|seen| …).then([…], …)`,
//! and may go on from there. Times are seconds since the page was opened.

use std::{collections::BTreeMap, fmt::Debug};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::facts::{registered_agent, registered_client};
use crate::domain::{
    Agent, AgentFact, AgentId, AgentRegistered, AuthRequest, Client, ClientFact, ClientId,
    ClientRegistered, Decision, EventId, Fact, Lifetimes, LivingKey, Owner, OwnerFact, OwnerId,
    OwnerRegistered, Recorded, RequestFact, RequestId, Standing, StreamId, Versioned,
};

pub(super) const REQUEST: RequestId = RequestId::from_uuid(Uuid::from_u128(0x10));
pub(super) const CLIENT: ClientId = ClientId::from_uuid(Uuid::from_u128(0x20));
pub(super) const OTHER_CLIENT: ClientId = ClientId::from_uuid(Uuid::from_u128(0x21));
pub(super) const OWNER: OwnerId = OwnerId::from_uuid(Uuid::from_u128(0x30));
pub(super) const OTHER_OWNER: OwnerId = OwnerId::from_uuid(Uuid::from_u128(0x31));
/// The agent that signs in, unless a story says otherwise.
pub(super) const AGENT: AgentId = AgentId::from_uuid(Uuid::from_u128(0x40));
/// Another agent of the same owner.
pub(super) const SIBLING: AgentId = AgentId::from_uuid(Uuid::from_u128(0x41));
/// An agent of another owner.
pub(super) const STRANGER: AgentId = AgentId::from_uuid(Uuid::from_u128(0x42));

/// The key that everything is derived under.
pub(super) const KEY: &str = "1";
pub(super) const REDIRECT_URI: &str = "https://profilio.example/callback";
/// What the right verifier hashes to.
pub(super) const RIGHT: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// What another verifier hashes to.
pub(super) const WRONG: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

pub(super) const MINUTE: i64 = 60;
pub(super) const DAY: i64 = 24 * 60 * 60;

/// So many seconds after the page was opened.
pub(super) fn at(seconds: i64) -> Timestamp {
    "2026-01-31T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

/// The id of the request's event of that version: 1 is `Created`, and in most stories 2 is
/// `AgentAuthenticated`, 3 the first `CodeIssued`, 4 `CodeRedeemed`.
pub(super) const fn event(version: u64) -> EventId {
    named(0xAA, version)
}

const fn named(kind: u8, number: u64) -> EventId {
    EventId::from_bytes((((kind as u128) << 120) | number as u128).to_be_bytes())
}

// ---- the world --------------------------------------------------------------------------------

/// A log in memory, with the fold of each of its streams.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct World {
    pub(super) log: Vec<(StreamId, Recorded<Fact>)>,
    pub(super) request: Option<Versioned<AuthRequest>>,
    pub(super) clients: BTreeMap<ClientId, Versioned<Client>>,
    pub(super) agents: BTreeMap<AgentId, Versioned<Agent>>,
    pub(super) owners: BTreeMap<OwnerId, Versioned<Owner>>,
    pub(super) now: Timestamp,
}

/// What a decision may look at: the request, those it depends on, and the time.
pub(super) struct Seen {
    pub(super) request: Option<AuthRequest>,
    pub(super) standing: Standing,
    pub(super) now: Timestamp,
    pub(super) lifetimes: Lifetimes,
}

impl Seen {
    /// The request, in a story that has one.
    pub(super) fn request(&self) -> &AuthRequest {
        self.request.as_ref().expect("this story has a request")
    }
}

fn next<S, F>(
    before: Option<Versioned<S>>,
    event: &Recorded<Fact>,
    fact: F,
    fold: impl Fn(Option<S>, &Recorded<F>) -> Option<S>,
) -> Versioned<S> {
    let event = Recorded {
        position: event.position,
        version: event.version,
        id: event.id,
        occurred_at: event.occurred_at,
        fact,
    };
    let state = fold(before.map(|before| before.state), &event).expect("the fact can follow");
    Versioned {
        version: event.version,
        state,
    }
}

impl World {
    pub(super) const fn empty() -> Self {
        Self {
            log: Vec::new(),
            request: None,
            clients: BTreeMap::new(),
            agents: BTreeMap::new(),
            owners: BTreeMap::new(),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    /// Everybody registered, the page not opened yet.
    pub(super) fn new(client: ClientRegistered, agent: AgentRegistered) -> Self {
        let mut world = Self {
            now: at(0),
            ..Self::empty()
        };
        for owner in [OWNER, OTHER_OWNER] {
            world.owner(owner, OwnerFact::Registered(OwnerRegistered {}));
        }
        world.client(CLIENT, ClientFact::Registered(client));
        world.client(OTHER_CLIENT, ClientFact::Registered(registered_client()));
        world.agent(AGENT, AgentFact::Registered(agent));
        world.agent(SIBLING, AgentFact::Registered(registered_agent(OWNER)));
        world.agent(
            STRANGER,
            AgentFact::Registered(registered_agent(OTHER_OWNER)),
        );
        world
    }

    fn client(&mut self, id: ClientId, fact: ClientFact) {
        self.append(StreamId::Client(id), Fact::Client(fact));
    }

    pub(super) fn agent(&mut self, id: AgentId, fact: AgentFact) {
        self.append(StreamId::Agent(id), Fact::Agent(fact));
    }

    pub(super) fn owner(&mut self, id: OwnerId, fact: OwnerFact) {
        self.append(StreamId::Owner(id), Fact::Owner(fact));
    }

    pub(super) fn request(&mut self, fact: RequestFact) {
        self.append(StreamId::AuthRequest(REQUEST), Fact::Request(fact));
    }

    fn append(&mut self, stream: StreamId, fact: Fact) {
        let position = self.log.last().map_or(0, |(_, event)| event.position) + 1;
        let version = self
            .log
            .iter()
            .filter(|(other, _)| *other == stream)
            .count() as u64
            + 1;
        let id = match stream {
            StreamId::AuthRequest(_) => event(version),
            _ => named(0xEE, position),
        };
        let occurred_at = self.now;
        self.record(
            stream,
            Recorded {
                position,
                version,
                id,
                occurred_at,
                fact,
            },
        );
    }

    /// Adds an event as it is to the log, and to the fold of its stream.
    pub(super) fn record(&mut self, stream: StreamId, event: Recorded<Fact>) {
        match (&stream, event.fact.clone()) {
            (StreamId::AuthRequest(_), Fact::Request(fact)) => {
                let before = self.request.take();
                self.request = Some(next(before, &event, fact, AuthRequest::apply));
            }
            (StreamId::Client(id), Fact::Client(fact)) => {
                let after = next(self.clients.remove(id), &event, fact, Client::apply);
                self.clients.insert(*id, after);
            }
            (StreamId::Agent(id), Fact::Agent(fact)) => {
                let after = next(self.agents.remove(id), &event, fact, Agent::apply);
                self.agents.insert(*id, after);
            }
            (StreamId::Owner(id), Fact::Owner(fact)) => {
                let after = next(self.owners.remove(id), &event, fact, Owner::apply);
                self.owners.insert(*id, after);
            }
            (stream, fact) => panic!("{fact:?} does not belong to {stream}"),
        }
        self.now = event.occurred_at;
        self.log.push((stream, event));
    }

    /// The facts of the request so far.
    pub(super) fn facts(&self) -> impl Iterator<Item = (EventId, &RequestFact)> {
        self.log.iter().filter_map(|(_, event)| match &event.fact {
            Fact::Request(fact) => Some((event.id, fact)),
            _ => None,
        })
    }

    /// What a decision sees, as the store would read it: the agent given, or else the one that
    /// signed in, with that agent's owner.
    pub(super) fn seen(&self, agent: Option<AgentId>) -> Seen {
        let request = self.request.as_ref().map(|request| request.state.clone());
        let client = request.as_ref().map(|request| request.asked().client_id);
        let signed_in = request
            .as_ref()
            .and_then(|request| request.sign_in())
            .map(|by| by.agent_id);
        let agent = agent
            .or(signed_in)
            .and_then(|id| self.agents.get(&id).cloned());
        let owner = agent.as_ref().map(|agent| agent.state.registered.owner_id);
        let standing = Standing {
            client: client.and_then(|id| self.clients.get(&id).cloned()),
            owner: owner.and_then(|id| self.owners.get(&id).cloned()),
            agent,
            derivation_keys: vec![LivingKey {
                id: KEY.to_owned(),
                version: 2,
                activated: 1,
            }],
        };
        Seen {
            request,
            standing,
            now: self.now,
            lifetimes: Lifetimes::default(),
        }
    }
}

// ---- given, when, then ------------------------------------------------------------------------

/// A story: the world as it is so far.
#[derive(Clone)]
pub(super) struct Story(pub(super) World);

/// A story at the moment when something was decided.
pub(super) struct Decided<T>(World, Decision<T, RequestFact>);

/// A sign-in in which that has happened, all of it when the page was opened.
pub(super) fn given(facts: impl IntoIterator<Item = RequestFact>) -> Story {
    given_with(registered_client(), registered_agent(OWNER), facts)
}

/// The same with a website and an agent of its own.
pub(super) fn given_with(
    client: ClientRegistered,
    agent: AgentRegistered,
    facts: impl IntoIterator<Item = RequestFact>,
) -> Story {
    Story(World::new(client, agent)).and(facts)
}

impl Story {
    /// Lets time pass, up to so many seconds after the page was opened.
    pub(super) fn at(mut self, seconds: i64) -> Self {
        self.0.now = at(seconds);
        self
    }

    /// More has happened to the request.
    pub(super) fn and(mut self, facts: impl IntoIterator<Item = RequestFact>) -> Self {
        facts.into_iter().for_each(|fact| self.0.request(fact));
        self
    }

    pub(super) fn agent(mut self, id: AgentId, fact: AgentFact) -> Self {
        self.0.agent(id, fact);
        self
    }

    pub(super) fn owner(mut self, id: OwnerId, fact: OwnerFact) -> Self {
        self.0.owner(id, fact);
        self
    }

    pub(super) fn client(mut self, id: ClientId, fact: ClientFact) -> Self {
        self.0.client(id, fact);
        self
    }

    /// Decides, about the agent that signed in.
    pub(super) fn when<T>(
        self,
        decide: impl FnOnce(&Seen) -> Decision<T, RequestFact>,
    ) -> Decided<T> {
        let decision = decide(&self.0.seen(None));
        Decided(self.0, decision)
    }

    /// Decides, about the agent that asks.
    pub(super) fn when_by<T>(
        self,
        agent: AgentId,
        decide: impl FnOnce(&Seen) -> Decision<T, RequestFact>,
    ) -> Decided<T> {
        let decision = decide(&self.0.seen(Some(agent)));
        Decided(self.0, decision)
    }

    /// What can be seen now, about the agent that signed in.
    pub(super) fn seen(&self) -> Seen {
        self.0.seen(None)
    }
}

impl<T: Debug + PartialEq> Decided<T> {
    /// Exactly these facts, and this answer. The story goes on with the facts appended.
    #[track_caller]
    pub(super) fn then(self, facts: impl IntoIterator<Item = RequestFact>, outcome: T) -> Story {
        let Self(world, decision) = self;
        assert_eq!(decision.outcome, outcome);
        assert_eq!(decision.facts, facts.into_iter().collect::<Vec<_>>());
        Story(world).and(decision.facts)
    }

    /// This answer, and nothing happened.
    #[track_caller]
    pub(super) fn then_only(self, outcome: T) -> Story {
        self.then([], outcome)
    }
}
