//! An agent asks to sign in: the rows of the contract's table, in their order.

use super::{
    commands::{Authenticating, authenticate, bound, by},
    facts::{
        authenticated, authenticated_by, code_until, created, owner_reinstated, owner_suspended,
        redeemed, registered_agent, registered_client, reinstated, revoked, suspended,
    },
    harness::{
        AGENT, MINUTE, OTHER_OWNER, OWNER, SIBLING, STRANGER, Story, World, given, given_with,
    },
};
use crate::domain::{
    Binding, ClientRegistered,
    auth_request::{AuthenticateRefusal as Refusal, Authenticated, RevokedReason},
};

const YES: Result<Authenticated, Refusal> = Ok(Authenticated {
    binding: Binding::Browser,
});

#[test]
fn an_agent_signs_in_and_its_first_code_is_issued_with_it() {
    given([created()])
        .at(30)
        .when_by(AGENT, authenticate(by(AGENT)))
        .then([authenticated(), code_until(30 + 60)], YES);
}

#[test]
fn the_binding_is_recorded_as_it_was_and_not_as_it_had_to_be() {
    let story = given([created()]).when_by(AGENT, authenticate(bound(Some(Binding::Address))));
    let story = story.then(
        [
            authenticated_by(AGENT, OWNER, Binding::Address),
            code_until(60),
        ],
        Ok(Authenticated {
            binding: Binding::Address,
        }),
    );
    assert_eq!(
        story.seen().request().sign_in().map(|by| by.binding),
        Some(Binding::Address)
    );
}

#[test]
fn a_suspended_agent_is_told_so_before_anything_is_said_about_the_request() {
    // Row by row: the first check that fails answers, so none of these shows another's answer.
    for story in [
        given([]),
        given([created()]),
        given([created()]).at(11 * MINUTE),
    ] {
        story
            .agent(AGENT, suspended())
            .when_by(AGENT, authenticate(by(AGENT)))
            .then_only(Err(Refusal::Suspended));
    }
}

#[test]
fn an_agent_of_a_suspended_owner_is_told_so_too() {
    given([created()])
        .owner(OWNER, owner_suspended())
        .when_by(SIBLING, authenticate(by(SIBLING)))
        .then_only(Err(Refusal::Suspended));
    given([created()])
        .owner(OWNER, owner_suspended())
        .when_by(STRANGER, authenticate(by(STRANGER)))
        .then(
            [
                authenticated_by(STRANGER, OTHER_OWNER, Binding::Browser),
                code_until(60),
            ],
            YES,
        );
}

#[test]
fn an_agent_that_nobody_knows_signs_in_nowhere() {
    let mut world = World::new(registered_client(), registered_agent(OWNER));
    world.agents.remove(&AGENT);
    Story(world)
        .and([created()])
        .when_by(AGENT, authenticate(by(AGENT)))
        .then_only(Err(Refusal::Suspended));
}

#[test]
fn a_reinstated_agent_signs_in_again() {
    given([created()])
        .agent(AGENT, suspended())
        .owner(OWNER, owner_suspended())
        .agent(AGENT, reinstated())
        .owner(OWNER, owner_reinstated())
        .when_by(AGENT, authenticate(by(AGENT)))
        .then([authenticated(), code_until(60)], YES);
}

#[test]
fn a_request_that_was_never_made_is_unknown() {
    given([])
        .when_by(AGENT, authenticate(by(AGENT)))
        .then_only(Err(Refusal::UnknownRequest));
}

#[test]
fn the_same_agent_gets_the_same_answer_again_until_the_request_expires() {
    let story = given([created(), authenticated(), code_until(60)]);
    for seconds in [0, 59, 60, 9 * MINUTE, 10 * MINUTE - 1] {
        let call = authenticate(bound(Some(Binding::None)));
        story
            .clone()
            .at(seconds)
            .when_by(AGENT, call)
            .then_only(YES);
    }
    story
        .at(10 * MINUTE)
        .when_by(AGENT, authenticate(by(AGENT)))
        .then_only(Err(Refusal::Expired));
}

#[test]
fn the_same_answer_comes_even_after_the_website_has_its_tokens() {
    given([created(), authenticated(), code_until(60), redeemed(5)])
        .at(MINUTE)
        .when_by(AGENT, authenticate(by(AGENT)))
        .then_only(YES);
}

#[test]
fn the_same_answer_does_not_come_when_the_sign_in_has_ended() {
    let story = given([created(), authenticated(), code_until(60)]);
    story
        .clone()
        .and([revoked(RevokedReason::RevokedByClient)])
        .when_by(AGENT, authenticate(by(AGENT)))
        .then_only(Err(Refusal::Closed));
    story
        .agent(AGENT, suspended())
        .agent(AGENT, reinstated())
        .when_by(AGENT, authenticate(by(AGENT)))
        .then_only(Err(Refusal::Closed));
}

#[test]
fn a_request_expires_at_the_very_end_of_its_lifetime() {
    let story = given([created()]);
    story
        .clone()
        .at(10 * MINUTE - 1)
        .when_by(AGENT, authenticate(by(AGENT)))
        .then([authenticated(), code_until(10 * MINUTE - 1 + 60)], YES);
    story
        .at(10 * MINUTE)
        .when_by(AGENT, authenticate(by(AGENT)))
        .then_only(Err(Refusal::Expired));
}

#[test]
fn one_request_has_one_agent() {
    for facts in [
        vec![created(), authenticated(), code_until(60)],
        vec![created(), authenticated(), code_until(60), redeemed(5)],
        vec![
            created(),
            authenticated(),
            code_until(60),
            revoked(RevokedReason::AgentSuspended),
        ],
    ] {
        for other in [SIBLING, STRANGER] {
            let story = given(facts.clone());
            story
                .clone()
                .when_by(other, authenticate(by(other)))
                .then_only(Err(Refusal::Closed));
            // Expiry is judged first.
            story
                .at(10 * MINUTE)
                .when_by(other, authenticate(by(other)))
                .then_only(Err(Refusal::Expired));
        }
    }
}

#[test]
fn a_request_that_has_gone_is_told_before_policy_is_looked_at() {
    let strict = ClientRegistered {
        minimum_binding: Binding::Browser,
        ..registered_client()
    };
    let unbound = || authenticate(bound(None));
    let story = given_with(strict, registered_agent(OWNER), [created()]);
    story
        .clone()
        .at(10 * MINUTE)
        .when_by(AGENT, unbound())
        .then_only(Err(Refusal::Expired));
    story
        .and([authenticated(), code_until(60)])
        .when_by(
            STRANGER,
            authenticate(Authenticating {
                binding: None,
                ..by(STRANGER)
            }),
        )
        .then_only(Err(Refusal::Closed));
}
