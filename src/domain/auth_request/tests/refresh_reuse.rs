//! A used refresh token comes again: within the grace window an echo, after it theft.

use super::{
    commands::{Refreshing, refresh, token},
    facts::{authenticated, code_until, created, redeemed, refreshed, revoked, scope, suspended},
    harness::{AGENT, DAY, Story, event, given},
};
use crate::domain::{
    EventId, RequestFact,
    auth_request::{
        RefreshRefusal as Refusal, RefreshTokenRepeated, RefreshTokenReplayed, Refreshed,
        RevokedReason,
    },
};

const FIRST: EventId = event(4);
const SECOND: EventId = event(5);
const THIRD: EventId = event(6);

/// The first refresh token was used at 100 s.
fn rotated() -> Story {
    given([created(), authenticated(), code_until(60), redeemed(0)])
        .at(100)
        .and([refreshed(2, 100)])
}

fn repeated(generation: u32) -> RequestFact {
    RequestFact::RefreshTokenRepeated(RefreshTokenRepeated { generation })
}

fn theft() -> [RequestFact; 2] {
    [
        RequestFact::RefreshTokenReplayed(RefreshTokenReplayed {}),
        revoked(RevokedReason::RefreshTokenReplayed),
    ]
}

fn current(story: &Story) -> crate::domain::auth_request::Issue {
    let seen = story.seen();
    seen.request()
        .active(&seen.standing)
        .unwrap()
        .grant
        .current
        .clone()
}

#[test]
fn within_the_grace_window_the_successor_is_given_again_unchanged() {
    let story = rotated();
    let successor = current(&story);
    let story = story
        .at(101)
        .when(refresh(token(FIRST)))
        .then([repeated(2)], Ok(Refreshed::Repeated));
    assert_eq!(current(&story), successor);
    // Only the first repeat is recorded; the others are answered alike.
    let story = story
        .at(105)
        .when(refresh(token(FIRST)))
        .then_only(Ok(Refreshed::Repeated))
        .at(109)
        .when(refresh(token(FIRST)))
        .then_only(Ok(Refreshed::Repeated));
    assert_eq!(current(&story), successor);
    // And the successor works.
    story
        .when(refresh(token(SECOND)))
        .then([refreshed(3, 109)], Ok(Refreshed::Rotated));
}

#[test]
fn a_repeat_that_asks_for_another_scope_gets_what_was_issued() {
    let other = Refreshing {
        scope: Some(scope("openid")),
        ..token(FIRST)
    };
    let story = rotated()
        .at(101)
        .when(refresh(other))
        .then([repeated(2)], Ok(Refreshed::Repeated));
    assert_eq!(current(&story).scope, scope("openid profile"));
}

#[test]
fn the_grace_window_does_not_slide() {
    rotated()
        .at(109)
        .when(refresh(token(FIRST)))
        .then([repeated(2)], Ok(Refreshed::Repeated))
        .at(110)
        .when(refresh(token(FIRST)))
        .then(theft(), Err(Refusal::Replayed));
}

#[test]
fn after_the_window_it_is_theft_and_the_whole_grant_dies() {
    for seconds in [110, 111, 40 * DAY, 181 * DAY] {
        let story = rotated()
            .at(seconds)
            .when(refresh(token(FIRST)))
            .then(theft(), Err(Refusal::Replayed));
        let seen = story.seen();
        assert!(seen.request().active(&seen.standing).is_none());
        story
            .when(refresh(token(SECOND)))
            .then_only(Err(Refusal::NotLive))
            .when(refresh(token(FIRST)))
            .then_only(Err(Refusal::NotLive));
    }
}

#[test]
fn the_window_belongs_to_the_last_token_used_and_not_to_those_before() {
    // Used at 100 s, its successor at 103 s: from then on it is an older generation.
    let story = rotated().at(103).and([refreshed(3, 103)]).at(104);
    story
        .clone()
        .when(refresh(token(SECOND)))
        .then([repeated(3)], Ok(Refreshed::Repeated));
    story
        .clone()
        .when(refresh(token(FIRST)))
        .then_only(Err(Refusal::NeedsHistory));
    story
        .when(refresh(Refreshing {
            proved_older: true,
            ..token(FIRST)
        }))
        .then(theft(), Err(Refusal::Replayed));
}

#[test]
fn a_repeat_is_recorded_anew_for_each_generation() {
    rotated()
        .at(101)
        .and([repeated(2)])
        .at(102)
        .when(refresh(token(SECOND)))
        .then([refreshed(3, 102)], Ok(Refreshed::Rotated))
        .at(103)
        .when(refresh(token(SECOND)))
        .then([repeated(3)], Ok(Refreshed::Repeated));
}

#[test]
fn what_the_state_has_forgotten_the_history_must_prove() {
    let story = rotated()
        .and([refreshed(3, 100), refreshed(4, 100)])
        .at(DAY);
    for older in [FIRST, SECOND] {
        story
            .clone()
            .when(refresh(token(older)))
            .then_only(Err(Refusal::NeedsHistory))
            .when(refresh(Refreshing {
                proved_older: true,
                ..token(older)
            }))
            .then(theft(), Err(Refusal::Replayed));
    }
    // A token that was never ours stays without proof, and so without consequence.
    story
        .when(refresh(token(event(99))))
        .then_only(Err(Refusal::NeedsHistory));
}

#[test]
fn proof_of_age_does_not_make_a_living_token_old() {
    // Somebody else's refresh may come between the look at the history and the decision.
    let proved = |event| Refreshing {
        proved_older: true,
        ..token(event)
    };
    rotated()
        .at(101)
        .when(refresh(proved(SECOND)))
        .then([refreshed(3, 101)], Ok(Refreshed::Rotated))
        .when(refresh(proved(SECOND)))
        .then([repeated(3)], Ok(Refreshed::Repeated))
        .when(refresh(proved(THIRD)))
        .then([refreshed(4, 101)], Ok(Refreshed::Rotated));
}

#[test]
fn a_suspension_ends_the_grace_window_too() {
    rotated()
        .agent(AGENT, suspended())
        .at(101)
        .when(refresh(token(FIRST)))
        .then_only(Err(Refusal::Suspended));
}
