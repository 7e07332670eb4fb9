//! From an empty folder to a sign-in, by what the program itself says; and what programs read.

mod administer;
mod apart;
mod audit;
mod grants;
mod reload;
mod settings;
mod terminal;
mod told;
mod trial;

use std::{fs, path::Path, process::Command};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    sql::sql,
    support::{
        Api, Authorize, Backend, Client, TestServer, Tokens, on_both_databases,
        process::{Ended, Process, completed, eventually, free_port},
        server::program,
        sign_in::Auth,
    },
};

/// A job that changes something.
const CREATE: [&str; 6] = [
    "client",
    "create",
    "--name",
    "x",
    "--redirect-uri",
    "https://a.example/cb",
];

/// `serve` with no argument; only the port is another than the default.
async fn serves(folder: &Path, listen: &str) -> Process {
    let mut serve = program();
    serve
        .current_dir(folder)
        .arg("serve")
        .env("AUTH_AGENT_LISTEN", listen);
    let mut process = Process::start(&mut serve);
    process
        .line("that it is ready", |line| {
            line.contains("\"serving\"").then_some(())
        })
        .await;
    process
}

/// A line that was printed to be pasted, as a shell in that folder takes it.
async fn paste(folder: &Path, line: &str) -> Ended {
    let mut shell = Command::new("sh");
    terminal::with_the_program(&mut shell);
    completed(shell.args(["-c", line]).current_dir(folder)).await
}

/// The word after a label in what a job printed.
fn word<'a>(said: &'a str, label: &str) -> &'a str {
    let line = said
        .lines()
        .find_map(|line| line.trim().strip_prefix(label));
    line.unwrap_or_else(|| panic!("no {label} in:\n{said}"))
        .trim()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_says_what_it_did_and_what_it_says_works() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let listen = format!("127.0.0.1:{}", free_port());
    let issuer = format!("http://{listen}");
    let mut process = serves(folder, &listen).await;
    // The last of what it says: it comes by another pipe than the log.
    process
        .line("what to try next", |line| {
            line.contains(" sign-in ").then_some(())
        })
        .await;
    let output = process.output().text();
    let said: Vec<&str> = output
        .lines()
        .filter(|line| !line.starts_with('{') && !line.is_empty())
        .collect();
    assert!(said.len() <= 14, "a few lines:\n{output}");
    for words in [
        &*issuer,
        "data folder",
        "master key",
        "database",
        "admin key",
        "signing keys",
        "Try next",
    ] {
        assert!(output.contains(words), "{words}:\n{output}");
    }
    let admin_key = fs::read_to_string(folder.join("data/admin.key")).unwrap();
    let master_key = fs::read_to_string(folder.join("data/master.key")).unwrap();
    for secret in [&admin_key, &master_key] {
        assert!(!output.contains(secret.trim()), "a secret was printed");
    }
    let next = |job: &str| {
        let line = said.iter().find(|line| line.contains(job));
        line.unwrap_or_else(|| panic!("no {job}:\n{output}"))
            .trim()
            .to_owned()
    };

    let client = paste(folder, &next(" client create ")).await;
    let client = client.said();
    let secret = fs::read_to_string(folder.join("client.secret")).unwrap();
    let agent = paste(folder, &next(" agent create ")).await;
    let agent = agent.said();
    let client = Client {
        id: word(client, "client id").to_owned(),
        secret: Some(secret.trim().to_owned()),
        redirect_uri: "http://localhost:8080/callback".to_owned(),
        auth: Auth::Basic,
        json: Value::Null,
    };
    let api = Api::new(issuer.clone(), issuer.clone(), admin_key.trim().to_owned());
    let asked = Authorize::new(&client);
    let page = api.authorize(&asked).await;
    let address = format!("{issuer}/authorize/{}", page.request_id);
    let sign_in = next(" sign-in ")
        .replace("<address of the page>", &address)
        .replace("<agent id>", word(agent, "agent id"))
        .replace("<model>", "claude-opus-4");
    assert!(!sign_in.contains('<'), "{sign_in}");
    let signed_in = paste(folder, &sign_in).await;
    assert!(signed_in.said().contains("Signed in"), "{signed_in:?}");
    let code = api.callback(&page).await.get("code");
    let tokens = Tokens::of(api.redeem(&client, &code, &asked.pkce.verifier).await);
    assert!(api.is_active(&client, &tokens.access_token).await);
    // The key that the first start made acts under the name that it was given.
    let made = crate::log::history(&api, "type=Registered").await;
    assert!(!made.is_empty());
    for event in made {
        let actor = json!({"type": "admin_key", "id": "first"});
        assert_eq!(event["metadata"]["actor"], actor);
    }

    process.stop().await;
    // A second start made nothing, and does not say so.
    let mut process = serves(folder, &listen).await;
    assert!(!process.output().text().contains("first start"));
    assert!(!process.output().text().contains("Try next"));
    assert!(api.is_active(&client, &tokens.access_token).await);
    process.stop().await;
}

fn job(server: &TestServer, args: &[&str]) -> Command {
    let mut command = server.command();
    command.args(args);
    command
}

