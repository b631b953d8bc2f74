//! How an order is accepted: committed together with its event, then answered.
//!
//! One transaction per order would wait for the disk each time and end at about a thousand orders a
//! second. So requests queue, and one task, the [`OrderWriter`], writes all that are queued in one
//! transaction: idempotency keys, orders and outbox rows, all or none. Each request is answered
//! *after* the commit.
//!
//! Everything is bounded. A request is refused at once if the queue (`HTTP_QUEUE`) or the outbox
//! (`OUTBOX_LIMIT`, which grows while Kafka is down) is full. If a transaction fails, the requests
//! in it *and all requests in the queue* are refused: while the database is down every transaction
//! takes seconds to fail, and no request should wait for several of them.

mod batch_write;
mod order_writer;

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use shared_events::http_api::{AcceptedOrder, NewOrder, OrderStatus};
use shared_events::{CorrelationId, Envelope, OrderCreated, OrderId, TraceParent};
use tokio::sync::{mpsc, oneshot};

use crate::outbox_capacity::OutboxCapacity;
use crate::request::{IdempotencyKey, RequestHeaders};

pub use order_writer::OrderWriter;

/// The result of a request that reached the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submission {
    /// A new order.
    Accepted(AcceptedOrder),
    /// The idempotency key was used before for the same request; this is the first answer.
    Repeated(AcceptedOrder),
    /// The idempotency key was used before for another request.
    KeyReused,
}

/// Why a request was refused. Nothing of it is written. The one exception is `Unavailable` after a
/// connection that was lost during the commit: then all of it may be written, and an idempotency
/// key lets the client send it again safely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubmitError {
    QueueFull,
    OutboxFull,
    /// The transaction failed or took too long.
    Unavailable,
}

/// A request in the queue.
struct PendingOrder {
    order: NewOrder,
    order_id: OrderId,
    key: Option<IdempotencyKey>,
    correlation_id: CorrelationId,
    traceparent: TraceParent,
    accepted_at: DateTime<Utc>,
    reply: oneshot::Sender<Result<Submission, SubmitError>>,
}

/// The receiving end of the queue, for the [`OrderWriter`].
pub struct OrderQueue(mpsc::Receiver<PendingOrder>);

/// The sending end of the queue. Clones share it.
#[derive(Clone)]
pub struct OrderIntake {
    queue: mpsc::Sender<PendingOrder>,
    outbox_capacity: Arc<OutboxCapacity>,
}

impl OrderIntake {
    /// A queue for `limit` requests.
    pub fn new(limit: u32, outbox_capacity: Arc<OutboxCapacity>) -> (Self, OrderQueue) {
        let (queue, receiver) = mpsc::channel(limit as usize);
        let intake = Self {
            queue,
            outbox_capacity,
        };
        (intake, OrderQueue(receiver))
    }

    /// Queues a request and waits for its result. `traceparent` is the parent of the saga's spans.
    pub async fn submit(
        &self,
        order: NewOrder,
        headers: RequestHeaders,
        traceparent: TraceParent,
    ) -> Result<Submission, SubmitError> {
        if self.outbox_capacity.is_full() {
            return Err(SubmitError::OutboxFull);
        }
        let (reply, result) = oneshot::channel();
        let pending = PendingOrder {
            order,
            order_id: OrderId::now(),
            key: headers.idempotency_key,
            correlation_id: headers.correlation_id,
            traceparent,
            // PostgreSQL keeps microseconds: with nanoseconds the event would differ from the row.
            accepted_at: Utc::now().trunc_subsecs(6),
            reply,
        };
        self.queue.try_send(pending).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SubmitError::QueueFull,
            mpsc::error::TrySendError::Closed(_) => SubmitError::Unavailable,
        })?;
        result.await.unwrap_or(Err(SubmitError::Unavailable))
    }
}

impl PendingOrder {
    fn accepted(&self) -> AcceptedOrder {
        AcceptedOrder {
            order_id: self.order_id,
            correlation_id: self.correlation_id.clone(),
            status: OrderStatus::Pending,
        }
    }

    fn event(&self) -> Envelope {
        let created = OrderCreated {
            order_id: self.order_id,
            customer_id: self.order.customer_id.clone(),
            product_id: self.order.product_id.clone(),
            quantity: self.order.quantity,
            amount: self.order.amount,
            occurred_at: self.accepted_at,
        };
        Envelope::first(created, self.correlation_id.clone(), self.traceparent)
    }
}
