//! The export of spans: a bounded queue, and a thread that exports it once a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Link, SpanContext, SpanId, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanEvents, SpanExporter, SpanLinks,
    SpanProcessor,
};
use reqwest::blocking::Client;
use shared_events::TraceParent;

use crate::trace::Span;

/// Most spans in the queue, about 16 MB: one second of a service under full load with all traces
/// sampled.
const QUEUE: usize = 16_384;

/// Most spans of one request.
const REQUEST_SPANS: usize = 1_024;

/// How often the queue is exported.
const EXPORT_INTERVAL: Duration = Duration::from_secs(1);

/// How long one request may take.
const REQUEST_TIME: Duration = Duration::from_secs(2);

/// The queue and the thread that exports it.
#[derive(Debug)]
pub(crate) struct Export {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
    ratio: f64,
    stats: Arc<ExportStats>,
}

#[derive(Debug, Default)]
struct ExportStats {
    queued: AtomicUsize,
    /// Since the last successful export.
    dropped: AtomicU64,
}

/// The OTLP exporter, with a count of queued and dropped spans.
#[derive(Debug)]
struct CountingExporter {
    otlp: opentelemetry_otlp::SpanExporter,
    stats: Arc<ExportStats>,
}

impl Export {
    pub(crate) fn start(
        endpoint: &str,
        ratio: f64,
        service: &'static str,
        instance: u32,
    ) -> Result<Self, ExporterBuildError> {
        let otlp = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(direct_client()?)
            .with_endpoint(format!("{endpoint}/v1/traces"))
            .build()?;
        let stats = Arc::new(ExportStats::default());
        let exporter = CountingExporter {
            otlp,
            stats: Arc::clone(&stats),
        };
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(REQUEST_SPANS)
            .with_scheduled_delay(EXPORT_INTERVAL)
            .build();
        let mut processor = BatchSpanProcessor::new(exporter, config);
        processor.set_resource(
            &Resource::builder_empty()
                .with_service_name(service)
                .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
                .with_attribute(KeyValue::new("service.instance.id", instance.to_string()))
                .build(),
        );
        Ok(Self {
            processor,
            scope: InstrumentationScope::builder("saga-sandbox").build(),
            ratio,
            stats,
        })
    }

    /// Whether a new trace is sampled.
    pub(crate) fn sample(&self) -> bool {
        fastrand::f64() < self.ratio
    }

    /// Adds a span to the queue, or drops it if the queue is full.
    pub(crate) fn enqueue(&self, span: Span, ended: SystemTime) {
        if self.stats.queued.fetch_add(1, Ordering::Relaxed) >= QUEUE {
            self.stats.queued.fetch_sub(1, Ordering::Relaxed);
            self.stats.dropped(1, "the queue is full");
            return;
        }
        self.processor.on_end(self.data(span, ended));
    }

    pub(crate) fn stop(&self, within: Duration) {
        if let Err(error) = self.processor.shutdown_with_timeout(within) {
            tracing::warn!(%error, "the last spans may be dropped");
        }
    }

    fn data(&self, span: Span, ended: SystemTime) -> SpanData {
        // Without the SDK's limit of 128 links: the size of a batch is already limited.
        let mut links = SpanLinks::default();
        let linked = span.links.iter().copied();
        links.links = linked
            .map(|span| Link::with_context(span_context(span)))
            .collect();
        SpanData {
            span_context: span_context(span.context),
            parent_span_id: span
                .parent
                .map_or(SpanId::INVALID, |parent| SpanId::from(parent.span_id())),
            parent_span_is_remote: false,
            span_kind: span.kind,
            name: span.name,
            start_time: span.started,
            end_time: ended.max(span.started),
            attributes: span.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status: span.error.map_or(Status::Unset, Status::error),
            instrumentation_scope: self.scope.clone(),
        }
    }
}

/// A client that ignores the environment's proxy settings. It is created on a thread of its own,
/// because creating a blocking client panics inside an async runtime.
fn direct_client() -> Result<Client, ExporterBuildError> {
    let build = || Client::builder().no_proxy().timeout(REQUEST_TIME).build();
    let built = std::thread::spawn(build).join();
    let built = built.map_err(|_| "creating an HTTP client panicked".to_owned());
    built
        .and_then(|client| client.map_err(|error| error.to_string()))
        .map_err(ExporterBuildError::InternalFailure)
}

fn span_context(span: TraceParent) -> SpanContext {
    SpanContext::new(
        TraceId::from(span.trace_id()),
        SpanId::from(span.span_id()),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    )
}

impl ExportStats {
    /// Logs the first dropped spans after a successful export.
    fn dropped(&self, spans: usize, why: &str) {
        if self.dropped.fetch_add(spans as u64, Ordering::Relaxed) == 0 {
            tracing::warn!(why, "spans are dropped");
        }
    }

    fn exported(&self) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::info!(dropped, "spans are exported again");
        }
    }
}

impl SpanExporter for CountingExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.otlp.export(batch).await;
        self.stats.queued.fetch_sub(spans, Ordering::Relaxed);
        match &result {
            Ok(()) => self.stats.exported(),
            Err(error) => self.stats.dropped(spans, &error.to_string()),
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.otlp.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.otlp.set_resource(resource);
    }
}
