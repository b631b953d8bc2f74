//! From a span to the receiver: a bounded queue, and a thread that empties it once a second.

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

use super::Span;

/// Most spans that wait to be exported, about 16 MB: a second of a service under full load of which everything is recorded.
const QUEUE: usize = 16_384;

/// Spans of one request.
const PAGE: usize = 1_024;

/// How soon a span is seen.
const DELAY: Duration = Duration::from_secs(1);

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The queue and the thread behind it.
#[derive(Debug)]
pub(super) struct Export {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
    ratio: f64,
    fate: Arc<Fate>,
}

/// What became of the spans.
#[derive(Debug, Default)]
struct Fate {
    waiting: AtomicUsize,
    lost: AtomicU64,
}

/// Sends a page, and knows whether it arrived.
#[derive(Debug)]
struct Sender {
    otlp: opentelemetry_otlp::SpanExporter,
    fate: Arc<Fate>,
}

impl Export {
    pub(super) fn start(
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
        let fate = Arc::new(Fate::default());
        let sender = Sender {
            otlp,
            fate: Arc::clone(&fate),
        };
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(PAGE)
            .with_scheduled_delay(DELAY)
            .build();
        let mut processor = BatchSpanProcessor::new(sender, config);
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
            fate,
        })
    }

    /// Whether a trace that begins now is sampled.
    pub(super) fn samples(&self) -> bool {
        fastrand::f64() < self.ratio
    }

    /// Queues a span that ended then; loses it if the queue is full.
    pub(super) fn offer(&self, span: Span, ended: SystemTime) {
        if self.fate.waiting.fetch_add(1, Ordering::Relaxed) >= QUEUE {
            self.fate.waiting.fetch_sub(1, Ordering::Relaxed);
            self.fate.lose(1, "too many spans wait");
            return;
        }
        self.processor.on_end(self.data(span, ended));
    }

    pub(super) fn stop(&self, within: Duration) {
        if let Err(error) = self.processor.shutdown_with_timeout(within) {
            tracing::warn!(%error, "the last spans may be lost");
        }
    }

    fn data(&self, span: Span, ended: SystemTime) -> SpanData {
        // All of them, beyond the 128 of OpenTelemetry's SDKs: a batch is bounded by itself.
        let mut links = SpanLinks::default();
        let places = span.links.iter().copied();
        links.links = places
            .map(|place| Link::with_context(context(place)))
            .collect();
        SpanData {
            span_context: context(span.place),
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

/// A client that asks the receiver itself, whatever proxy the environment names. Made on a thread of its own, since making a blocking
/// one panics where async work is done.
fn direct_client() -> Result<Client, ExporterBuildError> {
    let make = || Client::builder().no_proxy().timeout(TIMEOUT).build();
    let made = std::thread::spawn(make).join();
    let made = made.map_err(|_| "making an HTTP client panicked".to_owned());
    made.and_then(|client| client.map_err(|error| error.to_string()))
        .map_err(ExporterBuildError::InternalFailure)
}

fn context(place: TraceParent) -> SpanContext {
    SpanContext::new(
        TraceId::from(place.trace_id()),
        SpanId::from(place.span_id()),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    )
}

impl Fate {
    /// Says so once, and not again until spans arrive.
    fn lose(&self, spans: usize, why: &str) {
        if self.lost.fetch_add(spans as u64, Ordering::Relaxed) == 0 {
            tracing::warn!(why, "spans are lost");
        }
    }

    fn arrived(&self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::info!(lost, "spans are exported again");
        }
    }
}

impl SpanExporter for Sender {
    async fn export(&self, page: Vec<SpanData>) -> OTelSdkResult {
        let spans = page.len();
        let sent = self.otlp.export(page).await;
        self.fate.waiting.fetch_sub(spans, Ordering::Relaxed);
        match &sent {
            Ok(()) => self.fate.arrived(),
            Err(error) => self.fate.lose(spans, &error.to_string()),
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.otlp.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.otlp.set_resource(resource);
    }
}
