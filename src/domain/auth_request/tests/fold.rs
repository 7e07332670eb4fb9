//! Folding: each fact has its place, and a state survives being stored.

use jiff::Timestamp;

use super::{
    facts::{authenticated, code_until, created, redeemed, refreshed, revoked},
    harness::{AGENT, event, given},
};
use crate::domain::{
    AuthRequest, Recorded, RequestFact,
    auth_request::{
        AccessTokenRevoked, AgentRejected, CodeReplayed, RefreshTokenRepeated,
        RefreshTokenReplayed, Rejection, RevokedReason,
    },
};

fn every_fact() -> Vec<RequestFact> {
    vec![
        created(),
        RequestFact::AgentRejected(AgentRejected {
            agent_id: AGENT,
            reason: Rejection::OriginMismatch,
        }),
        authenticated(),
        code_until(60),
        redeemed(0),
        RequestFact::CodeReplayed(CodeReplayed {}),
        refreshed(2, 0),
        RequestFact::RefreshTokenRepeated(RefreshTokenRepeated { generation: 2 }),
        RequestFact::RefreshTokenReplayed(RefreshTokenReplayed {}),
        RequestFact::AccessTokenRevoked(AccessTokenRevoked {
            jti: "jti-1".into(),
            exp: 1,
        }),
        revoked(RevokedReason::RevokedByClient),
    ]
}

/// Which types can follow in that state.
fn followers(state: Option<&AuthRequest>) -> Vec<&'static str> {
    let occurred_at = Timestamp::UNIX_EPOCH;
    every_fact()
        .into_iter()
        .filter_map(|fact| {
            let name = fact.type_name();
            let event = Recorded {
                position: 90,
                version: 90,
                id: event(90),
                occurred_at,
                fact,
            };
            AuthRequest::apply(state.cloned(), &event).map(|_| name)
        })
        .collect()
}

fn after(facts: Vec<RequestFact>) -> AuthRequest {
    given(facts).0.request.unwrap().state
}

#[test]
fn the_facts_here_are_all_there_are() {
    let names: Vec<_> = every_fact().iter().map(RequestFact::type_name).collect();
    let mut known = RequestFact::TYPES.to_vec();
    known.sort_unstable();
    let mut sorted = names;
    sorted.sort_unstable();
    assert_eq!(sorted, known);
}

#[test]
fn each_state_takes_the_facts_that_belong_to_it_and_no_other() {
    let pending = after(vec![created()]);
    let signed_in = after(vec![created(), authenticated()]);
    let with_code = after(vec![created(), authenticated(), code_until(60)]);
    let granted = after(vec![
        created(),
        authenticated(),
        code_until(60),
        redeemed(0),
    ]);
    let ended = after(vec![
        created(),
        authenticated(),
        code_until(60),
        revoked(RevokedReason::RevokedByClient),
    ]);
    assert_eq!(followers(None), ["Created"]);
    assert_eq!(
        followers(Some(&pending)),
        ["AgentRejected", "AgentAuthenticated", "Revoked"]
    );
    for state in [&signed_in, &with_code] {
        assert_eq!(
            followers(Some(state)),
            ["CodeIssued", "CodeRedeemed", "Revoked"]
        );
    }
    let living = [
        "CodeReplayed",
        "TokenRefreshed",
        "RefreshTokenReplayed",
        "AccessTokenRevoked",
        "Revoked",
    ];
    assert_eq!(followers(Some(&granted)), living);
    let denied = after(vec![created(), revoked(RevokedReason::ClientRevoked)]);
    for over in [&ended, &denied] {
        assert_eq!(followers(Some(over)), [""; 0]);
    }
}

#[test]
fn a_repeat_belongs_to_a_refresh() {
    let rotated = after(vec![
        created(),
        authenticated(),
        code_until(60),
        redeemed(0),
        refreshed(2, 0),
    ]);
    assert!(followers(Some(&rotated)).contains(&"RefreshTokenRepeated"));
}

#[test]
fn an_authentication_without_its_code_leaves_no_code_to_redeem() {
    let story = given([created(), authenticated()]);
    let seen = story.seen();
    assert!(seen.request().live_code(&seen.standing, seen.now).is_none());
}

#[test]
fn every_state_reads_back_as_it_was_written() {
    let reads_back = |facts| {
        let state = after(facts);
        let text = serde_json::to_string(&state).unwrap();
        let read: AuthRequest = serde_json::from_str(&text).unwrap();
        assert_eq!(read, state, "{text}");
    };
    reads_back(vec![created(), revoked(RevokedReason::ClientRevoked)]);
    let mut facts = vec![created()];
    let steps = [
        authenticated(),
        code_until(60),
        redeemed(0),
        refreshed(2, 0),
        RequestFact::RefreshTokenRepeated(RefreshTokenRepeated { generation: 2 }),
        RequestFact::AccessTokenRevoked(AccessTokenRevoked {
            jti: "jti-1".into(),
            exp: i64::MAX,
        }),
        revoked(RevokedReason::OwnerSuspended),
    ];
    for step in steps {
        facts.push(step);
        reads_back(facts.clone());
    }
}
