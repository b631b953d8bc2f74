//! OpenTelemetry traces of orders, across services, outbox and topics.
//!
//! A span is recorded as a whole after it has ended: its own span context and that of its parent
//! ([`TraceParent`], which headers and outbox rows carry), the start and the end. No thread and no
//! task holds a current span, so a batch of records can have one span a record.
//!
//! Tracing is off unless `OTEL_EXPORTER_OTLP_ENDPOINT` is set. The first span decides whether a
//! trace is sampled, and all later spans follow its header (OpenTelemetry's `ParentBased` sampler).
//! Spans that cannot be exported are dropped, counted and logged. No request and no record waits
//! for the export.
//!
//! tracing-opentelemetry is not used: its span ids come from a generator that knows no event, while
//! a republished event must carry the same id; it creates a span before the record's outcome is
//! known, and one `tracing` span a record costs more than the one comparison a batch that tracing
//! costs when it is off.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;
use opentelemetry::KeyValue;
use shared_events::TraceParent;

pub use opentelemetry::trace::SpanKind;

use crate::settings::InvalidSettings;
use crate::span_export::Export;

/// How long the export of the last spans may take at shutdown.
const SHUTDOWN_TIME: Duration = Duration::from_secs(2);

/// The receiver and the sampling ratio of traces.
#[derive(Debug, Clone, Args)]
pub struct TraceSettings {
    /// Export traces to this receiver (OTLP over HTTP, http://HOST:4318); off if not set
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_parser = receiver)]
    pub otel_exporter_otlp_endpoint: Option<String>,

    /// The share of new traces that is sampled: 0 to 1
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", default_value = "1", value_parser = ratio)]
    pub otel_traces_sampler_arg: f64,
}

fn receiver(text: &str) -> Result<String, &'static str> {
    let limit = "must be http://HOST:PORT, as in http://localhost:4318";
    let authority = text.trim_end_matches('/').strip_prefix("http://");
    let authority = authority
        .and_then(|rest| rest.parse::<axum::http::uri::Authority>().ok())
        .ok_or(limit)?;
    Ok(format!("http://{authority}"))
}

fn ratio(text: &str) -> Result<f64, &'static str> {
    let ratio = text.parse().ok();
    ratio
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or("must be a number from 0 to 1")
}

/// Records spans and exports them. Clones share one queue. The default records nothing.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<Arc<Export>>);

impl Tracer {
    /// The tracer for these settings. `service` and `instance` become resource attributes. The
    /// receiver may be unreachable.
    pub fn new(
        settings: &TraceSettings,
        service: &'static str,
        instance: u32,
    ) -> Result<Self, InvalidSettings> {
        let Some(endpoint) = &settings.otel_exporter_otlp_endpoint else {
            return Ok(Self::default());
        };
        let ratio = settings.otel_traces_sampler_arg;
        let export = Export::start(endpoint, ratio, service, instance)
            .map_err(|error| InvalidSettings(format!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}")))?;
        tracing::info!(endpoint, ratio, "traces are exported");
        Ok(Self(Some(Arc::new(export))))
    }

    /// Whether tracing is on.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether a span of this trace is recorded: tracing is on, and the trace is sampled.
    pub fn is_recorded(&self, span: TraceParent) -> bool {
        self.is_on() && span.is_sampled()
    }

    /// The span of a client's request: a child of the client's span if its trace is recorded, else
    /// the client's span unchanged. Without a client's span, the root of a new trace, sampled by
    /// the ratio.
    pub fn continue_trace(&self, client: Option<TraceParent>) -> TraceParent {
        match (client, &self.0) {
            (Some(span), _) if self.is_recorded(span) => span.new_child(),
            (Some(span), _) => span,
            (None, None) => TraceParent::random(),
            (None, Some(export)) => TraceParent::random().with_sampled(export.sample()),
        }
    }

    /// Records a span that ends now, if its trace is recorded.
    pub fn record(&self, span: Span) {
        if let Some(export) = &self.0
            && span.context.is_sampled()
        {
            export.enqueue(span, SystemTime::now());
        }
    }

    /// Exports the spans left in the queue, for at most two seconds.
    pub async fn stop(self) {
        let Some(export) = self.0 else { return };
        // It blocks, and the exporter's blocking client must not be dropped on a worker of the
        // runtime.
        let stopped = tokio::task::spawn_blocking(move || export.stop(SHUTDOWN_TIME));
        if let Err(error) = stopped.await {
            tracing::warn!(%error, "the last spans are dropped");
        }
    }
}

/// An operation that has ended, for [`Tracer::record`].
#[derive(Debug, Clone)]
pub struct Span {
    pub(crate) name: Cow<'static, str>,
    pub(crate) kind: SpanKind,
    pub(crate) context: TraceParent,
    pub(crate) parent: Option<TraceParent>,
    pub(crate) started: SystemTime,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) links: Vec<TraceParent>,
    pub(crate) error: Option<String>,
}

