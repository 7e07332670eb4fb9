//! The running server, and the same router without a listener for the local operator.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use futures_util::{Stream, StreamExt};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    StartError,
    admin::Administrator,
    app::App,
    background::{Parts, end_with_the_writer, sweep},
    bootstrap::{self, Started},
    failures::Failures,
    first_start::FirstStart,
    listen::{GRACE, Listening},
    reload::Reloader,
    room,
    router::{Served, router},
    whereabouts::Whereabouts,
};
use crate::{
    config::Config,
    crypto::Secret,
    domain::AdminRole,
    store::{self, AuditFilter, Store, StoreError, StoreGuard, follow, hear_others, retain, tail},
};

/// How long everything else may take besides the requests in flight once the server is to stop.
const MARGIN: Duration = Duration::from_millis(500);

/// A server that listens.
pub struct Server {
    address: SocketAddr,
    administration: Option<SocketAddr>,
    issuer: String,
    notices: Vec<String>,
    first_admin_key: Option<Secret>,
    reloader: Reloader,
    store: Arc<Store>,
    failures: Arc<Failures>,
    stop: CancellationToken,
    parts: Parts,
    guard: StoreGuard,
}

impl Server {
    /// Opens (or makes) database and keys, and listens.
    ///
    /// # Errors
    ///
    /// [`StartError`], one clear line.
    pub async fn start(config: &Config, first: FirstStart) -> Result<Self, StartError> {
        let failed = |error| StartError::Listen(config.listen, error);
        let listener = match TcpListener::bind(config.listen).await {
            Ok(listener) => listener,
            // With the very same settings it is the other server's file that matters, not its port.
            Err(error) => {
                return Err(store::in_use(&config.database_url())
                    .map_or_else(|| failed(error), StartError::Store));
            }
        };
        let address = listener.local_addr().map_err(failed)?;
        let apart = match config.admin_listen {
            Some(address) => Some(
                TcpListener::bind(address)
                    .await
                    .map_err(|error| StartError::AdminListen(address, error))?,
            ),
            None => None,
        };
        let administration = apart.as_ref().and_then(|apart| apart.local_addr().ok());
        let issuer = config.issuer_at(address);
        let stop = CancellationToken::new();
        let started = bootstrap::start(config, issuer.clone(), stop.clone(), first).await?;
        let Started {
            app,
            guard,
            notices,
            first_admin_key,
        } = started;
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        warn_of_no_way_in(config, &app).await?;
        let store = Arc::clone(&app.store);
        let failures = Arc::clone(&app.failures);
        let listeners = Arc::new(app.listeners());
        let reloader = Reloader::of(&app);
        let keys = Arc::clone(&app.keys);

        let mut parts = Parts::default();
        // From here on, before anybody can subscribe.
        let others = hear_others(Arc::clone(&store), listeners, stop.clone());
        let app = Arc::new(app);
        let most = room::connections(bootstrap::descriptors());
        let mut listen = |name, listener, served, most| {
            let router = router(Arc::clone(&app), served);
            let (timeouts, measures) = (config.timeouts(), Arc::clone(&app.measures.connections));
            let listening = Listening::new(router, timeouts, measures, stop.clone(), most);
            parts.spawn(name, listening.run(listener));
        };
        match apart {
            None => listen("listener", listener, Served::Everything, most),
            Some(apart) => {
                if let Some(address) = administration {
                    tracing::info!(%address, "administration and metrics are served apart");
                }
                listen("listener", listener, Served::WithoutAdministration, most);
                listen(
                    "administration",
                    apart,
                    Served::Administration,
                    room::OF_ADMINISTRATION,
                );
            }
        }
        Whereabouts::new(&issuer, administration.unwrap_or(address)).leave(&config.database_url());
        parts.spawn("projections", follow(Arc::clone(&store), stop.clone()));
        parts.spawn("other nodes' appends", others);
        parts.spawn("keys", keys.keep(stop.clone()));
        parts.spawn(
            "credential failures",
            Arc::clone(&failures).keep(Arc::clone(&store), stop.clone()),
        );
        parts.spawn(
            "end with the writer",
            end_with_the_writer(Arc::clone(&store), stop.clone()),
        );
        parts.spawn("sweep", sweep(Arc::clone(&app), stop.clone()));
        parts.spawn(
            "archive",
            retain(Arc::clone(&store), config.retention(), stop.clone()),
        );
        Ok(Self {
            address,
            administration,
            issuer,
            notices,
            first_admin_key,
            reloader,
            store,
            failures,
            stop,
            parts,
            guard,
        })
    }

