//! From a backup to a server again: everything that was answered before the backup is there, and nothing
//! that was signed in to before lives on.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Mutex,
};

use auth_agent::store::maintenance::check;
use reqwest::Method;
use serde_json::json;

use crate::{
    log::{acts, history},
    sql::{on_file, url_of},
    support::{
        Agent, Api, Authorize, Backend, Client, Env, SignIn, TestServer, Tokens, on_both_databases,
        postgres::{Database, Postgres},
        process::{Ended, completed, locked},
    },
};

async fn backed_up(server: &TestServer, name: &str) -> PathBuf {
    let file = server.folder().join(name);
    let done = completed(server.command().arg("backup").arg(&file)).await;
    assert_eq!(done.status, 0, "{done:?}");
    file
}

async fn restore(server: &TestServer, file: &Path, url: &str) -> Ended {
    let mut command = server.command();
    command.env("AUTH_AGENT_DATABASE_URL", url);
    if let Some(key) = master_key(server) {
        command.env("AUTH_AGENT_MASTER_KEY", key);
    }
    completed(command.args(["--json", "restore"]).arg(file)).await
}

/// What a server on SQLite keeps in a file, and one on PostgreSQL must be given.
fn master_key(server: &TestServer) -> Option<String> {
    let kept = fs::read_to_string(server.data_dir().join("master.key")).ok()?;
    Some(kept.trim().to_owned())
}

/// A new place for the same server's data, its URL, and what keeps it there.
async fn elsewhere(server: &TestServer, backend: Backend) -> (String, Option<Database>) {
    match backend {
        Backend::Sqlite => {
            let file = server.data_dir().join("restored.db");
            (format!("sqlite://{}", file.display()), None)
        }
        Backend::Postgres => {
            let made = tokio::task::spawn_blocking(|| Postgres::shared().database()).await;
            let database = made.expect("PostgreSQL is there");
            (database.url(), Some(database))
        }
    }
}

async fn goes_on_with(server: &mut TestServer, url: &str) -> Api {
    let key = master_key(server);
    server
        .restart_with(|options| {
            options.env("AUTH_AGENT_DATABASE_URL", url);
            if let Some(key) = key {
                options.env("AUTH_AGENT_MASTER_KEY", key);
            }
        })
        .await;
    server.api()
}

/// The ids of the keys that websites verify with.
async fn kids(api: &Api) -> Vec<String> {
    let set = api
        .send(api.get("/.well-known/jwks.json"))
        .await
        .expect(200)
        .json;
    let keys = set["keys"].as_array().expect("a list").iter();
    keys.map(|key| key["kid"].as_str().expect("a text").to_owned())
        .collect()
}

/// Nothing of a sign-in from before is good for anything.
async fn is_dead(api: &Api, client: &Client, done: &SignIn) {
    api.refresh(client, done.tokens.refresh())
        .await
        .refused(400, "invalid_grant");
    assert!(!api.is_active(client, &done.tokens.access_token).await);
    assert!(!api.is_active(client, done.tokens.refresh()).await);
    api.userinfo(&done.tokens.access_token).await.expect(401);
}

async fn works(api: &Api, client: &Client, agent: &Agent) {
    let done = api.sign_in(client, agent).await;
    assert!(api.is_active(client, &done.tokens.access_token).await);
    let next = Tokens::of(api.refresh(client, done.tokens.refresh()).await);
    assert!(api.is_active(client, &next.access_token).await);
}

