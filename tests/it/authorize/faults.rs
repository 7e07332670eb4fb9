//! The checks of an authorization request: which come first, and where each fault is told.

use super::*;

on_both_databases! {
    async fn a_repeated_parameter_is_refused(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let asked = Authorize::new(&client).and("prompt", "login").and("max_age", "5");
        let asked = asked.and("login_hint", "ada");
        for (name, value) in &asked.params {
            let reply = api.open(&asked.clone().and(name, value), "").await;
            if ["client_id", "redirect_uri"].contains(&&**name) {
                told_on_a_page(&reply, name);
                continue;
            }
            let error = home(reply);
            assert_eq!(error.get("error"), "invalid_request", "{name}");
            assert!(error.get("error_description").contains(name), "{name}");
            let state = if name == "state" { "" } else { &asked.state };
            assert_eq!(error.get("state"), *state, "{name}");
        }
        // Even when one of the two is empty, and even across other ones.
        let error = home(api.open(&asked.clone().and("scope", ""), "").await);
        assert_eq!(error.get("error"), "invalid_request");
        // The one that may repeat.
        let resources = asked.and("resource", "https://a.example").and("resource", "https://b.example");
        assert_eq!(home(api.open(&resources, "").await).get("error"), "invalid_target");
    }

    async fn a_state_over_4096_bytes_is_refused_and_not_sent_back(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let long = Authorize::new(&client).with("state", &"s".repeat(4097));
        let error = home(api.open(&long, "").await);
        assert_eq!(error.get("error"), "invalid_request");
        assert!(error.url.query_pairs().all(|(name, _)| name != "state"));
        let just = "s".repeat(4096);
        let error = long.with("state", &just).with("scope", "unheard_of");
        assert_eq!(home(api.open(&error, "").await).get("state"), just);
    }

    async fn a_wrong_client_or_redirect_uri_never_redirects(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let other = api.create_client(json!({"redirect_uris": ["https://other.example/cb"]})).await;
        let asked = Authorize::new(&client);
        for id in [
            "", "client_", "client_00000000000000000000000000000000", "x", "\0", "%00", "' or 1=1--",
            &client.id.to_uppercase(), &format!("{} ", client.id), &"c".repeat(5000),
        ] {
            told_on_a_page(&api.open(&asked.clone().with("client_id", id), "").await, id);
        }
        told_on_a_page(&api.open(&asked.clone().without("client_id"), "").await, "no client");
        told_on_a_page(&api.open(&asked.clone().without("redirect_uri"), "").await, "no URI");
        for uri in [&other.redirect_uri, "javascript:alert(1)", "//profilio.example/callback", "/"] {
            let asked = asked.clone().with("redirect_uri", uri);
            told_on_a_page(&api.open(&asked, "").await, uri);
            // Other faults do not make it redirect.
            told_on_a_page(&api.open(&asked.with("scope", "unheard_of"), "").await, uri);
        }
        assert_eq!(opened(&api, &client).await, 0);
    }

    async fn a_redirect_uri_matches_byte_for_byte(env: Env) {
        let api = env.api().await;
        let uris = ["https://profilio.example/callback", "https://profilio.example/callback?a=b"];
        for method in ["client_secret_basic", "none"] {
            let fields = json!({"redirect_uris": uris, "token_endpoint_auth_method": method});
            let client = api.create_client(fields).await;
            for uri in uris {
                api.authorize(&Authorize::new(&client).with("redirect_uri", uri)).await;
            }
            for uri in [
                "https://profilio.example/callback/",
                "https://profilio.example/Callback",
                "https://PROFILIO.example/callback",
                "HTTPS://profilio.example/callback",
                "https://profilio.example:443/callback",
                "https://profilio.example:8443/callback",
                "https://profilio.example/x/../callback",
                "https://profilio.example/%63allback",
                "https://profilio.example/callback?",
                "https://profilio.example/callback?b=a",
                "https://profilio.example/callback?a=b&c=d",
                "https://profilio.example/callback#x",
                "https://user@profilio.example/callback",
                "https://profilio.example.evil.example/callback",
                "https://evil.example/https://profilio.example/callback",
                "http://profilio.example/callback",
                "https://profilio.example/callback ",
                " https://profilio.example/callback",
                "https://profilio.example/callback\0",
                "https://profilio.example/callback\r\n",
                "https://profilio.example/callbac",
                "https://profilio.example",
            ] {
                let asked = Authorize::new(&client).with("redirect_uri", uri);
                told_on_a_page(&api.open(&asked, "").await, uri);
            }
        }
    }

    async fn only_the_port_of_a_loopback_address_may_differ_and_only_for_public_clients(env: Env) {
        let api = env.api().await;
        let uris = ["http://127.0.0.1:7777/cb?x=y", "http://[::1]/cb", "http://localhost:7777/cb"];
        let allowed = [
            "http://127.0.0.1:7777/cb?x=y", "http://[::1]/cb", "http://localhost:7777/cb",
        ];
        let with_another_port = [
            "http://127.0.0.1:1/cb?x=y", "http://127.0.0.1/cb?x=y", "http://127.0.0.1:65535/cb?x=y",
            "http://[::1]:8080/cb",
        ];
        let refused = [
            "http://localhost:7778/cb", "http://localhost/cb", "http://127.0.0.1:1/cb",
            "http://127.0.0.1:1/cb?x=z", "http://127.0.0.1:65536/cb?x=y", "http://127.0.0.1:/cb?x=y",
            "http://127.0.0.1:+1/cb?x=y", "http://127.0.0.1:1@evil.example/cb?x=y",
            "http://127.0.0.1.evil.example/cb?x=y", "http://127.0.0.2:7777/cb?x=y",
            "https://127.0.0.1:1/cb?x=y", "http://[::2]/cb", "http://[::1]:1/cb/",
        ];
        for (method, public) in [("none", true), ("client_secret_basic", false)] {
            let fields = json!({"redirect_uris": uris, "token_endpoint_auth_method": method});
            let client = api.create_client(fields).await;
            let asked = |uri: &str| Authorize::new(&client).with("redirect_uri", uri);
            for uri in allowed {
                api.authorize(&asked(uri)).await;
            }
            for uri in with_another_port {
                let reply = api.open(&asked(uri), "").await;
                if public {
                    // The browser goes back to the very port that was asked for.
                    reply.expect(200);
                    let error = home(api.open(&asked(uri).with("scope", "unheard_of"), "").await);
                    assert!(error.url.as_str().starts_with(uri), "{}", error.url);
                } else {
                    told_on_a_page(&reply, uri);
                }
            }
            for uri in refused {
                told_on_a_page(&api.open(&asked(uri), "").await, uri);
            }
        }
    }

    async fn plain_and_missing_pkce_are_refused_for_every_kind_of_client(env: Env) {
        let api = env.api().await;
        for method in ["client_secret_basic", "client_secret_post", "none"] {
            let client = api.create_client(json!({"token_endpoint_auth_method": method})).await;
            let asked = Authorize::new(&client);
            for faulty in [
                asked.clone().with("code_challenge_method", "plain"),
                asked.clone().with("code_challenge_method", "s256"),
                asked.clone().with("code_challenge_method", "S512"),
                asked.clone().without("code_challenge_method"),
                asked.clone().without("code_challenge"),
                asked.clone().without("code_challenge").without("code_challenge_method"),
            ] {
                let error = home(api.open(&faulty, "").await);
                assert_eq!(error.get("error"), "invalid_request", "{method}");
                assert!(error.get("error_description").contains("code_challenge"));
                assert_eq!(error.get("state"), asked.state);
                assert_eq!(error.get("iss"), api.issuer);
                assert!(error.get("code").is_empty());
            }
            assert_eq!(opened(&api, &client).await, 0);
        }
    }

    async fn the_checks_come_in_the_order_of_the_contract(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let ideal = Authorize::new(&client);
        // From the last check to the first: each fault added must answer before those below it.
        let faults: [(&str, &str, &str); 6] = [
            ("prompt", "none", "login_required"),
            ("resource", "https://api.example", "invalid_target"),
            ("scope", "unheard_of", "invalid_scope"),
            ("code_challenge_method", "plain", "invalid_request"),
            ("response_type", "token", "unsupported_response_type"),
            ("login_hint", "\0", "invalid_request"),
        ];
        let mut asked = ideal.clone();
        for (name, value, error) in faults {
            let alone = home(api.open(&ideal.clone().with(name, value), "").await);
            assert_eq!(alone.get("error"), error, "{name} alone");
            asked = asked.with(name, value);
            let told = home(api.open(&asked, "").await);
            assert_eq!(told.get("error"), error, "{name} and those below");
            assert_eq!(told.get("state"), ideal.state, "{name}");
            assert!(!told.get("error_description").is_empty(), "{name}");
        }
        told_on_a_page(&api.open(&asked.with("redirect_uri", "https://x.example/"), "").await, "all");
    }

    async fn only_the_response_type_code_is_known(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        for kind in ["token", "id_token", "code id_token", "CODE", "code code", "none"] {
            let error = home(api.open(&Authorize::new(&client).with("response_type", kind), "").await);
            assert_eq!(error.get("error"), "unsupported_response_type", "{kind}");
        }
        let missing = Authorize::new(&client).without("response_type");
        assert_eq!(home(api.open(&missing, "").await).get("error"), "invalid_request");
    }

    async fn prompt_none_is_login_required(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let prompt = |prompt| Authorize::new(&client).with("prompt", prompt);
        assert_eq!(home(api.open(&prompt("none"), "").await).get("error"), "login_required");
        assert_eq!(home(api.open(&prompt("none login"), "").await).get("error"), "invalid_request");
        for harmless in ["login", "consent", "select_account login"] {
            api.authorize(&prompt(harmless)).await;
        }
    }

    async fn a_scope_beyond_the_clients_is_invalid_scope(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({"scope": "openid profile"})).await;
        for scope in ["email", "openid email", "openid  profile", " openid", "open\"id", "openid\tx", "ö"] {
            let error = home(api.open(&Authorize::new(&client).with("scope", scope), "").await);
            assert_eq!(error.get("error"), "invalid_scope", "{scope}");
        }
        api.authorize(&Authorize::new(&client).with("scope", "profile openid")).await;
    }

    async fn offline_access_is_accepted(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        api.authorize(&Authorize::new(&client).with("scope", "openid offline_access")).await;
    }

    async fn u_0000_anywhere_is_invalid_request(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let asked = Authorize::new(&client);
        let nul = |name: &str| asked.clone().with(name, "a\0b");
        for name in ["state", "nonce", "scope", "login_hint", "response_type", "unknown", "a\0b"] {
            let state = if name == "state" { "" } else { &*asked.state };
            for reply in [
                api.open(&nul(name), "").await,
                api.send(api.post("/authorize").form(&nul(name).params)).await,
            ] {
                let error = home(reply);
                assert_eq!(error.get("error"), "invalid_request", "{name:?}");
                assert_eq!(error.get("state"), state, "{name:?}");
            }
        }
        for name in ["client_id", "redirect_uri"] {
            told_on_a_page(&api.open(&nul(name), "").await, name);
            let post = api.post("/authorize").form(&nul(name).params);
            told_on_a_page(&api.send(post).await, name);
        }
    }

    async fn bytes_that_are_no_utf_8_are_a_fault_of_their_own_parameter_alone(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let asked = Authorize::new(&client);
        let bad = |name: &str| format!("{}&{name}=%FF", asked.clone().without(name).query());
        let sent = async |query: String| {
            let post = api.post("/authorize").header("content-type", "application/x-www-form-urlencoded");
            [
                api.send(api.get(&format!("/authorize?{query}"))).await,
                api.send(post.body(query)).await,
            ]
        };
        for name in ["state", "nonce", "scope", "login_hint", "response_type", "code_challenge", "resource"] {
            for reply in sent(bad(name)).await {
                let error = home(reply);
                assert_eq!(error.get("error"), "invalid_request", "{name}");
                assert!(error.get("error_description").contains(name), "{name}");
                let state = if name == "state" { "" } else { &*asked.state };
                assert_eq!(error.get("state"), state, "{name}");
            }
        }
        for name in ["client_id", "redirect_uri"] {
            for reply in sent(bad(name)).await {
                told_on_a_page(&reply, name);
            }
        }
        let [page, redirect] = sent(format!("{}&%FE=x", bad("utm_source"))).await;
        assert_eq!((page.status, redirect.status), (200, 303), "an unknown one is ignored");
        assert!(redirect.header("location").starts_with("/authorize/req_"));
    }

    async fn other_optional_parameters_are_checked(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        for (name, value) in [
            ("max_age", "soon"),
            ("max_age", "-1"),
            ("nonce", &*"n".repeat(1025)),
            ("response_mode", "fragment"),
            ("response_mode", "form_post"),
        ] {
            let error = home(api.open(&Authorize::new(&client).with(name, value), "").await);
            assert_eq!(error.get("error"), "invalid_request", "{name}={value}");
        }
        let asked = Authorize::new(&client).with("max_age", "0").with("response_mode", "query");
        api.authorize(&asked).await;
    }

    async fn request_objects_are_not_supported(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        for (name, error) in
            [("request", "request_not_supported"), ("request_uri", "request_uri_not_supported")]
        {
            let told = home(api.open(&Authorize::new(&client).with(name, "urn:x"), "").await);
            assert_eq!(told.get("error"), error);
        }
    }
}
