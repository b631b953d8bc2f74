//! The one producer of the service, and the loads on it: requested ones and the auto producer's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use kafka_admin::BrokerHealth;
use shared_events::{OrderCreated, OutOfBounds, ProductId, Quantity};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::continuous::{AutoProducer, Batch, LoadPermit};
use crate::delivery_stats::DeliveryStats;
use crate::event_template::{EncodedEvent, EventGenerator, TemplateError};
use crate::kafka_target::{KafkaLoad, KafkaTarget, StopSignal};
use crate::key_distribution::{KeyDistribution, PartitionChooser};
use crate::load_plan::LoadPlan;
use crate::order_generator::{OrderGenerator, OrderSpec, created_event};

/// How long a requested load may send. A record fails after 10 s more, and both together are below
/// the 20 s within which the service must answer. So the client always gets the result of its load.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_secs(8);

/// From the start of a load until its response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(18);

/// How far the auto producer may be behind its rate. The orders of a longer outage are not made up
/// for.
const MAX_BEHIND: Duration = Duration::from_secs(10);

/// How long the auto producer may take to notice a changed configuration.
const CONFIG_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Most single orders in flight.
const MAX_SINGLE_ORDERS: usize = 64;

/// Runs one load at a time: with two, the rate of each would include the other.
pub(super) struct LoadController {
    target: KafkaTarget,
    health: BrokerHealth,
    pub(super) auto: Arc<AutoProducer>,
    orders: Mutex<OrderGenerator>,
    single_orders: Arc<Semaphore>,
}

/// Why a load cannot run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoadRefused {
    /// A burst or a batch runs.
    LoadRunning,
    AutoProducerRunning,
    TooManySingleOrders,
    NoBroker,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct LoadResult {
    pub(super) total: u64,
    pub(super) successful: u64,
    /// From the start until the last acknowledgement.
    pub(super) duration: Duration,
}

impl LoadController {
    pub(super) fn new(
        target: KafkaTarget,
        health: BrokerHealth,
        auto: AutoProducer,
    ) -> Result<Self, OutOfBounds> {
        let spec = OrderSpec {
            customer: None,
            product: ProductId::new("prod_burst")?,
            quantity: Quantity::new(1)?,
            amount: "10.00".parse()?,
        };
        let partitions = PartitionChooser::new(KeyDistribution::Uniform, 1);
        Ok(Self {
            target,
            health,
            auto: Arc::new(auto),
            orders: Mutex::new(OrderGenerator::new(rand::random(), partitions, spec)?),
            single_orders: Arc::new(Semaphore::new(MAX_SINGLE_ORDERS)),
        })
    }

    pub(super) fn topic(&self) -> &str {
        self.target.topic()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.health.is_reached()
    }

    /// The permit to run a load.
    pub(super) fn acquire_load_permit(&self) -> Result<LoadPermit, LoadRefused> {
        let permit = self.auto.acquire_load_permit()?;
        self.require_broker()?;
        Ok(permit)
    }

    /// The permit to produce a single order, which is possible beside any load.
    pub(super) fn acquire_single_permit(&self) -> Result<OwnedSemaphorePermit, LoadRefused> {
        self.require_broker()?;
        let permit = Arc::clone(&self.single_orders).try_acquire_owned();
        permit.map_err(|_| LoadRefused::TooManySingleOrders)
    }

    fn require_broker(&self) -> Result<(), LoadRefused> {
        match self.is_connected() {
            true => Ok(()),
            false => Err(LoadRefused::NoBroker),
        }
    }

    /// Sends the orders of a plan and waits for their delivery. Blocks.
    pub(super) fn run_load(
        &self,
        plan: &LoadPlan,
        cancelled: CancellationToken,
    ) -> Result<LoadResult, TemplateError> {
        let (started, stats) = (Instant::now(), Arc::<DeliveryStats>::default());
        let stop_sending = StopSignal {
            token: cancelled.clone(),
            deadline: Some(started + SEND_TIMEOUT),
        };
        let mut load = self.target.start_load(&stats);
        // A generator of its own, so that single orders need not wait for this load.
        load.run(plan, &mut self.event_generator()?, &stop_sending)?;
        load.wait_for_deliveries(&StopSignal {
            token: cancelled,
            deadline: Some(started + RESPONSE_TIMEOUT),
        });
        let counts = stats.counts();
        Ok(LoadResult {
            total: plan.count(),
            successful: counts.acknowledged,
            duration: counts.last.map_or(started.elapsed(), |last| last - started),
        })
    }

    /// Produces one order and returns it; `None` if it is not acknowledged. Blocks.
    pub(super) fn produce_one(
        &self,
        cancelled: CancellationToken,
    ) -> Result<Option<OrderCreated>, serde_json::Error> {
        let stats = Arc::<DeliveryStats>::default();
        let stop = StopSignal {
            token: cancelled,
            deadline: Some(Instant::now() + RESPONSE_TIMEOUT),
        };
        let order = self.orders().next(Utc::now());
        let event = created_event(order.clone());
        let encoded = EncodedEvent {
            key: &event.key(),
            value: &event.value()?,
            headers: &event.header_pairs(),
        };
        let mut load = self.target.start_load(&stats);
        let delivered =
            load.send(encoded, Instant::now(), &stop) && load.wait_for_deliveries(&stop);
        Ok((delivered && !stats.has_failed()).then_some(order))
    }

    /// Sends batches at the configured rate while the auto producer is on, until `shutdown`.
    /// Blocks.
    pub(super) fn run_auto_producer(
        &self,
        shutdown: &CancellationToken,
    ) -> Result<(), TemplateError> {
        let stop = StopSignal {
            token: shutdown.clone(),
            deadline: None,
        };
        let stats = Arc::<DeliveryStats>::default();
        let (mut load, mut events) = (self.target.start_load(&stats), self.event_generator()?);
        let mut last = None;
        while !shutdown.is_cancelled() {
            let next_check = Instant::now() + CONFIG_CHECK_INTERVAL;
            let batch = self.auto.next_batch(last);
            if batch.is_none() {
                last = None;
            }
            match batch.filter(|batch| batch.due <= next_check) {
                Some(batch) => {
                    self.target.wait_until(batch.due, &stop);
                    last = Some(send_batch(&mut load, &mut events, batch, &stop)?);
                }
                // Polls the producer also while there is nothing to send: only polling notices a
                // lost broker.
                None => drop(self.target.wait_until(next_check, &stop)),
            }
        }
        Ok(())
    }

    /// Waits for the last delivery reports. Blocks.
    pub(super) fn finish(&self, timeout: Duration) {
        self.target.finish(timeout);
    }

    /// A generator that has no order in common with any other.
    fn event_generator(&self) -> Result<EventGenerator, TemplateError> {
        let orders = self.orders().fork();
        EventGenerator::new(orders)
    }

    fn orders(&self) -> MutexGuard<'_, OrderGenerator> {
        // A thread that panicked has only drawn some random numbers.
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends a batch, and returns the time from which the next interval counts.
fn send_batch(
    load: &mut KafkaLoad<'_>,
    events: &mut EventGenerator,
    batch: Batch,
    stop: &StopSignal,
) -> Result<Instant, TemplateError> {
    for _ in 0..batch.orders {
        if !load.send(events.next(Utc::now())?, batch.due, stop) {
            break;
        }
    }
    let now = Instant::now();
    let behind = now.saturating_duration_since(batch.due);
    Ok(if behind > MAX_BEHIND { now } else { batch.due })
}
