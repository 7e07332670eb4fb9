//! What a waiting page is told: the stream, polling, the public view.

mod codes;
mod reconnect;

use std::time::Instant;

use reqwest::header;
use serde_json::{Value, json};

use crate::support::{
    Api, Authorize, Client, WaitingPage, on_both_databases,
    process::{PATIENCE, PAUSE, eventually},
    sign_in::Callback,
};

/// The way home that an answer names.
#[track_caller]
fn home(answer: &Value) -> Callback {
    let to = answer["redirect_to"]
        .as_str()
        .unwrap_or_else(|| panic!("no redirect_to: {answer}"));
    Callback {
        url: to.parse().unwrap(),
    }
}

/// Asserts that an answer sends the browser home without a sign-in.
#[track_caller]
fn denies(answer: &Value, asked: &Authorize, client: &Client, issuer: &str) {
    let home = home(answer);
    assert!(
        home.url.as_str().starts_with(&client.redirect_uri),
        "{}",
        home.url
    );
    assert_eq!(home.get("error"), "access_denied");
    assert_eq!(home.get("state"), asked.state);
    assert_eq!(home.get("iss"), issuer);
    assert_eq!(home.get("code"), "");
}

async fn page(api: &Api) -> (Client, Authorize, WaitingPage) {
    let client = api.create_client(json!({})).await;
    let asked = Authorize::new(&client);
    let page = api.authorize(&asked).await;
    (client, asked, page)
}

