//! POST /token with a code: who may exchange what, and what a failed attempt leaves as it was.

mod parameters;

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Method, header};
use serde_json::json;

use crate::support::{
    Api, Authorize, Client, Reply, Tokens, on_both_databases, pkce::Pkce, sign_in::Auth,
};

/// A client, an agent, and a code that waits to be redeemed.
async fn waiting_code(api: &Api, fields: serde_json::Value) -> (Client, Authorize, String) {
    let client = api.create_client(fields).await;
    let agent = api.create_agent(json!({})).await;
    let (asked, _, callback) = api.code(&client, &agent).await;
    let code = callback.get("code");
    (client, asked, code)
}

fn redemption<'a>(code: &'a str, asked: &'a Authorize) -> [(&'a str, &'a str); 3] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("code_verifier", &asked.pkce.verifier),
    ]
}

fn with_auth(client: &Client, auth: Auth) -> Client {
    Client {
        auth,
        ..client.clone()
    }
}

fn basic(text: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(text))
}

/// The code still works, so nothing that happened before has consumed it.
async fn still_works(api: &Api, client: &Client, code: &str, asked: &Authorize) -> Tokens {
    Tokens::of(api.redeem(client, code, &asked.pkce.verifier).await)
}

fn is_not_stored(reply: &Reply) {
    assert_eq!(reply.header("cache-control"), "no-store", "{}", reply.text);
}

