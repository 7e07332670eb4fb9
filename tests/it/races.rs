//! Many at once: one wins, and what was stopped stays stopped.

use std::sync::Arc;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    log::history,
    support::{
        Agent, Api, Authorize, Client, Options, Reply, Tokens, WaitingPage, on_both_databases,
        process::eventually,
    },
};

const MANY: usize = 1_000;

/// Redemptions that a suspension races.
const REDEMPTIONS: usize = 100;
/// How often that is tried at most.
const ROUNDS: usize = 12;

/// The ends of all sign-ins of an agent, as many as there are redemptions.
async fn all_ended(api: &Api, agent: &Agent) -> Vec<Value> {
    let query = format!("agent_id={}&type=Revoked", agent.id);
    let ends = eventually("every sign-in's end", async || {
        let events = history(api, &query).await;
        (events.len() >= REDEMPTIONS).then_some(events)
    })
    .await;
    assert_eq!(ends.len(), REDEMPTIONS);
    ends
}

fn long_lived(options: &mut Options) {
    options
        .flag("--code-lifetime", 600)
        .flag("--refresh-grace", 300);
}

async fn both(api: &Api) -> (Client, Agent) {
    (
        api.create_client(json!({})).await,
        api.create_agent(json!({})).await,
    )
}

fn events_of<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event["type"] == name)
        .collect()
}

/// The same call so often at once.
async fn at_once<F: Future<Output = Reply>>(number: usize, call: impl Fn() -> F) -> Vec<Reply> {
    join_all((0..number).map(|_| call())).await
}

fn split(replies: Vec<Reply>) -> (Vec<Reply>, Vec<Reply>) {
    replies.into_iter().partition(|reply| reply.status == 200)
}

/// Codes that wait to be redeemed, of one agent.
async fn codes(api: &Api, client: &Client, agent: &Agent, number: usize) -> Vec<Waiting> {
    let mut codes = Vec::with_capacity(number);
    for _ in 0..number {
        let (asked, page, callback) = api.code(client, agent).await;
        codes.push(Waiting {
            asked,
            page,
            code: callback.get("code"),
        });
    }
    codes
}

struct Waiting {
    asked: Authorize,
    page: WaitingPage,
    code: String,
}

/// At every endpoint of ours the tokens are dead.
async fn are_dead(api: &Api, client: &Client, tokens: &Tokens) {
    assert!(
        !api.is_active(client, &tokens.access_token).await,
        "the access token lives"
    );
    assert!(
        !api.is_active(client, tokens.refresh()).await,
        "the refresh token lives"
    );
    api.refresh(client, tokens.refresh())
        .await
        .refused(400, "invalid_grant");
    api.userinfo(&tokens.access_token)
        .await
        .refused(401, "invalid_token");
}

/// Suspends amid redemptions: so many are under way before it, one of them answered, and the others
/// are begun while it is. Yields how many were answered. What has to be dead afterwards is.
async fn one_round(api: &Api, by_owner: bool, before: usize) -> usize {
    let (client, agent) = both(api).await;
    let waiting = Arc::new(codes(api, &client, &agent, REDEMPTIONS).await);
    let (answered, mut answers) = tokio::sync::mpsc::channel::<()>(REDEMPTIONS);
    let redemption = |number: usize| {
        let (api, client) = (api.clone(), client.clone());
        let (waiting, answered) = (Arc::clone(&waiting), answered.clone());
        tokio::spawn(async move {
            let one = &waiting[number];
            let reply = api
                .redeem(&client, &one.code, &one.asked.pkce.verifier)
                .await;
            // Nobody listens any more once the suspension has begun.
            let _ = answered.send(()).await;
            reply
        })
    };
    let (kind, id) = if by_owner {
        ("owners", &agent.owner_id)
    } else {
        ("agents", &agent.id)
    };
    let path = |verb: &str| format!("/{kind}/{id}/{verb}");
    let mut redemptions: Vec<_> = (0..before).map(redemption).collect();
    answers.recv().await.expect("one is answered");
    let suspension = {
        let (api, path) = (api.clone(), path("suspend"));
        tokio::spawn(async move { api.admin(Method::POST, &path, None).await })
    };
    redemptions.extend((before..REDEMPTIONS).map(redemption));
    suspension.await.unwrap().expect(200);

    let mut redeemed = Vec::new();
    for (number, reply) in join_all(redemptions).await.into_iter().enumerate() {
        let reply = reply.unwrap();
        if reply.status == 200 {
            redeemed.push((number, Tokens::of(reply)));
        } else {
            reply.refused(400, "invalid_grant");
        }
    }
    let all_is_dead = async || {
        for (_, tokens) in &redeemed {
            are_dead(api, &client, tokens).await;
        }
        for (number, one) in waiting.iter().enumerate() {
            let reply = api
                .redeem(&client, &one.code, &one.asked.pkce.verifier)
                .await;
            reply.refused(400, "invalid_grant");
            let reply = api.check_status(&one.page).await.expect(200);
            let done = redeemed.iter().any(|(redeemed, _)| *redeemed == number);
            assert_eq!(
                reply.str("status"),
                if done { "completed" } else { "denied" }
            );
            assert_eq!(reply.json.get("code"), None);
        }
    };
    all_is_dead().await;
    let page = api.authorize(&Authorize::new(&client)).await;
    api.authenticate(&page, &agent)
        .await
        .refused(403, "access_denied");

    api.admin(Method::POST, &path("reinstate"), None)
        .await
        .expect(200);
    all_is_dead().await;
    // The agent itself may go on, with a sign-in of its own.
    api.authenticate(&page, &agent).await.expect(200);
    assert!(!api.callback(&page).await.get("code").is_empty());

    // The follower then writes the end of each sign-in, once, and not of the new one.
    let reason = if by_owner {
        "owner_suspended"
    } else {
        "agent_suspended"
    };
    let ends = all_ended(api, &agent).await;
    for one in waiting.iter() {
        let stream = format!("auth_request/{}", one.page.request_id);
        let its: Vec<_> = ends.iter().filter(|end| end["stream"] == *stream).collect();
        assert_eq!(its.len(), 1);
        let by_replay = its[0]["payload"]["reason"] == "code_replayed";
        assert!(
            by_replay || its[0]["payload"]["reason"] == reason,
            "{}",
            its[0]
        );
    }
    redeemed.len()
}

