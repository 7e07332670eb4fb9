//! Tokens: which grants live, and the end of one by an administrator.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    sql::sql,
    support::{Api, Authorize, on_both_databases},
};

async fn listed(api: &Api, query: &str) -> Vec<Value> {
    let page = api
        .admin(Method::GET, &format!("/tokens?{query}"), None)
        .await
        .expect(200)
        .json;
    page["items"].as_array().unwrap().clone()
}

fn sids(items: &[Value]) -> Vec<&str> {
    items
        .iter()
        .map(|item| item["sid"].as_str().unwrap())
        .collect()
}

on_both_databases! {
    async fn what_lives_is_listed_with_all_that_is_asked_of_it(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let (client, other) = (api.create_client(json!({})).await, api.create_client(json!({})).await);
        let (agent, sibling) = (api.create_agent(json!({})).await, api.create_agent(json!({})).await);
        let one = api.sign_in(&client, &agent).await.page.request_id;
        let two = api.sign_in(&other, &agent).await.page.request_id;
        let three = api.sign_in(&client, &sibling).await.page.request_id;
        // Neither a page that waits nor a code that was not fetched is a grant.
        api.authorize(&Authorize::new(&client)).await;
        api.code(&client, &agent).await;
        let all = listed(&api, "").await;
        assert_eq!(sids(&all), [&*one, &*two, &*three]);
        let item = &all[0];
        assert_eq!(item["agent_id"], *agent.id);
        assert_eq!(item["owner_id"], *agent.owner_id);
        assert_eq!(item["client_id"], *client.id);
        assert_eq!(item["scope"], "openid profile email");
        assert_eq!(item["binding"], "browser");
        assert!(item["model"].as_str().is_some_and(|model| !model.is_empty()));
        let moment = |member: &str| item[member].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let hours = (moment("expires_at").as_second() - moment("issued_at").as_second()) / 3_600;
        assert!((719..=721).contains(&hours), "{item}");
        for (query, expected) in [
            (format!("agent_id={}", agent.id), vec![&*one, &*two]),
            (format!("client_id={}", client.id), vec![&*one, &*three]),
            (format!("owner_id={}", sibling.owner_id), vec![&*three]),
            (format!("agent_id={}&client_id={}", agent.id, other.id), vec![&*two]),
            (format!("agent_id={}", auth_agent::edge::new_agent_id()), vec![]),
        ] {
            assert_eq!(sids(&listed(&api, &query).await), expected, "{query}");
        }
        // Page by page the same.
        let (mut walked, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/tokens?limit=1{after}");
            let page = api.admin(Method::GET, &path, None).await.expect(200).json;
            walked.extend(page["items"].as_array().unwrap().clone());
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        assert_eq!(walked, all);
        for wrong in ["after=1", "agent_id=x", "client_id=x", "owner_id=x", "limit=0", "agent=x"] {
            let path = format!("/tokens?{wrong}");
            api.admin(Method::GET, &path, None).await.refused(400, "invalid_request");
        }
    }

    async fn a_page_looks_at_so_many_and_leads_on_where_none_of_them_lives(env: Env) {
        // Given one grant, and before it more dead requests than a page looks at.
        let server = env.start(|_| {}).await;
        let api = server.api();
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let sid = api.sign_in(&client, &agent).await.page.request_id;
        let dead = format!(
            "insert into requests (id, version, position, client_id, agent_id, owner_id, state)
             with recursive n(i) as (select 10001 union all select i + 1 from n where i < 15000)
             select 'req_{:027}' || i, 1, i, 'nobody', 'nobody', 'nobody', '{{}}' from n",
            0
        );
        sql(&server, &dead).await;
        // When they are asked for page by page.
        let page = api.admin(Method::GET, "/tokens", None).await.expect(200).json;
        // Then the first is empty and leads to the next.
        assert_eq!(page["items"], json!([]));
        let next = page["next"].as_str().unwrap();
        assert_eq!(sids(&listed(&api, &format!("after={next}")).await), [&*sid]);
        // Whoever asks for somebody's does not come across them.
        for filter in [
            format!("agent_id={}", agent.id),
            format!("client_id={}", client.id),
            format!("owner_id={}", agent.owner_id),
        ] {
            assert_eq!(sids(&listed(&api, &filter).await), [&*sid], "{filter}");
        }
    }

    async fn what_was_cut_off_is_not_listed_from_the_answer_on(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let gone = api.create_client(json!({})).await;
        let mut agents = Vec::new();
        for _ in 0..4 {
            let agent = api.create_agent(json!({})).await;
            api.sign_in(&client, &agent).await;
            agents.push(agent);
        }
        let kept = api.create_agent(json!({})).await;
        api.sign_in(&gone, &kept).await;
        let lives = api.sign_in(&client, &kept).await.page.request_id;
        assert_eq!(listed(&api, "").await.len(), 6);
        api.suspend(&agents[0]).await;
        let path = format!("/agents/{}", agents[1].id);
        api.admin(Method::DELETE, &path, None).await.expect(204);
        let path = format!("/owners/{}/suspend", agents[2].owner_id);
        api.admin(Method::POST, &path, None).await.expect(200);
        let path = format!("/owners/{}", agents[3].owner_id);
        api.admin(Method::DELETE, &path, None).await.expect(204);
        let path = format!("/clients/{}", gone.id);
        api.admin(Method::DELETE, &path, None).await.expect(204);
        assert_eq!(sids(&listed(&api, "").await), [&*lives]);
    }

    async fn what_has_run_out_is_not_listed(env: Env) {
        let server = env.start(|options| {
            options.flag("--access-token-lifetime", 2);
        }).await;
        let api = server.api();
        let client = api.create_client(json!({"grant_types": ["authorization_code"]})).await;
        let agent = api.create_agent(json!({})).await;
        api.sign_in(&client, &agent).await;
        assert_eq!(listed(&api, "").await.len(), 1);
        crate::support::process::eventually("it runs out", async || {
            listed(&api, "").await.is_empty().then_some(())
        }).await;
    }

    async fn one_that_is_revoked_is_dead_at_every_endpoint_and_no_other(env: Env) {
        let api = env.api().await;
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let done = api.sign_in(&client, &agent).await;
        let other = api.sign_in(&client, &agent).await;
        let path = format!("/tokens/{}", done.page.request_id);
        let reply = api.admin(Method::DELETE, &path, None).await;
        assert_eq!((reply.status, &*reply.text), (204, ""));
        for token in [&*done.tokens.access_token, done.tokens.refresh()] {
            assert!(!api.is_active(&client, token).await);
        }
        api.refresh(&client, done.tokens.refresh()).await.refused(400, "invalid_grant");
        api.userinfo(&done.tokens.access_token).await.refused(401, "invalid_token");
        assert!(api.is_active(&client, &other.tokens.access_token).await);
        assert_eq!(sids(&listed(&api, &format!("agent_id={}", agent.id)).await), [&*other.page.request_id]);
        api.admin(Method::DELETE, &path, None).await.expect(204);
        let events = api.audit_log(&format!("stream=auth_request/{}&type=Revoked", done.page.request_id)).await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0]["payload"], json!({"reason": "admin"}));
        assert_eq!(events[0]["metadata"]["actor"], json!({"type": "admin_key", "id": "environment"}));
    }

    async fn a_code_that_waits_dies_too_and_where_nobody_signed_in_there_is_nothing(env: Env) {
        let api = env.api().await;
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let (asked, page, callback) = api.code(&client, &agent).await;
        api.admin(Method::DELETE, &format!("/tokens/{}", page.request_id), None).await.expect(204);
        let code = callback.get("code");
        api.redeem(&client, &code, &asked.pkce.verifier).await.refused(400, "invalid_grant");
        assert_eq!(api.check_status(&page).await.json["status"], "denied");
        let waiting = api.authorize(&Authorize::new(&client)).await;
        for sid in [&*waiting.request_id, "x", &agent.id, "req_00000000000000000000000000000000"] {
            let path = format!("/tokens/{sid}");
            api.admin(Method::DELETE, &path, None).await.refused(404, "not_found");
        }
        api.authenticate(&waiting, &agent).await.expect(200);
    }
}
