//! Secrets planted where none may be: each place that the ledger looks through gives them away.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::Command,
};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::{
    Backend, Reply, TestServer, ledger,
    process::{PATIENCE, Process, arbitrary_text, completed},
    raw::Raw,
};

/// A secret that the tests hold from now on.
fn planted() -> String {
    let secret = arbitrary_text();
    ledger::note("a planted secret", &secret);
    secret
}

/// Why something panicked.
fn reason(panic: &(dyn std::any::Any + Send)) -> &str {
    panic.downcast_ref::<String>().map_or("", String::as_str)
}

/// Whether it panics because of a planted secret.
fn gives_away(act: impl FnOnce()) -> bool {
    let panic = catch_unwind(AssertUnwindSafe(act)).err();
    panic.is_some_and(|panic| reason(&*panic).contains("a planted secret"))
}

/// The same of what is awaited.
async fn gives_away_in_time(act: impl Future<Output = ()> + Send + 'static) -> bool {
    let panic = tokio::spawn(act).await.err();
    let panic = panic.filter(tokio::task::JoinError::is_panic);
    panic.is_some_and(|panic| reason(&*panic.into_panic()).contains("a planted secret"))
}

fn shell(line: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", line]);
    shell
}

#[tokio::test]
async fn a_secret_in_a_refusal_or_a_redirect_with_an_error_is_found() {
    let secret = planted();
    let body = json!({"error": "x", "error_description": format!("no such {secret}")}).to_string();
    let at_home = format!("https://a.example/cb?error=access_denied&state={secret}");
    let with_code = format!("https://a.example/cb?code={secret}&state=x");
    for (status, header, text, found) in [
        (401, None, &*body, true),
        (401, Some(("www-authenticate", &*secret)), "{}", true),
        (302, Some(("location", &*at_home)), "", true),
        (302, Some(("location", &*with_code)), "", false),
        (200, None, &*body, false),
        (401, None, "{}", false),
    ] {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            let value = HeaderValue::from_str(value).unwrap();
            headers.insert(HeaderName::from_static(name), value);
        }
        let read = || drop(Reply::of(status, headers, text.to_owned()));
        assert_eq!(gives_away(read), found, "{status} {header:?} {text}");

        // The same on the wire.
        let lines = header.map(|(name, value)| format!("{name}: {value}\r\n"));
        let answer = format!(
            "HTTP/1.1 {status} X\r\n{}\r\n{text}",
            lines.unwrap_or_default()
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1_024]).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let read = async move {
            let answer = Raw::of(address, b"GET / HTTP/1.1\r\n\r\n", false).await;
            assert!(answer.is_some());
        };
        assert_eq!(gives_away_in_time(read).await, found, "{status} {header:?}");
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_secret_in_what_a_process_or_a_job_prints_is_found() {
    let secret = planted();
    for stream in ["", " >&2"] {
        let line = format!("echo hello; echo {secret}{stream}");
        let mut process = Process::start(&mut shell(&line));
        assert!(process.end(PATIENCE).await.success());
        assert!(gives_away(|| drop(process)), "{line}");
        let job = async move { drop(completed(&mut shell(&line)).await) };
        assert!(gives_away_in_time(job).await);
    }
    assert!(!gives_away(|| drop(Process::start(&mut shell(
        "echo hello"
    )))));

    // A job may show a secret that nobody had before; the next must not.
    for line in [
        format!(
            "echo 'client secret {} (shown this once)'",
            arbitrary_text()
        ),
        format!(r#"echo '{{"client_secret": "{}"}}'"#, arbitrary_text()),
    ] {
        completed(&mut shell(&line)).await.said();
        let again = tokio::spawn(async move { drop(completed(&mut shell(&line)).await) });
        assert!(again.await.unwrap_err().is_panic());
    }

    // What a job wrote into a file, or a start into its data folder, is known too.
    let folder = tempfile::tempdir().unwrap();
    let (written, key) = (arbitrary_text(), arbitrary_text());
    let mut job = shell(&format!("echo {written} > new.secret"));
    job.args(["--secret-file", "new.secret"]);
    completed(job.current_dir(folder.path())).await.said();
    let mut start = shell(&format!("mkdir data; echo {key} | tee data/admin.key"));
    let mut start = Process::start(start.current_dir(folder.path()));
    assert!(start.end(PATIENCE).await.success());
    let leak = catch_unwind(AssertUnwindSafe(|| drop(start))).unwrap_err();
    assert!(reason(&*leak).contains("the first admin key"));
    let leak = catch_unwind(|| ledger::assert_none_in("a text", &written)).unwrap_err();
    assert!(reason(&*leak).contains("a secret in a file"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_in_the_log_or_the_metrics_of_a_server_is_found() {
    // A caller's own id of its call is logged as it is.
    let server = TestServer::start(Backend::Sqlite, |_| {}).await;
    let api = server.api();
    let call = api.get("/api/health").header("x-request-id", planted());
    api.send(call).await.expect(200);
    assert!(gives_away(|| drop(server)));

    let mut server = TestServer::start(Backend::Sqlite, |_| {}).await;
    let metrics = server.metrics().expect("they are read");
    assert!(metrics.contains("auth_agent_log_head"), "{metrics}");
    // Somebody else takes the server's place, for its metrics have no room for what is planted.
    server.process().kill();
    let answer = format!("HTTP/1.1 200 OK\r\n\r\nx{{id=\"{}\"}} 1\n", planted());
    let listener = TcpListener::bind(server.address()).await.unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1_024]).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    assert!(gives_away(|| drop(server)));
}
