//! A backup is the whole database as it stood, in one file of its own.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    sql::{on_file, sql},
    support::{
        Backend, TestServer, on_both_databases,
        process::{Ended, completed},
    },
};

/// `auth-agent backup`, to a file in the server's own folder.
async fn backup(server: &TestServer, file: &Path) -> Ended {
    completed(server.command().args(["--json", "backup"]).arg(file)).await
}

/// The same, which is made.
async fn backed_up(server: &TestServer, name: &str) -> (PathBuf, Value) {
    let file = server.folder().join(name);
    let done = backup(server, &file).await;
    assert!(done.status == 0, "{done:?}");
    let told = serde_json::from_str(&done.stdout).expect("it is JSON");
    (file, told)
}

/// Every row of a table, as text, in any order.
async fn rows(
    columns: &[String],
    table: &str,
    ask: impl AsyncFn(String) -> Vec<String>,
) -> Vec<String> {
    let cells: Vec<String> = columns
        .iter()
        .map(|column| format!("coalesce(cast({column} as text), 'nothing')"))
        .collect();
    let mut rows = ask(format!("select {} from {table}", cells.join(" || '|' || "))).await;
    rows.sort();
    rows
}

async fn tables(file: &Path) -> Vec<String> {
    on_file(file, "select name from sqlite_master where type = 'table' and name not like '\\_%' escape '\\' order by 1").await
}

on_both_databases! {
    async fn every_row_of_every_table_is_in_it_but_the_derivation_keys(env: Env) {
        let mut server = env.start(|_| {}).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        for _ in 0..3 {
            api.sign_in(&client, &agent).await;
        }
        api.authorize(&crate::support::Authorize::new(&client)).await;
        sql(&server, "insert into admin_keys (id, name, role, secret_mac, created_at) values ('a', 'b', 'admin', 'c', 1)").await;
        server.stop().await;
        let (file, told) = backed_up(&server, "whole.db").await;

        let mut seen = 0;
        for table in tables(&file).await {
            let columns = on_file(&file, &format!("select name from pragma_table_info('{table}')")).await;
            let kept = rows(&columns, &table, async |text| on_file(&file, &text).await).await;
            let original = rows(&columns, &table, async |text| sql(&server, &text).await).await;
            assert!(!original.is_empty(), "nothing was to be copied of {table}");
            if table == "derivation_keys" {
                assert_eq!(kept, [""; 0]);
            } else {
                assert_eq!(kept, original, "{table}");
                seen += kept.len();
            }
        }
        assert_eq!(told["rows"], json!(seen));
        assert_eq!(told["bytes"], json!(fs::metadata(&file).unwrap().len()));
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // One file, and nothing beside it.
        let folder = fs::read_dir(server.folder()).unwrap();
        let names: Vec<_> = folder.map(|entry| entry.unwrap().file_name()).collect();
        let of_backup = names.iter().filter(|name| name.to_str().unwrap().contains("whole.db"));
        assert_eq!(of_backup.count(), 1, "{names:?}");
    }

    async fn it_agrees_with_its_own_log_while_the_server_works_on(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let busy = async {
            for _ in 0..40 {
                api.sign_in(&client, &agent).await;
            }
        };
        let saving = async {
            let mut made = vec![];
            for name in ["one.db", "two.db", "three.db"] {
                let before = api.sign_in(&client, &agent).await;
                let (file, told) = backed_up(&server, name).await;
                made.push((before.page.request_id, file, told));
            }
            made
        };
        let ((), made) = tokio::join!(busy, saving);
        for (request, file, told) in made {
            let mut check = server.command();
            check.env("AUTH_AGENT_DATABASE_URL", format!("sqlite://{}", file.display()));
            let done = completed(check.args(["--json", "projections", "check"])).await;
            assert!(done.status == 0, "{done:?}");
            let report: Value = serde_json::from_str(&done.stdout).unwrap();
            assert_eq!(report["position"], told["position"]);
            let steps = format!("select count(*) from events where stream = 'auth_request/{request}'");
            assert_eq!(on_file(&file, &steps).await, ["4"], "all that was answered before");
        }
    }

    async fn nothing_is_overwritten_and_nothing_half_made_is_left(env: Env) {
        let server = env.start(|_| {}).await;
        let there = server.folder().join("there.db");
        fs::write(&there, "somebody's").unwrap();
        let done = backup(&server, &there).await;
        assert_eq!(done.status, 2);
        assert!(done.stderr.contains("there already"), "{done:?}");
        assert_eq!(fs::read_to_string(&there).unwrap(), "somebody's");

        let nowhere = server.folder().join("nowhere/at-all.db");
        let done = backup(&server, &nowhere).await;
        assert_eq!(done.status, 1);
        assert!(done.stderr.contains("at-all.db"), "{done:?}");

        // A log that does not agree with its read models is not called a backup.
        sql(&server, "update checkpoints set position = 99 where name = 'owners'").await;
        sql(&server, "update events set leaf_hash = 'x' where position = 1").await;
        let damaged = server.folder().join("damaged.db");
        let done = backup(&server, &damaged).await;
        assert_eq!(done.status, 1);
        assert!(done.stderr.contains("projections check"), "{done:?}");
        let left = fs::read_dir(server.folder()).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_str().unwrap().contains("damaged")), "{left:?}");
    }
}

#[tokio::test]
async fn where_there_is_no_database_none_is_made() {
    let server = TestServer::start(Backend::Sqlite, |_| {}).await;
    let mut command = server.command();
    let nothing = server.folder().join("nothing.db");
    command.env(
        "AUTH_AGENT_DATABASE_URL",
        format!("sqlite://{}", nothing.display()),
    );
    let done = completed(
        command
            .arg("backup")
            .arg(server.folder().join("of-nothing.db")),
    )
    .await;
    assert_eq!(done.status, 2, "{done:?}");
    assert!(done.stderr.contains("no log"), "{done:?}");
    assert!(!nothing.exists());
}
