//! How an order is accepted: written before it is answered, and together with what is to be told of it.
//!
//! A transaction for each order would wait for the disk each time and end at about a thousand orders a second. So requests
//! queue, and one task takes what has queued up, at most [`BATCH`] requests, into one transaction ([`batch`]): keys, orders and
//! outbox rows, all or none. Each request is answered *after the commit*, and none before.
//!
//! Everything is bounded. The queue is (`HTTP_QUEUE`); what is beyond it is refused at once. So is the outbox (`OUTBOX_LIMIT`),
//! which grows while Kafka is away. If a batch fails, everybody in it *and everybody waiting behind it* is told so: with the
//! database away, each batch takes seconds to fail, and nobody should wait for several of them.

mod batch;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use kafka_runtime::Faults;
use kafka_runtime::faults::{CrashPoint, Protection};
use kafka_runtime::outbox::{Publisher, Waker};
use shared_events::{CorrelationId, Envelope, OrderCreated, OrderId, TraceParent};
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use self::batch::Written;
use crate::metrics::Metrics;
use crate::request::{IdempotencyKey, NewOrder};

/// Most requests of one transaction. More gain nothing.
const BATCH: usize = 500;

/// How long the first request of a batch waits for others. Alone it does not wait at all: then there is no crowd to wait for.
const LINGER: Duration = Duration::from_millis(2);

/// How long one transaction may take. PostgreSQL's own time-outs do not count while its processes are frozen.
const BATCH_TIMEOUT: Duration = Duration::from_secs(5);

/// What was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The order.
    pub order_id: OrderId,
    /// The name under which its saga runs.
    pub correlation_id: CorrelationId,
}

/// The answer to a request that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A new order.
    Accepted(Accepted),
    /// The request has been answered before, with this.
    Repeated(Accepted),
    /// The key stands for another request.
    KeyReused,
}

/// Why a request was not looked at. Nothing of it is written, or (after `Unavailable`, if the connection was lost during the
/// commit) all of it: an `Idempotency-Key` lets the client ask again safely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Too many are waiting.
    QueueFull,
    /// Too much is waiting to be told.
    OutboxFull,
    /// The database does not do it now.
    Unavailable,
}

/// A request that waits to be accepted.
struct Waiting {
    order: NewOrder,
    order_id: OrderId,
    key: Option<IdempotencyKey>,
    correlation_id: CorrelationId,
    traceparent: TraceParent,
    at: DateTime<Utc>,
    answer: oneshot::Sender<Result<Answer, Refusal>>,
}

/// The door: where requests queue. Clones are the same door.
#[derive(Clone)]
pub struct Door {
    queue: mpsc::Sender<Waiting>,
    room: Arc<OutboxRoom>,
}

/// Whether the outbox takes further rows, as far as this instance knows. Beyond its limit comes what was queued already, and what
/// others add between two counts. What is added while somebody counts may count twice until the next count.
#[derive(Debug)]
pub struct OutboxRoom {
    limit: i64,
    added: AtomicI64,
    full_at: AtomicI64,
}

/// How accepted orders are told.
pub enum Telling {
    /// Through the outbox, whose relay this wakes.
    Outbox(Waker),
    /// By sending them after the commit: what happens with [`Protection::Outbox`] off.
    AfterCommit(Publisher),
}

/// The task behind the door.
pub struct Acceptor {
    queue: mpsc::Receiver<Waiting>,
    room: Arc<OutboxRoom>,
    pool: PgPool,
    telling: Telling,
    faults: Faults,
    metrics: Metrics,
}

impl OutboxRoom {
    /// Room for this many rows.
    pub fn new(limit: u32) -> Arc<Self> {
        let limit = i64::from(limit);
        Arc::new(Self {
            limit,
            added: AtomicI64::new(0),
            full_at: AtomicI64::new(limit),
        })
    }

    /// Rows that were ever added. To be asked before the rows are counted.
    pub fn added(&self) -> i64 {
        self.added.load(Ordering::Relaxed)
    }

    /// So many rows were counted, after so many had been added. Told from time to time, by whoever counts.
    pub fn counted(&self, rows: i64, added: i64) {
        self.full_at
            .store(added + self.limit - rows, Ordering::Relaxed);
    }

    /// So many more are there. What was taken away is seen at the next count.
    fn add(&self, rows: usize) {
        self.added.fetch_add(rows as i64, Ordering::Relaxed);
    }

    fn is_full(&self) -> bool {
        self.added() >= self.full_at.load(Ordering::Relaxed)
    }
}