on_both_databases! {
    async fn programs_read_json_and_people_read_lines(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
            let made = completed(job(&server, &CREATE).arg("--json")).await;
        let made = made.told();
        let client = Client {
            id: made["client_id"].as_str().unwrap().to_owned(),
            secret: made["client_secret"].as_str().map(str::to_owned),
            redirect_uri: CREATE[5].to_owned(),
            auth: Auth::Basic,
            json: made,
        };
        let agent = [
            "agent", "create", "--name", "x", "--user-email", "ada@people.example",
            "--user-name", "Ada", "--secret-file", "agent.secret",
        ];
        let made = completed(job(&server, &agent).arg("--json")).await;
        let made = made.told();
        let secret = fs::read_to_string(server.folder().join("agent.secret")).unwrap();
        assert!(!made.to_string().contains(secret.trim()), "the secret is in its file alone");
        let agent_id = made["agent_id"].as_str().unwrap();

        let page = api.authorize(&Authorize::new(&client)).await;
        let sign_in = ["sign-in", &page.request_id, "--agent-id", agent_id, "--model", "m"];
        let from_file = [&sign_in[..], &["--secret-file", "agent.secret", "--json"]].concat();
        let done = completed(&mut job(&server, &from_file)).await;
        let done = done.told();
        assert_eq!(done["status"], "authenticated");
        assert_eq!(done["request_id"], *page.request_id);
        assert!(!api.callback(&page).await.get("code").is_empty());
        // By the environment as well.
        let page = api.authorize(&Authorize::new(&client)).await;
        let sign_in = ["sign-in", &page.request_id, "--agent-id", agent_id, "--model", "m"];
        let done = completed(job(&server, &sign_in).env("AUTH_AGENT_SECRET", secret.trim())).await;
        assert!(done.said().contains("Signed in"));

        // Refusals: one line for a person, the server's own answer for a program.
        let wrong = completed(job(&server, &sign_in).arg("--json").env("AUTH_AGENT_SECRET", "wrong")).await;
        assert_eq!((wrong.status, wrong.stderr.lines().count()), (1, 1), "{wrong:?}");
        assert_eq!(wrong.json()["error"], "invalid_agent");
        let insecure = ["client", "create", "--name", "x", "--redirect-uri", "http://example.com"];
        let refused = completed(&mut job(&server, &insecure)).await;
        let told = refused.complaint(1);
        assert!(told.contains("http://example.com") && told.contains("loopback"), "{told}");
        let refused = completed(job(&server, &insecure).arg("--json")).await;
        assert_eq!(refused.json()["error"], "invalid_redirect_uri");
        let no_secret = completed(&mut job(&server, &sign_in)).await;
        assert!(no_secret.complaint(2).contains("AUTH_AGENT_SECRET"));
        let wrong_key = completed(job(&server, &insecure).env("AUTH_AGENT_ADMIN_KEY", "x")).await;
        assert!(wrong_key.complaint(1).contains("AUTH_AGENT_ADMIN_KEY"));
    }

    async fn an_agent_in_a_shell_sends_the_waiting_browser_s_cookie(env: Env) {
        let server = env.server().await;
        let api = server.api();
        let client = api.create_client(json!({"minimum_binding": "browser"})).await;
        let agent = api.create_agent(json!({})).await;
        let page = api.authorize(&Authorize::new(&client)).await;
        let folder = tempfile::tempdir().unwrap();
        let cookie = folder.path().join("cookie");
        let sign_in = |more: &[&str]| {
            let mut command = job(server, &["sign-in", &page.request_id, "--agent-id", &agent.id]);
            command.args(["--model", "m"]).args(more).env("AUTH_AGENT_SECRET", &agent.secret);
            command
        };
        let refused = completed(&mut sign_in(&[])).await;
        assert_eq!(refused.status, 1);
        assert!(refused.stderr.contains("binding_required"), "{}", refused.stderr);
        let file = ["--cookie-file", cookie.to_str().unwrap()];
        fs::write(&cookie, "session=of-another-site").unwrap();
        let refused = completed(&mut sign_in(&file)).await;
        assert_eq!(refused.status, 2);
        assert!(refused.stderr.contains(&page.request_id), "{}", refused.stderr);
        fs::write(&cookie, &page.cookie).unwrap();
        let done = completed(&mut sign_in(&file)).await;
        assert_eq!(done.status, 0, "{}", done.stderr);
        assert!(done.stdout.contains("binding: browser"), "{}", done.stdout);
    }

    async fn projections_are_checked_and_rebuilt_with_an_exit_status_that_tells(env: Env) {
        let mut server = env.start(|_| {}).await;
        let api = server.api();
        api.create_client(json!({"token_endpoint_auth_method": "none"})).await;
        let check = async |server: &TestServer| completed(&mut job(server, &["projections", "check"])).await;
        // Beside the running server, and after it.
        assert!(check(&server).await.said().contains("agree with the log"));
        if env.backend == Backend::Sqlite {
            let ended = completed(&mut job(&server, &["projections", "rebuild"])).await;
            assert!(ended.complaint(2).contains("in use"), "{ended:?}");
        }
        server.stop().await;
        let report = completed(&mut job(&server, &["projections", "check", "--json"])).await;
        assert_eq!(report.told()["differences"], 0);

        sql(&server, "update clients set state = replace(state, 'profilio', 'evil')").await;
        let ended = check(&server).await;
        assert_eq!((ended.status, ended.stderr.lines().count()), (1, 1), "{ended:?}");
        assert!(ended.stdout.contains("client/"), "{ended:?}");
        let report = completed(&mut job(&server, &["projections", "check", "--json"])).await;
        assert_eq!((report.status, &report.json()["differences"]), (1, &json!(1)), "{report:?}");
        let ended = completed(&mut job(&server, &["projections", "rebuild", "--json"])).await;
        assert_eq!(ended.told()["differences"], 0);
        check(&server).await.said();
        server.restart().await;
    }

    async fn a_log_line_is_json_and_carries_the_id_of_its_call(env: Env) {
        let server = env.start(|options| { options.env("AUTH_AGENT_LOG", "auth_agent=debug"); }).await;
        let api = server.api();
        let client = api.create_client(json!({"id_token_signed_response_alg": "EdDSA"})).await;
        let lines = || -> Vec<Value> {
            let logs = server.logs();
            logs.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
        };
        let of_call = async |id: &str, message: &str| {
            eventually(message, async || {
                lines().into_iter().find(|line| {
                    line["span"]["id"] == *id && line["message"] == *message
                })
            })
            .await
        };
        // One that we make, and one that the caller brings.
        let made = api.send(api.get("/api/check-status?request_id=x")).await;
        let line = of_call(made.header("x-request-id"), "answered").await;
        assert_eq!(line["status"], made.status);
        assert_eq!(line["span"]["method"], "GET");
        assert_eq!(line["span"]["path"], "/api/check-status");
        assert!(line["timestamp"].is_string() && line["level"] == "DEBUG");
        let brought = "from-the-caller_0123456789";
        let call = api.post("/token").header("x-request-id", brought);
        let verifier = "v".repeat(43);
        let form = [
            ("grant_type", "authorization_code"), ("code", "x"), ("code_verifier", &verifier),
        ];
        let call = call.basic_auth(&client.id, client.secret.as_deref()).form(&form);
        let reply = api.send(call).await;
        assert_eq!(reply.header("x-request-id"), brought);
        of_call(brought, "answered").await;
        // What cannot be an id is not taken for one.
        for odd in ["short", "with space in it", "x\"y=z{}xxxxxx", &"x".repeat(65)] {
            let reply = api.send(api.get("/api/health").header("x-request-id", odd)).await;
            assert_ne!(reply.header("x-request-id"), odd);
            of_call(reply.header("x-request-id"), "answered").await;
        }
        // What an operator reads at the usual level has it too.
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let (_, _, callback) = api.code(&client, &agent).await;
        let refused = api.redeem(&client, &callback.get("code"), &"v".repeat(43)).await;
        let line = of_call(refused.header("x-request-id"), "a code was refused").await;
        assert_eq!(line["level"], "INFO");
        // Every line that is meant to be JSON is.
        for line in server.logs().lines().filter(|line| line.starts_with('{')) {
            let line: Value = serde_json::from_str(line).expect("a log line is JSON");
            assert!(line["message"].is_string() && line["target"].is_string(), "{line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_start_says_to_programs_is_one_object() {
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let mut serve = program();
    serve
        .current_dir(folder.path())
        .args(["serve", "--json"])
        .env("AUTH_AGENT_LISTEN", &listen);
    let mut process = Process::start(&mut serve);
    let said = process
        .line("what it did", |line| {
            let said: Value = serde_json::from_str(line).ok()?;
            said.get("issuer").filter(|_| said.get("did").is_some())?;
            Some(said)
        })
        .await;
    assert_eq!(said["listen"], *listen);
    assert_eq!(said["issuer"], format!("http://{listen}"));
    assert!(said["did"].as_array().unwrap().len() >= 4, "{said}");
    process.stop().await;
    assert!(!process.output().text().contains("Try next"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_database_there_is_nothing_to_check() {
    let folder = tempfile::tempdir().unwrap();
    for verb in ["check", "rebuild"] {
        let mut command = program();
        command
            .current_dir(folder.path())
            .args(["projections", verb]);
        let ended = completed(&mut command).await;
        assert!(ended.complaint(2).contains("there is no log"), "{ended:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_server_runs_a_job_opens_the_database_under_its_lock() {
    let mut server = TestServer::start(Backend::Sqlite, |_| {}).await;
    server.stop().await;
    let made = completed(job(&server, &CREATE).arg("--json")).await;
    let id = made.told()["client_id"].as_str().unwrap().to_owned();
    server.restart().await;
    let api = server.api();
    let path = format!("/clients/{id}");
    api.admin(Method::GET, &path, None).await.expect(200);
    let events = crate::log::history(&api, &format!("stream=client/{id}")).await;
    let actor = json!({"type": "admin_key", "id": "local operator"});
    assert_eq!(events[0]["metadata"]["actor"], actor);
}
