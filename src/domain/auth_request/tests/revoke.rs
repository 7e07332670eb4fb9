//! Ending things: one access token, or the whole grant.

use super::{
    facts::{authenticated, code_until, created, redeemed, refreshed, revoked},
    harness::{MINUTE, Seen, Story, at, event, given},
};
use crate::domain::{
    Decision, EventId, RequestFact,
    auth_request::{
        AccessTokenRevoked, NeedsHistory, RevokedReason, Status, revoke_access_token, revoke_grant,
        revoke_refresh_token,
    },
};

const EVERY_REASON: [RevokedReason; 7] = [
    RevokedReason::RevokedByClient,
    RevokedReason::CodeReplayed,
    RevokedReason::RefreshTokenReplayed,
    RevokedReason::AgentSuspended,
    RevokedReason::OwnerSuspended,
    RevokedReason::AgentRevoked,
    RevokedReason::ClientRevoked,
];

fn signed_in() -> Story {
    given([created(), authenticated(), code_until(60)])
}

fn granted() -> Story {
    signed_in().and([redeemed(0)])
}

/// The access token that was issued at that time.
fn access_token(jti: &'static str, issued: i64) -> impl Fn(&Seen) -> Decision<(), RequestFact> {
    let exp = at(issued + 10 * MINUTE).as_second();
    move |seen| revoke_access_token(seen.request(), jti, exp, seen.now)
}

/// The refresh token that is derived from that event.
fn refresh_token(
    issued_by: EventId,
    proved_older: bool,
) -> impl Fn(&Seen) -> Decision<Result<(), NeedsHistory>, RequestFact> {
    move |seen| revoke_refresh_token(seen.request(), &|event| *event == issued_by, proved_older)
}

fn token_revoked(jti: &str, issued: i64) -> RequestFact {
    let exp = at(issued + 10 * MINUTE).as_second();
    RequestFact::AccessTokenRevoked(AccessTokenRevoked {
        jti: jti.to_owned(),
        exp,
    })
}

fn allows(story: &Story, jti: &str) -> bool {
    let seen = story.seen();
    seen.request()
        .active(&seen.standing)
        .is_some_and(|activity| activity.allows_access_token(jti))
}

#[test]
fn a_grant_is_revoked_for_any_reason_before_and_after_its_code_was_redeemed() {
    for reason in EVERY_REASON {
        for (story, status) in [
            (signed_in(), Status::Denied),
            (granted(), Status::Completed),
        ] {
            let story = story
                .when(|seen| revoke_grant(seen.request(), reason))
                .then([revoked(reason)], ());
            let seen = story.seen();
            assert!(seen.request().active(&seen.standing).is_none());
            assert_eq!(seen.request().status(&seen.standing, seen.now), status);
            // The end comes once.
            story
                .when(|seen| revoke_grant(seen.request(), reason))
                .then_only(());
        }
    }
}

#[test]
fn a_waiting_page_has_nothing_to_revoke() {
    given([created()])
        .when(|seen| revoke_grant(seen.request(), RevokedReason::RevokedByClient))
        .then_only(())
        .when(access_token("jti-1", 0))
        .then_only(());
}

#[test]
fn a_refresh_token_of_any_generation_ends_the_grant_and_only_an_older_one_needs_the_history() {
    let ended = [revoked(RevokedReason::RevokedByClient)];
    let story = granted().and([refreshed(2, 0), refreshed(3, 0)]);
    // The current one and the one before: the state remembers both.
    for issued_by in [event(6), event(5)] {
        story
            .clone()
            .when(refresh_token(issued_by, false))
            .then(ended.clone(), Ok(()));
    }
    story
        .clone()
        .when(refresh_token(event(4), false))
        .then_only(Err(NeedsHistory));
    story
        .when(refresh_token(event(4), true))
        .then(ended, Ok(()))
        // What has ended is not searched for again.
        .when(refresh_token(event(4), false))
        .then_only(Ok(()));
}

#[test]
fn a_refresh_token_of_a_sign_in_without_a_grant_revokes_nothing() {
    for story in [given([created()]), signed_in()] {
        story
            .when(refresh_token(event(4), false))
            .then_only(Ok(()))
            .when(refresh_token(event(4), true))
            .then_only(Ok(()));
    }
}

#[test]
fn one_access_token_is_revoked_and_the_others_live() {
    let story = granted().and([refreshed(2, 0)]);
    let story = story
        .when(access_token("jti-1", 0))
        .then([token_revoked("jti-1", 0)], ());
    assert!(!allows(&story, "jti-1"));
    assert!(allows(&story, "jti-2"));
    // A second time changes nothing.
    story.when(access_token("jti-1", 0)).then_only(());
}

#[test]
fn an_access_token_of_a_grant_that_ended_or_never_was_is_not_recorded() {
    signed_in().when(access_token("jti-1", 0)).then_only(());
    let ended = granted().and([revoked(RevokedReason::RevokedByClient)]);
    ended.when(access_token("jti-1", 0)).then_only(());
}

#[test]
fn a_revoked_access_token_is_remembered_until_it_runs_out_and_no_longer() {
    let story = granted().and([token_revoked("jti-1", 0)]);
    let story = story.at(5 * MINUTE).and([refreshed(2, 5 * MINUTE)]);
    let story = story
        .at(10 * MINUTE - 1)
        .when(access_token("jti-2", 5 * MINUTE))
        .then([token_revoked("jti-2", 5 * MINUTE)], ());
    assert!(!allows(&story, "jti-1"));

    // With the next one revoked, those that ran out are forgotten: the row does not grow for ever.
    let story = story
        .at(10 * MINUTE)
        .and([refreshed(3, 10 * MINUTE)])
        .when(access_token("jti-3", 10 * MINUTE))
        .then([token_revoked("jti-3", 10 * MINUTE)], ());
    let seen = story.seen();
    let grant = seen.request().active(&seen.standing).unwrap().grant;
    let remembered: Vec<&str> = grant
        .revoked_access_tokens
        .iter()
        .map(|token| token.jti.as_str())
        .collect();
    assert_eq!(remembered, ["jti-2", "jti-3"]);
}

#[test]
fn an_access_token_that_has_run_out_cannot_grow_the_log() {
    // Two dead tokens revoked in turn would otherwise push each other out of memory, and add an
    // event each time.
    let story = granted().and([refreshed(2, 0)]).at(10 * MINUTE);
    story
        .when(access_token("jti-1", 0))
        .then_only(())
        .when(access_token("jti-2", 0))
        .then_only(());
}
