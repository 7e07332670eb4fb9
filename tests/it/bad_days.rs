//! A disk that is full, a database that takes no writes or is gone: clear answers while it lasts, nothing of
//! what was answered lost, and work goes on by itself after it.

use std::process::Command;

use auth_agent::store::maintenance::check;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    log::acts,
    sql::{on_file, sql, url_of},
    support::{
        Agent, Api, Authorize, Backend, Client, SignIn, TestServer, Tokens,
        process::{completed, eventually},
    },
    unhealthy_database::{Mode, Proxy},
};

/// A website, an agent, and a sign-in of theirs.
pub(crate) async fn parties(api: &Api) -> (Client, Agent, SignIn) {
    let client = api.create_client(json!({})).await;
    let agent = api.create_agent(json!({})).await;
    let done = api.sign_in(&client, &agent).await;
    (client, agent, done)
}

pub(crate) async fn is_ready_again(api: &Api) {
    eventually("the server to be ready again", async || {
        api.is_ready().await.then_some(())
    })
    .await;
}

/// Every step that would have to be written is refused as what may work later.
pub(crate) async fn nothing_can_be_written(
    api: &Api,
    client: &Client,
    agent: &Agent,
    done: &SignIn,
) {
    let reply = api.send(api.get("/api/ready")).await;
    reply.refused(503, "temporarily_unavailable");
    let words = reply.str("error_description");
    // True whatever it is.
    assert!(words.contains("cannot use its database"), "{words}");
    api.send(api.get("/api/health")).await.expect(200);
    let asked = Authorize::new(client);
    let reply = api
        .send(api.get(&format!("/authorize?{}", asked.query())))
        .await;
    assert_eq!(reply.status, 503, "{}", reply.text);
    assert!(reply.header("content-type").starts_with("text/html"));
    api.authenticate(&done.page, agent).await.expect(200);
    let body = json!({"client_name": "x", "redirect_uris": ["https://x.example/"]});
    api.admin(Method::POST, "/clients", Some(body))
        .await
        .refused(503, "temporarily_unavailable");
    // Reading the log would be told in it.
    api.admin(Method::GET, "/audit-log", None)
        .await
        .refused(503, "temporarily_unavailable");
    api.refresh(client, done.tokens.refresh())
        .await
        .refused(503, "temporarily_unavailable");
}

/// What was begun before goes on, what is new works, and the log is as it should be.
pub(crate) async fn all_is_well(
    server: &mut TestServer,
    client: &Client,
    agent: &Agent,
    done: &SignIn,
) {
    let url = url_of(server);
    all_is_well_at(&url, server, client, agent, done).await;
}

/// The same where the database is at another address than the server's own.
pub(crate) async fn all_is_well_at(
    url: &str,
    server: &mut TestServer,
    client: &Client,
    agent: &Agent,
    done: &SignIn,
) {
    let api = server.api();
    is_ready_again(&api).await;
    let tokens = Tokens::of(api.refresh(client, done.tokens.refresh()).await);
    assert!(api.is_active(client, &tokens.access_token).await);
    api.sign_in(client, agent).await;
    server.stop().await;
    assert_eq!(check(url).await.unwrap().told, [""; 0]);
    let logs = server.logs();
    assert!(!logs.contains("panicked"), "{logs}");
}

