//! A code that ran out unfetched is replaced for the waiting browser, and for nobody else.

use super::*;

/// When each code of a request ends.
async fn issued(api: &Api, page: &WaitingPage) -> Vec<jiff::Timestamp> {
    let query = format!("stream=auth_request/{}&type=CodeIssued", page.request_id);
    let events = api.audit_log(&query).await;
    events
        .iter()
        .map(|event| {
            event["payload"]["expires_at"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect()
}

on_both_databases! {
    async fn a_code_that_ran_out_is_replaced_and_the_older_one_is_dead(env: Env) {
        let server = env.start(|options| { options.flag("--code-lifetime", 3); }).await;
        let api = server.api();
        let (client, asked, page) = page(&api).await;
        let agent = api.create_agent(json!({})).await;
        api.authenticate(&page, &agent).await.expect(200);
        let first = api.callback(&page).await.get("code");
        let second = eventually("another code", async || {
            let code = api.callback(&page).await.get("code");
            (code != first).then_some(code)
        })
        .await;
        let old = api.redeem(&client, &first, &asked.pkce.verifier).await;
        old.refused(400, "invalid_grant");
        let mut reply = api.redeem(&client, &second, &asked.pkce.verifier).await;
        // A slow machine may let the second one run out as well.
        for _ in 0..10 {
            if reply.status != 200 {
                let code = api.callback(&page).await.get("code");
                reply = api.redeem(&client, &code, &asked.pkce.verifier).await;
            }
        }
        reply.expect(200);
        assert_eq!(api.check_status(&page).await.json, json!({"status": "completed"}));
    }

    async fn a_code_is_replaced_at_most_once_in_its_lifetime(env: Env) {
        let server = env.start(|options| { options.flag("--code-lifetime", 1); }).await;
        let api = server.api();
        let (_, _, page) = page(&api).await;
        let agent = api.create_agent(json!({})).await;
        api.authenticate(&page, &agent).await.expect(200);
        let codes = eventually("several codes", async || {
            // Many at once, by polling, by the page's own address, and by the stream.
            let path = format!("/authorize/{}", page.request_id);
            let show = || api.send(api.get(&path).header(header::COOKIE, &page.cookie));
            let polls = futures_util::future::join_all((0..8).map(|_| api.check_status(&page)));
            let shows = futures_util::future::join_all((0..4).map(|_| show()));
            let (polls, shows, mut stream) = tokio::join!(polls, shows, api.events(&page));
            assert!(polls.iter().all(|poll| poll.str("status") == "authenticated"));
            assert!(shows.iter().all(|shown| shown.status == 303));
            assert_eq!(stream.next().await.unwrap().status(), "authenticated");
            let codes = issued(&api, &page).await;
            (codes.len() >= 4).then_some(codes)
        })
        .await;
        for pair in codes.windows(2) {
            let apart = pair[1].duration_since(pair[0]);
            assert!(apart.as_millis() >= 1000, "{apart:?} between two codes");
        }
    }

    async fn nobody_without_the_cookie_causes_a_new_code(env: Env) {
        let server = env.start(|options| { options.flag("--code-lifetime", 1); }).await;
        let api = server.api();
        let (client, _, page) = page(&api).await;
        let agent = api.create_agent(json!({})).await;
        api.authenticate(&page, &agent).await.expect(200);
        // Another request, signed in to later: once its code is replaced, the first one's has run out.
        let later = api.authorize(&Authorize::new(&client)).await;
        api.authenticate(&later, &agent).await.expect(200);
        eventually("the code to run out", async || {
            api.check_status(&later).await.expect(200);
            (issued(&api, &later).await.len() == 2).then_some(())
        })
        .await;
        for cookie in ["", &*later.cookie] {
            let blind = WaitingPage { cookie: cookie.to_owned(), ..page.clone() };
            assert_eq!(api.check_status(&blind).await.json, json!({"status": "authenticated"}));
            assert_eq!(api.events(&blind).await.status, 403);
            let path = format!("/authorize/{}", page.request_id);
            api.send(api.get(&path).header(header::COOKIE, cookie)).await.expect(403);
            api.send(api.get(&format!("/api/requests/{}", page.request_id))).await.expect(200);
        }
        // Nor does the agent, nor a HEAD that takes no code away.
        api.authenticate(&page, &agent).await.expect(200);
        for path in ["/api/check-status?request_id=", "/authorize/"] {
            let call = api.call(reqwest::Method::HEAD, &format!("{path}{}", page.request_id));
            api.send(call.header(header::COOKIE, &page.cookie)).await.expect(200);
        }
        assert_eq!(issued(&api, &page).await.len(), 1);
        api.check_status(&page).await.expect(200);
        assert_eq!(issued(&api, &page).await.len(), 2);
    }

    async fn no_code_is_issued_after_the_requests_lifetime(env: Env) {
        let server = env.start(|options| {
            options.flag("--code-lifetime", 1).flag("--request-lifetime", 6);
        }).await;
        let api = server.api();
        let agent = api.create_agent(json!({})).await;
        let (client, asked, page) = page(&api).await;
        api.authenticate(&page, &agent).await.expect(200);
        let end = eventually("the end", async || {
            let reply = api.check_status(&page).await.expect(200);
            (reply.str("status") == "expired").then_some(reply)
        })
        .await;
        denies(&end.json, &asked, &client, &api.issuer);
        let codes = issued(&api, &page).await.len();
        api.check_status(&page).await.expect(200);
        assert_eq!(issued(&api, &page).await.len(), codes);
        let events = api.events(&page).await.rest().await;
        assert_eq!(events.iter().map(|event| event.status()).collect::<Vec<_>>(), ["expired"]);
        assert!(events[0].id.ends_with('x'));
    }
}
