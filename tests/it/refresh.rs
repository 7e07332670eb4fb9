//! POST /token with a refresh token: rotation, its grace window, and theft.

use auth_agent::edge::Clock;
use serde_json::json;

use crate::{
    jwt,
    support::{
        Api, Client, Reply, SignIn, Tokens, on_both_databases, process::eventually, sign_in::Auth,
    },
};

async fn fresh(api: &Api, fields: serde_json::Value) -> (Client, SignIn) {
    let client = api.create_client(fields).await;
    let agent = api.create_agent(json!({})).await;
    let done = api.sign_in(&client, &agent).await;
    (client, done)
}

/// Waits until so many milliseconds have gone by.
async fn past(milliseconds: i128) {
    let start = Clock.now();
    eventually("time to go by", async || {
        (Clock.now().duration_since(start).as_millis() > milliseconds).then_some(())
    })
    .await;
}

async fn narrowed(api: &Api, client: &Client, token: &str, scope: &str) -> Reply {
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("scope", scope),
    ];
    api.token(client, &form).await
}

/// What must be the same when an answer is given again.
fn essence(tokens: &Tokens) -> (String, serde_json::Value) {
    let claims = jwt::claims(&tokens.access_token);
    (
        tokens.refresh().to_owned(),
        json!([claims["jti"], claims["iat"], claims["exp"]]),
    )
}

