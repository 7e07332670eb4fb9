//! Export of traces to an OpenTelemetry collector, over OTLP/HTTP. What is set is set by OpenTelemetry's
//! own variables (`OTEL_…`); without an endpoint nothing is exported.

use std::{
    env,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData},
};

use tracing_subscriber::{Layer, filter::dynamic_filter_fn};

use super::{Failure, logging::SpanLayer};
use crate::trace;

/// What the server is called in traces unless `OTEL_SERVICE_NAME` names it.
const SERVICE_NAME: &str = "auth-agent";

/// A running export.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Sets it up if an endpoint is set: spans wait in a bounded queue, apart from what they are about,
    /// and are dropped when that is full.
    pub(crate) fn start() -> Result<(Option<Self>, Option<SpanLayer>), Failure> {
        if !is_wanted() {
            return Ok((None, None));
        }
        let sender = SpanExporter::builder()
            .with_http()
            .build()
            .map_err(|error| Failure::usage(format!("cannot export traces: {error}")))?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_batch_exporter(Telling::new(sender))
            .build();
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(SERVICE_NAME))
            // Names of source files and threads tell nothing of a call.
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            // Asked each time, as that of the lines is (see `logging`).
            .with_filter(dynamic_filter_fn(|metadata, _| {
                metadata.target() == trace::TARGET
            }));
        Ok((Some(Self { provider }), Some(Box::new(layer))))
    }

    /// Sends what is left, within that time.
    pub(crate) async fn finish(self, within: Duration) {
        let finish = move || self.provider.shutdown_with_timeout(within);
        let finished = tokio::task::spawn_blocking(finish);
        // What does not get through is lost, as it is while the server runs.
        let _ = tokio::time::timeout(within, finished).await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "OpenTelemetry's variables are its own, the same for every program"
)]
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn is_wanted() -> bool {
    let is = |name, value: &str| variable(name).is_some_and(|set| set.eq_ignore_ascii_case(value));
    let endpoint = [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    ];
    endpoint.into_iter().any(|name| variable(name).is_some())
        && !is("OTEL_SDK_DISABLED", "true")
        && !is("OTEL_TRACES_EXPORTER", "none")
}

fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_attribute(version);
    let named = variable("OTEL_SERVICE_NAME").is_some()
        || variable("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|set| set.contains("service.name="));
    if named {
        builder.build()
    } else {
        builder.with_service_name(SERVICE_NAME).build()
    }
}

/// Says once that the collector is away, and once that it is back.
#[derive(Debug)]
struct Telling {
    sender: SpanExporter,
    is_away: AtomicBool,
}

impl Telling {
    const fn new(sender: SpanExporter) -> Self {
        Self {
            sender,
            is_away: AtomicBool::new(false),
        }
    }
}

impl opentelemetry_sdk::trace::SpanExporter for Telling {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let sent = self.sender.export(batch).await;
        let was_away = self.is_away.swap(sent.is_err(), Ordering::Relaxed);
        match &sent {
            Err(error) if !was_away => tracing::warn!(
                %error,
                "traces cannot be sent to their collector: they are dropped until it is there again"
            ),
            Ok(()) if was_away => tracing::info!("traces reach their collector again"),
            _ => {}
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.sender.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.sender.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.sender.set_resource(resource);
    }
}
