//! A stream that is opened again tells what was missed, and ends for good what was told before.

use super::*;
use crate::support::{Tokens, sse::Sse};

/// Opens the page's stream as a browser does that has seen an event of that id.
async fn resume(api: &Api, page: &WaitingPage, seen: &str) -> Sse {
    api.sse(&page.request_id, Some(&page.cookie), Some(seen))
        .await
}

on_both_databases! {
    async fn a_reconnect_resumes_without_loss_and_ends_with_204(env: Env) {
        let api = env.api().await;
        let (client, asked, page) = page(&api).await;
        let agent = api.create_agent(json!({})).await;
        let mut stream = api.events(&page).await;
        let seen = stream.next().await.unwrap().id;
        drop(stream);
        api.authenticate(&page, &agent).await.expect(200);
        let missed = resume(&api, &page, &seen).await.next().await.unwrap();
        assert_eq!(missed.status(), "authenticated");
        // Seen, but not final: the browser may have lost its way home.
        let again = resume(&api, &page, &missed.id).await.next().await.unwrap();
        assert_eq!(again, missed);
        let code = home(&missed.data).get("code");
        api.redeem(&client, &code, &asked.pkce.verifier).await.expect(200);
        let events = resume(&api, &page, &missed.id).await.rest().await;
        let [last] = &events[..] else { panic!("{events:?}") };
        assert_eq!(last.data, json!({"status": "completed"}));
        assert_eq!(resume(&api, &page, &last.id).await.status, 204);
        let anew = api.events(&page).await.rest().await;
        assert_eq!(anew, std::slice::from_ref(last), "without Last-Event-ID");
    }

    async fn a_reconnect_learns_of_a_suspension_and_ends_with_204(env: Env) {
        let api = env.api().await;
        let (client, asked, page) = page(&api).await;
        let agent = api.create_agent(json!({})).await;
        api.authenticate(&page, &agent).await.expect(200);
        let seen = api.events(&page).await.rest().await;
        let [signed_in] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!((signed_in.status(), &*signed_in.id), ("authenticated", "3"));
        api.suspend(&agent).await;
        // Whether or not the suspension stands in the request's own stream yet.
        for _ in 0..2 {
            let events = resume(&api, &page, &signed_in.id).await.rest().await;
            let [denied] = &events[..] else { panic!("{events:?}") };
            assert_eq!(denied.status(), "denied");
            denies(&denied.data, &asked, &client, &api.issuer);
            assert!(["3s", "4"].contains(&&*denied.id), "{}", denied.id);
            assert_eq!(resume(&api, &page, &denied.id).await.status, 204);
            eventually("the suspension to reach the stream", async || {
                let events = api.audit_log(&format!("stream=auth_request/{}", page.request_id)).await;
                (events.len() == 4).then_some(())
            })
            .await;
            // Seen before it did: known all the same.
            assert_eq!(resume(&api, &page, "3s").await.status, 204);
        }
        assert_eq!(api.events(&page).await.rest().await[0].id, "4");
    }

    async fn a_completed_page_that_has_seen_it_is_told_nothing_new_by_refreshes(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let done = api.sign_in(&client, &agent).await;
        assert_eq!(resume(&api, &done.page, "4").await.status, 204);
        let fresh = Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
        Tokens::of(api.refresh(&client, fresh.refresh()).await);
        let events = api.events(&done.page).await.rest().await;
        assert_eq!((events[0].status(), &*events[0].id), ("completed", "6"));
        for known in ["4", "5", "6"] {
            assert_eq!(resume(&api, &done.page, known).await.status, 204, "{known}");
        }
        for unknown in ["1", "3", "7", "x", "-4", "4y", "99999999999999999999"] {
            let events = resume(&api, &done.page, unknown).await.rest().await;
            assert_eq!(events.len(), 1, "{unknown}");
            assert_eq!(events[0].status(), "completed");
        }
    }

    async fn what_expired_unfetched_stays_expired_whatever_becomes_of_its_agent(env: Env) {
        let server = env.start(|options| {
            options.flag("--code-lifetime", 1).flag("--request-lifetime", 5);
        }).await;
        let api = server.api();
        let agent = api.create_agent(json!({})).await;
        let (_, _, page) = page(&api).await;
        api.authenticate(&page, &agent).await.expect(200);
        let status = async || api.check_status(&page).await.expect(200).str("status").to_owned();
        eventually("the end", async || (status().await == "expired").then_some(())).await;
        let end = api.events(&page).await.rest().await;
        api.suspend(&agent).await;
        assert_eq!(status().await, "expired");
        eventually("the suspension to reach the stream", async || {
            let query = format!("stream=auth_request/{}&type=Revoked", page.request_id);
            (api.audit_log(&query).await.len() == 1).then_some(())
        })
        .await;
        assert_eq!(status().await, "expired");
        let seen = api.sse(&page.request_id, Some(&page.cookie), Some(&end[0].id)).await;
        assert_eq!(seen.status, 204);
    }
}
