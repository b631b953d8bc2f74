//! One member of a consumer group, on a thread of its own: collect, process, settle, and again.
//!
//! Parallelism comes from more members and from batches, not from tasks per record: so the order of a partition holds by
//! itself, and the whole of what happens between two polls can be read from top to bottom in `turn`.
//!
//! There is **one failure path** for everything that is not poison: nothing is settled; each partition of the batch that is
//! still ours is sought back to the batch's first offset; a short wait; the next poll. It keeps the member in its group for as
//! long as an outage lasts. Nothing else rewinds a position: who only logs and goes on skips a batch for ever.

pub(crate) mod assignment;
pub(crate) mod batch;
mod halt;
mod plan;
mod process;
mod rewind;
mod simulated;
pub(crate) mod spans;
mod standing;
mod turn;
pub(crate) mod verdict;

use std::pin::pin;
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus::Registry;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use service_kit::readiness::Readiness;
use service_kit::settings::WrongSettings;
use service_kit::trace::Tracer;
use shared_events::Service;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::client::{self, Connection, Need};
use crate::controls::Controls;
use crate::controls::group::Follower;
use crate::faults::Faults;
use crate::handler::Handler;
use crate::member::assignment::{Assignment, TopicNames};
pub use crate::member::batch::ConsumerFatal;
pub use crate::member::simulated::Clock;
use crate::member::standing::Loop;
use crate::metrics::MemberMetrics;
use crate::metrics::client::Counted;
use crate::settings::{ConsumerSettings, ConsumerTuning, FaultSettings, KafkaSettings};
use crate::settle::COMMIT_LIMIT;

/// Everything a member is told at its start.
#[derive(Debug, Clone)]
pub struct MemberSettings {
    /// Whose group, topics and dead letters.
    pub service: Service,
    /// Which broker.
    pub kafka: KafkaSettings,
    /// How to behave.
    pub consumer: ConsumerSettings,
    /// librdkafka settings changed by the environment.
    pub tuning: ConsumerTuning,
    /// What is broken on purpose.
    pub faults: Faults,
    /// What the service is without Kafka.
    pub need: Need,
    /// How simulated work passes.
    pub clock: Clock,
    /// Where spans go.
    pub tracer: Tracer,
    /// How long a commit may go unanswered before another consumer takes the place of the one that made it. 75 s.
    pub commit_limit: Duration,
}

impl MemberSettings {
    /// The settings of a service's member, with those of the environment (`KAFKA_CONSUMER_*`). An error is a rule between them
    /// that is broken.
    pub fn new(
        service: Service,
        need: Need,
        kafka: KafkaSettings,
        consumer: ConsumerSettings,
        faults: &FaultSettings,
    ) -> Result<Self, WrongSettings> {
        if consumer.static_membership && kafka.slot.is_none() {
            let wrong = "STATIC_MEMBERSHIP needs SLOT: the name of the member is made of it";
            return Err(WrongSettings(wrong.to_owned()));
        }
        // What is not Unicode is none of our names.
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Ok(Self {
            service,
            kafka,
            consumer,
            tuning: ConsumerTuning::from_variables(variables).map_err(WrongSettings)?,
            faults: faults
                .faults()
                .map_err(|wrong| WrongSettings(wrong.to_string()))?,
            need,
            clock: Clock::default(),
            tracer: Tracer::default(),
            commit_limit: COMMIT_LIMIT,
        })
    }
}

