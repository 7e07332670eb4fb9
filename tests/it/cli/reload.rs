//! SIGHUP: a running server takes up what it can.

use std::fs;

use serde_json::{Value, json};

use crate::{
    log::history,
    support::{
        Authorize, TestServer, WaitingPage, api::authentication, on_both_databases,
        process::eventually,
    },
};

const READ: &str = "the settings were read again";

/// Writes the file, and waits until the server says that it has read it.
async fn reload(server: &mut TestServer, text: &str, said: &str) {
    fs::write(server.folder().join("auth-agent.toml"), text).unwrap();
    let before = server.logs().matches(said).count();
    server.process().signal("HUP");
    eventually(said, async || {
        (server.logs().matches(said).count() > before).then_some(())
    })
    .await;
}

on_both_databases! {
    async fn limits_and_log_filter_follow_the_file_and_the_rest_is_named(env: Env) {
        let mut server = env
            .start(|options| {
                // What a test's server is given in the environment would come before the file.
                options.own_log().env("AUTH_AGENT_LIMITS", "on").flag("--limit-failures", 0);
            })
            .await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let opened = async || api.open(&Authorize::new(&client), "").await.status;
        assert_eq!(opened().await, 200);

        let strict = "limit-requests-per-client = \"1/h burst 2\"\n";
        reload(&mut server, strict, READ).await;
        assert!(server.logs().contains("\"changed\":\"limit-requests-per-client\""), "{}", server.logs());
        let answers = [opened().await, opened().await, opened().await];
        assert_eq!(answers[..2], [200, 200]);
        assert_ne!(answers[2], 200);

        // Invalid: one line, and what held holds on.
        for wrong in ["limit-requests-per-client = \"often\"\n", "listn = 1\n", "= ="] {
            reload(&mut server, wrong, "the settings cannot be used").await;
            assert_ne!(opened().await, 200);
        }

        // What cannot change now is named, without its value.
        let wider = "limit-requests-per-client = \"0\"\nlog = \"auth_agent=debug\"\ncode-lifetime = 33\n";
        reload(&mut server, wider, "hold from the next start on").await;
        let logs = server.logs();
        let line = logs.lines().find(|line| line.contains("from the next start on")).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["settings"], "code-lifetime", "the name alone: {line}");
        for _ in 0..3 {
            assert_eq!(opened().await, 200);
        }
        let recorded = eventually("the changes to be recorded", async || {
            let events = history(&api, "type=SettingsReloaded").await;
            (events.len() == 2).then_some(events)
        })
        .await;
        let changed: Vec<&Value> = recorded.iter().map(|event| &event["payload"]["settings"]).collect();
        assert_eq!(changed[0], &json!(["limit-requests-per-client"]));
        assert_eq!(changed[1], &json!(["log", "limit-requests-per-client"]));
        eventually("lines at level debug", async || {
            server.logs().contains("\"DEBUG\"").then_some(())
        })
        .await;
    }

    async fn that_all_limits_are_off_is_told_again(env: Env) {
        let mut server = env.start(|options| {
            options.own_log().env("AUTH_AGENT_LIMITS", "on");
        }).await;
        assert!(!server.logs().contains("all limits are off"), "{}", server.logs());
        let limits = ["requests-per-address", "requests-per-client", "failures", "calls-per-agent"];
        let off: String = limits.map(|limit| format!("limit-{limit} = \"0\"\n")).concat();
        let off = format!("{off}limit-pending-per-client = 0\n");
        reload(&mut server, &off, "all limits are off").await;
    }

    async fn whose_forwarded_addresses_are_believed_follows_the_file_at_once(env: Env) {
        let mut server = env
            .start(|options| {
                options.issuer("https://auth.example").env("AUTH_AGENT_LIMITS", "on");
            })
            .await;
        let api = server.api();
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        // A browser and an agent at one address, which the proxy tells, and no cookie: are they bound?
        let signs_in = async |address: &str| {
            let path = format!("/authorize?{}", Authorize::new(&client).query());
            let page = WaitingPage::of(api.send(api.get(&path).header("x-forwarded-for", address)).await);
            let body = authentication(&page.request_id, &agent);
            let call = api.post("/api/agent/authenticate").header("x-forwarded-for", address);
            api.send(call.json(&body)).await
        };
        // Wrong secrets count against the address that they come from, where that is known.
        let guesses = async |address: &str| {
            let mut wrong = authentication("req_00000000000000000000000000000000", &agent);
            wrong["agent_secret"] = json!(format!("{}x", agent.secret));
            let mut statuses = vec![];
            for _ in 0..3 {
                let call = api.post("/api/agent/authenticate").header("x-forwarded-for", address);
                statuses.push(api.send(call.json(&wrong)).await.status);
            }
            statuses
        };
        const LIMIT: &str = "limit-failures = \"1/h burst 2\"\n";
        reload(&mut server, LIMIT, READ).await;
        signs_in("192.0.2.1").await.refused(403, "binding_required");
        assert_eq!(guesses("192.0.2.1").await, [401, 401, 401]);

        reload(&mut server, &format!("{LIMIT}trusted-proxies = \"127.0.0.0/8\"\n"), READ).await;
        signs_in("192.0.2.1").await.expect(200);
        assert_eq!(guesses("192.0.2.1").await, [401, 401, 429]);
        assert_eq!(guesses("192.0.2.2").await, [401, 401, 429], "another address has its own");
        signs_in("192.0.2.3").await.expect(200);

        // And no longer.
        reload(&mut server, LIMIT, READ).await;
        signs_in("192.0.2.3").await.refused(403, "binding_required");
        assert_eq!(guesses("192.0.2.1").await, [401, 401, 401]);
    }
}