on_both_databases! {
    async fn token_takes_post_only(env: Env) {
        let api = env.api().await;
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
            let reply = api.send(api.call(method, "/token")).await;
            reply.refused(405, "method_not_allowed");
            assert!(reply.header("allow").contains("POST"), "{}", reply.header("allow"));
        }
    }

    async fn parameters_in_the_url_are_ignored(env: Env) {
        let api = env.api().await;
        let (client, asked, code) = waiting_code(&api, json!({})).await;
        let query = serde_urlencoded(&redemption(&code, &asked));
        let secret = client.secret.as_deref().unwrap();
        let in_url = format!("/token?{query}&client_id={}&client_secret={secret}", client.id);
        let reply = api.send(api.post(&in_url).form(&[("x", "y")])).await;
        assert!(matches!(reply.status, 400 | 401), "{}", reply.text);
        // Neither do they contradict what stands in the body, nor count as repeated.
        let call = api.post("/token?code=other&grant_type=refresh_token&client_id=client_other");
        let call = call.basic_auth(&client.id, Some(secret)).form(&redemption(&code, &asked));
        Tokens::of(api.send(call).await);
    }

    async fn two_client_authentication_methods_are_refused(env: Env) {
        let api = env.api().await;
        let (client, asked, code) = waiting_code(&api, json!({})).await;
        let secret = client.secret.as_deref().unwrap();
        let mut form = redemption(&code, &asked).to_vec();
        form.push(("client_secret", secret));
        let call = api.post("/token").basic_auth(&client.id, Some(secret)).form(&form);
        api.send(call).await.refused(400, "invalid_request");

        form.push(("client_id", &client.id));
        let call = api.post("/token").basic_auth(&client.id, Some(secret)).form(&form);
        api.send(call).await.refused(400, "invalid_request");

        let form = redemption(&code, &asked);
        let both = basic(&format!("{}:{secret}", client.id));
        let call = api.post("/token").header("authorization", &both).header("authorization", &both);
        api.send(call.form(&form)).await.refused(400, "invalid_request");

        // One that we do not know is a second one all the same.
        let assertion = ["client_assertion", "client_assertion_type"];
        for name in assertion {
            let mut asserted = form.to_vec();
            asserted.push((name, "x"));
            let call = api.post("/token").basic_auth(&client.id, Some(secret)).form(&asserted);
            api.send(call).await.refused(400, "invalid_request");
            asserted.push(("client_id", &client.id));
            let call = api.post("/token").form(&asserted);
            api.send(call).await.refused(401, "invalid_client");
            asserted.push(("client_secret", secret));
            let call = api.post("/token").form(&asserted);
            api.send(call).await.refused(400, "invalid_request");
        }

        let mut other = form.to_vec();
        other.push(("client_id", "client_00000000000000000000000000000000"));
        let call = api.post("/token").basic_auth(&client.id, Some(secret)).form(&other);
        api.send(call).await.refused(400, "invalid_request");
        still_works(&api, &client, &code, &asked).await;
    }

    async fn a_failed_basic_gets_401_and_www_authenticate(env: Env) {
        let api = env.api().await;
        let (client, asked, code) = waiting_code(&api, json!({})).await;
        let secret = client.secret.as_deref().unwrap();
        let unknown = "client_00000000000000000000000000000000";
        let mut texts = Vec::new();
        for (id, secret) in [(&*client.id, "wrong"), (unknown, secret), (&client.id, ""), ("", "")] {
            let call = api.post("/token").basic_auth(id, Some(secret));
            let reply = api.send(call.form(&redemption(&code, &asked))).await;
            reply.refused(401, "invalid_client");
            assert!(reply.header("www-authenticate").starts_with("Basic realm="));
            is_not_stored(&reply);
            texts.push(reply.text);
        }
        // An unknown client and a wrong secret are told apart by nothing.
        assert_eq!(texts[0], texts[1]);
        still_works(&api, &client, &code, &asked).await;
    }

    async fn credentials_are_form_decoded_and_a_malformed_percent_is_never_a_500(env: Env) {
        let api = env.api().await;
        let (client, asked, code) = waiting_code(&api, json!({})).await;
        let secret = client.secret.as_deref().unwrap();
        let form = redemption(&code, &asked);
        for text in [
            format!("{}:{secret}%", client.id),
            format!("{}:{secret}%zz", client.id),
            format!("{}%f:{secret}", client.id),
            format!("{}%00:{secret}", client.id),
            format!("{}:%00", client.id),
            format!("{}:%ff%fe", client.id),
            "%:%".to_owned(),
            "no colon".to_owned(),
            ":".to_owned(),
            String::new(),
        ] {
            let call = api.post("/token").header("authorization", basic(&text));
            let reply = api.send(call.form(&form)).await;
            assert!(matches!(reply.status, 400 | 401), "{text}: {}", reply.text);
        }
        for value in ["Basic", "Basic ", "Basic !", "Basic /////w==", "Bearer x", "x"] {
            let call = api.post("/token").header("authorization", value);
            let reply = api.send(call.form(&form)).await;
            assert!(matches!(reply.status, 400 | 401), "{value}: {}", reply.text);
        }
        let every: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let text = format!("{}:{every}", client.id.replace('_', "%5f"));
        let call = api.post("/token").header("authorization", basic(&text));
        Tokens::of(api.send(call.form(&form)).await);
    }

    async fn the_method_registered_is_the_only_one(env: Env) {
        let api = env.api().await;
        for (method, wrong) in
            [("client_secret_basic", Auth::Post), ("client_secret_post", Auth::Basic)]
        {
            let registered = json!({"token_endpoint_auth_method": method});
            let (client, asked, code) = waiting_code(&api, registered).await;
            let reply = api.redeem(&with_auth(&client, wrong), &code, &asked.pkce.verifier).await;
            reply.refused(401, "invalid_client");
            still_works(&api, &client, &code, &asked).await;
        }
    }

    async fn a_client_without_a_registered_method_may_use_basic_or_post(env: Env) {
        let api = env.api().await;
        for auth in [Auth::Basic, Auth::Post] {
            let (client, asked, code) = waiting_code(&api, json!({})).await;
            let silent = with_auth(&client, Auth::None);
            let reply = api.redeem(&silent, &code, &asked.pkce.verifier).await;
            reply.refused(401, "invalid_client");
            still_works(&api, &with_auth(&client, auth), &code, &asked).await;
        }
    }

    async fn a_public_client_uses_no_method_and_nothing_else(env: Env) {
        let api = env.api().await;
        let public = json!({"token_endpoint_auth_method": "none"});
        let (client, asked, code) = waiting_code(&api, public).await;
        assert_eq!(client.secret, None);
        for auth in [Auth::Basic, Auth::Post] {
            let guess = Client { auth, secret: Some("x".into()), ..client.clone() };
            let reply = api.redeem(&guess, &code, &asked.pkce.verifier).await;
            reply.refused(401, "invalid_client");
        }
        still_works(&api, &client, &code, &asked).await;
    }

    async fn a_failed_attempt_never_consumes_the_code(env: Env) {
        let api = env.api().await;
        let (client, asked, code) = waiting_code(&api, json!({})).await;
        let wrong = Client { secret: Some("wrong".into()), ..client.clone() };
        let reply = api.redeem(&wrong, &code, &asked.pkce.verifier).await;
        reply.refused(401, "invalid_client");

        let reply = api.redeem(&client, &code, &Pkce::new().verifier).await;
        reply.refused(400, "invalid_grant");

        for uri in ["https://profilio.example/other", "https://profilio.example/callback/"] {
            let mut form = redemption(&code, &asked).to_vec();
            form.push(("redirect_uri", uri));
            api.token(&client, &form).await.refused(400, "invalid_grant");
        }
        let mut form = redemption(&code, &asked).to_vec();
        form.push(("redirect_uri", &client.redirect_uri));
        Tokens::of(api.token(&client, &form).await);
    }

    async fn a_code_of_another_client_is_invalid_grant_and_stays_good(env: Env) {
        let api = env.api().await;
        let (client, asked, code) = waiting_code(&api, json!({})).await;
        let other = api.create_client(json!({})).await;
        let public = api.create_client(json!({"token_endpoint_auth_method": "none"})).await;
        for stranger in [&other, &public] {
            let reply = api.redeem(stranger, &code, &asked.pkce.verifier).await;
            reply.refused(400, "invalid_grant");
        }
        still_works(&api, &client, &code, &asked).await;
    }

    async fn no_verifier_no_token(env: Env) {
        let api = env.api().await;
        let (client, asked, code) = waiting_code(&api, json!({})).await;
        let form = &redemption(&code, &asked)[..2];
        api.token(&client, form).await.refused(400, "invalid_request");
        let long = "a".repeat(129);
        for verifier in ["", "short", &long, &format!("{}!", &asked.pkce.verifier[1..])] {
            let reply = api.redeem(&client, &code, verifier).await;
            reply.refused(400, "invalid_request");
        }
        // The challenge itself is no verifier: `plain` does not exist.
        let reply = api.redeem(&client, &code, &asked.pkce.challenge).await;
        reply.refused(400, "invalid_grant");
        still_works(&api, &client, &code, &asked).await;
    }

    async fn a_second_redemption_with_the_right_verifier_revokes_what_the_first_issued(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let done = api.sign_in(&client, &agent).await;
        let refreshed = Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
        let reply = api.redeem(&client, &done.code, &done.asked.pkce.verifier).await;
        reply.refused(400, "invalid_grant");
        for tokens in [&done.tokens, &refreshed] {
            assert!(!api.is_active(&client, &tokens.access_token).await);
            assert!(!api.is_active(&client, tokens.refresh()).await);
            api.refresh(&client, tokens.refresh()).await.refused(400, "invalid_grant");
            api.userinfo(&tokens.access_token).await.refused(401, "invalid_token");
        }
    }

    async fn a_second_redemption_without_the_right_verifier_revokes_nothing(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let other = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let done = api.sign_in(&client, &agent).await;
        let verifier = &done.asked.pkce.verifier;
        let wrong = Pkce::new().verifier;
        api.redeem(&client, &done.code, &wrong).await.refused(400, "invalid_grant");
        api.redeem(&other, &done.code, verifier).await.refused(400, "invalid_grant");
        api.redeem(&with_auth(&client, Auth::None), &done.code, verifier)
            .await
            .refused(401, "invalid_client");
        let mut form = redemption(&done.code, &done.asked).to_vec();
        form.push(("redirect_uri", "https://elsewhere.example/"));
        api.token(&client, &form).await.refused(400, "invalid_grant");
        assert!(api.is_active(&client, &done.tokens.access_token).await);
        assert!(api.is_active(&client, done.tokens.refresh()).await);
    }

    async fn json_is_taken_as_well_as_a_form(env: Env) {
        let api = env.api().await;
        let (client, asked, code) = waiting_code(&api, json!({})).await;
        let secret = client.secret.as_deref().unwrap();
        let mut body = json!({
            "grant_type": "authorization_code", "code": code,
            "code_verifier": asked.pkce.verifier, "redirect_uri": client.redirect_uri,
        });
        for bad in [json!([]), json!({"grant_type": 1}), json!("x")] {
            let call = api.post("/token").basic_auth(&client.id, Some(secret)).json(&bad);
            api.send(call).await.refused(400, "invalid_request");
        }
        body["client_id"] = json!(client.id);
        body["client_secret"] = json!(secret);
        Tokens::of(api.send(api.post("/token").json(&body)).await);
        let call = api.post("/token").header(header::CONTENT_TYPE, "text/plain").body("x=y");
        assert_eq!(api.send(call).await.status, 415);
    }

    async fn a_repeated_parameter_is_an_invalid_request(env: Env) {
        let api = env.api().await;
        let (client, asked, code) = waiting_code(&api, json!({})).await;
        for (name, value) in redemption(&code, &asked) {
            let mut form = redemption(&code, &asked).to_vec();
            form.push((name, value));
            api.token(&client, &form).await.refused(400, "invalid_request");
        }
        still_works(&api, &client, &code, &asked).await;
    }

    async fn only_the_two_grant_types_are_offered(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        for grant_type in ["client_credentials", "password", "implicit", "authorization_codes"] {
            let reply = api.token(&client, &[("grant_type", grant_type)]).await;
            reply.refused(400, "unsupported_grant_type");
        }
        api.token(&client, &[]).await.refused(400, "invalid_request");
        api.token(&client, &[("grant_type", "")]).await.refused(400, "invalid_request");
        let form = [("grant_type", "authorization_code")];
        api.token(&client, &form).await.refused(400, "invalid_request");
        let form = [("grant_type", "refresh_token")];
        api.token(&client, &form).await.refused(400, "invalid_request");
    }

    async fn every_answer_of_the_token_endpoints_says_no_store(env: Env) {
        let api = env.api().await;
        let (client, asked, code) = waiting_code(&api, json!({})).await;
        is_not_stored(&api.send(api.post("/token")).await);
        is_not_stored(&api.send(api.post("/token").body("x").header("content-type", "a/b")).await);
        is_not_stored(&api.redeem(&client, "ac_x", &asked.pkce.verifier).await);
        is_not_stored(&api.token(&client, &[("grant_type", "x")]).await);
        let reply = api.redeem(&client, &code, &asked.pkce.verifier).await.expect(200);
        is_not_stored(&reply);
        let tokens = Tokens::of(reply);
        is_not_stored(&api.refresh(&client, tokens.refresh()).await.expect(200));
        is_not_stored(&api.introspect(&client, &tokens.access_token).await.expect(200));
        is_not_stored(&api.introspect(&client, "x").await.expect(200));
        is_not_stored(&api.userinfo(&tokens.access_token).await.expect(200));
        is_not_stored(&api.userinfo("x").await.expect(401));
        is_not_stored(&api.revoke(&client, &tokens.access_token).await.expect(200));
    }
}

fn serde_urlencoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}
