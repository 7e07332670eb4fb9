//! The audit log in a shell.

use serde_json::{Value, json};

use super::{CREATE, job};
use crate::support::{
    Backend, TestServer,
    process::{PATIENCE, Process, completed},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_read_lines_and_programs_the_events_as_they_were_written() {
    let server = TestServer::start(Backend::Sqlite, |_| {}).await;
    let api = server.api();
    let client = api.create_client(json!({})).await;
    let other = api.create_client(json!({})).await;
    let audit = ["audit", "--client", &client.id];
    let lines = completed(&mut job(&server, &audit)).await;
    let line = lines.said().trim_end();
    assert_eq!(line.lines().count(), 1, "{line}");
    for part in ["Registered", &client.id, "admin key environment"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let json = completed(job(&server, &audit).arg("--json")).await.told();
    assert_eq!(json["stream"], format!("client/{}", client.id));
    let position = json["position"].to_string();
    let after = [
        "audit",
        "--type",
        "Registered",
        "--after",
        &position,
        "--json",
    ];
    let next = completed(&mut job(&server, &after)).await.told();
    assert_eq!(next["stream"], format!("client/{}", other.id));
    let more = completed(&mut job(&server, &["audit", "--limit", "1"])).await;
    assert!(
        more.said().lines().count() == 1 && more.stderr.contains("--after"),
        "{more:?}"
    );
    let newest = ["audit", "--type", "Registered", "--last", "2"];
    let newest = completed(&mut job(&server, &newest)).await;
    let lines: Vec<&str> = newest.said().lines().collect();
    assert!(
        lines.len() == 2 && lines[0].contains(&client.id) && lines[1].contains(&other.id),
        "in order: {newest:?}"
    );
    let refused = completed(&mut job(&server, &["audit", "--since", "yesterday"])).await;
    assert!(refused.complaint(1).contains("since"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_goes_on_after_the_server_was_away_and_misses_nothing() {
    let mut server = TestServer::start(Backend::Sqlite, |_| {}).await;
    let mut follow = job(
        &server,
        &["audit", "--follow", "--type", "Registered", "--json"],
    );
    let mut tail = Process::start(&mut follow);
    // It is open once its reading stands in the log.
    let api = server.api();
    crate::support::process::eventually("the tail", async || {
        let read = api.audit_log("type=AuditLogRead").await;
        (!read.is_empty()).then_some(())
    })
    .await;
    let seen = |id: &str| {
        let stream = format!("client/{id}");
        move |line: &str| {
            let event: Value = serde_json::from_str(line).ok()?;
            (event["stream"] == *stream).then_some(())
        }
    };
    // Cut before it has seen anything, with an event while nobody listens.
    server.stop().await;
    let made = completed(job(&server, &CREATE).arg("--json")).await.told();
    server.restart().await;
    tail.line(
        "what happened meanwhile",
        seen(made["client_id"].as_str().unwrap()),
    )
    .await;
    let client = server.api().create_client(json!({})).await;
    tail.line("what happens now", seen(&client.id)).await;
    server.restart().await;
    let client = server.api().create_client(json!({})).await;
    tail.line("what happens after a cut", seen(&client.id))
        .await;
    let told = tail.output().text();
    let events: Vec<&str> = told.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(events.len(), 3, "each once: {told}");
    tail.signal("INT");
    assert!(tail.end(PATIENCE).await.success());
}
