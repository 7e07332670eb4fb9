//! What can be asked about a token, and ending one: /introspect, /revoke, /userinfo.

mod forged;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    jwt,
    support::{Agent, Api, Authorize, Client, SignIn, Tokens, on_both_databases, sign_in::Auth},
};

async fn fresh(api: &Api, fields: Value) -> (Client, Agent, SignIn) {
    let client = api.create_client(fields).await;
    let agent = api.create_agent(json!({})).await;
    let done = api.sign_in(&client, &agent).await;
    (client, agent, done)
}

/// Signs in for one scope.
async fn scoped(api: &Api, scope: &str) -> (Client, Tokens) {
    let client = api.create_client(json!({})).await;
    let agent = api.create_agent(json!({})).await;
    let asked = Authorize::new(&client).with("scope", scope);
    let page = api.authorize(&asked).await;
    api.authenticate(&page, &agent).await.expect(200);
    let code = api.callback(&page).await.get("code");
    let tokens = Tokens::of(api.redeem(&client, &code, &asked.pkce.verifier).await);
    (client, tokens)
}

on_both_databases! {
    async fn introspection_tells_a_client_of_its_own_tokens(env: Env) {
        let api = env.api().await;
        let (client, agent, done) = fresh(&api, json!({})).await;
        let token = &done.tokens.access_token;
        let told = api.introspect(&client, token).await.expect(200).json;
        let mut expected = jwt::claims(token);
        expected["active"] = json!(true);
        expected["token_type"] = json!("Bearer");
        assert_eq!(told, expected);

        let told = api.introspect(&client, done.tokens.refresh()).await.expect(200).json;
        assert_eq!(told["active"], true);
        for (name, value) in [
            ("client_id", &client.id), ("sub", &agent.id), ("agent_id", &agent.id),
            ("sid", &done.page.request_id), ("iss", &api.issuer),
        ] {
            assert_eq!(told[name], **value, "{name}");
        }
        assert_eq!(told["scope"], "openid profile email");
        assert_eq!(told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap(), 30 * 86_400);
    }

    async fn introspection_shows_a_client_only_its_own(env: Env) {
        let api = env.api().await;
        let (_, _, done) = fresh(&api, json!({})).await;
        let other = api.create_client(json!({})).await;
        for token in [&*done.tokens.access_token, done.tokens.refresh()] {
            for hint in ["access_token", "refresh_token", "other"] {
                let form = [("token", token), ("token_type_hint", hint)];
                let reply = api.form(&other, "/introspect", &form).await.expect(200);
                assert_eq!(reply.json, json!({"active": false}));
            }
        }
    }

    async fn a_wrong_hint_is_no_hindrance(env: Env) {
        let api = env.api().await;
        let (client, _, done) = fresh(&api, json!({})).await;
        for token in [&*done.tokens.access_token, done.tokens.refresh()] {
            for hint in ["access_token", "refresh_token", "other", ""] {
                let form = [("token", token), ("token_type_hint", hint)];
                let reply = api.form(&client, "/introspect", &form).await.expect(200);
                assert_eq!(reply.json["active"], true);
            }
        }
    }

    async fn an_inactive_token_is_told_nothing_else_about(env: Env) {
        let api = env.api().await;
        let (client, agent, done) = fresh(&api, json!({})).await;
        api.suspend(&agent).await;
        let id_token = done.tokens.id_token.as_deref().unwrap();
        for token in [&*done.tokens.access_token, done.tokens.refresh(), id_token, &*done.code, "x"] {
            let reply = api.introspect(&client, token).await.expect(200);
            assert_eq!(reply.json, json!({"active": false}));
        }
    }

    async fn an_expired_access_token_is_inactive(env: Env) {
        let server = env.start(|options| { options.flag("--access-token-lifetime", 2); }).await;
        let api = server.api();
        let (client, _, done) = fresh(&api, json!({})).await;
        let token = &done.tokens.access_token;
        crate::support::process::eventually("the token to run out", async || {
            (!api.is_active(&client, token).await).then_some(())
        })
        .await;
        api.userinfo(token).await.refused(401, "invalid_token");
        assert_eq!(done.tokens.json["expires_in"], 2);
        Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
    }

    async fn introspection_needs_a_client_with_a_secret(env: Env) {
        let api = env.api().await;
        let public = json!({"token_endpoint_auth_method": "none"});
        let (client, _, done) = fresh(&api, public).await;
        api.introspect(&client, &done.tokens.access_token).await.refused(401, "invalid_client");
        let reply = api.send(api.post("/introspect").form(&[("token", "x")])).await;
        reply.refused(401, "invalid_client");
        let (client, _, done) = fresh(&api, json!({})).await;
        let silent = Client { auth: Auth::None, ..client.clone() };
        api.introspect(&silent, &done.tokens.access_token).await.refused(401, "invalid_client");
        let wrong = Client { secret: Some("wrong".into()), ..client.clone() };
        api.introspect(&wrong, &done.tokens.access_token).await.refused(401, "invalid_client");
        api.form(&client, "/introspect", &[]).await.refused(400, "invalid_request");
        let twice = [("token", "x"), ("token", "x")];
        api.form(&client, "/introspect", &twice).await.refused(400, "invalid_request");
    }

    async fn revoking_a_refresh_token_ends_the_grant(env: Env) {
        let api = env.api().await;
        for public in [json!({}), json!({"token_endpoint_auth_method": "none"})] {
            let (client, _, done) = fresh(&api, public).await;
            let next = Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
            assert_eq!(api.revoke(&client, next.refresh()).await.status, 200);
            for tokens in [&done.tokens, &next] {
                api.refresh(&client, tokens.refresh()).await.refused(400, "invalid_grant");
                api.userinfo(&tokens.access_token).await.refused(401, "invalid_token");
                if client.secret.is_some() {
                    assert!(!api.is_active(&client, &tokens.access_token).await);
                    assert!(!api.is_active(&client, tokens.refresh()).await);
                }
            }
            assert_eq!(api.revoke(&client, next.refresh()).await.status, 200);
        }
    }

    async fn revoking_an_older_refresh_token_ends_the_grant_as_well(env: Env) {
        let api = env.api().await;
        let stranger = api.create_client(json!({})).await;
        for generations in [1, 2, 3] {
            let (client, _, done) = fresh(&api, json!({})).await;
            let mut last = done.tokens.clone();
            for _ in 0..generations {
                last = Tokens::of(api.refresh(&client, last.refresh()).await);
            }
            assert_eq!(api.revoke(&stranger, done.tokens.refresh()).await.status, 200);
            assert!(api.is_active(&client, last.refresh()).await);
            assert_eq!(api.revoke(&client, done.tokens.refresh()).await.status, 200);
            assert!(!api.is_active(&client, last.refresh()).await);
            assert!(!api.is_active(&client, &last.access_token).await);
        }
    }

    async fn revoking_an_access_token_ends_that_token_alone(env: Env) {
        let api = env.api().await;
        let (client, _, done) = fresh(&api, json!({})).await;
        let next = Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
        assert_eq!(api.revoke(&client, &done.tokens.access_token).await.status, 200);
        assert!(!api.is_active(&client, &done.tokens.access_token).await);
        api.userinfo(&done.tokens.access_token).await.refused(401, "invalid_token");
        assert!(api.is_active(&client, &next.access_token).await);
        assert_eq!(api.revoke(&client, &next.access_token).await.status, 200);
        assert!(!api.is_active(&client, &next.access_token).await);
        assert!(!api.is_active(&client, &done.tokens.access_token).await);
        let last = Tokens::of(api.refresh(&client, next.refresh()).await);
        assert!(api.is_active(&client, &last.access_token).await);
    }

    async fn revoking_what_is_foreign_or_unknown_is_answered_alike_and_revokes_nothing(env: Env) {
        let api = env.api().await;
        let (client, _, done) = fresh(&api, json!({})).await;
        let other = api.create_client(json!({})).await;
        let public = api.create_client(json!({"token_endpoint_auth_method": "none"})).await;
        let id_token = done.tokens.id_token.as_deref().unwrap();
        let mut answers = Vec::new();
        for stranger in [&other, &public] {
            for token in [&*done.tokens.access_token, done.tokens.refresh(), "x", id_token] {
                let reply = api.revoke(stranger, token).await;
                answers.push((reply.status, reply.text));
            }
        }
        assert!(answers.iter().all(|answer| *answer == (200, String::new())), "{answers:?}");
        assert!(api.is_active(&client, &done.tokens.access_token).await);
        assert!(api.is_active(&client, done.tokens.refresh()).await);
        // Nor does its own client end a sign-in with what is no token.
        for token in [&*done.code, id_token, &done.page.request_id] {
            assert_eq!(api.revoke(&client, token).await.status, 200);
        }
        assert!(api.is_active(&client, done.tokens.refresh()).await);
    }

    async fn revocation_needs_client_authentication(env: Env) {
        let api = env.api().await;
        let (client, _, done) = fresh(&api, json!({})).await;
        let token = done.tokens.refresh();
        let silent = Client { auth: Auth::None, ..client.clone() };
        api.revoke(&silent, token).await.refused(401, "invalid_client");
        let wrong = Client { secret: Some("wrong".into()), ..client.clone() };
        api.revoke(&wrong, token).await.refused(401, "invalid_client");
        let reply = api.send(api.post("/revoke").form(&[("token", token)])).await;
        reply.refused(401, "invalid_client");
        api.form(&client, "/revoke", &[]).await.refused(400, "invalid_request");
        assert!(api.is_active(&client, token).await);
    }

    async fn a_token_is_never_accepted_in_a_query(env: Env) {
        let api = env.api().await;
        let (client, _, done) = fresh(&api, json!({})).await;
        let token = &done.tokens.access_token;
        for method in [Method::GET, Method::POST] {
            let reply = api.send(api.call(method, &format!("/userinfo?access_token={token}"))).await;
            assert_eq!(reply.status, 401, "{}", reply.text);
        }
        let secret = client.secret.as_deref();
        for path in ["/introspect", "/revoke"] {
            let call = api.post(&format!("{path}?token={token}")).basic_auth(&client.id, secret);
            api.send(call).await.refused(400, "invalid_request");
        }
        assert!(api.is_active(&client, token).await);
        let admin = format!("/api/admin/clients?access_token={}", api.admin_key);
        assert_eq!(api.send(api.get(&admin)).await.status, 401);
    }

    async fn userinfo_answers_in_header_and_body(env: Env) {
        let api = env.api().await;
        let (_, agent, done) = fresh(&api, json!({})).await;
        let token = &done.tokens.access_token;
        let told = api.userinfo(token).await.expect(200).json;
        assert_eq!((&told["sub"], &told["agent_id"]), (&json!(agent.id), &json!(agent.id)));
        assert_eq!((&told["name"], &told["email_verified"]), (&json!("Ada Lovelace"), &json!(false)));
        assert_eq!((&told["model"], &told["binding"]), (&json!("claude-opus-4"), &json!("browser")));
        let by_post = api.send(api.post("/userinfo").bearer_auth(token)).await.expect(200);
        assert_eq!(by_post.json, told);
        let call = api.post("/userinfo").form(&[("access_token", token)]);
        assert_eq!(api.send(call).await.expect(200).json, told);
        let call = api.post("/userinfo").bearer_auth(token).form(&[("access_token", token)]);
        api.send(call).await.refused(400, "invalid_request");
    }

    async fn userinfo_challenges_as_rfc_6750_says(env: Env) {
        let api = env.api().await;
        // Nothing was sent, so nothing is said to be wrong (RFC 6750 §3.1).
        let reply = api.send(api.get("/userinfo")).await;
        assert_eq!(reply.status, 401);
        assert!(reply.header("www-authenticate").starts_with("Bearer realm="));
        assert!(!reply.header("www-authenticate").contains("error"));

        let twice = api.get("/userinfo").bearer_auth("x").bearer_auth("y");
        let reply = api.send(twice).await;
        reply.refused(400, "invalid_request");
        assert!(reply.header("www-authenticate").contains(r#"error="invalid_request""#));

        let reply = api.userinfo("x").await;
        reply.refused(401, "invalid_token");
        assert!(reply.header("www-authenticate").contains(r#"error="invalid_token""#));

        let (client, tokens) = scoped(&api, "profile email").await;
        assert!(api.is_active(&client, &tokens.access_token).await);
        let reply = api.userinfo(&tokens.access_token).await;
        reply.refused(403, "insufficient_scope");
        assert!(reply.header("www-authenticate").contains(r#"error="insufficient_scope""#));
        assert_eq!(reply.json.get("email"), None);
    }
}
