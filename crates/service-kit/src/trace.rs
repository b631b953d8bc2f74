//! Tracing: what one order went through, across services, outbox and topics.
//!
//! A span is recorded as a whole when it has ended, from what is known then: the place in the trace ([`TraceParent`], which travels
//! in headers), the place of its parent, and two times. Nothing is carried along by threads or tasks, so a batch of records can have
//! a span for each of them.
//!
//! Off unless `OTEL_EXPORTER_OTLP_ENDPOINT` is set. A trace is sampled at its beginning, and everybody after that does as its header
//! says (`ParentBased` in OpenTelemetry's words). What cannot be exported is lost, counted and said in the log; no request and no
//! record ever waits for it.

mod export;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;
use opentelemetry::KeyValue;
use shared_events::TraceParent;

pub use opentelemetry::trace::SpanKind;

use crate::settings::WrongSettings;
use export::Export;

/// How long the last spans may take at the end of a process.
const LAST: Duration = Duration::from_secs(2);

/// Where traces go, and how many.
#[derive(Debug, Clone, Args)]
pub struct TraceSettings {
    /// Export traces to this receiver (OTLP over HTTP, http://HOST:4318); off without it
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_parser = receiver)]
    pub otel_exporter_otlp_endpoint: Option<String>,

    /// Of the traces that begin here, which part is recorded: 0 to 1
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

/// Takes spans and exports them. Clones share one queue. The default is off: it takes nothing.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<Arc<Export>>);

impl Tracer {
    /// The tracer that the settings ask for. `service` and `instance` say who records. The receiver need not be there.
    pub fn new(
        settings: &TraceSettings,
        service: &'static str,
        instance: u32,
    ) -> Result<Self, WrongSettings> {
        let Some(endpoint) = &settings.otel_exporter_otlp_endpoint else {
            return Ok(Self::default());
        };
        let ratio = settings.otel_traces_sampler_arg;
        let export = Export::start(endpoint, ratio, service, instance)
            .map_err(|error| WrongSettings(format!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}")))?;
        tracing::info!(endpoint, ratio, "traces are exported");
        Ok(Self(Some(Arc::new(export))))
    }

    /// Whether anything is recorded at all.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether a span at this place is recorded.
    pub fn records(&self, place: TraceParent) -> bool {
        self.is_on() && place.is_sampled()
    }

    /// The place of a request that comes from outside, given the client's own place: a span below it if the client's trace is recorded
    /// here; else the client's place as it is; without one, the root of a new trace, which is sampled or not.
    pub fn enter(&self, client: Option<TraceParent>) -> TraceParent {
        match (client, &self.0) {
            (Some(place), _) if self.records(place) => place.new_child(),
            (Some(place), _) => place,
            (None, None) => TraceParent::random(),
            (None, Some(export)) => TraceParent::random().with_sampled(export.samples()),
        }
    }

    /// Records a span that ends now, if its trace is recorded.
    pub fn end(&self, span: Span) {
        if let Some(export) = &self.0
            && span.place.is_sampled()
        {
            export.offer(span, SystemTime::now());
        }
    }

    /// Exports what has not been yet, for at most two seconds.
    pub async fn stop(self) {
        let Some(export) = self.0 else { return };
        // It blocks, and the exporter's own client must not be ended on a worker of the runtime.
        let stopped = tokio::task::spawn_blocking(move || export.stop(LAST));
        if let Err(error) = stopped.await {
            tracing::warn!(%error, "the last spans are lost");
        }
    }
}

/// Something that took its time, for [`Tracer::end`].
#[derive(Debug, Clone)]
pub struct Span {
    name: Cow<'static, str>,
    kind: SpanKind,
    place: TraceParent,
    parent: Option<TraceParent>,
    started: SystemTime,
    attributes: Vec<KeyValue>,
    links: Vec<TraceParent>,
    error: Option<String>,
}

impl Span {
    /// A span at this place that began then, without a parent yet. `name` has few values, as OpenTelemetry wants it: an operation and
    /// what it is done to.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        place: TraceParent,
        started: SystemTime,
    ) -> Self {
        Self {
            name: name.into(),
            kind,
            place,
            parent: None,
            started,
            attributes: Vec::new(),
            links: Vec::new(),
            error: None,
        }
    }

    /// What it is a part of; nothing for the first span of a trace.
    pub fn part_of(mut self, parent: impl Into<Option<TraceParent>>) -> Self {
        self.parent = parent.into();
        self
    }

    /// Something about it, by a name of OpenTelemetry's semantic conventions where there is one.
    pub fn attribute(mut self, name: &'static str, value: impl Into<opentelemetry::Value>) -> Self {
        self.attributes.push(KeyValue::new(name, value));
        self
    }

    /// Spans of other traces that it has to do with.
    pub fn linked_to(mut self, places: impl IntoIterator<Item = TraceParent>) -> Self {
        self.links.extend(places);
        self
    }

    /// Why it failed, if it did.
    pub fn failed(mut self, error: Option<String>) -> Self {
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

    fn place(flags: &str) -> TraceParent {
        format!("{CLIENT}-{flags}").parse().unwrap()
    }

    #[test]
    fn a_trace_that_begins_here_is_sampled_by_the_ratio() {
        let sampled = |ratio| {
            let tracer = tracer(ratio);
            (0..4_000)
                .filter(|_| tracer.enter(None).is_sampled())
                .count()
        };
        assert_eq!((sampled(0.0), sampled(1.0)), (0, 4_000));
        // Ten standard deviations.
        assert!((730..=1_270).contains(&sampled(0.25)));
    }

    #[test]
    fn the_clients_trace_goes_on_as_the_client_says_and_unchanged_while_tracing_is_off() {
        for ratio in [0.0, 1.0] {
            let entered = tracer(ratio).enter(Some(place("01")));
            assert!(entered.is_sampled() && entered != place("01"), "{entered}");
            assert!(entered.to_string().starts_with(&CLIENT[..36]), "{entered}");
            assert_eq!(tracer(ratio).enter(Some(place("00"))), place("00"));
        }
        let off = Tracer::default();
        assert_eq!(off.enter(Some(place("01"))), place("01"));
        assert!(!off.enter(None).is_sampled());
    }

    #[test]
    fn a_receiver_is_an_http_address_and_a_ratio_a_part() {
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
