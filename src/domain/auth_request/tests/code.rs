//! The code that waits for the browser: a new one when the former ran out unfetched.

use super::{
    commands::{code, redeem, reissue},
    facts::{
        authenticated, code_until, created, owner_suspended, redeemed, reinstated, revoked,
        suspended,
    },
    harness::{AGENT, MINUTE, OWNER, Story, at, event, given},
};
use crate::domain::{
    EventId,
    auth_request::{RedeemRefusal, RevokedReason},
};

fn signed_in() -> Story {
    given([created(), authenticated(), code_until(60)])
}

fn live_code(story: &Story) -> Option<EventId> {
    let seen = story.seen();
    seen.request()
        .live_code(&seen.standing, seen.now)
        .map(|code| code.issued_by)
}

#[test]
fn a_code_that_lives_is_not_replaced() {
    for seconds in [0, 30, 59] {
        let story = signed_in().at(seconds).when(reissue).then_only(());
        assert_eq!(live_code(&story), Some(event(3)));
    }
}

#[test]
fn a_code_that_ran_out_is_replaced_and_dead_for_ever() {
    let story = signed_in().at(60);
    assert_eq!(live_code(&story), None);
    let story = story.when(reissue).then([code_until(120)], ());
    assert_eq!(live_code(&story), Some(event(4)));
    story
        .clone()
        .when(redeem(code(event(3))))
        .then_only(Err(RedeemRefusal::NotLive))
        .when(redeem(code(event(4))))
        .then([redeemed(60)], Ok(()))
        // Nor does the older one count as a replay of the one that was used.
        .when(redeem(code(event(3))))
        .then_only(Err(RedeemRefusal::NotLive));
    // At most once a minute: the new one lives that long.
    story
        .at(119)
        .when(reissue)
        .then_only(())
        .at(120)
        .when(reissue)
        .then([code_until(180)], ());
}

#[test]
fn codes_are_replaced_until_the_request_ends_and_the_last_outlives_it() {
    let last = 10 * MINUTE - 1;
    let story = signed_in()
        .at(last)
        .when(reissue)
        .then([code_until(last + 60)], ());
    let story = story.at(10 * MINUTE);
    assert_eq!(live_code(&story), Some(event(4)));
    let story = story.at(last + 60).when(reissue).then_only(());
    assert_eq!(live_code(&story), None);
    signed_in().at(10 * MINUTE).when(reissue).then_only(());
}

#[test]
fn no_code_is_issued_where_none_is_due() {
    given([created()]).at(60).when(reissue).then_only(());
    signed_in()
        .and([redeemed(5)])
        .at(60)
        .when(reissue)
        .then_only(());
    let ended = signed_in().and([revoked(RevokedReason::RevokedByClient)]);
    ended.at(60).when(reissue).then_only(());
}

#[test]
fn a_suspension_kills_the_code_and_no_new_one_follows_even_after_reinstating() {
    let by_agent = signed_in().agent(AGENT, suspended());
    assert_eq!(live_code(&by_agent), None);
    by_agent
        .at(60)
        .when(reissue)
        .then_only(())
        .agent(AGENT, reinstated())
        .when(reissue)
        .then_only(());
    let by_owner = signed_in().owner(OWNER, owner_suspended());
    assert_eq!(live_code(&by_owner), None);
    by_owner.at(60).when(reissue).then_only(());
}

#[test]
fn the_page_knows_when_its_status_changes_by_itself() {
    let changes_at = |story: Story| story.seen().request().changes_at();
    assert_eq!(changes_at(given([created()])), Some(at(10 * MINUTE)));
    assert_eq!(changes_at(signed_in()), Some(at(10 * MINUTE)));
    let last = 10 * MINUTE - 1;
    assert_eq!(
        changes_at(signed_in().and([code_until(last + 60)])),
        Some(at(last + 60))
    );
    assert_eq!(changes_at(signed_in().and([redeemed(5)])), None);
    let ended = signed_in().and([revoked(RevokedReason::RevokedByClient)]);
    assert_eq!(changes_at(ended), None);
}
