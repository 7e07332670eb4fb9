//! Administration at an address of its own, and administration that nobody can get into.

use std::{fs, process::Command};

use super::{Process, completed, free_port, paste, program, word};

fn job(folder: &std::path::Path, args: &[&str]) -> Command {
    let mut command = program();
    command.current_dir(folder).args(args);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_first_start_says_works_also_with_administration_apart() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let [listen, apart] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
    let issuer = format!("http://{listen}/auth");
    let mut serve = job(folder, &["serve", "--listen", &listen]);
    serve.args(["--issuer", &issuer, "--admin-listen", &apart]);
    let mut process = Process::start(&mut serve);
    process
        .line("what to try next", |line| {
            line.contains(" sign-in ").then_some(())
        })
        .await;
    let output = process.output().text();
    let next = |job: &str| {
        let line = output.lines().find(|line| line.contains(job));
        line.unwrap_or_else(|| panic!("no {job}:\n{output}"))
            .trim()
            .to_owned()
    };
    let client = paste(folder, &next(" client create ")).await;
    assert_eq!(word(client.said(), "issuer"), issuer);
    paste(folder, &next(" agent create ")).await.said();
    assert!(next(" sign-in ").contains(&format!("--server {issuer}")));

    let found = format!("http://{apart}/auth");
    for args in [
        ["--server", &found].as_slice(),
        &["--issuer", &issuer, "--admin-listen", &apart],
    ] {
        let listed = completed(job(folder, &["client", "list"]).args(args)).await;
        assert!(listed.said().contains("My website"), "{listed:?}");
    }
    let elsewhere = completed(&mut job(folder, &["client", "list", "--server", &issuer])).await;
    assert!(
        elsewhere
            .complaint(1)
            .contains("--server http://<admin-listen>"),
        "{elsewhere:?}"
    );
    // An address for documentation: of no machine.
    let mut far = job(
        folder,
        &["client", "list", "--admin-listen", "192.0.2.1:3001"],
    );
    let far = completed(&mut far).await;
    assert!(far.complaint(2).contains("--server"), "{far:?}");
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_admin_key_is_deleted_with_a_word_about_the_way_back() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let listen = format!("127.0.0.1:{}", free_port());
    let started = async || {
        let mut process = Process::start(&mut job(folder, &["serve", "--listen", &listen]));
        process
            .line("that it is ready", |line| {
                line.contains("\"serving\"").then_some(())
            })
            .await;
        let output = process.output().text();
        process.stop().await;
        output
    };
    let dead_end = "nobody can administer this server";
    assert!(!started().await.contains(dead_end));
    let here = async |args: &[&str]| completed(job(folder, args).args(["--listen", &listen])).await;
    let listed = here(&["admin-key", "list", "--json"]).await.told();
    let id = listed["items"][0]["admin_key_id"].as_str().unwrap();
    let deleted = here(&["admin-key", "delete", id, "--yes"]).await;
    deleted.said();
    assert!(
        deleted.stderr.contains("last key of role admin"),
        "{deleted:?}"
    );
    let told = here(&["audit", "--type", "AdminKeyRevoked"]).await;
    assert!(
        told.said().contains("  local operator  (name first)"),
        "{told:?}"
    );
    assert!(started().await.contains(dead_end));
    let create = ["admin-key", "create", "--name", "x", "--role", "admin"];
    let file = ["--secret-file", "new.key"];
    here(&[&create[..], &file].concat()).await.said();
    assert!(!started().await.contains(dead_end));
    assert!(fs::read_to_string(folder.join("new.key")).is_ok());
}
