//! Any sequence of commands through the real store keeps the log's promises: positions and versions
//! dense, the stored states those that the log folds to, one redemption, nothing after the end.

mod world;

use std::collections::HashMap;

use auth_agent::{
    domain::{Agent, AuthRequest, Client, Fact, Owner, Recorded},
    store::{Committed, Situation, Store, maintenance},
};
use proptest::prelude::{ProptestConfig, proptest};

use self::world::{Command, World, batches};
use crate::{
    log::node::Place,
    support::{Backend, Env},
};

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
        .is_some_and(|sign_in| seen.standing.cut_off(sign_in).is_some());
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
        let known = world.issued().await;
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
