//! One member of a consumer group, on a thread of its own: collect, apply, commit, again.
//!
//! Parallelism comes from more members and from batches, not from tasks per record. So the order of a partition is kept
//! without any further work, and everything between two polls is one function: `ConsumerLoop::run_once`.

mod batch_failure;
mod batch_outcome;
mod batch_telemetry;
mod classify;
mod collect;
mod conditions;
mod consumer_loop;
pub(crate) mod loss_watch;
mod pause_state;
mod poison_policy;
mod report_losses;
mod retries;
mod simulated_work;
mod threads;

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::Registry;
use rdkafka::error::KafkaError;
use service_kit::readiness::Readiness;
use service_kit::settings::InvalidSettings;
use service_kit::trace::Tracer;
use shared_events::Service;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::client::{self, BrokerHealth, ClientKind, Criticality};
use crate::controls::Controls;
use crate::controls::control_topic_reader::ControlTopicReader;
use crate::database::LockWaits;
use crate::faults::Faults;
use crate::handler::Handler;
use crate::librdkafka::{self, ResilientConsumer};
use crate::member::consumer_loop::ConsumerLoop;
use crate::member::threads::{MEMBER, READER, catch_panic, panicked, thread};
use crate::metrics::MemberMetrics;
use crate::retry::RetrySettings;
use crate::settings::{ConsumerSettings, ConsumerTuning, FaultSettings, KafkaSettings};
use crate::topic_partitions::TopicNames;
use crate::topic_watch::TopicWatch;

pub use crate::librdkafka::ConsumerFatal;
pub use crate::member::simulated_work::Clock;

/// What a member is started with.
#[derive(Debug, Clone)]
pub struct MemberSettings {
    /// The service. Its group, topics and dead-letter topic follow from it.
    pub service: Service,
    /// The broker.
    pub kafka: KafkaSettings,
    /// Batches, delivery, poison.
    pub consumer: ConsumerSettings,
    /// librdkafka settings that the environment changes.
    pub tuning: ConsumerTuning,
    /// What becomes of a record that failed for now. The default unless the service sets it.
    pub retry: RetrySettings,
    /// Faults on purpose.
    pub faults: Faults,
    /// What the service is worth without Kafka.
    pub criticality: Criticality,
    /// How simulated work waits.
    pub clock: Clock,
    /// The recorder of spans.
    pub tracer: Tracer,
    /// The lock waits of the service's database, which explain a failing batch.
    pub lock_waits: LockWaits,
    /// How long a commit may go unanswered before the consumer is replaced. [`MemberSettings::COMMIT_LIMIT`] outside tests.
    pub commit_limit: Duration,
}

impl MemberSettings {
    /// The default of `commit_limit`: 75 s, longer than any of librdkafka's own time-outs.
    pub const COMMIT_LIMIT: Duration = librdkafka::COMMIT_LIMIT;

    /// The settings of a service's member, with those of the environment (`KAFKA_CONSUMER_*`).
    ///
    /// # Errors
    /// A rule between the settings is broken, or a variable of the environment is unknown.
    pub fn new(
        service: Service,
        criticality: Criticality,
        kafka: KafkaSettings,
        consumer: ConsumerSettings,
        faults: &FaultSettings,
    ) -> Result<Self, InvalidSettings> {
        // A variable that is not Unicode is none of ours.
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let tuning = ConsumerTuning::from_variables(variables).map_err(InvalidSettings)?;
        consumer
            .require_rejoin(&kafka, &tuning)
            .map_err(InvalidSettings)?;
        Ok(Self {
            service,
            kafka,
            consumer,
            tuning,
            faults: faults
                .faults()
                .map_err(|error| InvalidSettings(error.to_string()))?,
            retry: RetrySettings::default(),
            criticality,
            clock: Clock::default(),
            tracer: Tracer::default(),
            lock_waits: LockWaits::default(),
            commit_limit: Self::COMMIT_LIMIT,
        })
    }
}

