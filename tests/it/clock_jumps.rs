//! A clock that jumps, a node's or the database's: what is short-lived may end, and nothing breaks.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use reqwest::Method;
use serde_json::json;

use crate::{
    bad_days::{all_is_well, all_is_well_at, parties},
    support::{
        Agent, Api, Authorize, Backend, Client, TestServer, Tokens, on_both_databases,
        postgres::Postgres,
    },
};

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

    /// One that is right as yet, and what keeps its file.
    fn new() -> (Self, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        // The database server, which goes by it, is another user.
        let all = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), all).unwrap();
        let clock = Self(folder.path().join("clock"));
        clock.set("+0");
        (clock, folder)
    }

    /// By which environment a process goes by it.
    fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("LD_PRELOAD", Self::library().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.0.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    fn set(&self, offset: &str) {
        // At once: a file that is written bit by bit could be read in between.
        let new = self.0.with_extension("new");
        fs::write(&new, offset).unwrap();
        fs::rename(new, &self.0).unwrap();
    }
}

/// The clock jumps an hour ahead and back, and an hour back and ahead; `is_judge`: lifetimes go by it.
async fn jumps(clock: &FakeClock, api: &Api, client: &Client, agent: &Agent, is_judge: bool) {
    for (jump, forward) in [("+1h", true), ("+0", false), ("-1h", false), ("+0", true)] {
        let pending = api.authorize(&Authorize::new(client)).await;
        let before = api.sign_in(client, agent).await;
        clock.set(jump);
        api.send(api.get("/api/ready")).await.expect(200);
        let passed = forward && is_judge;
        let answer = api.authenticate(&pending, agent).await;
        if passed {
            answer.refused(410, "request_expired");
        } else {
            answer.expect(200);
        }
        let lives = api.is_active(client, &before.tokens.access_token).await;
        assert_eq!(lives, !passed, "{jump}");
        // Whoever comes now is served as ever.
        let now = api.sign_in(client, agent).await;
        assert!(
            api.is_active(client, &now.tokens.access_token).await,
            "{jump}"
        );
        api.userinfo(&now.tokens.access_token).await.expect(200);
        for earlier in [now, before] {
            let next = Tokens::of(api.refresh(client, earlier.tokens.refresh()).await);
            assert!(api.is_active(client, &next.access_token).await, "{jump}");
        }
    }
}

on_both_databases! {
    async fn a_clock_that_jumps_by_an_hour_ends_what_is_short_lived_and_breaks_nothing(env: Env) {
        let (clock, _folder) = FakeClock::new();
        let mut server = env
            .start(|options| {
                for (name, value) in clock.environment() {
                    options.env(name, value);
                }
            })
            .await;
        let api = server.api();
        let (client, agent, done) = parties(&api).await;
        // Nodes on PostgreSQL go by the database's clock, which does not jump.
        jumps(&clock, &api, &client, &agent, env.backend == Backend::Sqlite).await;
        all_is_well(&mut server, &client, &agent, &done).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_servers_clock_that_jumps_by_an_hour_breaks_nothing_either() {
    let (clock, _folder) = FakeClock::new();
    let environment = clock.environment();
    let database =
        tokio::task::spawn_blocking(move || Postgres::of_its_own(&environment).database());
    let database = database.await.expect("PostgreSQL is there");
    let url = database.url();
    let mut server = TestServer::start(Backend::Postgres, |options| {
        options.env("AUTH_AGENT_DATABASE_URL", &url);
    })
    .await;
    let api = server.api();
    let (client, agent, done) = parties(&api).await;
    jumps(&clock, &api, &client, &agent, true).await;
    all_is_well_at(&url, &mut server, &client, &agent, &done).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_puts_no_key_to_use_before_it_was_published_for_long_enough() {
    let (clock, _folder) = FakeClock::new();
    let server = TestServer::start(Backend::Sqlite, |options| {
        for (name, value) in clock.environment() {
            options.env(name, value);
        }
        options.flag("--key-publish-ahead", 1_800);
    })
    .await;
    let api = server.api();
    let body = json!({"use": "signing", "alg": "ES256"});
    let made = api.admin(Method::POST, "/keys/rotate", Some(body)).await;
    made.expect(200);
    let statuses = async || {
        let keys = api.admin(Method::GET, "/keys", None).await.expect(200).json;
        let keys = keys["items"].as_array().unwrap().clone();
        let of_alg = keys.iter().filter(|key| key["alg"] == "ES256");
        of_alg.map(|key| key["status"].clone()).collect::<Vec<_>>()
    };
    // The server looks each second.
    let looked = Duration::from_secs(3);
    tokio::time::sleep(looked).await;
    clock.set("+1h");
    tokio::time::sleep(looked).await;
    assert_eq!(statuses().await, ["active", "next"]);
}
