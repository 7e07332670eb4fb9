//! HTTP/2 frame by frame: a client that asks and opens no window for the answers.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{closed, connect, is_about, short};
use crate::support::{TestServer, on_both_databases, process::PATIENCE};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
/// For headers: no body follows, and no more headers.
const WHOLE: u8 = 1 | 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Headers as HPACK writes them without its tables (RFC 7541 §6.2.2).
fn headers(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("short") & 0x7f);
            block.extend(text.as_bytes());
        }
    }
    block
}

/// A connection each of whose streams may be sent so many bytes.
async fn with_window(server: &TestServer, bytes: u32) -> TcpStream {
    let mut stream = connect(server).await;
    let mut window = vec![0, 4];
    window.extend(bytes.to_be_bytes());
    let hello = [PREFACE, &frame(SETTINGS, 0, 0, &window)].concat();
    stream.write_all(&hello).await.unwrap();
    stream
}

async fn ask(stream: &mut TcpStream, number: u32, path: &str, more: &[(&str, &str)]) {
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "x"),
    ];
    let block = headers(&[&fields, more].concat());
    let frame = frame(HEADERS, WHOLE, 2 * number + 1, &block);
    stream.write_all(&frame).await.unwrap();
}

on_both_databases! {
    async fn who_opens_no_window_for_the_answers_is_not_waited_for(env: Env) {
        let server = env.start(short).await;
        let bearer = format!("Bearer {}", server.admin_key());
        let no_window = async {
            let mut stream = with_window(&server, 0).await;
            for number in 0..20 {
                ask(&mut stream, number, "/api/health", &[]).await;
            }
            // To ask on and on is not to take.
            sleep(Duration::from_millis(1_500)).await;
            ask(&mut stream, 20, "/api/health", &[]).await;
            let (took, _) = closed(&mut stream).await;
            is_about(1, took);
        };
        let quiet = async {
            let mut stream = with_window(&server, 60_000).await;
            let tail = [
                ("accept", "text/event-stream"),
                ("authorization", bearer.as_str()),
            ];
            ask(&mut stream, 0, "/api/admin/audit-log", &tail).await;
            let mut buffer = [0; 4_096];
            let end = async { while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {} };
            let ended = timeout(Duration::from_secs(7), end).await;
            assert!(ended.is_err(), "a stream with nothing to send was cut off");
            ask(&mut stream, 1, "/api/health", &[]).await;
            let read = timeout(PATIENCE, stream.read(&mut buffer)).await;
            assert!(read.expect("it answers").unwrap() > 0);
        };
        tokio::join!(no_window, quiet);
    }
}
