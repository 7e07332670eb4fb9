//! What is over a limit is counted under that limit, and under no other.

use serde_json::json;

use super::{begin, guess, limited, sign_in};
use crate::support::{Authorize, on_both_databases};

const LIMITS: [(&str, &str); 5] = [
    ("requests-per-address", "1/h burst 1"),
    ("requests-per-client", "1/h burst 1"),
    ("pending-per-client", "1"),
    ("failures", "1/h burst 1"),
    ("calls-per-agent", "1/h burst 1"),
];

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
            let call = api.get("/metrics").bearer_auth(&api.admin_key);
            let counted = api.send(call).await.expect(200).text;
            for (other, _) in LIMITS {
                let label = other.replace('-', "_");
                let number = u8::from(other == limit);
                let line = format!("auth_agent_limit_refusals_total{{limit=\"{label}\"}} {number}\n");
                assert!(counted.contains(&line), "{line} after {limit}: {counted}");
            }
        }
    }
}
