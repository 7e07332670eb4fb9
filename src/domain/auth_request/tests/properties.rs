//! Anything may happen in any order, and at any pace; what must hold, holds after every step.
//!
//! The oracle looks at the log alone: what it says must agree with what fold and decisions say.
//! Positions and versions are the store's to give: `tests/it/store.rs` holds it to them.

use jiff::SignedDuration;
use proptest::{
    prelude::{ProptestConfig, prop, proptest},
    sample::Index,
};

use super::{
    commands::{
        Authenticating, Redeeming, Refreshing, authenticate, by, code, redeem, refresh, reissue,
        token,
    },
    facts::{
        authenticated, code_until, created, redeemed, registered_agent, registered_client, scope,
    },
    harness::{CLIENT, OWNER, REDIRECT_URI, RIGHT, World},
    steps::{Step, step},
};
use crate::domain::{
    AgentFact, AgentId, Envelope, EventId, Fact, Metadata, OwnerFact, OwnerId, RequestFact,
    StreamId,
    auth_request::{
        AuthRequest, Refreshed, RevokedReason, Status, revoke_access_token, revoke_grant,
    },
    decode, newest_schema,
};

/// What the log says by itself.
struct Told {
    codes: Vec<EventId>,
    tokens: Vec<EventId>,
    /// `jti` and `exp` of every access token.
    access_tokens: Vec<(String, i64)>,
    dead: bool,
}

impl Told {
    fn by(world: &World) -> Self {
        let mut told = Self {
            codes: vec![],
            tokens: vec![],
            access_tokens: vec![],
            dead: false,
        };
        let mut signed_in: Option<(AgentId, OwnerId)> = None;
        for (stream, event) in &world.log {
            match (&event.fact, stream, signed_in) {
                (Fact::Request(RequestFact::AgentAuthenticated(by)), ..) => {
                    signed_in = Some((by.agent_id, by.owner_id));
                }
                (Fact::Request(RequestFact::CodeIssued(_)), ..) => told.codes.push(event.id),
                (Fact::Request(RequestFact::CodeRedeemed(issued)), ..) => {
                    told.tokens.push(event.id);
                    told.access_tokens.push((issued.jti.clone(), issued.exp));
                }
                (Fact::Request(RequestFact::TokenRefreshed(issued)), ..) => {
                    told.tokens.push(event.id);
                    told.access_tokens.push((issued.jti.clone(), issued.exp));
                }
                (Fact::Request(RequestFact::Revoked(_)), ..) => told.dead = true,
                (Fact::Agent(AgentFact::Suspended(_)), StreamId::Agent(id), Some((agent, _))) => {
                    told.dead |= *id == agent;
                }
                (Fact::Owner(OwnerFact::Suspended(_)), StreamId::Owner(id), Some((_, owner))) => {
                    told.dead |= *id == owner;
                }
                _ => {}
            }
        }
        told
    }

    fn refreshing(&self, presented: EventId) -> Refreshing {
        Refreshing {
            proved_older: self.tokens.contains(&presented),
            ..token(presented)
        }
    }
}

fn count(world: &World, name: &str) -> usize {
    world
        .facts()
        .filter(|(_, fact)| fact.type_name() == name)
        .count()
}

