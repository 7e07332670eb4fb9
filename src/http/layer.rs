//! What holds for every response: its headers, its `X-Request-Id`, one log line, and that a panic
//! in one handler is a 500 for its caller and nothing to the others.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, MatchedPath, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use futures_util::Stream;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tokio::time::Instant;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{Instrument, Span};

use super::{ApiError, measures::Measures, reload::Replaceable};
use crate::{config::TrustedProxies, edge, oauth::ErrorCode, trace};

/// The id of one HTTP request, in `X-Request-Id`, in every log line and in the events it causes.
#[derive(Debug, Clone)]
pub(crate) struct CallId(pub(crate) String);

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Wraps the whole router.
pub(crate) fn around<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    measures: Arc<Measures>,
    proxies: Arc<Replaceable<TrustedProxies>>,
) -> Router<S> {
    router
        .layer(CatchPanicLayer::custom(
            |panic: Box<dyn std::any::Any + Send>| {
                let words = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("no message");
                tracing::error!(panic = words, "a handler panicked");
                ApiError::new(
                    ErrorCode::ServerError,
                    "something went wrong here, not with your call",
                )
                .into_response()
            },
        ))
        .layer(middleware::from_fn_with_state(
            (measures, proxies),
            every_response,
        ))
}

async fn every_response(
    State((measures, proxies)): State<(Arc<Measures>, Arc<Replaceable<TrustedProxies>>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let call_id = call_id(&request);
    request.extensions_mut().insert(CallId(call_id.clone()));
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|info| info.0.ip());
    let is_proxy = || peer.is_some_and(|peer| proxies.get().trust(peer));
    let call = trace::Call::begun(&request, &call_id, is_proxy);
    let method = request.method().clone();
    // The path and never the query: `state`, codes and tokens travel there.
    let path = request.uri().path().to_owned();
    // Of the highest level, so that no filter of lines takes the id off those that are left.
    let span = tracing::error_span!("call", id = %call_id, %method, path);
    let answering = async {
        let response = next.run(request).await;
        tracing::debug!(status = response.status().as_u16(), "answered");
        response
    }
    .instrument(span);
    let mut response = call.within(answering).await;
    // A router within this one knows more of the path.
    let matched = response.extensions_mut().remove().or(matched);
    let template = matched.as_ref().map(MatchedPath::as_str);
    call.answered(template, response.status());
    let took = begun.elapsed();
    measures
        .routes
        .answered(template, &method, response.status(), took);
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    if let Ok(id) = HeaderValue::try_from(call_id) {
        headers.insert(X_REQUEST_ID, id);
    }
    response
}

/// Tells the layers around which path of a router within was called.
pub(crate) async fn tell_route(request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(matched) = matched {
        response.extensions_mut().insert(matched);
    }
    response
}

/// A body's stream, whose log lines bear the call's id as the handler's do: it is polled after the
/// handler has returned.
pub(crate) fn within_the_call<S: Stream>(stream: S) -> impl Stream<Item = S::Item> {
    let span = Span::current();
    let mut stream = Box::pin(stream);
    futures_util::stream::poll_fn(move |context| {
        let _entered = span.enter();
        stream.as_mut().poll_next(context)
    })
}

/// The caller's own id when it is a harmless one, else a fresh one.
fn call_id(request: &Request) -> String {
    let sent = request
        .headers()
        .get(X_REQUEST_ID)
        .and_then(|value| value.to_str().ok());
    let harmless = |id: &&str| {
        (8..=64).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    match sent.filter(harmless) {
        Some(id) => id.to_owned(),
        None => edge::new_event_id().to_string(),
    }
}

/// Cross-origin calls for what any website may read: discovery, keys, and the endpoints of public
/// clients. Never with credentials.
pub(crate) async fn open_to_all_origins(request: Request, next: Next) -> Response {
    const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let preflight = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if preflight {
        let mut response = (StatusCode::NO_CONTENT, Body::empty()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, OPTIONS"),
        );
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("authorization, content-type"),
        );
        headers.insert(
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from(A_DAY.as_secs()),
        );
        response
    } else {
        next.run(request).await
    };
    response.headers_mut().insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    response
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use axum::routing::get;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    async fn handler() -> Body {
        tracing::warn!("from the handler");
        Body::from_stream(within_the_call(async_stream::stream! {
            tracing::warn!("from the body");
            yield Ok::<_, io::Error>("x");
        }))
    }

    #[tokio::test]
    async fn lines_of_handler_and_body_bear_the_call_s_id_whatever_the_filter() {
        for filter in ["info", "warn"] {
            let lines = Lines::default();
            let writer = lines.clone();
            let subscriber = tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_ansi(false)
                .with_writer(move || writer.clone())
                .finish();
            let _default = tracing::subscriber::set_default(subscriber);
            let router = around(
                Router::new().route("/", get(handler)),
                Arc::new(Measures::new("")),
                Arc::new(Replaceable::new(TrustedProxies::default())),
            );
            let request = Request::get("/").header(X_REQUEST_ID, "call-0001");
            let response = router.oneshot(request.body(Body::empty()).unwrap()).await;
            response.unwrap().into_body().collect().await.unwrap();
            let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
            let bearing = text.lines().filter(|line| line.contains("call-0001"));
            assert_eq!(bearing.count(), 2, "{filter}: {text}");
        }
    }
}