/// The same with a compromise of the derivation keys, of codes and of refresh tokens by turns.
async fn one_compromise(api: &Api, before: usize) -> usize {
    let (client, agent) = both(api).await;
    let waiting = Arc::new(codes(api, &client, &agent, REDEMPTIONS / 2).await);
    let mut used = Vec::new();
    for one in codes(api, &client, &agent, REDEMPTIONS / 2).await {
        let reply = api
            .redeem(&client, &one.code, &one.asked.pkce.verifier)
            .await;
        used.push(Tokens::of(reply));
    }
    let used = Arc::new(used);
    let (answered, mut answers) = tokio::sync::mpsc::channel::<()>(REDEMPTIONS);
    let call = |number: usize| {
        let (api, client) = (api.clone(), client.clone());
        let (waiting, used, answered) = (Arc::clone(&waiting), Arc::clone(&used), answered.clone());
        tokio::spawn(async move {
            let reply = if number.is_multiple_of(2) {
                let one = &waiting[number / 2];
                api.redeem(&client, &one.code, &one.asked.pkce.verifier)
                    .await
            } else {
                api.refresh(&client, used[number / 2].refresh()).await
            };
            let _ = answered.send(()).await;
            reply
        })
    };
    let mut calls: Vec<_> = (0..before).map(call).collect();
    answers.recv().await.expect("one is answered");
    let compromise = {
        let api = api.clone();
        let body = json!({"use": "derivation", "compromised": true});
        tokio::spawn(async move { api.admin(Method::POST, "/keys/rotate", Some(body)).await })
    };
    calls.extend((before..REDEMPTIONS).map(call));
    compromise.await.unwrap().expect(200);

    let mut won = Vec::new();
    for reply in join_all(calls).await {
        let reply = reply.unwrap();
        if reply.status == 200 {
            won.push(Tokens::of(reply));
        } else {
            reply.refused(400, "invalid_grant");
        }
    }
    for tokens in won.iter().chain(used.iter()) {
        are_dead(api, &client, tokens).await;
    }
    for one in waiting.iter() {
        let reply = api
            .redeem(&client, &one.code, &one.asked.pkce.verifier)
            .await;
        reply.refused(400, "invalid_grant");
    }
    all_ended(api, &agent).await;
    // In each stream the end is the last: nothing was issued after it.
    for one in waiting.iter() {
        let stream = format!("stream=auth_request/{}", one.page.request_id);
        let events = history(api, &stream).await;
        assert_eq!(events.last().unwrap()["type"], "Revoked");
    }
    won.len()
}