/// How large a file the process may write: `0` is a disk without room.
async fn room(server: &mut TestServer, bytes: &str) {
    let pid = server.process().id().to_string();
    let limit = format!("--fsize={bytes}:");
    let done = completed(Command::new("prlimit").args(["--pid", &pid, &limit])).await;
    assert_eq!(done.status, 0, "{done:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_what_is_new_and_loses_nothing_that_was_answered() {
    let mut server = TestServer::start(Backend::Sqlite, |options| {
        // A write beyond the limit is then an error and not the end of the process.
        options.through(&["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
    })
    .await;
    let api = server.api();
    let (client, agent, done) = parties(&api).await;
    let pending = api.authorize(&Authorize::new(&client)).await;
    let before = acts(&api, "").await;
    for bytes in ["0", "65536"] {
        room(&mut server, bytes).await;
        // Where some room is left it is used up first.
        eventually("the disk to be full", async || {
            let asked = Authorize::new(&client);
            let path = format!("/authorize?{}", asked.query());
            api.send(api.get(&path)).await;
            (!api.is_ready().await).then_some(())
        })
        .await;
        nothing_can_be_written(&api, &client, &agent, &done).await;
        let refused = api.authenticate(&pending, &agent).await;
        refused.refused(503, "temporarily_unavailable");
        if bytes == "0" {
            is_told_once(&server, "auth-agent.db cannot be used: its disk ");
        }
        // A copy elsewhere is how the log is read meanwhile.
        let copy = server.folder().join(format!("{bytes}.db"));
        completed(server.command().arg("backup").arg(&copy))
            .await
            .said();
        let read = on_file(&copy, "select body from events order by position").await;
        let mut read: Vec<Value> = read
            .iter()
            .map(|body| serde_json::from_str(body).unwrap())
            .collect();
        read.retain(|event| event["type"] != "AuditLogRead");
        assert_eq!(read[..before.len()], before);
        room(&mut server, "unlimited").await;
        is_ready_again(&api).await;
        assert_eq!(acts(&api, "").await[..before.len()], before);
    }
    // What was refused is not lost.
    assert!(!server.logs().contains("was lost"), "{}", server.logs());
    api.authenticate(&pending, &agent).await.expect(200);
    all_is_well(&mut server, &client, &agent, &done).await;
}

/// What the log says at level `ERROR` about the writer: one line, however often it was tried.
#[track_caller]
fn is_told_once(server: &TestServer, words: &str) {
    let logs = server.logs();
    let lines = logs.lines().filter(|line| line.contains("\"ERROR\""));
    let told: Vec<&str> = lines
        .filter(|line| line.contains("nothing can be committed"))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(words), "{told:?}");
}

/// PostgreSQL's own word for what keeps it from writing, at whatever would.
fn refusal(words: &str, code: &str) -> String {
    format!(
        "create function no_write() returns trigger language plpgsql as $$
             begin raise exception '{words}' using errcode = '{code}'; end $$;
         create trigger no_write before insert on events for each statement execute function no_write();
         create trigger no_write before update on checkpoints for each statement execute function no_write()"
    )
}
const WRITES: &str = "drop function no_write cascade";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_the_database_server_is_told_alike_and_loses_nothing() {
    refuses_writes("could not extend file", "53100", "its disk is full").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_server_that_takes_no_writes_is_told_alike_and_loses_nothing() {
    let words = "cannot execute in a read-only transaction";
    refuses_writes(words, "25006", "it is read-only").await;
}

async fn refuses_writes(words: &str, code: &str, told: &str) {
    let mut server = TestServer::start(Backend::Postgres, |_| {}).await;
    let api = server.api();
    let (client, agent, done) = parties(&api).await;
    let pending = api.authorize(&Authorize::new(&client)).await;
    let before = acts(&api, "").await;
    sql(&server, &refusal(words, code)).await;
    nothing_can_be_written(&api, &client, &agent, &done).await;
    let refused = api.authenticate(&pending, &agent).await;
    refused.refused(503, "temporarily_unavailable");
    is_told_once(&server, told);
    sql(&server, WRITES).await;
    is_ready_again(&api).await;
    assert_eq!(acts(&api, "").await[..before.len()], before);
    api.authenticate(&pending, &agent).await.expect(200);
    all_is_well(&mut server, &client, &agent, &done).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_gone_and_comes_back_takes_nothing_with_it() {
    let mut server = TestServer::start(Backend::Postgres, |_| {}).await;
    let proxy = Proxy::before(&url_of(&server)).await;
    let url = proxy.url.clone();
    server
        .restart_with(|options| {
            options.env("AUTH_AGENT_DATABASE_URL", url);
        })
        .await;
    let api = server.api();
    let (client, agent, done) = parties(&api).await;
    let pending = api.authorize(&Authorize::new(&client)).await;
    let mut stream = api.events(&pending).await;
    assert_eq!(stream.next().await.unwrap().status(), "pending");
    for _ in 0..2 {
        proxy.set(Mode::Gone);
        eventually("the loss to be noticed", async || {
            (!api.is_ready().await).then_some(())
        })
        .await;
        api.send(api.get("/api/ready"))
            .await
            .refused(503, "temporarily_unavailable");
        api.send(api.get("/api/health")).await.expect(200);
        for reply in [
            api.authenticate(&pending, &agent).await,
            api.refresh(&client, done.tokens.refresh()).await,
            api.introspect(&client, &done.tokens.access_token).await,
        ] {
            reply.refused(503, "temporarily_unavailable");
        }
        proxy.set(Mode::Pass);
        is_ready_again(&api).await;
    }
    // The page that waited all the while is told.
    api.authenticate(&pending, &agent).await.expect(200);
    assert_eq!(stream.next().await.unwrap().status(), "authenticated");
    all_is_well(&mut server, &client, &agent, &done).await;
}
