//! Spans for a collector of traces: each one, and every attribute that leaves the process with it, is
//! made here. Never a path, a query, a header or an id of anybody, so that nothing secret can be among
//! them. Without a collector they are disabled and cost next to nothing.

use std::future::Future;

use http::{Method, Request, StatusCode};
use tracing::{Instrument, Span, field::Empty};

use crate::domain::RequestId;

/// What these spans are told by. They are no log lines, and log lines are no part of them.
pub(crate) const TARGET: &str = "auth_agent::trace";

/// What a method is called that is none of HTTP's own (OpenTelemetry's semantic conventions).
const OTHER: &str = "_OTHER";

tokio::task_local! {
    /// The span of the call that is being answered.
    static CALL: Call;
}

/// The span of one HTTP request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    span: Span,
    method: &'static str,
}

impl Call {
    /// Begins with a request. Who calls us is a stranger, so the trace that it names (W3C Trace Context)
    /// is linked to and not gone on with, unless it `is_trusted`: a stranger could else choose what is
    /// sampled, and put its spans into traces of ours.
    pub(crate) fn begun<B>(
        request: &Request<B>,
        call_id: &str,
        is_trusted: impl FnOnce() -> bool,
    ) -> Self {
        let method = known(request.method());
        let span = tracing::error_span!(
            target: TARGET,
            "call",
            otel.kind = "server",
            otel.status_code = Empty,
            http.request.method = method,
            http.route = Empty,
            http.response.status_code = Empty,
            error.r#type = Empty,
            auth_agent.call_id = call_id,
            auth_agent.request_id = Empty,
        );
        if !span.is_disabled() {
            continued(&span, request, is_trusted);
        }
        Self { span, method }
    }

    /// What is done within it; what that does in turn is found below it.
    pub(crate) async fn within<T>(&self, doing: impl Future<Output = T>) -> T {
        if self.span.is_disabled() {
            return doing.await;
        }
        let doing = doing.instrument(self.span.clone());
        CALL.scope(self.clone(), doing).await
    }

    /// What was answered, by which route's template.
    pub(crate) fn answered(&self, route: Option<&str>, status: StatusCode) {
        if self.span.is_disabled() {
            return;
        }
        let verb = if self.method == OTHER {
            "HTTP"
        } else {
            self.method
        };
        let name = match route {
            Some(route) => {
                self.span.record("http.route", route);
                format!("{verb} {route}")
            }
            None => verb.to_owned(),
        };
        named(&self.span, name);
        self.span
            .record("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            self.span.record("otel.status_code", "ERROR");
            self.span.record("error.type", status.as_str());
        }
    }
}

/// Which sign-in the call that is being answered is about.
pub(crate) fn is_about(request: &RequestId) {
    // Elsewhere than in a call there is nothing to tell.
    let _ = CALL.try_with(|call| {
        call.span
            .record("auth_agent.request_id", tracing::field::display(request));
    });
}

/// The wait until something is durable.
pub(crate) fn commit() -> Span {
    tracing::error_span!(target: TARGET, "commit")
}

/// The wait until a secret is hashed.
pub(crate) fn hash() -> Span {
    tracing::error_span!(target: TARGET, "hash")
}

fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ];
    KNOWN
        .into_iter()
        .find(|name| *name == method.as_str())
        .unwrap_or(OTHER)
}

#[cfg(feature = "otel")]
fn continued<B>(span: &Span, request: &Request<B>, is_trusted: impl FnOnce() -> bool) {
    use opentelemetry::{Context, propagation::TextMapPropagator, trace::TraceContextExt};
    use opentelemetry_http::HeaderExtractor;
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    let headers = HeaderExtractor(request.headers());
    let caller = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
    let named = caller.span().span_context().clone();
    if !named.is_valid() {
        return;
    }
    if is_trusted() {
        // A span that has just been made takes any parent.
        let _ = span.set_parent(caller);
    } else {
        span.add_link(named);
    }
}

/// A span's name can be recorded only before it has begun; what is known at its end is told this way.
#[cfg(feature = "otel")]
fn named(span: &Span, name: String) {
    use opentelemetry::trace::TraceContextExt;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    span.context().span().update_name(name);
}

#[cfg(not(feature = "otel"))]
fn named(_: &Span, _: String) {}

#[cfg(not(feature = "otel"))]
fn continued<B>(_: &Span, _: &Request<B>, _: impl FnOnce() -> bool) {}
