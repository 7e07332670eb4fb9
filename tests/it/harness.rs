//! What the tests stand on, tested itself: a harness that cannot fail proves nothing.

mod planted;

use crate::support::{postgres::Postgres, process};

#[tokio::test]
async fn each_database_is_fresh_and_gone_when_dropped() {
    let postgres = tokio::task::spawn_blocking(Postgres::shared).await.unwrap();
    let (one, other) = (postgres.database(), postgres.database());
    one.sql("create table t (n int)");
    assert_eq!(one.sql("insert into t values (7) returning n").trim(), "7");
    assert_eq!(
        other
            .sql("select count(*) from pg_tables where tablename = 't'")
            .trim(),
        "0"
    );
    assert_eq!(other.sql("show fsync").trim(), "on");

    let databases = "select count(*) from pg_database where datname like 'test_%' \
                     and datname = ";
    let name = one.url().rsplit('/').next().unwrap().to_owned();
    let counted = format!("{databases}'{name}'");
    assert_eq!(other.sql(&counted).trim(), "1");
    drop(one);
    assert_eq!(other.sql(&counted).trim(), "0");
}

#[test]
fn no_port_is_given_out_twice() {
    let ports: Vec<u16> = (0..50).map(|_| process::free_port()).collect();
    let different: std::collections::HashSet<_> = ports.iter().collect();
    assert_eq!(different.len(), ports.len());
}

/// Neither a child nor a folder outlives a test process that is killed: this test kills one.
#[tokio::test]
async fn nothing_outlives_a_killed_test_process() {
    let this = std::env::current_exe().unwrap();
    let mut victim = process::Process::start(std::process::Command::new(this).args([
        "--exact",
        "harness::victim",
        "--ignored",
        "--nocapture",
    ]));
    let word = |name: &str| {
        let prefix = format!("{name}=");
        move |line: &str| line.strip_prefix(&prefix).map(str::to_owned)
    };
    let pid = victim.line("the child's number", word("child")).await;
    let folder = victim.line("the folder", word("folder")).await;
    let alive = || {
        let status = std::process::Command::new("sh")
            .args(["-c", "kill -0 \"$1\" 2>/dev/null", "sh", &pid])
            .status();
        status.unwrap().success()
    };
    assert!(alive() && std::path::Path::new(&folder).exists());
    victim.kill();
    process::eventually("the child and its folder to go", async || {
        (!alive() && !std::path::Path::new(&folder).exists()).then_some(())
    })
    .await;
}

/// Not a test by itself: what the one above starts, and kills.
#[test]
#[ignore = "started by nothing_outlives_a_killed_test_process"]
#[expect(
    clippy::disallowed_methods,
    reason = "it has nothing to do but to be there"
)]
#[expect(
    clippy::zombie_processes,
    reason = "it is killed together with its child, which is what is tested"
)]
fn victim() {
    use crate::support::watchdog::{self, Ending};
    let folder = tempfile::tempdir().unwrap().keep();
    watchdog::remove_at_end(&folder);
    // Not waited for: whoever kills this process leaves it behind.
    let child = std::process::Command::new("sleep")
        .arg("1000")
        .spawn()
        .unwrap();
    watchdog::watch(child.id(), Ending::Kill);
    println!("\nchild={}\nfolder={}", child.id(), folder.display());
    std::thread::sleep(process::PATIENCE);
}
