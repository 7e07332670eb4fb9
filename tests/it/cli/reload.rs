//! SIGHUP: a running server takes up what it can.

use std::fs;

use serde_json::{Value, json};

use crate::{
    log::history,
    support::{Authorize, TestServer, on_both_databases, process::eventually},
};

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
        const READ: &str = "the settings were read again";
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
}