async fn comes_back(env: Env, to: Backend) {
    let mut server = env.start(|_| {}).await;
    let api = server.api();
    let client = api.create_client(json!({})).await;
    let agent = api.create_agent(json!({})).await;
    let answered = Mutex::new(vec![]);
    // Under load: whoever signs in notes it once it is answered.
    let busy = async {
        for _ in 0..30 {
            let done = api.sign_in(&client, &agent).await;
            locked(&answered).push(done);
        }
    };
    let saving = async {
        while locked(&answered).len() < 8 {
            tokio::time::sleep(crate::support::process::PAUSE).await;
        }
        let pending = api.authorize(&Authorize::new(&client)).await;
        let asked = Authorize::new(&client);
        let page = api.authorize(&asked).await;
        api.authenticate(&page, &agent).await.expect(200);
        let code = api.callback(&page).await.get("code");
        let before = locked(&answered).len();
        (
            backed_up(&server, "backup.db").await,
            before,
            pending,
            asked,
            code,
        )
    };
    let ((), (file, before, pending, asked, code)) = tokio::join!(busy, saving);
    let log_before = acts(&api, "").await;
    let kids_before = kids(&api).await;
    server.stop().await;
    let original = url_of(&server);
    let (url, _database) = elsewhere(&server, to).await;
    let done = restore(&server, &file, &url).await;
    assert_eq!(done.status, 0, "{done:?}");
    assert_eq!(check(&url).await.unwrap().told, [""; 0]);

    let api = goes_on_with(&mut server, &url).await;
    // One may have been declared compromised after the backup.
    let now = kids(&api).await;
    assert!(now.len() == 3 && !now.iter().any(|kid| kids_before.contains(kid)));
    let log = acts(&api, "").await;
    let restored = log
        .iter()
        .position(|event| event["type"] == "Restored")
        .unwrap();
    assert_eq!(
        log[..restored],
        log_before[..restored],
        "the same to the letter"
    );
    assert_eq!(
        log[restored]["payload"]["position"],
        log[restored - 1]["position"]
    );
    assert_eq!(log[restored]["metadata"]["actor"]["id"], "local operator");
    let answered = answered.into_inner().unwrap();
    for done in &answered[..before] {
        let stream = format!("stream=auth_request/{}", done.page.request_id);
        let steps = history(&api, &stream).await;
        assert!(steps.len() >= 4, "all that was answered before: {steps:?}");
    }
    for done in &answered {
        is_dead(&api, &client, done).await;
    }
    api.redeem(&client, &code, &asked.pkce.verifier)
        .await
        .refused(400, "invalid_grant");
    // A page that waited may still be signed in to, and whoever comes now is served.
    api.authenticate(&pending, &agent).await.expect(200);
    works(&api, &client, &agent).await;
    let new = api.create_agent(json!({})).await;
    works(&api, &client, &new).await;
    api.admin(Method::GET, &format!("/clients/{}", client.id), None)
        .await
        .expect(200);
    server.stop().await;
    assert_eq!(check(&url).await.unwrap().told, [""; 0]);

    // The original is as it was: its sign-ins live there.
    let api = goes_on_with(&mut server, &original).await;
    let last = answered.last().unwrap();
    assert!(api.is_active(&client, &last.tokens.access_token).await);
}

on_both_databases! {
    async fn a_backup_under_load_comes_back_whole_and_with_every_earlier_sign_in_dead(env: Env) {
        comes_back(env, env.backend).await;
    }

    async fn a_backup_of_one_kind_of_database_becomes_one_of_the_other(env: Env) {
        comes_back(env, match env.backend {
            Backend::Sqlite => Backend::Postgres,
            Backend::Postgres => Backend::Sqlite,
        }).await;
    }

    async fn what_cannot_be_restored_leaves_nothing_behind(env: Env) {
        let mut server = env.start(|_| {}).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        api.sign_in(&client, &agent).await;
        let file = backed_up(&server, "backup.db").await;
        let damaged = server.folder().join("damaged.db");
        fs::copy(&file, &damaged).unwrap();
        on_file(&damaged, "update events set leaf_hash = 'x' where position = 3").await;
        let other = server.folder().join("other.db");
        fs::write(&other, "somebody's letter, long enough to be no database".repeat(100)).unwrap();
        let empty = server.folder().join("empty.db");
        fs::write(&empty, "").unwrap();
        let missing = server.folder().join("missing.db");
        server.stop().await;
        let (url, _database) = elsewhere(&server, env.backend).await;
        for (file, told) in [
            (&damaged, "differences"),
            (&other, "other.db is no backup"),
            (&empty, "empty.db is no backup"),
            (&missing, "missing.db"),
        ] {
            let done = restore(&server, file, &url).await;
            assert_eq!(done.status, 2, "{done:?}");
            assert!(done.stderr.contains(told), "{done:?}");
            assert!(check(&url).await.is_err(), "{told}: nothing is there");
            let left = fs::read_dir(server.data_dir()).unwrap();
            let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
            assert!(!left.iter().any(|name| name.to_str().unwrap().contains("unfinished")), "{left:?}");
        }
        // Nor is anything overwritten.
        let done = restore(&server, &file, &url_of(&server)).await;
        assert_eq!(done.status, 2, "{done:?}");
        assert!(done.stderr.contains("already"), "{done:?}");
        // Another master key is not the one.
        let mut command = server.command();
        command
            .env("AUTH_AGENT_DATABASE_URL", &url)
            .env("AUTH_AGENT_MASTER_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
        let done = completed(command.arg("restore").arg(&file)).await;
        assert_ne!(done.status, 0);
        assert!(done.stderr.contains("does not fit"), "{done:?}");
        assert!(check(&url).await.is_err());
        // And after all that it works, whatever the backup is called, and read-only.
        let named = server.folder().join("of #1?.db");
        fs::rename(&file, &named).unwrap();
        fs::set_permissions(&named, fs::Permissions::from_mode(0o400)).unwrap();
        let file = named;
        let done = restore(&server, &file, &url).await;
        assert_eq!(done.status, 0, "{done:?}");
    }
}