/// Does one step; what the command alone rules out is checked on the way.
fn take(world: &mut World, step: Step) {
    let told = Told::by(world);
    let seen = world.seen(None);
    let facts = match step {
        Step::Authenticate(agent, binding, expected_origin) => {
            let call = Authenticating {
                binding,
                expected_origin,
                ..by(agent)
            };
            authenticate(call)(&world.seen(Some(agent))).facts
        }
        Step::Reissue => reissue(&seen).facts,
        Step::Redeem(which, client_id, hashed_verifier, redirect_uri) => {
            let Some(presented) = pick(&told.codes, which) else {
                return;
            };
            let call = Redeeming {
                client_id,
                hashed_verifier,
                redirect_uri,
                ..code(presented)
            };
            let decision = redeem(call)(&seen);
            let right = client_id == CLIENT
                && hashed_verifier == RIGHT
                && redirect_uri.is_none_or(|uri| uri == REDIRECT_URI);
            assert!(
                right || decision.facts.is_empty(),
                "a failed attempt consumes nothing"
            );
            if decision.outcome.is_ok() {
                assert!(right && told.codes.last() == Some(&presented) && told.tokens.is_empty());
            }
            decision.facts
        }
        Step::Refresh(which, client_id, narrower) => {
            let Some(presented) = pick(&told.tokens, which) else {
                return;
            };
            let call = Refreshing {
                client_id,
                scope: narrower.map(scope),
                ..told.refreshing(presented)
            };
            let decision = refresh(call)(&seen);
            assert!(
                client_id == CLIENT || decision.facts.is_empty(),
                "another client changes nothing"
            );
            let newest_first: Vec<_> = told.tokens.iter().rev().copied().collect();
            match decision.outcome {
                Ok(Refreshed::Rotated) => assert_eq!(newest_first.first(), Some(&presented)),
                Ok(Refreshed::Repeated) => assert_eq!(newest_first.get(1), Some(&presented)),
                Err(_) => {}
            }
            if decision.outcome.is_ok() {
                assert_eq!(client_id, CLIENT);
            }
            decision.facts
        }
        Step::RevokeAccessToken(which) => {
            let Some((jti, exp)) = pick(&told.access_tokens, which) else {
                return;
            };
            revoke_access_token(seen.request(), &jti, exp, seen.now).facts
        }
        Step::RevokeGrant => revoke_grant(seen.request(), RevokedReason::RevokedByClient).facts,
        Step::SuspendAgent(id) => {
            for fact in world.agents[&id].state.suspend().facts {
                world.agent(id, fact);
            }
            return;
        }
        Step::ReinstateAgent(id) => {
            for fact in world.agents[&id].state.reinstate().facts {
                world.agent(id, fact);
            }
            return;
        }
        Step::SuspendOwner(id) => {
            for fact in world.owners[&id].state.suspend().facts {
                world.owner(id, fact);
            }
            return;
        }
        Step::ReinstateOwner(id) => {
            for fact in world.owners[&id].state.reinstate().facts {
                world.owner(id, fact);
            }
            return;
        }
        Step::Wait(seconds) => {
            world.now += SignedDuration::from_secs(seconds);
            return;
        }
    };
    facts.into_iter().for_each(|fact| world.request(fact));
}

fn pick<T: Clone>(from: &[T], which: Index) -> Option<T> {
    (!from.is_empty()).then(|| which.get(from).clone())
}

