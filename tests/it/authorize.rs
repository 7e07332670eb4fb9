//! GET and POST /authorize: what is asked for, what is refused, and who is told.

mod address;
mod browser;
mod cookies;
mod faults;

use reqwest::{Method, header};
use serde_json::json;

use crate::support::{Api, Authorize, Client, Reply, WaitingPage, sign_in::Callback};
use crate::support::{on_both_databases, pkce::Pkce};

/// What a redirect back to the website says.
#[track_caller]
fn home(reply: Reply) -> Callback {
    let reply = reply.expect(303);
    let location = reply.header("location");
    Callback {
        url: location
            .parse()
            .unwrap_or_else(|_| panic!("no address: {location:?}")),
    }
}

/// Asserts that a person is told on a page, and nobody is redirected.
#[track_caller]
fn told_on_a_page(reply: &Reply, what: &str) {
    assert_eq!(reply.status, 400, "{what}: {}", reply.text);
    assert!(
        !reply.headers.contains_key(header::LOCATION),
        "{what} redirects"
    );
    assert!(
        !reply.headers.contains_key(header::SET_COOKIE),
        "{what} opens a request"
    );
    assert!(
        reply.header("content-type").starts_with("text/html"),
        "{what}"
    );
}

/// How many requests a client's visitors have opened.
async fn opened(api: &Api, client: &Client) -> usize {
    api.audit_log(&format!("client_id={}&type=Created", client.id))
        .await
        .len()
}