/// Why a member could not be started. Its settings are wrong: trying again would not help.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// librdkafka refuses a setting.
    #[error("the Kafka settings are refused")]
    Client(#[from] KafkaError),
    /// A metric is registered twice.
    #[error("the metrics of the consumer could not be registered")]
    Metrics(#[from] prometheus::Error),
    /// No thread can be had.
    #[error("the consumer's thread could not be started")]
    Thread(#[from] std::io::Error),
}

/// Why a member ended that was not asked to. The process should end with it.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// The client cannot go on: a static member's place was taken, for one.
    #[error(transparent)]
    Consumer(#[from] ConsumerFatal),
    /// Another process uses this `SLOT`.
    #[error("another process runs with the same SLOT: each keeps fencing the other")]
    SlotTaken,
    /// The thread panicked: a fault of this crate, since a handler's panic is caught.
    #[error("the consumer's thread panicked")]
    Panicked,
}

/// A running member of a consumer group.
pub struct Member {
    controls: Controls,
    stop: CancellationToken,
    ended: oneshot::Receiver<()>,
    thread: JoinHandle<Result<(), MemberError>>,
}

impl Member {
    /// Starts a member, which is called by this number of its instance in metrics and answers. It joins its group as soon as the
    /// broker is there, in whatever order things start, and takes its first record when it knows what its group was told. Must
    /// be called inside a Tokio runtime, on which the handler's effects then run.
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
        );
        let metrics = MemberMetrics::new(registry, &instance_id, &names)?;
        let connection = Connection::new(readiness.component("kafka"), settings.need);
        let context = Assignment::new(
            names,
            connection.clone().counted(registry, Counted::Consumer)?,
            metrics.rebalances.clone(),
        );
        let consumer = subscribe(&settings, context)?;
        let connection = connection.counted(registry, Counted::Producer)?;
        let stop = CancellationToken::new();
        let told = metrics.ignored_controls.clone();
        let group = Follower::new(&settings, controls.clone(), told, stop.clone())?;
        let (has_ended, ended) = oneshot::channel();
        let component = readiness.component("consumer");
        let member = Loop::new(
            settings,
            handler,
            consumer,
            connection,
            controls.clone(),
            stop.clone(),
            metrics,
            component,
        );
        // Nobody waits for its end: it has nothing to bring to one.
        std::thread::Builder::new()
            .name("controls".to_owned())
            .spawn(move || group.run())?;
        let thread = std::thread::Builder::new()
            .name("member".to_owned())
            .spawn(move || {
                let result = member.run();
                // Nobody waiting is no fault.
                let _ = has_ended.send(());
                result
            })?;
        Ok(Self {
            controls,
            stop,
            ended,
            thread,
        })
    }

    /// What a person may ask of this member.
    pub fn controls(&self) -> Controls {
        self.controls.clone()
    }

    /// Runs until `shutdown`, then settles the batch under way and leaves the group. What takes longer than `drain` is given up:
    /// the batch comes again, to whoever gets its partitions. A member that cannot go on cancels `shutdown` itself, so that the
    /// rest of the service ends with it.
    pub async fn run(
        self,
        shutdown: CancellationToken,
        drain: Duration,
    ) -> Result<(), MemberError> {
        let stop = self.stopper();
        let mut ended = pin!(self.ended());
        let result = tokio::select! {
            result = &mut ended => result,
            () = shutdown.cancelled() => {
                stop();
                timeout(drain, ended).await.unwrap_or_else(|_| {
                    tracing::warn!(drain.seconds = drain.as_secs_f64(), "the last batch is given up");
                    Ok(())
                })
            }
        };
        shutdown.cancel();
        result
    }

    /// A switch that makes the member settle its batch, leave its group and end.
    pub fn stopper(&self) -> impl Fn() + Send + Sync + use<> {
        let stop = self.stop.clone();
        move || stop.cancel()
    }

    /// Waits until the member has ended: because it was asked to, or because it cannot go on.
    pub async fn ended(self) -> Result<(), MemberError> {
        // An error means that the thread ended without a word: it panicked, and `join` says so.
        let _ = self.ended.await;
        self.thread.join().unwrap_or(Err(MemberError::Panicked))
    }
}

fn topic_names(settings: &MemberSettings) -> TopicNames {
    let prefix = &settings.kafka.name_prefix;
    let topics = settings.service.consumes().iter();
    TopicNames::new(topics.map(|topic| (*topic, prefix.topic(*topic))))
}

pub(crate) fn subscribe(
    settings: &MemberSettings,
    context: Assignment,
) -> Result<BaseConsumer<Assignment>, KafkaError> {
    let MemberSettings {
        service,
        kafka,
        consumer,
        tuning,
        ..
    } = settings;
    let config = client::consumer_config(*service, kafka, consumer, tuning);
    let names = context.names().clone();
    let consumer: BaseConsumer<Assignment> = client::create(&config, context)?;
    consumer.subscribe(&names.names())?;
    Ok(consumer)
}
