//! What a person at a terminal meets, played with `script`, which is on every Linux and nowhere else in
//! this form.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use serde_json::Value;

use super::{CREATE, job, paste, word};
use crate::support::{
    Api, TestServer, WaitingPage, ledger,
    process::{Ended, PATIENCE, Process, completed, eventually, free_port},
    server::{PROGRAM, program},
};

fn has_script() -> bool {
    Command::new("script").arg("--version").output().is_ok()
}

/// A job on a terminal, with that answer to its question; the text of both streams.
pub(super) fn on_a_terminal(
    server: &TestServer,
    args: &[&str],
    answer: &str,
) -> Option<(i32, String)> {
    let job = job(server, args);
    let words: Vec<String> = std::iter::once(job.get_program())
        .chain(job.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let mut script = Command::new("sh");
    script.current_dir(server.folder());
    for (name, value) in job.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    let line = format!(
        "(sleep 1; echo {answer}) | script -qec \"{}\" /dev/null",
        words.join(" ")
    );
    if !has_script() {
        return None;
    }
    let output = script.args(["-c", &line]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ledger::assert_none_in("what a job printed", &text);
    Some((output.status.code().unwrap(), text))
}

/// Lines of the program's help as they are pasted: what stands in angle brackets is filled in by hand.
struct Pasted<'a> {
    folder: &'a Path,
    steps: Vec<String>,
    admin_key: String,
}

impl Pasted<'_> {
    /// The whole line of a step.
    fn step(&self, job: &str) -> &str {
        let found = self.steps.iter().find(|step| step.contains(job));
        found.unwrap_or_else(|| panic!("no {job}: {:?}", self.steps))
    }

    /// A step in the second terminal, after the one that exports the key.
    fn line(&self, job: &str, filled_in: &[(&str, &str)]) -> String {
        let export = self.step("export ");
        let mut line = format!("{export}\n{}", self.step(job));
        for (gap, value) in filled_in.iter().chain(&[("<admin key>", &*self.admin_key)]) {
            line = line.replace(gap, value);
        }
        assert!(!line.contains('<'), "something is left to fill in: {line}");
        line
    }

    async fn run(&self, job: &str, filled_in: &[(&str, &str)]) -> Ended {
        let ended = paste(self.folder, &self.line(job, filled_in)).await;
        ended.said();
        ended
    }
}

