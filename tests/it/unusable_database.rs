//! A database that cannot be opened, read or written where a job needs it: the file is named, and the cause.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::Command,
};

use serde_json::json;

use crate::support::{
    Backend, TestServer,
    process::completed,
    server::{PROGRAM, started_by},
};

/// A program as a user who is not root, whom no permission is waved through for.
fn as_nobody(program: &Path) -> Command {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !is_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(program);
    command
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A stopped server that has something to lose.
async fn stopped() -> TestServer {
    let mut server = TestServer::start(Backend::Sqlite, |_| {}).await;
    server.api().create_client(json!({})).await;
    server.stop().await;
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_may_be_written_jobs_name_the_database_and_the_cause() {
    let server = stopped().await;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("auth-agent");
    fs::copy(PROGRAM, &program).unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let file = data.join("auth-agent.db");
    fs::copy(server.data_dir().join("auth-agent.db"), &file).unwrap();
    allow(folder.path(), 0o755);
    allow(&file, 0o444);
    allow(&data, 0o555);
    let copy = folder.path().join("copy.db").display().to_string();
    for job in [&["projections", "check"][..], &["backup", &copy]] {
        let mut command = as_nobody(&program);
        command.args(job).env("AUTH_AGENT_DATA_DIR", &data);
        // The copy's own folder may be written to.
        allow(folder.path(), 0o777);
        let done = completed(command.current_dir(folder.path())).await;
        let told = done.complaint(1);
        let named = format!("the database {} cannot be used: ", file.display());
        assert!(told.contains(&named), "{told}");
        assert!(told.contains("read-only (Permission denied"), "{told}");
        let entries = fs::read_dir(folder.path()).unwrap();
        assert_eq!(entries.count(), 2, "{job:?} made something");
    }
}

/// A job on a disk without room.
fn without_room(job: &Command) -> Command {
    let script = "trap '' XFSZ; exec prlimit --fsize=0 \"$@\"";
    let words = ["-c", script, "sh"].map(str::to_owned);
    started_by("sh", &words, job)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_was_full_before_the_start_is_told_with_the_database() {
    let server = stopped().await;
    let file = server.data_dir().join("auth-agent.db");
    for (job, status) in [
        (&["serve"][..], 2),
        (&["client", "list"], 2),
        (&["projections", "check"], 1),
    ] {
        let mut command = server.command();
        let done = completed(&mut without_room(command.args(job))).await;
        let told = done.complaint(status);
        let named = format!("the database {} cannot be used: its disk ", file.display());
        assert!(
            told.contains(&named) && told.contains("full"),
            "{job:?}: {told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_cannot_be_written_is_named_at_start_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // Where anybody may reach it.
    let program = folder.path().join("auth-agent");
    fs::copy(PROGRAM, &program).unwrap();
    let parent = folder.path().join("parent");
    fs::create_dir(&parent).unwrap();
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = as_nobody(&program);
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
