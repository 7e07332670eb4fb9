//! Slow, silent, greedy and idle clients: none holds a connection for longer than it may, and no
//! stream is taken from a page that waits.

mod http2;

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::support::{
    Authorize, Options, TestServer, on_both_databases,
    process::{PATIENCE, eventually, free_port},
    raw::Raw,
};

const HEALTH: &[u8] = b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n";

/// A second for a head and for a body, three for what is idle.
fn short(options: &mut Options) {
    options
        .flag("--header-timeout", 1)
        .flag("--body-timeout", 1)
        .flag("--idle-timeout", 3);
}

async fn connect(server: &TestServer) -> TcpStream {
    TcpStream::connect(server.address())
        .await
        .expect("the server listens")
}

/// Reads one answer with a short body, and leaves the connection open.
async fn answered(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4_096];
    while !text.ends_with('}') {
        let read = timeout(PATIENCE, stream.read(&mut buffer)).await;
        let read = read.expect("it answers").expect("the connection lives");
        assert!(read > 0, "closed after {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    text
}

/// How long it takes until the server closes; what comes until then.
async fn closed(stream: &mut TcpStream) -> (Duration, String) {
    let start = Instant::now();
    let mut bytes = Vec::new();
    // A reset is an end as well.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("the server closes");
    (
        start.elapsed(),
        String::from_utf8_lossy(&bytes).into_owned(),
    )
}

/// Whether a duration is about that many seconds, on a busy machine.
#[track_caller]
fn is_about(seconds: u64, took: Duration) {
    let expected = Duration::from_secs(seconds);
    assert!(
        took + Duration::from_millis(200) >= expected && took < expected + Duration::from_secs(4),
        "{took:?} instead of {seconds} s"
    );
}

on_both_databases! {
    async fn heads_bodies_and_idle_connections_have_their_time_and_no_more(env: Env) {
        let server = env.start(short).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;

        let nothing = async {
            let mut stream = connect(&server).await;
            is_about(1, closed(&mut stream).await.0);
        };
        let dripping = async {
            let mut stream = connect(&server).await;
            let start = Instant::now();
            stream.write_all(&HEALTH[..9]).await.unwrap();
            let drip = async {
                loop {
                    sleep(Duration::from_millis(100)).await;
                    if stream.write_all(b"x").await.is_err() {
                        return start.elapsed();
                    }
                }
            };
            let took = timeout(PATIENCE, drip).await.expect("the server closes");
            assert!(took < Duration::from_secs(6), "{took:?}");
        };
        let idle = async {
            let mut stream = connect(&server).await;
            stream.write_all(HEALTH).await.unwrap();
            answered(&mut stream).await;
            // Longer than a head may take: an idle connection is not a slow head.
            sleep(Duration::from_millis(1_800)).await;
            stream.write_all(HEALTH).await.unwrap();
            answered(&mut stream).await;
            let (took, rest) = closed(&mut stream).await;
            is_about(3, took);
            assert_eq!(rest, "");
        };
        let second_head = async {
            let mut stream = connect(&server).await;
            stream.write_all(HEALTH).await.unwrap();
            answered(&mut stream).await;
            stream.write_all(&HEALTH[..9]).await.unwrap();
            is_about(1, closed(&mut stream).await.0);
        };
        let body = async {
            let mut stream = connect(&server).await;
            let head = "POST /token HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100\r\n\
                        Content-Type: application/x-www-form-urlencoded\r\n\r\nhalf";
            stream.write_all(head.as_bytes()).await.unwrap();
            let answer = Raw::read(&mut stream).await.expect("it is told");
            assert_eq!(answer.status, 408, "{answer:?}");
        };
        let silent_http2 = async {
            let mut stream = connect(&server).await;
            let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
            stream.write_all(preface).await.unwrap();
            is_about(1, closed(&mut stream).await.0);
        };
        let unread = async {
            // Answers that nobody takes, until no buffer on the way takes any more.
            let mut stream = connect(&server).await;
            let asks = async { while stream.write_all(HEALTH).await.is_ok() {} };
            timeout(PATIENCE, asks).await.expect("the server closes");
        };
        let stream = async {
            let page = api.authorize(&Authorize::new(&client)).await;
            let mut stream = api.events(&page).await;
            assert_eq!(stream.next().await.unwrap().status(), "pending");
            sleep(Duration::from_secs(6)).await;
            let agent = api.create_agent(json!({})).await;
            api.authenticate(&page, &agent).await.expect(200);
            assert_eq!(stream.next().await.unwrap().status(), "authenticated");
        };
        tokio::join!(
            nothing,
            dripping,
            idle,
            second_head,
            body,
            silent_http2,
            unread,
            stream
        );
    }

    async fn a_head_is_bounded_in_bytes_and_in_headers(env: Env) {
        let server = env.start(|_| {}).await;
        let to = server.address();
        let head = |headers: String| {
            format!("GET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n")
                .into_bytes()
        };
        let many = |number: usize| {
            (0..number)
                .map(|n| format!("X-{n}: y\r\n"))
                .collect::<String>()
        };
        let large = |bytes: usize| format!("X-Large: {}\r\n", "y".repeat(bytes));
        for (headers, status) in [
            (many(90), 200),
            (many(200), 431),
            (large(31 * 1_024), 200),
            (large(33 * 1_024), 431),
            (large(300 * 1_024), 431),
        ] {
            let size = headers.len();
            let answer = Raw::of(to, &head(headers), false).await;
            // Who goes on sending may be cut off before it reads what it is told.
            let told = answer.map_or(431, |answer| answer.status);
            assert_eq!(told, status, "{size} bytes");
        }
        server.api().create_client(json!({})).await;
    }

    async fn what_is_idle_or_half_sent_does_not_delay_the_end_at_all(env: Env) {
        let mut server = env.start(|_| {}).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let page = api.authorize(&Authorize::new(&client)).await;
        let mut waiting = api.events(&page).await;
        assert_eq!(waiting.next().await.unwrap().status(), "pending");
        let mut open = Vec::new();
        for sent in [
            b"".as_slice(),
            &HEALTH[..9],
            b"PRI * HT",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        ] {
            let mut stream = connect(&server).await;
            stream.write_all(sent).await.unwrap();
            open.push(stream);
        }
        for rest in [b"".as_slice(), &HEALTH[..9]] {
            let mut stream = connect(&server).await;
            stream.write_all(HEALTH).await.unwrap();
            answered(&mut stream).await;
            stream.write_all(rest).await.unwrap();
            open.push(stream);
        }
        sleep(Duration::from_millis(200)).await;
        let start = Instant::now();
        server.stop().await;
        let took = start.elapsed();
        assert!(took < Duration::from_secs(3), "{took:?}");
        for mut stream in open {
            closed(&mut stream).await;
        }
    }

    async fn administration_has_an_address_of_its_own_if_one_is_set(env: Env) {
        for path in ["", "/auth"] {
            let apart = free_port();
            let server = env.start(|options| {
                options.flag("--admin-listen", format!("127.0.0.1:{apart}"));
                if !path.is_empty() {
                    options.issuer(format!("https://auth.example{path}"));
                }
            })
            .await;
            let http = reqwest::Client::builder().no_proxy().build().unwrap();
            let status = async |base: &str, path: &str, key: bool| {
                let mut call = http.get(format!("{base}{path}"));
                if key {
                    call = call.bearer_auth(server.admin_key());
                }
                let reply = call.send().await.unwrap();
                (reply.status().as_u16(), reply.headers().clone())
            };
            let main = format!("{}{path}", server.base_url());
            let admin = format!("http://127.0.0.1:{apart}{path}");
            for gone in [
                "/api/admin/clients",
                "/api/admin/nothing",
                "/api/admin",
                "/metrics",
            ] {
                for key in [true, false] {
                    let (status, headers) = status(&main, gone, key).await;
                    assert_eq!(status, 404, "{gone}");
                    assert!(!headers.contains_key("www-authenticate"), "{gone}");
                }
            }
            assert_eq!(status(&admin, "/api/admin/clients", true).await.0, 200);
            assert_eq!(status(&admin, "/api/admin/clients", false).await.0, 401);
            assert_eq!(status(&admin, "/api/admin/nothing", false).await.0, 401);
            for both in ["/api/health", "/api/ready"] {
                assert_eq!(status(&main, both, false).await.0, 200);
                assert_eq!(status(&admin, both, false).await.0, 200);
            }
            for elsewhere in [
                "/authorize",
                "/token",
                "/.well-known/jwks.json",
                "/introspect",
            ] {
                assert_eq!(status(&admin, elsewhere, false).await.0, 404, "{elsewhere}");
            }
            assert_eq!(status(&main, "/.well-known/jwks.json", false).await.0, 200);
        }
    }

    async fn an_address_for_administration_that_cannot_be_had_is_told_in_one_line(env: Env) {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = env.start(|_| {}).await;
        let main = format!("127.0.0.1:{}", free_port());
        for (address, told) in [
            (
                taken.local_addr().unwrap().to_string(),
                "for administration",
            ),
            (main.clone(), "must be another"),
            ("nonsense".to_owned(), "--admin-listen"),
        ] {
            let data = server.folder().join("other");
            let output = server
                .command()
                .env("AUTH_AGENT_DATA_DIR", &data)
                .env("AUTH_AGENT_LISTEN", &main)
                .args(["serve", "--admin-listen", &address])
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{text}");
            assert!(text.contains(told), "{text}");
            assert_eq!(text.trim().lines().count(), 1, "{text}");
            assert!(!data.exists(), "something was made");
        }
        eventually("the server to go on", async || {
            server.api().is_ready().await.then_some(())
        })
        .await;
    }

    async fn whoever_holds_many_idle_connections_stops_nobody_else(env: Env) {
        let apart = free_port();
        let server = env.start(|options| {
            options
                .through(&["sh", "-c", "ulimit -n 300; exec \"$@\"", "sh"])
                .flag("--admin-listen", format!("127.0.0.1:{apart}"));
        })
        .await;
        let mut held = Vec::new();
        for _ in 0..500 {
            let mut stream = connect(&server).await;
            stream.write_all(HEALTH).await.unwrap();
            answered(&mut stream).await;
            held.push(stream);
        }
        // The longest idle made way, and the newest is still held.
        closed(&mut held[0]).await;
        let newest = held.last_mut().unwrap();
        newest.write_all(HEALTH).await.unwrap();
        answered(newest).await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let metrics = http.get(format!("http://127.0.0.1:{apart}/metrics"));
        let metrics = metrics.send().await.unwrap().text().await.unwrap();
        let count = |which: &str| {
            let name = format!("auth_agent_connections_without_room_total{{which=\"{which}\"}} ");
            let line = metrics.lines().find_map(|line| line.strip_prefix(&*name));
            line.unwrap_or_else(|| panic!("no {name}")).to_owned()
        };
        assert!(count("idle").parse::<f64>().unwrap() >= 300.0, "{metrics}");
        assert_eq!(count("new"), "0");
    }
}