impl Span {
    /// A span with this context and start, without a parent. `name` is an operation and its object,
    /// with few different values.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        context: TraceParent,
        started: SystemTime,
    ) -> Self {
        Self {
            name: name.into(),
            kind,
            context,
            parent: None,
            started,
            attributes: Vec::new(),
            links: Vec::new(),
            error: None,
        }
    }

    /// Sets the parent; `None` for the root of a trace.
    pub fn child_of(mut self, parent: impl Into<Option<TraceParent>>) -> Self {
        self.parent = parent.into();
        self
    }

    /// Adds an attribute, named as in OpenTelemetry's semantic conventions.
    pub fn attribute(mut self, name: &'static str, value: impl Into<opentelemetry::Value>) -> Self {
        self.attributes.push(KeyValue::new(name, value));
        self
    }

    /// Adds links to spans of other traces.
    pub fn with_links(mut self, spans: impl IntoIterator<Item = TraceParent>) -> Self {
        self.links.extend(spans);
        self
    }

    /// Sets the error of a failed operation; `None` for a successful one.
    pub fn with_error(mut self, error: Option<String>) -> Self {
        self.error = error;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";

    fn tracer(ratio: f64) -> Tracer {
        let settings = TraceSettings {
            otel_exporter_otlp_endpoint: Some("http://127.0.0.1:9".to_owned()),
            otel_traces_sampler_arg: ratio,
        };
        Tracer::new(&settings, "test", 1).unwrap()
    }

    fn client_span(flags: &str) -> TraceParent {
        format!("{CLIENT}-{flags}").parse().unwrap()
    }

    #[test]
    fn a_new_trace_is_sampled_by_the_ratio() {
        let sampled = |ratio| {
            let tracer = tracer(ratio);
            (0..4_000)
                .filter(|_| tracer.continue_trace(None).is_sampled())
                .count()
        };
        assert_eq!((sampled(0.0), sampled(1.0)), (0, 4_000));
        // Ten standard deviations.
        assert!((730..=1_270).contains(&sampled(0.25)));
    }

    #[test]
    fn a_clients_trace_keeps_the_clients_sampling() {
        for ratio in [0.0, 1.0] {
            let continued = tracer(ratio).continue_trace(Some(client_span("01")));
            assert!(
                continued.is_sampled() && continued != client_span("01"),
                "{continued}"
            );
            assert!(
                continued.to_string().starts_with(&CLIENT[..36]),
                "{continued}"
            );
            assert_eq!(
                tracer(ratio).continue_trace(Some(client_span("00"))),
                client_span("00")
            );
        }
        let off = Tracer::default();
        assert_eq!(
            off.continue_trace(Some(client_span("01"))),
            client_span("01")
        );
        assert!(!off.continue_trace(None).is_sampled());
    }

    #[test]
    fn receiver_and_ratio_are_validated() {
        for good in ["http://localhost:4318", "http://jaeger:4318/"] {
            assert_eq!(receiver(good).unwrap(), good.trim_end_matches('/'));
        }
        for bad in ["", "localhost:4318", "https://x:1", "http://", "http://a/b"] {
            assert!(receiver(bad).is_err(), "{bad}");
        }
        for bad in ["-0.1", "1.1", "NaN", "all"] {
            assert!(ratio(bad).is_err(), "{bad}");
        }
        assert_eq!((ratio("0"), ratio("0.01")), (Ok(0.0), Ok(0.01)));
    }
}
