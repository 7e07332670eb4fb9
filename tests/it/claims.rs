//! What the tokens of a sign-in say.

use auth_agent::edge::Clock;
use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    jwt,
    sql::sql,
    support::{Api, Authorize, Client, SignIn, Tokens, on_both_databases, process::eventually},
};

/// Signs in with these parameters of the request.
async fn sign_in_with(api: &Api, client: &Client, asked: Authorize) -> (String, Tokens) {
    let agent = api.create_agent(json!({})).await;
    let page = api.authorize(&asked).await;
    api.authenticate(&page, &agent).await.expect(200);
    let code = api.callback(&page).await.get("code");
    let tokens = Tokens::of(api.redeem(client, &code, &asked.pkce.verifier).await);
    (page.request_id, tokens)
}

async fn fresh(api: &Api, fields: Value) -> (Client, crate::support::Agent, SignIn) {
    let client = api.create_client(fields).await;
    let agent = api.create_agent(json!({})).await;
    let done = api.sign_in(&client, &agent).await;
    (client, agent, done)
}

fn at_hash(alg: &str, access_token: &str) -> String {
    let hash = if alg == "EdDSA" {
        &digest::SHA512
    } else {
        &digest::SHA256
    };
    let whole = digest::digest(hash, access_token.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(&whole.as_ref()[..whole.as_ref().len() / 2])
}

fn names(claims: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = claims
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names
}

on_both_databases! {
    async fn the_answer_has_the_members_that_rfc_6749_names(env: Env) {
        let api = env.api().await;
        let (_, _, done) = fresh(&api, json!({})).await;
        let json = &done.tokens.json;
        let expected =
            ["access_token", "expires_in", "id_token", "refresh_token", "scope", "token_type"];
        assert_eq!(names(json), expected);
        assert_eq!((&json["token_type"], &json["expires_in"]), (&json!("Bearer"), &json!(600)));
        assert_eq!(json["scope"], "openid profile email");
        assert!(done.tokens.refresh().starts_with("rt_"));
    }

    async fn an_id_token_is_signed_as_registered_and_says_who_signed_in(env: Env) {
        let api = env.api().await;
        for (registered, alg) in [
            (json!({}), "RS256"),
            (json!({"id_token_signed_response_alg": "RS256"}), "RS256"),
            (json!({"id_token_signed_response_alg": "ES256"}), "ES256"),
            (json!({"id_token_signed_response_alg": "EdDSA"}), "EdDSA"),
        ] {
            let (client, agent, done) = fresh(&api, registered).await;
            let id_token = done.tokens.id_token.as_deref().unwrap();
            let header = jwt::header(id_token);
            assert_eq!((&header["alg"], &header["typ"]), (&json!(alg), &json!("JWT")));
            let claims = jwt::verified(&api, id_token, &client.id).await;
            assert_eq!(names(&claims), [
                "agent_id", "amr", "at_hash", "aud", "auth_time", "binding", "email",
                "email_verified", "exp", "iat", "iss", "model", "name", "nonce", "sid", "sub",
            ]);
            assert_eq!(claims["iss"], *api.issuer);
            assert_eq!(claims["sub"], *agent.id);
            assert_eq!(claims["aud"], *client.id);
            assert_eq!(claims["agent_id"], *agent.id);
            assert_eq!(claims["sid"], *done.page.request_id);
            assert_eq!(claims["nonce"], *done.asked.nonce);
            assert_eq!(claims["amr"], json!(["pwd"]));
            assert_eq!(claims["model"], "claude-opus-4");
            assert_eq!(claims["binding"], "browser");
            assert_eq!(claims["name"], "Ada Lovelace");
            assert!(claims["email"].as_str().unwrap().ends_with("@people.example"));
            // Nobody has shown yet that the address is theirs.
            assert_eq!(claims["email_verified"], false);
            assert_eq!(claims["at_hash"], at_hash(alg, &done.tokens.access_token));
            let number = |name: &str| claims[name].as_i64().unwrap();
            assert_eq!(number("exp") - number("iat"), 600);
            assert!(number("auth_time") <= number("iat"));
            assert!(number("iat") <= Clock.now().as_second() + 1);
        }
    }

    async fn an_access_token_is_signed_as_registered_and_known_again(env: Env) {
        let api = env.api().await;
        for (registered, alg) in [
            (json!({}), "EdDSA"),
            (json!({"access_token_signed_response_alg": "EdDSA"}), "EdDSA"),
            (json!({"access_token_signed_response_alg": "ES256"}), "ES256"),
            (json!({"access_token_signed_response_alg": "RS256"}), "RS256"),
        ] {
            let (client, _, done) = fresh(&api, registered).await;
            assert_eq!(client.json["access_token_signed_response_alg"], alg);
            let next = Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
            for tokens in [&done.tokens, &next] {
                let token = &tokens.access_token;
                assert_eq!(jwt::header(token)["alg"], alg);
                jwt::verified(&api, token, &api.issuer).await;
                // The ID token is signed as before, and vouches for this very access token.
                let id_token = tokens.id_token.as_deref().unwrap();
                assert_eq!(jwt::header(id_token)["alg"], "RS256");
                assert_eq!(jwt::claims(id_token)["at_hash"], at_hash("RS256", token));
                api.userinfo(token).await.expect(200);
                assert!(api.is_active(&client, token).await);
            }
            assert_eq!(api.revoke(&client, &next.access_token).await.status, 200);
            assert!(!api.is_active(&client, &next.access_token).await);
            assert!(api.is_active(&client, &done.tokens.access_token).await);
        }
        let body = json!({
            "client_name": "x", "redirect_uris": ["https://a.example/"],
            "access_token_signed_response_alg": "HS256",
        });
        let reply = api.admin(reqwest::Method::POST, "/clients", Some(body)).await;
        reply.refused(400, "invalid_request");
    }

    async fn a_redemption_that_cannot_read_the_person_consumes_nothing(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let (asked, _, callback) = api.code(&client, &agent).await;
        let code = callback.get("code");
        let redeem = || api.redeem(&client, &code, &asked.pkce.verifier);
        sql(&server, "alter table people rename to hidden").await;
        let reply = redeem().await;
        reply.refused(503, "temporarily_unavailable");
        assert!(!reply.header("retry-after").is_empty());
        sql(&server, "alter table hidden rename to people").await;
        let tokens = Tokens::of(redeem().await);

        sql(&server, "alter table people rename to hidden").await;
        let refresh = || api.refresh(&client, tokens.refresh());
        refresh().await.refused(503, "temporarily_unavailable");
        sql(&server, "alter table hidden rename to people").await;
        let next = Tokens::of(refresh().await);
        assert_eq!(jwt::claims(next.id_token.as_deref().unwrap())["name"], "Ada Lovelace");
    }

    async fn an_access_token_is_of_rfc_9068(env: Env) {
        let api = env.api().await;
        let (client, agent, done) = fresh(&api, json!({})).await;
        let token = &done.tokens.access_token;
        let header = jwt::header(token);
        assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("at+jwt")));
        let claims = jwt::verified(&api, token, &api.issuer).await;
        assert_eq!(names(&claims), [
            "agent_id", "amr", "aud", "auth_time", "binding", "client_id", "exp", "iat", "iss",
            "jti", "model", "scope", "sid", "sub",
        ]);
        assert_eq!(claims["iss"], *api.issuer);
        assert_eq!(claims["aud"], *api.issuer);
        assert_eq!(claims["sub"], *agent.id);
        assert_eq!(claims["agent_id"], *agent.id);
        assert_eq!(claims["client_id"], *client.id);
        assert_eq!(claims["scope"], "openid profile email");
        assert_eq!(claims["sid"], *done.page.request_id);
        assert_eq!(claims["amr"], json!(["pwd"]));
        assert_eq!(claims["binding"], "browser");
        assert_eq!(claims["model"], "claude-opus-4");
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
        assert!(claims["jti"].as_str().unwrap().len() >= 16);
    }

    async fn subject_owner_names_the_owner_and_the_agent_as_actor(env: Env) {
        let api = env.api().await;
        let (client, agent, done) = fresh(&api, json!({"subject": "owner"})).await;
        let id_token = done.tokens.id_token.as_deref().unwrap();
        for claims in [jwt::claims(&done.tokens.access_token), jwt::claims(id_token)] {
            assert_eq!(claims["sub"], *agent.owner_id);
            assert_eq!(claims["act"], json!({"sub": agent.id}));
            assert_eq!(claims["agent_id"], *agent.id);
        }
        let told = api.introspect(&client, &done.tokens.access_token).await.expect(200).json;
        assert_eq!((&told["sub"], &told["act"]["sub"]), (&json!(agent.owner_id), &json!(agent.id)));
        let told = api.introspect(&client, done.tokens.refresh()).await.expect(200).json;
        assert_eq!((&told["sub"], &told["act"]["sub"]), (&json!(agent.owner_id), &json!(agent.id)));
        let told = api.userinfo(&done.tokens.access_token).await.expect(200).json;
        assert_eq!((&told["sub"], &told["act"]["sub"]), (&json!(agent.owner_id), &json!(agent.id)));
    }

    async fn name_and_email_come_by_scope(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        for (scope, name, email) in
            [("openid", false, false), ("openid profile", true, false), ("openid email", false, true)]
        {
            let asked = Authorize::new(&client).with("scope", scope);
            let (_, tokens) = sign_in_with(&api, &client, asked).await;
            assert_eq!(tokens.json["scope"], scope);
            let claims = jwt::claims(tokens.id_token.as_deref().unwrap());
            let told = api.userinfo(&tokens.access_token).await.expect(200).json;
            for claims in [claims, told] {
                assert_eq!(claims.get("name").is_some(), name, "{scope}");
                assert_eq!(claims.get("email").is_some(), email, "{scope}");
                assert_eq!(claims.get("email_verified").is_some(), email, "{scope}");
            }
        }
    }

    async fn without_openid_there_is_no_id_token(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let asked = Authorize::new(&client).with("scope", "profile");
        let (_, tokens) = sign_in_with(&api, &client, asked).await;
        assert_eq!(tokens.id_token, None);
        assert_eq!(jwt::claims(&tokens.access_token)["scope"], "profile");
    }

    async fn a_request_without_scope_gets_what_the_client_is_registered_for(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({"scope": "openid email"})).await;
        let asked = Authorize::new(&client).without("scope");
        let (_, tokens) = sign_in_with(&api, &client, asked).await;
        assert_eq!(tokens.json["scope"], "openid email");
    }

    async fn offline_access_is_accepted_and_changes_nothing(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let asked = Authorize::new(&client).with("scope", "openid offline_access");
        let (_, tokens) = sign_in_with(&api, &client, asked).await;
        assert!(tokens.refresh_token.is_some());
        let only_codes = json!({"grant_types": ["authorization_code"]});
        let client = api.create_client(only_codes).await;
        let asked = Authorize::new(&client).with("scope", "openid offline_access");
        let (_, tokens) = sign_in_with(&api, &client, asked).await;
        assert_eq!(tokens.refresh_token, None);
    }

    async fn a_request_without_nonce_gets_an_id_token_without_one(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let asked = Authorize::new(&client).without("nonce");
        let (_, tokens) = sign_in_with(&api, &client, asked).await;
        assert_eq!(jwt::claims(tokens.id_token.as_deref().unwrap()).get("nonce"), None);
    }

    async fn sid_is_the_request_and_stays_the_same_for_the_whole_sign_in(env: Env) {
        let api = env.api().await;
        let (client, _, done) = fresh(&api, json!({})).await;
        let next = Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
        let first = jwt::claims(done.tokens.id_token.as_deref().unwrap());
        let second = jwt::claims(next.id_token.as_deref().unwrap());
        // OpenID Connect Core §12.2: the same subject and sign-in; the nonce was for the first one.
        for name in ["iss", "sub", "aud", "sid", "auth_time", "amr", "agent_id"] {
            assert_eq!(first[name], second[name], "{name}");
        }
        assert_eq!(second.get("nonce"), None);
        assert_eq!(second["at_hash"], at_hash("RS256", &next.access_token));
        let jti = |tokens: &Tokens| jwt::claims(&tokens.access_token)["jti"].clone();
        assert_ne!(jti(&done.tokens), jti(&next));
    }

    async fn resources_are_refused_while_no_resource_server_is_registered(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let (asked, _, callback) = api.code(&client, &agent).await;
        let code = callback.get("code");
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("code_verifier", &*asked.pkce.verifier),
            ("resource", "https://api.example/"),
        ];
        api.token(&client, &form).await.refused(400, "invalid_target");
        Tokens::of(api.redeem(&client, &code, &asked.pkce.verifier).await);
    }

    async fn a_code_that_ran_out_is_refused_and_its_successor_works(env: Env) {
        let server = env.start(|options| { options.flag("--code-lifetime", 6); }).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let (asked, page, callback) = api.code(&client, &agent).await;
        let first = callback.get("code");
        let verifier = &asked.pkce.verifier;
        let second = eventually("a new code for the waiting browser", async || {
            let reply = api.check_status(&page).await.expect(200);
            let code = reply.json["code"].as_str()?.to_owned();
            (code != first).then_some(code)
        })
        .await;
        api.redeem(&client, &first, verifier).await.refused(400, "invalid_grant");
        // Without the cookie there is neither the old nor the new one.
        let path = format!("/api/check-status?request_id={}", page.request_id);
        let reply = api.send(api.get(&path)).await.expect(200);
        assert_eq!(reply.json, json!({"status": "authenticated"}));
        let tokens = Tokens::of(api.redeem(&client, &second, verifier).await);
        api.redeem(&client, &first, verifier).await.refused(400, "invalid_grant");
        assert!(api.is_active(&client, &tokens.access_token).await);
    }

    async fn a_code_that_ran_out_unfetched_is_refused_without_consequences(env: Env) {
        let server = env.start(|options| { options.flag("--code-lifetime", 1); }).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let (asked, page, callback) = api.code(&client, &agent).await;
        let code = callback.get("code");
        let born = Clock.now();
        eventually("the code to run out", async || {
            (Clock.now().duration_since(born).as_millis() > 1_500).then_some(())
        })
        .await;
        let reply = api.redeem(&client, &code, &asked.pkce.verifier).await;
        reply.refused(400, "invalid_grant");
        assert_eq!(api.check_status(&page).await.expect(200).str("status"), "authenticated");
    }
}