/// Why a member could not be started. Retrying does not help.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// librdkafka refuses a setting.
    #[error("librdkafka refuses a setting")]
    Client(#[from] KafkaError),
    /// A metric is registered twice.
    #[error("the metrics of the consumer could not be registered")]
    Metrics(#[from] prometheus::Error),
    /// The system refuses a thread.
    #[error("the consumer's thread could not be started")]
    Thread(#[from] std::io::Error),
}

/// Why a member ended by itself. The process should end with it.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// The client reports a fatal error. For example another process joined with the same `group.instance.id`.
    #[error(transparent)]
    Consumer(#[from] ConsumerFatal),
    /// Another process uses this `SLOT`.
    #[error("another process runs with the same SLOT: each keeps fencing the other")]
    SlotTaken,
    /// A thread of the member panicked. It is a bug of this crate, since the panics of handlers are caught.
    #[error("the thread \"{thread}\" of the consumer panicked: {panic}")]
    Panicked {
        /// The name of the thread.
        thread: &'static str,
        /// What it panicked with.
        panic: String,
    },
}

/// A running member of a consumer group.
pub struct Member {
    controls: Controls,
    stop: CancellationToken,
    ended: oneshot::Receiver<Result<(), MemberError>>,
}

impl Member {
    /// Starts a member. `instance` is its number in metrics and HTTP responses.
    ///
    /// The member joins its group as soon as the broker is up, in whatever order processes start. It takes its first record
    /// when it has read its group's settings from `sandbox.controls`. Must be called inside a Tokio runtime, which then runs
    /// [`Handler::apply`].
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start<H: Handler>(
        settings: MemberSettings,
        instance: u32,
        handler: H,
        readiness: &Readiness,
        registry: &Registry,
    ) -> Result<Self, StartError> {
        let instance_id = instance.to_string();
        let names = topic_names(&settings);
        let controls = Controls::new(
            settings.service,
            &instance_id,
            settings.kafka.name_prefix.group(settings.service),
            names.clone(),
            settings.consumer.controls(),
            settings.faults.clone(),
        );
        let topic_watch = TopicWatch::new(names.clone());
        let metrics = MemberMetrics::new(registry, &instance_id, &names)?;
        let health = BrokerHealth::new(readiness.component("kafka"), settings.criticality);
        let consumer = ResilientConsumer::subscribe(
            client::consumer_config(
                settings.service,
                &settings.kafka,
                &settings.consumer,
                &settings.tuning,
            ),
            names,
            health
                .clone()
                .with_metrics(registry, ClientKind::Consumer)?,
            metrics.rebalances.clone(),
            settings.commit_limit,
        )?;
        let health = health.with_metrics(registry, ClientKind::Producer)?;
        let stop = CancellationToken::new();
        let reader = ControlTopicReader::new(
            settings.service,
            &settings.kafka,
            topic_watch.clone(),
            controls.clone(),
            metrics.ignored_controls.clone(),
            stop.clone(),
        )?;
        let consumer_loop = ConsumerLoop::new(
            settings,
            handler,
            consumer,
            health,
            controls.clone(),
            topic_watch,
            stop.clone(),
            metrics,
            readiness.component("consumer"),
        );
        Ok(Self::spawn(consumer_loop, reader, controls, stop)?)
    }

    fn spawn<H: Handler>(
        consumer_loop: ConsumerLoop<H>,
        reader: ControlTopicReader,
        controls: Controls,
        stop: CancellationToken,
    ) -> std::io::Result<Self> {
        let (end, ended) = oneshot::channel();
        let reader_panic = Arc::new(OnceLock::new());
        let (panicked, stopped) = (Arc::clone(&reader_panic), stop.clone());
        // The reader ends with the member, and its end needs no wait. A member whose reader is gone would keep the settings of
        // that moment for ever, so the member then ends too.
        thread(READER).spawn(move || {
            if let Err(panic) = catch_panic(|| reader.run()) {
                // It fails if the cell is full, and this is the only place that fills it.
                let _ = panicked.set(panic);
                stopped.cancel();
            }
        })?;
        thread(MEMBER).spawn(move || consumer_loop.run(&reader_panic, end))?;
        Ok(Self {
            controls,
            stop,
            ended,
        })
    }

    /// The controls of this member.
    pub fn controls(&self) -> Controls {
        self.controls.clone()
    }

    /// Runs until `shutdown`, then commits the current batch and leaves the group. After `drain` the batch is abandoned, and
    /// redelivered to the member that gets its partitions. A member that ends by itself cancels `shutdown`, so that the service
    /// ends with it.
    ///
    /// # Errors
    /// See [`MemberError`].
    pub async fn run(
        self,
        shutdown: CancellationToken,
        drain: Duration,
    ) -> Result<(), MemberError> {
        let (stop, controls) = (self.stopper(), self.controls());
        let mut ended = pin!(self.ended());
        let result = tokio::select! {
            result = &mut ended => result,
            () = shutdown.cancelled() => {
                stop();
                timeout(drain, ended).await.unwrap_or_else(|_| {
                    let drain = drain.as_secs_f64();
                    match controls.stats().running {
                        true => tracing::warn!(
                            drain.seconds = drain,
                            "drain timed out: a batch that is not committed will be redelivered, after the session time-out"
                        ),
                        false => tracing::warn!(
                            drain.seconds = drain,
                            "drain timed out before the member was out of its group: its partitions are blocked until the session time-out"
                        ),
                    }
                    Ok(())
                })
            }
        };
        shutdown.cancel();
        result
    }

    /// A function that makes the member commit its batch, leave its group and end.
    pub fn stopper(&self) -> impl Fn() + Send + Sync + use<> {
        let stop = self.stop.clone();
        move || stop.cancel()
    }

    /// Waits until the member has ended: after its stopper was called, or by itself.
    ///
    /// # Errors
    /// See [`MemberError`].
    pub async fn ended(self) -> Result<(), MemberError> {
        // The sender is dropped without a result only if the thread's last statements panicked.
        let ended = self.ended.await;
        ended.unwrap_or_else(|_| Err(panicked(MEMBER, "at its end")))
    }
}

fn topic_names(settings: &MemberSettings) -> TopicNames {
    let prefix = &settings.kafka.name_prefix;
    let topics = settings.service.consumes().iter();
    TopicNames::new(topics.map(|topic| (*topic, prefix.topic(*topic))))
}
