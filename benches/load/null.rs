//! The null server: bare axum with canned answers to the calls of a sign-in, of the size of the
//! real ones. It decides nothing, stores nothing and signs nothing: what it does is the floor that
//! HTTP, the generator and the machine set. A process of its own, like the real server.

use std::{
    convert::Infallible,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{
        Html, IntoResponse, Sse,
        sse::{Event, KeepAlive},
    },
    routing::{get, post},
    serve::ListenerExt as _,
};
use dashmap::DashMap;
use http::header;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot};

use super::client::Result;

/// The argument that makes this program the null server.
pub(crate) const ARGUMENT: &str = "null-server";

/// Bytes of the waiting page, of a signed token, and of the claims that introspection shows.
const PAGE: usize = 3_000;
const TOKEN: usize = 750;
const CLAIMS: usize = 600;

struct Canned {
    next: AtomicU64,
    waiting: DashMap<u64, oneshot::Sender<()>>,
    page: String,
    tokens: Value,
    claims: Value,
}

/// Serves on a free port, which it prints, until it is killed.
pub(crate) async fn serve() -> Result<()> {
    let token = "x".repeat(TOKEN);
    let canned = Canned {
        next: AtomicU64::new(1),
        waiting: DashMap::new(),
        page: "x".repeat(PAGE),
        tokens: json!({
            "access_token": token, "token_type": "Bearer", "expires_in": 600,
            "refresh_token": "x".repeat(90), "scope": "openid profile email", "id_token": token,
        }),
        claims: json!({ "active": true, "claims": "x".repeat(CLAIMS) }),
    };
    let router = Router::new()
        .route("/", get(async || "ok"))
        .route("/authorize", get(authorize))
        .route("/api/requests/{id}/events", get(events))
        .route("/api/agent/authenticate", post(authenticate))
        .route("/token", post(token_endpoint))
        .route("/introspect", post(introspect))
        .route("/revoke", post(async |_: String| ()))
        .with_state(Arc::new(canned));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // An error means that the connection has gone again.
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}

async fn authorize(State(canned): State<Arc<Canned>>) -> impl IntoResponse {
    let id = format!("req_{:032x}", canned.next.fetch_add(1, Ordering::Relaxed));
    let cookie = format!("aa_{id}={}; Path=/; HttpOnly; SameSite=Lax", "x".repeat(64));
    let page = format!(
        r#"<meta name="auth-agent-request" content="{id}">{}"#,
        canned.page
    );
    ([(header::SET_COOKIE, cookie)], Html(page))
}

fn number(id: &str) -> u64 {
    id.strip_prefix("req_")
        .and_then(|hex| u64::from_str_radix(hex, 16).ok())
        .unwrap_or(0)
}

async fn events(State(canned): State<Arc<Canned>>, Path(id): Path<String>) -> impl IntoResponse {
    let (sender, authenticated) = oneshot::channel();
    canned.waiting.insert(number(&id), sender);
    let stream = async_stream::stream! {
        let pending = Event::default().event("status").id("1").data(r#"{"status":"pending"}"#);
        yield Ok::<_, Infallible>(pending);
        if authenticated.await.is_ok() {
            let code = "x".repeat(90);
            let data = json!({
                "status": "authenticated",
                "redirect_to": format!("https://profilio.example/callback?code={code}&state=s"),
            });
            yield Ok(Event::default().event("status").id("3").data(data.to_string()));
        }
    };
    Sse::new(stream).keep_alive(KeepAlive::new())
}

async fn authenticate(State(canned): State<Arc<Canned>>, Json(body): Json<Value>) -> Json<Value> {
    let id = body["request_id"].as_str().unwrap_or_default();
    if let Some((_, waiting)) = canned.waiting.remove(&number(id)) {
        // An error means that the page has gone.
        let _ = waiting.send(());
    }
    Json(json!({ "success": true, "status": "authenticated", "request_id": id }))
}

async fn token_endpoint(State(canned): State<Arc<Canned>>, _form: String) -> Json<Value> {
    Json(canned.tokens.clone())
}

async fn introspect(State(canned): State<Arc<Canned>>, _form: String) -> Json<Value> {
    Json(canned.claims.clone())
}
