//! The producer of the service, and who may use it when.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use kafka_runtime::client::Connection;
use shared_events::{OrderCreated, OutOfBounds, ProductId, Quantity};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::auto::{Auto, Claim, Turn};
use crate::kafka::{Job, Sender, Stop};
use crate::keys::{Keys, Spread};
use crate::orders::{Orders, Wanted, event};
use crate::plan::Plan;
use crate::tally::Tally;
use crate::template::{Events, TemplateError, Written};

/// How long a job may hand orders over. Together with the 10 s after which a record has failed it is below the 20 s within
/// which the service has to answer, so that whoever asked for a burst always hears what became of it.
pub(super) const HAND_OVER: Duration = Duration::from_secs(8);

/// From the start of a job until its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(18);

/// How far behind the auto producer may be. What it could not make in a longer outage is not made up for.
const MOST_BEHIND: Duration = Duration::from_secs(10);

/// How long the auto producer takes no notice of a change.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Most single orders on their way at a time.
const SINGLES: usize = 64;

/// The producer, and its jobs. One load at a time: two would each tell the rate of both.
pub(super) struct Studio {
    sender: Sender,
    connection: Connection,
    pub(super) auto: Arc<Auto>,
    orders: Mutex<Orders>,
    singles: Arc<Semaphore>,
}

/// Why there will be no load now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A burst or a batch is on its way.
    Burst,
    /// The auto producer runs.
    Auto,
    /// Too many ask for single orders.
    Crowd,
    /// No broker is reached.
    NoBroker,
}

/// What came of a load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made {
    pub(super) total: u64,
    pub(super) successful: u64,
    /// Until the last receipt.
    pub(super) time: Duration,
}

impl Studio {
    pub(super) fn new(
        sender: Sender,
        connection: Connection,
        auto: Auto,
    ) -> Result<Self, OutOfBounds> {
        let wanted = Wanted {
            customer: None,
            product: ProductId::new("prod_burst")?,
            quantity: Quantity::new(1)?,
            amount: "10.00".parse()?,
        };
        let keys = Keys::new(Spread::Uniform, 1);
        Ok(Self {
            sender,
            connection,
            auto: Arc::new(auto),
            orders: Mutex::new(Orders::new(rand::random(), keys, wanted)?),
            singles: Arc::new(Semaphore::new(SINGLES)),
        })
    }

    pub(super) fn topic(&self) -> &str {
        self.sender.topic()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connection.is_reached()
    }

    /// The right to the one load of now.
    pub(super) fn claim(&self) -> Result<Claim, Refusal> {
        let claim = self.auto.claim()?;
        self.require_broker()?;
        Ok(claim)
    }

    /// The right to a single order, which may be made beside any load.
    pub(super) fn claim_single(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        self.require_broker()?;
        let permit = Arc::clone(&self.singles).try_acquire_owned();
        permit.map_err(|_| Refusal::Crowd)
    }

    fn require_broker(&self) -> Result<(), Refusal> {
        match self.is_connected() {
            true => Ok(()),
            false => Err(Refusal::NoBroker),
        }
    }

    /// Makes the orders of a plan, and says what became of them. Blocks.
    pub(super) fn make(
        &self,
        plan: &Plan,
        asked: CancellationToken,
    ) -> Result<Made, TemplateError> {
        let (begun, tally) = (Instant::now(), Arc::<Tally>::default());
        let hand_over = Stop {
            asked: asked.clone(),
            at: Some(begun + HAND_OVER),
        };
        let mut job = self.sender.job(&tally);
        // A row of its own, so that single orders need not wait for a burst.
        job.run(plan, &mut self.events()?, &hand_over)?;
        let at = Some(begun + ANSWER_WITHIN);
        job.settle(&Stop { asked, at });
        let counts = tally.counts();
        Ok(Made {
            total: plan.count(),
            successful: counts.acknowledged,
            time: counts.last.map_or(begun.elapsed(), |last| last - begun),
        })
    }

    /// Makes one order; `None` if it is not acknowledged. Blocks.
    pub(super) fn make_one(
        &self,
        asked: CancellationToken,
    ) -> Result<Option<OrderCreated>, serde_json::Error> {
        let tally = Arc::<Tally>::default();
        let stop = Stop {
            asked,
            at: Some(Instant::now() + ANSWER_WITHIN),
        };
        let order = self.orders().next(Utc::now());
        let event = event(order.clone());
        let written = Written {
            key: &event.key(),
            value: &event.value()?,
            headers: &event.header_pairs(),
        };
        let mut job = self.sender.job(&tally);
        let sent = job.send(written, Instant::now(), &stop) && job.settle(&stop);
        Ok((sent && !tally.has_failed()).then_some(order))
    }

    /// Makes orders at the rate asked for, as long as it is asked for, until `end`. Blocks.
    pub(super) fn produce_by_itself(&self, end: &CancellationToken) -> Result<(), TemplateError> {
        let stop = Stop {
            asked: end.clone(),
            at: None,
        };
        let tally = Arc::<Tally>::default();
        let (mut job, mut events) = (self.sender.job(&tally), self.events()?);
        let mut last = None;
        while !end.is_cancelled() {
            let soon = Instant::now() + LOOK_AGAIN;
            let turn = self.auto.next(last);
            if turn.is_none() {
                last = None;
            }
            match turn.filter(|turn| turn.due <= soon) {
                Some(turn) => {
                    self.sender.wait_until(turn.due, &stop);
                    last = Some(batch(&mut job, &mut events, turn, &stop)?);
                }
                // Also while nothing is made: somebody has to hear whether the broker is there.
                None => drop(self.sender.wait_until(soon, &stop)),
            }
        }
        Ok(())
    }

    /// Waits for the last receipts. Blocks.
    pub(super) fn finish(&self, within: Duration) {
        self.sender.finish(within);
    }

    /// A row of its own, which has no order in common with any other.
    fn events(&self) -> Result<Events, TemplateError> {
        let orders = self.orders().fork();
        Events::of(orders)
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        // A row is right after any number of draws.
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands a batch over, and says from when on the next is counted.
fn batch(
    job: &mut Job<'_>,
    events: &mut Events,
    turn: Turn,
    stop: &Stop,
) -> Result<Instant, TemplateError> {
    for _ in 0..turn.orders {
        if !job.send(events.next(Utc::now())?, turn.due, stop) {
            break;
        }
    }
    let now = Instant::now();
    let behind = now.saturating_duration_since(turn.due);
    Ok(if behind > MOST_BEHIND { now } else { turn.due })
}
