//! What policy asks of an agent: binding, origin, allow lists. A refusal leaves the page open.

use super::{
    commands::{Authenticating, authenticate, bound, by},
    facts::{
        authenticated, authenticated_by, code_until, created, created_for, registered_agent,
        registered_client, scope,
    },
    harness::{
        AGENT, CLIENT, OTHER_CLIENT, OWNER, REDIRECT_URI, SIBLING, Story, given, given_with,
    },
};
use crate::domain::{
    AgentRegistered, Binding, ClientRegistered, RequestFact,
    auth_request::{
        AgentRejected, AuthenticateRefusal as Refusal, Authenticated, MAX_REJECTIONS, Rejection,
        Status,
    },
};

const BINDINGS: [Binding; 3] = [Binding::None, Binding::Address, Binding::Browser];

fn rejected(reason: Rejection) -> RequestFact {
    RequestFact::AgentRejected(AgentRejected {
        agent_id: AGENT,
        reason,
    })
}

fn refused(reason: Rejection, required: Binding) -> Result<Authenticated, Refusal> {
    Err(Refusal::Policy { reason, required })
}

/// The agent is refused, it is recorded, and the page waits on.
#[track_caller]
fn refuses(story: Story, call: Authenticating, reason: Rejection) -> Story {
    let story = story
        .when_by(AGENT, authenticate(call))
        .then([rejected(reason)], refused(reason, Binding::Address));
    let seen = story.seen();
    assert_eq!(
        seen.request().status(&seen.standing, seen.now),
        Status::Pending
    );
    story
}

#[track_caller]
fn admits(story: Story, call: Authenticating) {
    story.when_by(AGENT, authenticate(call)).then(
        [authenticated(), code_until(60)],
        Ok(Authenticated {
            binding: Binding::Browser,
        }),
    );
}

#[test]
fn another_requests_cookie_is_a_mismatch_whatever_the_minimum() {
    for minimum_binding in BINDINGS {
        let client = ClientRegistered {
            minimum_binding,
            ..registered_client()
        };
        let agent = AgentRegistered {
            minimum_binding,
            ..registered_agent(OWNER)
        };
        given_with(client, agent, [created()])
            .when_by(AGENT, authenticate(bound(None)))
            .then(
                [rejected(Rejection::BrowserMismatch)],
                refused(Rejection::BrowserMismatch, minimum_binding),
            );
    }
}

#[test]
fn the_stricter_of_both_minimums_counts_for_every_pair_of_them() {
    for clients in BINDINGS {
        for agents in BINDINGS {
            for shown in BINDINGS {
                let client = ClientRegistered {
                    minimum_binding: clients,
                    ..registered_client()
                };
                let agent = AgentRegistered {
                    minimum_binding: agents,
                    ..registered_agent(OWNER)
                };
                let required = if rank(clients) > rank(agents) {
                    clients
                } else {
                    agents
                };
                let decided = given_with(client, agent, [created()])
                    .when_by(AGENT, authenticate(bound(Some(shown))));
                if rank(shown) >= rank(required) {
                    let story = decided.then(
                        [authenticated_by(AGENT, OWNER, shown), code_until(60)],
                        Ok(Authenticated { binding: shown }),
                    );
                    let seen = story.seen();
                    assert_eq!(seen.request().sign_in().map(|by| by.binding), Some(shown));
                } else {
                    let reason = Rejection::BindingRequired;
                    decided.then([rejected(reason)], refused(reason, required));
                }
            }
        }
    }
}

/// The contract's order, written down once more, so that the enum's own order is tested too.
const fn rank(binding: Binding) -> u8 {
    match binding {
        Binding::None => 0,
        Binding::Address => 1,
        Binding::Browser => 2,
    }
}

#[test]
fn an_agent_that_means_another_website_is_refused() {
    for origin in [
        "https://other.example",
        "http://profilio.example",
        "https://profilio.example:8443",
        "https://profilio.example.evil.example",
        "https://profilio.example@evil.example",
        "profilio.example",
        "",
    ] {
        let call = Authenticating {
            expected_origin: Some(origin),
            ..by(AGENT)
        };
        refuses(given([created()]), call, Rejection::OriginMismatch);
    }
    for id in [
        OTHER_CLIENT.to_string(),
        String::new(),
        CLIENT.to_string().to_uppercase(),
    ] {
        let call = Authenticating {
            expected_client_id: Some(id),
            ..by(AGENT)
        };
        refuses(given([created()]), call, Rejection::OriginMismatch);
    }
}

#[test]
fn an_agent_that_means_this_website_is_let_in_however_it_spells_it() {
    for origin in [
        "https://profilio.example",
        "https://profilio.example/",
        "https://profilio.example:443",
        "HTTPS://Profilio.Example",
    ] {
        let call = Authenticating {
            expected_origin: Some(origin),
            expected_client_id: Some(CLIENT.to_string()),
            ..by(AGENT)
        };
        admits(given([created()]), call);
    }
}

