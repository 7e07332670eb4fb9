//! A proxy between browser and server that breaks things on purpose, and keeps a record.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::{Html, IntoResponse, Json, Response},
};
use futures_util::StreamExt;
use reqwest::{StatusCode, redirect::Policy};
use serde_json::json;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::support::process::{eventually, locked};

/// More than any page here sends.
const MAX_BODY: usize = 64 * 1024;

/// One request that the browser has made.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Path and query.
    pub(crate) path: String,
    /// `Last-Event-ID`, or nothing.
    pub(crate) last_event_id: String,
    /// The status code of the answer.
    pub(crate) status: u16,
}

/// What the proxy lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Everything.
    Open,
    /// No stream of events, but this status: 403 as a firewall would answer, 503 as a busy server.
    NoStreams(u16),
    /// Nothing by which a page could learn how its request gets on: 503.
    NoNews,
    /// Streams are accepted and nothing of them arrives, as behind a proxy that gathers whole answers.
    HeldBack,
    /// Streams fall silent after what comes first, without being closed, as when a router forgets them.
    Silenced,
    /// The server has forgotten every request: 404.
    Forgotten,
    /// What stands before the server knows of none just now: 404, and a page of its own.
    NoBackend,
    /// No script of the page: 404, as from a server of another version.
    NoScript,
}

struct Shared {
    http: reqwest::Client,
    server: Mutex<Option<SocketAddr>>,
    mode: Mutex<Mode>,
    seen: Mutex<Vec<Seen>>,
    cuts: watch::Sender<usize>,
    bytes: AtomicUsize,
}

/// A running proxy; stopped when dropped.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts one that has no server behind it yet: the server has to know its address first.
    pub(crate) async fn start() -> Self {
        Self::between(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST).await
    }

    /// One that browsers reach at the first address, and whom the server sees at the second: the door
    /// of a network.
    pub(crate) async fn between(at: Ipv4Addr, from: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((at, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .local_address(Some(from.into()))
            .no_proxy()
            .build();
        let shared = Arc::new(Shared {
            http: http.expect("a client can be built"),
            server: Mutex::default(),
            mode: Mutex::new(Mode::Open),
            seen: Mutex::default(),
            cuts: watch::Sender::new(0),
            bytes: AtomicUsize::new(0),
        });
        let router = Router::new()
            .fallback(forward)
            .with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            axum::serve(listener, router)
                .await
                .expect("the proxy serves");
        });
        Self {
            shared,
            address,
            task,
        }
    }

    /// `http://127.0.0.1:<port>`: what the server has to call itself.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `127.0.0.1:<port>`
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many bytes of answers have passed so far, heads included.
    pub(crate) fn bytes(&self) -> usize {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Puts a server behind it.
    pub(crate) fn forward_to(&self, server: SocketAddr) {
        *locked(&self.shared.server) = Some(server);
    }

    /// Changes what it lets through from now on; open streams stay open.
    pub(crate) fn set(&self, mode: Mode) {
        *locked(&self.shared.mode) = mode;
    }

    /// Breaks all connections that an answer is still arriving on.
    pub(crate) fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// The requests so far whose path contains `part`.
    pub(crate) fn seen(&self, part: &str) -> Vec<Seen> {
        let seen = locked(&self.shared.seen);
        seen.iter()
            .filter(|seen| seen.path.contains(part))
            .cloned()
            .collect()
    }

    /// Waits until the browser has made so many requests whose path contains `part`.
    pub(crate) async fn has_seen(&self, part: &str, count: usize) -> Vec<Seen> {
        eventually(&format!("{count} requests of {part}"), async || {
            let seen = self.seen(part);
            (seen.len() >= count).then_some(seen)
        })
        .await
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let last_event_id = request.headers().get("last-event-id");
    let last_event_id = last_event_id
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let response = answer(&shared, &path, request).await;
    let status = response.status().as_u16();
    let head = response.headers().iter();
    // With colon, blank and line ends; the status line has about as many as a short header.
    let head = head.map(|(name, value)| name.as_str().len() + value.len() + 4);
    shared
        .bytes
        .fetch_add(head.sum::<usize>() + 30, Ordering::Relaxed);
    let counted = Arc::clone(&shared);
    let response = response.map(|body| {
        Body::from_stream(body.into_data_stream().inspect(move |chunk| {
            let length = chunk.as_ref().map_or(0, |chunk| chunk.len());
            counted.bytes.fetch_add(length, Ordering::Relaxed);
        }))
    });
    locked(&shared.seen).push(Seen {
        path,
        last_event_id,
        status,
    });
    response
}

async fn answer(shared: &Shared, path: &str, request: Request) -> Response {
    let mode = *locked(&shared.mode);
    let stream = path.ends_with("/events");
    let news = stream || path.starts_with("/api/check-status");
    match mode {
        Mode::NoStreams(status) if stream => {
            let status = StatusCode::from_u16(status).expect("a status");
            return status.into_response();
        }
        Mode::Forgotten if news => {
            let unknown = Json(json!({ "error": "unknown_request" }));
            return (StatusCode::NOT_FOUND, unknown).into_response();
        }
        Mode::NoBackend if news => {
            let page = Html("<title>404</title>default backend");
            return (StatusCode::NOT_FOUND, page).into_response();
        }
        Mode::NoNews if news => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Mode::HeldBack if stream => {
            let nothing = futures_util::stream::pending::<io::Result<Vec<u8>>>();
            let headers = [("content-type", "text/event-stream")];
            return (headers, Body::from_stream(nothing)).into_response();
        }
        Mode::NoScript if path.starts_with("/static/waiting-") => {
            return StatusCode::NOT_FOUND.into_response();
        }
        _ => {}
    }
    let Some(server) = *locked(&shared.server) else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let mut cuts = shared.cuts.subscribe();
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let url = format!("http://{server}{path}");
    let mut sent = shared
        .http
        .request(parts.method, url)
        .headers(parts.headers);
    if !body.is_empty() {
        sent = sent.body(body);
    }
    let Ok(answer) = sent.send().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    // hyper frames the body again, by itself.
    response.headers_mut().remove("transfer-encoding");
    let cut = async move {
        // An error means that the proxy is gone, and so is the connection.
        let _ = cuts.changed().await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    };
    let chunks = answer
        .bytes_stream()
        .map(|chunk| chunk.map_err(io::Error::other));
    let chunks = if stream && mode == Mode::Silenced {
        let silence = futures_util::stream::pending();
        chunks.take(1).chain(silence).left_stream()
    } else {
        chunks.right_stream()
    };
    let chunks = chunks
        .map(Some)
        .chain(futures_util::stream::once(async { None }));
    let cut = futures_util::stream::once(cut).map(Some);
    // Whatever comes first: the end of the answer, or the cut.
    let body = futures_util::stream::select(chunks, cut)
        .take_while(|chunk| std::future::ready(chunk.is_some()))
        .filter_map(std::future::ready);
    *response.body_mut() = Body::from_stream(body);
    response
}
