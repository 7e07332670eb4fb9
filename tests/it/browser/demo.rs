//! `auth-agent demo`, as a newcomer meets it: a browser, and a second terminal.

use std::{path::Path, process::Command};

use super::{
    driver::{Browser, Scripts},
    examiner::Examiner,
};
use crate::support::{
    process::{PATIENCE, Process, completed, free_port},
    server::program,
};

#[tokio::test]
async fn a_newcomer_sees_an_agent_sign_in() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (port, website_port) = (free_port(), free_port());
    let mut demo = Process::start(
        program()
            .current_dir(folder.path())
            .args(["demo", "--port", &port.to_string()])
            .args(["--website-port", &website_port.to_string()]),
    );
    let website = demo
        .line("the website's address", |line| {
            let begin = line.find("http://localhost")?;
            line[begin..].split_whitespace().next().map(str::to_owned)
        })
        .await;
    assert_eq!(website, format!("http://localhost:{website_port}"));

    let browser = Browser::start(Scripts::On).await;
    browser.open(&website).await;
    browser.sees("Sign in with Auth Agent").await;
    let server = format!("http://127.0.0.1:{port}");
    let snippet = browser.text("#snippet").await;
    assert!(
        snippet.contains(&format!("{server}/widget/signin-button.js")),
        "nothing to paste:\n{snippet}"
    );
    let examiner = Examiner::new();
    examiner.examine(&browser, "demo").await;
    // By the backend's link, and by the button of the snippet.
    for (begins, name) in [
        ("#sign-in", "demo-signed-in"),
        ("auth-agent-signin:defined", "demo-signed-in-by-button"),
    ] {
        browser.click(begins).await;
        an_agent_signs_in(&mut demo, &browser, &server, folder.path()).await;
        examiner.examine(&browser, name).await;
        let is_home = browser.url().await.starts_with(&website);
        assert!(is_home, "not at the website: {}", browser.url().await);
        browser.click("#logout").await;
        browser.sees("An ordinary website").await;
    }
    // Ways back that no sign-in of this browser leads to.
    for (path, name) in [
        ("/callback", "demo-failed"),
        ("/callback/button", "demo-button-failed"),
    ] {
        browser
            .open(&format!("{website}{path}?code=ac_nobodys&state=nobodys"))
            .await;
        browser.sees("Not signed in").await;
        examiner.examine(&browser, name).await;
    }
    browser.close().await;

    for event in [
        "Created",
        "AgentAuthenticated",
        "CodeIssued",
        "CodeRedeemed",
    ] {
        demo.line(event, |line| line.contains(event).then_some(()))
            .await;
    }
    demo.stop().await;
}

/// Does in a second terminal what the demo says, and sees who is signed in.
async fn an_agent_signs_in(demo: &mut Process, browser: &Browser, server: &str, folder: &Path) {
    let pages = format!("{server}/authorize/");
    let waiting = browser
        .until("the waiting page", |url, _| url.starts_with(&pages))
        .await;
    assert!(
        waiting.contains("localhost"),
        "it says where it leads:\n{waiting}"
    );
    let url = browser.url().await;
    let request = url.strip_prefix(&pages).expect("it is there");

    let line = demo
        .line("the agent's line", |line| {
            let is_it = line.contains(request) && line.contains("--agent-id");
            is_it.then(|| line.trim().to_owned())
        })
        .await;
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |flag: &str| {
        let at = words
            .iter()
            .position(|word| *word == flag)
            .expect("the line has the flag");
        words[at + 1]
    };
    let (agent, model) = (after("--agent-id"), after("--model"));
    let mut second = Command::new("sh");
    completed(second.args(["-c", &line]).current_dir(folder))
        .await
        .said();

    let shown = browser.sees("ID token").await;
    for expected in [agent, model, "verified"] {
        assert!(shown.contains(expected), "no {expected} in:\n{shown}");
    }
    let owner = browser.text("#owner").await;
    assert_eq!(owner, "Ada Lovelace", "the owner is not shown:\n{shown}");
}

#[tokio::test]
async fn the_demo_plays_by_itself() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (port, website_port) = (free_port(), free_port());
    let mut demo = Process::start(
        program()
            .current_dir(folder.path())
            .args(["demo", "--auto", "--port", &port.to_string()])
            .args(["--website-port", &website_port.to_string()]),
    );
    let status = demo.end(PATIENCE).await;
    let said = demo.output().text();
    assert!(
        status.success() && said.contains("CodeRedeemed"),
        "{status}:\n{said}"
    );
    let left = std::fs::read_dir(folder.path())
        .expect("it is ours")
        .count();
    assert_eq!(left, 0, "the demo has left something behind");
}