/// The first steps as `auth-agent help` has them, once `serve` runs in that folder; `8080` alone is another
/// port, for it may be taken.
async fn first_steps(folder: &Path, admin_key: String) {
    let help = completed(program().arg("help")).await;
    let (_, steps) = help.said().split_once("First steps").expect("first steps");
    let port = free_port().to_string();
    let steps: Vec<String> = steps
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .map(|line| line.replace("8080", &port))
        .collect();
    assert_eq!(steps.len(), 6, "{steps:?}");
    assert_eq!(steps[0], "auth-agent serve");
    let pasted = Pasted {
        folder,
        steps,
        admin_key,
    };
    let client = pasted.run(" client create ", &[]).await;
    let agent = pasted.run(" agent create ", &[]).await;
    let (client, agent) = (
        word(client.said(), "client id"),
        word(agent.said(), "agent id"),
    );

    let mut shell = Command::new("sh");
    let line = pasted.line(" client try ", &[("<client id>", client)]);
    let line = line.replace("auth-agent client", "exec auth-agent client");
    shell.args(["-c", &line]).current_dir(folder);
    with_the_program(&mut shell);
    let mut website = Process::start(&mut shell);
    let address = website
        .line("an address", |line| {
            let address = line.trim();
            address
                .starts_with("http://")
                .then(|| address.to_owned())
                .filter(|address| address.contains("/authorize?"))
        })
        .await;
    website
        .line("that it waits", |line| {
            line.starts_with("Waiting").then_some(())
        })
        .await;
    let said = website.output().text();
    assert!(!said.contains("code_verifier"), "{said}");

    // The browser: it opens the page, and goes where the page says.
    let issuer = address.split("/authorize?").next().unwrap().to_owned();
    let browser = Api::new(issuer.clone(), issuer.clone(), String::new());
    let page = WaitingPage::of(browser.send(browser.get(&address)).await);
    let at = format!("{issuer}/authorize/{}", page.request_id);
    let signed_in = pasted
        .run(
            " sign-in ",
            &[
                ("<address of the page>", &at),
                ("<agent id>", agent),
                ("<model>", "claude-opus-4"),
            ],
        )
        .await;
    assert!(signed_in.said().contains("Signed in"), "{signed_in:?}");
    let path = format!("/api/check-status?request_id={}", page.request_id);
    let to = eventually("the way back", async || {
        let call = browser.get(&path).header("cookie", &page.cookie);
        let status = browser.send(call).await;
        status.json["redirect_to"].as_str().map(str::to_owned)
    })
    .await;
    assert!(to.starts_with(&format!("http://localhost:{port}/callback?")));
    // Not the sign-in that was begun: it goes on waiting for that.
    let elsewhere = browser.get(&to.replace("state=", "state=x"));
    assert_eq!(elsewhere.send().await.unwrap().status(), 400);
    let shown = browser.get(&to).send().await.unwrap();
    assert_eq!(shown.status(), 200);
    assert!(shown.text().await.unwrap().contains("Signed in"));
    assert!(website.end(PATIENCE).await.success());
    let told = website.output().text();
    for words in [
        "Signed in: agent_",
        agent,
        "Your Name",
        "claude-opus-4",
        "address",
        "verified (RS256)",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

/// Puts the program where a shell finds it by its name.
#[expect(
    clippy::disallowed_methods,
    reason = "the shell finds other programs where this one does"
)]
pub(super) fn with_the_program(shell: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AUTH_AGENT_") {
            shell.env_remove(name);
        }
    }
    let folder = Path::new(PROGRAM).parent().expect("it is in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    shell.env("PATH", format!("{}:{path}", folder.display()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_steps_of_the_help_end_in_a_sign_in_on_a_terminal() {
    if !has_script() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    // The number of the server's process, for on a terminal it is nobody's child here.
    let serve = "echo $$ > serve.pid; exec auth-agent serve";
    shell
        .args(["-c", "script -qec \"$0\" /dev/null", serve])
        .current_dir(folder.path());
    with_the_program(&mut shell);
    shell.env("AUTH_AGENT_LISTEN", format!("127.0.0.1:{}", free_port()));
    let mut terminal = Process::start(&mut shell);
    let key = terminal
        .line("the admin key", |line| {
            let (_, key) = line.trim().split_once("shown this once: ")?;
            Some(key.to_owned())
        })
        .await;
    terminal
        .line("what to try next", |line| {
            line.contains(" sign-in ").then_some(())
        })
        .await;
    assert!(!folder.path().join("data/admin.key").exists());
    let done = tokio::spawn({
        let folder = folder.path().to_owned();
        async move { first_steps(&folder, key).await }
    })
    .await;
    let pid = fs::read_to_string(folder.path().join("serve.pid")).unwrap();
    let stopped = Command::new("sh")
        .args(["-c", "kill -s TERM \"$0\"", pid.trim()])
        .status();
    assert!(stopped.unwrap().success());
    assert!(terminal.end(PATIENCE).await.success());
    if let Err(failed) = done {
        std::panic::resume_unwind(failed.into_panic());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_steps_of_the_help_end_in_a_sign_in_without_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let listen = format!("127.0.0.1:{}", free_port());
    let mut process = super::serves(folder, &listen).await;
    let key = fs::read_to_string(folder.join("data/admin.key")).unwrap();
    first_steps(folder, key.trim().to_owned()).await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_find_a_server_at_another_address_by_the_database_that_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let [listen, apart] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
    let plain = async |args: &[&str]| completed(program().current_dir(folder).args(args)).await;
    let list = ["client", "list", "--json"];
    let mut serve = program();
    serve
        .current_dir(folder)
        .args(["serve", "--listen", &listen, "--admin-listen", &apart])
        .args(["--issuer", &format!("http://{listen}/auth")]);
    let mut process = Process::start(&mut serve);
    process
        .line("that it is ready", |line| {
            line.contains("\"serving\"").then_some(())
        })
        .await;
    let made = plain(&CREATE).await;
    assert_eq!(word(made.said(), "issuer"), format!("http://{listen}/auth"));
    let who = |listed: &Value| listed["items"][0]["client_name"].clone();
    assert_eq!(who(&plain(&list).await.told()), "x");
    // By the environment, for another address than the one that it has.
    let mut elsewhere = program();
    elsewhere.current_dir(folder).args(list);
    elsewhere.env("AUTH_AGENT_LISTEN", format!("127.0.0.1:{}", free_port()));
    assert_eq!(who(&completed(&mut elsewhere).await.told()), "x");
    // Nor do the settings tell all: whoever listens everywhere is called by its issuer.
    let mut everywhere = program();
    everywhere.current_dir(folder).args(list);
    everywhere.env("AUTH_AGENT_LISTEN", "0.0.0.0:1");
    assert_eq!(who(&completed(&mut everywhere).await.told()), "x");
    // A lock that is not for its owner's eyes alone may be anybody's.
    let lock = folder.join("data/auth-agent.db.lock");
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o644)).unwrap();
    let mut anybody_s = program();
    anybody_s.current_dir(folder).args(list);
    anybody_s.env("AUTH_AGENT_LISTEN", format!("0.0.0.0:{}", free_port()));
    let told = completed(&mut anybody_s).await.json();
    assert_eq!(told["error"], "invalid_usage", "{told}");
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o600)).unwrap();
    // What is named is asked, and nothing else.
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let named = plain(&["client", "list", "--server", &nobody]).await;
    assert!(
        named.complaint(1).contains("no server answers"),
        "{named:?}"
    );

    // Killed, it leaves its word behind, and nobody believes it.
    process.kill();
    let lock = fs::read_to_string(folder.join("data/auth-agent.db.lock")).unwrap();
    assert!(lock.contains(&apart), "{lock}");
    let free = format!("127.0.0.1:{}", free_port());
    let mut opened = program();
    opened
        .current_dir(folder)
        .args(list)
        .env("AUTH_AGENT_LISTEN", free);
    assert_eq!(who(&completed(&mut opened).await.told()), "x");
    let lock = fs::read_to_string(folder.join("data/auth-agent.db.lock")).unwrap();
    assert_eq!(lock, "", "what a job takes the lock for is no server");
}
