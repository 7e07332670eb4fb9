//! A website presents a code.

use super::{
    commands::{Redeeming, code, redeem},
    facts::{
        authenticated, code_until, created, redeemed, redeemed_as, refreshed, registered_agent,
        registered_client, revoked, suspended,
    },
    harness::{
        AGENT, CLIENT, MINUTE, OTHER_CLIENT, OWNER, REDIRECT_URI, Story, WRONG, event, given,
        given_with,
    },
};
use crate::domain::{
    ClientRegistered, GrantType, RequestFact,
    auth_request::{CodeReplayed, RedeemRefusal as Refusal, RevokedReason},
};

fn signed_in() -> Story {
    given([created(), authenticated(), code_until(60)])
}

fn replay() -> [RequestFact; 2] {
    [
        RequestFact::CodeReplayed(CodeReplayed {}),
        revoked(RevokedReason::CodeReplayed),
    ]
}

#[test]
fn a_code_is_exchanged_once_for_what_was_asked() {
    let story = signed_in()
        .at(59)
        .when(redeem(code(event(3))))
        .then([redeemed(59)], Ok(()));
    let seen = story.seen();
    let grant = seen.request().active(&seen.standing).unwrap().grant;
    assert_eq!(grant.code_issued_by, event(3));
    assert_eq!(grant.current.generation, 1);
    assert_eq!(grant.current.issued_by, event(4));
    assert_eq!(grant.current.exp - grant.current.iat, 10 * MINUTE);
}

#[test]
fn the_redirect_uri_need_not_be_sent_again() {
    // OAuth 2.1 no longer asks for it.
    let without = Redeeming {
        redirect_uri: None,
        ..code(event(3))
    };
    signed_in()
        .when(redeem(without))
        .then([redeemed(0)], Ok(()));
}

#[test]
fn a_client_that_may_not_refresh_gets_no_refresh_token() {
    let client = ClientRegistered {
        grant_types: vec![GrantType::AuthorizationCode],
        ..registered_client()
    };
    given_with(
        client,
        registered_agent(OWNER),
        [created(), authenticated(), code_until(60)],
    )
    .when(redeem(code(event(3))))
    .then([redeemed_as(0, false)], Ok(()));
}

#[test]
fn an_unknown_code_is_not_live_in_any_state() {
    for facts in [
        vec![created()],
        vec![created(), authenticated()],
        vec![created(), authenticated(), code_until(60)],
        vec![created(), authenticated(), code_until(60), redeemed(0)],
        vec![
            created(),
            authenticated(),
            code_until(60),
            revoked(RevokedReason::RevokedByClient),
        ],
    ] {
        given(facts)
            .when(redeem(code(event(99))))
            .then_only(Err(Refusal::NotLive));
    }
}

#[test]
fn a_code_of_an_ended_sign_in_is_not_live() {
    signed_in()
        .and([revoked(RevokedReason::RevokedByClient)])
        .when(redeem(code(event(3))))
        .then_only(Err(Refusal::NotLive));
}

#[test]
fn a_code_runs_out_after_its_minute() {
    signed_in()
        .at(60)
        .when(redeem(code(event(3))))
        .then_only(Err(Refusal::Expired));
}

#[test]
fn a_code_of_another_client_a_wrong_redirect_uri_and_a_wrong_verifier_are_refused_in_that_order() {
    let right = code(event(3));
    let wrong_verifier = Redeeming {
        hashed_verifier: WRONG,
        ..right
    };
    let wrong_uri = Redeeming {
        redirect_uri: Some("https://evil.example/"),
        ..wrong_verifier
    };
    let wrong_client = Redeeming {
        client_id: OTHER_CLIENT,
        ..wrong_uri
    };
    signed_in()
        .when(redeem(wrong_client))
        .then_only(Err(Refusal::OtherClient))
        .when(redeem(wrong_uri))
        .then_only(Err(Refusal::OtherRedirectUri))
        .when(redeem(wrong_verifier))
        .then_only(Err(Refusal::WrongVerifier))
        // None of it consumed anything.
        .when(redeem(right))
        .then([redeemed(0)], Ok(()));
}

#[test]
fn the_redirect_uri_is_compared_to_the_letter() {
    for uri in [
        "",
        "https://profilio.example/callback/",
        "https://profilio.example:443/callback",
    ] {
        let call = Redeeming {
            redirect_uri: Some(uri),
            ..code(event(3))
        };
        assert_ne!(uri, REDIRECT_URI);
        signed_in()
            .when(redeem(call))
            .then_only(Err(Refusal::OtherRedirectUri));
    }
}

#[test]
fn the_verifier_itself_is_no_verifier_nor_is_nothing() {
    // The challenge is met by its transformation alone, compared in full.
    for hashed_verifier in ["", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c", WRONG] {
        let call = Redeeming {
            hashed_verifier,
            ..code(event(3))
        };
        signed_in()
            .when(redeem(call))
            .then_only(Err(Refusal::WrongVerifier));
    }
}

#[test]
fn a_code_of_a_suspended_agent_is_dead_even_if_it_has_not_run_out() {
    signed_in()
        .agent(AGENT, suspended())
        .when(redeem(code(event(3))))
        .then_only(Err(Refusal::Suspended));
}

#[test]
fn a_second_use_with_the_right_verifier_revokes_what_the_first_issued() {
    // Whenever it comes: seconds later, or long after code and access token ran out.
    for seconds in [1, 61, 60 * 60 * 24 * 40] {
        let story = signed_in()
            .and([redeemed(0)])
            .at(seconds)
            .when(redeem(code(event(3))))
            .then(replay(), Err(Refusal::Replayed));
        let seen = story.seen();
        assert!(seen.request().active(&seen.standing).is_none());
        // A third finds nothing left to end.
        story
            .when(redeem(code(event(3))))
            .then_only(Err(Refusal::NotLive));
    }
}

#[test]
fn a_second_use_by_anybody_who_only_saw_the_code_revokes_nothing() {
    let right = code(event(3));
    let story = signed_in()
        .and([redeemed(0)])
        .at(1)
        .when(redeem(Redeeming {
            hashed_verifier: WRONG,
            ..right
        }))
        .then_only(Err(Refusal::WrongVerifier))
        .when(redeem(Redeeming {
            redirect_uri: Some("https://evil.example/"),
            ..right
        }))
        .then_only(Err(Refusal::OtherRedirectUri))
        .when(redeem(Redeeming {
            client_id: OTHER_CLIENT,
            ..right
        }))
        .then_only(Err(Refusal::OtherClient));
    let seen = story.seen();
    assert_eq!(seen.request().asked().client_id, CLIENT);
    assert!(seen.request().active(&seen.standing).is_some());
}

#[test]
fn a_refresh_between_does_not_hide_the_second_use() {
    signed_in()
        .and([redeemed(0), refreshed(2, 0), refreshed(3, 0)])
        .at(30)
        .when(redeem(code(event(3))))
        .then(replay(), Err(Refusal::Replayed));
}