#[test]
fn the_origin_of_the_home_page_that_an_administrator_set_counts_as_well() {
    let client_uri = Some("https://www.profilio.example/welcome".to_owned());
    let client = ClientRegistered {
        client_uri,
        ..registered_client()
    };
    let story = given_with(client, registered_agent(OWNER), [created()]);
    let meaning = |origin| Authenticating {
        expected_origin: Some(origin),
        ..by(AGENT)
    };
    admits(story.clone(), meaning("https://www.profilio.example"));
    admits(story.clone(), meaning("https://profilio.example"));
    refuses(
        story,
        meaning("https://login.profilio.example"),
        Rejection::OriginMismatch,
    );
}

#[test]
fn a_right_origin_does_not_make_up_for_a_wrong_client_nor_the_reverse() {
    let wrong_client = Authenticating {
        expected_origin: Some("https://profilio.example"),
        expected_client_id: Some(OTHER_CLIENT.to_string()),
        ..by(AGENT)
    };
    refuses(given([created()]), wrong_client, Rejection::OriginMismatch);
    let wrong_origin = Authenticating {
        expected_origin: Some("https://other.example"),
        expected_client_id: Some(CLIENT.to_string()),
        ..by(AGENT)
    };
    refuses(given([created()]), wrong_origin, Rejection::OriginMismatch);
}

#[test]
fn a_loopback_website_is_meant_whatever_its_port() {
    let redirect_uri = "http://127.0.0.1:4711/callback";
    let client = ClientRegistered {
        redirect_uris: vec![redirect_uri.to_owned()],
        ..registered_client()
    };
    let story = given_with(client, registered_agent(OWNER), [created_for(redirect_uri)]);
    for origin in [
        "http://127.0.0.1",
        "http://127.0.0.1:4711",
        "http://127.0.0.1:80/",
    ] {
        admits(
            story.clone(),
            Authenticating {
                expected_origin: Some(origin),
                ..by(AGENT)
            },
        );
    }
    let elsewhere = Authenticating {
        expected_origin: Some("http://127.0.0.2"),
        ..by(AGENT)
    };
    refuses(story, elsewhere, Rejection::OriginMismatch);
}

#[test]
fn allow_lists_name_what_may_be_signed_in_to_and_with_which_scope() {
    let agent = |allowed_clients, allowed_scopes| {
        let allowed_scopes: Option<&str> = allowed_scopes;
        let allowed_scopes = allowed_scopes.map(scope);
        AgentRegistered {
            allowed_clients,
            allowed_scopes,
            ..registered_agent(OWNER)
        }
    };
    let story = |agent| given_with(registered_client(), agent, [created()]);

    admits(
        story(agent(Some(vec![OTHER_CLIENT, CLIENT]), None)),
        by(AGENT),
    );
    admits(story(agent(None, Some("profile openid email"))), by(AGENT));
    for clients in [vec![OTHER_CLIENT], vec![]] {
        let story = story(agent(Some(clients), Some("openid profile")));
        refuses(story, by(AGENT), Rejection::ClientNotAllowed);
    }
    let story = story(agent(Some(vec![CLIENT]), Some("openid")));
    refuses(story, by(AGENT), Rejection::ScopeNotAllowed);
}

#[test]
fn of_several_faults_the_first_in_the_contracts_order_answers() {
    let agent = AgentRegistered {
        allowed_clients: Some(vec![]),
        allowed_scopes: Some(scope("email")),
        ..registered_agent(OWNER)
    };
    let mut story = given_with(registered_client(), agent, [created()]);
    let mut call = Authenticating {
        binding: None,
        expected_origin: Some("https://other.example"),
        ..by(AGENT)
    };
    story = refuses(story, call.clone(), Rejection::BrowserMismatch);
    call.binding = Some(Binding::None);
    story = refuses(story, call.clone(), Rejection::BindingRequired);
    call.binding = Some(Binding::Address);
    story = refuses(story, call.clone(), Rejection::OriginMismatch);
    call.expected_origin = Some(REDIRECT_URI);
    refuses(story, call, Rejection::ClientNotAllowed);
}

#[test]
fn refusals_beyond_the_fifth_are_answered_but_not_recorded() {
    let reason = Rejection::BrowserMismatch;
    let mut story = given([created()]);
    for _ in 0..MAX_REJECTIONS {
        story = refuses(story, bound(None), reason);
    }
    assert_eq!(MAX_REJECTIONS, 5);
    for _ in 0..3 {
        story = story
            .when_by(AGENT, authenticate(bound(None)))
            .then_only(refused(reason, Binding::Address));
    }
    // And still nobody has closed the page.
    let sibling = authenticated_by(SIBLING, OWNER, Binding::Browser);
    story.when_by(SIBLING, authenticate(by(SIBLING))).then(
        [sibling, code_until(60)],
        Ok(Authenticated {
            binding: Binding::Browser,
        }),
    );
}