on_both_databases! {
    async fn a_refresh_rotates(env: Env) {
        let api = env.api().await;
        let (client, done) = fresh(&api, json!({})).await;
        let mut seen = vec![done.tokens.refresh().to_owned()];
        for _ in 0..4 {
            let next = Tokens::of(api.refresh(&client, seen.last().unwrap()).await);
            assert!(!seen.contains(&next.refresh().to_owned()));
            assert!(next.id_token.is_some(), "an ID token comes at refresh too");
            assert!(api.is_active(&client, &next.access_token).await);
            assert!(api.is_active(&client, next.refresh()).await);
            // What was used is no longer a token, though its repetition would be forgiven.
            assert!(!api.is_active(&client, seen.last().unwrap()).await);
            seen.push(next.refresh().to_owned());
        }
    }

    async fn public_clients_rotate_always(env: Env) {
        let api = env.api().await;
        let (client, done) = fresh(&api, json!({"token_endpoint_auth_method": "none"})).await;
        assert_eq!(client.auth, Auth::None);
        let next = Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
        assert_ne!(next.refresh(), done.tokens.refresh());
        let last = Tokens::of(api.refresh(&client, next.refresh()).await);
        assert_ne!(last.refresh(), next.refresh());
        api.refresh(&client, done.tokens.refresh()).await.refused(400, "invalid_grant");
        api.refresh(&client, last.refresh()).await.refused(400, "invalid_grant");
    }

    async fn a_repeat_within_the_grace_gets_the_same_answer_again(env: Env) {
        let server = env.start(|options| { options.flag("--refresh-grace", 300); }).await;
        let api = server.api();
        for alg in ["RS256", "ES256", "EdDSA"] {
            let (client, done) = fresh(&api, json!({"id_token_signed_response_alg": alg})).await;
            let first = Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
            past(1_100).await;
            for _ in 0..3 {
                let again = Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
                assert_eq!(essence(&again), essence(&first));
                assert_eq!(again.json["expires_in"], first.json["expires_in"]);
                assert_eq!(again.access_token, first.access_token);
                let claims = |tokens: &Tokens| jwt::claims(tokens.id_token.as_deref().unwrap());
                assert_eq!(claims(&again), claims(&first));
            }
            // However often it is repeated, one event tells of it.
            let events = api.event_types(&done.page).await;
            let expected = [
                "Created", "AgentAuthenticated", "CodeIssued", "CodeRedeemed", "TokenRefreshed",
                "RefreshTokenRepeated",
            ];
            assert_eq!(events, expected);
        }
    }

    async fn the_grace_window_does_not_slide(env: Env) {
        let server = env.start(|options| { options.flag("--refresh-grace", 3); }).await;
        let api = server.api();
        let (client, done) = fresh(&api, json!({})).await;
        let used = Clock.now();
        let next = Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
        let refused = eventually("the grace to end although the token comes again and again", async || {
            let reply = api.refresh(&client, done.tokens.refresh()).await;
            (reply.status != 200).then_some(reply)
        })
        .await;
        refused.refused(400, "invalid_grant");
        let after = Clock.now().duration_since(used).as_millis();
        assert!(after >= 2_500, "the grace ended after {after} ms");
        assert!(!api.is_active(&client, next.refresh()).await);
        assert!(!api.is_active(&client, &next.access_token).await);
    }

    async fn a_replay_outside_the_grace_kills_the_grant(env: Env) {
        let server = env.start(|options| { options.flag("--refresh-grace", 0); }).await;
        let api = server.api();
        let (client, done) = fresh(&api, json!({})).await;
        let next = Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
        api.refresh(&client, done.tokens.refresh()).await.refused(400, "invalid_grant");
        for tokens in [&done.tokens, &next] {
            assert!(!api.is_active(&client, &tokens.access_token).await);
            assert!(!api.is_active(&client, tokens.refresh()).await);
            api.userinfo(&tokens.access_token).await.refused(401, "invalid_token");
            api.refresh(&client, tokens.refresh()).await.refused(400, "invalid_grant");
        }
        let events = api.event_types(&done.page).await;
        assert_eq!(events[events.len() - 2..], ["RefreshTokenReplayed", "Revoked"]);
    }

    async fn an_older_generation_kills_the_grant_even_within_the_grace(env: Env) {
        let server = env.start(|options| { options.flag("--refresh-grace", 300); }).await;
        let api = server.api();
        let (client, done) = fresh(&api, json!({})).await;
        let second = Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
        let third = Tokens::of(api.refresh(&client, second.refresh()).await);
        api.refresh(&client, done.tokens.refresh()).await.refused(400, "invalid_grant");
        api.refresh(&client, third.refresh()).await.refused(400, "invalid_grant");
        assert!(!api.is_active(&client, &third.access_token).await);
    }

    async fn a_refresh_cannot_widen_the_scope_and_the_attempt_costs_nothing(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let asked = crate::support::Authorize::new(&client).with("scope", "openid profile");
        let page = api.authorize(&asked).await;
        api.authenticate(&page, &agent).await.expect(200);
        let code = api.callback(&page).await.get("code");
        let tokens = Tokens::of(api.redeem(&client, &code, &asked.pkce.verifier).await);
        for scope in ["openid profile email", "email", "openid\"", "  ", "admin"] {
            let reply = narrowed(&api, &client, tokens.refresh(), scope).await;
            reply.refused(400, "invalid_scope");
        }
        assert!(api.is_active(&client, tokens.refresh()).await);
        Tokens::of(api.refresh(&client, tokens.refresh()).await);
    }

    async fn a_refresh_may_narrow_the_access_token_but_not_the_grant(env: Env) {
        let api = env.api().await;
        let (client, done) = fresh(&api, json!({})).await;
        let reply = narrowed(&api, &client, done.tokens.refresh(), "profile").await;
        let next = Tokens::of(reply);
        assert_eq!(next.json["scope"], "profile");
        assert_eq!(jwt::claims(&next.access_token)["scope"], "profile");
        assert_eq!(next.id_token, None);
        let last = Tokens::of(api.refresh(&client, next.refresh()).await);
        assert_eq!(last.json["scope"], "openid profile email");
    }

    async fn a_refresh_token_is_bound_to_its_client_and_a_stranger_kills_nothing(env: Env) {
        let api = env.api().await;
        let (client, done) = fresh(&api, json!({})).await;
        let stranger = api.create_client(json!({})).await;
        let public = api.create_client(json!({"token_endpoint_auth_method": "none"})).await;
        let next = Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
        let last = Tokens::of(api.refresh(&client, next.refresh()).await);
        for other in [&stranger, &public] {
            // The current one, the one before, and one that would be theft from its own client.
            for token in [last.refresh(), next.refresh(), done.tokens.refresh()] {
                api.refresh(other, token).await.refused(400, "invalid_grant");
            }
        }
        let silent = Client { auth: Auth::None, ..client.clone() };
        api.refresh(&silent, last.refresh()).await.refused(401, "invalid_client");
        assert!(api.is_active(&client, &last.access_token).await);
        Tokens::of(api.refresh(&client, last.refresh()).await);
    }

    async fn a_refresh_token_ends_when_it_lies_idle(env: Env) {
        let set = |options: &mut crate::support::Options| {
            options.flag("--refresh-token-idle-lifetime", 10);
        };
        let server = env.start(set).await;
        let api = server.api();
        let (client, done) = fresh(&api, json!({})).await;
        // Used again and again it outlives that time.
        past(4_000).await;
        let mut tokens = done.tokens;
        for _ in 0..2 {
            tokens = Tokens::of(api.refresh(&client, tokens.refresh()).await);
            past(4_000).await;
        }
        assert!(api.is_active(&client, tokens.refresh()).await);
        eventually("the token to end", async || {
            (!api.is_active(&client, tokens.refresh()).await).then_some(())
        })
        .await;
        api.refresh(&client, tokens.refresh()).await.refused(400, "invalid_grant");
        // Ending is no theft: the access token lives on until its own end.
        assert!(api.is_active(&client, &tokens.access_token).await);
    }

    async fn refresh_tokens_end_with_the_sign_in_however_often_they_are_used(env: Env) {
        let set = |options: &mut crate::support::Options| {
            options.flag("--refresh-token-lifetime", 10);
        };
        let server = env.start(set).await;
        let api = server.api();
        let (client, done) = fresh(&api, json!({})).await;
        let mut tokens = done.tokens;
        let mut uses = 0;
        let refused = loop {
            let reply = api.refresh(&client, tokens.refresh()).await;
            if reply.status != 200 {
                break reply;
            }
            tokens = Tokens::of(reply);
            uses += 1;
            past(2_000).await;
        };
        refused.refused(400, "invalid_grant");
        assert!(uses > 0);
        assert!(!api.is_active(&client, tokens.refresh()).await);
        assert!(api.is_active(&client, &tokens.access_token).await);
    }

    async fn a_client_without_that_grant_type_gets_no_refresh_token(env: Env) {
        let api = env.api().await;
        let only_codes = json!({"grant_types": ["authorization_code"]});
        let (client, done) = fresh(&api, only_codes).await;
        assert_eq!(done.tokens.refresh_token, None);
        api.refresh(&client, "rt_x").await.refused(400, "unauthorized_client");
    }

    async fn what_is_no_refresh_token_is_invalid_grant(env: Env) {
        let api = env.api().await;
        let (client, done) = fresh(&api, json!({})).await;
        let token = done.tokens.refresh();
        for text in ["x", "rt_", &token[..token.len() - 1], &format!("{token}A"), &done.tokens.access_token] {
            api.refresh(&client, text).await.refused(400, "invalid_grant");
        }
        api.refresh(&client, "").await.refused(400, "invalid_request");
        assert!(api.is_active(&client, token).await);
    }
}
