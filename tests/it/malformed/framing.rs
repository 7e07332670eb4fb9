//! What is no HTTP, or not all of it.

use std::net::SocketAddr;

use crate::support::{TestServer, raw::Raw};

/// Sends each, closes, and reads what comes.
pub(super) async fn sent(server: &TestServer) {
    let to: SocketAddr = server.address();
    let head = "POST /token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let mut texts: Vec<Vec<u8>> = [
        String::new(),
        "\r\n\r\n".to_owned(),
        "GET".to_owned(),
        "GET / HTTP/1.1\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "GET  / HTTP/1.1\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
        "GET / HTTP/1.0\r\n\r\n".to_owned(),
        "GET x HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET http://evil.example/api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            .to_owned(),
        "GET * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
        "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
        "CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nbad header\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\n: x\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n".to_owned(),
        format!("{head}{form}Content-Length: 99\r\n\r\ngrant_type=x"),
        format!("{head}{form}Content-Length: -1\r\n\r\n"),
        format!("{head}{form}Content-Length: 1\r\nContent-Length: 2\r\n\r\nx"),
        format!("{head}{form}Content-Length: 99999999999999999999\r\n\r\n"),
        format!("{head}{form}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("{head}{form}Transfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n"),
        format!("{head}{form}Transfer-Encoding: chunked\r\n\r\n5\r\nabc"),
        format!("{head}{form}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n"),
        format!("{head}{form}Transfer-Encoding: gzip, x\r\n\r\nabc"),
        format!(
            "{head}{form}Transfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\nTrailer: \u{0}\r\n\r\n"
        ),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        format!(
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\u{4}\u{8}{}",
            "\0".repeat(9)
        ),
    ]
    .map(String::into_bytes)
    .to_vec();
    texts.push(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec());
    texts.push(b"GET /\xff\xfe HTTP/1.1\r\nHost: \xff\r\nConnection: close\r\n\r\n".to_vec());
    texts.push(
        [
            b"GET /".to_vec(),
            b"x".repeat(200_000),
            b" HTTP/1.1\r\n\r\n".to_vec(),
        ]
        .concat(),
    );
    for text in texts {
        if let Some(answer) = Raw::of(to, &text, true).await {
            let told = String::from_utf8_lossy(&text[..text.len().min(300)]).into_owned();
            assert!(answer.status < 500, "{answer:?} to {told:?}");
        }
    }
}
