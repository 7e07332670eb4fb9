//! The kill switch: from its answer on, what was signed in is dead, and stays dead.

use super::*;

/// Who is suspended.
#[derive(Clone, Copy, PartialEq)]
enum Whom {
    Agent,
    Owner,
}

impl Whom {
    async fn switch(self, api: &Api, agent: &Agent, what: &str) -> Reply {
        let path = match self {
            Self::Agent => format!("/agents/{}/{what}", agent.id),
            Self::Owner => format!("/owners/{}/{what}", agent.owner_id),
        };
        api.admin(Method::POST, &path, None).await
    }
}

on_both_databases! {
    async fn a_suspended_agent_is_told_only_after_its_credentials_were_proved(env: Env) {
        let api = env.api().await;
        for whom in [Whom::Agent, Whom::Owner] {
            let (_, page) = page(&api, json!({})).await;
            let agent = api.create_agent(json!({})).await;
            whom.switch(&api, &agent, "suspend").await.expect(200);
            let guess = body(&page, &agent, json!({"agent_secret": "guess"}));
            refused(&api.authenticate_with(&guess, "").await, 401, "invalid_agent");
            let reply = api.authenticate(&page, &agent).await;
            refused(&reply, 403, "access_denied");
            // Not even whether a request exists is told to it.
            let unknown = body(&page, &agent, json!({"request_id": "req_x"}));
            assert_eq!(api.authenticate_with(&unknown, "").await.text, reply.text);
            still_waits(&api, &page).await;
            whom.switch(&api, &agent, "reinstate").await.expect(200);
            api.authenticate(&page, &agent).await.expect(200);
        }
    }

    async fn what_was_suspended_stays_dead_after_reinstating(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        for whom in [Whom::Agent, Whom::Owner] {
            let agent = api.create_agent(json!({})).await;
            let done = api.sign_in(&client, &agent).await;
            let (asked, page, callback) = api.code(&client, &agent).await;
            assert!(api.is_active(&client, &done.tokens.access_token).await);
            for step in ["suspend", "reinstate"] {
                whom.switch(&api, &agent, step).await.expect(200);
                assert!(!api.is_active(&client, &done.tokens.access_token).await, "{step}");
                assert!(!api.is_active(&client, done.tokens.refresh()).await, "{step}");
                api.userinfo(&done.tokens.access_token).await.refused(401, "invalid_token");
                let refreshed = api.refresh(&client, done.tokens.refresh()).await;
                refreshed.refused(400, "invalid_grant");
                let code = api.redeem(&client, &callback.get("code"), &asked.pkce.verifier).await;
                code.refused(400, "invalid_grant");
                assert_eq!(api.check_status(&page).await.str("status"), "denied");
                // Not even the agent itself can open it again.
                let again = api.authenticate(&page, &agent).await;
                let expected = if step == "suspend" {
                    (403, "access_denied")
                } else {
                    (409, "request_closed")
                };
                refused(&again, expected.0, expected.1);
            }
            // It may sign in anew.
            let anew = api.sign_in(&client, &agent).await;
            assert!(api.is_active(&client, &anew.tokens.access_token).await);
            assert!(!api.is_active(&client, &done.tokens.access_token).await);
        }
    }

    async fn suspending_an_owner_reaches_all_of_its_agents_and_nobody_elses(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let first = api.create_agent(json!({})).await;
        let shown = api.admin(Method::GET, &format!("/agents/{}", first.id), None).await.expect(200);
        let second = api.create_agent(json!({"user_email": shown.str("user_email")})).await;
        let stranger = api.create_agent(json!({})).await;
        assert_eq!(first.owner_id, second.owner_id);
        let mut signed_in = vec![];
        for agent in [&first, &second, &stranger] {
            signed_in.push(api.sign_in(&client, agent).await.tokens.access_token);
        }
        Whom::Owner.switch(&api, &first, "suspend").await.expect(200);
        let mut active = vec![];
        for token in &signed_in {
            active.push(api.is_active(&client, token).await);
        }
        assert_eq!(active, [false, false, true]);
    }

    async fn suspending_one_agent_leaves_its_owners_others_alone(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let first = api.create_agent(json!({})).await;
        let shown = api.admin(Method::GET, &format!("/agents/{}", first.id), None).await.expect(200);
        let second = api.create_agent(json!({"user_email": shown.str("user_email")})).await;
        let dead = api.sign_in(&client, &first).await.tokens;
        let alive = api.sign_in(&client, &second).await.tokens;
        api.suspend(&first).await;
        assert!(!api.is_active(&client, &dead.access_token).await);
        assert!(api.is_active(&client, &alive.access_token).await);
    }

    async fn suspending_twice_is_one_event_and_reinstating_nobody_is_none(env: Env) {
        let api = env.api().await;
        for whom in [Whom::Agent, Whom::Owner] {
            let agent = api.create_agent(json!({})).await;
            let (kind, id) = match whom {
                Whom::Agent => ("agent", &agent.id),
                Whom::Owner => ("owner", &agent.owner_id),
            };
            for what in ["reinstate", "suspend", "suspend", "reinstate", "reinstate"] {
                whom.switch(&api, &agent, what).await.expect(200);
            }
            let events = api.audit_log(&format!("stream={kind}/{id}")).await;
            let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
            assert_eq!(types, ["Registered", "Suspended", "Reinstated"]);
        }
    }
}
