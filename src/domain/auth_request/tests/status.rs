//! What the waiting page is told, at every state and time.

use super::{
    facts::{
        authenticated, code_until, created, owner_suspended, redeemed, reinstated, revoked,
        suspended,
    },
    harness::{AGENT, DAY, MINUTE, OWNER, Story, given},
};
use crate::domain::{
    RequestFact,
    auth_request::{AgentRejected, Rejection, RevokedReason, Status},
};

fn signed_in() -> Story {
    given([created(), authenticated(), code_until(60)])
}

fn cut_off(story: Story) -> Story {
    story.agent(AGENT, suspended())
}

#[track_caller]
fn shows(story: Story, expected: impl IntoIterator<Item = (i64, Status)>) {
    for (seconds, status) in expected {
        let seen = story.clone().at(seconds).seen();
        assert_eq!(
            seen.request().status(&seen.standing, seen.now),
            status,
            "at {seconds} s"
        );
    }
}

const END: i64 = 10 * MINUTE;
const FOR_EVER: [i64; 3] = [0, END, DAY];

#[test]
fn a_waiting_page_is_pending_until_it_expires() {
    let rejected = RequestFact::AgentRejected(AgentRejected {
        agent_id: AGENT,
        reason: Rejection::BindingRequired,
    });
    for facts in [vec![created()], vec![created(), rejected]] {
        let expected = [
            (0, Status::Pending),
            (END - 1, Status::Pending),
            (END, Status::Expired),
            (DAY, Status::Expired),
        ];
        shows(given(facts), expected);
    }
}

#[test]
fn an_authenticated_page_may_go_until_request_and_code_have_both_run_out() {
    // Between code and request the browser may ask for a new code.
    let expected = [
        (0, Status::Authenticated),
        (60, Status::Authenticated),
        (END - 1, Status::Authenticated),
        (END, Status::Expired),
    ];
    shows(signed_in(), expected);
    // A code issued in the last moment outlives the request.
    let late = signed_in().and([code_until(END + 59)]);
    let expected = [
        (END, Status::Authenticated),
        (END + 58, Status::Authenticated),
        (END + 59, Status::Expired),
    ];
    shows(late, expected);
}

#[test]
fn a_redeemed_page_is_completed_for_ever_whatever_becomes_of_the_grant() {
    let redeemed = signed_in().and([redeemed(0)]);
    for story in [
        redeemed.clone(),
        cut_off(redeemed.clone()),
        redeemed.clone().and([revoked(RevokedReason::CodeReplayed)]),
        cut_off(redeemed.and([revoked(RevokedReason::RevokedByClient)])),
    ] {
        shows(
            story,
            [
                (0, Status::Completed),
                (END, Status::Completed),
                (DAY, Status::Completed),
            ],
        );
    }
}

#[test]
fn a_page_is_denied_when_its_agent_or_owner_is_suspended_before_the_website_has_it() {
    let revived = cut_off(signed_in()).agent(AGENT, reinstated());
    for story in [
        cut_off(signed_in()),
        revived,
        signed_in().owner(OWNER, owner_suspended()),
    ] {
        // Long before the end comes, the suspension is a fact of the request's own stream.
        let known = story.clone().and([revoked(RevokedReason::AgentSuspended)]);
        shows(story, [(0, Status::Denied), (END - 1, Status::Denied)]);
        shows(known, FOR_EVER.map(|at| (at, Status::Denied)));
    }
    for reason in [RevokedReason::AgentSuspended, RevokedReason::OwnerSuspended] {
        let story = signed_in().and([revoked(reason)]);
        shows(story, FOR_EVER.map(|at| (at, Status::Denied)));
    }
}

#[test]
fn a_page_that_has_expired_stays_so_when_its_agent_or_owner_is_suspended_later() {
    for story in [
        cut_off(signed_in().at(DAY)),
        signed_in().at(DAY).owner(OWNER, owner_suspended()),
        cut_off(signed_in().at(END)).and([revoked(RevokedReason::AgentSuspended)]),
        signed_in()
            .at(DAY)
            .and([revoked(RevokedReason::OwnerSuspended)]),
    ] {
        shows(
            story,
            [
                (END, Status::Expired),
                (DAY, Status::Expired),
                (2 * DAY, Status::Expired),
            ],
        );
    }
    // A code that outlives the request still may be denied its browser.
    let late = signed_in().and([code_until(END + 59)]).at(END + 58);
    let late = late.and([revoked(RevokedReason::AgentSuspended)]);
    shows(late, [(END + 58, Status::Denied), (DAY, Status::Denied)]);
}

#[test]
fn a_suspension_of_some_agent_does_not_deny_a_page_that_nobody_signed_in_on() {
    shows(
        cut_off(given([created()])),
        [(0, Status::Pending), (END, Status::Expired)],
    );
}

#[test]
fn the_final_ones_are_those_after_which_nothing_comes() {
    assert!(!Status::Pending.is_final());
    assert!(!Status::Authenticated.is_final());
    assert!(
        [Status::Completed, Status::Expired, Status::Denied]
            .iter()
            .all(|s| s.is_final())
    );
}

#[test]
fn the_names_are_those_of_the_contract() {
    let named = [
        (Status::Pending, "pending"),
        (Status::Authenticated, "authenticated"),
        (Status::Completed, "completed"),
        (Status::Expired, "expired"),
        (Status::Denied, "denied"),
    ];
    for (status, name) in named {
        assert_eq!(serde_json::to_value(status).unwrap(), name);
    }
}

#[test]
fn a_grant_lives_until_the_last_of_it_has_run_out_or_was_cut_off() {
    let granted = signed_in().and([redeemed(0)]);
    let lives_until = |story: Story, seconds: i64| {
        let seen = story.at(seconds).seen();
        let activity = seen.request().active(&seen.standing)?;
        activity.lives_until(&seen.lifetimes, seen.now)
    };
    let until = lives_until(granted.clone(), 0).expect("it lives");
    assert_eq!(lives_until(granted.clone(), 29 * DAY), Some(until));
    assert_eq!(lives_until(granted.clone(), 31 * DAY), None);
    assert_eq!(lives_until(cut_off(granted), 0), None);
}