impl Door {
    /// Waits in the queue for the answer. Refused at once if the queue or the outbox is full.
    pub async fn enter(
        &self,
        order: NewOrder,
        key: Option<IdempotencyKey>,
        correlation_id: CorrelationId,
        traceparent: TraceParent,
    ) -> Result<Answer, Refusal> {
        if self.room.is_full() {
            return Err(Refusal::OutboxFull);
        }
        let (answer, answered) = oneshot::channel();
        // PostgreSQL keeps microseconds: with more, the event would differ from the row.
        let at = Utc::now().trunc_subsecs(6);
        let waiting = Waiting {
            order,
            order_id: OrderId::now(),
            key,
            correlation_id,
            traceparent,
            at,
            answer,
        };
        self.queue.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refusal::QueueFull,
            mpsc::error::TrySendError::Closed(_) => Refusal::Unavailable,
        })?;
        answered.await.unwrap_or(Err(Refusal::Unavailable))
    }
}

/// A door for `queue` waiting requests, and the task behind it, which somebody must [`run`](Acceptor::run).
pub fn open(
    queue: u32,
    room: Arc<OutboxRoom>,
    pool: PgPool,
    telling: Telling,
    faults: Faults,
    metrics: Metrics,
) -> (Door, Acceptor) {
    let (sender, receiver) = mpsc::channel(queue as usize);
    let door = Door {
        queue: sender,
        room: Arc::clone(&room),
    };
    (
        door,
        Acceptor {
            queue: receiver,
            room,
            pool,
            telling,
            faults,
            metrics,
        },
    )
}

impl Acceptor {
    /// Accepts until every door is gone and nobody waits. The delivery guarantee of this service is the order of what is done
    /// here: written together, committed, told, answered.
    pub async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.collect(&mut batch).await {
            let failed = match timeout(BATCH_TIMEOUT, self.write(&batch)).await {
                Ok(Ok(written)) => {
                    self.tell(&written.events).await;
                    answer_all(&mut batch, written.answers);
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(elapsed) => elapsed.to_string(),
            };
            self.refuse_all(&mut batch, &failed);
        }
    }

    /// The next batch; false when there will be none.
    async fn collect(&mut self, batch: &mut Vec<Waiting>) -> bool {
        if self.queue.recv_many(batch, BATCH).await == 0 {
            return false;
        }
        let deadline = Instant::now() + LINGER;
        while batch.len() > 1 && batch.len() < BATCH {
            let more = self.queue.recv_many(batch, BATCH - batch.len());
            match timeout_at(deadline, more).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
        }
        true
    }

    /// One transaction: all of the batch or nothing of it.
    async fn write(&self, batch: &[Waiting]) -> Result<Written, sqlx::Error> {
        let timer = self.metrics.accept_seconds.start_timer();
        let mut transaction = self.pool.begin().await?;
        let keyed = self.faults.keeps(Protection::IdempotencyKey);
        let written = batch::write(&mut transaction, batch, keyed).await?;
        if matches!(self.telling, Telling::Outbox(_)) {
            kafka_runtime::outbox::insert(&mut transaction, &written.events).await?;
        }
        self.faults.pass(CrashPoint::AcceptBeforeCommit);
        transaction.commit().await?;
        self.faults.pass(CrashPoint::AcceptAfterCommit);
        timer.observe_duration();
        self.metrics.accept_batch.observe(batch.len() as f64);
        Ok(written)
    }

    async fn tell(&self, events: &[Envelope]) {
        match &self.telling {
            Telling::Outbox(relay) => {
                self.room.add(events.len());
                relay.wake();
            }
            Telling::AfterCommit(publisher) => {
                if let Err(error) = publisher.publish(events).await {
                    tracing::error!(%error, orders = events.len(), "orders are accepted that nobody was told of, and nobody will be");
                }
            }
        }
    }

    fn refuse_all(&mut self, batch: &mut Vec<Waiting>, error: &str) {
        while let Ok(waiting) = self.queue.try_recv() {
            batch.push(waiting);
        }
        tracing::warn!(
            error,
            requests = batch.len(),
            "orders could not be accepted"
        );
        for waiting in batch.drain(..) {
            let _ = waiting.answer.send(Err(Refusal::Unavailable));
        }
    }
}

/// A client may have gone away meanwhile; its order stays.
fn answer_all(batch: &mut Vec<Waiting>, answers: Vec<Answer>) {
    for (waiting, answer) in batch.drain(..).zip(answers) {
        let _ = waiting.answer.send(Ok(answer));
    }
}

impl Waiting {
    fn event(&self) -> Envelope {
        let created = OrderCreated {
            order_id: self.order_id,
            customer_id: self.order.customer_id.clone(),
            product_id: self.order.product_id.clone(),
            quantity: self.order.quantity,
            amount: self.order.amount,
            occurred_at: self.at,
        };
        Envelope::first(created, self.correlation_id.clone(), self.traceparent)
    }
}