    /// The address it listens on.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The address that administration has of its own, if one is set.
    #[must_use]
    pub const fn administration(&self) -> Option<SocketAddr> {
        self.administration
    }

    /// The issuer (RFC 8414 §2).
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What the first start made, one human line each.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// The first admin key, on the first start only.
    #[must_use]
    pub const fn first_admin_key(&self) -> Option<&Secret> {
        self.first_admin_key.as_ref()
    }

    /// Every event as it is appended, from now on.
    pub fn events(&self) -> impl Stream<Item = Value> + Send + use<> {
        let filter = AuditFilter {
            after: *self.store.head().borrow(),
            limit: 100,
            ..AuditFilter::default()
        };
        let pages = tail(Arc::clone(&self.store), filter, self.stop.clone());
        pages
            .flat_map(futures_util::stream::iter)
            .filter_map(|entry| async move { serde_json::from_str(entry.text.get()).ok() })
    }

    /// Takes up settings while the server runs.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Cancelling it stops the server in good order.
    #[must_use]
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Waits until the server was told to stop, and then until streams have ended, requests in
    /// flight are answered, and everything is committed.
    pub async fn wait(self) {
        let Self {
            store,
            failures,
            stop,
            mut parts,
            guard,
            ..
        } = self;
        parts.until_one_fails(&stop).await;
        if !parts.finish(GRACE + MARGIN).await {
            tracing::warn!("some requests took too long and were cut off");
        }
        failures.finish(&store, MARGIN).await;
        drop(store);
        // Connections that were cut off may be reading a moment longer.
        if tokio::time::timeout(Duration::from_secs(1), guard.finished())
            .await
            .is_err()
        {
            tracing::warn!(
                "the database was not closed in good order; nothing that was answered is lost"
            );
        }
    }
}

/// Says when nobody could administer, and the way out.
async fn warn_of_no_way_in(config: &Config, app: &App) -> Result<(), StoreError> {
    if config.admin_key.is_some() {
        return Ok(());
    }
    let keys = app.store.list_admin_keys(None, u32::MAX).await?.items;
    if !keys.iter().any(|key| key.role == AdminRole::Admin) {
        // Where nodes share a database no job opens it by itself.
        let way_in = if app.store.is_shared() {
            "set AUTH_AGENT_ADMIN_KEY and start it again"
        } else {
            "stop the server and run `auth-agent admin-key create --name NAME --role admin`, or set \
             AUTH_AGENT_ADMIN_KEY and start it again"
        };
        tracing::warn!(
            "nobody can administer this server, for no key of role admin lives: {way_in}"
        );
    }
    Ok(())
}

/// The router without a listener, for commands that open the database themselves, under the very
/// lock that a server takes. Calls through it are the local operator's.
pub struct LocalApi {
    base_path: String,
    router: Router,
    guard: StoreGuard,
}

impl LocalApi {
    /// Opens (or makes) database and keys.
    ///
    /// # Errors
    ///
    /// [`StartError`], one clear line.
    pub async fn open(config: &Config) -> Result<Self, StartError> {
        let issuer = config.issuer_at(config.listen);
        let first = FirstStart {
            keeps_admin_key: true,
            new_database: false,
        };
        let started = bootstrap::start(config, issuer, CancellationToken::new(), first).await?;
        let app: App = started.app;
        Ok(Self {
            base_path: app.base_path.clone(),
            router: router(Arc::new(app), Served::Everything),
            guard: started.guard,
        })
    }

    /// Makes one call; `path` begins at the issuer.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base_path))
            .header(header::CONTENT_TYPE, "application/json")
            .extension(Administrator::local())
            .body(body);
        let Ok(request) = request else {
            return (StatusCode::BAD_REQUEST, Value::Null);
        };
        let response = match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let status = response.status();
        let body = response
            .into_body()
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        let value = body
            .ok()
            .and_then(|body| serde_json::from_slice(&body).ok());
        (status, value.unwrap_or_default())
    }

    /// Closes the database.
    pub async fn close(self) {
        let Self { router, guard, .. } = self;
        drop(router);
        guard.finished().await;
    }
}
