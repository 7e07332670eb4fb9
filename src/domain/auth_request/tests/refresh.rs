//! A website refreshes: rotation, scope, lifetimes, and whose token it is.

use super::{
    commands::{Refreshing, refresh, token},
    facts::{
        authenticated, code_until, created, owner_suspended, redeemed, redeemed_as, refreshed,
        refreshed_to, revoked, scope, suspended,
    },
    harness::{AGENT, DAY, MINUTE, OTHER_CLIENT, OWNER, Story, at, event, given},
};
use crate::domain::{
    EventId, Lifetimes,
    auth_request::{RefreshRefusal as Refusal, Refreshed, RevokedReason},
};

const FIRST: EventId = event(4);
const SECOND: EventId = event(5);

/// The website holds its first tokens.
fn granted() -> Story {
    given([created(), authenticated(), code_until(60), redeemed(0)])
}

#[test]
fn every_refresh_is_a_new_generation_under_its_own_event() {
    let story = granted()
        .at(100)
        .when(refresh(token(FIRST)))
        .then([refreshed(2, 100)], Ok(Refreshed::Rotated))
        .at(200)
        .when(refresh(token(SECOND)))
        .then([refreshed(3, 200)], Ok(Refreshed::Rotated));
    let seen = story.seen();
    let grant = seen.request().active(&seen.standing).unwrap().grant;
    assert_eq!(grant.current.generation, 3);
    assert_eq!(grant.current.issued_by, event(6));
    assert_eq!(grant.current.exp, at(200 + 10 * MINUTE).as_second());
    assert_eq!(
        grant.previous.as_ref().map(|used| used.issued_by),
        Some(SECOND)
    );
}

#[test]
fn scope_narrows_the_access_token_and_never_the_grant() {
    let narrow = Refreshing {
        scope: Some(scope("openid")),
        ..token(FIRST)
    };
    granted()
        .at(100)
        .when(refresh(narrow))
        .then([refreshed_to(2, 100, "openid")], Ok(Refreshed::Rotated))
        // The next one, asking for nothing, has the whole of it again.
        .at(200)
        .when(refresh(token(SECOND)))
        .then([refreshed(3, 200)], Ok(Refreshed::Rotated));
}

#[test]
fn scope_cannot_be_widened_and_a_try_consumes_nothing() {
    for wider in ["openid profile email", "email", "openid OPENID"] {
        let wide = Refreshing {
            scope: Some(scope(wider)),
            ..token(FIRST)
        };
        granted()
            .at(100)
            .when(refresh(wide))
            .then_only(Err(Refusal::ScopeWidened))
            .when(refresh(token(FIRST)))
            .then([refreshed(2, 100)], Ok(Refreshed::Rotated));
    }
}

#[test]
fn an_idle_refresh_token_runs_out_after_thirty_days() {
    let story = granted().at(30 * DAY - 1);
    story
        .clone()
        .when(refresh(token(FIRST)))
        .then([refreshed(2, 30 * DAY - 1)], Ok(Refreshed::Rotated));
    story
        .at(30 * DAY)
        .when(refresh(token(FIRST)))
        .then_only(Err(Refusal::Expired));
}

#[test]
fn however_often_it_is_used_it_ends_a_hundred_and_eighty_days_after_the_sign_in() {
    let mut story = granted();
    for generation in 2..=9 {
        let seconds = i64::from(generation - 1) * 20 * DAY;
        story = story
            .at(seconds)
            .when(refresh(token(event(u64::from(generation) + 2))))
            .then([refreshed(generation, seconds)], Ok(Refreshed::Rotated));
    }
    let seen = story.seen();
    let activity = seen.request().active(&seen.standing).unwrap();
    assert_eq!(
        activity.refresh_token_expires_at(&Lifetimes::default()),
        at(180 * DAY)
    );
    let last = 180 * DAY - 1;
    story
        .clone()
        .at(last)
        .when(refresh(token(event(12))))
        .then([refreshed(10, last)], Ok(Refreshed::Rotated));
    story
        .at(180 * DAY)
        .when(refresh(token(event(12))))
        .then_only(Err(Refusal::Expired));
}

#[test]
fn a_sign_in_without_a_live_grant_refreshes_nothing() {
    let signed_in = given([created(), authenticated(), code_until(60)]);
    given([created()])
        .when(refresh(token(FIRST)))
        .then_only(Err(Refusal::NotLive));
    signed_in
        .clone()
        .when(refresh(token(FIRST)))
        .then_only(Err(Refusal::NotLive));
    let ended = granted().and([revoked(RevokedReason::RevokedByClient)]);
    ended
        .when(refresh(token(FIRST)))
        .then_only(Err(Refusal::NotLive));
    signed_in
        .and([redeemed_as(0, false)])
        .when(refresh(token(FIRST)))
        .then_only(Err(Refusal::NotLive));
}

#[test]
fn the_event_of_a_code_is_no_refresh_token() {
    // The label differs as well; here the event alone must not be enough.
    for other in [event(1), event(2), event(3)] {
        granted()
            .when(refresh(token(other)))
            .then_only(Err(Refusal::NeedsHistory));
    }
}

#[test]
fn a_suspended_agent_or_owner_refreshes_nothing() {
    granted()
        .agent(AGENT, suspended())
        .when(refresh(token(FIRST)))
        .then_only(Err(Refusal::Suspended));
    granted()
        .owner(OWNER, owner_suspended())
        .when(refresh(token(FIRST)))
        .then_only(Err(Refusal::Suspended));
}

#[test]
fn a_strange_client_gets_nothing_and_ends_nothing_with_any_token() {
    let stolen = |event| Refreshing {
        client_id: OTHER_CLIENT,
        ..token(event)
    };
    let story = granted().and([refreshed(2, 0), refreshed(3, 0)]).at(DAY);
    let story = story
        .when(refresh(stolen(event(6))))
        .then_only(Err(Refusal::OtherClient))
        .when(refresh(stolen(SECOND)))
        .then_only(Err(Refusal::OtherClient))
        // Nor is the history searched for it.
        .when(refresh(stolen(FIRST)))
        .then_only(Err(Refusal::OtherClient))
        .when(refresh(Refreshing {
            proved_older: true,
            ..stolen(FIRST)
        }))
        .then_only(Err(Refusal::OtherClient));
    let seen = story.seen();
    assert!(seen.request().active(&seen.standing).is_some());
    story
        .when(refresh(token(event(6))))
        .then([refreshed(4, DAY)], Ok(Refreshed::Rotated));
}