on_both_databases! {
    async fn unknown_parameters_are_ignored(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let asked = Authorize::new(&client)
            .and("utm_source", "x")
            .and("utm_source", "y")
            .and("ui_locales", "de")
            .and("", "");
        api.authorize(&asked).await;
    }

    async fn empty_parameters_count_as_absent(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({"scope": "openid email"})).await;
        let agent = api.create_agent(json!({})).await;
        let asked = Authorize::new(&client)
            .with("state", "")
            .with("nonce", "")
            .with("scope", "")
            .with("prompt", "")
            .with("max_age", "")
            .with("resource", "");
        let page = api.authorize(&asked).await;
        assert_eq!(page.object["scope"], "openid email", "the client's own scope");
        api.authenticate(&page, &agent).await.expect(200);
        let callback = api.callback(&page).await;
        assert!(callback.url.query_pairs().all(|(name, _)| name != "state"));

        for name in ["client_id", "redirect_uri"] {
            let reply = api.open(&Authorize::new(&client).with(name, ""), "").await;
            told_on_a_page(&reply, name);
        }
        for name in ["response_type", "code_challenge", "code_challenge_method"] {
            let error = home(api.open(&Authorize::new(&client).with(name, ""), "").await);
            assert_eq!(error.get("error"), "invalid_request", "{name}");
        }
    }

    async fn an_absent_scope_is_the_clients(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({"scope": "openid profile"})).await;
        let page = api.authorize(&Authorize::new(&client).without("scope")).await;
        assert_eq!(page.object["scope"], "openid profile");
    }

    async fn a_post_is_answered_by_303_to_the_pages_own_address(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let asked = Authorize::new(&client);
        // Parameters in the URL of a POST are none.
        let post = api.post("/authorize?state=other&client_id=x").form(&asked.params);
        let reply = api.send(post).await.expect(303);
        let location = reply.header("location").to_owned();
        let id = location.strip_prefix("/authorize/").expect("the page's own address");
        let cookie = reply.header("set-cookie").split(';').next().unwrap().to_owned();
        assert!(cookie.starts_with(&format!("aa_{id}=")), "{cookie}");

        let page = api.send(api.get(&location).header(header::COOKIE, &cookie)).await;
        let page = WaitingPage { cookie, ..WaitingPage::of(page) };
        assert_eq!(page.request_id, id);
        let agent = api.create_agent(json!({})).await;
        api.authenticate(&page, &agent).await.expect(200);
        assert_eq!(api.callback(&page).await.get("state"), asked.state);

        // Nothing but a form: a browser sends no JSON.
        let object: serde_json::Map<_, _> =
            asked.params.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let reply = api.send(api.post("/authorize").json(&object)).await.expect(415);
        assert!(!reply.headers.contains_key(header::SET_COOKIE));

        // A fault of a POST goes home by 303 as well, never by 307, which would repeat the form.
        let faulty = asked.with("scope", "unheard_of");
        let error = home(api.send(api.post("/authorize").form(&faulty.params)).await);
        assert_eq!(error.get("error"), "invalid_scope");
        let wrong = faulty.with("redirect_uri", "https://elsewhere.example/");
        told_on_a_page(&api.send(api.post("/authorize").form(&wrong.params)).await, "a POST");
    }

    async fn iss_comes_home_byte_for_byte_on_success_and_error(env: Env) {
        let server = env.start(|options| {
            options.issuer("https://auth.example:8443/tenant/One");
        }).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let (asked, _, callback) = api.code(&client, &agent).await;
        assert_eq!(callback.get("iss"), "https://auth.example:8443/tenant/One");
        assert_eq!(callback.get("state"), asked.state);
        assert!(!callback.get("code").is_empty());
        let error = home(api.open(&asked.with("scope", "unheard_of"), "").await);
        assert_eq!(error.get("iss"), "https://auth.example:8443/tenant/One");
    }

    async fn no_other_origin_may_read_authorize(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let asked = Authorize::new(&client);
        let path = format!("/authorize?{}", asked.query());
        let page = api.authorize(&asked).await;
        let paths = [
            &*path,
            "/authorize",
            &format!("/authorize/{}", page.request_id),
            &format!("/api/check-status?request_id={}", page.request_id),
            &format!("/api/requests/{}", page.request_id),
            "/api/agent/authenticate",
        ];
        for path in paths {
            for method in [Method::GET, Method::POST, Method::OPTIONS] {
                let call = api
                    .call(method.clone(), path)
                    .header(header::ORIGIN, "https://elsewhere.example")
                    .header(header::ACCESS_CONTROL_REQUEST_METHOD, "GET")
                    .header(header::COOKIE, &page.cookie);
                let reply = api.send(call).await;
                let allowed = reply.headers.keys().find(|name| name.as_str().starts_with("access-control"));
                assert_eq!(allowed, None, "{method} {path}");
            }
        }
    }

    async fn pages_admit_no_frame_no_inline_script_and_no_referrer(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let asked = Authorize::new(&client);
        let page = api.authorize(&asked).await;
        let other = format!("/authorize/{}", page.request_id);
        let replies = [
            api.open(&asked, &page.cookie).await.expect(200),
            api.open(&asked.with("client_id", "client_none"), "").await.expect(400),
            api.send(api.get(&other)).await.expect(403),
            api.send(api.get("/authorize/req_none")).await.expect(404),
        ];
        let mut nonces = vec![];
        for reply in &replies {
            let policy = reply.header("content-security-policy");
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            assert!(policy.contains("default-src 'none'"), "{policy}");
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(reply.header("referrer-policy"), "no-referrer");
            assert_eq!(reply.header("x-content-type-options"), "nosniff");
            assert_eq!(reply.header("cache-control"), "no-store");
            nonces.extend(policy.split("'nonce-").nth(1).map(|rest| rest.split('\'').next().unwrap()));
        }
        // Every script of the page carries the nonce, which no other page has.
        let [nonce] = nonces[..] else { panic!("one page has scripts: {nonces:?}") };
        let html = &replies[0].text;
        assert!(nonce.len() >= 22 && !page.html.contains(nonce));
        for tag in html.split("<script").skip(1).map(|rest| rest.split('>').next().unwrap()) {
            let data = tag.contains(r#"type="application/json""#);
            assert!(data || tag.contains(&format!(r#"nonce="{nonce}""#)), "{tag}");
        }
    }

    async fn the_query_of_a_registered_redirect_uri_survives(env: Env) {
        let api = env.api().await;
        let agent = api.create_agent(json!({})).await;
        let uri = "https://profilio.example/cb?tenant=a%20b+c&x=%C3%BC&empty=&status=mine";
        let client = api.create_client(json!({"redirect_uris": [uri]})).await;
        let (asked, _, callback) = api.code(&client, &agent).await;
        assert!(callback.url.as_str().starts_with(&format!("{uri}&code=")), "{}", callback.url);
        let error = home(api.open(&asked.with("scope", "unheard_of"), "").await);
        assert!(error.url.as_str().starts_with(&format!("{uri}&error=")), "{}", error.url);
    }

    async fn a_state_of_any_characters_comes_back_encoded_exactly_once(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let controls: String = ('\u{1}'..' ').collect();
        let ascii: String = (' '..='\u{7f}').collect();
        for state in [
            "a b+c%20d%2520&e=f;g",
            "</script><script>alert(1)</script>",
            "\r\nSet-Cookie: x=y\r\n\r\n",
            "é日本\u{202e}\u{2028}👩\u{200d}💻\u{feff}\u{fffd}",
            "%",
            "%00%zz%u0000",
            "#fragment?query://",
            "\\\"'`{}[]<>|^~",
            &controls,
            &ascii,
            &"ü".repeat(2048),
        ] {
            let asked = Authorize::new(&client).with("state", state);
            let page = api.authorize(&asked).await;
            assert!(!page.html.contains(state) || state.len() < 2, "the page holds the state");
            api.authenticate(&page, &agent).await.expect(200);
            let callback = api.callback(&page).await;
            assert_eq!(callback.get("state"), state);
            assert_eq!(api.check_status(&page).await.str("state"), state);
            let error = home(api.open(&asked.with("scope", "unheard_of"), "").await);
            assert_eq!(error.get("state"), state);
        }
    }

    async fn what_a_client_calls_itself_stands_on_no_page_as_markup(env: Env) {
        let api = env.api().await;
        let plain = api.create_client(json!({})).await;
        let plain = api.authorize(&Authorize::new(&plain)).await;
        let scripts = plain.html.matches("<script").count();
        for name in [
            "</script><script>alert(1)</script>",
            "'};alert(1);//",
            "\"><img src=x onerror=alert(1)>",
            "<!--<script>",
            "${alert(1)}`&lt;",
            "Bank</h1></bdi></body>",
        ] {
            let client = api.create_client(json!({"client_name": name})).await;
            let page = api.authorize(&Authorize::new(&client)).await;
            // In scripts nothing of it stands as it is, elsewhere no markup.
            for script in page.html.split("<script").skip(1) {
                assert!(!script[..script.find("</script>").unwrap()].contains(name), "{name}");
            }
            assert!(!name.contains('<') || !page.html.contains(name), "{name}");
            assert_eq!(page.object["client_name"], name, "and yet it is told as it is");
            assert_eq!(page.html.matches("<script").count(), scripts, "{name}");
        }
        for name in ["a\nb", "\u{202e}evil", "zero\u{200b}width", "\u{2066}x\u{2069}", ""] {
            let body = json!({"client_name": name, "redirect_uris": ["https://a.example/"]});
            let reply = api.admin(Method::POST, "/clients", Some(body)).await;
            reply.refused(400, "invalid_client_metadata");
            assert!(reply.str("error_description").contains("client_name"));
        }
    }

    async fn head_and_prefetch_create_nothing(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let asked = Authorize::new(&client);
        let path = format!("/authorize?{}", asked.query());
        let head = api.send(api.call(Method::HEAD, &path)).await.expect(200);
        assert!(!head.headers.contains_key(header::SET_COOKIE) && head.text.is_empty());
        for (name, value) in [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("Sec-Purpose", "Prefetch; Prerender"),
            ("purpose", "prefetch"),
            ("purpose", "preview"),
            ("x-purpose", "preview"),
            ("x-purpose", "PREVIEW"),
            ("x-moz", "prefetch"),
        ] {
            // Every value of a header counts, and bytes that are no text do no harm.
            let call = api.get(&path).header(name, &b"\xff"[..]).header(name, value);
            let reply = api.send(call).await;
            assert!(!reply.headers.contains_key(header::SET_COOKIE), "{name}: {value}");
            assert!(reply.status >= 400, "a browser would keep the answer: {}", reply.status);
        }
        assert_eq!(opened(&api, &client).await, 0);
        api.authorize(&asked).await;
        assert_eq!(opened(&api, &client).await, 1);
    }

    async fn the_page_tells_agents_the_same_three_ways(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({"client_name": "Profilio"})).await;
        let asked = Authorize::new(&client);
        let page = api.authorize(&asked).await;
        let id = &page.request_id;
        assert!(page.html.contains(&format!("window.authRequest = {{ request_id: '{id}'")));
        assert!(page.html.contains(&format!(r#"<meta name="auth-agent-request" content="{id}">"#)));
        let object = page.object.as_object().unwrap();
        let names: Vec<_> = object.keys().map(String::as_str).collect();
        assert_eq!(names, [
            "authenticate_endpoint", "client_id", "client_name", "expires_at", "issuer",
            "redirect_origin", "request_id", "scope",
        ]);
        assert_eq!(object["client_id"], client.id);
        assert_eq!(object["client_name"], "Profilio");
        assert_eq!(object["redirect_origin"], "https://profilio.example");
        assert_eq!(object["scope"], "openid profile email");
        assert_eq!(object["issuer"], api.issuer);
        assert_eq!(object["authenticate_endpoint"], format!("{}/api/agent/authenticate", api.issuer));
        let expires: jiff::Timestamp = object["expires_at"].as_str().unwrap().parse().unwrap();
        let created = &api.audit_log(&format!("stream=auth_request/{id}")).await[0];
        let created: jiff::Timestamp = created["occurred_at"].as_str().unwrap().parse().unwrap();
        assert!((598..=601).contains(&expires.duration_since(created).as_secs()));
        for secret in [&asked.state, &asked.nonce, page.cookie.split('=').nth(1).unwrap()] {
            assert!(!page.html.contains(secret));
        }
    }

    async fn the_shown_origin_has_no_port_for_loopback_and_is_the_scheme_for_an_app(env: Env) {
        let api = env.api().await;
        for (uri, origin) in [
            ("http://127.0.0.1:7777/cb", "http://127.0.0.1"),
            ("http://[::1]:7777/cb", "http://[::1]"),
            ("https://a.example:8443/cb", "https://a.example:8443"),
            ("com.example.app:/cb", "com.example.app"),
        ] {
            let fields = json!({"redirect_uris": [uri], "token_endpoint_auth_method": "none"});
            let client = api.create_client(fields).await;
            let page = api.authorize(&Authorize::new(&client)).await;
            assert_eq!(page.object["redirect_origin"], origin);
        }
    }

    async fn a_challenge_is_43_to_128_unreserved_characters(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let challenge = Pkce::new().challenge;
        for fault in [
            &challenge[1..],
            &"a".repeat(129),
            &format!("{challenge}="),
            &format!("{}+", &challenge[1..]),
            &format!("{}é", &challenge[1..]),
        ] {
            let asked = Authorize::new(&client).with("code_challenge", fault);
            let error = home(api.open(&asked, "").await);
            assert_eq!(error.get("error"), "invalid_request", "{fault}");
        }
        api.authorize(&Authorize::new(&client).with("code_challenge", &"a~._-".repeat(25))).await;
    }
}