fn check(world: &World) {
    for name in [
        "Created",
        "AgentAuthenticated",
        "CodeRedeemed",
        "CodeReplayed",
        "Revoked",
    ] {
        assert!(count(world, name) <= 1, "{name} at most once");
    }
    assert!(count(world, "AgentRejected") <= 5);
    let ended = world
        .facts()
        .position(|(_, fact)| matches!(fact, RequestFact::Revoked(_)));
    assert!(
        ended.is_none_or(|at| at + 1 == world.facts().count()),
        "Revoked is the end"
    );
    for theft in ["CodeReplayed", "RefreshTokenReplayed"] {
        assert!(
            count(world, theft) == 0 || ended.is_some(),
            "{theft} comes with Revoked"
        );
    }

    let told = Told::by(world);
    let seen = world.seen(None);
    let state = seen.request();
    let repeats = count(world, "RefreshTokenRepeated");
    assert!(
        repeats < told.tokens.len().max(1),
        "at most one repeat for each refresh"
    );

    // Whoever may still get something, by asking as the right client does.
    let redeemable = told
        .codes
        .iter()
        .filter(|id| redeem(code(**id))(&seen).outcome.is_ok())
        .count();
    let answers: Vec<_> = told
        .tokens
        .iter()
        .map(|id| refresh(told.refreshing(*id))(&seen).outcome)
        .collect();
    let rotating = answers
        .iter()
        .filter(|answer| **answer == Ok(Refreshed::Rotated))
        .count();
    let answered = answers.iter().filter(|answer| answer.is_ok()).count();
    let active = state.active(&seen.standing);
    let live_code = state.live_code(&seen.standing, seen.now);
    assert!(rotating <= 1, "one living refresh token");
    assert!(answered <= 2, "it, and the one before it");
    assert!(redeemable <= 1, "one living code");
    assert_eq!(redeemable == 1, live_code.is_some());
    if told.dead {
        assert!(
            active.is_none() && live_code.is_none(),
            "the dead stay dead"
        );
        assert_eq!((redeemable, answered), (0, 0));
        assert!(reissue(&seen).facts.is_empty());
        assert!(state.status(&seen.standing, seen.now).is_final());
    } else {
        assert_eq!(
            active.is_some(),
            !told.tokens.is_empty(),
            "what was issued lives"
        );
    }
    if let Some(active) = active {
        let expired = seen.now >= active.refresh_token_expires_at(&seen.lifetimes);
        assert_eq!(rotating == 1, !expired);
        assert_eq!(active.grant.current.generation as usize, told.tokens.len());
        assert_eq!(Some(&active.grant.current.issued_by), told.tokens.last());
        assert!(active.grant.current.scope.is_within(&active.grant.scope));
        for (_, fact) in world.facts() {
            if let RequestFact::AccessTokenRevoked(gone) = fact
                && gone.exp > seen.now.as_second()
            {
                assert!(
                    !active.allows_access_token(&gone.jti),
                    "a revoked token stays revoked"
                );
            }
        }
    }

    // By itself the status changes at the moment that was foretold, and not before.
    if let Some(moment) = state.changes_at().filter(|moment| seen.now < *moment) {
        let status = |at| state.status(&seen.standing, at);
        assert_eq!(
            status(moment - SignedDuration::from_micros(1)),
            status(seen.now)
        );
        assert!(status(moment).is_final());
    }
    let stored = serde_json::to_string(state).unwrap();
    assert_eq!(
        &serde_json::from_str::<AuthRequest>(&stored).unwrap(),
        state
    );
}

/// The events as the store writes them, read back.
fn read_back(world: &World) -> World {
    let mut again = World::empty();
    for (stream, event) in &world.log {
        let envelope = Envelope {
            position: event.position,
            id: event.id,
            stream: stream.to_string(),
            version: event.version,
            type_name: event.fact.type_name().to_owned(),
            schema: newest_schema(stream.kind(), event.fact.type_name()),
            occurred_at: event.occurred_at,
            payload: event.fact.payload().unwrap(),
            metadata: Metadata::system(),
        };
        let body = serde_json::to_string(&envelope).unwrap();
        let (stream, event) = decode(&serde_json::from_str(&body).unwrap()).unwrap();
        again.record(stream, event);
    }
    again.now = world.now;
    again
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn whatever_happens_the_invariants_hold(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new(registered_client(), registered_agent(OWNER));
        world.request(created());
        let mut last = Status::Pending;
        for step in steps {
            take(&mut world, step);
            check(&world);
            let seen = world.seen(None);
            let status = seen.request().status(&seen.standing, seen.now);
            assert!(!last.is_final() || status.is_final(), "{last:?} was final, then {status:?}");
            assert!(last != Status::Completed || status == last, "what is completed stays so");
            last = status;
        }
        assert_eq!(read_back(&world), world, "replaying the log gives the same states");
    }

    /// The same from a grant onwards, where most of the rules are.
    #[test]
    fn whatever_happens_to_a_grant_the_invariants_hold(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(registered_client(), registered_agent(OWNER));
        for fact in [created(), authenticated(), code_until(60), redeemed(0)] {
            world.request(fact);
        }
        for step in steps {
            take(&mut world, step);
            check(&world);
        }
        assert_eq!(read_back(&world), world, "replaying the log gives the same states");
    }
}