on_both_databases! {
    async fn of_a_thousand_parallel_redemptions_one_is_answered_and_in_the_end_nothing_lives(env: Env) {
        let server = env.start(long_lived).await;
        let api = server.api();
        let (client, agent) = both(&api).await;
        let (asked, page, callback) = api.code(&client, &agent).await;
        let code = callback.get("code");
        let call = || api.redeem(&client, &code, &asked.pkce.verifier);
        let (good, refused) = split(at_once(MANY, call).await);
        assert_eq!((good.len(), refused.len()), (1, MANY - 1));
        for reply in &refused {
            reply.refused(400, "invalid_grant");
        }
        // All of them had the right verifier: somebody has the code who should not.
        let tokens = Tokens::of(good.into_iter().next().unwrap());
        are_dead(&api, &client, &tokens).await;
        let events = history(&api, &format!("stream=auth_request/{}", page.request_id)).await;
        for name in ["CodeRedeemed", "CodeReplayed", "Revoked"] {
            assert_eq!(events_of(&events, name).len(), 1, "{name}");
        }
    }

    async fn a_thousand_parallel_refreshes_leave_one_living_successor(env: Env) {
        let server = env.start(long_lived).await;
        let api = server.api();
        let client = api.create_client(json!({"id_token_signed_response_alg": "EdDSA"})).await;
        let agent = api.create_agent(json!({})).await;
        let done = api.sign_in(&client, &agent).await;
        let call = || api.refresh(&client, done.tokens.refresh());
        let (mut good, refused) = split(at_once(MANY, call).await);
        // Ed25519 signs for all of them at once. Only where the machine has other work some wait too long
        // for the database; they lose nothing by it, and come again.
        for reply in refused {
            reply.refused(503, "temporarily_unavailable");
            good.push(call().await.expect(200));
        }
        assert_eq!(good.len(), MANY);
        let all: Vec<Tokens> = good.into_iter().map(Tokens::of).collect();
        for tokens in &all {
            assert_eq!(tokens.refresh(), all[0].refresh());
            assert_eq!(tokens.access_token, all[0].access_token);
        }
        assert!(api.is_active(&client, all[0].refresh()).await);
        assert!(api.is_active(&client, &all[0].access_token).await);
        let stream = format!("stream=auth_request/{}", done.page.request_id);
        let events = history(&api, &stream).await;
        assert_eq!(events_of(&events, "TokenRefreshed").len(), 1);
        assert_eq!(events_of(&events, "RefreshTokenRepeated").len(), 1);
        Tokens::of(api.refresh(&client, all[0].refresh()).await);
    }

    async fn without_a_grace_parallel_refreshes_answer_once_and_end_the_grant(env: Env) {
        let server = env.start(|options| { options.flag("--refresh-grace", 0); }).await;
        let api = server.api();
        let (client, agent) = both(&api).await;
        let done = api.sign_in(&client, &agent).await;
        let call = || api.refresh(&client, done.tokens.refresh());
        let (good, refused) = split(at_once(100, call).await);
        assert!(good.len() <= 1, "{} were answered", good.len());
        for reply in &refused {
            reply.refused(400, "invalid_grant");
        }
        for reply in good {
            are_dead(&api, &client, &Tokens::of(reply)).await;
        }
        are_dead(&api, &client, &done.tokens).await;
    }

    async fn of_two_agents_racing_for_one_request_one_wins_and_the_other_gets_409(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let (one, other) = (api.create_agent(json!({})).await, api.create_agent(json!({})).await);
        for _ in 0..50 {
            let page = api.authorize(&Authorize::new(&client)).await;
            let (first, second) =
                tokio::join!(api.authenticate(&page, &one), api.authenticate(&page, &other));
            let (winner, loser) = match (first.status, second.status) {
                (200, 409) => (&one, second),
                (409, 200) => (&other, first),
                statuses => panic!("{statuses:?}"),
            };
            loser.refused(409, "request_closed");
            let events = history(&api, &format!("stream=auth_request/{}", page.request_id)).await;
            let signed_in = events_of(&events, "AgentAuthenticated");
            assert_eq!(signed_in.len(), 1);
            assert_eq!(signed_in[0]["payload"]["agent_id"], *winner.id);
        }
    }

    async fn one_agent_that_calls_twice_at_once_signs_in_once(env: Env) {
        let api = env.api().await;
        let (client, agent) = both(&api).await;
        for _ in 0..10 {
            let page = api.authorize(&Authorize::new(&client)).await;
            for reply in at_once(8, || api.authenticate(&page, &agent)).await {
                reply.expect(200);
            }
            let events = history(&api, &format!("stream=auth_request/{}", page.request_id)).await;
            assert_eq!(events_of(&events, "AgentAuthenticated").len(), 1);
            assert_eq!(events_of(&events, "CodeIssued").len(), 1);
        }
    }

    async fn whatever_a_compromise_raced_is_dead_once_it_is_answered_and_stays_dead(env: Env) {
        let server = env.start(long_lived).await;
        let api = server.api();
        let (mut won, mut refused, mut before) = (0, 0, REDEMPTIONS / 2);
        for _ in 0..ROUNDS {
            let these = one_compromise(&api, before).await;
            (won, refused) = (won + these, refused + REDEMPTIONS - these);
            if won > 0 && refused > 0 {
                break;
            }
            before = (before / 2).max(1);
        }
        assert!(won > 0 && refused > 0, "no race: {won} answered, {refused} refused");
    }

    async fn whatever_a_suspension_raced_is_dead_once_it_is_answered_and_stays_dead(env: Env) {
        let server = env.start(long_lived).await;
        let api = server.api();
        for by_owner in [false, true] {
            let (mut redeemed, mut refused, mut before) = (0, 0, REDEMPTIONS / 2);
            // Until both have been seen, so that it was a race.
            for _ in 0..ROUNDS {
                let won = one_round(&api, by_owner, before).await;
                (redeemed, refused) = (redeemed + won, refused + REDEMPTIONS - won);
                if redeemed > 0 && refused > 0 {
                    break;
                }
                // All came before it: it comes sooner.
                before = (before / 2).max(1);
            }
            assert!(redeemed > 0 && refused > 0, "no race: {redeemed} redeemed, {refused} refused");
        }
    }
}