on_both_databases! {
    async fn a_stream_is_for_the_browser_that_holds_the_cookie(env: Env) {
        let api = env.api().await;
        let (client, _, page) = page(&api).await;
        let other = api.authorize(&Authorize::new(&client)).await;
        let forged = other.cookie.replace(&other.request_id, &page.request_id);
        for cookies in [None, Some(&*other.cookie), Some(&*forged), Some("aa_x=y; ;=")] {
            let refused = api.sse(&page.request_id, cookies, None).await;
            assert_eq!(refused.status, 403, "{cookies:?}");
        }
        for unknown in ["req_00000000000000000000000000000000", "x", "%00", "%FF"] {
            assert_eq!(api.sse(unknown, Some(&page.cookie), None).await.status, 404, "{unknown}");
        }
    }

    async fn the_first_event_is_the_current_state(env: Env) {
        let api = env.api().await;
        let (client, _, page) = page(&api).await;
        let agent = api.create_agent(json!({})).await;
        let mut stream = api.events(&page).await;
        assert_eq!(stream.status, 200);
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-store"),
            ("x-accel-buffering", "no"),
        ] {
            assert_eq!(stream.headers[name], value);
        }
        let first = stream.next().await.unwrap();
        assert_eq!((&*first.event, &*first.id), ("status", "1"));
        assert_eq!(first.data, json!({"status": "pending"}));
        assert_eq!(stream.retry, Some(1000));

        // Refused agents change the stream's version and nothing that the page is told.
        let picky = json!({"expected_client_id": "client_other"});
        let mut body = crate::support::api::authentication(&page.request_id, &agent);
        body.as_object_mut().unwrap().extend(picky.as_object().unwrap().clone());
        api.authenticate_with(&body, &page.cookie).await.refused(403, "origin_mismatch");
        let mut late = api.events(&page).await;
        let first = late.next().await.unwrap();
        assert_eq!((first.status(), &*first.id), ("pending", "2"));

        api.authenticate(&page, &agent).await.expect(200);
        let mut after = api.events(&page).await;
        let first = after.next().await.unwrap();
        assert_eq!((first.status(), &*first.id), ("authenticated", "4"));
        assert!(home(&first.data).url.as_str().starts_with(&client.redirect_uri));
        assert_eq!(after.next().await, None, "the stream closes after authenticated");
    }

    async fn a_sign_in_is_pushed_with_the_way_home_and_the_stream_closes(env: Env) {
        let api = env.api().await;
        let (client, asked, page) = page(&api).await;
        let agent = api.create_agent(json!({})).await;
        let mut streams = vec![api.events(&page).await, api.events(&page).await];
        for stream in &mut streams {
            assert_eq!(stream.next().await.unwrap().status(), "pending");
        }
        api.authenticate(&page, &agent).await.expect(200);
        for mut stream in streams {
            let pushed = stream.next().await.unwrap();
            assert_eq!((&*pushed.event, &*pushed.id), ("status", "3"));
            assert_eq!(pushed.status(), "authenticated");
            let home = home(&pushed.data);
            assert_eq!((home.get("state"), home.get("iss")), (asked.state.clone(), api.issuer.clone()));
            assert_eq!(stream.next().await, None);
        }
        let code = api.callback(&page).await.get("code");
        api.redeem(&client, &code, &asked.pkce.verifier).await.expect(200);
    }

    async fn a_browser_holds_at_most_four_streams(env: Env) {
        let api = env.api().await;
        let (client, _, first) = page(&api).await;
        let second = WaitingPage::of(api.open(&Authorize::new(&client), &first.cookie).await);
        let cookies = format!("{}; {}", first.cookie, second.cookie);
        let mut streams = vec![];
        for page in [&first, &second, &first, &second] {
            streams.push(api.sse(&page.request_id, Some(&cookies), None).await);
            assert_eq!(streams.last().unwrap().status, 200);
        }
        for page in [&first, &second] {
            let refused = api.sse(&page.request_id, Some(&cookies), None).await;
            assert_eq!(refused.status, 503);
            let after: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!(after > 0);
        }
        let other = api.authorize(&Authorize::new(&client)).await;
        assert_eq!(api.events(&other).await.status, 200, "another browser is not concerned");
        // Nor does it count what somebody holds whose cookies are only claimed.
        let claimed = format!("{}; aa_{}={}", other.cookie, first.request_id, "0".repeat(64));
        let claims = api.sse(&other.request_id, Some(&claimed), None).await;
        assert_eq!(claims.status, 200, "cookies that prove nothing count for nobody");
        drop(streams.pop());
        let again = eventually("a place to be given back", async || {
            let stream = api.sse(&first.request_id, Some(&cookies), None).await;
            (stream.status == 200).then_some(stream)
        });
        assert_eq!(again.await.next().await.unwrap().status(), "pending");
    }

    async fn of_many_streams_opened_at_once_four_are_given(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let mut pages = vec![];
        for _ in 0..4 {
            pages.push(api.authorize(&Authorize::new(&client)).await);
        }
        let cookies: Vec<_> = pages.iter().map(|page| &*page.cookie).collect();
        let cookies = cookies.join("; ");
        let opens = pages.iter().cycle().take(24);
        let opens = opens.map(|page| api.sse(&page.request_id, Some(&cookies), None));
        let streams = futures_util::future::join_all(opens).await;
        let given = streams.iter().filter(|stream| stream.status == 200).count();
        let refused = streams.iter().filter(|stream| stream.status == 503).count();
        assert_eq!((given, refused), (4, 20));
    }

    async fn a_quiet_stream_is_kept_alive_by_comments(env: Env) {
        let api = env.api().await;
        let (_, _, page) = page(&api).await;
        let mut stream = api.events(&page).await;
        stream.next().await.unwrap();
        let start = Instant::now();
        while stream.comments == 0 {
            let nothing = tokio::time::timeout(PAUSE, stream.next()).await;
            assert!(nothing.is_err(), "nothing has happened");
            assert!(start.elapsed() < PATIENCE, "no comment comes");
        }
    }

    async fn streams_end_when_the_server_stops(env: Env) {
        let mut server = env.start(|_| {}).await;
        let api = server.api();
        let (_, _, page) = page(&api).await;
        let mut stream = api.events(&page).await;
        assert_eq!(stream.next().await.unwrap().status(), "pending");
        // Fails unless the server ends within ten seconds.
        server.stop().await;
        assert_eq!(stream.next().await, None);
    }

    async fn expiry_is_pushed_by_a_timer(env: Env) {
        let server = env.start(|options| { options.flag("--request-lifetime", 5); }).await;
        let api = server.api();
        let agent = api.create_agent(json!({})).await;
        let (client, asked, page) = page(&api).await;
        let events = api.events(&page).await.rest().await;
        let [pending, expired] = &events[..] else { panic!("{events:?}") };
        assert_eq!((pending.status(), expired.status()), ("pending", "expired"));
        assert_eq!(expired.id, "1x");
        denies(&expired.data, &asked, &client, &api.issuer);
        let seen = Some(&*expired.id);
        assert_eq!(api.sse(&page.request_id, Some(&page.cookie), seen).await.status, 204);
        let before = api.sse(&page.request_id, Some(&page.cookie), Some("1")).await;
        assert_eq!(before.rest().await, std::slice::from_ref(expired));

        let polled = api.check_status(&page).await.expect(200).json;
        assert_eq!(polled["status"], "expired");
        denies(&polled, &asked, &client, &api.issuer);
        let path = format!("/authorize/{}", page.request_id);
        let shown = api.send(api.get(&path).header(header::COOKIE, &page.cookie)).await.expect(200);
        assert!(!shown.text.contains("window.authRequest"), "the page does not wait any more");
        api.authenticate(&page, &agent).await.refused(410, "request_expired");
        // Expiry follows from the clock: it is no event.
        assert_eq!(api.audit_log(&format!("stream=auth_request/{}", page.request_id)).await.len(), 1);
    }

    async fn a_suspension_after_the_sign_in_denies_the_page(env: Env) {
        let api = env.api().await;
        let (client, asked, page) = page(&api).await;
        let agent = api.create_agent(json!({})).await;
        api.authenticate(&page, &agent).await.expect(200);
        api.suspend(&agent).await;
        let events = api.events(&page).await.rest().await;
        let [denied] = &events[..] else { panic!("{events:?}") };
        assert_eq!(denied.status(), "denied");
        denies(&denied.data, &asked, &client, &api.issuer);
        let polled = api.check_status(&page).await.json;
        assert_eq!(polled["status"], "denied");
        denies(&polled, &asked, &client, &api.issuer);
    }

    async fn an_open_page_still_waits_when_some_agent_is_suspended(env: Env) {
        let api = env.api().await;
        let (_, _, page) = page(&api).await;
        let (agent, other) = (api.create_agent(json!({})).await, api.create_agent(json!({})).await);
        let mut stream = api.events(&page).await;
        assert_eq!(stream.next().await.unwrap().status(), "pending");
        api.suspend(&agent).await;
        api.authenticate(&page, &agent).await.refused(403, "access_denied");
        assert_eq!(api.check_status(&page).await.str("status"), "pending");
        api.authenticate(&page, &other).await.expect(200);
        assert_eq!(stream.next().await.unwrap().status(), "authenticated");
    }

    async fn check_status_may_be_read_any_number_of_times(env: Env) {
        let api = env.api().await;
        let (client, asked, page) = page(&api).await;
        let agent = api.create_agent(json!({})).await;
        for _ in 0..5 {
            assert_eq!(api.check_status(&page).await.json, json!({"status": "pending"}));
        }
        api.authenticate(&page, &agent).await.expect(200);
        let first = api.check_status(&page).await.expect(200);
        assert_eq!(first.header("cache-control"), "no-store");
        for _ in 0..5 {
            assert_eq!(api.check_status(&page).await.json, first.json);
        }
        let home = home(&first.json);
        let members: Vec<_> = first.json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["code", "redirect_to", "redirect_uri", "state", "status"]);
        assert_eq!(first.str("code"), home.get("code"));
        assert_eq!(first.str("state"), asked.state);
        assert_eq!(first.str("redirect_uri"), client.redirect_uri);
        api.redeem(&client, first.str("code"), &asked.pkce.verifier).await.expect(200);
        for _ in 0..5 {
            assert_eq!(api.check_status(&page).await.json, json!({"status": "completed"}));
        }
    }

    async fn without_the_cookie_check_status_tells_the_status_alone(env: Env) {
        let api = env.api().await;
        let (client, asked, page) = page(&api).await;
        let agent = api.create_agent(json!({})).await;
        let other = api.authorize(&Authorize::new(&client)).await;
        let forged = other.cookie.replace(&other.request_id, &page.request_id);
        let polled = |cookie: &str| {
            let path = format!("/api/check-status?request_id={}", page.request_id);
            let call = api.get(&path).header(header::COOKIE, cookie);
            async { api.send(call).await.expect(200).json }
        };
        for (status, step) in [("pending", 0), ("authenticated", 1), ("completed", 2)] {
            match step {
                1 => drop(api.authenticate(&page, &agent).await.expect(200)),
                2 => {
                    let code = api.callback(&page).await.get("code");
                    api.redeem(&client, &code, &asked.pkce.verifier).await.expect(200);
                }
                _ => {}
            }
            for cookie in ["", &*other.cookie, &*forged] {
                assert_eq!(polled(cookie).await, json!({ "status": status }));
            }
        }
        for (query, status, error) in [
            ("", 400, "invalid_request"),
            ("?request_id=", 400, "invalid_request"),
            ("?request_id=a&request_id=a", 400, "invalid_request"),
            ("?request_id=x", 404, "unknown_request"),
            ("?request_id=%00", 404, "unknown_request"),
        ] {
            let reply = api.send(api.get(&format!("/api/check-status{query}"))).await;
            reply.refused(status, error);
        }
    }

    async fn anybody_may_look_at_a_request_and_sees_nothing_secret(env: Env) {
        let api = env.api().await;
        let (client, asked, page) = page(&api).await;
        let agent = api.create_agent(json!({})).await;
        let path = format!("/api/requests/{}", page.request_id);
        let look = || async { api.send(api.get(&path)).await.expect(200) };
        let first = look().await;
        let mut expected = page.object.clone();
        expected["status"] = json!("pending");
        assert_eq!(first.json, expected, "what the page's object holds, and the status");
        api.authenticate(&page, &agent).await.expect(200);
        let second = look().await;
        assert_eq!(second.str("status"), "authenticated");
        let code = api.callback(&page).await.get("code");
        api.redeem(&client, &code, &asked.pkce.verifier).await.expect(200);
        let third = look().await;
        assert_eq!(third.str("status"), "completed");
        let cookie = page.cookie.split('=').nth(1).unwrap();
        for reply in [first, second, third] {
            for secret in [&asked.state, &asked.nonce, &code, cookie, &agent.id, &agent.owner_id] {
                assert!(!reply.text.contains(secret), "{}", reply.text);
            }
        }
        for unknown in ["req_00000000000000000000000000000000", "x", "%00", "%FF", "req_%2F"] {
            let reply = api.send(api.get(&format!("/api/requests/{unknown}"))).await;
            reply.refused(404, "unknown_request");
        }
    }

    async fn without_javascript_the_page_refreshes_itself_and_goes_home(env: Env) {
        let api = env.api().await;
        let (_, asked, page) = page(&api).await;
        let agent = api.create_agent(json!({})).await;
        let noscript = page.html.split("<noscript>").nth(1).expect("something without JavaScript");
        let path = format!("/authorize/{}", page.request_id);
        assert!(noscript.contains(r#"http-equiv="refresh""#) && noscript.contains(&path));
        let refresh = || async { api.send(api.get(&path).header(header::COOKIE, &page.cookie)).await };
        assert_eq!(WaitingPage::of(refresh().await).request_id, page.request_id);
        api.authenticate(&page, &agent).await.expect(200);
        let reply = refresh().await.expect(303);
        assert!(reply.header("location").contains(&format!("state={}", asked.state)));
    }
}
