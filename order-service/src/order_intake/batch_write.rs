//! The statements of one transaction of the [`OrderWriter`](super::OrderWriter).
//!
//! Their order guarantees that an idempotency key makes one order, even if the same request arrives
//! at several instances at once:
//!
//! 1. **Claim** the keys with an insert, sorted by key, so that two instances cannot wait for each
//!    other. The second claimant of a key waits until the first has committed, and then inserts
//!    nothing.
//! 2. **Read** the owners of all keys in a statement of its own. Under `READ COMMITTED` a statement
//!    sees what was committed when it began, so this one sees the owner that the claim has waited
//!    for. A read in the claiming statement would not.
//! 3. **Write** the orders whose request owns its key or has none.

use std::collections::HashMap;

use shared_events::http_api::{AcceptedOrder, OrderStatus};
use shared_events::{CorrelationId, Envelope, OrderId};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{PendingOrder, Submission};
use crate::domain::Order;
use crate::request::{IdempotencyKey, fingerprint};
use crate::store::{self, invalid_row};

/// What a batch becomes once it is committed.
pub(super) struct WrittenBatch {
    /// One for each request, in the order of the batch.
    pub(super) submissions: Vec<Submission>,
    /// The events to publish.
    pub(super) events: Vec<Envelope>,
}

/// The request that claimed a key first.
#[derive(FromRow)]
struct KeyOwner {
    key: String,
    request: Uuid,
    order_id: Uuid,
    correlation_id: String,
}

/// Writes keys and orders. Without `use_keys` (the fault that turns [`Protection::IdempotencyKey`]
/// off) every key is ignored.
///
/// [`Protection::IdempotencyKey`]: kafka_runtime::faults::Protection::IdempotencyKey
pub(super) async fn write(
    connection: &mut PgConnection,
    batch: &[PendingOrder],
    use_keys: bool,
) -> Result<WrittenBatch, sqlx::Error> {
    let owners = if use_keys {
        claim_keys(connection, batch).await?
    } else {
        HashMap::new()
    };
    let submissions: Vec<_> = batch
        .iter()
        .map(|pending| match pending.key.as_ref().filter(|_| use_keys) {
            None => Ok(Submission::Accepted(pending.accepted())),
            Some(key) => pending.submission(owners.get(key.as_str())),
        })
        .collect::<Result<_, _>>()?;
    let accepted = batch
        .iter()
        .zip(&submissions)
        .filter(|(_, submission)| matches!(submission, Submission::Accepted(_)))
        .map(|(pending, _)| pending);
    let (mut orders, mut events) = (Vec::new(), Vec::new());
    for pending in accepted {
        let event = pending.event();
        orders.push(Order::from_event(event.clone(), pending.accepted_at));
        events.push(event);
    }
    if !orders.is_empty() {
        orders.sort_by_key(|order| order.order_id);
        store::upsert(connection, &orders).await?;
    }
    Ok(WrittenBatch {
        submissions,
        events,
    })
}

/// Claims the keys of the batch, and returns the owner of each key.
async fn claim_keys(
    connection: &mut PgConnection,
    batch: &[PendingOrder],
) -> Result<HashMap<String, KeyOwner>, sqlx::Error> {
    let mut with_key: Vec<_> = batch
        .iter()
        .filter_map(|pending| Some((pending.key.as_ref()?, pending)))
        .collect();
    if with_key.is_empty() {
        return Ok(HashMap::new());
    }
    // The sort is stable: of two requests with one key the earlier one claims it.
    with_key.sort_by_key(|(key, _)| *key);
    insert_keys(connection, &with_key).await?;
    read_owners(connection, &with_key).await
}

async fn insert_keys(
    connection: &mut PgConnection,
    with_key: &[(&IdempotencyKey, &PendingOrder)],
) -> Result<(), sqlx::Error> {
    fn column<'a, T>(
        with_key: &[(&'a IdempotencyKey, &'a PendingOrder)],
        field: impl Fn(&'a PendingOrder) -> T,
    ) -> Vec<T> {
        with_key.iter().map(|(_, pending)| field(pending)).collect()
    }
    let keys: Vec<_> = with_key.iter().map(|(key, _)| key.as_str()).collect();
    sqlx::query(
        "INSERT INTO idempotency_keys (key, request, order_id, correlation_id)
         SELECT * FROM UNNEST($1::text[], $2::uuid[], $3::uuid[], $4::text[])
         ON CONFLICT DO NOTHING",
    )
    .bind(keys)
    .bind(column(with_key, |pending| fingerprint(&pending.order)))
    .bind(column(with_key, |pending| pending.order_id.as_uuid()))
    .bind(column(with_key, |pending| pending.correlation_id.as_str()))
    .execute(connection)
    .await?;
    Ok(())
}

async fn read_owners(
    connection: &mut PgConnection,
    with_key: &[(&IdempotencyKey, &PendingOrder)],
) -> Result<HashMap<String, KeyOwner>, sqlx::Error> {
    let keys: Vec<_> = with_key.iter().map(|(key, _)| key.as_str()).collect();
    let owners: Vec<KeyOwner> = sqlx::query_as(
        "SELECT key, request, order_id, correlation_id FROM idempotency_keys WHERE key = ANY($1)",
    )
    .bind(keys)
    .fetch_all(connection)
    .await?;
    Ok(owners
        .into_iter()
        .map(|owner| (owner.key.clone(), owner))
        .collect())
}

impl PendingOrder {
    /// The result of a request whose key has this owner. A key without an owner was purged between
    /// claim and read: the batch fails, and the client may send the request again.
    fn submission(&self, owner: Option<&KeyOwner>) -> Result<Submission, sqlx::Error> {
        let owner = owner.ok_or(sqlx::Error::RowNotFound)?;
        if owner.order_id == self.order_id.as_uuid() {
            return Ok(Submission::Accepted(self.accepted()));
        }
        if owner.request != fingerprint(&self.order) {
            return Ok(Submission::KeyReused);
        }
        Ok(Submission::Repeated(AcceptedOrder {
            order_id: OrderId::from(owner.order_id),
            correlation_id: CorrelationId::new(&*owner.correlation_id).map_err(invalid_row)?,
            status: OrderStatus::Pending,
        }))
    }
}
