//! Under load: only secrets that we issued cost a hash, and who comes when the queue is full is told so
//! at once.

use super::*;

on_both_databases! {
    async fn a_guess_is_refused_alike_for_known_and_unknown_ids_while_the_hash_queue_is_full(env: Env) {
        let mut server = env.start(|options| {
            options.flag("--hash-permits", 1).flag("--hash-queue", 1);
        }).await;
        let api = server.api();
        let mut agents = vec![];
        for _ in 0..24 {
            agents.push(api.create_agent(json!({})).await);
        }
        let nowhere = "req_00000000000000000000000000000000";
        // A slow machine may take the calls one by one: after a restart they are all cold again.
        for _ in 0..10 {
            let api = server.api();
            let unknown = Agent { id: nowhere.replace("req", "agent"), ..agents[0].clone() };
            let mut calls = vec![];
            for agent in &agents {
                calls.push((true, authentication(nowhere, agent)));
                let guess = Agent { secret: format!("{}x", agent.secret), ..agent.clone() };
                for wrong in [&guess, &unknown] {
                    calls.push((false, authentication(nowhere, wrong)));
                }
            }
            let replies = calls.iter().map(async |(right, body)| {
                (*right, api.authenticate_with(body, "").await)
            });
            let mut answers = std::collections::HashSet::new();
            let mut turned_away = 0;
            for (right, reply) in futures_util::future::join_all(replies).await {
                if !right {
                    refused(&reply, 401, "invalid_agent");
                    answers.insert(reply.text);
                } else if reply.status == 429 {
                    refused(&reply, 429, "slow_down");
                    assert!(reply.header("retry-after").parse::<u64>().unwrap() >= 1);
                    turned_away += 1;
                } else {
                    refused(&reply, 404, "unknown_request");
                }
            }
            assert_eq!(answers.len(), 1, "{answers:?}");
            if turned_away > 0 {
                return;
            }
            server.restart().await;
        }
        panic!("the hash queue was never full");
    }
}
