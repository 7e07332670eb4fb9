//! A disk that is full, a folder that nobody may write to, a database that is gone, a clock that jumps:
//! clear answers while it lasts, nothing of what was answered lost, and work goes on by itself after it.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use auth_agent::store::maintenance::check;
use reqwest::Method;
use serde_json::json;

use crate::{
    log::acts,
    sql::{sql, url_of},
    support::{
        Agent, Api, Authorize, Backend, Client, Env, SignIn, TestServer, Tokens, on_both_databases,
        process::{completed, eventually},
    },
    unhealthy_database::{Mode, Proxy},
};

/// A website, an agent, and a sign-in of theirs.
async fn parties(api: &Api) -> (Client, Agent, SignIn) {
    let client = api.create_client(json!({})).await;
    let agent = api.create_agent(json!({})).await;
    let done = api.sign_in(&client, &agent).await;
    (client, agent, done)
}

async fn is_ready_again(api: &Api) {
    eventually("the server to be ready again", async || {
        api.is_ready().await.then_some(())
    })
    .await;
}

/// Every step that would have to be written is refused as what may work later.
async fn nothing_can_be_written(api: &Api, client: &Client, agent: &Agent, done: &SignIn) {
    api.send(api.get("/api/ready"))
        .await
        .refused(503, "temporarily_unavailable");
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
    api.refresh(client, done.tokens.refresh())
        .await
        .refused(503, "temporarily_unavailable");
}

/// What was begun before goes on, what is new works, and the log is as it should be.
async fn all_is_well(server: &mut TestServer, client: &Client, agent: &Agent, done: &SignIn) {
    let api = server.api();
    is_ready_again(&api).await;
    let tokens = Tokens::of(api.refresh(client, done.tokens.refresh()).await);
    assert!(api.is_active(client, &tokens.access_token).await);
    api.sign_in(client, agent).await;
    server.stop().await;
    assert_eq!(check(&url_of(server)).await.unwrap().told, [""; 0]);
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
        room(&mut server, "unlimited").await;
        is_ready_again(&api).await;
        assert_eq!(acts(&api, "").await[..before.len()], before);
    }
    api.authenticate(&pending, &agent).await.expect(200);
    all_is_well(&mut server, &client, &agent, &done).await;
}

/// PostgreSQL's own word for a disk without room, at whatever would need some.
const FULL: &str = "create function full_disk() returns trigger language plpgsql as $$
    begin raise exception 'could not extend file' using errcode = '53100'; end $$;
create trigger full_disk before insert on events for each statement execute function full_disk();
create trigger full_disk before update on checkpoints for each statement execute function full_disk()";
const ROOM: &str = "drop function full_disk cascade";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_the_database_server_is_told_alike_and_loses_nothing() {
    let mut server = TestServer::start(Backend::Postgres, |_| {}).await;
    let api = server.api();
    let (client, agent, done) = parties(&api).await;
    let pending = api.authorize(&Authorize::new(&client)).await;
    let before = acts(&api, "").await;
    sql(&server, FULL).await;
    nothing_can_be_written(&api, &client, &agent, &done).await;
    let refused = api.authenticate(&pending, &agent).await;
    refused.refused(503, "temporarily_unavailable");
    sql(&server, ROOM).await;
    is_ready_again(&api).await;
    assert_eq!(acts(&api, "").await[..before.len()], before);
    api.authenticate(&pending, &agent).await.expect(200);
    all_is_well(&mut server, &client, &agent, &done).await;
}

/// The program as a user who is not root, whom no permission is waved through for.
fn as_nobody() -> Option<[&'static str; 4]> {
    let root = fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    });
    root.then_some([
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_cannot_be_written_is_named_at_start_and_nothing_is_made() {
    let server = TestServer::start(Backend::Sqlite, |_| {}).await;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // Where anybody may reach it.
    let program = folder.path().join("auth-agent");
    fs::copy(crate::support::server::PROGRAM, &program).unwrap();
    let parent = folder.path().join("parent");
    fs::create_dir(&parent).unwrap();
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = match as_nobody() {
        Some([setpriv, rest @ ..]) => {
            let mut command = Command::new(setpriv);
            command.args(rest).arg(&program);
            command
        }
        None => Command::new(&program),
    };
    drop(server);
    command
        .arg("serve")
        .arg("--data-dir")
        .arg(parent.join("data"));
    command
        .current_dir(folder.path())
        .env("AUTH_AGENT_LISTEN", "127.0.0.1:0");
    let done = completed(&mut command).await;
    let line = done.complaint(2);
    assert!(
        line.contains("parent/data") && line.contains("denied"),
        "{line}"
    );
    assert_eq!(fs::read_dir(&parent).unwrap().count(), 0);
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

/// A clock that a file sets.
struct FakeClock(PathBuf);

impl FakeClock {
    fn library() -> PathBuf {
        let folders = fs::read_dir("/usr/lib").expect("there are libraries");
        folders
            .filter_map(|folder| Some(folder.ok()?.path().join("faketime/libfaketime.so.1")))
            .find(|library| library.exists())
            .expect("libfaketime is installed: run ./test")
    }

    /// A server that goes by it.
    async fn server(env: Env) -> (Self, TestServer, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let clock = Self(folder.path().join("clock"));
        clock.set("+0");
        let file = clock.0.display().to_string();
        let server = env
            .start(|options| {
                options
                    .env("LD_PRELOAD", Self::library().display())
                    .env("FAKETIME_TIMESTAMP_FILE", file)
                    .env("FAKETIME_NO_CACHE", "1")
                    .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
            })
            .await;
        (clock, server, folder)
    }

    fn set(&self, offset: &str) {
        // At once: a file that is written bit by bit could be read in between.
        let new = self.0.with_extension("new");
        fs::write(&new, offset).unwrap();
        fs::rename(new, &self.0).unwrap();
    }
}

on_both_databases! {
    async fn a_clock_that_jumps_by_an_hour_ends_what_is_short_lived_and_breaks_nothing(env: Env) {
        let (clock, mut server, _folder) = FakeClock::server(env).await;
        let api = server.api();
        let (client, agent, done) = parties(&api).await;
        for (jump, forward) in [("+1h", true), ("+0", false), ("-1h", false), ("+0", true)] {
            let pending = api.authorize(&Authorize::new(&client)).await;
            let before = api.sign_in(&client, &agent).await;
            clock.set(jump);
            api.send(api.get("/api/ready")).await.expect(200);
            // Nodes on PostgreSQL go by the database's clock, which did not jump.
            let passed = forward && env.backend == Backend::Sqlite;
            let answer = api.authenticate(&pending, &agent).await;
            if passed {
                answer.refused(410, "request_expired");
            } else {
                answer.expect(200);
            }
            assert_eq!(api.is_active(&client, &before.tokens.access_token).await, !passed, "{jump}");
            // Whoever comes now is served as ever.
            let now = api.sign_in(&client, &agent).await;
            assert!(api.is_active(&client, &now.tokens.access_token).await, "{jump}");
            api.userinfo(&now.tokens.access_token).await.expect(200);
            let next = Tokens::of(api.refresh(&client, now.tokens.refresh()).await);
            assert!(api.is_active(&client, &next.access_token).await, "{jump}");
            let next = Tokens::of(api.refresh(&client, before.tokens.refresh()).await);
            assert!(api.is_active(&client, &next.access_token).await, "{jump}");
        }
        all_is_well(&mut server, &client, &agent, &done).await;
    }
}
