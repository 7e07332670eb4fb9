//! A database that is missing where there was one: nothing is made anew unless that is asked for, and no key
//! takes another one's place unseen.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::Method;

use crate::{
    start::files,
    support::{
        Api, Backend, TestServer,
        process::{Process, completed, free_port},
        server::program,
    },
};

/// A folder from which the program is called without any setting but its port.
struct Home {
    folder: tempfile::TempDir,
    listen: String,
}

impl Home {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            listen: format!("127.0.0.1:{}", free_port()),
        }
    }

    fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.data(name)).unwrap()
    }

    fn call(&self, words: &[&str]) -> Command {
        let mut command = program();
        command
            .current_dir(self.folder.path())
            .env("AUTH_AGENT_LISTEN", &self.listen)
            .args(words);
        command
    }

    /// Serves once, with an administrator's call by the key that is kept, and stops.
    async fn serves(&self, words: &[&str]) -> String {
        let mut process = Process::start(&mut self.call(words));
        process
            .line("that it serves", |line| {
                line.contains("\"serving\"").then_some(())
            })
            .await;
        let base = format!("http://{}", self.listen);
        let key = self.read("admin.key").trim().to_owned();
        let api = Api::new(base.clone(), base, key);
        let listed = api.admin(Method::GET, "/clients", None).await;
        listed.expect(200);
        process.stop().await;
        process.output().text()
    }
}

/// Removes the database and what is beside it.
fn remove_database(data: &Path) {
    for (name, _) in files(data) {
        if name.starts_with("auth-agent.db") {
            fs::remove_file(data.join(name)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_database_is_not_made_anew_beside_the_keys_of_another() {
    let home = Home::new();
    home.serves(&["serve"]).await;
    let data = home.data("");
    let backup = home.folder.path().join("backup.db");
    let saved = completed(home.call(&["backup"]).arg(&backup)).await;
    saved.said();
    // Gone, and an empty file in its place: a wrong mount.
    for empty in [false, true] {
        remove_database(&data);
        if empty {
            fs::write(home.data("auth-agent.db"), "").unwrap();
        }
        let before = files(&data);
        let refused = completed(&mut home.call(&["serve"])).await;
        let told = refused.complaint(2);
        for words in [
            "no database at ./data/auth-agent.db",
            "data/admin.key",
            "--new-database",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
        let kept = |name: &str| files(&data).get(name) == before.get(name);
        assert!(kept("admin.key") && kept("master.key"), "a key was touched");
        if empty {
            let listed = completed(&mut home.call(&["client", "list"])).await;
            assert!(listed.complaint(2).contains("--new-database"), "{listed:?}");
        } else {
            assert_eq!(files(&data), before, "something was made");
        }
    }
    // A backup may take its place, and is what is served then.
    remove_database(&data);
    completed(home.call(&["restore"]).arg(&backup)).await.said();
    home.serves(&["serve"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_database_is_made_when_that_is_asked_for_and_keeps_the_former_key_aside() {
    let home = Home::new();
    home.serves(&["serve"]).await;
    let (admin_key, master_key) = (home.read("admin.key"), home.read("master.key"));
    remove_database(&home.data(""));
    let said = home.serves(&["serve", "--new-database"]).await;
    assert!(said.contains("admin.key.former"), "{said}");
    assert_eq!(home.read("admin.key.former"), admin_key);
    assert_ne!(home.read("admin.key"), admin_key);
    assert_eq!(home.read("master.key"), master_key);
    // Once it is there the flag is one too many, and does nothing.
    let admin_key = home.read("admin.key");
    let said = home.serves(&["serve", "--new-database"]).await;
    assert!(said.contains("leave out --new-database"), "{said}");
    assert_eq!(home.read("admin.key"), admin_key);
    home.serves(&["serve"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_database_is_noticed_also_where_the_keys_come_from_outside() {
    // The admin key is in the environment.
    let mut server = TestServer::start(Backend::Sqlite, |options| {
        options.env("AUTH_AGENT_MASTER_KEY", BASE64_STANDARD.encode([7; 32]));
    })
    .await;
    server.stop().await;
    let data = server.data_dir();
    remove_database(&data);
    let before = files(&data);
    let refused = completed(server.command().arg("serve")).await;
    let told = refused.complaint(2);
    assert!(
        told.contains("database.made says that there was one"),
        "{told}"
    );
    assert_eq!(files(&data), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_key_may_be_there_before_the_first_start() {
    let home = Home::new();
    fs::create_dir(home.data("")).unwrap();
    let key = format!("{}\n", BASE64_STANDARD.encode([7; 32]));
    fs::write(home.data("master.key"), &key).unwrap();
    home.serves(&["serve"]).await;
    assert_eq!(home.read("master.key"), key);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_that_was_cut_short_is_finished_by_the_next() {
    let home = Home::new();
    // Before the admin key counted: another one is made.
    fs::create_dir(home.data("")).unwrap();
    fs::write(home.data("admin.key.next"), "of no use\n").unwrap();
    home.serves(&["serve"]).await;
    let key = home.read("admin.key");
    assert!(!home.data("admin.key.next").exists());
    // After it counted: it is put in its place.
    fs::rename(home.data("admin.key"), home.data("admin.key.next")).unwrap();
    home.serves(&["serve"]).await;
    assert_eq!(home.read("admin.key"), key);
    assert!(!home.data("admin.key.next").exists());
    // One that another node was faster than counts never.
    fs::write(home.data("admin.key.next"), "of no use\n").unwrap();
    home.serves(&["serve"]).await;
    assert_eq!(home.read("admin.key"), key);
    assert!(!home.data("admin.key.next").exists());
}
