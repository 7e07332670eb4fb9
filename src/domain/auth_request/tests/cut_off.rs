//! The kill switch: one event in the agent's or the owner's stream is enough, and nothing that
//! was signed in before it ever lives again.

use super::{
    commands::{Redeeming, authenticate, by, code, redeem, refresh, token},
    facts::{
        agent_revoked, authenticated, client_revoked, code_until, created, owner_reinstated,
        owner_suspended, redeemed, refreshed, reinstated, revoked, suspended,
    },
    harness::{
        AGENT, CLIENT, DAY, OTHER_CLIENT, OTHER_OWNER, OWNER, SIBLING, STRANGER, Seen, Story,
        WRONG, event, given,
    },
};
use crate::domain::{
    AgentId, Binding, CutOff, OwnerId, RequestFact,
    auth_request::{
        AuthenticateRefusal, Authenticated, CodeReplayed, RedeemRefusal, RefreshRefusal, Refreshed,
        RevokedReason, Status, deny,
    },
};

fn granted() -> Story {
    given([created(), authenticated(), code_until(60), redeemed(0)])
}

fn cut_off(story: &Story) -> Option<CutOff> {
    let seen = story.seen();
    seen.standing.cut_off(seen.request().sign_in().unwrap())
}

fn lives(story: &Story) -> bool {
    let seen = story.seen();
    seen.request().active(&seen.standing).is_some()
}

fn suspend(story: Story, agent: AgentId) -> Story {
    story.agent(agent, suspended())
}

fn reinstate(story: Story, agent: AgentId) -> Story {
    story.agent(agent, reinstated())
}

fn suspend_owner(story: Story, owner: OwnerId) -> Story {
    story.owner(owner, owner_suspended())
}

fn reinstate_owner(story: Story, owner: OwnerId) -> Story {
    story.owner(owner, owner_reinstated())
}

#[test]
fn a_suspension_of_agent_or_owner_ends_the_grant_and_says_which_it_was() {
    assert_eq!(cut_off(&granted()), None);
    let by_agent = suspend(granted(), AGENT);
    assert_eq!(cut_off(&by_agent), Some(CutOff::AgentSuspended));
    assert!(!lives(&by_agent));
    let by_owner = suspend_owner(granted(), OWNER);
    assert_eq!(cut_off(&by_owner), Some(CutOff::OwnerSuspended));
    assert!(!lives(&by_owner));
    assert_eq!(
        cut_off(&suspend_owner(by_agent, OWNER)),
        Some(CutOff::AgentSuspended)
    );
}

#[test]
fn reinstating_revives_nothing() {
    for story in [
        reinstate(suspend(granted(), AGENT), AGENT),
        reinstate_owner(suspend_owner(granted(), OWNER), OWNER),
    ] {
        assert!(cut_off(&story).is_some());
        assert!(!lives(&story));
        story
            .when(refresh(token(event(4))))
            .then_only(Err(RefreshRefusal::Suspended));
    }
    let with_code = given([created(), authenticated(), code_until(60)]);
    reinstate(suspend(with_code, AGENT), AGENT)
        .when(redeem(code(event(3))))
        .then_only(Err(RedeemRefusal::Suspended));
}

#[test]
fn what_is_signed_in_after_reinstating_lives() {
    let story = reinstate(suspend(given([created()]), AGENT), AGENT);
    let story = reinstate_owner(suspend_owner(story, OWNER), OWNER)
        .when_by(AGENT, authenticate(by(AGENT)))
        .then(
            [authenticated(), code_until(60)],
            Ok(Authenticated {
                binding: Binding::Browser,
            }),
        )
        .when(redeem(code(event(3))))
        .then([redeemed(0)], Ok(()))
        .when(refresh(token(event(4))))
        .then([refreshed(2, 0)], Ok(Refreshed::Rotated));
    assert!(lives(&story));
    // Until the next time.
    assert!(!lives(&suspend(story, AGENT)));
}

#[test]
fn the_end_of_agent_or_client_ends_the_grant_and_says_which_it_was() {
    for (story, which) in [
        (
            granted().agent(AGENT, agent_revoked()),
            CutOff::AgentRevoked,
        ),
        (
            suspend(granted(), AGENT).agent(AGENT, agent_revoked()),
            CutOff::AgentRevoked,
        ),
        (
            granted().client(CLIENT, client_revoked()),
            CutOff::ClientRevoked,
        ),
    ] {
        assert_eq!(cut_off(&story), Some(which));
        assert!(!lives(&story));
        story
            .when(refresh(token(event(4))))
            .then_only(Err(RefreshRefusal::Suspended));
    }
    given([created(), authenticated(), code_until(60)])
        .client(CLIENT, client_revoked())
        .when(redeem(code(event(3))))
        .then_only(Err(RedeemRefusal::Suspended));
}

#[test]
fn a_page_that_waits_for_a_revoked_client_is_denied_at_once_and_once_recorded() {
    let status = |story: &Story| {
        let seen = story.seen();
        seen.request().status(&seen.standing, seen.now)
    };
    let denied = |seen: &Seen| deny(seen.request(), RevokedReason::ClientRevoked, seen.now);
    let story = given([created()]).client(CLIENT, client_revoked());
    assert_eq!(status(&story), Status::Denied);
    let story = story
        .when_by(AGENT, authenticate(by(AGENT)))
        .then_only(Err(AuthenticateRefusal::Closed))
        .when(denied)
        .then([revoked(RevokedReason::ClientRevoked)], ());
    assert_eq!(status(&story), Status::Denied);
    assert_eq!(status(&story.clone().at(DAY)), Status::Denied);
    story
        .when_by(AGENT, authenticate(by(AGENT)))
        .then_only(Err(AuthenticateRefusal::Closed))
        .when(denied)
        .then_only(());
    // What ran out before has ended already.
    let late = given([created()]).at(DAY).client(CLIENT, client_revoked());
    assert_eq!(status(&late), Status::Expired);
    late.when(denied).then_only(());
    // An agent that has signed in is no page that waits.
    given([created(), authenticated(), code_until(60)])
        .when(denied)
        .then_only(());
}

#[test]
fn what_befalls_others_is_no_matter() {
    let story = suspend_owner(suspend(suspend(granted(), SIBLING), STRANGER), OTHER_OWNER)
        .client(OTHER_CLIENT, client_revoked());
    assert_eq!(cut_off(&story), None);
    assert!(lives(&story));
}

#[test]
fn a_replayed_code_is_noticed_after_a_suspension_as_well() {
    let story = suspend(granted(), AGENT)
        .when(redeem(Redeeming {
            hashed_verifier: WRONG,
            ..code(event(3))
        }))
        .then_only(Err(RedeemRefusal::WrongVerifier));
    story.when(redeem(code(event(3)))).then(
        [
            RequestFact::CodeReplayed(CodeReplayed {}),
            revoked(RevokedReason::CodeReplayed),
        ],
        Err(RedeemRefusal::Replayed),
    );
}
