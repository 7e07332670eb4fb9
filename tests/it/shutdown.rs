//! SIGTERM: streams end, requests in flight are answered or cut off, what was answered is kept.

use futures_util::future::join_all;
use serde_json::json;

use crate::{
    log::history,
    support::{Authorize, Tokens, on_both_databases},
};

on_both_databases! {
    async fn a_server_that_was_told_to_end_loses_nothing(env: Env) {
        let mut server = env.start(|options| { options.flag("--code-lifetime", 600); }).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let done = api.sign_in(&client, &agent).await;
        let (asked, page, callback) = api.code(&client, &agent).await;
        let waiting = api.authorize(&Authorize::new(&client)).await;
        let before = history(&api, "").await;
        server.restart().await;
        let api = server.api();
        assert_eq!(history(&api, "").await, before);
        assert!(api.is_active(&client, &done.tokens.access_token).await);
        assert!(api.is_active(&client, done.tokens.refresh()).await);
        Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
        let reply = api.check_status(&page).await.expect(200);
        assert_eq!(reply.str("code"), callback.get("code"));
        Tokens::of(api.redeem(&client, &callback.get("code"), &asked.pkce.verifier).await);
        api.authenticate(&waiting, &agent).await.expect(200);
        assert!(!api.callback(&waiting).await.get("code").is_empty());
    }

    async fn waiting_pages_and_requests_in_flight_do_not_hold_up_the_end(env: Env) {
        let mut server = env.start(|_| {}).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let mut streams = Vec::new();
        let mut pages = Vec::new();
        for _ in 0..30 {
            let page = api.authorize(&Authorize::new(&client)).await;
            let mut stream = api.events(&page).await;
            assert_eq!(stream.next().await.unwrap().status(), "pending");
            streams.push(stream);
            pages.push(page);
        }
        // Agents sign in while the server is told to end: each is answered, or hears nothing.
        let (begun, mut begin) = tokio::sync::mpsc::channel::<()>(pages.len());
        let calls: Vec<_> = pages
            .iter()
            .map(|page| {
                let body = crate::support::api::authentication(&page.request_id, &agent);
                let call = api.post("/api/agent/authenticate").json(&body);
                let call = call.header("cookie", &page.cookie);
                let (id, begun) = (page.request_id.clone(), begun.clone());
                tokio::spawn(async move {
                    begun.send(()).await.unwrap();
                    let answered = call.send().await.is_ok_and(|reply| reply.status() == 200);
                    (id, answered)
                })
            })
            .collect();
        for _ in 0..pages.len() / 2 {
            begin.recv().await.unwrap();
        }
        // Ends with status 0 within ten seconds, or panics.
        server.stop().await;
        let answers: Vec<(String, bool)> =
            join_all(calls).await.into_iter().map(Result::unwrap).collect();
        for stream in streams {
            for event in stream.rest().await {
                assert_eq!(event.status(), "authenticated");
            }
        }
        server.restart().await;
        let events = history(&server.api(), "type=AgentAuthenticated").await;
        for (id, answered) in answers {
            let stream = format!("auth_request/{id}");
            let kept = events.iter().any(|event| event["stream"] == *stream);
            assert!(kept || !answered, "an answered sign-in was lost");
        }
    }

    async fn sigint_ends_it_as_well(env: Env) {
        let mut server = env.start(|_| {}).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let page = api.authorize(&Authorize::new(&client)).await;
        let mut stream = api.events(&page).await;
        assert_eq!(stream.next().await.unwrap().status(), "pending");
        server.process().signal("INT");
        let status = server.process().end(std::time::Duration::from_secs(10)).await;
        assert!(status.success(), "{status}");
        assert_eq!(stream.rest().await, []);
    }
}
