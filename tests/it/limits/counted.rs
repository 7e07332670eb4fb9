//! What is over a limit is counted under that limit, and under no other.

use reqwest::Method;
use serde_json::json;

use super::{begin, guess, limited, sign_in};
use crate::support::{Api, Authorize, on_both_databases};

const LIMITS: [(&str, &str); 5] = [
    ("requests-per-address", "1/h burst 1"),
    ("requests-per-client", "1/h burst 1"),
    ("pending-per-client", "1"),
    ("failures", "1/h burst 1"),
    ("calls-per-agent", "1/h burst 1"),
];
/// Which is no setting of `--limits`, and holds whatever they are.
const HASH_QUEUE: &str = "hash-queue";

/// Whether the metrics say of each limit how much it refused: so much of this one, and nothing of others.
async fn assert_refused_by_alone(api: &Api, limit: &str, refused: usize) {
    let call = api.get("/metrics").bearer_auth(&api.admin_key);
    let counted = api.send(call).await.expect(200).text;
    for other in LIMITS.map(|(limit, _)| limit).iter().chain(&[HASH_QUEUE]) {
        let label = other.replace('-', "_");
        let number = if *other == limit { refused } else { 0 };
        let line = format!("auth_agent_limit_refusals_total{{limit=\"{label}\"}} {number}\n");
        assert!(counted.contains(&line), "{line} after {limit}: {counted}");
    }
}

on_both_databases! {
    async fn each_limit_counts_what_it_refuses(env: Env) {
        for (limit, value) in LIMITS {
            let server = limited(env, limit, value).await;
            let api = server.api();
            let client = api.create_client(json!({})).await;
            let agent = api.create_agent(json!({})).await;
            let mut refused = 0;
            for secret in [&agent.secret, &agent.secret, &guess(&agent), &guess(&agent)] {
                let reply = sign_in(&api, "192.0.2.1", &agent.id, secret).await;
                refused += i32::from(reply.status == 429);
            }
            for _ in 0..2 {
                let reply = begin(&api, "192.0.2.1", &Authorize::new(&client), "").await;
                refused += i32::from(reply.status == 429);
            }
            assert_eq!(refused, 1, "{limit}");
            assert_refused_by_alone(&api, limit, 1).await;
        }
    }

    async fn secrets_for_which_the_hash_queue_has_no_room_are_counted_by_themselves(env: Env) {
        let server = env.start(|options| {
            options.flag("--hash-permits", 1).flag("--hash-queue", 1);
        }).await;
        let api = server.api();
        let body = json!({
            "client_name": "Profilio", "redirect_uris": ["https://profilio.example/callback"],
        });
        // A slow machine may take the calls one by one.
        for _ in 0..10 {
            let creating = (0..24).map(|_| api.admin(Method::POST, "/clients", Some(body.clone())));
            let replies = futures_util::future::join_all(creating).await;
            let (made, refused): (Vec<_>, Vec<_>) =
                replies.into_iter().partition(|reply| reply.status == 201);
            for reply in &refused {
                reply.refused(429, "slow_down");
            }
            assert!(!made.is_empty());
            assert_refused_by_alone(&api, HASH_QUEUE, refused.len()).await;
            if !refused.is_empty() {
                return;
            }
        }
        panic!("the hash queue was never full");
    }
}
