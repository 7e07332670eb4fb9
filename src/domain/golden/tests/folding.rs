//! The samples are of one log, and its streams fold.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{KINDS, Kept};
use crate::domain::{
    Agent, AgentFact, AuthRequest, Client, ClientFact, Fact, Key, KeyEnd, LivingKey, Owner,
    OwnerFact, Recorded, RequestFact, Standing, StreamId,
    auth_request::{RevokedReason, Status},
    decode,
};

/// The sample of each type of that kind of stream, as recorded, with the stream it is of.
fn samples(kind: &str) -> BTreeMap<&'static str, (StreamId, Recorded<Fact>)> {
    let of_kind = Kept::newest().filter(|kept| kept.kind == kind);
    of_kind
        .map(|kept| (kept.type_name, decode(&kept.envelope()).unwrap()))
        .collect()
}

/// Folds the samples of these types in this order; every one of them must be able to follow.
fn fold<S, F>(
    kind: &str,
    types: &[&str],
    pick: impl Fn(Fact) -> Option<F>,
    apply: impl Fn(Option<S>, &Recorded<F>) -> Option<S>,
) -> S {
    let samples = samples(kind);
    let mut state = None;
    for type_name in types {
        let (_, event) = samples[type_name].clone();
        let event = Recorded {
            position: event.position,
            version: event.version,
            id: event.id,
            occurred_at: event.occurred_at,
            fact: pick(event.fact).expect("a fact of that kind"),
        };
        state = apply(state, &event);
        assert!(state.is_some(), "{kind}: {type_name} cannot follow");
    }
    state.expect("a stream has a first event")
}

fn sign_in(types: &[&str]) -> AuthRequest {
    let pick = |fact| match fact {
        Fact::Request(fact) => Some(fact),
        _ => None,
    };
    fold("auth_request", types, pick, AuthRequest::apply)
}

#[test]
fn the_samples_of_a_sign_in_fold_to_its_end() {
    let granted = [
        "Created",
        "AgentRejected",
        "AgentAuthenticated",
        "CodeIssued",
        "CodeRedeemed",
    ];
    let used = [
        "TokenRefreshed",
        "RefreshTokenRepeated",
        "AccessTokenRevoked",
    ];
    let lives = sign_in(&[&granted[..], &used].concat());
    let standing = Standing {
        derivation_keys: vec![LivingKey {
            id: "1".to_owned(),
            version: 2,
            activated: 4,
        }],
        ..Standing::default()
    };
    let grant = lives.active(&standing).expect("the grant lives").grant;
    assert_eq!(grant.current.generation, 2);
    assert!(grant.previous.as_ref().is_some_and(|used| used.repeated));
    assert_eq!(grant.revoked_access_tokens.len(), 1);

    let stolen = [&granted[..], &used, &["RefreshTokenReplayed", "Revoked"]].concat();
    let ended = sign_in(&stolen);
    let reason = RevokedReason::RefreshTokenReplayed;
    assert!(matches!(ended, AuthRequest::Revoked { redeemed: true, reason: r, .. } if r == reason));
    assert_eq!(
        ended.status(&standing, jiff::Timestamp::MAX),
        Status::Completed
    );

    let replayed = sign_in(&[&granted[..], &["CodeReplayed", "Revoked"]].concat());
    assert!(replayed.active(&standing).is_none());
    // Between them the two streams show every type.
    let shown: BTreeSet<_> = stolen.into_iter().chain(["CodeReplayed"]).collect();
    assert_eq!(shown, RequestFact::TYPES.iter().copied().collect());
}

#[test]
fn the_samples_of_agent_owner_and_client_fold() {
    let agent = fold(
        "agent",
        AgentFact::TYPES,
        |fact| {
            if let Fact::Agent(fact) = fact {
                Some(fact)
            } else {
                None
            }
        },
        Agent::apply,
    );
    let owner = fold(
        "owner",
        OwnerFact::TYPES,
        |fact| {
            if let Fact::Owner(fact) = fact {
                Some(fact)
            } else {
                None
            }
        },
        Owner::apply,
    );
    let client = fold(
        "client",
        ClientFact::TYPES,
        |fact| {
            if let Fact::Client(fact) = fact {
                Some(fact)
            } else {
                None
            }
        },
        Client::apply,
    );
    // This is how a person, an agent and a client end.
    assert!(owner.is_erased());
    assert_eq!(
        owner.admission.cut_off_at,
        Some(samples("owner")["Erased"].1.position)
    );
    assert!(agent.admission.is_revoked() && client.is_revoked());
    assert_eq!(
        agent.admission.cut_off_at,
        Some(samples("agent")["Revoked"].1.position)
    );
    assert!(client.allows_redirect_to("https://profilio.example/callback"));
}

#[test]
fn the_samples_of_keys_fold_to_either_end() {
    for kind in ["signing_key", "derivation_key"] {
        let used = ["Generated", "Activated"];
        let key = |end| fold(kind, &[&used[..], &[end]].concat(), Some, Key::apply);
        assert!(matches!(key("Retired").end, Some(KeyEnd::Retired(_))));
        let compromised = key("Compromised").end;
        assert!(matches!(compromised, Some(KeyEnd::Compromised(_))));
    }
}

#[test]
fn the_samples_are_of_one_log() {
    let mut positions = BTreeMap::new();
    let mut versions = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for (kind, _) in KINDS {
        for (type_name, (stream, event)) in samples(kind) {
            assert!(ids.insert(event.id), "{type_name}: an id is used twice");
            assert!(
                positions
                    .insert(event.position, event.occurred_at)
                    .is_none(),
                "{type_name}"
            );
            assert!(
                versions
                    .insert((stream, event.version), event.position)
                    .is_none()
            );
        }
    }
    assert!(
        positions.values().is_sorted(),
        "time goes on with the positions"
    );
    let by_stream: Vec<_> = versions.iter().collect();
    for pair in by_stream.windows(2) {
        let (((stream, _), before), ((next, _), after)) = (pair[0], pair[1]);
        assert!(
            stream != next || before < after,
            "{stream} goes on with the positions"
        );
    }
}
