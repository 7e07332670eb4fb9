//! GET /metrics, in the text format of Prometheus (version 0.0.4). What is counted elsewhere is put
//! together when it is asked for: between two questions nothing is kept twice.

use std::{fs, sync::Arc};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};
use prometheus_client::{
    encoding::prometheus_text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::Registry,
};
use tokio::task;

use super::{ApiError, admin, app::App, measures::Label};
use crate::oauth::ErrorCode;

/// With an admin key of any role.
pub(crate) async fn with_key(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    admin::any_key(&app, &headers).await?;
    exposed(app).await
}

/// On an address of their own they are open: that is what keeps them.
pub(crate) async fn open(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    exposed(app).await
}

async fn exposed(app: Arc<App>) -> Result<Response, ApiError> {
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "the metrics could not be written");
        ApiError::new(ErrorCode::ServerError, "the metrics could not be written")
    };
    let written = task::spawn_blocking(move || {
        // Reads folders: with many descriptors that takes a while.
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry(&app)).map(|()| text)
    });
    let written = written.await.map_err(|error| failed(&error))?;
    let text = written.map_err(|error| failed(&error))?;
    let headers = [
        (header::CONTENT_TYPE, prometheus_text::CONTENT_TYPE),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, text).into_response())
}

fn registry(app: &App) -> Registry {
    let mut registry = Registry::with_prefix("auth_agent");
    requests(&mut registry, app);
    sign_ins(&mut registry, app);
    streams(&mut registry, app);
    log(&mut registry, app);
    secrets_and_limits(&mut registry, app);
    process(&mut registry, app);
    registry
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: impl TryInto<i64>) {
    let gauge = Gauge::<i64>::default();
    gauge.set(value.try_into().unwrap_or(i64::MAX));
    registry.register(name, help, gauge);
}

/// One family of counts that others keep, each under one value of one label.
fn counts(
    registry: &mut Registry,
    (name, label): (&str, &'static str),
    help: &str,
    values: impl IntoIterator<Item = (&'static str, u64)>,
) {
    let family = Family::<Label, Counter>::default();
    for (value, number) in values {
        family.get_or_create(&[(label, value)]).inc_by(number);
    }
    registry.register(name, help, family);
}

fn requests(registry: &mut Registry, app: &App) {
    let routes = &app.measures.routes;
    registry.register(
        "http_requests",
        "Requests by route, method and class of status",
        routes.answered.clone(),
    );
    registry.register(
        "http_request_seconds",
        "Seconds until a request was answered, without the body of the answer",
        routes.seconds.clone(),
    );
    let connections = &app.measures.connections;
    registry.register(
        "connections",
        "Connections that are open",
        connections.open.clone(),
    );
    counts(
        registry,
        ("connection_timeouts", "timeout"),
        "Connections and bodies that took too long, by timeout",
        [
            ("header", connections.slow_heads.get()),
            ("body", connections.slow_bodies.get()),
            ("idle", connections.idle.get()),
            ("unread", connections.unread.get()),
        ],
    );
    counts(
        registry,
        ("connections_without_room", "which"),
        "Idle connections that made way for new ones, and new ones that were turned away",
        [
            ("idle", connections.made_way.get()),
            ("new", connections.turned_away.get()),
        ],
    );
}

fn sign_ins(registry: &mut Registry, app: &App) {
    let steps = &app.measures.steps;
    for (name, help, step) in [
        (
            "authorize",
            "Sign-ins begun at /authorize, by what came of it: created, reloaded or an error",
            &steps.authorize,
        ),
        (
            "authenticate",
            "Calls of agents, by what came of it: authenticated or an error",
            &steps.authenticate,
        ),
        (
            "introspect",
            "Introspections, by what came of it: active, inactive or an error",
            &steps.introspect,
        ),
        (
            "revoke",
            "Revocations, by what came of it: ok or an error",
            &steps.revoke,
        ),
    ] {
        registry.register(name, help, step.clone());
    }
    registry.register(
        "token",
        "Calls of /token by grant type, and by what came of it: issued or an error",
        steps.token.clone(),
    );
    registry.register(
        "push_seconds",
        "Seconds from a sign-in's commit to its redirect on the way to the waiting page",
        steps.push_seconds.clone(),
    );
}

fn streams(registry: &mut Registry, app: &App) {
    gauge(
        registry,
        "waiting_streams",
        "Streams of waiting pages that are open",
        app.doorbells.open(),
    );
    let [by_browser, by_process] = app.doorbells.refused();
    counts(
        registry,
        ("waiting_streams_refused", "bound"),
        "Streams that were not opened, by the bound that was reached",
        [("browser", by_browser), ("process", by_process)],
    );
}

fn log(registry: &mut Registry, app: &App) {
    let head = *app.store.head().borrow();
    gauge(
        registry,
        "log_head",
        "Last position of the log that this node has seen",
        head,
    );
    let lag = Family::<Label, Gauge>::default();
    let measures = app.store.measures();
    for (name, read_to) in measures.followers() {
        let behind = i64::try_from(head.saturating_sub(read_to)).unwrap_or(i64::MAX);
        lag.get_or_create(&[("follower", name)]).set(behind);
    }
    registry.register(
        "follower_lag",
        "Positions of the log that a follower has not read yet",
        lag,
    );
    gauge(
        registry,
        "writer_queue",
        "Commands that wait for the writer of the log",
        app.store.queued(),
    );
    registry.register(
        "writer_batch_commands",
        "Commands that one transaction took in",
        measures.batch.clone(),
    );
    registry.register(
        "commit_seconds",
        "Seconds of one transaction of the log, from its begin to its commit",
        measures.commit_seconds.clone(),
    );
    registry.register(
        "commit_failures",
        "Transactions of the log that failed",
        measures.commit_failures.clone(),
    );
}

fn secrets_and_limits(registry: &mut Registry, app: &App) {
    let load = app.hasher.load();
    gauge(
        registry,
        "hash_running",
        "Secrets that are being hashed",
        load.running,
    );
    gauge(
        registry,
        "hash_queue",
        "Secrets that wait to be hashed",
        load.waiting,
    );
    registry.register(
        "hash_seconds",
        "Seconds that hashing a secret took, without the wait",
        app.hasher.seconds(),
    );
    counts(
        registry,
        ("limit_refusals", "limit"),
        "Calls that were over a limit, by limit",
        app.limits.refusals().into_iter().chain([
            ("pending_per_client", app.pending.refusals()),
            ("hash_queue", app.hasher.refusals()),
        ]),
    );
}

fn process(registry: &mut Registry, app: &App) {
    registry.register(
        "build",
        "The program that runs",
        Info::new([("version", env!("CARGO_PKG_VERSION"))]),
    );
    gauge(
        registry,
        "process_start_time_seconds",
        "When the server was started, in seconds since 1970",
        app.started_at.as_second(),
    );
    // Where there is no /proc, it says nothing rather than something wrong.
    if let Some(bytes) = resident_memory() {
        gauge(
            registry,
            "process_resident_memory_bytes",
            "Memory of the process that is in use",
            bytes,
        );
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        gauge(
            registry,
            "process_open_fds",
            "Descriptors of the process that are open",
            open.count(),
        );
    }
    if let Ok((soft, _)) = rlimit::Resource::NOFILE.get() {
        gauge(
            registry,
            "process_max_fds",
            "Descriptors that the process may have open",
            soft,
        );
    }
}

fn resident_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}
